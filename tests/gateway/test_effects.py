"""Allow, mask, hold and block, through a whole gateway with the policies as shipped."""

import json
import threading
from collections.abc import Iterable
from typing import Any

import grpc
import httpx
import pytest

from tests.support.envoy_upstream import Seen
from tests.support.gateway import CREDENTIAL, Gateway

CARD, SSN = "4111111111111111", "078-05-1120"
CUSTOMER = {"id": 7, "name": "Ada", "card": CARD, "ssn": SSN, "balance": 12.50}


def answers(document: object, content_type: str = "application/json") -> bytes:
    """A whole HTTP response."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        content_type.encode(),
        len(data),
        data,
    )


def test_a_read_passes_masked_and_recorded(gateway: Gateway) -> None:
    """The agent sees no card, the upstream sees the real credential, the journal has both records."""
    gateway.upstream.answer = lambda _: [answers(CUSTOMER)]
    with gateway.client() as agent:
        reply = agent.get("/customers/7")
    assert reply.status_code == 200
    assert CARD not in reply.text
    assert SSN not in reply.text
    assert reply.json()["name"] == "Ada"
    (seen,) = gateway.upstream.seen
    assert seen.path == "/customers/7"
    assert seen.headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    decision = gateway.wait_records("decision", 1)[-1]
    assert decision["decision"]["effect"] == "allow"
    assert decision["principal"]["subject"] == "agent-1"
    delivery = gateway.wait_records("delivery", 1)[-1]
    assert delivery["decision"] == decision["decision"]["id"]
    assert delivery["outcome"] == "completed"
    assert sum(delivery["masked"]["response"].values()) >= 2


def test_the_path_prefix_reaches_the_same_target(gateway: Gateway) -> None:
    """For clients that know only a base URL."""
    with httpx.Client(
        base_url=f"{gateway.url}/crm/", headers={"authorization": f"Bearer {gateway.agents.token()}"}
    ) as agent:
        assert agent.get("customers/7").status_code == 200
    assert gateway.upstream.seen[0].path == "/customers/7"
    assert gateway.wait_records("decision", 1)[-1]["action"]["resource"] == "/customers/7"


def test_a_block_teaches_and_reaches_nobody(gateway: Gateway) -> None:
    """Problem details with reason, policy and decision id; the upstream never hears of it."""
    with gateway.client() as agent:
        reply = agent.delete("/customers")
    problem = reply.json()
    assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
    assert problem["reasons"][0]["policy"].startswith("http.")
    assert problem["detail"]
    assert gateway.upstream.seen == []
    decisions = [d for d in gateway.records("decision") if d["decision"]["id"] == problem["decision"]]
    assert decisions[0]["decision"]["effect"] == "block"


def test_a_hold_is_approved_by_a_second_identity(gateway: Gateway) -> None:
    """The client waits in the open; a person of the right group says yes; it goes on once, and the trail says who."""
    replies: list[httpx.Response] = []

    def ask() -> None:
        with gateway.client() as agent:
            replies.append(agent.post("/customers/7/refunds", json={"amount": 25}))

    asking = threading.Thread(target=ask)
    asking.start()
    hold = gateway.wait_pending()
    assert gateway.upstream.seen == []
    wrong = gateway.holdpoint(
        "holds", "approve", hold["id"], "--reason", "looks right", subject="eve", groups=("guests",)
    )
    assert wrong.returncode != 0
    right = gateway.holdpoint("holds", "approve", hold["id"], "--reason", "looks right", groups=("finance",))
    assert right.returncode == 0, right.stderr
    asking.join(30)
    assert replies[0].status_code == 200
    assert [b'{"amount":25}' in s.body for s in gateway.upstream.seen] == [True]
    decided = [d for d in gateway.records("decision") if d["hold"] == hold["id"]]
    assert decided[-1]["approvers"][0]["subject"] == "bob"
    assert [v["reason"] for v in gateway.records("vote") if v["hold"] == hold["id"]] == ["looks right"]


@pytest.mark.parametrize(
    "body",
    [
        {"sql": "DELETE FROM bills WHERE id=4/*password=*/or/**/id>1"},
        {"cmd": "echo token=$(rm${IFS}-rf${IFS}/x1y2z3)"},
        {"note": "-----BEGIN PUBLIC KEY-----", "password": "x1;DROP TABLE bills"},
    ],
)
def test_code_that_looks_like_a_value_is_shown(gateway: Gateway, body: dict[str, str]) -> None:
    """To who approves it, and in the records: it goes on as it is."""
    ask = {"url": "/customers/8/refunds", "json": body, "headers": {"prefer": "wait=0"}}
    with gateway.client("agent-9") as agent:
        hold = agent.post(**ask).json()["hold"]  # type: ignore[arg-type]
    shown = gateway.holdpoint("holds", "show", hold, groups=("finance",)).stdout
    decided = [d for d in gateway.records("decision") if d["hold"] == hold][-1]
    told = gateway.administer("audit", "show", decided["decision"]["id"]).stdout
    for text in body.values():
        assert text in shown
    assert [json.loads(decided["action"]["summary"]["body"]), "[masked:" in shown] == [body, False]
    assert next(iter(body.values())) in told
    gateway.holdpoint("holds", "deny", hold, "--reason", "a test", groups=("finance",))


def test_a_hold_beyond_the_wait_is_claimed_later(gateway: Gateway) -> None:
    """202 with an id; the same request after the approval goes through, once, and a third asks anew."""
    ask = {"url": "/customers/8/refunds", "json": {"amount": 30}, "headers": {"prefer": "wait=0, respond-async"}}
    with gateway.client("agent-2") as agent:
        first = agent.post(**ask)  # type: ignore[arg-type]
        assert first.status_code == 202
        hold = first.json()["hold"]
        assert gateway.holdpoint("holds", "approve", hold, "--reason", "fine", groups=("finance",)).returncode == 0
        other = agent.post("/customers/8/refunds", json={"amount": 31}, headers={"prefer": "wait=0"})
        assert other.status_code == 202
        assert other.json()["hold"] != hold
        second = agent.post(**ask)  # type: ignore[arg-type]
        assert second.status_code == 200
        third = agent.post(**ask)  # type: ignore[arg-type]
        assert third.status_code == 202
    assert len(gateway.upstream.seen) == 1


def test_a_denied_hold_is_a_clear_no(gateway: Gateway) -> None:
    """The client learns that a person said no."""
    with gateway.client("agent-3") as agent:
        ask = {"url": "/customers/9/refunds", "json": {"amount": 1}, "headers": {"prefer": "wait=0"}}
        hold = agent.post(**ask).json()["hold"]  # type: ignore[arg-type]
        assert gateway.holdpoint("holds", "deny", hold, "--reason", "not ours", groups=("finance",)).returncode == 0
        reply = agent.post(**ask)  # type: ignore[arg-type]
    assert reply.status_code == 403
    assert "Denied" in reply.json()["title"]
    assert gateway.upstream.seen == []


def test_a_client_that_leaves_finds_the_approval_later(gateway: Gateway) -> None:
    """Nothing goes on while nobody waits for the answer; the same again claims the approval, once."""
    before = len(gateway.records("delivery"))
    refund = {"url": "/customers/7/refunds", "json": {"amount": 77}}
    with gateway.client("agent-4", timeout=2.0) as agent, pytest.raises(httpx.ReadTimeout):
        agent.post(**refund)  # type: ignore[arg-type]
    assert gateway.wait_records("delivery", before + 1)[-1]["outcome"] == "aborted:peer-left"
    hold = next(h["hold"] for h in gateway.records("hold") if h["principal"]["subject"] == "agent-4")
    assert gateway.holdpoint("holds", "approve", hold, "--reason", "ours", groups=("finance",)).returncode == 0
    assert gateway.upstream.seen == []
    with gateway.client("agent-4") as agent:
        assert agent.post(**refund).status_code == 200  # type: ignore[arg-type]
        again = agent.post(**refund, headers={"prefer": "wait=0"})  # type: ignore[arg-type]
    assert again.status_code == 202
    assert len(gateway.upstream.seen) == 1


def test_a_websocket_is_refused_in_words_and_recorded(gateway: Gateway) -> None:
    """Envoy refuses it; the answer says what is possible, and the record what it was."""
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    before = len(gateway.records("refusal"))
    with gateway.client() as agent:
        reply = agent.get("/live", headers=upgrade)
    assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
    assert reply.json()["type"] == "urn:holdpoint:refusal:upgrade-refused"
    assert gateway.wait_records("refusal", before + 1)[-1]["code"] == "upgrade-refused"
    assert gateway.upstream.seen == []


def test_a_call_of_grpc_is_refused_in_its_own_words(gateway: Gateway) -> None:
    """With a status that gRPC's own client reads, and a record."""
    token, before = gateway.agents.token(), len(gateway.records("decision"))
    named = [("grpc.default_authority", "crm.holdpoint.internal")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", named) as channel:
        call: Any = channel.unary_unary("/shop.Orders/Refund")
        told = (("authorization", f"Bearer {token}"),)
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=told, timeout=30, wait_for_ready=True)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert str(refused.value.details()).startswith("gRPC is not governed")
    last = gateway.wait_records("decision", before + 1)[-1]
    assert last["decision"]["reasons"][-1]["code"] == "grpc-unsupported"
    assert gateway.upstream.seen == []


