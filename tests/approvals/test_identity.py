"""Approvers' tokens: what proves a person, and what does not."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from extproc.adapters.identity import REFETCH_SECONDS, STALE_SECONDS, ApproverProvider, Approvers
from extproc.approvals.ports import IdentityRefused
from extproc.domain.principal import Kind, Principal
from tests.approvals.making import AUDIENCE, PEOPLE, Clock, Issuer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """The approvers' issuer."""
    return Issuer()


@pytest.fixture
def approvers(tmp_path: Path, issuer: Issuer) -> Approvers:
    """A verifier that knows the issuer by a file."""
    return Approvers([ApproverProvider(PEOPLE, AUDIENCE, issuer.write(tmp_path / "jwks.json"))], ["holdpoint"])


def refusal(approvers: Approvers, token: str) -> str:
    """The message of the refusal, which never quotes the token."""
    with pytest.raises(IdentityRefused) as refused:
        asyncio.run(approvers.verify(token))
    message = str(refused.value)
    assert not any(len(part) > 8 and part in message for part in token.split("."))
    return message


def test_a_good_token_proves_a_person(approvers: Approvers, issuer: Issuer) -> None:
    """Issuer, subject, groups and expiry come from the token; the kind is always human."""
    ends = int(time.time()) + 100
    person = asyncio.run(approvers.verify(issuer.token("dana", ["dba", "ops"], exp=ends)))
    assert person == Principal(PEOPLE, "dana", Kind.HUMAN, ("dba", "ops"), None, float(ends))
    assert asyncio.run(approvers.verify(issuer.token(groups=(), aud=["other", AUDIENCE]))).groups == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": int(time.time()) - 31}, "expired"),
        ({"exp": None}, "lacks the claim exp"),
        ({"sub": None}, "lacks the claim sub"),
        ({"sub": " "}, "empty"),
        ({"aud": None}, "wrong audience"),
        ({"aud": "someone-else"}, "wrong audience"),
        ({"aud": "holdpoint"}, "agent's"),
        ({"aud": [AUDIENCE, "holdpoint"]}, "agent's"),
        ({"iss": None}, "issuer"),
        ({"iss": "https://evil.test"}, "issuer"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"act": {"sub": "bot"}}, "delegated"),
        ({"groups": "dba"}, "not a list"),
        ({"groups": [1]}, "not a list"),
    ],
)
def test_claims_that_are_refused(approvers: Approvers, issuer: Issuer, changes: dict[str, Any], expected: str) -> None:
    """Each says what was wrong."""
    assert expected in refusal(approvers, issuer.token(**changes))


def test_a_little_lateness_is_forgiven(approvers: Approvers, issuer: Issuer) -> None:
    """Clocks differ by seconds."""
    assert asyncio.run(approvers.verify(issuer.token(exp=int(time.time()) - 5))).subject == "dana"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda i: "", "not a signed"),
        (lambda i: "a.b.c", "not a signed"),
        (lambda i: "x" * 20_000, "longer than"),
        (lambda i: i.token()[:-8] + "AAAAAAAA", "signature"),
        (lambda i: Issuer().token(), "signature"),
        (lambda i: Issuer(kid="k2").token(), "no ES256 key"),
        (lambda i: jwt.encode(claims(), "", "none"), "algorithm"),
        (lambda i: jwt.encode(claims(), "s" * 64, "HS256", {"kid": "k1"}), "algorithm"),
        (lambda i: jwt.encode(claims(), i.key, "ES256", {"kid": "k1", "crit": ["exp"]}), "token"),
    ],
)
def test_tokens_that_are_refused(
    approvers: Approvers, issuer: Issuer, make: Callable[[Issuer], str], expected: str
) -> None:
    """Nothing but a signature by the issuer's own asymmetric key counts."""
    assert expected in refusal(approvers, make(issuer))


def claims() -> dict[str, Any]:
    """Good claims."""
    return {"iss": PEOPLE, "aud": AUDIENCE, "sub": "dana", "groups": ["dba"], "exp": int(time.time()) + 600}


