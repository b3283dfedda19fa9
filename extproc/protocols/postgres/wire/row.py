"""The body of a DataRow: a counted list of counted values. Its own module, as this is done for every row."""

import struct
from collections.abc import Sequence

from extproc.protocols.postgres.wire.fields import Malformed

_COUNT = struct.Struct(">H")
_SIZE = struct.Struct(">i")
_NULL = b"\xff\xff\xff\xff"

DATA_ROW = ord("D")


def split_row(body: bytes) -> list[bytes | None]:
    """The values of a DataRow's body, None for NULL. Raises Malformed where counts and lengths do not fill the body
    exactly ("Message Formats", DataRow)."""
    values: list[bytes | None] = []
    add = values.append
    size_at = _SIZE.unpack_from
    try:
        (count,) = _COUNT.unpack_from(body)
        at = 2
        for _ in range(count):
            (size,) = size_at(body, at)
            at += 4
            if size >= 0:
                start = at
                at += size
                add(body[start:at])
            elif size == -1:
                add(None)
            else:
                raise Malformed("DataRow has a value of negative length")
    except struct.error:
        raise Malformed("DataRow is shorter than it says") from None
    # A last value that is cut short is a short slice, and only seen here.
    if at != len(body):
        raise Malformed("DataRow is not as long as its values")
    return values


def join_row(values: Sequence[bytes | None]) -> bytes:
    """A DataRow's body of these values. Raises ValueError for more values, or longer ones, than the counts can say."""
    parts: list[bytes] = []
    size_of = _SIZE.pack
    try:
        parts.append(_COUNT.pack(len(values)))
        for value in values:
            if value is None:
                parts.append(_NULL)
            else:
                parts += (size_of(len(value)), value)
    except struct.error as error:
        raise ValueError(f"values do not fit a row: {error}") from None
    return b"".join(parts)
