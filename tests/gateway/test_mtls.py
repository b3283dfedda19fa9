"""Client certificates as identities, through a whole gateway with TLS."""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.envoy_tls import Authority, self_signed
from tests.support.flows import Asking, Slow, until
from tests.support.gateway import Gateway

LISTEN = "tls: {certificate: cert.pem, key: key.pem, client_ca: ours/ca.pem}"
IDENTITY = """
certificates:
  - {spiffe: test, kind: service, groups: [batch]}
  - {name: corp}
"""


class Mutual:
    """A gateway that asks for client certificates, which two authorities issue; it trusts one of them."""

    def __init__(self) -> None:
        self.gateway = Gateway(listen=LISTEN, identity=IDENTITY.strip())
        self.server, key = self_signed(self.gateway.folder, "gateway")
        key.chmod(0o600)
        self.ours = Authority(self.gateway.folder / "ours", "ours")
        self.theirs = Authority(self.gateway.folder / "theirs", "theirs")
        self.alpha = self.ours.issue("alpha")
        self.beta = self.ours.issue("beta")
        self.ours.issue("plain", spiffe=False)
        self.theirs.issue("alpha")

    def client(self, certificate: Path | None, token: str | None = None) -> httpx.Client:
        """A client with one of these, both or none."""
        context = ssl.create_default_context(cafile=str(self.server))
        if certificate is not None:
            context.load_cert_chain(certificate)
        headers = {"host": "crm.holdpoint.internal"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return httpx.Client(
            base_url=f"https://localhost:{self.gateway.port}", headers=headers, verify=context, timeout=30
        )

    def asked(self, certificate: str | None, token: str | None = None) -> tuple[int, str]:
        """Status of one request, and what kind of refusal it was."""
        file = self.ours.folder / f"{certificate}.pem" if certificate is not None else None
        with self.client(file, token) as agent:
            reply = agent.get("/x")
        if reply.status_code == 200:
            return 200, ""
        return reply.status_code, reply.json()["type"].rpartition(":")[2]


@pytest.fixture(scope="module")
def started() -> Iterator[Mutual]:
    """One for the module."""
    made = Mutual()
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


@pytest.fixture
def mutual(started: Mutual) -> Mutual:
    """The module's, its upstream's memory empty."""
    started.gateway.upstream.reset()
    return started


def bound_to(certificate: x509.Certificate) -> dict[str, str]:
    """A token's `cnf` claim for a certificate (RFC 8705)."""
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return {"x5t#S256": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}


def test_a_certificate_names_its_holder(mutual: Mutual) -> None:
    """A SPIFFE ID by itself, any other by its DNS name; records have a digest of it."""
    assert mutual.asked("alpha") == (200, "")
    assert mutual.asked("plain") == (200, "")
    spiffe, plain = (d["principal"] for d in mutual.gateway.wait_records("decision", 2)[-2:])
    assert (spiffe["issuer"], spiffe["subject"]) == ("spiffe://test", "spiffe://test/alpha")
    assert (spiffe["kind"], spiffe["groups"]) == ("service", ["batch"])
    digest = hashlib.sha256(mutual.alpha.public_bytes(Encoding.DER)).hexdigest()
    assert spiffe["credential"] == f"certificate:{digest[:16]}"
    assert (plain["issuer"], plain["subject"], plain["kind"]) == ("mtls:corp", "plain.test", "agent")
    assert all("x-forwarded-client-cert" not in seen.headers for seen in mutual.gateway.upstream.seen)


def test_a_certificate_is_no_must(mutual: Mutual) -> None:
    """A token alone does as well; neither is nobody."""
    assert mutual.asked(None, mutual.gateway.agents.token("agent-1")) == (200, "")
    assert mutual.asked(None) == (401, "identity-missing")


def test_two_names_are_a_conflict(mutual: Mutual) -> None:
    """A token of another principal than the certificate's is refused."""
    assert mutual.asked("alpha", mutual.gateway.agents.token("agent-1")) == (403, "identity-conflict")
    assert mutual.asked("plain", mutual.gateway.issue("bot")[1]) == (403, "identity-conflict")
    assert mutual.gateway.upstream.seen == []
    until(lambda: "identity-conflict" in [r["code"] for r in mutual.gateway.records("refusal")], "the record")


def test_a_bound_token_needs_its_certificate(mutual: Mutual) -> None:
    """A stolen one is worth nothing without the key that belongs to it."""
    token = mutual.gateway.agents.token("agent-1", cnf=bound_to(mutual.alpha))
    assert mutual.asked("alpha", token) == (200, "")
    assert mutual.gateway.wait_records("decision", 1)[-1]["principal"]["subject"] == "agent-1"
    assert mutual.asked(None, token) == (401, "identity-invalid")
    assert mutual.asked("beta", token) == (403, "identity-conflict")
    assert len(mutual.gateway.upstream.seen) == 1


def test_an_untrusted_certificate_gets_no_connection(mutual: Mutual) -> None:
    """Though it has the same name, and even with a good token; the journal says so."""
    stranger = mutual.theirs.folder / "alpha.pem"
    with (
        mutual.client(stranger, mutual.gateway.agents.token("agent-1")) as agent,
        pytest.raises(httpx.TransportError),
    ):
        agent.get("/x")
    assert mutual.gateway.upstream.seen == []
    until(lambda: "client-certificate" in [r["code"] for r in mutual.gateway.records("refusal")], "the record")


def test_a_header_is_no_certificate(mutual: Mutual) -> None:
    """What a client says of a certificate counts for nothing."""
    with mutual.client(None) as agent:
        told = "By=spiffe://x;Hash=00;URI=spiffe://test/alpha"
        assert agent.get("/x", headers={"x-forwarded-client-cert": told}).status_code == 401


def test_freezing_a_certificates_holder(mutual: Mutual) -> None:
    """Ends what it has open, and lets it in under no other name: not with a token that is bound to it either."""
    gateway = mutual.gateway
    gateway.upstream.answer = Slow()
    stream = Asking(mutual.client(mutual.ours.folder / "beta.pem"), "GET", "/download").wait()
    gateway.freeze("spiffe://test/beta")
    assert stream.end().broken is not None
    gateway.upstream.reset()
    assert mutual.asked("beta") == (403, "identity-frozen")
    bound = gateway.agents.token("agent-1", cnf=bound_to(mutual.beta))
    assert mutual.asked("beta", bound) == (403, "identity-frozen")
    assert mutual.asked("alpha") == (200, "")
