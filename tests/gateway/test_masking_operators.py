"""What stands in the place of values, through a whole gateway: on the wire, and in all that is told of it."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.audit.receiver import Receiver, receiver
from tests.audit.test_otel import attributes
from tests.support.flows import until
from tests.support.gateway import Gateway
from tests.support.masked import (
    CARD,
    EMAIL,
    PLAIN,
    SSN,
    TOKEN,
    bound,
    counted,
    delivered,
    leaks,
    made,
    recorded,
    sent,
    whole,
)

OPERATORS = ("redact", "partial", "hash", "length", "null", "drop")
TABLE = {
    name: [{"kinds": ["card"], "operator": name}, {"kinds": ["contact"], "keys": ["Customer_No"], "operator": name}]
    for name in OPERATORS
} | {
    # The strictest counts, kind by kind.
    "both": [{"kinds": ["*"], "operator": "partial"}, {"kinds": ["card"], "operator": "drop"}],
    "but": [{"kinds": ["pii"], "except": ["contact", "card"]}],
    "requests": [{"kinds": ["*"], "lanes": ["request"]}],
    "all": [{"kinds": ["*"]}],
}
CUSTOMER = {
    "id": 7, "card": CARD, "mail": EMAIL, "customer_no": "KD-4711-0815", "n": int(PLAIN), "number": {"a": [1, None]},
    "note": f"card {CARD} of {EMAIL}.", "list": [CARD, "x"], "price": 1.10, "ssn": SSN,
}  # fmt: skip
METRIC, MASK = "holdpoint_masked_total{", "holdpoint.mask."
HASH = re.compile(r"\[masked:([a-z:_]+):([0-9a-f]{16})\]")


@pytest.fixture(scope="module")
def spans() -> Iterator[Receiver]:
    """Who takes the spans."""
    with receiver() as kept:
        yield kept


@pytest.fixture(scope="module")
def started(spans: Receiver) -> Iterator[Gateway]:
    """A gateway that records all, and hashes with a key of the test's own."""
    gateway = made(TABLE, masking="hash_key: mask.key", audit=f"otlp: '{spans.address}', record: {{bodies: full}}")
    key = gateway.folder / "mask.key"
    key.touch(0o600)
    key.write_bytes(b"k" * 32)
    try:
        yield gateway.start()
    finally:
        gateway.stop()


def customer(gateway: Gateway, path: str) -> httpx.Response:
    """The customer as the agent gets it by this path."""
    gateway.upstream.answer = whole(json.dumps(CUSTOMER).encode(), "application/json")
    with gateway.client() as agent:
        reply = agent.get(path)
    assert reply.status_code == 200, reply.text
    return reply


EXPECTED: dict[str, dict[str, object]] = {
    "redact": {
        "card": "[masked:card]", "mail": "[masked:email]", "customer_no": "[masked:key:customer_no]", "n": None,
        "note": "card [masked:card] of [masked:email].", "list": ["[masked:card]", "x"],
    },
    "partial": {
        "card": "**** **** **** 1111", "mail": "****.**********e.com", "customer_no": "**-****-0815", "n": None,
        "note": "card **** **** **** 1111 of ****.**********e.com.", "list": ["**** **** **** 1111", "x"],
    },
    "length": {
        "card": "*" * len(CARD), "mail": "*" * len(EMAIL), "customer_no": "*" * 12, "n": None,
        "note": f"card {'*' * len(CARD)} of {'*' * len(EMAIL)}.", "list": ["*" * len(CARD), "x"],
    },
    "null": {
        "card": None, "mail": None, "customer_no": None, "n": None,
        "note": "card [masked:card] of [masked:email].", "list": [None, "x"],
    },
    "drop": {
        "card": ..., "mail": ..., "customer_no": ..., "n": ...,
        "note": "card [masked:card] of [masked:email].", "list": ["x"],
    },
    "both": {
        "card": ..., "mail": "****.**********e.com", "n": ..., "ssn": "***-**-9998",
        "note": "card [masked:card] of ****.**********e.com.", "list": ["x"],
    },
    "but": {"ssn": "[masked:ssn]"},
    "requests": {},
}  # fmt: skip
ALL = {"card": 4, "email": 2, "key:customer_no": 1}
COUNTS = dict.fromkeys(OPERATORS, ALL) | {"both": {"card": 4, "email": 2, "ssn": 1}, "but": {"ssn": 1}, "requests": {}}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_operator_on_json(gateway: Gateway, name: str) -> None:
    """By kind, family and key; what is not masked stays. Journal, recording and framing say the same."""
    reply = customer(gateway, f"/{name}/7")
    wanted = {k: v for k, v in {**CUSTOMER, **EXPECTED[name]}.items() if v is not ...}
    assert reply.json() == wanted
    assert list(reply.json()) == list(wanted)
    assert counted(gateway, f"/{name}/7") == ({"response": COUNTS[name]} if COUNTS[name] else {})
    assert recorded(gateway, f"/{name}/7", "response") == reply.content
    assert bound(reply) == set()


