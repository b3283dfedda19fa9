"""Tunnels whose bytes nobody reads, and ending a tunnel of either kind."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from extproc.adapters.envoy.plan import Scheme, TargetPlan, Upstream
from extproc.domain.target import Inspect
from extproc.server.wire import ext_proc_pb2 as wire
from tests.support.envoy import Gateway, read_reply
from tests.support.envoy_processor import (
    Exchange,
    Processor,
    answer,
)
from tests.support.envoy_upstream import RecordingUpstream


def test_opaque_tunnel_passes_bytes(gateway: Gateway, processor: Processor, secure: RecordingUpstream) -> None:
    """The client speaks TLS with the upstream itself; the processor sees the tunnel begin and end."""
    certificate = gateway.state / "back" / "cert.pem"
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    with context.wrap_socket(gateway.tunnel("dark.test:443"), server_hostname="dark.test") as connection:
        assert connection.getpeercert(True) == ssl.PEM_cert_to_DER_cert(certificate.read_text())
        head = b"GET /anything HTTP/1.1\r\nHost: any.test\r\nX-Holdpoint-Ticket: mine\r\n\r\n"
        connection.sendall(head)
        assert read_reply(connection).status == 200
        exchange = processor.exchange()
        assert not exchange.ended.is_set()
    assert exchange.ended.wait(20)
    assert exchange.told == {"target": "dark", "revision": "0", "via": "connect"}
    assert exchange.kinds == ["request_headers", "response_headers"]
    assert secure.seen[0].head == head
    line = gateway.access_log(
        lambda line: line["target"] == "dark" and line["method"] == "CONNECT" and line["bytes_in"]
    )
    assert line["bytes_in"] > len(head)


def test_opaque_tunnel_may_begin_with_the_server(gateway: Gateway) -> None:
    """Where the upstream speaks no TLS, nothing waits for the client's first byte."""

    class Greeting(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"SSH-2.0-hello\r\n")
            self.wfile.write(self.rfile.readline())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = int(server.server_address[1])
        before = gateway.plan
        shell = TargetPlan("shell", Upstream(Scheme.HTTP, "127.0.0.1", port), inspect=Inspect.OPAQUE, opaque=True)
        try:
            gateway.apply(replace(before, targets=(*before.targets, shell)))
            with gateway.tunnel(f"shell.holdpoint.test:{port}") as connection:
                stream = connection.makefile("rwb", 0)
                assert stream.readline() == b"SSH-2.0-hello\r\n"
                stream.write(b"me too\n")
                assert stream.readline() == b"me too\n"
        finally:
            gateway.apply(before)
            server.shutdown()


def test_opaque_target_has_no_other_way_in(gateway: Gateway, processor: Processor) -> None:
    """Not by path and not by host."""
    assert gateway.request("/dark/a").status == 404
    assert gateway.request("/a", headers={"Host": "dark.test"}).status == 404
    assert [exchange.told["refuse"] for exchange in processor.exchanges] == ["unknown-target"] * 2


@pytest.mark.parametrize("authority", ["dark.test:443", "web.holdpoint.test:443"])
def test_breaking_off_ends_a_tunnel(gateway: Gateway, processor: Processor, authority: str) -> None:
    """The processor ends a tunnel that is open, whatever is inside, by ending its stream with an error."""
    order = threading.Event()

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            yield answer(message)
            if message.HasField("response_headers"):
                order.wait(20)
                exchange.fail()

    processor.script = script
    with gateway.tunnel(authority) as connection:
        assert processor.exchange().answered.wait(20)
        order.set()
        assert connection.recv(1) == b""
