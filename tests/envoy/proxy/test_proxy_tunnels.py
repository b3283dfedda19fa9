"""Tunnels that are intercepted: what is inside goes through the same filters as any request."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from extproc.adapters.ca import ensure_ca, ensure_leaf
from extproc.adapters.envoy.destinations import intercepted
from extproc.adapters.envoy.secrets import LEAVES
from extproc.server.wire import ext_proc_pb2 as wire
from tests.support.envoy import Gateway, read_reply, until
from tests.support.envoy_processor import (
    TICKET,
    Exchange,
    Processor,
    Script,
    allow,
    allow_all,
    allow_connect,
    answer,
    immediate,
)
from tests.support.envoy_proxy import inside
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"


@pytest.mark.parametrize(("authority", "path"), [("localhost:{}", "/v1/a?b=1"), ("web.holdpoint.test:443", "/a?b=1")])
def test_tunnel_is_intercepted(
    gateway: Gateway, processor: Processor, secure: RecordingUpstream, authority: str, path: str
) -> None:
    """What is inside goes through the same filters, with the tunnel's ticket in place of what the client wrote, and
    reaches the upstream as any request does, with the real credential."""
    authority = authority.format(secure.port)
    host = authority.partition(":")[0]
    with inside(gateway, authority, host) as connection:
        claims = "Authorization: Bearer shown\r\nX-Holdpoint-Ticket: forged\r\nX-Holdpoint-Target: dark\r\n"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n{claims}\r\n".encode())
        reply = read_reply(connection)
    assert reply.status == 200
    opened, asked = processor.exchange(0), processor.exchange(1)
    assert opened.told == {"target": "web", "revision": "r1", "via": "connect"}
    assert asked.told | {"strip": ""} == {"target": "web", "revision": "r1", "via": "tunnel", "strip": ""}
    assert asked.headers["x-holdpoint-ticket"] == [TICKET]
    assert asked.headers["authorization"] == ["Bearer shown"]
    assert "x-holdpoint-target" not in asked.headers
    identity = reply.headers["x-request-id"]
    assert secure.seen[0].head.decode() == (
        f"GET /v1/a?b=1 HTTP/1.1\r\nhost: localhost:{secure.port}\r\nx-request-id: {identity}\r\n"
        f"authorization: Bearer {SECRET}\r\n\r\n"
    )
    line = gateway.logged(reply)
    assert (line["via"], line["server_name"]) == ("tunnel", host)
    connect = gateway.access_log(lambda found: found["source"] == line["source"] and found["method"] == "CONNECT")
    assert (connect["decision"], connect["via"]) == ("d-1", "proxy")


def test_plain_tunnel_is_intercepted(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """So is one to an upstream without TLS."""
    with gateway.tunnel(f"127.0.0.1:{plain.port}") as connection:
        connection.sendall(f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{plain.port}\r\n\r\n".encode())
        assert read_reply(connection).status == 200
    assert processor.exchange(1).headers["x-holdpoint-ticket"] == [TICKET]
    assert plain.seen[0].path == "/a"


@pytest.mark.parametrize("through", ["the proxy", "a tunnel"])
def test_what_could_not_be_masked_is_taken_off_answers(
    gateway: Gateway, plain: RecordingUpstream, through: str
) -> None:
    """As on the agents' own listener."""
    authority = f"127.0.0.1:{plain.port}"
    told = "host: told\r\nx-envoy-any: told\r\nx-forwarded-any: told\r\nx-plain: kept\r\n"
    plain.answer = lambda _: [f"HTTP/1.1 200 OK\r\n{told}content-length: 0\r\n\r\n".encode()]
    if through == "a tunnel":
        with gateway.tunnel(authority) as connection:
            connection.sendall(f"GET /a HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            reply = read_reply(connection)
    else:
        reply = gateway.proxied(f"GET http://{authority}/a HTTP/1.1", authority)
    assert (reply.status, reply.headers["x-plain"]) == (200, "kept")
    assert "told" not in reply.headers.values()


def test_address_has_no_server_name(gateway: Gateway, processor: Processor, secure: RecordingUpstream) -> None:
    """A client that connects to an address asks for no name, and is shown a certificate for the address."""
    authority = f"127.0.0.2:{secure.port}"
    with inside(gateway, authority, "127.0.0.2") as connection:
        connection.sendall(f"GET /a HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert read_reply(connection).status == 503
    assert processor.exchange(1).told == {"target": "numeric", "revision": "0", "via": "tunnel"}
    assert processor.exchange(1).attributes["connection.requested_server_name"] == ""


def test_ordinary_clients_work(gateway: Gateway, secure: RecordingUpstream) -> None:
    """curl, with HTTP/2 inside, trusting the gateway's authority and nothing else."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl")
    proxy = ["--noproxy", "", "--proxy", f"http://agent:token@127.0.0.1:{gateway.proxy_port}"]
    trust = ["--cacert", str(gateway.state / "keys" / "ca.crt")]
    said = ["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{http_connect}"]
    address = f"https://localhost:{secure.port}/v1/a"
    done = subprocess.run([curl, *said, *proxy, *trust, address], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2 200 200", "")


NO_TLS = [
    ("another target's name", "web.holdpoint.test:443", "dark.test"),
    ("another name", "web.holdpoint.test:443", "other.test"),
    ("no name", "web.holdpoint.test:443", None),
    ("another name, opaque", "dark.test:443", "web.holdpoint.test"),
    ("no name, opaque", "dark.test:443", None),
]


@pytest.mark.parametrize(("authority", "name"), [row[1:] for row in NO_TLS], ids=[row[0] for row in NO_TLS])
def test_tunnel_is_for_its_targets_names(
    gateway: Gateway, processor: Processor, secure: RecordingUpstream, authority: str, name: str | None
) -> None:
    """TLS for any other name, or for none, ends the connection, with a line in the access log."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        inside(gateway, authority, name)
    target = "dark" if "dark" in authority else "web"
    line = gateway.access_log(
        lambda line: (
            line["details"].startswith("connection:") and line["target"] == target and line["server_name"] == name
        )
    )
    assert (line["via"], line["response_flags"], line["decision"]) == ("tunnel", "NR", None)
    assert line["source"].startswith("127.0.0.1:")
    assert secure.seen == []


def test_no_tls_where_it_has_to_be(gateway: Gateway, secure: RecordingUpstream) -> None:
    """Nor do plain bytes reach a target that speaks TLS, intercepted or opaque, or TLS one that does not."""
    for authority in ("web.holdpoint.test:443", "dark.test:443"):
        with gateway.tunnel(authority) as connection:
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: web.holdpoint.test\r\n\r\n")
            assert not read_reply(connection).status
    with pytest.raises((ssl.SSLError, ConnectionError)):
        inside(gateway, "plain.holdpoint.test:80", "plain.holdpoint.test")
    assert secure.seen == []


@pytest.mark.parametrize("script", [allow, allow_all], ids=["refused", "let through"])
@pytest.mark.parametrize("host", ["dark.test", "other.test", "web.holdpoint.test:8443", "plain.holdpoint.test"])
def test_tunnel_is_for_its_targets_hosts(
    gateway: Gateway, processor: Processor, secure: RecordingUpstream, host: str, script: Script
) -> None:
    """A request for another host inside a tunnel is refused, and has a record."""
    with inside(gateway, "web.holdpoint.test:443", "web.holdpoint.test") as connection:
        processor.script = script
        connection.sendall(f"GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert read_reply(connection).status == 421
    exchange = processor.exchange(1)
    assert exchange.told == {"refuse": "misdirected", "via": "tunnel"}
    assert exchange.headers["x-holdpoint-ticket"] == [TICKET]
    assert secure.seen == []


def test_no_tunnel_in_a_tunnel(gateway: Gateway, secure: RecordingUpstream) -> None:
    """CONNECT and Upgrade are refused inside."""
    for line in ("CONNECT dark.test:443", "GET /a"):
        with inside(gateway, "web.holdpoint.test:443", "web.holdpoint.test") as connection:
            upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            connection.sendall(f"{line} HTTP/1.1\r\nHost: web.holdpoint.test\r\n{upgrade}\r\n".encode())
            assert read_reply(connection).status == 403
    assert secure.seen == []


def test_tunnel_without_a_ticket_shows_none(gateway: Gateway, processor: Processor, secure: RecordingUpstream) -> None:
    """A processor that gave no ticket sees none inside, above all not the client's."""
    processor.script = allow_all
    with inside(gateway, "web.holdpoint.test:443", "web.holdpoint.test") as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: web.holdpoint.test\r\nX-Holdpoint-Ticket: forged\r\n\r\n")
        assert read_reply(connection).status == 200
    assert processor.exchange(1).headers.get("x-holdpoint-ticket", []) in ([], ["-"])


def test_each_tunnel_has_its_own_ticket(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """Many at a time, some of which are given up at once: every request shows the ticket of its own tunnel."""

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        while (message := exchange.next()) is not None:
            opening = exchange.told["via"] == "connect" and message.HasField("request_headers")
            yield allow_connect(exchange.headers["proxy-authorization"][0]) if opening else answer(message)

    processor.script = script
    host = "plain.holdpoint.test"

    def ask(who: int) -> bytes:
        for _ in range(2):
            authority = f"{host}:80"
            given_up = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: gone\r\n\r\n"
            gateway.open(given_up.encode(), port=gateway.proxy_port).close()
        with gateway.tunnel(f"{host}:80", {"Proxy-Authorization": f"client-{who}"}) as connection:
            connection.sendall(f"GET /{who} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return read_reply(connection).body

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(24))) == {b"ok"}
    inside_them = [exchange for exchange in processor.exchanges if exchange.told["via"] == "tunnel"]
    shown = {exchange.headers[":path"][0]: exchange.headers["x-holdpoint-ticket"] for exchange in inside_them}
    assert shown == {f"/{who}": [f"client-{who}"] for who in range(24)}


def ends_at_once(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """OK before any answer."""
    exchange.next()
    yield from ()


def refuses(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """An answer of the processor's own."""
    exchange.next()
    yield immediate(407, b"who are you?", "holdpoint:d-2:identity-missing")


@pytest.mark.parametrize("authority", ["web.holdpoint.test:443", "dark.test:443", "plain.holdpoint.test:80"])
def test_tunnel_needs_a_decision(gateway: Gateway, processor: Processor, authority: str) -> None:
    """Refused as the processor says, and also where it ends the stream with OK before it says anything."""
    processor.script = refuses
    assert gateway.proxied(f"CONNECT {authority} HTTP/1.1", authority).status == 407
    processor.script = ends_at_once
    assert gateway.proxied(f"CONNECT {authority} HTTP/1.1", authority).status == 403


def test_request_in_a_tunnel_needs_a_decision(
    gateway: Gateway, processor: Processor, secure: RecordingUpstream
) -> None:
    """An open tunnel is no decision on what is inside."""
    with inside(gateway, "web.holdpoint.test:443", "web.holdpoint.test") as connection:
        processor.script = ends_at_once
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: web.holdpoint.test\r\n\r\n")
        assert read_reply(connection).status == 403
    assert secure.seen == []


def test_certificate_is_renewed(gateway: Gateway) -> None:
    """A new certificate of a target is shown in new tunnels, without a change of configuration."""

    def shown() -> bytes | None:
        try:
            with inside(gateway, "web.holdpoint.test:443", "web.holdpoint.test") as connection:
                return connection.getpeercert(True)
        except (ssl.SSLError, ConnectionError):
            return None

    before = shown()
    hosts = (*intercepted(gateway.plan)["web"], "more.test")
    assert ensure_leaf(ensure_ca(gateway.state / "keys"), gateway.state / "envoy" / LEAVES, "web", hosts)
    until(lambda: shown() not in (None, before), "the next certificate")