def hashes(gateway: Gateway) -> list[tuple[str, str]]:
    """The hashes in a customer, each with its kind."""
    return HASH.findall(customer(gateway, "/hash/7").text)


def test_hashes_are_the_same_over_restarts_and_under_no_other_key(gateway: Gateway) -> None:
    """Of the same value wherever it stands; of others not."""
    first = hashes(gateway)
    assert [kind for kind, _ in first] == ["card", "email", "key:customer_no", "card", "email", "card"]
    assert len(set(first)) == 3
    assert hashes(gateway) == first
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_ready_again("worker-0")
    until(lambda: answers(gateway), "an answer")
    assert hashes(gateway) == first
    (gateway.folder / "mask.key").write_bytes(b"K" * 32)
    until(lambda: hashes(gateway) != first, "the other key to be used")
    other = hashes(gateway)
    assert [kind for kind, _ in other] == [kind for kind, _ in first]
    assert not {digest for _, digest in other} & {digest for _, digest in first}


def answers(gateway: Gateway) -> bool:
    """Whether a request passes."""
    with suppress(httpx.HTTPError, AssertionError):
        return customer(gateway, "/but/7").status_code == 200
    return False


def figures(gateway: Gateway) -> dict[str, float]:
    """How many values were masked, by the labels of the figure."""
    lines = gateway.get_ops("/metrics")[1].splitlines()
    rows = [line.removeprefix("holdpoint_masked_total").rsplit(" ", 1) for line in lines if line.startswith(METRIC)]
    return {labels: float(value) for labels, value in rows}


def test_what_was_masked_is_in_figures_and_spans(gateway: Gateway, spans: Receiver) -> None:
    """By kind, lane and target; values under names count as one kind there, and by their name in spans."""
    before = figures(gateway)
    customer(gateway, "/redact/told")
    with gateway.client() as agent:
        assert agent.post("/requests/told", json={"a": [CARD, SSN, EMAIL]}).status_code == 200
    sums = {("response", "card"): 4, ("response", "email"): 2, ("response", "key"): 1}
    sums |= {("request", "card"): 1, ("request", "email"): 1, ("request", "ssn"): 1}
    wanted = {f'{{kind="{kind}",lane="{lane}",target="crm"}}': float(n) for (lane, kind), n in sums.items()}
    delivered(gateway, "/requests/told")

    def grown() -> dict[str, float]:
        more = {labels: n - before.get(labels, 0) for labels, n in figures(gateway).items()}
        return {labels: n for labels, n in more.items() if n}

    until(lambda: grown() == wanted, "the figures")

    def told(path: str) -> dict[str, object]:
        of = [found for span in spans.spans if (found := attributes(span)).get("url.path") == path]
        return {k.removeprefix(MASK): v for k, v in of[-1].items() if k.startswith(MASK)} if of else {}

    until(lambda: told("/redact/told") == {**ALL, "count": 7}, "the span of what was masked in an answer")
    until(lambda: told("/requests/told") == {"card": 1, "email": 1, "ssn": 1, "count": 3}, "the span of a request")


def test_no_value_is_told_anywhere(gateway: Gateway, spans: Receiver) -> None:
    """Neither of a request nor of an answer, by whatever is written, recorded or exported."""
    other, mail = "5555 5555 5555 4444", "max.muster@example.org"
    gateway.upstream.answer = whole(f"{other} of {mail}, {TOKEN}".encode(), "text/plain", f"x-note: {mail}")
    with gateway.client() as agent:
        reply = agent.post("/all/quiet", content=f"{mail} has {other}, {TOKEN}", headers={"x-note": other})
    assert (reply.text, reply.headers["x-note"]) == (
        "[masked:card] of [masked:email], [masked:github-token]", "[masked:email]"
    )  # fmt: skip
    seen = gateway.upstream.seen[0]
    assert sent(seen) == b"[masked:email] has [masked:card], [masked:github-token]"
    assert seen.headers["x-note"] == ["[masked:card]"]
    lanes = {"card": 1, "email": 1, "github-token": 1}
    assert counted(gateway, "/all/quiet") == {"request": lanes | {"card": 2}, "response": lanes | {"email": 2}}
    until(lambda: "/all/quiet" in str(spans.spans), "the span")
    assert leaks(gateway, other, mail, TOKEN) == []
    assert [value for value in (other, mail, TOKEN) if value in str(spans.spans)] == []
