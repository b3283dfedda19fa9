"""What a server sends of results: columns, rows, COPY. "Frontend/Backend Protocol", "Message Formats"."""

from dataclasses import dataclass
from typing import ClassVar, Self

from extproc.protocols.postgres.wire.fields import Reader, formats, message, packed, string
from extproc.protocols.postgres.wire.row import DATA_ROW, join_row, split_row


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a result. `table` and `column` are the object id and attribute number that it comes straight from,
    0 where it does not; `type` is an object id, `size` and `modifier` are pg_type.typlen and pg_attribute.atttypmod;
    `format` is 0 for text, 1 for binary, and 0 where the result's formats are not known yet."""

    name: str
    table: int
    column: int
    type: int
    size: int
    modifier: int
    format: int


@dataclass(frozen=True, slots=True)
class RowDescription:
    """The columns that the rows will have."""

    kind: ClassVar[int] = ord("T")
    fields: tuple[Field, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "RowDescription")
        fields = tuple([_field(reader) for _ in range(reader.uint16())])
        reader.end()
        return cls(fields)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        fields = (
            string(each.name)
            + packed("IhIhiH", each.table, each.column, each.type, each.size, each.modifier, each.format)
            for each in self.fields
        )
        return message(self.kind, packed("H", len(self.fields)), *fields)


def _field(reader: Reader) -> Field:
    """The next column."""
    return Field(
        name=reader.string(),
        table=reader.uint32(),
        column=reader.int16(),
        type=reader.uint32(),
        size=reader.int16(),
        modifier=reader.int32(),
        format=reader.format(),
    )


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """The types, by object id, of a prepared statement's parameters."""

    kind: ClassVar[int] = ord("t")
    types: tuple[int, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "ParameterDescription")
        types = tuple([reader.uint32() for _ in range(reader.uint16())])
        reader.end()
        return cls(types)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, packed(f"H{len(self.types)}I", len(self.types), *self.types))


@dataclass(frozen=True, slots=True)
class DataRow:
    """One row: a value for each column, None for NULL. For one row; many go through split_row and join_row."""

    kind: ClassVar[int] = DATA_ROW
    values: tuple[bytes | None, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        return cls(tuple(split_row(body)))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, join_row(self.values))


@dataclass(frozen=True, slots=True)
class Copying:
    """A COPY begins. `format` is 0 for text or CSV, 1 for binary; `columns` are the same of each column."""

    kind: ClassVar[int]
    format: int
    columns: tuple[int, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, cls.__name__)
        form = reader.byte()
        if form > 1:
            raise reader.malformed("has a format that is neither text nor binary")
        columns = reader.formats()
        if form == 0 and any(columns):
            raise reader.malformed("has a binary column in text")
        reader.end()
        return cls(form, columns)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if self.format not in (0, 1) or (self.format == 0 and any(self.columns)):
            raise ValueError("formats are 0 or 1, and all 0 where the whole is")
        return message(self.kind, bytes([self.format]), formats(self.columns))


@dataclass(frozen=True, slots=True)
class CopyInResponse(Copying):
    """The client is to send a COPY's data."""

    kind: ClassVar[int] = ord("G")


@dataclass(frozen=True, slots=True)
class CopyOutResponse(Copying):
    """The server sends a COPY's data."""

    kind: ClassVar[int] = ord("H")


@dataclass(frozen=True, slots=True)
class CopyBothResponse(Copying):
    """Both send: replication."""

    kind: ClassVar[int] = ord("W")
