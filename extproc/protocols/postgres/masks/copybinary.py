"""The rows of a COPY in binary format ("COPY", "File Formats", "Binary Format")."""

import struct

from extproc.masking.stage import MaskError

Value = bytes | None

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = len(SIGNATURE) + 8
_COUNT = struct.Struct(">h")
_INT = struct.Struct(">i")


class BinaryFormat:
    """A header, then a count and counted values for each row, and -1 at the end."""

    def __init__(self) -> None:
        self._begun = False

    def end(self, data: bytes, at: int) -> int:
        """See Format. The header is a part of the first row."""
        start = at
        if not self._begun:
            if len(data) < at + _HEADER:
                return -1
            start = self._behind_header(data, at)
        if len(data) < start + _COUNT.size:
            return -1
        (count,) = _COUNT.unpack_from(data, start)
        start += _COUNT.size
        for _ in range(count):
            if len(data) < start + _INT.size:
                return -1
            (size,) = _INT.unpack_from(data, start)
            if size < -1:
                raise MaskError("a value of negative length in COPY")
            start += _INT.size + max(size, 0)
        if count < -1:
            raise MaskError("a row of COPY with a negative number of values")
        if start > len(data):
            return -1
        self._begun = True
        return start

    def split(self, row: bytes) -> list[Value] | None:
        """See Format."""
        return self._values(row, self._head(row))

    def join(self, row: bytes, values: list[Value], changed: set[int]) -> bytes:
        """See Format."""
        parts = [row[: self._head(row)], _COUNT.pack(len(values))]
        for value in values:
            parts += (_INT.pack(-1),) if value is None else (_INT.pack(len(value)), value)
        return b"".join(parts)

    def last(self, data: bytes) -> bytes:
        """See Format."""
        raise MaskError("a binary COPY that is cut short")

    def _head(self, row: bytes) -> int:
        return _HEADER if row.startswith(SIGNATURE) else 0

    def _behind_header(self, data: bytes, at: int) -> int:
        if not data.startswith(SIGNATURE, at):
            raise MaskError("a binary COPY without its signature")
        flags, extra = struct.unpack_from(">II", data, at + len(SIGNATURE))
        if flags or extra:
            raise MaskError("a binary COPY with flags or an extension that nobody knows")
        return at + _HEADER

    def _values(self, row: bytes, at: int) -> list[Value] | None:
        (count,) = _COUNT.unpack_from(row, at)
        if count == -1:
            return None
        at += _COUNT.size
        values: list[Value] = []
        for _ in range(count):
            (size,) = _INT.unpack_from(row, at)
            at += _INT.size
            values.append(None if size == -1 else row[at : at + size])
            at += max(size, 0)
        return values
