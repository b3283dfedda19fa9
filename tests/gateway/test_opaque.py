"""Tunnels that nobody reads, through a whole gateway: bytes pass as they are, and are accounted for."""

import ssl
from collections.abc import Iterator

import pytest

from tests.support.envoy import read_reply
from tests.support.envoy_tls import self_signed
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.flows import connect, ended, tunnel, until
from tests.support.gateway import CREDENTIAL, Gateway

CARD = b"4111 1111 1111 1111"


class Opaque:
    """A gateway with an opaque target that speaks TLS, and its upstream."""

    def __init__(self) -> None:
        self.gateway = Gateway(proxy=True)
        certificate, key = self_signed(self.gateway.folder, "bank")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self.certificate = certificate
        self.bank = RecordingUpstream(context)
        self.authority = f"localhost:{self.bank.port}"
        more = self.gateway.folder / "targets.d"
        more.mkdir()
        bank = f"{{upstream: 'https://localhost:{self.bank.port}', ca: ../cert.pem, opaque: true}}"
        (more / "bank.yaml").write_text(f"bank: {bank}\n".replace("../cert.pem", str(certificate)))

    def open(self, subject: str, name: str = "localhost") -> ssl.SSLSocket:
        """TLS with the upstream itself, through a tunnel of this principal's."""
        raw = tunnel(self.gateway, self.authority, self.gateway.agents.token(subject))
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        try:
            return context.wrap_socket(raw, server_hostname=name)
        except OSError:
            raw.close()
            raise


@pytest.fixture(scope="module")
def opaque() -> Iterator[Opaque]:
    """One for the module."""
    made = Opaque()
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()
        made.bank.stop()


def test_bytes_pass_unread_and_are_counted(opaque: Opaque) -> None:
    """The client sees the upstream's own certificate; nothing is masked or added; the decision says that nobody
    reads, and when the tunnel has ended a record says how long it was and how much went through."""
    opaque.bank.reset()
    opaque.bank.answer = lambda _: [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(CARD), CARD)]
    head = b"DELETE /customers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer mine\r\n\r\n"
    with opaque.open("bank-user") as connection:
        shown = connection.getpeercert(True)
        assert shown == ssl.PEM_cert_to_DER_cert(opaque.certificate.read_text())
        connection.sendall(head)
        assert read_reply(connection).body == CARD
        assert opaque.gateway.records("tunnel") == []
    assert opaque.bank.seen[0].head == head
    assert CREDENTIAL.encode() not in opaque.bank.seen[0].head
    decision = opaque.gateway.records("decision")[-1]
    assert (decision["action"]["protocol"], decision["action"]["verb"]) == ("tunnel", "CONNECT")
    assert decision["action"]["summary"] == {"host": "localhost", "opaque": True}
    assert decision["decision"]["reasons"][0]["code"] == "tunnel-opaque"
    (record,) = opaque.gateway.wait_records("tunnel", 1)
    assert record["decision"] == decision["decision"]["id"]
    assert record["principal"]["subject"] == "bank-user"
    assert record["target"]["name"] == "bank"
    assert record["bytes_in"] > len(head)
    assert record["bytes_out"] > len(CARD)
    assert record["duration_ms"] >= 0
    until(lambda: bool(opaque.gateway.records("delivery")), "the delivery")
    assert opaque.gateway.records("delivery")[-1]["opaque"] is True


def test_another_servers_name_does_not_pass(opaque: Opaque) -> None:
    """Nor do bytes that are no TLS; both leave a record."""
    opaque.bank.reset()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        opaque.open("bank-user", "elsewhere.test")
    raw = tunnel(opaque.gateway, opaque.authority, opaque.gateway.agents.token("bank-user"))
    with raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended(raw) == 0
    until(lambda: len([r for r in opaque.gateway.records("refusal") if r["code"] == "tunnel-mismatch"]) == 2, "records")
    assert opaque.bank.seen == []


def test_a_tunnel_needs_an_identity(opaque: Opaque) -> None:
    """407 without one, and nothing is connected."""
    opaque.bank.reset()
    connection, head = connect(opaque.gateway, opaque.authority, None)
    with connection:
        assert head.startswith("http/1.1 407")
        assert "proxy-authenticate: bearer" in head
    assert opaque.bank.seen == []


def test_a_target_that_goes_takes_its_tunnels_along(opaque: Opaque) -> None:
    """Also those that are open, when the target is removed while the gateway runs; others stay."""
    gateway = opaque.gateway
    stays = tunnel(gateway, f"127.0.0.1:{gateway.upstream.port}", gateway.agents.token("crm-user"))
    with stays, opaque.open("bank-user") as connection:
        (gateway.folder / "targets.d" / "bank.yaml").unlink()
        gateway.wait_log(lambda e: e.get("message") == "configuration in force")
        assert ended(connection) == 0
        deliveries = [d["outcome"] for d in gateway.wait_records("delivery", 1) if d["target"]["name"] == "bank"]
        assert deliveries[-1] == "aborted:target-changed"
        stays.sendall(f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{gateway.upstream.port}\r\n\r\n".encode())
        assert read_reply(stays).status == 200
    connection_again, head = connect(gateway, opaque.authority, gateway.agents.token("bank-user"))
    with connection_again:
        assert head.startswith("http/1.1 403")
