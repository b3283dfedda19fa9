"""What a client sends first: messages without a kind, whose meaning is the number after the length.

"Frontend/Backend Protocol", "Start-up" and "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.
"""

import struct
from dataclasses import dataclass, field

from extproc.protocols.postgres.wire.fields import Malformed, Reader, packed, string

MAX_STARTUP_BYTES = 10_000
"""The most that may follow the length (MAX_STARTUP_PACKET_LENGTH of the server)."""

PROTOCOL_3_0 = 0x00030000
PROTOCOL_3_2 = 0x00030002

_CANCEL = 80877102
_SSL = 80877103
_GSSENC = 80877104

MIN_SECRET_BYTES = 4
MAX_SECRET_BYTES = 256
"""How long the secret of BackendKeyData and CancelRequest is: always 4 in protocol 3.0, 4 to 256 in 3.2."""


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """Opens a session. `version` is major << 16 | minor, major always 3. `parameters` are name and value as sent; no
    name is there twice, not even in another case, as the server's last would win over whichever we looked at."""

    version: int
    parameters: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The value of a parameter of exactly this name."""
        return dict(self.parameters).get(name)

    def encode(self) -> bytes:
        """The message. Raises ValueError for what could not be read back."""
        _check_names(self.parameters, ValueError)
        if self.version >> 16 != 3:
            raise ValueError("other major versions have other messages")
        if any(name == "" for name, _ in self.parameters):
            raise ValueError("an empty parameter name would end the message")
        texts = b"".join(string(name) + string(value) for name, value in self.parameters)
        return _first(self.version, texts + b"\0")


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """Asks for TLS; the answer is one byte, S or N."""

    def encode(self) -> bytes:
        """The message."""
        return _first(_SSL)


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """Asks for GSSAPI encryption; the answer is one byte, G or N."""

    def encode(self) -> bytes:
        """The message."""
        return _first(_GSSENC)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Asks, on a connection of its own, to cancel what another one does. `secret` is as BackendKeyData gave it."""

    pid: int
    secret: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The message. Raises ValueError for a secret that is too short or too long."""
        if not MIN_SECRET_BYTES <= len(self.secret) <= MAX_SECRET_BYTES:
            raise ValueError("a cancel key has 4 to 256 bytes")
        return _first(_CANCEL, packed("I", self.pid) + self.secret)


Startup = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest

_LENGTH = struct.Struct(">I")


def read_startup(buffer: bytes | bytearray) -> tuple[Startup, int] | None:
    """The first message in the buffer and how many bytes it has, or None where more must come. Raises Malformed, as
    soon as the length is there, for one that the server would refuse; a TLS handshake's first bytes are such."""
    if len(buffer) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack_from(buffer)
    if not 8 <= size <= MAX_STARTUP_BYTES + _LENGTH.size:
        raise Malformed("a first message has a length that none has")
    if len(buffer) < size:
        return None
    return _decode(bytes(buffer[_LENGTH.size : size])), size


def _decode(body: bytes) -> Startup:
    """The message of this body."""
    reader = Reader(body, "the first message")
    code = reader.uint32()
    message: Startup
    if code == _SSL:
        message = SSLRequest()
    elif code == _GSSENC:
        message = GSSENCRequest()
    elif code == _CANCEL:
        message = CancelRequest(reader.uint32(), reader.rest())
        if not MIN_SECRET_BYTES <= len(message.secret) <= MAX_SECRET_BYTES:
            raise Malformed("CancelRequest has a key that is too short or too long")
    elif code >> 16 == 3:
        message = StartupMessage(code, _parameters(reader))
    else:
        raise Malformed("the first message is of a protocol that is not version 3")
    reader.end()
    return message


def _parameters(reader: Reader) -> tuple[tuple[str, str], ...]:
    """Names and values up to the empty name that ends them."""
    pairs = []
    while name := reader.string():
        pairs.append((name, reader.string()))
    _check_names(pairs, Malformed)
    return tuple(pairs)


def _check_names(pairs: tuple[tuple[str, str], ...] | list[tuple[str, str]], error: type[Exception]) -> None:
    """Raise this error where a name is there twice. The server's names of settings have no case."""
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise error("StartupMessage has a parameter twice")


def _first(code: int, body: bytes = b"") -> bytes:
    """A message without a kind. Raises ValueError where it is longer than the server takes."""
    if len(body) + 4 > MAX_STARTUP_BYTES:
        raise ValueError("a first message is longer than the server takes")
    return packed("II", 8 + len(body), code) + body
