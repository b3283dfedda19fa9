"""An HTTP/1.1 upstream that keeps every byte it gets and answers what a test tells it to."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BufferedIOBase

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived: head and body, byte for byte (a chunked body with its framing)."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def path(self) -> str:
        """The request target."""
        return self.line.split(" ")[1]

    @property
    def headers(self) -> dict[str, list[str]]:
        """Header lines by lower-case name."""
        found: dict[str, list[str]] = {}
        for line in self.head.split(b"\r\n")[1:]:
            name, found_colon, value = line.decode("latin-1").partition(":")
            if found_colon:
                found.setdefault(name.lower(), []).append(value.strip())
        return found


Answer = Callable[[Seen], Iterable[bytes]]


def _ok(_: Seen) -> Iterable[bytes]:
    return [OK]


class RecordingUpstream:
    """Listens on a loopback port of its own. `answer` gives the bytes of a response, piece by piece; an answer that
    yields nothing closes the connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.answer: Answer = _ok
        self.began = threading.Event()
        """Set once a request's head is here, which may be long before all of it."""
        self._server = _Server(("127.0.0.1", 0), self._requests, tls)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _requests(self, connection: socket.socket, stream: BufferedIOBase) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                if not line:
                    return
                head += line
            self.began.set()
            seen = Seen(head, b"")
            if "chunked" in ",".join(seen.headers.get("transfer-encoding", [])):
                seen = Seen(head, self._chunks(stream))
            elif length := seen.headers.get("content-length"):
                seen = Seen(head, stream.read(int(length[0])))
            self.seen.append(seen)
            pieces = 0
            for piece in self.answer(seen):
                connection.sendall(piece)
                pieces += 1
            if not pieces:
                return

    @staticmethod
    def _chunks(stream: BufferedIOBase) -> bytes:
        body = b""
        while True:
            line = stream.readline()
            body += line
            size = int(line.split(b";")[0] or b"0", 16)
            if size == 0:
                break
            body += stream.read(size + 2)
        while (line := stream.readline()) not in (b"\r\n", b""):
            body += line
        return body

    def reset(self) -> None:
        """Forget what was seen and answer `ok` again."""
        self.seen = []
        self.answer = _ok
        self.began.clear()

    def stop(self) -> None:
        """Close the listener."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        serve: Callable[[socket.socket, BufferedIOBase], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(address, _Handler)
        self.serve = serve
        self._tls = tls

    def get_request(self) -> tuple[socket.socket, object]:
        """A connection; its TLS handshake happens in the thread that reads it."""
        connection, address = super().get_request()
        if self._tls is None:
            return connection, address
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks off is what some tests are about; it is no news."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.serve(self.connection, self.rfile)
