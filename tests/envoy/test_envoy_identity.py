"""Who is let in."""

import threading
from dataclasses import replace

import pytest

from tests.support.envoy import Gateway, read_reply, until
from tests.support.envoy_processor import Processor, hold_until
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.jwt import TokenIssuer

NOBODY = [
    ("no token", lambda issuer: None, 401),
    ("expired", lambda issuer: issuer.token(expires_in=-120), 401),
    ("no expiry", lambda issuer: issuer.token(exp=None), 401),
    ("not yet valid", lambda issuer: issuer.token(nbf=4102444800), 401),
    ("another issuer", lambda issuer: issuer.token(iss="https://evil.test"), 401),
    ("another audience", lambda issuer: issuer.token(aud="approvers"), 403),
    ("no audience", lambda issuer: issuer.token(aud=None), 403),
    ("another key", lambda issuer: TokenIssuer(kid="k1").token(), 401),
    ("alg none", lambda issuer: issuer.unsigned(), 401),
    ("not a token", lambda issuer: "abc", 401),
]


@pytest.mark.parametrize("path", ["/crm/a", "/no/such/target", "/crm/a%252fb"])
@pytest.mark.parametrize(("what", "make", "status"), NOBODY, ids=[row[0] for row in NOBODY])
def test_nobody_gets_in(
    gateway: Gateway,
    processor: Processor,
    upstream: RecordingUpstream,
    what: str,
    make: object,
    status: int,
    path: str,
) -> None:
    """Without a valid token every path answers alike, those that exist and those that do not."""
    token = make(gateway.issuer) if callable(make) else None
    reply = gateway.request(path, token=token)
    assert reply.status == status
    if status == 401:
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert not any("request_headers" in exchange.kinds for exchange in processor.exchanges)
    assert upstream.seen == []


@pytest.mark.parametrize("token", [None, ""])
def test_asterisk_goes_nowhere(gateway: Gateway, processor: Processor, token: str | None) -> None:
    """`OPTIONS *` has no path that a rule could match; Envoy answers it before any filter, token or not."""
    assert gateway.request("*", method="OPTIONS", token=token).status == 404
    assert processor.exchanges == []


@pytest.mark.parametrize("headers", [{"Origin": "https://a.test", "Access-Control-Request-Method": "GET"}])
def test_preflight_needs_a_token(gateway: Gateway, upstream: RecordingUpstream, headers: dict[str, str]) -> None:
    """A CORS preflight is no way round authentication."""
    assert gateway.request("/crm/a", method="OPTIONS", headers=headers, token=None).status == 401
    assert upstream.seen == []


def test_token_in_the_query_is_not_read(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """Envoy's default of taking `access_token` from the query is off: queries end up in logs."""
    assert gateway.request(f"/crm/a?access_token={gateway.issuer.token()}", token=None).status == 401
    assert upstream.seen == []


@pytest.mark.parametrize("target", ["crm", "files"])
def test_token_goes_no_further(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, target: str
) -> None:
    """Neither the processor nor the upstream sees the agent's token; the processor gets its claims instead."""
    token = gateway.issuer.token(groups=["ops"])
    assert gateway.request(f"/{target}/a", token=token).status == 200
    exchange = processor.exchange()
    assert token.encode() not in b"".join(message.SerializeToString() for message in exchange.messages)
    assert token.encode() not in upstream.seen[0].head
    assert exchange.claims["sub"] == "agent-1"
    assert exchange.claims["groups"] == ["ops"]


def test_second_authorization_header_goes_no_further(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """A second credential does not slip through beside the token, in either order."""
    good = f"Authorization: Bearer {gateway.issuer.token()}\r\n"
    other = "Authorization: Basic c211Z2dsZWQ=\r\n"
    for lines in (good + other, other + good):
        gateway.send(f"GET /files/a HTTP/1.1\r\nHost: gateway\r\n{lines}\r\n".encode())
    assert all("authorization" not in seen.headers for seen in upstream.seen)


def test_rotated_keys_reach_envoy_and_holds_live_on(gateway: Gateway, processor: Processor) -> None:
    """New keys are a new listener; a request that was held under the old one still gets its answer."""
    release = threading.Event()
    processor.script = hold_until(release)
    held = gateway.open(gateway.head("GET", "/crm/held"))
    processor.exchange().first.wait(20)
    fresh = TokenIssuer(kid="k2")
    before = gateway.plan
    try:
        changed = gateway.apply(replace(before, providers=(replace(before.providers[0], jwks=fresh.jwks()),)))
        assert changed == ("lds.json",)
        until(lambda: gateway.request("/none", token=fresh.token()).status == 404, "the new key")
        assert gateway.request("/none").status == 401
        release.set()
        with held:
            assert read_reply(held).status == 200
    finally:
        release.set()
        gateway.apply(before)
        until(lambda: gateway.request("/none").status == 404, "the old key again")
