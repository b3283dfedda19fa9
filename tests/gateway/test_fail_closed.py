"""Whatever breaks, nothing passes; and what broke comes back. Real processes, really killed."""

import contextlib
import json
import os
import resource
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from extproc.audit.segments import name_of
from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway, running

CARD = b"4111 1111 1111 1111"


@pytest.fixture
def healthy(gateway: Gateway) -> Gateway:
    """A gateway that passes a read now."""
    with gateway.client() as agent:
        assert agent.get("/ping").status_code == 200
    gateway.upstream.reset()
    return gateway


def passes_again(gateway: Gateway) -> bool:
    """Whether a read passes before long: Envoy looks after a worker that failed every quarter of a second."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError), gateway.client() as agent:
            if agent.get("/ping").status_code == 200:
                return True
    return False


class Asking:
    """A request under way in a thread."""

    def __init__(self, gateway: Gateway, method: str, path: str, **options: object) -> None:
        self.reply: httpx.Response | None = None
        self.error: httpx.HTTPError | None = None
        self._thread = threading.Thread(target=self._ask, args=(gateway, method, path, options))
        self._thread.start()

    def _ask(self, gateway: Gateway, method: str, path: str, options: dict[str, object]) -> None:
        try:
            with gateway.client() as agent:
                self.reply = agent.request(method, path, **options)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self.error = error

    def end(self) -> int:
        """The status, or 0 where the exchange broke."""
        self._thread.join(60)
        return self.reply.status_code if self.reply is not None else 0


def test_a_worker_killed_while_holding(healthy: Gateway) -> None:
    """The request ends with an error, and the hold alone releases nothing."""
    asking = Asking(healthy, "POST", "/customers/7/refunds", json={"amount": 1})
    hold = healthy.wait_pending()
    os.kill(healthy.pid("worker-0"), signal.SIGKILL)
    assert asking.end() in (0, 500, 503)
    healthy.wait_ready_again("worker-0")
    healthy.holdpoint("holds", "approve", hold["id"], "--reason", "late", groups=("finance",))
    assert healthy.upstream.seen == []
    assert passes_again(healthy)


def test_a_worker_killed_in_the_middle_of_a_response(healthy: Gateway) -> None:
    """The rest is not released unmasked: the client sees a broken body."""
    released = threading.Event()
    killed = threading.Event()

    def slow(_: Seen) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
        # A word at the end would wait for what comes next.
        yield b"7\r\nfirst, \r\n"
        released.wait(30)
        yield b"%x\r\n%b\r\n0\r\n\r\n" % (len(CARD), CARD)

    healthy.upstream.answer = slow
    received = bytearray()

    def read(agent: httpx.Client) -> None:
        with agent.stream("GET", "/big") as reply:
            for chunk in reply.iter_raw():
                received.extend(chunk)
                if not killed.is_set():
                    killed.set()
                    os.kill(healthy.pid("worker-0"), signal.SIGKILL)
                    released.set()

    with healthy.client() as agent, pytest.raises(httpx.RemoteProtocolError):
        read(agent)
    assert CARD not in received
    healthy.wait_ready_again("worker-0")
    assert passes_again(healthy)


def test_a_worker_whose_loop_stalls(healthy: Gateway) -> None:
    """Envoy gives up after its message timeout; nothing passes, and the worker goes on when it can."""
    worker = healthy.pid("worker-0")
    os.kill(worker, signal.SIGSTOP)
    try:
        with healthy.client() as agent:
            assert agent.get("/ping").status_code in (500, 503, 504)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert healthy.upstream.seen == []
    assert passes_again(healthy)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_is_gone_or_hangs(healthy: Gateway, number: int) -> None:
    """No decision is a block that says so."""
    engine = healthy.pid("opa")
    os.kill(engine, number)
    try:
        with healthy.client() as agent:
            reply = agent.get("/ping")
    finally:
        if number == signal.SIGSTOP:
            os.kill(engine, signal.SIGCONT)
    assert reply.status_code == 503
    assert reply.json()["reasons"][0]["code"] in ("policy-unreachable", "policy-timeout")
    assert healthy.upstream.seen == []
    if number == signal.SIGKILL:
        healthy.wait_ready_again("opa")
    assert passes_again(healthy)


def test_a_journal_that_can_not_be_written(healthy: Gateway) -> None:
    """What can't be recorded does not happen; it comes back when there is room."""
    worker = healthy.pid("worker-0")
    file = healthy.state / "journal" / "worker-0" / name_of(0)
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
    try:
        with healthy.client() as agent:
            reply = agent.get("/ping")
    finally:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
    assert reply.status_code == 503
    assert reply.json()["reasons"][0]["code"] == "journal-unwritable"
    assert healthy.upstream.seen == []
    assert passes_again(healthy)
    assert healthy.holdpoint("audit", "verify").returncode == 0


@pytest.mark.parametrize("program", ["control", "shipper", "envoy"])
def test_other_processes_come_back(healthy: Gateway, program: str) -> None:
    """None of them is needed for closing the gate, each is started anew."""
    os.kill(healthy.pid(program), signal.SIGKILL)
    healthy.wait_ready_again(program)
    with healthy.client() as agent:
        assert agent.delete("/customers").status_code == 403
    assert healthy.upstream.seen == []
    assert passes_again(healthy)


def said(**changes: object) -> bytes:
    """An allow as an engine would say it, with changes."""
    allow = {"policy": "p", "code": "c", "message": "m", "severity": "low", "mode": "enforce", "effect": "allow"}
    duties = {"mask": [], "approval": [], "record": "full"}
    decision = {"schema": 1, "effect": "allow", "revision": "r", "reasons": [allow], "obligations": duties}
    return json.dumps({"result": {**decision, **changes}}).encode()


NONSENSE = {
    "undefined": b"{}",
    "null": b'{"result": null}',
    "not json": b"yes",
    "a list": b'{"result": ["allow"]}',
    "only an effect": b'{"result": {"schema": 1, "effect": "allow"}}',
    "unknown effect": said(effect="maybe"),
    "unknown schema": said(schema=2),
    "an effect that no reason has": said(effect="hold"),
    "no reasons": said(reasons=[]),
    "an unknown member": said(note="and log it elsewhere"),
    "an unknown duty": said(obligations={"mask": [], "approval": [], "record": "full", "watermark": True}),
}


class _Nonsense(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    said = b"{}"
    status = 200

    def do_POST(self) -> None:
        """Answer whatever the test says."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def nonsense() -> Iterator[Gateway]:
    """A gateway whose engine talks nonsense."""
    engine = ThreadingHTTPServer(("127.0.0.1", 0), _Nonsense)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    yield from running(policy=f'engine: "http://127.0.0.1:{engine.server_port}"')
    engine.shutdown()
    engine.server_close()


@pytest.mark.parametrize("what", NONSENSE)
def test_an_engine_that_talks_nonsense(nonsense: Gateway, what: str) -> None:
    """What is not a decision is a block."""
    _Nonsense.said, _Nonsense.status = NONSENSE[what], 200
    with nonsense.client() as agent:
        assert agent.get("/ping").status_code == 503
    assert nonsense.upstream.seen == []


def test_an_engine_that_fails(nonsense: Gateway) -> None:
    """A decision under an error status is none."""
    _Nonsense.said, _Nonsense.status = said(), 500
    with nonsense.client() as agent:
        assert agent.get("/ping").status_code == 503
        assert nonsense.upstream.seen == []
        _Nonsense.status = 200
        assert agent.get("/ping").status_code == 200
