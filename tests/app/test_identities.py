"""Who is believed, while the configuration changes."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.access.model import AgentToken, Freeze, Password
from extproc.app.deciding import may_go_on
from extproc.app.identities import Doorkeeper
from extproc.config import Settings, load
from extproc.config.identity import CertificateIssuer
from extproc.domain.identity import IdentityRefused, Shown, Why
from extproc.domain.principal import Kind, Principal
from tests.support.jwt import TokenIssuer

AGENTS = TokenIssuer("https://agents.test", "agents")
FIRST = f"{{issuer: {AGENTS.issuer}, audience: agents, jwks: keys.json}}"
OTHER = "{issuer: https://other.test, audience: agents, jwks: keys.json}"
CERTIFICATES = tuple(
    CertificateIssuer(spiffe=spiffe, name=name, kind=Kind.AGENT, groups=())
    for spiffe, name in (("example.org", None), (None, "corp"))
)


class Nobody:
    """Standing in which nobody is frozen and no token was issued."""

    def token(self, token_id: str) -> AgentToken | None:
        """None."""
        return None

    def password(self, password_id: str) -> Password | None:
        """None."""
        return None

    def frozen(self, principal: Principal) -> Freeze | None:
        """None."""
        return None


def settings(home: Path, *agents: str, more: str = "") -> Settings:
    """Settings with these agents, and more of `identity`."""
    AGENTS.write(home / "keys.json")
    file = home / "holdpoint.yaml"
    identity = ", ".join([f"agents: [{', '.join(agents)}]", *([more] if more else [])])
    file.write_text(
        f"version: 1\nlisten: {{domain: gate.test}}\nidentity: {{{identity}}}\n"
        'targets: {crm: {upstream: "http://127.0.0.1:9001"}}\n'
    )
    return load(file)


@pytest.mark.parametrize(
    ("issuer", "before", "after"),
    [
        ("https://agents.test", True, True),
        ("https://other.test", True, False),
        ("spiffe://example.org", True, False),
        ("mtls:corp", True, False),
        ("urn:holdpoint:gate.test", True, True),
        ("urn:holdpoint:elsewhere.test", False, False),
        ("https://people.test", False, False),
    ],
)
def test_whoever_an_issuer_let_in_goes_with_it(tmp_path: Path, issuer: str, before: bool, after: bool) -> None:
    """At once, for whatever is under way is asked about again."""
    given = settings(tmp_path, FIRST, OTHER)
    keeper = Doorkeeper(replace(given, identity=replace(given.identity, certificates=CERTIFICATES)), Nobody())
    principal = Principal(issuer, "somebody", Kind.AGENT)
    for expected, changed in ((before, None), (after, settings(tmp_path, FIRST))):
        if changed is not None:
            keeper.follow(changed)
        if expected:
            may_go_on(Nobody(), keeper, principal, 0.0)
        else:
            with pytest.raises(IdentityRefused, match="no longer believed") as refused:
                may_go_on(Nobody(), keeper, principal, 0.0)
            assert (refused.value.why, refused.value.principal) == (Why.REVOKED, principal)


PEOPLE = "approvers: [{issuer: 'https://people.test', audience: people, jwks: keys.json}]"


@pytest.mark.parametrize(
    ("issuer", "kind", "credential", "before", "after"),
    [
        ("https://people.test", Kind.HUMAN, "password:0123456789ab", True, False),
        ("https://people.test", Kind.HUMAN, "jwt:1", False, False),
        ("https://people.test", Kind.AGENT, "password:0123456789ab", False, False),
        ("https://other.test", Kind.HUMAN, "password:0123456789ab", False, False),
        ("https://agents.test", Kind.AGENT, "password:0123456789ab", True, True),
    ],
)
def test_approvers_issuers_count_for_people_by_password_alone(
    tmp_path: Path, issuer: str, kind: Kind, credential: str, before: bool, after: bool
) -> None:
    """Until they are taken out of the configuration."""
    keeper = Doorkeeper(settings(tmp_path, FIRST, more=PEOPLE), Nobody())
    principal = Principal(issuer, "dana", kind, credential=credential)
    assert keeper.believes(principal) is before
    keeper.follow(settings(tmp_path, FIRST))
    assert keeper.believes(principal) is after


def test_only_what_lets_agents_in_has_them_verified_anew(tmp_path: Path) -> None:
    """Administrators come and go without anybody's keys being fetched again."""
    shown = Shown((("authorization", f"Bearer {AGENTS.token('ada')}"),))
    keeper = Doorkeeper(settings(tmp_path, FIRST), Nobody())
    asyncio.run(keeper.identify(shown))
    keeper.follow(settings(tmp_path, FIRST, more="administrators: [admins]"))
    assert keeper.remembered(shown) is not None
    keeper.follow(settings(tmp_path, FIRST, OTHER))
    assert keeper.remembered(shown) is None
