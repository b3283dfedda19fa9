"""Approvers' tokens: what proves a person, and what does not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.identity import AUDIENCE, Approvers, Provider
from extproc.adapters.identity.claims import LEEWAY_SECONDS
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind
from tests.identity.making import Counts
from tests.support.jwt import TokenIssuer

PEOPLE = TokenIssuer("https://people.test", "holdpoint-approvals")
AGENTS = ["holdpoint"]


def provider(folder: Path, groups_claim: str = "groups") -> Provider:
    """The approvers' issuer, known by a file. Whatever its kind, it names people."""
    return Provider(PEOPLE.issuer, PEOPLE.audience, PEOPLE.write(folder / "jwks.json"), groups_claim)


def refusal(approvers: Approvers, token: str) -> tuple[Why, str]:
    """Why a token is refused, in a message that never quotes it."""
    with pytest.raises(IdentityRefused) as refused:
        asyncio.run(approvers.verify(token))
    message = str(refused.value)
    assert not any(len(part) > 8 and part in message for part in token.split("."))
    return refused.value.why, message


def test_a_good_token_proves_a_person(tmp_path: Path) -> None:
    """Issuer, subject, groups and expiry come from the token; the kind is always human."""
    approvers = Approvers([provider(tmp_path)], AGENTS)
    ends = int(time.time()) + 100
    person = asyncio.run(approvers.verify(PEOPLE.token("dana", groups=["dba", "ops"], exp=ends)))
    assert (person.issuer, person.subject, person.kind, person.groups, person.acts_for, person.expires_at) == (
        PEOPLE.issuer, "dana", Kind.HUMAN, ("dba", "ops"), None, ends + LEEWAY_SECONDS
    )  # fmt: skip
    assert asyncio.run(approvers.verify(PEOPLE.token(aud=["other", PEOPLE.audience]))).groups == ()
    assert asyncio.run(approvers.verify(PEOPLE.token(exp=time.time() - 5))).subject == "agent-1"


CLAIMS: list[tuple[dict[str, Any], Why, str]] = [
    ({"exp": time.time() - 31}, Why.EXPIRED, "expired"),
    ({"exp": None}, Why.INVALID, "lacks the claim exp"),
    ({"subject": None}, Why.INVALID, "lacks the claim sub"),
    ({"subject": " "}, Why.INVALID, "empty"),
    ({"aud": None}, Why.WRONG_AUDIENCE, "wrong audience"),
    ({"aud": "someone-else"}, Why.WRONG_AUDIENCE, "wrong audience"),
    ({"aud": "holdpoint"}, Why.WRONG_AUDIENCE, "agent's"),
    ({"aud": AUDIENCE}, Why.WRONG_AUDIENCE, "agent's"),
    ({"aud": ["holdpoint-approvals", "holdpoint"]}, Why.WRONG_AUDIENCE, "agent's"),
    ({"aud": ["holdpoint-approvals", AUDIENCE]}, Why.WRONG_AUDIENCE, "agent's"),
    ({"iss": None}, Why.INVALID, "identity.approvers"),
    ({"iss": "https://evil.test"}, Why.INVALID, "identity.approvers"),
    ({"nbf": time.time() + 86_400}, Why.INVALID, "not valid yet"),
    ({"act": {"sub": "bot"}}, Why.INVALID, "delegated"),
    ({"act": None, "cnf": {"x5t#S256": "A" * 43}}, Why.INVALID, "bound"),
    ({"groups": "dba"}, Why.INVALID, "not a list"),
    ({"groups": [1]}, Why.INVALID, "not a list"),
]


@pytest.mark.parametrize(("changes", "why", "expected"), CLAIMS, ids=range(len(CLAIMS)))
def test_claims_that_are_refused(tmp_path: Path, changes: dict[str, Any], why: Why, expected: str) -> None:
    """Each says what was wrong; what an agent holds never votes."""
    found, message = refusal(Approvers([provider(tmp_path)], AGENTS), PEOPLE.token(**changes))
    assert (found, expected in message) == (why, True), message


def test_an_act_of_nobody_is_still_a_delegation(tmp_path: Path) -> None:
    """The claim itself says that the token is not the person's own."""
    body = {"iss": PEOPLE.issuer, "aud": PEOPLE.audience, "sub": "dana", "exp": time.time() + 60, "act": ""}
    assert "delegated" in refusal(Approvers([provider(tmp_path)], AGENTS), PEOPLE.headed({}, **body))[1]


def test_groups_by_path_or_by_whole_name(tmp_path: Path) -> None:
    """Issuers put groups into objects, or under a claim named by a URL."""
    for claim, changes in (
        ("realm_access.roles", {"realm_access": {"roles": ["dba"]}}),
        ("https://people.test/groups", {"https://people.test/groups": ["dba"]}),
    ):
        approvers = Approvers([provider(tmp_path, claim)], AGENTS)
        assert asyncio.run(approvers.verify(PEOPLE.token(**changes))).groups == ("dba",)


def test_a_frozen_person_is_refused(tmp_path: Path) -> None:
    """Also where every token is good."""
    standing = Counts()
    approvers = Approvers([provider(tmp_path)], AGENTS, standing)
    assert asyncio.run(approvers.verify(PEOPLE.token("dana"))).subject == "dana"
    standing.freezes.add("dana")
    assert refusal(approvers, PEOPLE.token("dana"))[0] is Why.FROZEN
    standing.broken = True
    assert refusal(approvers, PEOPLE.token("eve"))[0] is Why.UNAVAILABLE


@pytest.mark.parametrize("audience", ["holdpoint", AUDIENCE])
def test_agents_and_approvers_never_share_an_audience(tmp_path: Path, audience: str) -> None:
    """Such a configuration is refused, for any agent could vote by it."""
    with pytest.raises(ValueError, match="agents"):
        Approvers([Provider(PEOPLE.issuer, audience, tmp_path)], AGENTS)
