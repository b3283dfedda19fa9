"""Who an exchange is of: several carriers, certificates, the gateway's own tokens, and what is remembered."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.access.networks import within
from extproc.adapters.identity import AUDIENCE, CertificateRule, issue, key_id
from extproc.adapters.identity.claims import LEEWAY_SECONDS
from extproc.adapters.identity.keys import LOOK_SECONDS
from extproc.domain.identity import CARRIERS, Certificate, IdentityRefused, Shown, Why
from extproc.domain.principal import Kind, Principal
from tests.identity.making import CERTIFICATE, OURS, Door, agent_token, bearer
from tests.support.jwt import TokenIssuer

AUTHORIZATION, PROXY = "authorization", "proxy-authorization"
SPIFFE = (CertificateRule(spiffe="example.org"),)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """A gatekeeper that knows one issuer, its own tokens and one trust domain."""
    return Door(tmp_path, rules=SPIFFE)


def why(act: Callable[[], object]) -> Why | None:
    """Why this is refused; None when it is not. The message quotes no credential."""
    try:
        act()
    except IdentityRefused as error:
        refusal = error
    else:
        return None
    assert "eyJ" not in str(refusal)
    return refusal.why


def basic(text: str, header: str = AUTHORIZATION) -> tuple[str, str]:
    """A Basic header."""
    return header, "Basic " + base64.b64encode(text.encode()).decode()


WAYS: list[tuple[Callable[[str], tuple[tuple[str, str], ...]], set[str]]] = [
    (lambda t: (bearer(t),), {AUTHORIZATION}),
    (lambda t: ((AUTHORIZATION, f"bEARER   {t} "),), {AUTHORIZATION}),
    (lambda t: (bearer(t, PROXY),), {PROXY}),
    (lambda t: (basic(f"anyone:{t}"),), {AUTHORIZATION}),
    (lambda t: (basic(f"{t}:"),), {AUTHORIZATION}),
    (lambda t: (basic(t),), {AUTHORIZATION}),
    (lambda t: (basic(f":{t}", PROXY),), {PROXY}),
    (lambda t: (bearer(t), bearer(t, PROXY)), {AUTHORIZATION, PROXY}),
    (lambda t: (("x-api-key", t),), {"x-api-key"}),
    (lambda t: (("api-key", t), ("x-goog-api-key", "AIza")), {"api-key"}),
    (lambda t: (("x-goog-api-key", t), bearer(t)), {"x-goog-api-key", AUTHORIZATION}),
    (lambda t: (bearer(t), ("x-api-key", "sk-1")), {AUTHORIZATION}),
    (lambda t: (bearer(t), ("x-api-key", "")), {AUTHORIZATION}),
    (lambda t: (bearer(t), ("x-api-key", "a.b.c")), {AUTHORIZATION}),
    (lambda t: (bearer(t), ("x-api-key", TokenIssuer("https://other.test").token())), {AUTHORIZATION}),
    (lambda t: (bearer(t), ("x-api-key", TokenIssuer(audience="other").token())), {AUTHORIZATION}),
    (lambda t: (bearer(t), ("cookie", "a=b"), ("x-other", t)), {AUTHORIZATION}),
]


@pytest.mark.parametrize(("ways", "used"), WAYS, ids=range(len(WAYS)))
@pytest.mark.parametrize("own", [False, True])
def test_where_a_token_may_be(
    door: Door, ways: Callable[[str], tuple[tuple[str, str], ...]], used: set[str], own: bool
) -> None:
    """In any carrier; somebody else's keys are not ours to judge, and only what was ours is taken away."""
    headers = ways(door.issued() if own else door.issuer.token("ci-bot"))
    who = door.meet(*headers)
    assert (who.principal.subject, set(who.used)) == ("ci-bot", used)
    foreign = any(h == "x-api-key" and v.startswith("ey") and "x-api-key" not in used for h, v in headers)
    assert door.recall(*headers) == (None if foreign or ("x-api-key", "a.b.c") in headers else who)


