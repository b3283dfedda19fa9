"""Client certificates: shown to the processor where they verify, and no connection where they do not."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from extproc.adapters.envoy.plan import Scheme, TargetPlan, TlsFiles, Upstream
from tests.support.envoy import WAIT_SECONDS, Gateway, Reply, read_reply, start, state_directory, until
from tests.support.envoy_tls import Authority, self_signed
from tests.support.envoy_upstream import RecordingUpstream


@pytest.fixture(scope="module")
def state() -> Path:
    """A state directory with the listener's certificate."""
    found = state_directory()
    (found / "front").mkdir()
    self_signed(found / "front", "front")
    return found


@pytest.fixture(scope="module")
def authority(state: Path) -> Authority:
    """The authority of the agents."""
    return Authority(state / "agents", "agents")


@pytest.fixture(scope="module")
def gateway(state: Path, authority: Authority) -> Iterator[Gateway]:
    """A gateway whose listener asks for client certificates."""
    upstream = RecordingUpstream()
    target = TargetPlan("crm", Upstream(Scheme.HTTP, "127.0.0.1", upstream.port))
    front, agents = state / "front", authority.folder
    tls = TlsFiles(
        str(front / "cert.pem"), str(front / "key.pem"), client_ca=str(agents / "ca.pem"), crl=str(agents / "crl.pem")
    )
    found = start(lambda _: (target,), change=lambda plan: replace(plan, tls=tls), state=state)
    yield found
    found.stop()
    upstream.stop()


def ask(gateway: Gateway, certificate: Path | None) -> Reply:
    """One request over TLS. Raises ConnectionError and ssl.SSLError where the certificate is not taken: with TLS 1.3
    a client learns that when it reads."""
    context = ssl.create_default_context(cafile=str(gateway.state / "front" / "cert.pem"))
    if certificate is not None:
        context.load_cert_chain(certificate)
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=WAIT_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(gateway.head("GET", "/crm/a"))
        reply = read_reply(connection)
        if not reply.status:
            raise ConnectionError("no answer")
        return reply


def attributes(gateway: Gateway) -> dict[str, object]:
    """What the processor was told of the last exchange's connection."""
    if gateway.processor is None:
        raise RuntimeError("no processor")
    found = gateway.processor.exchange(len(gateway.processor.exchanges) - 1).attributes
    return {name: value for name, value in found.items() if name.startswith("connection.") and name != "connection.id"}


def test_certificate_reaches_the_processor(gateway: Gateway, authority: Authority) -> None:
    """Digest, names and subject of a certificate that verified, and that it did."""
    certificate = authority.issue("robot")
    assert ask(gateway, authority.folder / "robot.pem").status == 200
    assert attributes(gateway) == {
        "connection.mtls": True,
        "connection.requested_server_name": "",
        "connection.sha256_peer_certificate_digest": certificate.fingerprint(hashes.SHA256()).hex(),
        "connection.uri_san_peer_certificate": "spiffe://test/robot",
        "connection.dns_san_peer_certificate": "robot.test",
        "connection.subject_peer_certificate": "CN=robot",
    }


def test_none_is_needed(gateway: Gateway) -> None:
    """A client without one is let in; the worker finds another credential, or none."""
    assert ask(gateway, None).status == 200
    assert attributes(gateway) == {
        "connection.mtls": False,
        "connection.requested_server_name": "",
        "connection.subject_peer_certificate": "",
    }


def test_stranger_gets_no_connection(gateway: Gateway, tmp_path: Path) -> None:
    """A certificate of another authority ends the handshake, with a line in the access log."""
    strange = Authority(tmp_path / "strange", "agents")
    strange.issue("robot")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(gateway, strange.folder / "robot.pem")
    line = gateway.access_log(lambda line: line["details"].startswith("connection:"))
    assert "CERTIFICATE_VERIFY_FAILED" in line["details"]
    assert (line["via"], line["decision"]) == ("direct", None)


def test_revoked_certificate_gets_no_connection(gateway: Gateway, authority: Authority) -> None:
    """A new revocation list is read when it is renamed into place."""
    certificate = authority.issue("fired")
    assert ask(gateway, authority.folder / "fired.pem").status == 200
    authority.revoke(certificate)

    def refused() -> bool:
        try:
            return ask(gateway, authority.folder / "fired.pem").status == 0
        except (ssl.SSLError, ConnectionError):
            return True

    until(refused, "the revocation")
    authority.issue("robot")
    assert ask(gateway, authority.folder / "robot.pem").status == 200
