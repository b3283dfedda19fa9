"""Agents' tokens: whom they prove, and what proves nobody."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from extproc.adapters.identity import Provider, Tokens
from extproc.adapters.identity import claims as reading
from extproc.adapters.identity.claims import LEEWAY_SECONDS, peek
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind, Principal
from tests.support.jwt import TokenIssuer

ISSUER = TokenIssuer()
IT = ISSUER.issuer
END = int(time.time()) + 7200


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    """Two audiences of one issuer."""
    jwks = ISSUER.write(tmp_path_factory.mktemp("keys") / "jwks.json")
    services = Provider(IT, "services", jwks, "realm_access.roles", kind=Kind.SERVICE)
    return Tokens([Provider(IT, "holdpoint", jwks), services, Provider(IT, "urls", jwks, "https://x.test/groups")])


def proven(tokens: Tokens, token: str) -> Principal:
    """Whom a token proves, without the name of the credential."""
    principal = asyncio.run(tokens.prove(token)).principal
    assert principal.credential.startswith("jwt:")
    assert len(principal.credential) == len("jwt:") + 16
    return Principal(
        *(getattr(principal, n) for n in ("issuer", "subject", "kind", "groups", "acts_for", "expires_at"))
    )


def refused(tokens: Tokens, token: str) -> tuple[Why, str]:
    """Why a token proves nobody, in a message that never quotes it."""
    with pytest.raises(IdentityRefused) as caught:
        asyncio.run(tokens.prove(token))
    message = str(caught.value)
    assert not any(len(part) > 8 and part in message for part in token.split("."))
    return caught.value.why, message


ENDS = END + LEEWAY_SECONDS
WHO: list[tuple[dict[str, Any], Principal]] = [
    ({}, Principal(IT, "agent-1", Kind.AGENT, (), None, ENDS)),
    ({"groups": ["x", 1, "y"]}, Principal(IT, "agent-1", Kind.AGENT, ("x", "y"), None, ENDS)),
    ({"groups": "x"}, Principal(IT, "agent-1", Kind.AGENT, ("x",), None, ENDS)),
    ({"groups": {"x": 1}}, Principal(IT, "agent-1", Kind.AGENT, (), None, ENDS)),
    ({"aud": ["other", "holdpoint"]}, Principal(IT, "agent-1", Kind.AGENT, (), None, ENDS)),
    (
        {"aud": "services", "realm_access": {"roles": ["ops"]}},
        Principal(IT, "agent-1", Kind.SERVICE, ("ops",), None, ENDS),
    ),
    ({"aud": "urls", "https://x.test/groups": ["dba"]}, Principal(IT, "agent-1", Kind.AGENT, ("dba",), None, ENDS)),
    ({"act": {"sub": "bot"}}, Principal(IT, "bot", Kind.AGENT, (), "agent-1", ENDS)),
    ({"act": {"sub": "bot", "iss": IT}}, Principal(IT, "bot", Kind.AGENT, (), "agent-1", ENDS)),
    ({"act": {"sub": "now", "act": {"sub": "before"}}}, Principal(IT, "now", Kind.AGENT, (), "agent-1", ENDS)),
    ({"nbf": END - 7300, "iat": time.time() + 20}, Principal(IT, "agent-1", Kind.AGENT, (), None, ENDS)),
]


@pytest.mark.parametrize(("claims", "expected"), WHO, ids=range(len(WHO)))
def test_claims_that_name_somebody(tokens: Tokens, claims: dict[str, Any], expected: Principal) -> None:
    """Kind and groups follow issuer and audience; with `act`, the actor acts for the subject."""
    assert proven(tokens, ISSUER.token(exp=END, **claims)) == expected


def test_a_credential_is_named_by_its_id(tokens: Tokens) -> None:
    """Two tokens of one id are one credential; without an id, each is its own."""
    names = [
        asyncio.run(tokens.prove(ISSUER.token(exp=END, jti=jti))).principal.credential for jti in ("a", "a", "b", None)
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


INVALID, AUDIENCE = Why.INVALID, Why.WRONG_AUDIENCE
CLAIMS: list[tuple[dict[str, Any], Why, str]] = [
    ({"iss": None}, INVALID, "issuer is not one of identity.agents"),
    ({"iss": "https://evil.test"}, INVALID, "issuer"),
    ({"iss": [IT]}, INVALID, "issuer"),
    ({"iss": IT + "/"}, INVALID, "issuer"),
    ({"aud": None}, AUDIENCE, "needs holdpoint or services or urls"),
    ({"aud": "approvals"}, AUDIENCE, "audience"),
    ({"aud": {"holdpoint": 1}}, AUDIENCE, "audience"),
    ({"aud": ["holdpoint", "services"]}, INVALID, "several kinds"),
    ({"exp": None}, INVALID, "lacks the claim exp"),
    ({"exp": str(END)}, INVALID, "exp is not a number"),
    ({"exp": True}, INVALID, "exp is not a number"),
    ({"exp": time.time() - 31}, Why.EXPIRED, "expired"),
    ({"exp": -1e300}, Why.EXPIRED, "expired"),
    ({"nbf": time.time() + 7200}, INVALID, "not valid yet"),
    ({"iat": time.time() + 7200}, INVALID, "not valid yet"),
    ({"nbf": "soon"}, INVALID, "nbf is not a number"),
    ({"subject": None}, INVALID, "lacks the claim sub"),
    ({"subject": ""}, INVALID, "empty"),
    ({"subject": " "}, INVALID, "empty"),
    ({"subject": 7}, INVALID, "no plain text"),
    ({"subject": "a\u202eb"}, INVALID, "no plain text"),
    ({"subject": "a\nb"}, INVALID, "no plain text"),
    ({"act": {}}, INVALID, "sub"),
    ({"act": "bot"}, INVALID, "act"),
    ({"act": {"sub": ""}}, INVALID, "empty"),
    ({"act": {"sub": "bot", "iss": "https://other.test"}}, INVALID, "another issuer"),
    ({"cnf": {"jkt": "x"}}, INVALID, "bound"),
    ({"cnf": {"x5t#S256": "x", "jkt": "y"}}, INVALID, "bound"),
    ({"cnf": {"x5t#S256": "short"}}, INVALID, "SHA-256"),
    ({"cnf": "x"}, INVALID, "bound"),
    ({"cnf": {}}, INVALID, "bound"),
]


@pytest.mark.parametrize(("claims", "why", "expected"), CLAIMS, ids=range(len(CLAIMS)))
def test_claims_that_name_nobody(tokens: Tokens, claims: dict[str, Any], why: Why, expected: str) -> None:
    """Each says what was wrong."""
    found, message = refused(tokens, ISSUER.token(**claims))
    assert (found, expected in message) == (why, True), message


def body() -> dict[str, Any]:
    """Good claims."""
    return {"iss": IT, "aud": "holdpoint", "sub": "agent-1", "exp": END}


def headed(headers: dict[str, Any], **claims: Any) -> str:
    """A good token, but for these members."""
    return ISSUER.headed(headers, **{**body(), **claims})


def tampered(token: str) -> str:
    """The token with another subject under the same signature."""
    head, claims, signature = token.split(".")
    claims = jwt.utils.base64url_encode(json.dumps({**peek(token)[1], "sub": "root"}).encode()).decode()
    return f"{head}.{claims}.{signature}"


TOKENS: list[tuple[Callable[[], str], str]] = [
    (lambda: "", "not a signed"),
    (lambda: "a.b.c", "not a signed"),
    (lambda: "e30.e30.", "not a signed"),
    (lambda: "e30.e30.AA", "issuer"),
    (lambda: "W10.W10.AA", "not a signed"),
    (lambda: f"{jwt.utils.base64url_encode(b'[' * 900).decode()}.e30.AA", "not a signed"),
    (lambda: ISSUER.token() + "." + "A" * 40, "not a signed"),
    (lambda: ISSUER.token() + "\n", "not a signed"),
    (lambda: ISSUER.token() + "=", "not a signed"),
    (lambda: "x" * 20_000, "longer than"),
    (lambda: tampered(ISSUER.token()), "signature"),
    (lambda: ISSUER.token()[:-8] + "AAAAAAAA", "signature"),
    (lambda: TokenIssuer().token(), "signature"),
    (lambda: TokenIssuer(kid="k2").token(), "no ES256 key"),
    (lambda: ISSUER.unsigned(), "not a signed"),
    (lambda: ISSUER.unsigned() + "AA", "algorithm"),
    (lambda: jwt.encode(body(), "s" * 64, "HS256", {"kid": "k1"}), "algorithm"),
    (lambda: headed({"alg": "RS256"}), "no RS256 key"),
    (lambda: headed({"alg": None}), "algorithm"),
    (lambda: headed({"alg": ["ES256"]}), "algorithm"),
    (lambda: headed({"kid": 7}), "kid"),
    (lambda: headed({"crit": ["exp"]}), "crit"),
    (lambda: headed({"crit": ["b64"], "b64": False}), "crit"),
    (lambda: headed({"crit": []}), "crit"),
    (lambda: headed({"b64": False}), "signature"),
    (lambda: headed({"typ": "logout+jwt"}), "typ"),
    (lambda: headed({"typ": "dpop+jwt"}), "typ"),
    (lambda: headed({"typ": 7}), "typ"),
]


@pytest.mark.parametrize(("make", "expected"), TOKENS, ids=range(len(TOKENS)))
def test_tokens_that_prove_nothing(tokens: Tokens, make: Callable[[], str], expected: str) -> None:
    """Nothing but a signature by the issuer's own asymmetric key counts, over exactly these claims."""
    why, message = refused(tokens, make())
    assert (why, expected in message) == (Why.INVALID, True), message