def test_other_key_kinds(tmp_path: Path) -> None:
    """RSA and Ed25519 keys prove too; a shared secret in the set is never used."""
    rsa_key, ed_key = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    keys = [
        jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True) | {"kid": "r"},
        jwt.algorithms.OKPAlgorithm.to_jwk(ed_key.public_key(), as_dict=True) | {"kid": "e"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s"},
    ]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    approvers = Approvers([ApproverProvider(PEOPLE, AUDIENCE, str(path))], [])
    for key, algorithm, kid in ((rsa_key, "RS256", "r"), (ed_key, "EdDSA", "e")):
        token = jwt.encode(claims(), key, algorithm, {"kid": kid})
        assert asyncio.run(approvers.verify(token)).subject == "dana"
    secret = jwt.encode(claims(), "secretsecretsecretsecretsecretsecret", "HS256", {"kid": "s"})
    assert "algorithm" in refusal(approvers, secret)


def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path, issuer: Issuer) -> None:
    """A withdrawn key stops counting at once, and so does everything when the file can't be read."""
    path = issuer.write(tmp_path / "jwks.json")
    approvers = Approvers([ApproverProvider(PEOPLE, AUDIENCE, path)], [])
    asyncio.run(approvers.verify(issuer.token()))
    fresh = Issuer(kid="k2")
    fresh.write(tmp_path / "new.json")
    os.replace(tmp_path / "new.json", path)
    assert asyncio.run(approvers.verify(fresh.token())).subject == "dana"
    assert "no ES256 key" in refusal(approvers, issuer.token())
    path.write_text("{")
    assert "can't be read" in refusal(approvers, fresh.token())
    path.unlink()
    assert "can't be read" in refusal(approvers, fresh.token())


def test_groups_by_path_or_by_whole_name(tmp_path: Path, issuer: Issuer) -> None:
    """Issuers put groups into objects, or under a claim named by a URL."""
    path = issuer.write(tmp_path / "jwks.json")
    for claim, changes in (
        ("realm_access.roles", {"realm_access": {"roles": ["dba"]}}),
        ("https://people.test/groups", {"https://people.test/groups": ["dba"]}),
    ):
        approvers = Approvers([ApproverProvider(PEOPLE, AUDIENCE, path, claim)], [])
        assert asyncio.run(approvers.verify(issuer.token(groups=(), **changes))).groups == ("dba",)


def test_agents_and_approvers_never_share_an_audience(tmp_path: Path) -> None:
    """Such a configuration is refused, for any agent could vote by it."""
    with pytest.raises(ValueError, match="agents"):
        Approvers([ApproverProvider(PEOPLE, "holdpoint", tmp_path)], ["holdpoint"])


class KeyServer:
    """Serves a key set, and counts how often it was asked."""

    def __init__(self) -> None:
        self.issuers: list[Issuer] = []
        self.asked = 0
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked += 1
        return web.json_response({"keys": [i.jwk() for i in self.issuers]}, status=self.status)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve; gives the address."""
        app = web.Application()
        app.router.add_get("/jwks", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
        await runner.cleanup()


def test_keys_of_an_address_are_cached_and_fetched_for_unknown_ids(issuer: Issuer) -> None:
    """One fetch serves many tokens; an unknown key id fetches again, but not for every token."""

    async def run() -> None:
        server, clock = KeyServer(), Clock(1000.0)
        server.issuers = [issuer]
        rotated = Issuer(kid="k2")
        async with server.serving() as address:
            approvers = Approvers([ApproverProvider(PEOPLE, AUDIENCE, address)], [], clock)
            for _ in range(3):
                await approvers.verify(issuer.token())
            assert server.asked == 1
            server.issuers = [rotated]
            for _ in range(3):
                with pytest.raises(IdentityRefused):
                    await approvers.verify(rotated.token())
            assert server.asked == 1
            clock.now += REFETCH_SECONDS
            await approvers.verify(rotated.token())
            assert server.asked == 2
            server.status = 500
            clock.now += STALE_SECONDS
            await approvers.verify(rotated.token())
            clock.now += REFETCH_SECONDS
            with pytest.raises(IdentityRefused, match="can't be had"):
                await approvers.verify(rotated.token())

    asyncio.run(run())
