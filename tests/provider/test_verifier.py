"""Agents and people of a real identity provider: discovery, its keys and their rotation, its claims."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from extproc.adapters.identity import Approvers, Provider, Tokens
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind
from tests.support.idp import AGENTS, API_AUDIENCE, APPROVERS, OTHERS, Keycloak, Realm

T = TypeVar("T")


class Ticks:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Its time, in seconds."""
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def test_an_agent_is_known_by_discovery_alone(shared_realm: Realm) -> None:
    """Issuer and audience are all that is configured; keys are where the provider's discovery document says."""
    tokens = Tokens([Provider(shared_realm.issuer, AGENTS)])
    principal = run(tokens.prove(shared_realm.agent_token())).principal
    assert (principal.issuer, principal.kind) == (shared_realm.issuer, Kind.AGENT)
    assert principal.acts_for is None


def test_a_persons_groups_are_where_the_provider_puts_them(shared_realm: Realm) -> None:
    """A flat claim of groups, and Keycloak's own nested roles; a person without any has none."""
    approver = Provider(shared_realm.issuer, APPROVERS)
    nested = Provider(shared_realm.issuer, APPROVERS, groups_claim="realm_access.roles")
    alice, bob = (str(shared_realm.person(user)["id_token"]) for user in ("alice", "bob"))
    assert set(run(Approvers([approver], [AGENTS]).verify(alice)).groups) == {"finance", "holdpoint-admins"}
    assert run(Approvers([nested], [AGENTS]).verify(alice)).groups == ("finance",)
    assert run(Approvers([approver], [AGENTS]).verify(bob)).groups == ()


def test_tokens_keep_to_their_audience(shared_realm: Realm) -> None:
    """No agent's token is a person's, no person's is an agent's, and an access token is not for the client's own id."""
    people = Approvers(
        [Provider(shared_realm.issuer, APPROVERS), Provider(shared_realm.issuer, API_AUDIENCE)], [AGENTS]
    )
    agents = Tokens([Provider(shared_realm.issuer, AGENTS)])
    alice = shared_realm.person("alice")
    assert run(people.verify(shared_realm.person("alice", OTHERS)["access_token"])).kind is Kind.HUMAN
    for refuse in (
        people.verify(shared_realm.agent_token()),
        people.verify(alice["access_token"]),
        agents.prove(alice["id_token"]),
    ):
        with pytest.raises(IdentityRefused) as refused:
            run(refuse)
        assert refused.value.why is Why.WRONG_AUDIENCE


def test_a_refresh_token_proves_nobody(shared_realm: Realm) -> None:
    """What only the provider's token endpoint takes is not taken here, though it is a JWT of the issuer."""
    people = Approvers([Provider(shared_realm.issuer, APPROVERS)], [AGENTS])
    with pytest.raises(IdentityRefused):
        run(people.verify(shared_realm.person("alice")["refresh_token"]))


def test_a_token_ends_when_the_provider_said(shared_realm: Realm) -> None:
    """After its end and the leeway it is refused as expired, though its signature stays good."""
    token = str(shared_realm.person("alice")["id_token"])
    late = Approvers([Provider(shared_realm.issuer, APPROVERS)], [AGENTS], clock=lambda: time.time() + 400)
    with pytest.raises(IdentityRefused) as refused:
        run(late.verify(token))
    assert refused.value.why is Why.EXPIRED


def test_a_new_key_counts_at_once_and_a_withdrawn_one_no_more(realm: Realm) -> None:
    """The provider signs with a new key: tokens of both count. It withdraws the old one: once the keys are looked at
    again, its tokens don't."""
    ticks = Ticks()
    tokens = Tokens([Provider(realm.issuer, AGENTS)], ticks=ticks)

    async def story() -> None:
        first = await asyncio.to_thread(realm.agent_token)
        proof = await tokens.prove(first)
        await asyncio.to_thread(lambda: realm.rotate(withdraw=False))
        second = await asyncio.to_thread(realm.agent_token)
        ticks.now += 11  # unknown key ids lead to one look in ten seconds
        assert (await tokens.prove(second)).principal.subject == proof.principal.subject
        await tokens.prove(first)

        await asyncio.to_thread(lambda: realm.rotate(withdraw=True))
        third = await asyncio.to_thread(realm.agent_token)
        ticks.now += 11
        await tokens.prove(third)
        assert not proof.stands()
        for withdrawn in (first, second):
            with pytest.raises(IdentityRefused):
                await tokens.prove(withdrawn)

    run(story())


def test_providers_do_not_answer_for_each_other(keycloak: Keycloak, realm: Realm, shared_realm: Realm) -> None:
    """Two issuers with one audience: each knows its own, and a third that nobody named is refused."""
    tokens = Tokens([Provider(realm.issuer, AGENTS), Provider(shared_realm.issuer, AGENTS, kind=Kind.SERVICE)])

    async def story() -> None:
        for issuer, kind in ((realm, Kind.AGENT), (shared_realm, Kind.SERVICE)):
            principal = (await tokens.prove(await asyncio.to_thread(issuer.agent_token))).principal
            assert (principal.issuer, principal.kind) == (issuer.issuer, kind)
        stranger = await asyncio.to_thread(keycloak.realm)
        with pytest.raises(IdentityRefused, match="issuer"):
            await tokens.prove(await asyncio.to_thread(stranger.agent_token))

    run(story())