REFUSED: list[tuple[Callable[[Door, str], tuple[tuple[str, str], ...]], Why]] = [
    (lambda d, t: (), Why.MISSING),
    (lambda d, t: (("x-other", t),), Why.MISSING),
    (lambda d, t: (("x-api-key", "sk-1"),), Why.MISSING),
    (lambda d, t: (("x-api-key", f"Bearer {t}"),), Why.MISSING),
    (lambda d, t: (("x-api-key", TokenIssuer("https://other.test").token()),), Why.MISSING),
    (lambda d, t: (("x-api-key", TokenIssuer().token()),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, ""),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, "Bearer"),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, t),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, f"Digest {t}"),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, f"Bearer {t},Bearer {t}"),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, f"Bearer {t} {t}"),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, "Basic !"),), Why.INVALID),
    (lambda d, t: ((AUTHORIZATION, "Basic /w=="),), Why.INVALID),
    (lambda d, t: (basic(":"),), Why.INVALID),
    (lambda d, t: (basic(f"{t}:secret"),), Why.INVALID),
    (lambda d, t: (bearer("sk-1"),), Why.INVALID),
    (lambda d, t: (bearer("sk-1"), ("x-api-key", t)), Why.INVALID),
    (lambda d, t: (bearer(t), bearer("sk-1", PROXY)), Why.INVALID),
    (lambda d, t: (bearer(t), bearer(t)), Why.INVALID),
    (lambda d, t: (bearer(t), ("x-api-key", "1"), ("x-api-key", "2")), Why.INVALID),
    (lambda d, t: (bearer(t), bearer(d.issuer.token("other"), PROXY)), Why.CONFLICT),
    (lambda d, t: (bearer(t), bearer(d.issuer.token(groups=["admin"]), PROXY)), Why.CONFLICT),
    (lambda d, t: (bearer(t), bearer(d.issued(subject="agent-1"), PROXY)), Why.CONFLICT),
    (lambda d, t: (bearer(t), ("x-api-key", d.issued())), Why.CONFLICT),
    (lambda d, t: (bearer(d.issuer.token(aud="other")),), Why.WRONG_AUDIENCE),
    (lambda d, t: (bearer(d.issuer.token(exp=1)),), Why.EXPIRED),
]


