"""The forward proxy: where it leads, and where it does not."""

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.envoy.destinations import destinations, intercepted
from extproc.adapters.envoy.plan import Credential, EnvoyPlan, ProxyPlan, Scheme, TargetPlan, Upstream
from extproc.domain.target import Inspect
from extproc.server.wire import ext_proc_pb2 as wire
from tests.support.envoy import Gateway, read_reply, start, state_directory, until
from tests.support.envoy_processor import TICKET, Exchange, Processor, Script, allow, allow_all, answer, immediate
from tests.support.envoy_tls import self_signed
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"
WITH_PROXY = ProxyPlan("127.0.0.1", 0)


@pytest.fixture(scope="module")
def state() -> Path:
    """A state directory with the TLS upstream's certificate, for `localhost`, and a credential."""
    found = state_directory()
    (found / "back").mkdir()
    self_signed(found / "back", "back")
    (found / "secret").write_text(SECRET)
    return found


@pytest.fixture(scope="module")
def secure(state: Path) -> Iterator[RecordingUpstream]:
    """An upstream that speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(state / "back" / "cert.pem", state / "back" / "key.pem")
    server = RecordingUpstream(context)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plain() -> Iterator[RecordingUpstream]:
    """An upstream that does not."""
    server = RecordingUpstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running(state: Path, secure: RecordingUpstream, plain: RecordingUpstream) -> Iterator[Gateway]:
    """A gateway with a proxy: web (https below /v1, with a credential), plain (http), based (http below /v1) and dark
    (opaque, https)."""
    ca = str(state / "back" / "cert.pem")
    web = Upstream(Scheme.HTTPS, "localhost", secure.port, "/v1", ca=ca)
    targets = (
        TargetPlan("web", web, ("localhost",), Credential(str(state / "secret")), revision="r1"),
        TargetPlan("plain", Upstream(Scheme.HTTP, "127.0.0.1", plain.port)),
        TargetPlan("based", Upstream(Scheme.HTTP, "localhost", plain.port, "/v1")),
        TargetPlan("dark", replace(web, path="/"), ("dark.test",), inspect=Inspect.OPAQUE, opaque=True),
    )
    found = start(lambda _: targets, change=lambda plan: replace(plan, proxy=WITH_PROXY), state=state)
    yield found
    found.stop()


@pytest.fixture
def gateway(running: Gateway, secure: RecordingUpstream, plain: RecordingUpstream) -> Gateway:
    """The module's gateway with nothing left over from an earlier test."""
    if running.processor is not None:
        running.processor.reset()
    secure.reset()
    plain.reset()
    return running


@pytest.fixture
def processor(gateway: Gateway) -> Processor:
    """The module's scripted processor."""
    if gateway.processor is None:
        raise RuntimeError("no processor")
    return gateway.processor


def inside(
    gateway: Gateway, authority: str, name: str | None, *, alpn: str = "http/1.1", ca: Path | None = None
) -> ssl.SSLSocket:
    """A TLS connection to the name through a tunnel to the authority. Raises ssl.SSLError and ConnectionError."""
    context = ssl.create_default_context(cafile=str(ca or gateway.state / "keys" / "ca.crt"))
    context.check_hostname = name is not None
    context.set_alpn_protocols([alpn])
    raw = gateway.tunnel(authority)
    try:
        return context.wrap_socket(raw, server_hostname=name)
    except OSError:
        raw.close()
        raise


