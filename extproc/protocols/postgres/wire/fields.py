"""What messages are made of: integers, strings and counted lists, strictly read and strictly written.

"Frontend/Backend Protocol", "Message Data Types". Reading is hostile input and raises Malformed; writing is our own
values and raises ValueError where they would not mean on the wire what they mean here.
"""

import struct
from collections.abc import Sequence

HEAD = struct.Struct(">BI")
"""A message's kind, and its length: that of the length itself and the body, without the kind."""

MAX_MESSAGE_BYTES = 0x3FFFFFFF
"""The longest that a message's length may say: no server of today allocates more for one (MaxAllocSize)."""

MAX_NAME_BYTES = 63
"""How long the name of a prepared statement or portal may be (NAMEDATALEN - 1). The server takes longer ones and looks
at no more than this of them: two names that are two to us would be one to it, and Bind run what another Parse said."""

_UINT16 = struct.Struct(">H")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")


class Malformed(Exception):
    """What the other side sent is not the protocol. The text is ours, for the trail: nothing of the input is in it."""


class Reader:
    """Reads one message's body from its start. Every method raises Malformed where the body is too short for it."""

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        """`what` is the message's name, for errors."""
        self._data = data
        self._at = 0
        self._what = what

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise self.malformed("is shorter than it says")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        """Whatever is left."""
        return self.take(len(self._data) - self._at)

    def byte(self) -> int:
        """Byte1 or Int8, unsigned."""
        return self.take(1)[0]

    def int16(self) -> int:
        """Int16, signed."""
        return self._number(_INT16)

    def uint16(self) -> int:
        """Int16 where it counts: server and libpq read counts without a sign, up to 65,535."""
        return self._number(_UINT16)

    def int32(self) -> int:
        """Int32, signed."""
        return self._number(_INT32)

    def uint32(self) -> int:
        """Int32 that is an object id or a process id: without a sign."""
        return self._number(_UINT32)

    def string(self, errors: str = "strict") -> str:
        """A string up to its zero byte, as UTF-8."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self.malformed("has a string without an end")
        raw = self._data[self._at : end]
        self._at = end + 1
        try:
            return raw.decode("utf-8", errors)
        except UnicodeDecodeError:
            raise self.malformed("has a string that is not UTF-8") from None

    def name(self) -> str:
        """A string that names a prepared statement or a portal."""
        name = self.string()
        if len(name.encode()) > MAX_NAME_BYTES:
            raise self.malformed("has a name longer than the server tells apart")
        return name

    def format(self) -> int:
        """A format code: 0 is text, 1 is binary; there are no others."""
        code = self.uint16()
        if code > 1:
            raise self.malformed("has a format code that is neither text nor binary")
        return code

    def formats(self) -> tuple[int, ...]:
        """A counted list of format codes."""
        return tuple([self.format() for _ in range(self.uint16())])

    def value(self) -> bytes | None:
        """A counted value; None is NULL."""
        size = self.int32()
        return None if size == -1 else self.take(size)

    def values(self) -> tuple[bytes | None, ...]:
        """A counted list of counted values."""
        return tuple([self.value() for _ in range(self.uint16())])

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise self.malformed("is longer than what it says")

    def malformed(self, how: str) -> Malformed:
        """The error to raise: `how` follows the message's name."""
        return Malformed(f"{self._what} {how}")

    def _number(self, of: struct.Struct) -> int:
        """The next integer, of this width and sign."""
        try:
            (number,) = of.unpack_from(self._data, self._at)
        except struct.error:
            raise self.malformed("is shorter than it says") from None
        self._at += of.size
        return int(number)


def message(kind: int, *parts: bytes) -> bytes:
    """A whole message: kind, length, body. Raises ValueError where it is longer than a message can be."""
    size = 4 + sum(map(len, parts))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes is longer than PostgreSQL allows")
    return b"".join((HEAD.pack(kind, size), *parts))


def packed(layout: str, *numbers: int) -> bytes:
    """Integers in network order, `layout` in struct's letters. Raises ValueError where one does not fit."""
    try:
        return struct.pack(">" + layout, *numbers)
    except struct.error as error:
        raise ValueError(f"a number does not fit its field: {error}") from None


def string(text: str) -> bytes:
    """A string with its zero byte. Raises ValueError for a zero byte inside, which would end it early, and for what
    UTF-8 cannot say."""
    raw = text.encode()
    if 0 in raw:
        raise ValueError("a string with a zero byte cannot be sent")
    return raw + b"\0"


def named(name: str) -> bytes:
    """The name of a prepared statement or a portal. Raises ValueError as string does, and for one that is too long."""
    raw = string(name)
    if len(raw) > MAX_NAME_BYTES + 1:
        raise ValueError("a name longer than the server tells apart")
    return raw


def formats(codes: Sequence[int]) -> bytes:
    """A counted list of format codes. Raises ValueError for codes other than 0 and 1."""
    if any(code not in (0, 1) for code in codes):
        raise ValueError("a format code is 0 or 1")
    return packed(f"{1 + len(codes)}H", len(codes), *codes)
