"""What a server sends after the startup message; that of results and of authentication is in modules of its own and
named here too. "Frontend/Backend Protocol", "Message Formats"."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Self, get_args

from extproc.protocols.postgres.wire.authentication import (
    AUTHENTICATION,
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    decode_authentication,
)
from extproc.protocols.postgres.wire.common import Bare, CopyData, CopyDone
from extproc.protocols.postgres.wire.fields import Malformed, Reader, message, packed, string
from extproc.protocols.postgres.wire.report import ErrorResponse, NoticeResponse
from extproc.protocols.postgres.wire.results import (
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    Field,
    ParameterDescription,
    RowDescription,
)
from extproc.protocols.postgres.wire.row import join_row, split_row
from extproc.protocols.postgres.wire.startup import MAX_SECRET_BYTES, MIN_SECRET_BYTES

__all__ = [
    "Authentication",
    "AuthenticationOk",
    "AuthenticationCleartextPassword",
    "AuthenticationMD5Password",
    "AuthenticationSASL",
    "AuthenticationSASLContinue",
    "AuthenticationSASLFinal",
    "AuthenticationOther",
    "NegotiateProtocolVersion",
    "BackendKeyData",
    "ParameterStatus",
    "Transaction",
    "ReadyForQuery",
    "ParseComplete",
    "BindComplete",
    "CloseComplete",
    "ParameterDescription",
    "RowDescription",
    "Field",
    "NoData",
    "DataRow",
    "CommandComplete",
    "EmptyQueryResponse",
    "PortalSuspended",
    "CopyInResponse",
    "CopyOutResponse",
    "CopyBothResponse",
    "CopyData",
    "CopyDone",
    "NotificationResponse",
    "ErrorResponse",
    "NoticeResponse",
    "Backend",
    "BACKEND",
    "decode_backend",
    "split_row",
    "join_row",
]


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """The server speaks an older minor version, or does not know some of the client's _pq_ options. `version` is as in
    StartupMessage, major << 16 | minor: that is what servers send, though the documentation says the minor alone."""

    kind: ClassVar[int] = ord("v")
    version: int
    unknown: tuple[str, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "NegotiateProtocolVersion")
        version, count = reader.uint32(), reader.uint32()
        # A count of four billion stops at the first name that is not there.
        unknown = []
        for _ in range(count):
            unknown.append(reader.string())
        reader.end()
        return cls(version, tuple(unknown))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, packed("II", self.version, len(self.unknown)), *map(string, self.unknown))


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """What a CancelRequest for this session must say. The secret has 4 bytes in protocol 3.0, 4 to 256 in 3.2."""

    kind: ClassVar[int] = ord("K")
    pid: int
    secret: bytes = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "BackendKeyData")
        data = cls(reader.uint32(), reader.rest())
        if not MIN_SECRET_BYTES <= len(data.secret) <= MAX_SECRET_BYTES:
            raise reader.malformed("has a key that is too short or too long")
        return data

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if not MIN_SECRET_BYTES <= len(self.secret) <= MAX_SECRET_BYTES:
            raise ValueError("a cancel key has 4 to 256 bytes")
        return message(self.kind, packed("I", self.pid), self.secret)


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    """A setting that clients want to know of has this value now."""

    kind: ClassVar[int] = ord("S")
    name: str
    value: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "ParameterStatus")
        status = cls(reader.string(), reader.string())
        reader.end()
        return status

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, string(self.name), string(self.value))


class Transaction(StrEnum):
    """What ReadyForQuery says of the transaction: none, in one, in one that has failed."""

    IDLE = "I"
    OPEN = "T"
    FAILED = "E"


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """The server has answered everything so far."""

    kind: ClassVar[int] = ord("Z")
    status: Transaction

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "ReadyForQuery")
        status = chr(reader.byte())
        reader.end()
        if status not in "ITE":
            raise reader.malformed("has a status that there is not")
        return cls(Transaction(status))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, self.status.encode())


@dataclass(frozen=True, slots=True)
class ParseComplete(Bare):
    """Answers Parse."""

    kind: ClassVar[int] = ord("1")


@dataclass(frozen=True, slots=True)
class BindComplete(Bare):
    """Answers Bind."""

    kind: ClassVar[int] = ord("2")


@dataclass(frozen=True, slots=True)
class CloseComplete(Bare):
    """Answers Close."""

    kind: ClassVar[int] = ord("3")


@dataclass(frozen=True, slots=True)
class NoData(Bare):
    """Answers Describe in place of RowDescription, where there will be no rows."""

    kind: ClassVar[int] = ord("n")


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(Bare):
    """In place of CommandComplete, for a text without a statement."""

    kind: ClassVar[int] = ord("I")


@dataclass(frozen=True, slots=True)
class PortalSuspended(Bare):
    """Execute's number of rows was reached, and there may be more."""

    kind: ClassVar[int] = ord("s")


@dataclass(frozen=True, slots=True)
class CommandComplete:
    """A statement is done: "SELECT 3", "INSERT 0 1"."""

    kind: ClassVar[int] = ord("C")
    tag: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "CommandComplete")
        tag = reader.string()
        reader.end()
        return cls(tag)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, string(self.tag))


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    """Somebody's NOTIFY."""

    kind: ClassVar[int] = ord("A")
    pid: int
    channel: str
    payload: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "NotificationResponse")
        notification = cls(reader.uint32(), reader.string(), reader.string())
        reader.end()
        return notification

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, packed("I", self.pid), string(self.channel), string(self.payload))


Answer = (
    NegotiateProtocolVersion
    | BackendKeyData
    | ParameterStatus
    | ReadyForQuery
    | ParseComplete
    | BindComplete
    | CloseComplete
    | ParameterDescription
    | RowDescription
    | NoData
    | DataRow
    | CommandComplete
    | EmptyQueryResponse
    | PortalSuspended
    | CopyInResponse
    | CopyOutResponse
    | CopyBothResponse
    | CopyData
    | CopyDone
    | NotificationResponse
    | ErrorResponse
    | NoticeResponse
)
Backend = Authentication | Answer

BACKEND: dict[int, type[Answer]] = {of.kind: of for of in get_args(Answer)}
"""Each message by its kind, but for those of authentication, which share one."""


def decode_backend(kind: int, body: bytes) -> Backend:
    """The message of this kind and body. Raises Malformed, also for kinds that no server sends."""
    if kind == AUTHENTICATION:
        return decode_authentication(body)
    of = BACKEND.get(kind)
    if of is None:
        raise Malformed("a server sends no message of this kind")
    return of.decode(body)