@pytest.mark.parametrize(
    "headers",
    [{}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"kid": None}, {"jku": "http://x"}],
)
def test_headers_that_are_fine(tokens: Tokens, headers: dict[str, Any]) -> None:
    """Access tokens may say that they are some; where a token says its keys are does not matter."""
    assert proven(tokens, headed(headers)).subject == "agent-1"


def test_a_binding_is_kept(tokens: Tokens) -> None:
    """A token that is bound to a certificate says to which one."""
    digest = hashlib.sha256(b"certificate").digest()
    bound = ISSUER.token(cnf={"x5t#S256": jwt.utils.base64url_encode(digest).decode()})
    assert asyncio.run(tokens.prove(bound)).bound_to == digest.hex()


def test_other_key_kinds(tmp_path: Path) -> None:
    """RSA and Ed25519 keys prove too, each with its own algorithm only; two keys that fit are one too many."""
    rsa_key, ed_key = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    keys = [
        RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True) | {"kid": "r"},
        RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True) | {"kid": "p", "alg": "PS256"},
        OKPAlgorithm.to_jwk(ed_key.public_key(), as_dict=True) | {"kid": "e"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s"},
    ]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    tokens = Tokens([Provider(IT, "holdpoint", path)])
    for key, algorithm, kid in ((rsa_key, "RS256", "r"), (rsa_key, "PS256", "p"), (ed_key, "EdDSA", "e")):
        assert proven(tokens, jwt.encode(body(), key, algorithm, {"kid": kid})).subject == "agent-1"
    assert "no RS512 key" in refused(tokens, jwt.encode(body(), rsa_key, "RS512", {"kid": "r"}))[1]
    assert "no PS256 key" in refused(tokens, jwt.encode(body(), rsa_key, "PS256", {"kid": "r"}))[1]
    assert "algorithm" in refused(tokens, jwt.encode(body(), "s" * 64, "HS256", {"kid": "s"}))[1]
    path.write_text(json.dumps({"keys": [keys[0], keys[0]]}))
    assert "several keys" in refused(tokens, jwt.encode(body(), rsa_key, "RS256", {"kid": "r"}))[1]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "act", "cnf", "groups", "jti", "realm_access"])
