"""The forward proxy of a whole gateway, as ordinary clients use it and as hostile ones try to."""

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.envoy import Reply, read_reply
from tests.support.envoy_tls import self_signed
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.flows import Asking, ask_raw, connect, tunnel, until
from tests.support.gateway import CREDENTIAL, Gateway

CARD = "4111111111111111"
UNEXPECTED = "urn:holdpoint:refusal:unexpected-destination"


class Proxied:
    """A gateway with a forward proxy; target `web` is an upstream with TLS that only the gateway trusts. Its name
    server never answers."""

    def __init__(self) -> None:
        self.gateway = Gateway(proxy=True)
        certificate, key = self_signed(self.gateway.folder, "web")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self.web = RecordingUpstream(context)
        self.at = f"localhost:{self.web.port}"
        (self.gateway.folder / "targets.d").mkdir()
        web = f'{{upstream: "https://{self.at}", ca: "{certificate}", credential: credential}}'
        (self.gateway.folder / "targets.d" / "web.yaml").write_text(f"web: {web}\n")
        self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.names.bind(("127.0.0.1", 0))
        self.names.setblocking(False)
        with self.gateway.config.open("a") as file:
            file.write(f'dns: {{servers: ["127.0.0.1:{self.names.getsockname()[1]}"]}}\n')
        self.authority = self.gateway.folder / "ca.pem"

    def start(self) -> None:
        """Start it, and write the authority that its agents have to trust."""
        self.gateway.start()
        shown = self.gateway.administer("ca", "show")
        assert shown.returncode == 0, shown.stderr
        self.authority.write_text(shown.stdout)

    def stop(self) -> None:
        """Stop everything."""
        self.gateway.stop()
        self.web.stop()
        self.names.close()

    def url(self, subject: str) -> str:
        """The proxy with a principal's token, as HTTPS_PROXY has it."""
        return f"http://agent:{self.gateway.agents.token(subject)}@127.0.0.1:{self.gateway.proxy_port}"

    def client(self, subject: str) -> httpx.Client:
        """A client that goes through it."""
        trusted = ssl.create_default_context(cafile=str(self.authority))
        return httpx.Client(proxy=self.url(subject), verify=trusted, timeout=30)

    def inside(self, subject: str, name: str = "localhost", authority: str = "") -> ssl.SSLSocket:
        """TLS for a server name, in a tunnel to an authority (the upstream's)."""
        raw = tunnel(self.gateway, authority or self.at, self.gateway.agents.token(subject))
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols(["http/1.1"])
        try:
            return context.wrap_socket(raw, server_hostname=name)
        except OSError:
            raw.close()
            raise

    def ask_inside(self, subject: str, *lines: str, host: str = "") -> Reply:
        """One request in a tunnel of its own."""
        with self.inside(subject) as connection:
            head = [lines[0], f"Host: {host or self.at}", *lines[1:]]
            connection.sendall("".join(f"{line}\r\n" for line in [*head, ""]).encode())
            return read_reply(connection)


@pytest.fixture(scope="module")
def started() -> Iterator[Proxied]:
    """One for the module."""
    made = Proxied()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def proxied(started: Proxied) -> Proxied:
    """The module's, its upstreams' memory empty."""
    started.gateway.upstream.reset()
    started.web.reset()
    return started


def last(gateway: Gateway, subject: str) -> dict[str, object]:
    """The last decision on a principal."""
    return [d for d in gateway.records("decision") if d["principal"]["subject"] == subject][-1]


