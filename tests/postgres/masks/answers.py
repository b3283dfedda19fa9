"""Rows as a server sends them, masked, and what the client then has."""

import struct
from collections.abc import Iterable, Iterator, Sequence

from extproc.domain.mask import Mask, Operator
from extproc.masking.plan import Knowledge
from extproc.masking.shipped import knowledge as shipped
from extproc.protocols.postgres.masks import RowMask, row_mask
from extproc.protocols.postgres.sql import Column, Origins
from extproc.protocols.postgres.wire.frame import PART_BYTES, Frame, Framer, Part
from extproc.protocols.postgres.wire.results import Field
from extproc.protocols.postgres.wire.row import join_row, split_row

Value = bytes | None

ROW = ord("D")
CARD, EMAIL, SSN = b"4111111111111111", b"jane.doe@example.com", b"219-09-9998"
KNOWN = Knowledge(shipped().engine, hash_key=b"k" * 32)


def mask(*kinds: str, keys: Sequence[str] = (), operator: Operator = Operator.REDACT) -> Mask:
    """A mask of an answer."""
    return Mask("p", kinds, tuple(keys), operator)


def field(name: str, oid: int = 25, binary: bool = False) -> Field:
    """A column of this name and type."""
    return Field(name, 0, 0, oid, -1, -1, int(binary))


def origin(name: str, table: str | None = "customers", schema: str | None = "public") -> Origins:
    """A column that comes straight from a table."""
    return (Column(schema, table, name),)


def masker(masks: Iterable[Mask], fields: Sequence[Field], origins: Sequence[Origins] | None = None) -> RowMask | None:
    """What masks rows of these columns, which come from columns of the same names unless it is said otherwise."""
    return row_mask(tuple(masks), KNOWN, fields, [origin(f.name) for f in fields] if origins is None else origins)


def message(values: Sequence[Value]) -> bytes:
    """A DataRow."""
    body = join_row(values)
    return struct.pack(">BI", ROW, 4 + len(body)) + body


def frames(data: bytes, cuts: Sequence[int] = ()) -> Iterator[Frame]:
    """The frames that the bytes are, cut at these places."""
    framer = Framer(1 << 20, frozenset({ROW, ord("d")}))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        yield from framer.feed(data[start:end])


def parts(data: bytes, size: int) -> Iterator[Frame]:
    """One long message in parts of this size."""
    for at in range(0, len(data), size):
        part = Part.FIRST if not at else Part.LAST if at + size >= len(data) else Part.MIDDLE
        yield Frame(data[0], data[at : at + size], int(not at), part)


def through(masking: RowMask | None, data: bytes, cuts: Sequence[int] = ()) -> bytes:
    """What a client gets."""
    if masking is None:
        return data
    return b"".join(masking.feed(frame) for frame in frames(data, cuts))


def rows(data: bytes) -> list[list[Value]]:
    """The rows that a client reads."""
    found, at = list[list[Value]](), 0
    while at < len(data):
        end = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
        assert data[at] == ROW
        found.append(split_row(data[at + 5 : end]))
        at = end
    assert at == len(data)
    return found


def masked(
    masks: Iterable[Mask], fields: Sequence[Field], values: Sequence[Value], origins: Sequence[Origins] | None = None
) -> list[Value]:
    """One row, masked."""
    (row,) = rows(through(masker(masks, fields, origins), message(values)))
    return row


__all__ = ["PART_BYTES"]
