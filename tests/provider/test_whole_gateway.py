"""A whole gateway that knows agents and people by a real identity provider, found by discovery."""

import re
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.support.envoy import until
from tests.support.gateway import CREDENTIAL, Gateway
from tests.support.idp import AGENTS, APPROVERS, Browser, Keycloak, Realm
from tests.support.idp_person import Person, device_address, finish


@pytest.fixture(scope="module")
def issuer(keycloak: Keycloak) -> Realm:
    """A realm for the tests of this module."""
    return keycloak.realm()


@pytest.fixture(scope="module")
def gateway(issuer: Realm) -> Iterator[Gateway]:
    """Before the provider's agents there stands another issuer; people are the provider's alone."""
    made = Gateway()
    agents = f"{{issuer: {issuer.issuer}, audience: {AGENTS}}}"
    people = f"{{issuer: {issuer.issuer}, audience: {APPROVERS}, client_id: {APPROVERS}}}"
    text = re.sub(r"(?m)^  agents: \[(.*)\]$", rf"  agents: [\1, {agents}]", made.config.read_text())
    made.config.write_text(re.sub(r"(?m)^  approvers: .*$", f"  approvers: [{people}]", text))
    try:
        yield made.start()
    finally:
        made.stop()


def agent(gateway: Gateway, token: str) -> httpx.Client:
    """An agent with a token of the provider."""
    headers = {"authorization": f"Bearer {token}", "host": "crm.holdpoint.internal"}
    return httpx.Client(base_url=gateway.url, headers=headers, timeout=60)


def test_an_agent_and_a_person_of_the_provider(gateway: Gateway, issuer: Realm, person: Person, page: Browser) -> None:
    """The agent's request waits; alice logs in with the configuration's own client, sees it and approves it. The record
    names both by issuer and subject, and the upstream saw neither token."""
    replies: list[httpx.Response] = []

    def ask() -> None:
        with agent(gateway, issuer.agent_token()) as client:
            replies.append(client.post("/customers/7/refunds", json={"amount": 25}))

    asking = threading.Thread(target=ask)
    asking.start()
    config = ("--config", str(gateway.config))
    login = person.start("login", *config)
    page.sign_in(device_address(login), "alice")
    code, _, errors = finish(login)
    assert code == 0, errors
    code, held, errors = person.run("holds", "wait", "--timeout", "30", *config)
    assert code == 0, errors
    found = re.search(r"[0-9a-f]{16}", held)
    assert found is not None
    code, told, errors = person.run("holds", "approve", found.group(), "--reason", "as agreed", *config)
    assert (code, told) == (0, f"hold {found.group()} is approved\n"), errors
    asking.join(60)
    assert replies[0].status_code == 200
    (seen,) = gateway.upstream.seen
    assert seen.headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    decision = next(d for d in gateway.wait_records("decision", 1) if d["decision"]["effect"] == "allow")
    assert decision["principal"]["issuer"] == issuer.issuer
    assert decision["approvers"][0]["issuer"] == issuer.issuer


def test_each_issuer_is_believed_for_its_own(gateway: Gateway, issuer: Realm) -> None:
    """Agents of both issuers come in; a person's token, though of the provider, does not make an agent."""
    own, person = gateway.agents.token(), issuer.person("alice")
    for token, status in (
        (issuer.agent_token(), 200),
        (own, 200),
        (str(person["access_token"]), 401),
        (str(person["id_token"]), 401),
    ):
        with agent(gateway, token) as client:
            assert client.get("/customers/7").status_code == status


def test_a_new_key_of_the_provider_is_found_by_itself(gateway: Gateway, issuer: Realm) -> None:
    """The provider signs with a new key while the gateway runs: nothing is restarted, and its agents come in."""
    with agent(gateway, issuer.agent_token()) as client:
        assert client.get("/customers/7").status_code == 200
    issuer.rotate(withdraw=False)
    with agent(gateway, issuer.agent_token()) as client:
        assert until(lambda: client.get("/customers/7").status_code == 200, "the new key to be known")