def test_whole_address_goes_to_its_target(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """By the upstream's own address and by the target's name; byte for byte what a direct request sends."""
    for address in (f"http://127.0.0.1:{plain.port}/a?b=1", "http://plain.holdpoint.test/a?b=1"):
        headers = {"Proxy-Authorization": "Basic x", "Proxy-Connection": "keep-alive", "Accept": "a/b"}
        reply = gateway.proxied(f"GET {address} HTTP/1.1", "ignored.test", headers)
        assert reply.status == 200
        seen = plain.seen.pop()
        expected = f"GET /a?b=1 HTTP/1.1\r\nhost: 127.0.0.1:{plain.port}\r\naccept: a/b\r\n"
        assert seen.head.decode() == f"{expected}x-request-id: {reply.headers['x-request-id']}\r\n\r\n"
        exchange = processor.exchanges.pop()
        assert exchange.told == {"target": "plain", "revision": "0", "via": "proxy"}
        assert exchange.headers["proxy-authorization"] == ["Basic x"]
        assert gateway.logged(reply)["via"] == "proxy"


def test_base_path_is_part_of_the_upstreams_own_address(
    gateway: Gateway, processor: Processor, plain: RecordingUpstream
) -> None:
    """Whoever asks for the upstream itself writes the whole path; whoever asks for the target, what is below."""
    rows = [
        (f"http://localhost:{plain.port}/v1/a", "/v1/a", "/v1"),
        (f"http://localhost:{plain.port}/v1", "/v1", "/v1"),
        ("http://based.holdpoint.test/a", "/v1/a", ""),
    ]
    for address, arrived, strip in rows:
        assert gateway.proxied(f"GET {address} HTTP/1.1", "x").status == 200
        assert plain.seen.pop().path == arrived
        assert processor.exchanges.pop().told.get("strip", "") == strip
    for path in ("/a", "/v1x", "/v1/../a"):
        assert gateway.proxied(f"GET http://localhost:{plain.port}{path} HTTP/1.1", "x").status == 403
    assert plain.seen == []


def nowhere(plain_port: int, secure_port: int, own_port: int) -> list[tuple[str, str, str]]:
    """Request line, code and way of requests that must lead nowhere."""
    unexpected = "unexpected-destination"
    return [
        ("GET http://other.test/a", unexpected, "proxy"),
        (f"GET http://127.0.0.1:{own_port}/crm/a", unexpected, "proxy"),
        ("GET http://169.254.169.254/latest", unexpected, "proxy"),
        # Another port of a host that is known.
        (f"GET http://127.0.0.1:{plain_port + 1}/a", unexpected, "proxy"),
        ("GET http://web.holdpoint.test/a", unexpected, "proxy"),
        (f"GET http://localhost:{secure_port}/v1/a", unexpected, "proxy"),
        ("GET http://dark.test/a", unexpected, "proxy"),
        # What the gateway's own listener is for.
        ("GET /plain/a", unexpected, "proxy"),
        ("TRACE http://plain.holdpoint.test/a", "method-refused", "proxy"),
        ("GET http://plain.holdpoint.test/a%252fb", "ambiguous-path", "proxy"),
        ("CONNECT other.test:443", unexpected, "connect"),
        (f"CONNECT 127.0.0.1:{own_port}", unexpected, "connect"),
        # A known host with another port.
        ("CONNECT web.holdpoint.test:22", unexpected, "connect"),
        ("CONNECT web.holdpoint.test:4430", unexpected, "connect"),
        (f"CONNECT 127.0.0.1:{secure_port}", unexpected, "connect"),
    ]


def test_everything_else_leads_nowhere(
    gateway: Gateway, processor: Processor, plain: RecordingUpstream, secure: RecordingUpstream
) -> None:
    """The processor refuses and has the credential; were it to let one through, Envoy's own answer stands behind."""
    for line, code, via in nowhere(plain.port, secure.port, gateway.port):
        host = line.split(" ")[1] if line.startswith("CONNECT") else "gateway"
        for script, direct in ((allow, False), (allow_all, True)):
            processor.script = script
            reply = gateway.proxied(f"{line} HTTP/1.1", host, {"Proxy-Authorization": "Basic x"})
            assert reply.status in (400, 403, 405), line
            exchange = processor.exchanges.pop()
            assert exchange.told == {"refuse": code, "via": via}, line
            assert exchange.headers["proxy-authorization"] == ["Basic x"]
            assert (json.loads(reply.body)["error"]["code"] if direct else reply.body.decode()) == code
    assert (plain.seen, secure.seen) == ([], [])


def test_refused_by_envoy(gateway: Gateway, plain: RecordingUpstream) -> None:
    """An https address on a connection without TLS, and a tunnel to a host without a port."""
    assert gateway.proxied("GET https://plain.holdpoint.test/a HTTP/1.1", "x").status == 403
    assert gateway.proxied("CONNECT plain.holdpoint.test HTTP/1.1", "plain.holdpoint.test").status == 400
    assert plain.seen == []


def test_upgrade_is_refused(gateway: Gateway, plain: RecordingUpstream) -> None:
    """CONNECT is the only upgrade."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert gateway.proxied("GET http://plain.holdpoint.test/a HTTP/1.1", "x", headers).status == 403
    assert plain.seen == []


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
    connect = gateway.access_log(
        lambda line: line["source"] == line_source(gateway, reply) and line["method"] == "CONNECT"
    )
    assert (connect["decision"], connect["via"]) == ("d-1", "proxy")


def line_source(gateway: Gateway, reply: object) -> str:
    """The client's address that the line of an answer has."""
    return str(gateway.logged(reply)["source"])  # type: ignore[arg-type]


def test_plain_tunnel_is_intercepted(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """So is one to an upstream without TLS."""
    with gateway.tunnel(f"127.0.0.1:{plain.port}") as connection:
        connection.sendall(f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{plain.port}\r\n\r\n".encode())
        assert read_reply(connection).status == 200
    assert processor.exchange(1).headers["x-holdpoint-ticket"] == [TICKET]
    assert plain.seen[0].path == "/a"


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


def test_targets_come_and_go(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """A new target's listener, routes and certificate are added beside the others', whose tunnels stay open."""
    before = gateway.plan
    with gateway.tunnel("plain.holdpoint.test:80") as connection:
        added = replace(before.targets[0], name="extra", hosts=())
        changed = gateway.apply(replace(before, targets=(*before.targets, added)))
        assert changed[-4:] == ("routes/tunnel-extra.json", "lds.json", "routes/proxy.json", "rds.json")

        def reached() -> bool:
            try:
                inside(gateway, "extra.holdpoint.test:443", "extra.holdpoint.test").close()
            except (ssl.SSLError, ConnectionError):
                return False
            return True

        until(reached, "the new target")
        gateway.apply(before)
        until(lambda: not reached(), "the target to go")
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: plain.holdpoint.test\r\n\r\n")
        assert read_reply(connection).status == 200
    assert plain.seen[-1].path == "/a"


def test_shared_upstream_is_nobodys() -> None:
    """An upstream that two targets have stands for neither, unless its host was given to one."""
    here = Upstream(Scheme.HTTPS, "api.test", 443, ca="ca.pem")
    one, two = TargetPlan("one", here), TargetPlan("two", here)
    plan = EnvoyPlan("127.0.0.1", 1, "hp.test", (one, two), 1, proxy=WITH_PROXY)
    found = destinations(plan)
    assert [found[name].real for name in ("one", "two")] == [(), ()]
    assert found["one"].given == ("one.hp.test:443", "one.hp.test")
    given = replace(plan, targets=(replace(one, hosts=("api.test",)), two))
    assert destinations(given)["one"].real == ("api.test:443", "api.test")
    assert intercepted(given) == {"one": ("api.test", "one.hp.test"), "two": ("two.hp.test",)}
