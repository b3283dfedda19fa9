"""The rows of a COPY, in the three formats that it has ("COPY", "File Formats"): where one ends, and its values."""

import re
from dataclasses import dataclass
from typing import Protocol

from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.copybinary import BinaryFormat, Value

_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_SPELT = {value: b"\\" + key for key, value in _ESCAPES.items()} | {b"\\": b"\\\\"}
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How a COPY TO writes, as its statement says: `form` is text, csv or binary. Empty is the format's default. A
    `header` is one line before the rows. Raises ValueError for what PostgreSQL would refuse."""

    form: str = "text"
    delimiter: str = ""
    null: str | None = None
    quote: str = '"'
    escape: str = ""
    header: bool = False

    def __post_init__(self) -> None:
        single = (self.delimiter, self.quote, self.escape)
        if self.form not in ("text", "csv", "binary") or any(len(mark.encode()) > 1 for mark in single):
            raise ValueError("a COPY that PostgreSQL would refuse")


class Format(Protocol):
    """One format. Rows are looked for in what has come and not been taken."""

    def end(self, data: bytes, at: int) -> int:
        """Where the row that begins at `at` ends; -1 where that has not come. Raises MaskError."""
        ...

    def split(self, row: bytes) -> list[Value] | None:
        """The values of a row; None for what is no row: a header, the end. Raises MaskError."""
        ...

    def join(self, row: bytes, values: list[Value], changed: set[int]) -> bytes:
        """The row with these values, of which some changed."""
        ...

    def last(self, data: bytes) -> bytes:
        """What stands before the end of a COPY, where it is no whole row, as a whole one. Raises MaskError."""
        ...


class TextFormat:
    """Lines; what of a value would be read otherwise has a backslash."""

    def __init__(self, options: CopyOptions) -> None:
        self._mark = (options.delimiter or "\t").encode()
        self._null = ("\\N" if options.null is None else options.null).encode()
        mark = re.escape(self._mark)
        self._field = re.compile(rb"((?:[^\\%s]|\\.)*+)(%s|\Z)" % (mark, mark), re.DOTALL)
        self._special = re.compile(rb"[\\\b\f\n\r\t\v%s]" % mark)
        self._header = options.header

    def end(self, data: bytes, at: int) -> int:
        """See Format. A value's own line ends are spelt otherwise."""
        return data.find(b"\n", at) + 1 or -1

    def split(self, row: bytes) -> list[Value] | None:
        """See Format."""
        line = row.removesuffix(b"\n")
        if self._header:
            self._header = False
            return None
        if line == b"\\.":
            return None
        raws = self._raw(line)
        return [None if raw == self._null else _meant(raw) for raw in raws]

    def join(self, row: bytes, values: list[Value], changed: set[int]) -> bytes:
        """See Format."""
        raws = self._raw(row.removesuffix(b"\n"))
        for at in changed:
            value = values[at]
            raws[at] = self._null if value is None else self._special.sub(self._spelt, value)
        return self._mark.join(raws) + row[len(row.removesuffix(b"\n")) :]

    def last(self, data: bytes) -> bytes:
        """See Format."""
        return data

    def _raw(self, line: bytes) -> list[bytes]:
        if b"\\" not in line:
            return line.split(self._mark)
        raws: list[bytes] = []
        at = 0
        while True:
            found = self._field.match(line, at)
            if found is None:
                raise MaskError("a line of COPY that ends in the middle of an escape")
            raws.append(found[1])
            at = found.end()
            if not found[2]:
                return raws

    def _spelt(self, found: re.Match[bytes]) -> bytes:
        return _SPELT.get(found[0], b"\\" + found[0])


def _meant(raw: bytes) -> bytes:
    return _ESCAPE.sub(_escape, raw) if b"\\" in raw else raw


def _escape(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what in _ESCAPES:
        return _ESCAPES[what]
    if what[:1] == b"x" and len(what) > 1:
        return bytes((int(what[1:], 16),))
    return bytes((int(what, 8) & 255,)) if what.isdigit() and what < b"8" else what


class CsvFormat:
    """Lines of values, some of them in quotes; NULL is never in quotes."""

    def __init__(self, options: CopyOptions) -> None:
        self._mark = (options.delimiter or ",").encode()
        self._quote = options.quote.encode() or b'"'
        self._escape = options.escape.encode() or self._quote
        self._null = (options.null or "").encode()
        mark, quote, escape = (re.escape(one) for one in (self._mark, self._quote, self._escape))
        inside = rb"(?:%s[%s%s]|[^%s%s]|%s(?!%s))" % (escape, quote, escape, quote, escape, escape, quote)
        if self._escape == self._quote:
            inside = rb"(?:%s%s|[^%s])" % (quote, quote, quote)
        self._row = re.compile(rb"(?:[^%s\n]|%s%s*+%s)*+(\n)?" % (quote, quote, inside, quote), re.DOTALL)
        self._field = re.compile(
            rb"((?:%s%s*+%s|[^%s%s])*+)(%s|\Z)" % (quote, inside, quote, mark, quote, mark), re.DOTALL
        )
        self._part = re.compile(rb"%s(%s*+)%s" % (quote, inside, quote), re.DOTALL)
        self._escaped = re.compile(rb"%s([%s%s])" % (escape, quote, escape))
        self._special = re.compile(rb"[%s%s\r\n]|\A\\\.\Z" % (mark, quote))
        self._header = options.header

    def end(self, data: bytes, at: int) -> int:
        """See Format. A value in quotes may have line ends."""
        newline = data.find(b"\n", at)
        if newline < 0 or data.find(self._quote, at, newline) < 0:
            return newline + 1 or -1
        found = self._row.match(data, at)
        return found.end() if found and found[1] else -1

    def split(self, row: bytes) -> list[Value] | None:
        """See Format."""
        line = row.removesuffix(b"\n")
        if self._header:
            self._header = False
            return None
        quote = self._quote
        return [
            None if raw == self._null else self._part.sub(self._inner, raw) if quote in raw else raw
            for raw in self._raw(line)
        ]

    def join(self, row: bytes, values: list[Value], changed: set[int]) -> bytes:
        """See Format. Whether a changed value stands in quotes does not depend on what it was: of a masked one that
        would tell."""
        line = row.removesuffix(b"\n")
        raws = self._raw(line)
        for at in changed:
            value = values[at]
            if value is None:
                raws[at] = self._null
            elif value == self._null or self._special.search(value):
                doubled = value if self._escape == self._quote else value.replace(self._escape, self._escape * 2)
                raws[at] = self._quote + doubled.replace(self._quote, self._escape + self._quote) + self._quote
            else:
                raws[at] = value
        return self._mark.join(raws) + row[len(line) :]

    def last(self, data: bytes) -> bytes:
        """See Format."""
        return data

    def _inner(self, found: re.Match[bytes]) -> bytes:
        return self._escaped.sub(rb"\1", found[1])

    def _raw(self, line: bytes) -> list[bytes]:
        if self._quote not in line:
            return line.split(self._mark)
        raws: list[bytes] = []
        at = 0
        while True:
            found = self._field.match(line, at)
            if found is None:
                raise MaskError("a line of COPY with a quote that is not closed")
            raws.append(found[1])
            at = found.end()
            if not found[2]:
                return raws


def format_of(options: CopyOptions) -> Format:
    """What reads and writes rows with these options."""
    match options.form:
        case "text":
            return TextFormat(options)
        case "csv":
            return CsvFormat(options)
    return BinaryFormat()