def test_a_secret_in_a_request_leaves_masked(gateway: Gateway) -> None:
    """What an agent pastes into a prompt does not leave with it."""
    key = "AKIAIOSFODNN7EXAMPLE"
    chat = {"model": "m", "messages": [{"role": "user", "content": f"use {key} please"}]}
    with gateway.client() as agent:
        reply = agent.post("/v1/chat/completions", json=chat)
    assert reply.status_code == 200, reply.text
    (seen,) = gateway.upstream.seen
    assert key.encode() not in seen.body
    assert b"[masked:aws-key]" in seen.body


def test_a_stream_is_masked_across_its_events(gateway: Gateway) -> None:
    """A card number spread over deltas never reaches the agent, and the events stay well formed."""
    deltas = ["the card is 4111", "1111", "1111", "1111 thanks"]

    def events(_: Seen) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        chunks = [
            {"id": "c", "choices": [{"index": 0, "delta": {"content": d}, "finish_reason": None}]} for d in deltas
        ]
        chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        for data in [*(json.dumps(c).encode() for c in chunks), b"[DONE]"]:
            event = b"data: " + data + b"\n\n"
            yield b"%x\r\n%b\r\n" % (len(event), event)
        yield b"0\r\n\r\n"

    gateway.upstream.answer = events
    chat = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with gateway.client() as agent:
        reply = agent.post("/v1/chat/completions", json=chat)
    chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert text == "the card is [masked:card] thanks"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "someone-else"}, "identity-wrong-audience"),
        ({"exp": 1}, "identity-expired"),
        ({"iss": "https://evil.test"}, "identity-invalid"),
    ],
)
def test_an_unverified_identity_is_turned_away(gateway: Gateway, claims: dict[str, Any], code: str) -> None:
    """401 with WWW-Authenticate and why, and a record."""
    before = len(gateway.records("refusal"))
    with gateway.client(**claims) as agent:
        reply = agent.get("/customers/7")
    assert reply.status_code == 401
    assert "bearer" in reply.headers["www-authenticate"].lower()
    assert reply.json()["type"] == f"urn:holdpoint:refusal:{code}"
    assert gateway.upstream.seen == []
    assert gateway.wait_records("refusal", before + 1)[-1]["code"] == code


