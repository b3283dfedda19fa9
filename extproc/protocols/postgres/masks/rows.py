"""Masking of DataRow messages as they stream by ("Frontend/Backend Protocol", "Message Formats", DataRow)."""

import struct
from collections.abc import Sequence
from dataclasses import replace

from extproc.domain.mask import Mask
from extproc.masking.build import planned
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.cells import Masking
from extproc.protocols.postgres.masks.columns import Columns, Value
from extproc.protocols.postgres.masks.long import LongRow, masked_ahead
from extproc.protocols.postgres.sql import Origins
from extproc.protocols.postgres.wire.fields import HEAD
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.results import Field
from extproc.protocols.postgres.wire.row import DATA_ROW, join_row

HELD = 1 << 20
"""Bytes of a row that is held until it is whole; a longer one is masked as it comes (see LongRow)."""

_AWAITED = 16 << 20
"""Bytes of a longer row that are held until the last value is there whose mask may have another length."""

_BATCH = 16 << 10
"""Bytes of rows that are looked at together."""

_RESPONSE = "response"
_ROW = struct.Struct(">xIH")
_SIZE = struct.Struct(">i")


def masking_of(masks: Sequence[Mask], known: Knowledge) -> Masking | None:
    """What the masks ask for of what a server answers; None where that is nothing. Raises MaskError."""
    plan, only = planned(masks, _RESPONSE, known)
    if plan is not None:
        return Masking(replace(plan, alike=True), only, guarded=False)
    return Masking(only, only, guarded=True) if only is not None else None


def row_mask(
    masks: Sequence[Mask], known: Knowledge, fields: Sequence[Field], origins: Sequence[Origins]
) -> "RowMask | None":
    """What masks the rows of one result; None where they pass as they are. For the arguments see RowMask. Raises
    MaskError for a mask that can't be carried out."""
    masking = masking_of(masks, known)
    if masking is None:
        return None
    columns = Columns(masking, fields, origins)
    return RowMask(columns) if columns.cells else None


class RowMask:
    """Masks the rows of one result: `row_mask` makes it, of the columns that RowDescription gave (with the formats that
    count: those of the Bind) and of where each comes from. Lengths are written anew, and the number of rows and of
    columns is what it was. NULL stays NULL but in columns that are masked whole.

    A row of up to HELD bytes is masked as policy says. So are those values of a longer one by whose length a governed
    value could be told; its length goes on when they were seen. Each other value keeps its length: what is masked is
    overwritten.
    """

    __slots__ = ("_columns", "_width", "_held", "_long")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._width = columns.width
        self._held = bytearray()
        self._long: LongRow | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._columns.masking.counts)

    def again(self) -> None:
        """The result is complete, and another one follows of the same columns: nothing is counted yet."""
        self._columns.masking.counts.clear()

    def feed(self, frame: Frame) -> bytes:
        """The messages of a frame of DataRow, masked; nothing while a row is held. Raises MaskError for rows that are
        not what RowDescription says: nothing more may go on."""
        if frame.kind != DATA_ROW:
            raise MaskError("a message that is no row, in place of one")
        if frame.part is Part.WHOLE:
            return self._whole(frame.data)
        data = frame.data
        if self._long is None:
            self._held += data
            if len(self._held) >= HEAD.size and HEAD.unpack_from(self._held)[1] > HELD:
                ready = masked_ahead(self._columns, self._held, HELD)
                if ready is not None:
                    self._long, data = LongRow(self._columns, ready), bytes(self._held)
                    self._held.clear()
                elif len(self._held) > _AWAITED:
                    raise MaskError(f"more than {_AWAITED} bytes in front of a value whose mask has another length")
        if self._long is not None:
            out = self._long.feed(data)
            if frame.part is Part.LAST:
                self._long.end()
                self._long = None
            return out
        if frame.part is not Part.LAST:
            return b""
        if len(self._held) > HELD + HEAD.size:
            raise MaskError("a row that is shorter than it says")
        data = bytes(self._held)
        self._held.clear()
        return self._whole(data)

    def _whole(self, data: bytes) -> bytes:
        """Whole rows, masked; the bytes themselves where nothing changes."""
        out: list[bytes] = []
        at = 0
        while at < len(data):
            flat: list[Value] = []
            bounds = [at]
            while at < len(data) and at - bounds[0] < _BATCH:
                at = self._split(data, at, flat)
                bounds.append(at)
            changed = self._columns.mask(flat)
            out.append(data[bounds[0] : at] if not changed else self._joined(data, bounds, flat, changed))
        return out[0] if len(out) == 1 else b"".join(out)

    def _split(self, data: bytes, at: int, flat: list[Value]) -> int:
        """Add the values of the row that begins here; gives where it ends."""
        add, size_at = flat.append, _SIZE.unpack_from
        try:
            length, count = _ROW.unpack_from(data, at)
            end = at + 1 + length
            if count != self._width or data[at] != DATA_ROW:
                raise MaskError("a row of other columns than those that were described")
            at += _ROW.size
            for _ in range(count):
                (size,) = size_at(data, at)
                at += 4
                if size >= 0:
                    start = at
                    at += size
                    add(data[start:at])
                elif size == -1:
                    add(None)
                else:
                    raise MaskError("a row with a value of negative length")
        except struct.error:
            raise MaskError("a row that is shorter than it says") from None
        if at != end or end > len(data):
            raise MaskError("a row that is not as long as its values")
        return int(end)

    def _joined(self, data: bytes, bounds: list[int], flat: list[Value], changed: set[int]) -> bytes:
        """The rows, those that changed written anew."""
        width = self._width
        out: list[bytes] = []
        kept = 0
        for row in sorted(changed):
            body = join_row(flat[row * width : (row + 1) * width])
            out += (data[bounds[kept] : bounds[row]], HEAD.pack(DATA_ROW, 4 + len(body)), body)
            kept = row + 1
        out.append(data[bounds[kept] : bounds[-1]])
        return b"".join(out)