@pytest.mark.parametrize(("headers", "expected"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(
    door: Door, headers: Callable[[Door, str], tuple[tuple[str, str], ...]], expected: Why
) -> None:
    """Two values, two principals, or none that proves itself: nobody, also where a good token was just seen."""
    token = door.issuer.token()
    door.meet(bearer(token))
    assert why(lambda: door.meet(*headers(door, token))) is expected


def test_what_is_remembered_still_has_to_count(door: Door) -> None:
    """Expiry, freezes and standing are looked at every time; the raw token is not kept."""
    token = door.issuer.token(exp=door.clock.now + 100)
    shown = bearer(token)
    assert door.recall(shown) is None
    who = door.meet(shown)
    assert door.recall(shown) == who == door.meet(shown)
    assert who.principal.expires_at == door.clock.now + 100 + LEEWAY_SECONDS
    assert token not in repr(vars(door.keeper)) + repr(Shown((shown,)))
    door.standing.freezes.add("agent-1")
    assert why(lambda: door.recall(shown)) is why(lambda: door.meet(shown)) is Why.FROZEN
    door.standing.freezes.clear()
    door.standing.broken = True
    assert why(lambda: door.recall(shown)) is why(lambda: door.meet(shown)) is Why.UNAVAILABLE
    door.standing.broken = False
    door.clock.now += 100 + LEEWAY_SECONDS - 1
    assert door.recall(shown) == who
    door.clock.now += 1
    assert why(lambda: door.recall(shown)) is why(lambda: door.meet(shown)) is Why.EXPIRED


def test_a_withdrawn_key_takes_along_what_it_verified(door: Door) -> None:
    """Once its keys have been looked at again, a token of a withdrawn one is verified anew, and is nobody's."""
    shown = bearer(door.issuer.token())
    who = door.meet(shown)
    door.issuer.write(door.jwks)
    door.ticks.now += LOOK_SECONDS
    assert (door.recall(shown), door.meet(shown), door.recall(shown)) == (None, who, who)
    TokenIssuer().write(door.jwks)
    door.ticks.now += LOOK_SECONDS
    assert door.recall(shown) is None
    assert why(lambda: door.meet(shown)) is Why.INVALID
    door.issuer.write(door.jwks)
    assert door.meet(shown) == who
    os.unlink(door.jwks)
    door.ticks.now += LOOK_SECONDS
    assert door.recall(shown) is None
    assert why(lambda: door.meet(shown)) is Why.UNAVAILABLE


def test_memory_is_bounded_and_forgets_the_least_used(tmp_path: Path) -> None:
    """Beyond the bound, whoever was not seen for longest is verified again."""
    door = Door(tmp_path, remember=2)
    one, two, three = (bearer(door.issuer.token(name)) for name in ("a", "b", "c"))
    door.meet(one), door.meet(two)
    assert door.recall(one) is not None
    door.meet(three)
    assert [door.recall(shown) is not None for shown in (one, two, three)] == [True, False, True]


def test_an_agent_token_is_what_the_store_has_of_it(door: Door) -> None:
    """Its owner is whom it acts for; it ends on the second."""
    token = agent_token()
    who = door.meet(bearer(door.issued())).principal
    expected = Principal(OURS, "ci-bot", Kind.AGENT, ("builders",), "dana", who.expires_at, "", ("crm",))
    assert who == replace(expected, credential=f"agent-token:{token.id}")
    assert who.expires_at == int(door.standing.tokens[token.id].expires_at)
    door.clock.now = who.expires_at
    assert why(lambda: door.recall(bearer(door.issued()))) is Why.EXPIRED


Change = Callable[[Door], None]


def _stored(**changes: Any) -> Change:
    def change(door: Door) -> None:
        (known,) = door.standing.tokens.values()
        door.standing.tokens[known.id] = replace(known, **changes)

    return change


STANDING: list[tuple[Change, Why, bool]] = [
    (_stored(revoked_at=1.0), Why.REVOKED, True),
    (lambda d: setattr(d.standing, "broken", True), Why.UNAVAILABLE, True),
    (lambda d: d.standing.freezes.add("ci-bot"), Why.FROZEN, True),
    (lambda d: d.standing.tokens.clear(), Why.INVALID, False),
    (_stored(groups=("admin",)), Why.INVALID, False),
    (_stored(targets=None), Why.INVALID, False),
    (_stored(owner=("https://people.test", "eve")), Why.INVALID, False),
    (_stored(networks=("10.0.0.0/8",)), Why.INVALID, False),
    (_stored(expires_at=9e9), Why.INVALID, False),
]


@pytest.mark.parametrize(("change", "expected", "recalled"), STANDING, ids=range(len(STANDING)))
def test_an_agent_token_counts_only_as_stored(door: Door, change: Change, expected: Why, recalled: bool) -> None:
    """A revoked, forgotten or changed one is nobody's; what changes in operation also ends what is remembered."""
    shown = bearer(door.issued())
    if recalled:
        door.meet(shown)
    change(door)
    assert why(lambda: door.recall(shown)) is (expected if recalled else None)
    assert why(lambda: door.meet(shown)) is expected


def test_agent_tokens_that_we_did_not_sign(door: Door) -> None:
    """Another key, another issuer's key or another audience make no agent token."""
    good = agent_token()
    door.standing.tokens[good.id] = good
    claims = jwt.decode(issue(door.key, good, OURS), options={"verify_signature": False})
    kid = {"kid": key_id(door.key.public_key())}
    for token in (
        issue(Ed25519PrivateKey.generate(), good, OURS),
        issue(door.key, good, "urn:holdpoint:elsewhere"),
        jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", kid),
        jwt.encode(claims | {"aud": [AUDIENCE, "x"]}, door.key, "EdDSA", kid),
        jwt.encode(claims | {"aud": "holdpoint"}, door.key, "EdDSA", kid),
        jwt.encode(claims | {"jti": 7}, door.key, "EdDSA", kid),
        jwt.encode(claims | {"targets": None}, door.key, "EdDSA", kid),
        door.issuer.token(iss=OURS, aud=AUDIENCE, jti=good.id),
    ):
        assert why(partial(door.meet, bearer(token))) in {Why.INVALID, Why.WRONG_AUDIENCE}
    assert door.meet(bearer(jwt.encode(claims, door.key, "EdDSA", kid))).principal.subject == "ci-bot"
    door.pub.unlink()
    door.ticks.now += LOOK_SECONDS
    assert why(lambda: door.meet(bearer(issue(door.key, good, OURS)))) is Why.UNAVAILABLE


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("[2001:db8::1]", True),
        ("2001:db8::1", True),
        ("192.0.2.1", False),
        ("2001:db9::1", False),
        ("", False),
        ("10.1.2.3.evil", False),
    ],
)
def test_networks(door: Door, source: str, expected: bool) -> None:
    """A token for networks counts from those alone, also when it is remembered."""
    shown = bearer(door.issued(networks=("10.0.0.0/8", "2001:db8::/32")))
    door.meet(shown, source="10.0.0.1")
    for look in (door.recall, door.meet):
        assert why(partial(look, shown, source=source)) is (None if expected else Why.WRONG_NETWORK)
    assert not within(("nonsense",), source)


def bound(door: Door, digest: str) -> str:
    """A token that is bound to the certificate of this digest."""
    thumbprint = base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")
    return door.issuer.token(cnf={"x5t#S256": thumbprint})