def test_operations_pages_tell_the_state(gateway: Gateway) -> None:
    """Health, readiness and Prometheus metrics."""
    assert gateway.get_ops("/healthz")[0] == 200
    status, text = gateway.get_ops("/readyz")
    assert status == 200, text
    metrics = gateway.get_ops("/metrics")[1]
    for name in (
        "holdpoint_decisions_total",
        "holdpoint_stage_seconds",
        "holdpoint_loop_lag_seconds",
        "holdpoint_requests_held",
    ):
        assert name in metrics


def test_no_secret_is_found_in_any_output(gateway: Gateway) -> None:
    """Secrets planted everywhere reach no journal, log, database or metric of the run."""
    token = gateway.agents.token("agent-9")
    planted = ["AKIAIOSFODNN7EXAMPLE", CARD, "ghp_" + "a1B2" * 9]
    with httpx.Client(
        base_url=gateway.url, headers={"authorization": f"Bearer {token}", "host": "crm.holdpoint.internal"}
    ) as agent:
        for secret in planted:
            agent.get(f"/customers/{secret}", headers={"x-note": secret, "user-agent": secret, "prefer": "wait=0"})
            agent.get("/customers", params={"q": secret})
            agent.post("/customers/7/refunds", json={"note": secret}, headers={"prefer": "wait=0"})
    gateway.wait_records("delivery", 9)
    outputs = [f for f in gateway.state.rglob("*") if f.is_file() and "keys" not in f.parts]
    found = [
        (str(file.relative_to(gateway.state)), secret[:8])
        for file in outputs
        for secret in [*planted, CREDENTIAL, token]
        if secret.encode() in file.read_bytes()
    ]
    log = json.dumps(gateway.log)
    assert found == []
    assert [s[:8] for s in [*planted, CREDENTIAL, token] if s in log] == []
