"""An upstream that keeps the bytes of every connection, whatever they are, and a strict reading of them."""

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unclean(ValueError):
    """Bytes at an upstream that two servers could read differently, or that are more than one request."""


class Unfinished(Unclean):
    """The start of a request whose end never came: no server takes it for a request."""


@dataclass(slots=True)
class Connection:
    """All that came over one connection. `ended` is set when the peer has gone."""

    data: bytearray = field(default_factory=bytearray)
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request as strictly read."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def line(self) -> str:
        """Method and request target."""
        return f"{self.method} {self.path}"

    def values(self, name: str) -> list[str]:
        """A header's values, by lower-case name."""
        return [v for n, v in self.headers if n == name]


def strictly(data: bytes) -> Arrived:
    """The one request that the bytes of a connection are. Raises Unclean."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise Unclean("no whole head")
    lines = head.split(b"\r\n")
    if any(b in line for line in lines for b in (b"\r", b"\n", b"\0")):
        raise Unclean("a bare line end or NUL in the head")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1" or not _TOKEN.fullmatch(parts[0]):
        raise Unclean(f"request line {lines[0]!r}")
    if not re.fullmatch(rb"[\x21-\x7e]+", parts[1]):
        raise Unclean(f"request target {parts[1]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Unclean(f"header line {line!r}")
        headers.append((name.decode().lower(), value.strip(b" \t").decode("latin-1")))
    arrived = Arrived(parts[0].decode(), parts[1].decode(), tuple(headers), b"")
    codings, lengths = arrived.values("transfer-encoding"), arrived.values("content-length")
    if codings and (lengths or codings != ["chunked"]):
        raise Unclean(f"transfer-encoding {codings} and content-length {lengths}")
    if len(lengths) > 1 or (lengths and not re.fullmatch("[0-9]+", lengths[0])):
        raise Unclean(f"content-length {lengths}")
    if codings:
        body, rest = _chunks(rest)
    else:
        size = int(lengths[0]) if lengths else 0
        body, rest = rest[:size], rest[size:]
        if len(body) != size:
            raise Unfinished("a body cut short")
    if rest:
        raise Unclean(f"bytes after the request: {rest[:80]!r}")
    return Arrived(arrived.method, arrived.path, arrived.headers, body)


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        if not rest:
            raise Unfinished("no last chunk")
        line, end, rest = rest.partition(b"\r\n")
        if not end or not re.fullmatch(rb"[0-9a-fA-F]+", line):
            raise Unclean(f"chunk line {line[:80]!r}")
        size = int(line, 16)
        chunk, rest = rest[:size], rest[size:]
        if len(chunk) != size or not rest.startswith(b"\r\n"):
            raise Unclean("a chunk cut short, or trailers")
        rest = rest[2:]
        if size == 0:
            return body, rest
        body += chunk


class Tap:
    """Listens on a loopback port. Gives its `answer` once, when the first request of a connection looks complete, ends
    its side with `hang_up`, and records what else comes until the peer ends it."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.answer = ANSWER
        self.hang_up = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                connection = Connection()
                self.connections.append(connection)
                threading.Thread(target=self._record, args=(peer, connection), daemon=True).start()

    def _record(self, peer: socket.socket, connection: Connection) -> None:
        answered = False
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(65536):
                connection.data += data
                if not answered and _complete(bytes(connection.data)):
                    answered = True
                    peer.sendall(self.answer)
                    if self.hang_up:
                        peer.shutdown(socket.SHUT_WR)
        connection.ended.set()

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _complete(data: bytes) -> bool:
    """Whether a lax server would answer by now."""
    head, end, rest = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    if not end:
        return False
    if b"chunked" in lowered:
        return re.search(rb"(^|\r\n)0+\r\n([^\r\n]+\r\n)*\r\n$", rest) is not None
    length = re.search(rb"\r\ncontent-length:\s*([0-9]+)", lowered)
    return len(rest) >= int(length[1]) if length else True
