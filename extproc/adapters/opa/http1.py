"""One HTTP/1.1 response at a time, from bytes in any slices (RFC 9112). Strict: what is not plainly one response to our
POST is nonsense, for a decision that was misread may let something through. Pure; the client does the I/O."""

import re
from dataclasses import dataclass
from enum import Enum, auto

MAX_HEAD = 16 * 1024
MAX_BODY = 1 << 20

# A reason phrase may be empty and may hold any visible octet (RFC 9112, section 4).
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [\t \x21-\x7e\x80-\xff]*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t \x21-\x7e\x80-\xff]*)?")
_LONGEST_LINE = 1024


class Nonsense(ValueError):
    """Not an HTTP response that we can rely on. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. `keep` says whether the connection may carry another request."""

    status: int
    body: bytes
    keep: bool


class _At(Enum):
    HEAD = auto()
    SIZED = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    DONE = auto()


class ResponseReader:
    """Reads exactly one response. After DONE any further byte is Nonsense: we never pipeline."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = _At.HEAD
        self._status = 0
        self._keep = True
        self._left = 0
        self._body = bytearray()
        self._trailers = 0

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes; the response when it is whole, else None. Raises Nonsense."""
        self._buffer += data
        while self._at is not _At.DONE:
            if not self._step():
                return None
        if self._buffer:
            raise Nonsense("bytes after the response")
        return Response(self._status, bytes(self._body), self._keep)

    def _step(self) -> bool:
        match self._at:
            case _At.HEAD:
                return self._head()
            case _At.SIZED | _At.CHUNK_DATA:
                return self._data()
            case _At.CHUNK_SIZE:
                return self._chunk_size()
            case _At.CHUNK_END:
                return self._chunk_end()
            case _At.TRAILERS:
                return self._trailer()
            case _At.DONE:
                return False

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            raise Nonsense("the head is too long")
        if end < 0:
            return False
        first, *rest = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        status = _STATUS.fullmatch(first)
        if status is None:
            raise Nonsense("no HTTP/1.1 status line")
        self._status = int(status[1])
        if self._status in (204, 205, 304):
            raise Nonsense(f"status {self._status} has no body to read")
        self._frame(_fields(rest))
        return True

    def _frame(self, fields: dict[bytes, list[bytes]]) -> None:
        # RFC 9112, section 6.3. A response without a length would end with the connection, and then a broken one
        # could not be told from a whole one.
        codings, lengths = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        options = b",".join(fields.get(b"connection", [])).lower()
        self._keep = b"close" not in [option.strip() for option in options.split(b",")]
        if fields.get(b"content-encoding", [b"identity"]) != [b"identity"]:
            raise Nonsense("a content-encoding that we did not ask for")
        if codings is not None:
            if lengths is not None or [c.lower() for c in codings] != [b"chunked"]:
                raise Nonsense("a transfer-encoding other than chunked alone")
            self._at = _At.CHUNK_SIZE
        elif lengths is not None:
            if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 8:
                raise Nonsense("content-length is not one whole number")
            self._left = int(lengths[0])
            self._within(self._left)
            self._at = _At.SIZED if self._left else _At.DONE
        else:
            raise Nonsense("no length")

    def _data(self) -> bool:
        part = self._buffer[: self._left]
        if not part:
            return False
        del self._buffer[: len(part)]
        self._body += part
        self._left -= len(part)
        if self._left == 0:
            self._at = _At.DONE if self._at is _At.SIZED else _At.CHUNK_END
        return True

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Nonsense("no chunk size")
        self._left = int(size[1], 16)
        self._within(len(self._body) + self._left)
        self._at = _At.CHUNK_DATA if self._left else _At.TRAILERS
        return True

    def _chunk_end(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise Nonsense("a chunk longer than its size")
        del self._buffer[:2]
        self._at = _At.CHUNK_SIZE
        return True

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._at = _At.DONE
            return True
        self._trailers += len(line)
        if self._trailers > MAX_HEAD or _FIELD.fullmatch(line) is None:
            raise Nonsense("trailers that are none, or too long")
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end > _LONGEST_LINE or (end < 0 and len(self._buffer) > _LONGEST_LINE):
            raise Nonsense("a line too long")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    @staticmethod
    def _within(size: int) -> None:
        if size > MAX_BODY:
            raise Nonsense(f"more than {MAX_BODY} bytes")


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Nonsense("a header line that is none")
        fields.setdefault(field[1].lower(), []).append(field[2])
    return fields
