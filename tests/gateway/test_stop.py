"""Stopping a gateway as its operator does."""

import signal
import threading
from collections.abc import Iterable

import httpx

from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway


def test_what_is_under_way_finishes_before_the_gateway_stops() -> None:
    """SIGTERM while an answer streams: the client gets all of it, new connections are refused, the exit code is 0."""
    gateway = Gateway().start()
    release, started = threading.Event(), threading.Event()

    def slow(_: Seen) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n6\r\nfirst \r\n"
        started.set()
        release.wait(30)
        yield b"4\r\nlast\r\n0\r\n\r\n"

    gateway.upstream.answer = slow
    replies: list[httpx.Response] = []

    def ask() -> None:
        with gateway.client() as agent:
            replies.append(agent.get("/slow"))

    asking = threading.Thread(target=ask)
    asking.start()
    started.wait(30)
    codes: list[int] = []
    stopping = threading.Thread(target=lambda: codes.append(gateway.stop()))
    stopping.start()
    gateway.wait_log(lambda entry: str(entry.get("message")).startswith("stopping"))
    release.set()
    asking.join(30)
    stopping.join(60)
    assert [r.text for r in replies] == ["first last"]
    assert codes == [0]


def test_a_second_interrupt_cuts_the_stop_short() -> None:
    """While an answer streams that would take for ever: the gateway ends without waiting for it, and takes all of its
    programs along."""
    gateway = Gateway().start()
    release, started = threading.Event(), threading.Event()

    def slow(_: Seen) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n6\r\nfirst \r\n"
        started.set()
        release.wait(60)

    gateway.upstream.answer = slow
    ended: list[str] = []

    def ask() -> None:
        with gateway.client() as agent:
            try:
                agent.get("/slow")
            except httpx.HTTPError as error:
                ended.append(type(error).__name__)

    asking = threading.Thread(target=ask)
    asking.start()
    started.wait(30)
    gateway.signal(signal.SIGINT)
    gateway.wait_log(lambda entry: str(entry.get("message")).startswith("stopping: "))
    gateway.signal(signal.SIGINT)
    gateway.wait_log(lambda entry: str(entry.get("message")).startswith("stopping at once"))
    asking.join(30)
    assert len(ended) == 1
    release.set()
    gateway.stop()
