"""Masking of what COPY TO STDOUT gives ("Frontend/Backend Protocol", "COPY Operations")."""

from collections.abc import Sequence

from extproc.domain.mask import Mask
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.columns import Columns, Value
from extproc.protocols.postgres.masks.copyrow import CopyOptions, format_of
from extproc.protocols.postgres.masks.plainrows import plain_rows
from extproc.protocols.postgres.masks.rows import masking_of
from extproc.protocols.postgres.masks.types import ANY
from extproc.protocols.postgres.masks.whole import WholeCell
from extproc.protocols.postgres.sql import Origins
from extproc.protocols.postgres.wire.fields import HEAD
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.results import Field

HELD = 16 << 20
"""Bytes of a row, at most: nothing says how long one is before its end."""

_BATCH = 16 << 10
_COPY_DATA = ord("d")


def copy_mask(
    masks: Sequence[Mask],
    known: Knowledge,
    columns: Sequence[tuple[str, int]],
    origins: Sequence[Origins],
    options: CopyOptions,
) -> "CopyMask | None":
    """What masks one COPY; None where it passes as it is. `columns` are names and types (object ids; 0 where nobody
    knows, which in binary only columns may have that are masked whole), `origins` where each comes from. Raises
    MaskError for a mask that can't be carried out."""
    masking = masking_of(masks, known)
    if masking is None:
        return None
    binary = int(options.form == "binary")
    fields = [Field(name, 0, 0, oid, -1, -1, binary) for name, oid in columns]
    chosen = Columns(masking, fields, origins)
    unknown = (cell for at, cell in chosen.cells.items() if fields[at].type == ANY)
    if binary and not masking.guarded and not all(isinstance(cell, WholeCell) for cell in unknown):
        raise MaskError("a binary COPY of columns whose types are not known")
    return CopyMask(chosen, options) if chosen.cells else None


class CopyMask:
    """Masks the rows of one COPY: `copy_mask` makes it. Wherever CopyData messages cut rows, each row goes on as one
    message; what of a row is not masked keeps its bytes. Raises MaskError for a row of more than HELD bytes, or one
    that is not what the options and columns say."""

    __slots__ = ("_columns", "_format", "_pending", "_need", "_plain", "_heading")

    def __init__(self, columns: Columns, options: CopyOptions) -> None:
        self._columns = columns
        self._format = format_of(options)
        self._pending = bytearray()
        self._need = 0  # bytes that have to be pending for another look to be worth it
        self._plain = plain_rows(columns, options)
        self._heading = options.header  # a line that is no row is still to come

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._columns.masking.counts)

    def feed(self, frame: Frame) -> bytes:
        """The messages that the rows become which a frame of CopyData completes. Raises MaskError."""
        if frame.kind != _COPY_DATA:
            raise MaskError("a message that is no CopyData, in place of one")
        match frame.part:
            case Part.WHOLE:
                return self._whole(frame)
            case Part.FIRST:
                return self._more(frame.data[HEAD.size :])
            case _:
                return self._more(frame.data)

    def finish(self) -> bytes:
        """The COPY is done: what is left. Raises MaskError where that is no row."""
        return self._rows(final=True)

    def _whole(self, frame: Frame) -> bytes:
        """Mask what messages bring that are all there; those that are a row each and have nothing to mask go on as they
        came."""
        data, bodies = frame.data, frame.bodies()
        each = max(1, _BATCH * frame.count // len(data))
        out: list[bytes] = []
        at = 0
        for first in range(0, frame.count, each):
            some = bodies[first : first + each]
            text = b"".join(some)
            end = at + len(text) + HEAD.size * len(some)
            plain = None if self._pending or self._heading else self._plain
            out.append(data[at:end] if plain is not None and plain.clear(some, text) else self._more(text))
            at = end
        return b"".join(out)

    def _more(self, data: bytes) -> bytes:
        self._pending += data
        return self._rows(final=False) if len(self._pending) >= self._need else b""

    def _rows(self, final: bool) -> bytes:
        """Mask the rows that are whole, in batches; with `final` what follows them, too."""
        data, out = bytes(self._pending), list[bytes]()
        begin = at = 0
        rows: list[bytes] = []
        while at < len(data):
            end = self._format.end(data, at)
            if end < 0 and not final:
                break
            rows.append(data[at:end] if end >= 0 else self._format.last(data[at:]))
            at = end if end >= 0 else len(data)
            if at - begin >= _BATCH:
                out.append(self._masked(rows))
                begin, rows = at, []
        out.append(self._masked(rows))
        self._heading = self._heading and not at
        left = len(data) - at
        if left > HELD:
            raise MaskError(f"a row of COPY of more than {HELD} bytes")
        del self._pending[:at]
        # A long row is looked at again when there is twice as much of it, or each piece would cost as much as all.
        self._need = 2 * left if left > _BATCH else 0
        return b"".join(out)

    def _masked(self, rows: list[bytes]) -> bytes:
        flat: list[Value] = []
        places: list[int] = []  # of rows that are rows
        width = self._columns.width
        for at, row in enumerate(rows):
            values = self._format.split(row)
            if values is not None:
                if len(values) != width:
                    raise MaskError("a row of COPY of other columns than those that were named")
                flat += values
                places.append(at)
        before = list(flat)
        for number in self._columns.mask(flat):
            start, at = number * width, places[number]
            changed = {column for column in range(width) if flat[start + column] != before[start + column]}
            rows[at] = self._format.join(rows[at], flat[start : start + width], changed)
        return b"".join([HEAD.pack(_COPY_DATA, 4 + len(row)) + row for row in rows])
