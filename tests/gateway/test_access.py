"""Agent tokens through a whole gateway: who issues them, what they open, and that they end."""

import base64
import getpass
import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from openai import AuthenticationError, OpenAI

from tests.support.flows import Asking, Slow, until
from tests.support.gateway import Gateway, running

TARGETS = """
erp: {upstream: "UPSTREAM", environment: staging, credential: credential}
models: {upstream: "UPSTREAM", environment: staging, credential: credential}
"""
CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway with three targets, whose administrators are a group."""
    yield from running(targets=TARGETS.strip(), identity="administrators: [admins]")


def agent(gateway: Gateway, headers: dict[str, str], target: str = "crm") -> httpx.Client:
    """A client that shows itself in these headers, and nothing else."""
    headers = {"host": f"{target}.holdpoint.internal", **headers}
    return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)


def bearer(gateway: Gateway, token: str, target: str = "crm") -> httpx.Client:
    """A client with a token."""
    return agent(gateway, {"authorization": f"Bearer {token}"}, target)


def basic(user: str, password: str) -> str:
    """The value of a Basic header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


WAYS: dict[str, Callable[[str], dict[str, str]]] = {
    "bearer": lambda t: {"authorization": f"Bearer {t}"},
    "basic password": lambda t: {"authorization": basic("anybody", t)},
    "basic user": lambda t: {"authorization": basic(t, "")},
    "proxy-authorization": lambda t: {"proxy-authorization": basic("agent", t)},
    "x-api-key": lambda t: {"x-api-key": t},
    "api-key": lambda t: {"api-key": t},
    "in two places": lambda t: {"authorization": f"Bearer {t}", "x-api-key": t},
}


@pytest.fixture(scope="module")
def crm_bot(started: Gateway) -> tuple[str, str]:
    """A token, and its id."""
    return started.issue("crm-bot", "--target", "crm", "--target", "models", "--note", "for tests")


@pytest.mark.parametrize("way", WAYS)
def test_a_token_works_wherever_clients_put_it(gateway: Gateway, crm_bot: tuple[str, str], way: str) -> None:
    """It lets its agent in by its name, never goes on, and stands in the record as its id."""
    token_id, token = crm_bot
    before = len(gateway.records("decision"))
    with agent(gateway, WAYS[way](token)) as client:
        assert client.get("/customers/1").status_code == 200
    (seen,) = gateway.upstream.seen
    for spelling in (token, basic("anybody", token), basic(token, ""), basic("agent", token)):
        assert spelling.removeprefix("Basic ").encode() not in seen.head + seen.body
    assert not {"proxy-authorization", "x-api-key", "api-key"} & set(seen.headers)
    decision = gateway.wait_records("decision", before + 1)[-1]
    assert decision["principal"]["subject"] == "crm-bot"
    assert decision["principal"]["credential"] == f"agent-token:{token_id}"


