"""TLS on both sides of Envoy."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import Scheme, TargetPlan, TlsFiles, Upstream
from tests.support.envoy import WAIT_SECONDS, Gateway, read_reply, start, state_directory, until
from tests.support.envoy_tls import self_signed
from tests.support.envoy_upstream import RecordingUpstream


@pytest.fixture(scope="module")
def state() -> Path:
    """A state directory with the listener's certificate, the upstream's and a stranger's."""
    found = state_directory()
    for name in ("front", "back", "other"):
        (found / name).mkdir()
        self_signed(found / name, name)
    return found


@pytest.fixture(scope="module")
def upstream(state: Path) -> Iterator[RecordingUpstream]:
    """An upstream that speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(state / "back" / "cert.pem", state / "back" / "key.pem")
    server = RecordingUpstream(context)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(state: Path, upstream: RecordingUpstream) -> Iterator[Gateway]:
    """A gateway whose targets name the upstream rightly, by a name it has no certificate for, and by other roots."""
    trusted, strange = str(state / "back" / "cert.pem"), str(state / "other" / "cert.pem")
    good = Upstream(Scheme.HTTPS, "localhost", upstream.port, ca=trusted)
    targets = (
        TargetPlan("good", good),
        TargetPlan("misnamed", replace(good, host="127.0.0.1")),
        TargetPlan("strange", replace(good, ca=strange)),
    )
    tls = TlsFiles(str(state / "front" / "cert.pem"), str(state / "front" / "key.pem"))
    found = start(lambda _: targets, change=lambda plan: replace(plan, tls=tls), state=state)
    yield found
    found.stop()


def connect(gateway: Gateway, alpn: list[str]) -> ssl.SSLSocket:
    """A TLS connection to the gateway that trusts what stands there now."""
    context = ssl.create_default_context(cafile=str(gateway.state / "front" / "cert.pem"))
    context.set_alpn_protocols(alpn)
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=WAIT_SECONDS)
    try:
        return context.wrap_socket(raw, server_hostname="localhost")
    except ssl.SSLError:
        raw.close()
        raise


@pytest.mark.parametrize(("target", "status"), [("good", 200), ("misnamed", 503), ("strange", 503)])
def test_upstream_is_verified(gateway: Gateway, upstream: RecordingUpstream, target: str, status: int) -> None:
    """A request leaves only to an upstream whose certificate has its name, under the roots that the plan gives."""
    upstream.reset()
    with connect(gateway, ["http/1.1"]) as connection:
        connection.sendall(gateway.head("GET", f"/{target}/a"))
        assert read_reply(connection).status == status
    assert len(upstream.seen) == (1 if status == 200 else 0)


def test_agents_may_speak_http2(gateway: Gateway) -> None:
    """The listener offers HTTP/2 and HTTP/1.1."""
    for wanted in ("h2", "http/1.1"):
        with connect(gateway, [wanted]) as connection:
            assert connection.selected_alpn_protocol() == wanted


def test_certificate_is_rotated_by_rename(gateway: Gateway) -> None:
    """A new certificate and key take effect on new connections without a change of configuration."""
    self_signed(gateway.state / "front", "next")

    def renewed() -> bool:
        try:
            with connect(gateway, ["http/1.1"]) as connection:
                return (("commonName", "next"),) in (connection.getpeercert() or {}).get("subject", ())
        except ssl.SSLError:
            return False

    assert until(renewed, "the next certificate")
