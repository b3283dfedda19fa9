"""What one principal may have under way at one time, through a whole gateway."""

import json
import select
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.support.envoy import WAIT_SECONDS, Reply, read_reply
from tests.support.flows import Asking, Slow, opened, until
from tests.support.gateway import Gateway, running

TOO_MANY = "urn:holdpoint:refusal:too-many-requests"


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway that grants little."""
    targets = 'edit: {upstream: "UPSTREAM", environment: staging}'
    yield from running(limits="requests: 2, holds: 2, bytes: 1MiB", targets=targets)


def codes(gateway: Gateway, subject: str) -> list[str]:
    """Why a principal's requests were refused, as the journal has it."""
    of = [d["decision"] for d in gateway.records("decision") if d["principal"]["subject"] == subject]
    return [reason["code"] for decision in of if decision["effect"] == "block" for reason in decision["reasons"]]


def test_a_third_request_is_one_too_many(gateway: Gateway) -> None:
    """429 with Retry-After and a record; others go on; and so does it, once one of its own has ended."""
    slow = gateway.upstream.answer = Slow()
    running_now = [Asking(gateway.client("eager"), "GET", "/download").wait() for _ in range(2)]
    gateway.upstream.reset()
    with gateway.client("eager") as agent, gateway.client("other") as other:
        reply = agent.get("/x")
        assert (reply.status_code, reply.headers["content-type"]) == (429, "application/problem+json")
        assert reply.json()["type"] == TOO_MANY
        assert int(reply.headers["retry-after"]) > 0
        assert gateway.upstream.seen == []
        assert codes(gateway, "eager") == ["too-many-requests"]
        assert other.get("/x").status_code == 200
        slow.go.set()
        assert [r.end().broken for r in running_now] == [None, None]
        until(lambda: agent.get("/x").status_code == 200, "a place")


def test_an_agents_tokens_share_its_place(gateway: Gateway) -> None:
    """Who has two tokens has no more than with one."""
    slow = gateway.upstream.answer = Slow()
    tokens = [gateway.issue("double")[1] for _ in range(2)]

    def client(token: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {token}", "host": "crm.holdpoint.internal"}
        return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)

    running_now = [Asking(client(token), "GET", "/download").wait() for token in tokens]
    with client(tokens[0]) as agent:
        assert agent.get("/x").status_code == 429
    slow.go.set()
    assert [r.end().broken for r in running_now] == [None, None]


def test_bodies_are_read_up_to_so_much_at_one_time(gateway: Gateway) -> None:
    """Two large ones that arrive slowly: one is refused (whose bytes came later), the other goes on to its end."""
    token, other = gateway.agents.token("heavy"), gateway.agents.token("other")

    def upload(token: str, size: int) -> str:
        return (
            f"POST /upload HTTP/1.1\nHost: edit.holdpoint.internal\nAuthorization: Bearer {token}\n"
            f"Content-Type: text/plain\nContent-Length: {size}"
        )

    line = b"a line of a large body, slowly sent\n" * 20000
    size = len(line)
    with ExitStack() as stack:
        both = [stack.enter_context(opened(gateway.port, upload(token, size), line[:-1])) for _ in range(2)]
        answered, _, _ = select.select(both, [], [], WAIT_SECONDS)
        assert len(answered) == 1
        refused = read_reply(answered[0])
        (first,) = (one for one in both if one is not answered[0])
        third = stack.enter_context(opened(gateway.port, upload(other, size), line))
        assert read_reply(third).status == 200
        first.sendall(line[-1:])
        assert read_reply(first).status == 200
    _is_refused(refused, "too-many-bytes")
    assert codes(gateway, "heavy") == ["too-many-bytes"]
    assert len(gateway.upstream.seen) == 2


def _is_refused(reply: Reply, code: str) -> None:
    assert (reply.status, reply.headers["content-type"]) == (429, "application/problem+json")
    assert int(reply.headers["retry-after"]) > 0
    assert json.loads(reply.body)["type"] == f"urn:holdpoint:refusal:{code}"


def test_a_third_hold_is_one_too_many(gateway: Gateway) -> None:
    """429; a request that waits already is no further hold, and another principal has its own."""
    with gateway.client("asker") as agent, gateway.client("other") as other:

        def ask(client: httpx.Client, amount: int) -> httpx.Response:
            return client.post("/customers/1/refunds", json={"amount": amount}, headers={"prefer": "wait=0"})

        first, second, same = ask(agent, 1), ask(agent, 2), ask(agent, 1)
        assert [r.status_code for r in (first, second, same)] == [202] * 3
        assert same.json()["hold"] == first.json()["hold"] != second.json()["hold"]
        third = ask(agent, 3)
        assert (third.status_code, third.json()["reasons"][-1]["code"]) == (429, "too-many-holds")
        assert int(third.headers["retry-after"]) > 0
        assert "too-many-holds" in codes(gateway, "asker")
        assert ask(other, 1).status_code == 202
        for asked in (first, second):
            denied = gateway.holdpoint("holds", "deny", asked.json()["hold"], "--reason", "no", groups=("finance",))
            assert denied.returncode == 0
        assert ask(agent, 4).status_code == 202
    assert gateway.upstream.seen == []


def test_identical_requests_wait_on_one_hold(gateway: Gateway) -> None:
    """Approved once, one of them goes on; the other has to be approved by itself."""
    before = {h["id"] for h in gateway.pending()}

    def fresh() -> list[str]:
        return [h["id"] for h in gateway.pending() if h["id"] not in before]

    twins = [Asking(gateway.client("twin"), "POST", "/customers/2/refunds", json={"amount": 9}) for _ in range(2)]
    until(lambda: gateway_waits(gateway) == 2, "both to wait")
    (hold,) = fresh()
    approved = gateway.holdpoint("holds", "approve", hold, "--reason", "once", groups=("finance",))
    assert approved.returncode == 0, approved.stderr
    until(lambda: len(fresh()) == 1 and fresh() != [hold], "the other one to ask anew")
    assert len(gateway.upstream.seen) == 1
    again = gateway.holdpoint("holds", "approve", fresh()[0], "--reason", "twice", groups=("finance",))
    assert again.returncode == 0, again.stderr
    assert [twin.end().status for twin in twins] == [200, 200]
    assert len(gateway.upstream.seen) == 2


def gateway_waits(gateway: Gateway) -> int:
    """How many requests wait for people."""
    lines = gateway.get_ops("/metrics")[1].splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("holdpoint_requests_held"))