def test_certificates_and_tokens(door: Door) -> None:
    """Together they name one principal: by the token's binding, or by naming the same."""
    other = Certificate("cd" * 32, "spiffe://example.org/other", "", "")
    stranger = Certificate(CERTIFICATE.digest, "spiffe://other.org/a", "", "")
    alone = door.meet(certificate=CERTIFICATE)
    assert (alone.principal.subject, alone.used) == (CERTIFICATE.uri, frozenset())
    assert door.recall(certificate=CERTIFICATE) == alone
    tied = bearer(bound(door, CERTIFICATE.digest))
    assert door.meet(tied, certificate=CERTIFICATE).principal.subject == "agent-1"
    upper = replace(CERTIFICATE, digest=CERTIFICATE.digest.upper())
    for look in (door.recall, door.meet):
        assert why(partial(look, tied, certificate=upper)) is None
        assert why(partial(look, tied)) is Why.INVALID
        assert why(partial(look, tied, certificate=other)) is Why.CONFLICT
    loose = bearer(door.issuer.token())
    assert why(lambda: door.meet(loose, certificate=CERTIFICATE)) is Why.CONFLICT
    assert why(lambda: door.meet(bearer(door.issued()), certificate=CERTIFICATE)) is Why.CONFLICT
    assert why(lambda: door.meet(certificate=stranger)) is Why.INVALID
    assert why(lambda: door.meet(tied, certificate=stranger)) is Why.INVALID
    door.standing.freezes.add(CERTIFICATE.uri)
    assert why(lambda: door.recall(certificate=CERTIFICATE)) is Why.FROZEN
    assert why(lambda: door.recall(tied, certificate=CERTIFICATE)) is Why.FROZEN


def test_a_token_and_a_certificate_of_the_same_name(tmp_path: Path) -> None:
    """An issuer may be a trust domain, whose tokens and certificates then name the same parties."""
    door = Door(tmp_path, TokenIssuer("spiffe://example.org"), SPIFFE)
    same, other = (bearer(door.issuer.token(f"spiffe://example.org/ns/{name}")) for name in "ab")
    assert door.meet(same, certificate=CERTIFICATE).principal.credential.startswith("jwt:")
    assert why(lambda: door.meet(other, certificate=CERTIFICATE)) is Why.CONFLICT


def test_certificates_that_mean_nothing_here(tmp_path: Path) -> None:
    """Where certificates are no identities they name nobody; a token may still be bound to one."""
    door = Door(tmp_path)
    assert why(lambda: door.meet(certificate=CERTIFICATE)) is Why.MISSING
    assert door.meet(bearer(door.issuer.token()), certificate=CERTIFICATE).principal.subject == "agent-1"
    assert why(lambda: door.meet(bearer(bound(door, "cd" * 32)), certificate=CERTIFICATE)) is Why.CONFLICT


values = st.text(max_size=30) | st.builds(
    "{} {}".format, st.sampled_from(["Bearer", "basic", "x"]), st.text(max_size=20)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.lists(st.tuples(st.sampled_from(CARRIERS), values), max_size=4), source=st.text(max_size=9))
def test_whatever_headers_come(door: Door, headers: list[tuple[str, str]], source: str) -> None:
    """Nobody, and no other error."""
    shown = Shown(tuple(headers), None, source)
    with pytest.raises(IdentityRefused):
        asyncio.run(door.keeper.identify(shown))
    with contextlib.suppress(IdentityRefused):
        assert door.keeper.remembered(shown) is None


def test_what_takes_a_check_of_a_signature(door: Door) -> None:
    """A token of ours that was never found good, wherever it is; neither rubbish nor what was good before."""
    theirs, own, forged = door.issuer.token("ci-bot"), door.issued(), TokenIssuer().token()

    def unproven(*headers: tuple[str, str]) -> bool:
        return door.keeper.unproven(Shown(headers))

    for headers in [(), (bearer("sk-1"),), (bearer("a.b.c"),), (("x-api-key", "sk-1"),), (bearer(own), bearer(own)),
                    (bearer(door.issuer.token(aud="other")),), ((AUTHORIZATION, "Digest x"),)]:  # fmt: skip
        assert not unproven(*headers)
        assert why(partial(door.meet, *headers)) is not None
    for token in (theirs, own):
        assert unproven(bearer(token))
        assert unproven(("x-api-key", token))
        door.meet(bearer(token))
        # Key files are looked at again every second; that is no new check.
        door.ticks.now += 2 * LOOK_SECONDS
        assert door.recall(bearer(token)) is None
        assert not unproven(bearer(token))
    assert unproven(bearer(own), ("x-api-key", forged))
    for _ in range(2):
        assert why(partial(door.meet, bearer(forged))) is Why.INVALID
        assert unproven(bearer(forged))


def test_a_key_that_went_takes_what_it_signed_along(door: Door) -> None:
    """What was good under it is nothing but a guess afterwards."""
    token = door.issuer.token("ci-bot")
    door.meet(bearer(token))
    TokenIssuer().write(door.jwks)
    assert why(partial(door.meet, bearer(token))) is Why.INVALID
    assert door.keeper.unproven(Shown((bearer(token),)))
