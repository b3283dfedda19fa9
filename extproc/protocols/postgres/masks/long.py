"""Rows too long to be held, masked as they come. The row's length has gone on by then, so that nothing may change it:
every value keeps its own."""

import struct
from functools import partial

from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.spelt import RawBehind, SpeltStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage
from extproc.protocols.postgres.masks import fill, fitting, types
from extproc.protocols.postgres.masks.cells import JSONB_VERSION, Masking
from extproc.protocols.postgres.masks.columns import Columns
from extproc.protocols.postgres.masks.fill import Filler
from extproc.protocols.postgres.masks.inner import cell
from extproc.protocols.postgres.masks.types import Sort
from extproc.protocols.postgres.masks.whole import COLUMN, WholeCell
from extproc.protocols.postgres.wire.row import DATA_ROW

_HELD = 1 << 20
_ROW = struct.Struct(">BIH")
_SIZE = struct.Struct(">i")


class LongRow:
    """One row, in pieces. Text that is masked becomes asterisks. In JSON a mask is asterisks, and what it is shorter
    than its value are blanks at the end. Numbers, dates and the like become zeros. Raises MaskError for what can be
    masked neither way: binary arrays over a megabyte, JSON whose masks would need more room than there is."""

    __slots__ = ("_columns", "_lengths", "_rest", "_left", "_at", "_filler", "_size")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._lengths = fitting.lengths(columns.masking)
        self._rest = b""
        self._left = -1  # bytes of the value that are still to come; -1 between values
        self._at = -1  # the column; -1 before the first
        self._filler: Filler = fill.Same()
        self._size = 0

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
            out.append(data[at : at + need])
            self._head(data, at)
            at += need
        return b"".join(out)

    def end(self) -> None:
        """The row has ended. Raises MaskError where it has not."""
        if self._rest or self._left >= 0 or self._at != self._columns.width:
            raise MaskError("a row that is not as long as its values")

    def _head(self, data: bytes, at: int) -> None:
        """The next size is here, or the row's beginning."""
        if self._at < 0:
            kind, _, count = _ROW.unpack_from(data, at)
            if kind != DATA_ROW or count != self._columns.width:
                raise MaskError("a row of other columns than those that were described")
            self._at = 0
            return
        (size,) = _SIZE.unpack_from(data, at)
        if size < -1 or self._at >= self._columns.width:
            raise MaskError("a row that is not as long as its values")
        if size == -1:
            self._at += 1
            return
        self._left = size
        self._filler = self._for(self._at, size)

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
        binary = field.format == 1
        if isinstance(here, WholeCell):
            return whole(self._lengths, here.kind, field.type, binary, size)
        return found(self._lengths, self._columns.named[at], field.type, binary, size)


def whole(masking: Masking, kind: str, oid: int, binary: bool, size: int) -> Filler:
    """For a value that is masked whole."""
    masking.count(kind)
    match types.sort_of(oid):
        case Sort.TEXT | Sort.XML:
            return fill.Stars(size)
        case Sort.JSON | Sort.JSONB as sort:
            version = JSONB_VERSION if binary and sort is Sort.JSONB else b""
            if size - len(version) < 2:
                return fill.Stars(size, version, fill=b"0")
            return fill.Stars(size, version + b'"', b'"')
        case Sort.BYTES:
            return fill.Stars(size) if binary else fill.Stars(size, b"\\x", fill=b"2a")
        case Sort.ARRAY if not binary:
            text = types.sort_of(types.ARRAYS[oid]) is Sort.TEXT
            return fill.Stars(size, b"{", b"}", fill=fill.STAR if text else b"0")
        case Sort.ARRAY | Sort.RECORD if binary:
            return fitting.Held(partial(fitting.fit_items, oid, partial(_zeros, binary)), _HELD)
        case Sort.STRICT:
            return fitting.Held(partial(fitting.neutral, oid, binary), _HELD)
    return fill.Stars(size, fill=b"\0" if binary else fill.STAR)


def _zeros(binary: bool, oid: int, value: bytes) -> bytes:
    if types.sort_of(oid) is Sort.TEXT:
        return fill.STAR * len(value)
    return fitting.neutral(oid, binary, value)


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
            return fill.Sniffed(fill.Counted(text, masking), lambda: _without_fields(masking, sort, binary, size))
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