def test_curl_reaches_targets_by_their_own_names(proxied: Proxied) -> None:
    """http in absolute form, https in a tunnel, with the identity in the proxy's address and nothing else changed."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl")
    gateway = proxied.gateway
    for address, upstream in (
        (f"http://127.0.0.1:{gateway.upstream.port}/plain?q=1", gateway.upstream),
        (f"http://crm.holdpoint.internal:{gateway.upstream.port}/named", gateway.upstream),
        (f"https://{proxied.at}/secure?q=2", proxied.web),
    ):
        upstream.reset()
        proxy = ["--noproxy", "", "-x", proxied.url("curl"), "--cacert", str(proxied.authority)]
        said = subprocess.run(
            [curl, "-sS", "-m", "20", "-w", " %{http_code}", *proxy, address],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (said.stdout, said.stderr) == ("ok 200", ""), address
        (seen,) = upstream.seen
        assert seen.path == "/" + address.split("/", 3)[3]
        assert seen.headers["authorization"] == [f"Bearer {CREDENTIAL}"]
        assert "proxy-authorization" not in seen.headers
        assert last(gateway, "curl")["decision"]["effect"] == "allow"  # type: ignore[index]


def test_a_client_needs_only_its_environment(proxied: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY, HTTPS_PROXY and SSL_CERT_FILE."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name.lower(), proxied.url("env"))
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(proxied.authority))
    with httpx.Client(timeout=30) as agent:
        assert agent.get(f"https://{proxied.at}/a").text == "ok"
        assert agent.get(f"http://127.0.0.1:{proxied.gateway.upstream.port}/b").text == "ok"
    assert [s.path for s in (*proxied.web.seen, *proxied.gateway.upstream.seen)] == ["/a", "/b"]


@pytest.mark.parametrize("tls", [True, False])
def test_policies_apply(proxied: Proxied, tls: bool) -> None:
    """In a tunnel and outside: masked, blocked, and held until a person says yes."""
    gateway, upstream = proxied.gateway, proxied.web if tls else proxied.gateway.upstream
    address = f"https://{proxied.at}" if tls else f"http://127.0.0.1:{upstream.port}"
    body = json.dumps({"card": CARD, "name": "Ada"}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    upstream.answer = lambda _: [head + body]
    with proxied.client("ruled") as agent:
        read = agent.get(f"{address}/customers/7")
        assert (read.status_code, read.json()["name"]) == (200, "Ada")
        assert CARD not in read.text
        blocked = agent.delete(f"{address}/customers")
        assert (blocked.status_code, blocked.headers["content-type"]) == (403, "application/problem+json")
    assert len(upstream.seen) == 1
    asking = Asking(proxied.client("ruled"), "POST", f"{address}/customers/7/refunds", json={"amount": 25})
    hold = gateway.wait_pending()
    assert len(upstream.seen) == 1
    approved = gateway.holdpoint("holds", "approve", hold["id"], "--reason", "yes", groups=("finance",))
    assert approved.returncode == 0, approved.stderr
    assert asking.end().status == 200
    assert [s.line.split()[0] for s in upstream.seen] == ["GET", "POST"]


def test_a_tunnel_is_for_one_name(proxied: Proxied) -> None:
    """What CONNECT, the TLS server name and Host say has to agree: each disagreement is refused and recorded."""
    gateway = proxied.gateway
    with pytest.raises((ssl.SSLError, ConnectionError)):
        proxied.inside("mixer", name="crm.holdpoint.internal")
    until(lambda: any(r["code"] == "tunnel-mismatch" for r in gateway.records("refusal")), "the record")
    for host in ("crm.holdpoint.internal", f"127.0.0.1:{gateway.upstream.port}", "elsewhere.test"):
        reply = proxied.ask_inside("mixer", "GET /a HTTP/1.1", host=host)
        assert reply.status == 421
        record = last(gateway, "mixer")
        assert record["decision"]["reasons"][0]["code"] == "misdirected"  # type: ignore[index]
        assert record["action"]["resource"] == host  # type: ignore[index]
    # The authority is what counts for CONNECT, whatever its Host says.
    token = gateway.agents.token("mixer")
    head = f"CONNECT elsewhere.test:443 HTTP/1.1\nHost: {proxied.at}\nProxy-Authorization: Bearer {token}"
    assert ask_raw(gateway.proxy_port, head).status in (400, 403)
    assert proxied.web.seen == gateway.upstream.seen == []


def test_unknown_destinations_are_refused_unresolved(proxied: Proxied) -> None:
    """403 and a record of who wanted what; nobody is asked for the name, nobody is connected to."""
    gateway = proxied.gateway
    token = gateway.agents.token("explorer")
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        port = canary.getsockname()[1]
        destinations = [f"127.0.0.1:{port}", f"localhost:{port}", "nowhere.test:443", "169.254.169.254:80",
                        f"127.0.0.1:{gateway.ops}", f"[::1]:{port}"]  # fmt: skip
        for authority in destinations:
            connection, head = connect(gateway, authority, token)
            connection.close()
            assert head.startswith("http/1.1 403"), (authority, head)
            assert last(gateway, "explorer")["action"]["resource"] == authority  # type: ignore[index]
            whole = f"GET http://{authority}/a HTTP/1.1\nHost: {authority}\nProxy-Authorization: Bearer {token}"
            reply = ask_raw(gateway.proxy_port, whole)
            assert (reply.status, json.loads(reply.body)["type"]) == (403, UNEXPECTED)
            record = last(gateway, "explorer")
            assert record["decision"]["reasons"][0]["code"] == "unexpected-destination"  # type: ignore[index]
            assert record["action"]["resource"] == authority  # type: ignore[index]
        with pytest.raises(BlockingIOError):
            canary.accept()
    with pytest.raises(BlockingIOError):
        proxied.names.recv(512)


def test_nobody_is_asked_for_who_it_is(proxied: Proxied) -> None:
    """407 with a challenge, before anything is said of destinations."""
    gateway = proxied.gateway
    known, unknown = f"127.0.0.1:{gateway.upstream.port}", "nowhere.test:443"
    for authority in (known, unknown):
        connection, head = connect(gateway, authority, None)
        connection.close()
        assert head.startswith("http/1.1 407")
        assert "proxy-authenticate: bearer" in head
        reply = ask_raw(gateway.proxy_port, f"GET http://{authority}/a HTTP/1.1\nHost: {authority}")
        assert reply.status == 407
        assert json.loads(reply.body)["type"] == "urn:holdpoint:refusal:identity-missing"
        assert "basic" in reply.headers["proxy-authenticate"].lower()
    assert gateway.upstream.seen == []


def test_who_is_in_a_tunnel_is_who_opened_it(proxied: Proxied) -> None:
    """What the requests inside claim counts for nothing and goes no further: no other's token, no ticket."""
    gateway = proxied.gateway
    other, own = gateway.agents.token("somebody-else"), gateway.agents.token("insider")
    reply = proxied.ask_inside(
        "insider", "GET /a HTTP/1.1", f"Authorization: Bearer {other}", "X-Holdpoint-Ticket: forged",
        f"X-Api-Key: {own}", "X-Holdpoint-Target: crm",
    )  # fmt: skip
    assert reply.status == 200
    assert last(gateway, "insider")["principal"]["subject"] == "insider"  # type: ignore[index]
    assert "somebody-else" not in {d["principal"]["subject"] for d in gateway.records("decision")}
    (seen,) = proxied.web.seen
    assert seen.headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    assert not [name for name in seen.headers if name.startswith("x-holdpoint")]
    assert other.encode() not in seen.head
    assert own.encode() not in seen.head


