"""A target that is inspected by headers: the processor stays with an exchange to its end, and can end it."""

import threading
from collections.abc import Iterator

import pytest

from extproc.server.wire import ext_proc_pb2 as wire
from tests.support.envoy import Gateway, read_reply
from tests.support.envoy_processor import Exchange, Processor, Script, answer
from tests.support.envoy_upstream import RecordingUpstream, Seen

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"


class Download:
    """An answer of which the first five bytes come at once and the rest when it is let go."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, _: Seen) -> Iterator[bytes]:
        yield HEAD + b"first"
        self.release.wait(20)
        yield b"top secret!"


@pytest.fixture
def download(upstream: RecordingUpstream) -> Iterator[Download]:
    """The upstream answers with one."""
    found = Download()
    upstream.answer = found
    yield found
    found.release.set()


def broken_off(order: threading.Event) -> Script:
    """Pass everything on, and break off when ordered."""

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            yield answer(message)
            if message.HasField("response_headers"):
                order.wait(20)
                exchange.fail()

    return script


def test_breaking_off_ends_a_download(gateway: Gateway, processor: Processor, download: Download) -> None:
    """What came so far has come; the client's stream is reset and nothing more arrives."""
    order = threading.Event()
    processor.script = broken_off(order)
    with gateway.open(gateway.head("GET", "/files/a")) as connection:
        received = b""
        while not received.endswith(b"first"):
            received += connection.recv(65536)
        order.set()
        assert processor.exchange().ended.wait(20)
        assert connection.recv(65536) == b""
        download.release.set()


def test_breaking_off_ends_an_upload(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """A request whose body is still on its way ends too, with 500, and its upstream never has it whole."""
    order = threading.Event()

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        first = exchange.next()
        if first is not None:
            yield answer(first)
            order.wait(20)
            exchange.fail()

    processor.script = script
    with gateway.open(gateway.head("POST", "/files/a", {"Content-Length": "10"}) + b"hello") as connection:
        assert processor.exchange().first.wait(20)
        order.set()
        assert read_reply(connection).status == 500
    assert all(seen.body == b"hello" for seen in upstream.seen)


def test_trailers_of_a_request_wait_for_the_processor(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """They are shown to it before the request's end goes on; where it breaks off the upstream never has it whole."""

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            if message.HasField("request_trailers"):
                exchange.fail()
            yield answer(message)

    processor.script = script
    head = gateway.head("POST", "/files/a", {"Transfer-Encoding": "chunked"})
    with gateway.open(head + b"5\r\nhello\r\n0\r\nx-late: 1\r\n\r\n") as connection:
        assert read_reply(connection).status == 500
    assert processor.exchange().kinds == ["request_headers", "request_trailers"]
    # Another test's upload may only now have ended there.
    bodies = {seen.body for seen in upstream.seen if "transfer-encoding" in seen.headers}
    assert bodies <= {b"", b"5\r\nhello\r\n"}


def test_processor_stays_to_the_end(gateway: Gateway, processor: Processor, download: Download) -> None:
    """The stream lasts as long as the exchange: Envoy waits for trailers that need not come."""
    with gateway.open(gateway.head("GET", "/files/a")) as connection:
        received = b""
        while not received.endswith(b"first"):
            received += connection.recv(65536)
        exchange = processor.exchange()
        assert exchange.answered.wait(20)
        assert not exchange.ended.is_set()
        download.release.set()
        assert exchange.ended.wait(20)
    assert exchange.kinds == ["request_headers", "response_headers"]


def test_leaving_client_is_seen(gateway: Gateway, processor: Processor, download: Download) -> None:
    """A client that goes in mid-download ends the stream."""
    with gateway.open(gateway.head("GET", "/files/a")) as connection:
        received = b""
        while not received.endswith(b"first"):
            received += connection.recv(65536)
    assert processor.exchange().ended.wait(20)


def test_trailers_come_too(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """An answer that ends with trailers sends those, and they go on."""
    upstream.answer = lambda _: [CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"]
    head = gateway.head("GET", "/files/a", {"Connection": "close", "TE": "trailers"})
    with gateway.open(head) as connection:
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.endswith(b"0\r\nx-sum: 1\r\n\r\n")
    assert processor.exchange().kinds == ["request_headers", "response_headers", "response_trailers"]
