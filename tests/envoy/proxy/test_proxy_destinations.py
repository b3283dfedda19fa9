"""The forward proxy: where it leads, and where it does not."""

import json
import ssl
from dataclasses import replace
from pathlib import Path

from extproc.adapters.envoy.destinations import destinations, intercepted
from extproc.adapters.envoy.plan import EnvoyPlan, ProxyPlan, Scheme, TargetPlan, TlsFiles, Upstream
from tests.support.envoy import Gateway, read_reply, start, until
from tests.support.envoy_processor import (
    Processor,
    allow,
    allow_all,
)
from tests.support.envoy_proxy import inside
from tests.support.envoy_tls import Authority, self_signed
from tests.support.envoy_upstream import RecordingUpstream

WITH_PROXY = ProxyPlan("127.0.0.1", 0)


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


def test_proxy_may_speak_tls(state: Path, plain: RecordingUpstream) -> None:
    """With a certificate for the listeners the proxy has it too, and asks for clients' certificates."""
    front = state / "front"
    front.mkdir()
    certificate, key = self_signed(front, "front")
    agents = Authority(front, "agents")
    agents.issue("robot")
    tls = TlsFiles(str(certificate), str(key), client_ca=str(front / "ca.pem"))
    target = TargetPlan("plain", Upstream(Scheme.HTTP, "127.0.0.1", plain.port))
    gateway = start(lambda _: (target,), change=lambda plan: replace(plan, proxy=WITH_PROXY, tls=tls))
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        context.load_cert_chain(front / "robot.pem")
        for line, status in (("GET http://plain.holdpoint.test/a", 200), ("CONNECT plain.holdpoint.test:80", 200)):
            raw = gateway.open(b"", port=gateway.proxy_port)
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                connection.sendall(f"{line} HTTP/1.1\r\nHost: plain.holdpoint.test:80\r\n\r\n".encode())
                assert connection.recv(12) == f"HTTP/1.1 {status}".encode()
            if gateway.processor is not None:
                seen = gateway.processor.exchanges.pop().attributes
                assert seen["connection.uri_san_peer_certificate"] == "spiffe://test/robot"
    finally:
        gateway.stop()


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


def test_targets_come_and_go(gateway: Gateway, processor: Processor, plain: RecordingUpstream) -> None:
    """A new target's listener, routes and certificate are added beside the others', whose tunnels stay open."""
    before = gateway.plan
    with gateway.tunnel("plain.holdpoint.test:80") as connection:

        def stays_open() -> None:
            # Asked after each step, for Envoy closes a tunnel through which nothing comes for ten seconds.
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: plain.holdpoint.test\r\n\r\n")
            assert read_reply(connection).status == 200

        added = replace(before.targets[0], name="extra", hosts=())
        changed = gateway.apply(replace(before, targets=(*before.targets, added)))
        assert changed[-4:] == ("routes/tunnel-extra.json", "lds.json", "routes/proxy.json", "rds.json")

        def reached() -> bool:
            try:
                inside(gateway, "extra.holdpoint.test:443", "extra.holdpoint.test").close()
            except (ssl.SSLError, ConnectionError):
                return False
            return True

        stays_open()
        until(reached, "the new target")
        stays_open()
        gateway.apply(before)
        stays_open()
        until(lambda: not reached(), "the target to go")
        stays_open()
    assert plain.seen[-1].path == "/a"