def test_a_ticket_is_worth_nothing_outside(proxied: Proxied) -> None:
    """Whatever a client puts into that header, on either listener."""
    gateway = proxied.gateway
    head = "GET /a HTTP/1.1\nHost: crm.holdpoint.internal\nX-Holdpoint-Ticket: abc"
    assert ask_raw(gateway.port, head).status == 401
    at = f"127.0.0.1:{gateway.upstream.port}"
    head = f"GET http://{at}/a HTTP/1.1\nHost: {at}\nX-Holdpoint-Ticket: abc"
    assert ask_raw(gateway.proxy_port, head).status == 407
    assert gateway.upstream.seen == []


def test_no_tunnel_where_none_belongs(proxied: Proxied) -> None:
    """Not in a tunnel, and not on the agents' listener, known destination or not; each is on record."""
    gateway = proxied.gateway
    at = f"127.0.0.1:{gateway.upstream.port}"
    assert proxied.ask_inside("digger", f"CONNECT {at} HTTP/1.1").status == 403
    token = gateway.agents.token("digger")
    for authority in (at, "nowhere.test:443"):
        head = f"CONNECT {authority} HTTP/1.1\nHost: {authority}\nAuthorization: Bearer {token}"
        assert ask_raw(gateway.port, head).status == 403

    def recorded() -> bool:
        found = [r for r in gateway.records("refusal") if r["method"] == "CONNECT" and r.get("details")]
        # Of several like ones within a second the first has a record, and one more counts the others.
        return bool(found) and sum(r.get("more", 1) for r in found) == 3

    until(recorded, "the records")
    assert gateway.upstream.seen == proxied.web.seen == []


def test_ca_is_shown_to_those_who_must_trust_it(proxied: Proxied, tmp_path: Path) -> None:
    """What `ca show` prints is what tunnels are signed by, and nothing that signs."""
    text = proxied.authority.read_text()
    assert text.count("BEGIN CERTIFICATE") == 1
    assert "PRIVATE" not in text
    with proxied.inside("reader") as connection:
        assert connection.getpeercert() is not None
