"""httpx, as programs and agents' tools use it."""

import httpx
import pytest

from examples.clients import with_httpx
from tests.clients.world import CARD, DELETES, KEY, PII, READS, SECRETS, SSN, WRITES, Background, World, plain


def test_an_open_call_is_masked_held_and_blocked(world: World) -> None:
    """The same client all along: what it reads is masked, its refund waits for a person, its deletion is refused."""
    with world.gateway.client("httpx-open") as agent:
        read = agent.get("/customers/1042")
        assert (read.status_code, read.json()["name"]) == (200, "Ada")
        assert CARD not in read.text
        assert SSN not in read.text
        asking = Background(lambda: agent.post("/customers/1042/refunds", json={"amount": 25}))
        world.approve(world.held("httpx-open")["hold"], "finance")
        refund = asking.result()
        assert (refund.status_code, refund.json()["refund"]["amount"]) == (201, 25)
        delete = agent.delete("/customers")
    why = delete.json()
    assert (delete.status_code, why["title"], why["reasons"][0]["policy"]) == (403, "Blocked by policy", DELETES)
    assert why["next"]
    assert len(world.gateway.upstream.seen) == 2
    world.traced("httpx-open", ("mask", PII), ("mask", READS), ("allow", WRITES), ("block", DELETES))


def test_the_example_comes_back_for_its_approval(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program as shipped: it is told at once that its refund is held, and asks again until somebody decided."""
    monkeypatch.setenv("GATEWAY", world.gateway.url)
    monkeypatch.setenv("TOKEN", world.token("httpx-example"))
    monkeypatch.setattr(with_httpx, "PAUSE_SECONDS", 0.1)
    running = Background(with_httpx.main)
    world.approve(world.held("httpx-example")["hold"], "finance")
    running.result()
    said = capsys.readouterr().out
    assert CARD not in said
    for told in ("Reading a customer: HTTP 200", "is held", "The refund: HTTP 201", "Deleting all customers: HTTP 403"):
        assert told in said
    assert [s.line.split()[0] for s in world.gateway.upstream.seen] == ["GET", "POST"]
    world.traced("httpx-example", ("mask", PII), ("hold", WRITES), ("allow", WRITES), ("block", DELETES))


def test_a_secret_in_a_refund_leaves_masked(world: World) -> None:
    """What goes on after the approval is what the approver saw: without the key."""
    with world.gateway.client("httpx-secret") as agent:
        asking = Background(lambda: agent.post("/customers/7/refunds", json={"amount": 1, "note": f"by {KEY}"}))
        hold = world.held("httpx-secret")
        shown = world.gateway.holdpoint("holds", "show", hold["hold"], groups=("finance",)).stdout
        world.approve(hold["hold"], "finance")
        assert asking.result().status_code == 201
    assert "[masked:aws-key]" in shown
    assert KEY not in shown
    (seen,) = world.gateway.upstream.seen
    assert b"[masked:aws-key]" in plain(seen)
    assert KEY.encode() not in seen.head + seen.body
    world.traced("httpx-secret", ("mask", SECRETS))


def test_a_denial_says_that_a_person_said_no(world: World) -> None:
    """The client is not left to guess, and nothing went on."""
    with world.gateway.client("httpx-denied") as agent:
        asking = Background(lambda: agent.post("/customers/7/refunds", json={"amount": 9}))
        hold = world.held("httpx-denied")["hold"]
        world.gateway.holdpoint("holds", "deny", hold, "--reason", "no ticket", groups=("finance",))
        reply = asking.result()
    assert (reply.status_code, reply.json()["title"]) == (httpx.codes.FORBIDDEN, "Denied by an approver")
    assert world.gateway.upstream.seen == []
    (span,) = world.traced("httpx-denied", ("hold", WRITES))
    assert {t["key"]: t["value"] for t in span["tags"]}["error.type"] == "denied"
