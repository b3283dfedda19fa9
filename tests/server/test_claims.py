"""From verified claims to a principal."""

from typing import Any

import pytest

from extproc.domain.principal import Kind, Principal
from extproc.server.claims import ClaimRules, NoPrincipal, principal_of

RULES = {
    ("https://a", "agents"): ClaimRules(Kind.AGENT, "groups"),
    ("https://a", "services"): ClaimRules(Kind.SERVICE, "realm_access.roles"),
}
BASE: dict[str, Any] = {"iss": "https://a", "aud": "agents", "sub": "s", "exp": 9.0, "groups": ["x", 1]}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, Principal("https://a", "s", Kind.AGENT, ("x",), None, 9.0)),
        ({"groups": "x"}, Principal("https://a", "s", Kind.AGENT, ("x",), None, 9.0)),
        ({"groups": {"x": 1}}, Principal("https://a", "s", Kind.AGENT, (), None, 9.0)),
        ({"aud": ["other", "agents"]}, Principal("https://a", "s", Kind.AGENT, ("x",), None, 9.0)),
        (
            {"aud": "services", "realm_access": {"roles": ["ops"]}},
            Principal("https://a", "s", Kind.SERVICE, ("ops",), None, 9.0),
        ),
        ({"act": {"sub": "bot"}}, Principal("https://a", "bot", Kind.AGENT, ("x",), "s", 9.0)),
    ],
)
def test_claims_that_name_somebody(claims: dict[str, Any], expected: Principal) -> None:
    """Kind and groups follow issuer and audience; with `act`, the actor acts for the subject."""
    assert principal_of({**BASE, **claims}, RULES) == expected


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None}, {"iss": "https://b"}, {"sub": ""}, {"sub": 7}, {"aud": "other"}, {"aud": None},
        {"aud": ["agents", "services"]}, {"act": {}}, {"act": "bot"}, {"act": {"sub": ""}},
    ],
)  # fmt: skip
def test_claims_that_name_nobody(claims: dict[str, Any]) -> None:
    """Nobody is better than somebody else."""
    with pytest.raises(NoPrincipal):
        principal_of({**BASE, **claims}, RULES)
