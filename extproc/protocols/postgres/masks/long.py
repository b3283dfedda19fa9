"""Rows too long to be held, masked as they come. The row's length goes on before its values are seen, so that nothing
may change it: every value keeps its own, but for those that are masked whole, whose lengths are waited for."""

import struct
from collections.abc import Mapping
from functools import partial

from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.spelt import RawBehind, SpeltStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage
from extproc.protocols.postgres.masks import fill, fitting, types
from extproc.protocols.postgres.masks.cells import JSONB_VERSION, Masking
from extproc.protocols.postgres.masks.columns import Columns, Value
from extproc.protocols.postgres.masks.fill import Filler
from extproc.protocols.postgres.masks.inner import cell
from extproc.protocols.postgres.masks.types import Sort
from extproc.protocols.postgres.masks.whole import COLUMN, WholeCell
from extproc.protocols.postgres.wire.row import DATA_ROW

_HELD = 1 << 20
_MARKS = (b"{", b"(", b'"')
_ROW = struct.Struct(">BIH")
_SIZE = struct.Struct(">i")


def masked_ahead(columns: Columns, data: bytes | bytearray, most: int) -> dict[int, tuple[int, Value]] | None:
    """Of the row that begins with these bytes the values of columns whose masks may have another length: their sizes
    (-1 for NULL) and the values masked, by column. Those of more than `most` bytes are not among them, unless they are
    masked whole. None as long as one of them is not there. Raises MaskError."""
    found: dict[int, int] = {}
    flat: list[Value] = [None] * columns.width
    at = _ROW.size
    for number in range(max(columns.awaited, default=-1) + 1):
        if len(data) < at + _SIZE.size:
            return None
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        end = at + max(size, 0)
        if number in columns.awaited and size <= most:
            if len(data) < end:
                return None
            found[number], flat[number] = size, bytes(data[at:end]) if size >= 0 else None
        elif isinstance(columns.cells.get(number), WholeCell):
            found[number] = size
        at = end
    columns.mask(flat)
    return {number: (size, flat[number]) for number, size in found.items()}


class LongRow:
    """One row, in pieces; `ready` is `masked_ahead` of it. Of all other values, text that is masked becomes asterisks.
    In JSON a mask is asterisks, and what it is shorter than its value are blanks at the end. Numbers, dates and the
    like become zeros. Raises MaskError for what can be masked neither way: binary arrays over a megabyte, JSON whose
    masks would need more room than there is."""

    __slots__ = ("_columns", "_ready", "_lengths", "_rest", "_left", "_at", "_filler")

    def __init__(self, columns: Columns, ready: Mapping[int, tuple[int, Value]]) -> None:
        self._columns = columns
        self._ready = ready
        self._lengths = fitting.lengths(columns.masking)
        self._rest = b""
        self._left = -1  # bytes of the value that are still to come; -1 between values
        self._at = -1  # the column; -1 before the first
        self._filler: Filler = fill.Same()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        data, self._rest = self._rest + data, b""
        out: list[bytes] = []
        at = 0
        while True:
            if self._left >= 0:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                out.append(self._filler.feed(piece))
                if self._left:
                    break
                out.append(self._ended())
            need = _ROW.size if self._at < 0 else _SIZE.size
            if len(data) - at < need:
                self._rest = data[at:]
                break
            out.append(self._head(data, at))
            at += need
        return b"".join(out)

    def end(self) -> None:
        """The row has ended. Raises MaskError where it has not."""
        if self._rest or self._left >= 0 or self._at != self._columns.width:
            raise MaskError("a row that is not as long as its values")

    def _head(self, data: bytes, at: int) -> bytes:
        """The next size is here, or the row's beginning: what goes on of it."""
        if self._at < 0:
            kind, length, count = _ROW.unpack_from(data, at)
            if kind != DATA_ROW or count != self._columns.width:
                raise MaskError("a row of other columns than those that were described")
            self._at = 0
            changed = sum(len(masked or b"") - max(size, 0) for size, masked in self._ready.values())
            return _ROW.pack(kind, length + changed, count)
        (size,) = _SIZE.unpack_from(data, at)
        if size < -1 or self._at >= self._columns.width:
            raise MaskError("a row that is not as long as its values")
        if self._at in self._ready:
            masked = self._ready[self._at][1]
            self._left, self._filler = max(size, 0), fill.Instead(masked or b"")
            return _SIZE.pack(-1 if masked is None else len(masked))
        if size == -1:
            self._at += 1
        else:
            self._left, self._filler = size, self._for(self._at, size)
        return data[at : at + _SIZE.size]

    def _ended(self) -> bytes:
        """What is left of a value that has ended."""
        out = self._filler.finish()
        counts = self._columns.masking.counts
        for kind, count in self._lengths.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        self._lengths.counts.clear()
        self._left = -1
        self._at += 1
        return out

    def _for(self, at: int, size: int) -> Filler:
        """What masks the value of a column that is so long."""
        field = self._columns.fields[at]
        here = self._columns.cells.get(at)
        if here is None or not size:
            return fill.Same()
        return found(self._lengths, self._columns.named[at], field.type, field.format == 1, size)


