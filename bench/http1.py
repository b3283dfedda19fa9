"""As much of HTTP/1.1 as the load generator and its upstream need from Envoy, which speaks it strictly. Pure."""

from dataclasses import dataclass

from bench.cases import SAW

_LENGTH = b"\r\ncontent-length: "
_CHUNKED = b"\r\ntransfer-encoding: chunked\r\n"
_SAW = f"\r\n{SAW}: ".encode()
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Malformed(ValueError):
    """Not an answer that Envoy gives."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `saw` is the upstream's header, empty without it."""

    status: int
    saw: str
    body: bytes


def read(data: bytes) -> Answer | None:
    """The one answer that is in the data, or None while it is not whole. Header names are lower case, as Envoy writes
    them. Raises Malformed."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 2]
    if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit():
        raise Malformed("no status line")
    body = _body(head, data, end + 4)
    return None if body is None else Answer(int(head[9:12]), _value(head, _SAW).decode("latin-1"), body)


def length(head: bytes) -> int | None:
    """The content-length of a head (with a CR LF at its end), or None. Raises Malformed."""
    text = _value(head, _LENGTH)
    if text and not text.isdigit():
        raise Malformed("content-length is no number")
    return int(text) if text else None


def _body(head: bytes, data: bytes, start: int) -> bytes | None:
    size = length(head)
    if size is not None:
        if len(data) > start + size:
            raise Malformed("bytes after the answer")
        return data[start:] if len(data) == start + size else None
    if _CHUNKED not in head:
        raise Malformed("neither a length nor chunks")
    # The line break before the first chunk is the head's own; no body of ours has the last chunk's bytes inside.
    return _unchunked(data, start) if data.endswith(_LAST_CHUNK) else None


def _unchunked(data: bytes, at: int) -> bytes:
    parts: list[bytes] = []
    while True:
        line = data.find(b"\r\n", at)
        try:
            size = int(data[at:line], 16)
        except ValueError:
            raise Malformed("no chunk size") from None
        if size == 0:
            return b"".join(parts)
        parts.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2


def _value(head: bytes, name: bytes) -> bytes:
    at = head.find(name)
    return b"" if at < 0 else head[at + len(name) : head.find(b"\r\n", at + len(name))]