HEADERS = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "cty"])


@given(claims=st.dictionaries(NAMES, anything, max_size=4), headers=st.dictionaries(HEADERS, anything, max_size=3))
def test_whatever_a_signed_token_says(tokens: Tokens, claims: dict[str, Any], headers: dict[str, Any]) -> None:
    """A party or a refusal, for claims of any type; never another error."""
    try:
        principal = asyncio.run(tokens.prove(headed(headers, **claims)))
    except IdentityRefused:
        return
    assert principal.principal.issuer == IT


@given(token=st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,20}"))
def test_whatever_text_is_shown(tokens: Tokens, token: str) -> None:
    """Nobody, and no other error."""
    with pytest.raises(IdentityRefused):
        asyncio.run(tokens.prove(token))


@given(cut=st.integers(0, 400), put=st.characters())
def test_a_token_with_one_character_changed(tokens: Tokens, cut: int, put: str) -> None:
    """It proves the same, where the change is in a bit that means nothing, or nobody."""
    token = ISSUER.token(exp=END)
    cut = min(cut, len(token) - 1)
    with contextlib.suppress(IdentityRefused):
        assert proven(tokens, token[:cut] + put + token[cut + 1 :]).subject == "agent-1"


def test_a_token_is_called_by_what_was_signed() -> None:
    """Of an ECDSA signature there is a second one that is valid too; a copy with it is the same credential."""
    claims = {"iss": "https://id.test", "sub": "bot"}
    assert reading.credential(claims, "a.b.one", "https://id.test") == reading.credential(claims, "a.b.two", "i")
    assert reading.credential(claims, "a.c.one", "https://id.test") != reading.credential(claims, "a.b.one", "i")
    named = claims | {"jti": "7"}
    assert reading.credential(named, "a.b.one", "i") == reading.credential(named, "a.c.one", "i")