def found(masking: Masking, named: frozenset[int], oid: int, binary: bool, size: int) -> Filler:
    """For a value that is masked by what is in it. Raises MaskError."""
    sort = types.sort_of(oid)
    text = TextStage(masking.plan, fill=True, named=named)
    fields = bool(masking.plan.keys) and types.sort_of(types.ARRAYS.get(oid, oid)) in (Sort.RECORD, Sort.OWN)
    if fields and (binary or sort is not Sort.OWN):
        return _without_fields(masking, sort, binary, size)
    match sort:
        case Sort.JSON | Sort.JSONB:
            filler: Filler = fill.Padded(_json(masking), masking)
            return fill.Behind(JSONB_VERSION, filler) if binary and sort is Sort.JSONB else filler
        case Sort.XML if not masking.guarded:
            return fill.Padded(XmlStage(masking.plan, html=False), masking)
        case Sort.STRICT:
            return fitting.Held(partial(fitting.fit, cell(masking, oid, binary, named), oid, binary), _HELD)
        case Sort.ARRAY | Sort.RECORD if binary:
            return fitting.Held(partial(fitting.fit_items, oid, partial(_fitted, masking, named)), _HELD)
    if binary and sort is Sort.OWN and size <= _HELD:
        return fitting.Held(partial(fitting.fit, cell(masking, oid, binary, named), oid, binary), _HELD)
    if sort is Sort.TEXT and masking.plan.keys:
        return fill.Sniffed(fill.Counted(text, masking), lambda: fill.Stars(size), (b"{", b"["))
    if binary or sort in (Sort.TEXT, Sort.XML):
        return fill.Counted(text, masking)
    match types.sort_of(types.ARRAYS.get(oid, oid)):
        case Sort.BYTES if sort is Sort.BYTES:
            return fill.Hexed(fill.Counted(text, masking))
        case Sort.JSON | Sort.JSONB | Sort.XML | Sort.BYTES:
            raise MaskError("a long array of what has a structure of its own")
        case Sort.STRICT:
            return fill.Zeroed(fill.Lined(fill.Counted(text, masking)))
        case Sort.OWN if fields:
            return fill.Sniffed(
                fill.Counted(text, masking), lambda: _without_fields(masking, sort, binary, size), _MARKS
            )
    return fill.Lined(fill.Counted(text, masking))


def _without_fields(masking: Masking, sort: Sort, binary: bool, size: int) -> Filler:
    """For what may have fields of which nobody says what they are called, where a mask names columns."""
    masking.count(COLUMN)
    if binary:
        return fill.Stars(size, fill=b"\0")
    return fill.Stars(size, b"{", b"}") if sort is Sort.ARRAY else fill.Stars(size, b"(", b")")


def _json(masking: Masking) -> Stage:
    plan = masking.plan
    if masking.guarded:
        return RawBehind(SpeltStage(plan), plan)
    return JsonStage(plan) if masking.only is None else RawBehind(JsonStage(plan), masking.only)


def _fitted(masking: Masking, named: frozenset[int], oid: int, value: bytes) -> bytes:
    return fitting.fit(cell(masking, oid, True, named), oid, True, value)
