"""Answers that are masked while they come, through a whole gateway: in little memory, without waiting, and never let
go on unmasked."""

import gzip
import json
import os
import re
import signal
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.envoy_upstream import Answer, Seen
from tests.support.flows import Asking, chunk, until
from tests.support.gateway import Gateway
from tests.support.masked import CARD, EMAIL, Table, counted, delivered, made, pieces, recorded, whole

MIB = 1 << 20
LINE = b"2026-01-02 INFO order 4711 of a customer shipped, 3 items, no further remarks; see /var/log/orders for more\n"
PIECE = LINE * (MIB // len(LINE)) + f"paid with {CARD} by {EMAIL}\n".encode()
MASKED = PIECE.replace(CARD.encode(), b"[masked:card]").replace(EMAIL.encode(), b"[masked:email]")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
MASK: dict[str, object] = {"kinds": ["*"], "keys": ["customer_no"]}
TABLE: Table = {
    "all": [MASK],
    "text": [{"kinds": ["*"], "malformed": "text"}],
    "keyed": [{**MASK, "malformed": "text"}],
}
TARGETS = "bulk: {upstream: UPSTREAM, environment: dev, inspect: stream, record: {bodies: metadata}}"


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway that masks everything."""
    gateway = made(TABLE, targets=TARGETS, audit="otlp: null, record: {bodies: full}")
    try:
        yield gateway.start()
    finally:
        gateway.stop()


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def download(gateway: Gateway, path: str, answer: Answer) -> int:
    """Get something; how many pieces came, each as it should be."""
    gateway.upstream.answer = answer
    held, count = bytearray(), 0
    with gateway.client(target="bulk") as agent, agent.stream("GET", path) as reply:
        assert reply.status_code == 200
        for data in reply.iter_raw():
            held += data
            while len(held) >= len(MASKED):
                assert held.startswith(MASKED)
                del held[: len(MASKED)]
                count += 1
    assert held == b""
    return count


@pytest.mark.parametrize("coded", [False, True])
def test_a_large_download_takes_little_memory(gateway: Gateway, coded: bool) -> None:
    """100 MiB of text, masked: the most that the worker ever had grows by a small part of it, also where all of it
    came in a few hundred kilobytes."""
    path, worker = f"/all/large/{coded}", gateway.pid("worker-0")
    many = whole(gzip.compress(PIECE * 100, 6), "text/plain", "content-encoding: gzip") if coded else repeated(100)
    assert download(gateway, "/all/warm", repeated(4)) == 4
    before = peak(worker)
    assert download(gateway, path, many) == 100
    assert peak(worker) - before < 24 * MIB
    assert counted(gateway, path)["response"] == {"card": 100, "email": 100}


def repeated(times: int) -> Answer:
    """The piece so many times, as text."""

    def answer(_: Seen) -> Iterable[bytes]:
        yield HEAD % b"text/plain"
        for _n in range(times):
            yield chunk(PIECE)
        yield chunk(b"")

    return answer


class Turns:
    """An answer in pieces, of which each one waits to be asked for."""

    def __init__(self, content_type: bytes, *data: bytes) -> None:
        self._head = HEAD % content_type
        self._data = data
        self._turn = threading.Semaphore(0)

    def __call__(self, _: Seen) -> Iterable[bytes]:
        """An upstream's `answer`."""
        yield self._head
        for piece in self._data:
            self._turn.acquire(timeout=30)
            yield chunk(piece)
        yield chunk(b"")

    def next(self) -> None:
        """Let one more piece go."""
        self._turn.release()


def delta(text: str) -> bytes:
    """An event of a streamed chat completion."""
    found = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    return b"data: " + json.dumps(found).encode() + b"\n\n"


SAID: dict[str, tuple[bytes, list[tuple[bytes, str]]]] = {
    "deltas": (
        b"text/event-stream",
        [(delta("Hello there, "), "Hello there, "), (delta(f"{CARD}, "), "[masked:card], "), (delta("bye."), "bye")],
    ),
    "events": (
        b"text/event-stream",
        [(b'data: {"n": 1}\n\n', '{"n": 1}'), (f'data: {{"card": "{CARD}"}}\n\n'.encode(), "[masked:card]")],
    ),
    "lines": (b"text/plain", [(b"one by one, ", "one by one"), (f"{CARD}, and ".encode(), "[masked:card], ")]),
    "ndjson": (b"application/x-ndjson", [(b'{"n": 1}\n', '{"n": 1}'), (b'{"n": 2}\n', '{"n": 2}')]),
}


@pytest.mark.parametrize("form", SAID)
def test_nothing_waits_for_what_comes_next(gateway: Gateway, form: str) -> None:
    """Each piece is with the agent before the upstream sends another."""
    kind, said = SAID[form]
    turns = gateway.upstream.answer = Turns(kind, *(data for data, _ in said))
    asking = Asking(gateway.client(), "GET", f"/all/turns/{form}")
    for _, wanted in said:
        turns.next()
        until(lambda wanted=wanted: wanted.encode() in asking.body, f"{wanted} to arrive")  # type: ignore[misc]
    asking.end()
    assert (asking.broken, CARD.encode() in asking.body) == (None, False)


JSON = "content-type: application/json"
ITEM = b'"a line of text that nobody masks", '
ZIPPED = zlib.compressobj(wbits=31)
BEGUN: dict[str, tuple[bytes, bytes, tuple[str, ...]]] = {
    "no JSON": (b"[" + ITEM * 9, b'"x"}, "' + CARD.encode() + b'"]}', (JSON,)),
    "half a JSON": (b"[" + ITEM * 9, b'{"card": "' + CARD.encode() + b'"}', (JSON,)),
    "no coding": (
        ZIPPED.compress(b"[" + ITEM * 9) + ZIPPED.flush(zlib.Z_SYNC_FLUSH), b"\xff" + CARD.encode(),
        (JSON, "content-encoding: gzip"),
    ),
    "half a coding": (gzip.compress(b"[" + ITEM * 9 + b'"x"]')[:-1], b"", (JSON, "content-encoding: gzip")),
    "half a part": (b"--b\r\n\r\n" + ITEM * 9, CARD.encode(), ("content-type: multipart/mixed; boundary=b",)),
}  # fmt: skip


def test_an_answer_that_breaks_late_ends_there(gateway: Gateway) -> None:
    """The client sees a broken body, and nothing of what came after the break."""
    go = threading.Event()

    def answer(seen: Seen) -> Iterable[bytes]:
        begin, rest, lines = BEGUN[seen.path.removeprefix("/all/").replace("-", " ")]
        yield "\r\n".join(["HTTP/1.1 200 OK", *lines, "transfer-encoding: chunked", "", ""]).encode() + chunk(begin)
        go.wait(30)
        yield (chunk(rest) if rest else b"") + chunk(b"")

    gateway.upstream.answer = answer
    paths = [f"/all/{what.replace(' ', '-')}" for what in BEGUN]
    # All at once, for Envoy takes a second to close a connection.
    asked = [Asking(gateway.client(), "GET", path).wait() for path in paths]
    go.set()
    for asking, path in zip(asked, paths, strict=True):
        asking.end()
        assert (asking.status, type(asking.broken)) == (200, httpx.RemoteProtocolError)
        assert b"4111" not in asking.body
        assert delivered(gateway, path)["outcome"] == "aborted:unmaskable-response"
        assert recorded(gateway, path, "response").startswith(bytes(asking.body))


def get(gateway: Gateway, path: str) -> httpx.Response:
    """Ask for something."""
    with gateway.client() as agent:
        return agent.get(path)


def test_malformed_answers_may_be_masked_as_text(gateway: Gateway) -> None:
    """From where they are malformed on; before that, as what they said they are. Not where names select, for in what
    is malformed nobody knows what a name stands for."""
    body = b'{"to": "jane.doe\\u0040example.com", "n": 1}} oops 4111111111111111, "x'
    gateway.upstream.answer = pieces("application/json", *(bytes([byte]) for byte in body))
    assert get(gateway, "/text/late").text == '{"to": "[masked:email]", "n": 1}} oops [masked:card], "x'
    # Whether some of it went on before depends on how it came; it never ends as if it were whole.
    try:
        reply = get(gateway, "/keyed/late")
    except httpx.RemoteProtocolError:
        return
    assert (reply.status_code, b"4111" in reply.content) == (502, False)


def passes(gateway: Gateway) -> bool:
    """Whether a request passes, as it does again some time after what it needs is back."""
    gateway.upstream.reset()
    with suppress(httpx.HTTPError), gateway.client() as agent:
        return agent.get("/all/ping").status_code == 200
    return False


def test_a_worker_killed_in_the_middle_of_a_value(gateway: Gateway) -> None:
    """What was held is lost with it, and what comes after never arrives."""
    turns = gateway.upstream.answer = Turns(b"text/plain", f"paid with {CARD[:9]}".encode(), CARD[9:].encode())
    asking = Asking(gateway.client(), "GET", "/all/killed")
    turns.next()
    asking.wait()
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    turns.next()
    asking.end()
    assert (type(asking.broken), bytes(asking.body).strip()) == (httpx.RemoteProtocolError, b"paid with")
    gateway.wait_ready_again("worker-0")
    until(lambda: passes(gateway), "a request to pass")


def test_an_engine_that_goes_leaves_masks_in_force(gateway: Gateway) -> None:
    """What was decided is masked to its end; nothing new is let through."""
    turns = gateway.upstream.answer = Turns(b"text/plain", f"{CARD} and ".encode(), f"{EMAIL}.".encode())
    asking = Asking(gateway.client(), "GET", "/all/decided")
    turns.next()
    asking.wait()
    os.kill(gateway.pid("opa"), signal.SIGKILL)
    with gateway.client() as agent:
        assert agent.get("/all/undecided").status_code == 503
    turns.next()
    assert (asking.end().broken, bytes(asking.body)) == (None, b"[masked:card] and [masked:email].")
    assert [seen.path for seen in gateway.upstream.seen] == ["/all/decided"]
    gateway.wait_ready_again("opa")
    until(lambda: passes(gateway), "a request to pass")


def test_a_client_that_leaves_is_told_of(gateway: Gateway) -> None:
    """And what it got until then was masked, and counted."""
    gateway.upstream.answer = repeated(1000)
    with gateway.client(target="bulk") as agent, agent.stream("GET", "/all/left") as reply:
        got = next(reply.iter_raw(len(MASKED)))
    assert got == MASKED
    until(lambda: bool(delivered(gateway, "/all/left")), "the record")
    told = delivered(gateway, "/all/left")
    assert told["outcome"].startswith("aborted:")
    assert 0 < told["masked"]["response"]["card"] < 1000
