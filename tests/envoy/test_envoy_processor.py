"""What Envoy does when the processor answers late, wrongly, half or not at all."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from google.protobuf.json_format import ParseDict

from extproc.server.wire import ext_proc_pb2 as wire
from tests.support.envoy import Gateway, read_reply, until
from tests.support.envoy_processor import (
    Exchange,
    Processor,
    Script,
    allow,
    allow_headers,
    answer,
    chunk,
    hold_until,
    immediate,
    mutation,
)
from tests.support.envoy_upstream import RecordingUpstream

SECRET_BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\ntop secret!"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n"
    b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"
)


def ends_at_once(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """OK before any answer."""
    exchange.next()
    yield from ()


def fails_at_once(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Not OK before any answer."""
    exchange.next()
    exchange.fail()
    yield from ()


def says_nothing(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Reads and never answers."""
    while exchange.next() is not None:
        pass
    yield from ()


def allows_without_saying_so(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Passes everything on, without the metadata that says that it was decided."""
    while (message := exchange.next()) is not None:
        plain = answer(message)
        plain.ClearField("dynamic_metadata")
        yield plain


def blocks_in_metadata(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Passes everything on under another decision than allow."""
    while (message := exchange.next()) is not None:
        other = answer(message)
        if other.HasField("dynamic_metadata"):
            ParseDict({"holdpoint": {"decision": "hold"}}, other.dynamic_metadata)
        yield other


def answers_another_question(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Answers request headers as if they were response headers."""
    exchange.next()
    yield wire.ProcessingResponse(response_headers=wire.HeadersResponse())
    yield from says_nothing(exchange)


def moves_the_request(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Changes the path that was decided on."""
    exchange.next()
    yield allow_headers(**mutation(set_={":path": "/admin"}))
    yield from allow(exchange)


def swaps_the_host(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Changes the host."""
    exchange.next()
    yield allow_headers(**mutation(set_={":authority": "evil.test"}))
    yield from allow(exchange)


NOTHING_PASSES: list[tuple[Script, int]] = [
    (ends_at_once, 403),
    (fails_at_once, 500),
    (allows_without_saying_so, 403),
    (blocks_in_metadata, 403),
    (answers_another_question, 500),
    (moves_the_request, 500),
    (swaps_the_host, 500),
]


@pytest.mark.parametrize("path", ["/crm/a", "/files/a"])
@pytest.mark.parametrize(("script", "status"), NOTHING_PASSES, ids=[s.__name__ for s, _ in NOTHING_PASSES])
def test_nothing_passes(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, script: Script, status: int, path: str
) -> None:
    """A processor that does not clearly allow a request stops it, with and without bodies to inspect."""
    processor.script = script
    reply = gateway.request(path, method="POST", body=b"hello")
    assert upstream.seen == []
    assert reply.status == status


def test_silence_ends_in_504_where_only_headers_go(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """The message timeout bounds a processor that sees headers only."""
    processor.script = says_nothing
    assert gateway.request("/files/a", method="POST", body=b"hello").status == 504
    assert upstream.seen == []


def test_silence_is_unbounded_in_full_duplex(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """Once a body is on its way in full duplex, Envoy waits for ever, and passes nothing: the worker keeps the time."""
    processor.script = says_nothing
    with gateway.open(gateway.head("POST", "/crm/a", {"Content-Length": "5"}) + b"hello") as connection:
        connection.settimeout(1.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert upstream.seen == []
    assert processor.exchange().ended.wait(20)


def test_refusal_is_the_processors_own(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """An immediate response reaches the client as it is, and its details the access log."""

    def refuse(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        exchange.next()
        yield immediate(451, b"no\n", "holdpoint:d-7:blocked")

    processor.script = refuse
    reply = gateway.request("/crm/a")
    assert (reply.status, reply.body, upstream.seen) == (451, b"no\n", [])
    line = gateway.logged(reply)
    assert "holdpoint:d-7:blocked" in line["details"]


def test_headers_mode_shows_heads_only(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """A target that is inspected by headers sends the processor both heads, and the end."""
    assert gateway.request("/files/a", method="POST", body=b"hello").body == b"ok"
    assert upstream.seen[0].body == b"hello"
    exchange = processor.exchange()
    assert exchange.ended.wait(20)
    assert exchange.kinds == ["request_headers", "response_headers"]


def test_full_mode_names_its_body_modes(gateway: Gateway, processor: Processor) -> None:
    """The first message names the body modes in use, which the worker checks."""
    gateway.request("/crm/a")
    config = processor.exchange().messages[0].protocol_config
    duplex = wire.ProtocolConfiguration.FULL_DUPLEX_STREAMED
    assert (config.request_body_mode, config.response_body_mode) == (duplex, duplex)


def test_body_is_what_the_processor_sends(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """In both directions only the processor's bytes go on."""

    def rewrite(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            kind = message.WhichOneof("request")
            if kind == "request_body":
                yield wire.ProcessingResponse(request_body=chunk(b"in", message.request_body.end_of_stream))
            elif kind == "response_body":
                yield wire.ProcessingResponse(response_body=chunk(b"out", message.response_body.end_of_stream))
            else:
                yield answer(message)

    processor.script = rewrite
    upstream.answer = lambda _: [SECRET_BODY]
    assert gateway.request("/crm/a", method="POST", body=b"hello").body.replace(b"out", b"") == b""
    assert b"hello" not in upstream.seen[0].body


def test_tail_is_kept_when_trailers_end_the_body(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """What the processor holds back until the end arrives, before the trailers, on a route's own settings."""

    def hold_back(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        kept = b""
        while (message := exchange.next()) is not None:
            kind = message.WhichOneof("request")
            if kind == "response_body":
                kept += message.response_body.body
            elif kind == "response_trailers":
                yield wire.ProcessingResponse(response_body=chunk(kept, False))
                yield answer(message)
            else:
                yield answer(message)

    processor.script = hold_back
    upstream.answer = lambda _: [CHUNKED]
    with gateway.open(gateway.head("GET", "/crm/a", {"Connection": "close", "TE": "trailers"})) as connection:
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"hello" in received
    assert received.endswith(b"0\r\nx-sum: 1\r\n\r\n")
    assert processor.exchange().kinds[-1] == "response_trailers"


def test_failure_in_the_answer_lets_no_more_of_it_out(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """A stream that ends with an error after the response's headers passes none of its body."""

    def fail_late(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            if message.WhichOneof("request") == "response_body":
                exchange.fail()
            yield answer(message)

    processor.script = fail_late
    upstream.answer = lambda _: [SECRET_BODY]
    reply = gateway.request("/crm/a")
    assert b"secret" not in reply.body
    assert reply.status == 500 or not reply.complete


def test_ok_in_mid_answer_is_envoys_trap(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """After the response's headers a stream that ends with OK does let the rest out: no filter stands behind it in
    that direction, so the server must turn such an end into an error. If this test fails, Envoy got better."""

    def end_late(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            if message.WhichOneof("request") == "response_headers":
                yield answer(message)
                return
            yield answer(message)

    processor.script = end_late
    release = threading.Event()

    def later(_: object) -> Iterator[bytes]:
        yield SECRET_BODY[:-11]
        release.wait(20)
        yield SECRET_BODY[-11:]

    upstream.answer = later
    with gateway.open(gateway.head("GET", "/crm/a")) as connection:
        assert processor.exchange().ended.wait(20)
        until(lambda: gateway.stat("http.agents.ext_proc.holdpoint.streams_closed"), "Envoy to see the end", 5)
        release.set()
        assert read_reply(connection).body == b"top secret!"


def test_held_request_waits(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """One override of the message timeout holds a request for longer than the timeout itself."""
    release = threading.Event()
    processor.script = hold_until(release)
    timer = threading.Timer(1.5, release.set)
    timer.start()
    assert gateway.request("/crm/a", method="POST", body=b"hello").status == 200
    timer.join()
    assert len(upstream.seen) == 1


def test_route_update_leaves_a_held_request_alone(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """Another target comes and goes by routes and clusters; what is held is not touched."""
    release = threading.Event()
    processor.script = hold_until(release)
    with gateway.open(gateway.head("GET", "/crm/held")) as held:
        assert processor.exchange().first.wait(20)
        before = gateway.plan
        added = replace(before.targets[1], name="extra")
        assert gateway.apply(replace(before, targets=(*before.targets, added))) == ("cds.json", "rds.json")
        processor.script = allow
        until(lambda: gateway.request("/extra/a").status == 200, "the new target")
        assert gateway.apply(before) == ("cds.json", "rds.json")
        until(lambda: gateway.request("/extra/a").status == 404, "the target to go")
        release.set()
        assert read_reply(held).status == 200


@pytest.mark.parametrize("path", ["/crm/a", "/files/a"])
def test_leaving_client_reaches_the_processor(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, path: str
) -> None:
    """A client that gives up while held ends the stream, nothing is sent, and no worker is ejected for it."""
    release = threading.Event()
    processor.script = hold_until(release)
    connection = gateway.open(gateway.head("GET", path))
    exchange = processor.exchange()
    assert exchange.first.wait(20)
    connection.close()
    assert exchange.ended.wait(20)
    release.set()
    processor.script = allow
    assert gateway.request("/crm/b").status == 200
    assert [seen.path for seen in upstream.seen] == ["/b"]
    assert gateway.stat("cluster.workers.outlier_detection.ejections_active") == 0


def test_failing_streams_eject_nobody(gateway: Gateway, processor: Processor) -> None:
    """An agent that can make a stream fail can not take the worker away from the others."""
    processor.script = fails_at_once
    for _ in range(12):
        assert gateway.request("/crm/a").status == 500
    processor.script = allow
    assert gateway.request("/crm/a").status == 200


def test_stalled_client_does_not_stop_the_others(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream
) -> None:
    """Clients that stop reading fill their own windows and nobody else's."""
    piece = b"x" * 65536
    upstream.answer = lambda seen: (
        [b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n", *[piece] * 512]
        if seen.path == "/big"
        else [SECRET_BODY]
    )
    stalled = [gateway.open(gateway.head("GET", "/crm/big")) for _ in range(6)]
    flow = "cluster.target-crm-r1.upstream_flow_control"
    try:
        # Each paused connection stays paused once its client's buffers are full.
        until(
            lambda: gateway.stat(f"{flow}_paused_reading_total") - gateway.stat(f"{flow}_resumed_reading_total") == 6,
            "six stalled upstreams",
        )
        for _ in range(4):
            assert gateway.request("/crm/small").body == b"top secret!"
    finally:
        for connection in stalled:
            connection.close()