def test_openais_client_works_with_it(
    gateway: Gateway, crm_bot: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OPENAI_API_KEY, which is all that its user sets beside the base URL; a key that is none gets 401."""
    body = json.dumps(CHAT).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    gateway.upstream.answer = lambda _: [head + body]
    monkeypatch.setenv("OPENAI_BASE_URL", f"{gateway.url}/models/v1")
    monkeypatch.setenv("OPENAI_API_KEY", crm_bot[1])
    with OpenAI(max_retries=0) as model:
        said = model.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert said.choices[0].message.content == "hello"
    assert crm_bot[1].encode() not in gateway.upstream.seen[0].head
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something-else")
    with OpenAI(max_retries=0) as model, pytest.raises(AuthenticationError) as refused:
        model.models.list()
    assert refused.value.response.json()["type"] == "urn:holdpoint:refusal:identity-invalid"


def test_only_for_its_targets(gateway: Gateway, crm_bot: tuple[str, str]) -> None:
    """403, a record that names who it was, and nothing upstream."""
    with bearer(gateway, crm_bot[1], "erp") as client:
        reply = client.get("/orders")
    assert (reply.status_code, reply.json()["type"]) == (403, "urn:holdpoint:refusal:target-out-of-scope")
    assert "crm, models" in reply.json()["detail"]
    assert gateway.upstream.seen == []
    refused = [d for d in gateway.records("decision") if d["target"]["name"] == "erp"][-1]
    assert refused["principal"]["subject"] == "crm-bot"
    assert refused["decision"]["reasons"][0]["code"] == "target-out-of-scope"


def test_only_from_its_networks(gateway: Gateway) -> None:
    """From elsewhere it is refused, and the record names whose it is."""
    _, elsewhere = gateway.issue("far-bot", "--network", "10.0.0.0/8", "--network", "2001:db8::/32")
    _, here = gateway.issue("near-bot", "--network", "127.0.0.0/8")
    with bearer(gateway, here) as client:
        assert client.get("/x").status_code == 200
    with bearer(gateway, elsewhere) as client:
        reply = client.get("/x")
    assert (reply.status_code, reply.json()["type"]) == (403, "urn:holdpoint:refusal:identity-wrong-network")
    assert len(gateway.upstream.seen) == 1
    refused = [r for r in gateway.records("refusal") if r["code"] == "identity-wrong-network"]
    assert refused[0]["principal"]["subject"] == "far-bot"


def test_revoking_ends_what_it_has_open(gateway: Gateway) -> None:
    """A stream breaks off, and the next request is refused; another token of the same name goes on."""
    token_id, token = gateway.issue("leaver")
    _, other = gateway.issue("leaver")
    slow = gateway.upstream.answer = Slow()
    ends, stays = (Asking(bearer(gateway, t), "GET", "/download").wait() for t in (token, other))
    revoked = gateway.administer("tokens", "revoke", token_id, "--json")
    assert revoked.returncode == 0, revoked.stderr
    assert ends.end().broken is not None
    with bearer(gateway, token) as client:
        reply = client.get("/x")
    assert (reply.status_code, reply.json()["type"]) == (401, "urn:holdpoint:refusal:identity-revoked")
    refused = [r for r in gateway.records("refusal") if r["code"] == "identity-revoked"]
    assert [r["principal"]["credential"] for r in refused] == [f"agent-token:{token_id}"]
    slow.go.set()
    assert (stays.end().broken, stays.status) == (None, 200)
    until(
        lambda: any(d["outcome"] == "aborted:identity-revoked" for d in gateway.records("delivery")),
        "the record of the stream's end",
    )
    records = [(r["what"], r["by"]["subject"]) for r in gateway.records("token") if r["id"] == token_id]
    assert records == [("issued", getpass.getuser()), ("revoked", getpass.getuser())]


def test_administrators_by_group_are_named(gateway: Gateway) -> None:
    """A person of the group issues, and the record says so; one who may only approve does not."""
    words = ("tokens", "issue", "--subject", "their-bot", "--json")
    issued = gateway.holdpoint(*words, subject="ada", groups=("admins",))
    assert issued.returncode == 0, issued.stderr
    document = json.loads(issued.stdout)
    assert document["owner"] == {"issuer": gateway.people.issuer, "subject": "ada"}
    record = [r for r in gateway.records("token") if r["id"] == document["id"]][-1]
    assert (record["what"], record["by"]["issuer"], record["by"]["subject"]) == ("issued", gateway.people.issuer, "ada")
    refused = gateway.holdpoint(*words, subject="bob", groups=("finance",))
    assert refused.returncode != 0
    assert gateway.records("token")[-1] == record
    with bearer(gateway, document["token"]) as client:
        assert client.get("/x").status_code == 200


def test_nobody_answers_what_their_own_token_asks(gateway: Gateway) -> None:
    """Whomever an administrator names as the owner of a token, its holds are for other people; the list says so."""
    words = ("tokens", "issue", "--subject", "sly-bot", "--owner", "nobody", "--json")
    issued = gateway.holdpoint(*words, subject="mallory", groups=("admins", "finance"))
    assert issued.returncode == 0, issued.stderr
    with bearer(gateway, json.loads(issued.stdout)["token"]) as client:
        url, body = "/customers/8/refunds", {"amount": 25}
        assert client.post(url, json=body, headers={"prefer": "wait=0"}).status_code == 202
        hold = gateway.wait_pending()["id"]
        vote = ("holds", "approve", hold, "--reason", "mine")
        own = gateway.holdpoint(*vote, subject="mallory", groups=("finance",))
        assert own.returncode != 0
        assert "nobody answers a hold of a token that they issued" in own.stderr
        listed = gateway.holdpoint("holds", "list", "--json", subject="mallory", groups=("finance",))
        assert "that they issued" in listed.stdout
        assert gateway.upstream.seen == []
        other = gateway.holdpoint(*vote, subject="dana", groups=("finance",))
        assert other.returncode == 0, other.stderr
        assert client.post(url, json=body).status_code == 200


def test_no_token_is_found_in_any_output(gateway: Gateway, crm_bot: tuple[str, str]) -> None:
    """Nor its signature, wherever and however it was shown: not in journal, log, database or metric."""
    _, token = crm_bot
    for way in WAYS.values():
        with agent(gateway, way(token)) as client:
            client.get(f"/customers/{token}")
            client.get("/customers", params={"q": token})
            client.post("/customers/7/notes", json={"note": token}, headers={"prefer": "wait=0", "x-note": token})
    outputs = {f.relative_to(gateway.state).as_posix(): f.read_bytes() for f in gateway.state.rglob("*") if f.is_file()}
    outputs["log"] = json.dumps(gateway.log).encode()
    signature = token.rpartition(".")[2].encode()
    forms = [
        signature,
        *(basic(*pair).removeprefix("Basic ")[8:-8].encode() for pair in (("anybody", token), (token, ""))),
    ]
    assert [name for name, data in outputs.items() if any(form in data for form in forms)] == []
