"""Bodies of any size in bounded memory: a client that stalls stalls the upstream, and fills nobody's memory."""

import hashlib
import http.client
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.clients.world import CARD, chunk
from tests.support.envoy import until
from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway, running

MEGABYTE = 1 << 20
SIZE = 200 * MEGABYTE
GROWTH = 150 * MEGABYTE
"""Of either process, at its highest. Measured: 4 MB; the rest is room for other allocators and machines."""

TEXT = b"The quick brown fox pays with %s and is gone before anyone looks. " + b"Nothing to see in this line.\n" * 500
ITEMS = b", ".join([b'{"text": "nothing to see", "n": 12.50}'] * 400)
JSON = b'{"id": 7, "note": "pays with %s", "items": [' + ITEMS + b"]}"
MASK = b"[masked:card]"


class Body:
    """A body of SIZE bytes, made while it is sent. `sent` is how much of it has gone."""

    def __init__(self, kind: str, piece: bytes) -> None:
        self.kind = kind
        self._piece = piece
        self._count = SIZE // len(piece)
        self._json = kind.endswith("json")
        self.sent = 0
        self.moved = threading.Event()

    def pieces(self, card: bytes) -> Iterator[bytes]:
        """The body with this in the place of each card number; JSON as one list."""
        piece = self._piece % card
        for n in range(self._count):
            lead = (b"[" if n == 0 else b", ") if self._json else b""
            yield lead + piece
        if self._json:
            yield b"]"

    def answer(self, _: Seen) -> Iterable[bytes]:
        """The upstream's answer, chunked."""
        yield b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % self.kind.encode()
        for piece in self.pieces(CARD.encode()):
            yield chunk(piece)
            self.sent += len(piece)
            self.moved.set()
        yield b"0\r\n\r\n"

    def wait_stalled(self) -> None:
        """Wait until nothing has moved for a second."""
        until(self.moved.is_set, "the first piece")
        while self.moved.wait(1.0):
            self.moved.clear()

    def masked(self) -> tuple[int, str]:
        """Length and SHA-256 of what the client must get."""
        return summed(self.pieces(MASK))


def summed(pieces: Iterable[bytes]) -> tuple[int, str]:
    """Length and SHA-256 of all together."""
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def memory(pid: int, which: str) -> int:
    """A process's resident memory in bytes: `VmRSS` now, or `VmHWM` at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {which} of {pid}")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway with one worker, so that it is clear who reads."""
    yield from running()


@pytest.mark.parametrize(("kind", "piece"), [("text/plain", TEXT), ("application/json", JSON)])
def test_a_stalled_client_of_a_large_answer(gateway: Gateway, kind: str, piece: bytes) -> None:
    """The upstream is held back while the client does not read; then the client gets all of it, masked."""
    body = Body(kind, piece)
    pids = {name: gateway.pid(name) for name in ("worker-0", "envoy")}
    gateway.upstream.reset()
    with gateway.client() as agent:
        # Warm: what the first exchange brings into memory is not this one's.
        assert agent.get("/ping").status_code == 200
    gateway.upstream.answer = body.answer
    before = {name: memory(pid, "VmRSS") for name, pid in pids.items()}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=120)
    try:
        headers = {"authorization": f"Bearer {gateway.agents.token()}", "host": "crm.holdpoint.internal"}
        connection.request("GET", "/export", headers=headers)
        body.wait_stalled()
        stalled = body.sent
        reply = connection.getresponse()
        got = summed(iter(lambda: reply.read(MEGABYTE), b""))
    finally:
        connection.close()
    assert reply.status == 200
    assert stalled < SIZE // 2
    assert got == body.masked()
    growth = {name: memory(pid, "VmHWM") - before[name] for name, pid in pids.items()}
    assert {name: size for name, size in growth.items() if size > GROWTH} == {}
