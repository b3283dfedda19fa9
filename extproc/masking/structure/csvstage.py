"""Masking of CSV (RFC 4180) and of text/tab-separated-values, cell by cell.

The first line says what separates cells and, unless it looks like data, what the columns are called. A name is context
for the values below it, or selects them whole. Cells that nothing is found in keep their bytes.
"""

import re
from functools import lru_cache

from extproc.domain.mask import Operator
from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.scanner import NOTHING, SLICE, scan
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.csvheader import BOM, DELIMITERS, called, columns, delimiter, says, sure
from extproc.masking.structure.delimiters import absorbing, prefilter
from extproc.masking.structure.mapped import PLAIN, MappedMasker, Spelling, WholeMasker, mask_mapped
from extproc.masking.structure.names import NOT_ASKED, Asked
from extproc.masking.text import TextStage

LONG = 4 << 10
"""Bytes of an unfinished cell that are kept before it is masked as a stream of its own."""

HEADER = 16 << 10
"""Bytes of the first line, at most; the names in a longer one are no context."""

SELECTED = 4 << 10
"""Columns that masks select by name, at most."""

DOUBLED = Spelling(b'"', rb'""', rb"(?!)", 1, lambda _: b'"')
"""What stands between the quotes of a cell. Its parts are whole when they are given on."""

# What a mask may not have, or it would end its cell: it may have any name in it that policy gives.
_UNSAFE = b"".join(DELIMITERS) + b'"\r\n'
_MANY = 24
"""Rules for which names of columns may be context, for them to be looked for in all cells at once."""

_GONE = (Operator.NULL, Operator.DROP)
_EMPTY = b'""'
_QUOTED = re.compile(rb'[^"]*(?:""[^"]*)*')
_LINE = Pattern(r"(?:[^\x22\r\n]|\x22[^\x22]*\x22)*[\r\n]")


class _Cells:
    """How cells are read with one delimiter."""

    __slots__ = ("cell", "whole", "bare", "ends", "marks", "_lines")

    def __init__(self, mark: bytes) -> None:
        escaped = re.escape(mark)
        self.ends = mark + b"\r\n"
        self.marks = self.ends + b'"'
        self.cell = re.compile(
            rb'(?:"([^"]*(?:""[^"]*)*)"|([^"%s\r\n][^%s\r\n]*)?)([%s\r\n])' % (escaped, escaped, escaped)
        )
        self._lines = bytes.maketrans(self.ends, b"\n" * len(self.ends))
        self.bare = re.compile(rb"[^%s\r\n]*" % escaped)
        text = f"\\x{mark[0]:02x}"
        self.whole = Pattern(
            rf"(?:(?:\x22(?:[^\x22]|\x22\x22)*\x22|[^\x22{text}\r\n][^{text}\r\n]*)?[{text}\r\n])*"
        ).match_end

    def lines(self, raw: bytes) -> bytes:
        """Cells, with line ends for the marks beside them."""
        if b'"' not in raw:
            return raw.translate(self._lines)
        lines = bytearray(raw)
        for cell in self.cell.finditer(raw):
            lines[cell.start(3)] = 10
            if cell[1] is not None:
                lines[cell.start()] = lines[cell.end(1)] = 10
        return bytes(lines)


_cells = lru_cache(maxsize=8)(_Cells)


