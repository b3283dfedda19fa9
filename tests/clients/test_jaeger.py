"""Where actions are found in Jaeger: by who, what and why, in the trace of whoever may claim it."""

import secrets

import httpx
import pytest

from tests.clients.world import DELETES, PII, READS, WRITES, Background, World
from tests.support.gateway import Gateway
from tests.support.jaeger import Jaeger, Span, links, parents, tags


def context(flags: str = "01") -> tuple[str, str, str]:
    """A trace id and a span id of an agent's own, and the header that tells them."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{flags}"


def ask(world: World, subject: str, method: str, path: str, **options: object) -> httpx.Response:
    """One request of an agent over a connection of its own."""
    with world.gateway.client(subject) as agent:
        return agent.request(method, path, **options)  # type: ignore[arg-type]  # handed through


@pytest.fixture(scope="module")
def acted(started: World) -> World:
    """A world in which ann read, ben's refund was approved, cleo was blocked and dan was told to wait."""
    ask(started, "jaeger-ann", "GET", "/customers/1042")
    refund = Background(lambda: ask(started, "jaeger-ben", "POST", "/customers/1/refunds", json={"amount": 3}))
    started.approve(started.held("jaeger-ben")["hold"], "finance")
    assert refund.result().is_success
    ask(started, "jaeger-cleo", "DELETE", "/customers", headers={"prefer": "wait=0"})
    ask(started, "jaeger-dan", "POST", "/customers/2/refunds", json={"amount": 4}, headers={"prefer": "wait=0"})
    for subject in ("jaeger-ann", "jaeger-ben", "jaeger-cleo", "jaeger-dan"):
        started.traced(subject)
    return started


EFFECTS = [
    ("jaeger-ann", "mask", PII),
    ("jaeger-ann", "mask", READS),
    ("jaeger-ben", "allow", WRITES),
    ("jaeger-cleo", "block", DELETES),
    ("jaeger-dan", "hold", WRITES),
]


@pytest.mark.parametrize(("subject", "effect", "policy"), EFFECTS)
def test_one_tag_finds_an_action(acted: World, subject: str, effect: str, policy: str) -> None:
    """Identity alone, effect alone, and policy alone."""
    for tag in (
        {"user.id": subject},
        {"holdpoint.decision.effect": effect},
        {f"holdpoint.policy.{policy}": "true"},
    ):
        assert subject in {tags(s).get("user.id") for s in acted.jaeger.find(tag)}


def test_who_approved_is_found(acted: World) -> None:
    """By the approver, and by the hold; the wait is a stage of the action, and the vote an event in it."""
    (span,) = [s for s in acted.jaeger.find({"holdpoint.approval.approver.bob": "true", "user.id": "jaeger-ben"})
               if s["operationName"] == "POST crm"]  # fmt: skip
    hold = tags(span)["holdpoint.approval.id"]
    assert span["spanID"] in {s["spanID"] for s in acted.jaeger.find({"holdpoint.approval.id": hold})}
    (waited,) = [s for s in _children(acted.jaeger, span) if s["operationName"] == "holdpoint hold"]
    (vote,) = waited["logs"]
    assert {"key": "holdpoint.approval.reason", "type": "string", "value": "seen in the order"} in vote["fields"]


def _children(jaeger: Jaeger, span: Span) -> list[Span]:
    return [s for s in jaeger.trace(span["traceID"]) if (span["traceID"], span["spanID"]) in parents(s)]


def test_only_what_was_refused_is_red(acted: World) -> None:
    """A block is in error; a read, an approved refund and a hold that waits are not."""
    red = {e[0]: [s for s in acted.traced(e[0]) if tags(s).get("error") == "true"] for e in EFFECTS}
    assert {subject: len(spans) for subject, spans in red.items()} == {
        "jaeger-ann": 0, "jaeger-ben": 0, "jaeger-cleo": 1, "jaeger-dan": 0
    }  # fmt: skip


@pytest.mark.parametrize("flags", ["00", "01", "03"])
def test_an_agents_own_trace_is_continued(world: World, flags: str) -> None:
    """The agent's span is the parent, in its own trace, whether it samples or not."""
    trace, span, header = context(flags)
    subject = f"jaeger-parent-{flags}"
    ask(world, subject, "GET", "/customers/1042", headers={"traceparent": header})
    (found,) = world.traced(subject, ("mask", PII))
    assert (found["traceID"], parents(found)) == (trace, [(trace, span)])
    assert tags(found)["holdpoint.link.confidence"] == "own"


def test_another_principals_trace_is_only_linked(world: World) -> None:
    """Nobody writes into a trace that somebody else began; the claim is kept as a link."""
    trace, span, header = context()
    ask(world, "jaeger-first", "GET", "/customers/1", headers={"traceparent": header})
    world.traced("jaeger-first")
    ask(world, "jaeger-second", "GET", "/customers/1", headers={"traceparent": header})
    (found,) = world.traced("jaeger-second")
    assert found["traceID"] != trace
    assert (parents(found), links(found)) == ([], [(trace, span)])
    assert tags(found)["holdpoint.link.confidence"] == "claimed"
    assert {tags(s)["user.id"] for s in world.jaeger.trace(trace) if "user.id" in tags(s)} == {"jaeger-first"}


def test_without_a_context_a_connection_is_a_trace(world: World) -> None:
    """What one agent does over one connection is read together, and another agent's is not in it."""
    with world.gateway.client("jaeger-connection") as agent:
        for path in ("/customers/1", "/customers/2"):
            agent.get(path)
    ask(world, "jaeger-connection-2", "GET", "/customers/1")
    first, second = world.traced("jaeger-connection")
    (other,) = world.traced("jaeger-connection-2")
    assert first["traceID"] == second["traceID"] != other["traceID"]


@pytest.mark.parametrize(
    ("code", "token"),
    [
        ("identity-missing", None),
        ("identity-expired", {"expires_in": -300}),
        ("identity-wrong-audience", {"aud": "other"}),
    ],
)
def test_who_is_turned_away_is_a_span(world: World, code: str, token: dict[str, object] | None) -> None:
    """There is nobody to name; it is found all the same, by its code and as a block."""
    gateway: Gateway = world.gateway
    authorization = {} if token is None else {"authorization": f"Bearer {gateway.agents.token(**token)}"}  # type: ignore[arg-type]  # a table of arguments
    refused = httpx.get(f"{gateway.url}/crm/customers/1042", headers=authorization)
    assert refused.status_code in (401, 403)
    found = world.jaeger.wait(
        {f"holdpoint.code.{code}": "true", "holdpoint.request.id": refused.headers["x-request-id"]}
    )
    assert [tags(s)["holdpoint.decision.effect"] for s in found] == ["block"]
    assert tags(found[0])["error"] == "true"
    assert world.gateway.upstream.seen == []
