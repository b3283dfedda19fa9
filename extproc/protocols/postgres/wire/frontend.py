"""What a client sends after its startup message. "Frontend/Backend Protocol", "Message Formats"."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self, get_args

from extproc.protocols.postgres.wire.authentication import AuthenticationResponse
from extproc.protocols.postgres.wire.common import Bare, CopyData, CopyDone
from extproc.protocols.postgres.wire.fields import Malformed, Reader, formats, message, named, packed, string
from extproc.protocols.postgres.wire.row import join_row


class Of(IntEnum):
    """What Describe and Close are of."""

    STATEMENT = ord("S")
    PORTAL = ord("P")


@dataclass(frozen=True, slots=True)
class Query:
    """Simple query: a text with any number of statements."""

    kind: ClassVar[int] = ord("Q")
    text: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "Query")
        text = reader.string()
        reader.end()
        return cls(text)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, string(self.text))


@dataclass(frozen=True, slots=True)
class Parse:
    """Prepares one statement under a name; the empty one is the unnamed. `types` are parameter types by object id, 0
    where the server is to tell; there may be fewer than parameters."""

    kind: ClassVar[int] = ord("P")
    statement: str
    text: str
    types: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "Parse")
        statement, text = reader.name(), reader.string()
        types = tuple([reader.uint32() for _ in range(reader.uint16())])
        reader.end()
        return cls(statement, text, types)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        types = packed(f"H{len(self.types)}I", len(self.types), *self.types)
        return message(self.kind, named(self.statement), string(self.text), types)


@dataclass(frozen=True, slots=True)
class Bind:
    """Makes a portal of a prepared statement and values, None for NULL. `formats` are of the values, `results` of the
    result's columns: none means all text, one means it for all, else there is one for each (see format_at)."""

    kind: ClassVar[int] = ord("B")
    portal: str
    statement: str
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = ()
    results: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed, also for formats that do not fit the values."""
        reader = Reader(body, "Bind")
        bound = cls(reader.name(), reader.name(), reader.formats(), reader.values(), reader.formats())
        reader.end()
        if len(bound.formats) > 1 and len(bound.formats) != len(bound.values):
            raise Malformed("Bind has formats that do not fit its values")
        return bound

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if len(self.formats) > 1 and len(self.formats) != len(self.values):
            raise ValueError("formats are none, one, or one for each value")
        names = named(self.portal) + named(self.statement)
        return message(self.kind, names, formats(self.formats), join_row(self.values), formats(self.results))


@dataclass(frozen=True, slots=True)
class Describe:
    """Asks what a prepared statement takes and gives, or a portal gives."""

    kind: ClassVar[int] = ord("D")
    of: Of
    name: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        return cls(*_of(body, "Describe"))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, bytes([self.of]), named(self.name))


@dataclass(frozen=True, slots=True)
class Close:
    """Forgets a prepared statement or a portal."""

    kind: ClassVar[int] = ord("C")
    of: Of
    name: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        return cls(*_of(body, "Close"))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, bytes([self.of]), named(self.name))


@dataclass(frozen=True, slots=True)
class Execute:
    """Runs a portal. `rows` is how many rows it may give before it is suspended; 0 and less are all."""

    kind: ClassVar[int] = ord("E")
    portal: str
    rows: int = 0

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "Execute")
        execute = cls(reader.name(), reader.int32())
        reader.end()
        return execute

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, named(self.portal), packed("i", self.rows))


@dataclass(frozen=True, slots=True)
class Sync(Bare):
    """Ends a pipeline, and the skipping after an error."""

    kind: ClassVar[int] = ord("S")


@dataclass(frozen=True, slots=True)
class Flush(Bare):
    """Asks for the answers so far."""

    kind: ClassVar[int] = ord("H")


@dataclass(frozen=True, slots=True)
class Terminate(Bare):
    """Ends the session."""

    kind: ClassVar[int] = ord("X")


@dataclass(frozen=True, slots=True)
class CopyFail:
    """A COPY to the server fails, for this reason."""

    kind: ClassVar[int] = ord("f")
    reason: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "CopyFail")
        reason = reader.string()
        reader.end()
        return cls(reason)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, string(self.reason))


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Calls a function by its object id, past all statements: known so that it can be refused."""

    kind: ClassVar[int] = ord("F")
    function: int
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result: int

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "FunctionCall")
        call = cls(reader.uint32(), reader.formats(), reader.values(), reader.format())
        reader.end()
        return call

    def encode(self) -> bytes:
        """The message, with kind and length."""
        values = join_row(self.values)
        return message(self.kind, packed("I", self.function), formats(self.formats), values, packed("H", self.result))


Frontend = (
    Query
    | Parse
    | Bind
    | Describe
    | Execute
    | Close
    | Sync
    | Flush
    | Terminate
    | CopyData
    | CopyDone
    | CopyFail
    | AuthenticationResponse
    | FunctionCall
)

FRONTEND: dict[int, type[Frontend]] = {of.kind: of for of in get_args(Frontend)}
"""Each message by its kind."""


def decode_frontend(kind: int, body: bytes) -> Frontend:
    """The message of this kind and body. Raises Malformed, also for kinds that no client sends."""
    of = FRONTEND.get(kind)
    if of is None:
        raise Malformed("a client sends no message of this kind")
    return of.decode(body)


def format_at(codes: tuple[int, ...], index: int) -> int:
    """The format of one value or column, of the codes in Bind: none are all text, one is for all."""
    if not codes:
        return 0
    return codes[0] if len(codes) == 1 else codes[index]


def _of(body: bytes, what: str) -> tuple[Of, str]:
    """The body of Describe and Close."""
    reader = Reader(body, what)
    of = reader.byte()
    if of not in (Of.STATEMENT, Of.PORTAL):
        raise reader.malformed("is of neither a statement nor a portal")
    name = reader.name()
    reader.end()
    return Of(of), name