class CsvStage:
    """Masks CSV of this content type. Raises MaskError for a quote that is not closed, and for text behind a closing
    one, unless the plan is lenient and selects no column. `null` and `drop` empty a cell that is one value, or whose
    column is selected."""

    __slots__ = (
        "_plan", "_counts", "_held", "_cells", "_columns", "_column", "_special", "_stream", "_quoted", "_text",
        "_tabs", "_named", "_called", "_selected", "_named_by", "_loose",
    )  # fmt: skip

    def __init__(self, plan: Plan, content_type: str = "text/csv") -> None:
        essence, *parameters = (part.strip().lower() for part in content_type.split(";"))
        self._plan = plan
        self._counts: dict[str, int] = {}
        self._held = b""
        self._tabs = essence == "text/tab-separated-values"
        self._named = "header=absent" not in parameters
        self._cells: _Cells | None = None  # once the first line is here
        self._columns: tuple[Asked, ...] = ()
        self._called = called(plan)
        self._selected: dict[int, str] = {}  # columns of which a cell said a name that a mask selects
        self._named_by = NOTHING  # rules for which the name of any column is context
        self._loose = NOTHING  # those of them for which each cell has to be looked at
        self._special = False  # whether a column asks for that, or is masked whole
        self._column = 0
        self._stream: MappedMasker | WholeMasker | None = None  # for a long cell
        self._quoted = False
        self._text: Stage | None = None  # malformed, and the plan is lenient

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(dict(self._counts), self._text.counts if self._text is not None else {})

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        return b"".join(self._step(data[at : at + SLICE], False) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._step(b"", True)

    def _step(self, data: bytes, final: bool) -> bytes:
        out: list[bytes] = []
        buffer, self._held = self._held + data, b""
        if self._text is None and self._cells is None:
            looked = final or b"\n" in data or b"\r" in data
            end = _LINE.match_end(buffer, 0, min(len(buffer), HEADER)) if looked else -1
            if end < 0 and not final and len(buffer) < HEADER:
                self._held = buffer
                return b""
            buffer = self._begin(buffer, max(end, 0), out)
        if self._text is None and self._cells is not None:
            buffer = self._run(self._cells, buffer, final, out)
        if self._text is not None:
            out.append(self._text.feed(buffer))
            if final:
                out.append(self._text.finish())
        else:
            self._held = buffer
        return b"".join(out)

    def _begin(self, buffer: bytes, end: int, out: list[bytes]) -> bytes:
        """The first line is here: it ends at `end`, or at 0 where it is too long. Gives what is left of the buffer."""
        if buffer.startswith(BOM):
            out.append(BOM)
            buffer, end = buffer[len(BOM) :], max(0, end - len(BOM))
        line = buffer[: end or HEADER]
        cells = self._cells = _cells(b"\t" if self._tabs else delimiter(line))
        if not end or not self._named or cells.whole(line, 0, end) != end:
            return buffer
        self._whole(cells, line, 0, out)
        found = [cell[1] or cell[2] or b"" for cell in cells.cell.finditer(line)]
        sure(self._plan, found)
        self._columns, self._column = columns(self._plan, [DOUBLED.decode(text) for text in found]), 0
        named = NOTHING.union(*(column.named for column in self._columns))
        self._loose = named if len(named) > _MANY else named & absorbing(self._plan.detector, cells.ends)
        self._named_by = named - self._loose
        self._special = bool(self._loose or self._selected) or any(column.kind is not None for column in self._columns)
        return buffer[end:]

    def _run(self, cells: _Cells, buffer: bytes, final: bool, out: list[bytes]) -> bytes:
        """Gives what is left of the buffer: an unfinished cell, or what is text from now on."""
        at = 0
        while True:
            if self._stream is not None:
                at = self._more(cells, self._stream, buffer, at, final, out)
            if self._stream is not None or self._text is not None:
                return buffer[at:]
            at = self._whole(cells, buffer, at, out)
            rest = buffer[at:]
            if not rest:
                return b""
            if 0 < _behind(cells, rest) <= LONG:
                return self._malformed(rest, "text behind a closing quote")
            if final and (cell := cells.cell.fullmatch(rest + b"\n")):
                out.append(self._cell(cell, True))
                return b""
            if final:
                return self._malformed(rest, "a quote that is not closed")
            if len(rest) <= LONG:
                return rest
            at += self._open(rest[:1] == b'"', out)

    def _whole(self, cells: _Cells, buffer: bytes, at: int, out: list[bytes]) -> int:
        """Take the cells that are whole; gives where the next one begins."""
        end = cells.whole(buffer, at, len(buffer))
        if end <= at:
            return at
        ranges = self._to_read(cells, buffer[at:end], at)
        while at < end:
            start, stop = ranges.pop() if ranges else (end, end)
            if start > at and not self._special and (clean := cells.whole(buffer, at, start)) > at:
                out.append(buffer[at:clean])
                if self._columns or self._called is not None:
                    self._pass(cells, buffer[at:clean])
                at = clean
            while at < stop and (cell := cells.cell.match(buffer, at)):
                out += (self._cell(cell, cell.end() > start), cell[3])
                self._column = self._column + 1 if cell[3] not in b"\r\n" else 0
                at = cell.end()
        return end

    def _pass(self, cells: _Cells, stepped: bytes) -> None:
        """These cells were stepped over: in which column is what comes?"""
        if b'"' in stepped:
            for cell in cells.cell.finditer(stepped):
                self._column = self._column + 1 if cell[3] not in b"\r\n" else 0
            return
        line = max(stepped.rfind(b"\n"), stepped.rfind(b"\r")) + 1
        self._column = stepped.count(cells.ends[:1], line) + (0 if line else self._column)

    def _to_read(self, cells: _Cells, raw: bytes, at: int) -> list[tuple[int, int]]:
        """Where in these cells there may be values, last part first; they are not told apart for that, so what is found
        may be none. Offsets count from `at` before them."""
        looks = [(raw, self._plan.detector, self._named_by)]
        if (minds := prefilter(self._plan.detector, cells.marks, cells.marks)) is not None:
            # To such a rule a cell is a line.
            looks.append((cells.lines(raw), minds[0], self._named_by & minds[1]))
        ranges: set[tuple[int, int]] = set()
        for text, detector, named in looks:
            meant = DOUBLED.decode(text)
            found = [(span.start, span.end) for span in scan(detector, meant, named)]
            found += self._called.spans(meant) if self._called is not None and text is raw else []
            bounds = sorted({offset for pair in found for offset in pair})
            lies = dict(zip(bounds, DOUBLED.offsets(text, bounds), strict=True))
            ranges |= {(at + lies[start], at + lies[stop]) for start, stop in found}
        return sorted(ranges, reverse=True)

    def _cell(self, cell: re.Match[bytes], dirty: bool) -> bytes:
        """A whole cell, without what ends it, masked."""
        quoted = cell[1] is not None
        raw = cell[1] or cell[2] or b""
        column = self._here()
        if dirty and column.kind is None and (kind := says(self._plan, raw)) is not None:
            self._select(kind)
        if column.kind is not None and raw:
            raw = self._masker(column, quoted).feed(raw, final=True)
        elif (dirty or column.named & self._loose) and raw:
            raw, kind = mask_mapped(self._plan, raw, self._counts, DOUBLED if quoted else PLAIN, column.named)
            # One that comes in pieces does not wait for its end.
            if kind and self._plan.operator(kind) in _GONE and cell.end() - cell.start() <= LONG + 1:
                raw = b""
        if not raw and cell[2] and not self._column and cell[3] in b"\r\n":
            # Of a line that is empty nobody sees that it is a row, least of all between a CR and an LF.
            return _EMPTY
        return b'"' + raw + b'"' if quoted else raw

    def _select(self, kind: str) -> None:
        """A cell says a name that a mask selects: whatever stands below it is masked."""
        if len(self._selected) >= SELECTED:
            raise MaskError(f"CSV with more than {SELECTED} columns that masks select")
        self._selected[self._column], self._special = kind, True

    def _here(self) -> Asked:
        if (kind := self._selected.get(self._column)) is not None:
            return Asked(kind)
        return self._columns[self._column] if self._column < len(self._columns) else NOT_ASKED

    def _masker(self, column: Asked, quoted: bool) -> MappedMasker | WholeMasker:
        spelling = DOUBLED if quoted else PLAIN
        if column.kind is not None:
            return WholeMasker(self._plan, self._counts, column.kind, spelling, _UNSAFE)
        return MappedMasker(self._plan, self._counts, spelling, column.named)

    # Long cells.

    def _open(self, quoted: bool, out: list[bytes]) -> int:
        column = self._here()
        self._quoted = quoted
        self._stream = self._masker(column, quoted)
        emptied = not quoted and column.kind is not None and self._plan.operator(column.kind) in _GONE
        out.append(b'"' if quoted else _EMPTY if emptied and not self._column else b"")
        return int(quoted)

    def _more(
        self, cells: _Cells, stream: MappedMasker | WholeMasker, buffer: bytes, at: int, final: bool, out: list[bytes]
    ) -> int:
        """More of a long cell; gives where what was not taken begins."""
        found = (_QUOTED if self._quoted else cells.bare).match(buffer, at)
        end = found.end() if found else at
        behind = buffer[end + 1 : end + 2] if self._quoted else b""
        ended = end < len(buffer) and (not self._quoted or bool(behind) or final)
        ended = ended or (final and not self._quoted)
        out.append(stream.feed(buffer[at:end], final=ended or final))
        if not ended and not final:
            return end
        self._stream = None
        if not ended:
            self._malformed(b"", "a quote that is not closed")
        elif self._quoted and behind and behind not in cells.ends:
            self._malformed(b"", "text behind a closing quote")
        elif self._quoted:
            out.append(b'"')
            end += 1
        return end

    def _malformed(self, rest: bytes, what: str) -> bytes:
        # In text there are no columns to mask.
        if not self._plan.lenient or self._selected or any(column.kind is not None for column in self._columns):
            raise MaskError(f"malformed CSV: {what}")
        self._text = TextStage(self._plan.in_text())
        return rest


def _behind(cells: _Cells, rest: bytes) -> int:
    """Bytes of a cell in quotes that something follows which does not end it; 0 of any other."""
    found = _QUOTED.match(rest, 1) if rest[:1] == b'"' else None
    end = found.end() + 1 if found else 0
    return end if found and rest[end : end + 1] and rest[end : end + 1] not in cells.ends else 0
