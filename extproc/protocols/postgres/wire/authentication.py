"""How a client proves who it is: what the server asks for and what the client answers.

"Frontend/Backend Protocol", "Start-up", "SASL Authentication" and "Message Formats". All of the server's have the kind
R and tell themselves apart by a number; all of the client's have the kind p and are told apart by what was asked.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from extproc.protocols.postgres.wire.fields import Reader, message, packed, string

AUTHENTICATION = ord("R")
RESPONSE = ord("p")


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    """The client is who it says."""

    code: ClassVar[int] = 0

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number."""
        reader.end()
        return cls()

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return _asked(self.code)


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword:
    """The client is to send its password."""

    code: ClassVar[int] = 3

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number."""
        reader.end()
        return cls()

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return _asked(self.code)


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password:
    """The client is to send its password, hashed with these four bytes."""

    code: ClassVar[int] = 5
    salt: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number. Raises Malformed."""
        salt = reader.take(4)
        reader.end()
        return cls(salt)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if len(self.salt) != 4:
            raise ValueError("the salt has four bytes")
        return _asked(self.code, self.salt)


@dataclass(frozen=True, slots=True)
class AuthenticationSASL:
    """The client is to choose a mechanism; the server's favourite is first."""

    code: ClassVar[int] = 10
    mechanisms: tuple[str, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number. Raises Malformed."""
        mechanisms = []
        while name := reader.string():
            mechanisms.append(name)
        reader.end()
        return cls(tuple(mechanisms))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if "" in self.mechanisms:
            raise ValueError("an empty mechanism would end the list")
        return _asked(self.code, *map(string, self.mechanisms), b"\0")


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue:
    """The mechanism's challenge."""

    code: ClassVar[int] = 11
    data: bytes = field(repr=False)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number."""
        return cls(reader.rest())

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return _asked(self.code, self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal:
    """The mechanism's last word: the server's own proof."""

    code: ClassVar[int] = 12
    data: bytes = field(repr=False)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The message, from what follows its number."""
        return cls(reader.rest())

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return _asked(self.code, self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationOther:
    """Something that is not for us: Kerberos, GSSAPI, SSPI, or a number of the future."""

    code: int
    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        if self.code in _BY_CODE:
            raise ValueError("this number has a message of its own")
        return _asked(self.code, self.data)


Authentication = (
    AuthenticationOk
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
    | AuthenticationOther
)

_BY_CODE = {
    of.code: of
    for of in (
        AuthenticationOk,
        AuthenticationCleartextPassword,
        AuthenticationMD5Password,
        AuthenticationSASL,
        AuthenticationSASLContinue,
        AuthenticationSASLFinal,
    )
}


def decode_authentication(body: bytes) -> Authentication:
    """What the server asks for. Raises Malformed."""
    reader = Reader(body, "Authentication")
    code = reader.uint32()
    of = _BY_CODE.get(code)
    return AuthenticationOther(code, reader.rest()) if of is None else of.read(reader)


@dataclass(frozen=True, slots=True)
class AuthenticationResponse:
    """Any of the client's answers, its body unread: which one it is is known to whoever asked, who decodes it as
    PasswordMessage, SASLInitialResponse or SASLResponse."""

    kind: ClassVar[int] = RESPONSE
    data: bytes = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body."""
        return cls(body)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, self.data)


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    """The password, or of MD5 its hash."""

    kind: ClassVar[int] = RESPONSE
    password: str = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "PasswordMessage")
        password = reader.string()
        reader.end()
        return cls(password)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, string(self.password))


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    """The mechanism chosen, and its first words, or None where it has none."""

    kind: ClassVar[int] = RESPONSE
    mechanism: str
    data: bytes | None = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, "SASLInitialResponse")
        initial = cls(reader.string(), reader.value())
        reader.end()
        return initial

    def encode(self) -> bytes:
        """The message, with kind and length."""
        size = packed("i", -1 if self.data is None else len(self.data))
        return message(self.kind, string(self.mechanism), size, self.data or b"")


@dataclass(frozen=True, slots=True)
class SASLResponse:
    """The mechanism's next words."""

    kind: ClassVar[int] = RESPONSE
    data: bytes = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body."""
        return cls(body)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, self.data)


def _asked(code: int, *parts: bytes) -> bytes:
    """A message of kind R."""
    return message(AUTHENTICATION, packed("I", code), *parts)
