"""Exchanges that take their time: answers that wait to be told, clients that watch theirs arrive, open tunnels."""

import socket
import threading
from collections.abc import Callable, Iterable

import httpx

from tests.support.envoy import Reply, read_reply
from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway

WAIT_SECONDS = 20.0
PIECE = b"0123 a line of text that nobody masks\n" * 2000
"""Enough for its beginning to be let through, whatever a mask holds back."""


class Slow:
    """An upstream's answer in two parts: the second one waits for `go`. `asked` counts the requests."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, _: Seen) -> Iterable[bytes]:
        """An upstream's `answer`."""
        self.asked.release()
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(PIECE)
        self.go.wait(60)
        yield chunk(PIECE) + chunk(b"")


def endless(_: Seen) -> Iterable[bytes]:
    """An upstream's answer without an end."""
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    while True:
        yield chunk(PIECE)


def chunk(data: bytes) -> bytes:
    """One chunk of a body; the last one where there are no data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Asking:
    """A request under way in a thread. `begun` is set once some of its answer's body is here."""

    def __init__(self, agent: httpx.Client, method: str, path: str, **options: object) -> None:
        self.begun = threading.Event()
        self.status = 0
        self.body = bytearray()
        self.headers: httpx.Headers = httpx.Headers()
        self.broken: httpx.HTTPError | None = None
        self._thread = threading.Thread(target=self._ask, args=(agent, method, path, options))
        self._thread.start()

    def _ask(self, agent: httpx.Client, method: str, path: str, options: dict[str, object]) -> None:
        try:
            with agent, agent.stream(method, path, **options) as reply:  # type: ignore[arg-type]
                self.status, self.headers = reply.status_code, reply.headers
                for data in reply.iter_raw():
                    self.body += data
                    self.begun.set()
        except httpx.HTTPError as error:
            self.broken = error

    def wait(self) -> "Asking":
        """Wait until it flows."""
        if not self.begun.wait(WAIT_SECONDS):
            raise AssertionError(f"nothing came: {self.status} {self.broken!r}")
        return self

    def end(self) -> "Asking":
        """Wait until it ended, one way or the other."""
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            raise AssertionError(f"still under way: {self.status}, {len(self.body)} bytes")
        return self


def ask_raw(port: int, head: str, body: bytes = b"") -> Reply:
    """One request, its lines as given and CRLF added, on a connection of its own; its answer."""
    with opened(port, head, body) as connection:
        return read_reply(connection)


def opened(port: int, head: str, body: bytes = b"") -> socket.socket:
    """The same, and hand over the connection without reading."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
    connection.sendall("".join(f"{line}\r\n" for line in [*head.splitlines(), ""]).encode() + body)
    return connection


def connect(gateway: Gateway, authority: str, token: str | None) -> tuple[socket.socket, str]:
    """CONNECT on the forward proxy: the connection, and the head of its answer (lower case)."""
    who = f"\nProxy-Authorization: Bearer {token}" if token is not None else ""
    connection = opened(gateway.proxy_port, f"CONNECT {authority} HTTP/1.1\nHost: {authority}{who}")
    head = b""
    while not head.endswith(b"\r\n\r\n") and (piece := connection.recv(1)):
        head += piece
    return connection, head.decode().lower()


def tunnel(gateway: Gateway, authority: str, token: str) -> socket.socket:
    """An open tunnel. Raises ConnectionRefusedError with the status where there is none."""
    connection, head = connect(gateway, authority, token)
    if not head.startswith("http/1.1 200"):
        connection.close()
        raise ConnectionRefusedError(head.splitlines()[0] if head else "closed")
    return connection


def ended(connection: socket.socket) -> int:
    """Read until the other side ends the connection; how many bytes came. Raises TimeoutError where it does not."""
    count = 0
    try:
        while data := connection.recv(65536):
            count += len(data)
    except (ConnectionError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
    return count


def until(probe: Callable[[], bool], what: str) -> None:
    """Wait for what only a question can find out."""
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.05)):
        if probe():
            return
        pause.wait(0.05)
    raise AssertionError(f"waited {WAIT_SECONDS} s for {what}")
