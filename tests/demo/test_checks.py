"""The demo's claims: each is true of a run that went right, and false of every run that went wrong in its way."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from examples.demo.checks import Evidence, check_masked, run_checks
from examples.demo.customer_api import CUSTOMERS

SECRET = "AKIA" + "Q" * 16
REASON = "Deleting a whole collection is not allowed."
REFUND = {"customer_id": "1042", "amount": 40.0, "reason": "charged twice"}

Raw = dict[str, Any]
Break = Callable[[Raw], None]


def good() -> Raw:
    """A run as it should be, as plain data that a test may spoil."""
    record = 'HTTP 200\n{"card_number": "[masked:card]", "ssn": "[masked:ssn]"}'
    blocked = "HTTP 403\n" + json.dumps({"reasons": [{"message": REASON}]})
    listed = "HTTP 200\n" + json.dumps({"customers": [{"ssn": "[masked:ssn]"}] * len(CUSTOMERS)})
    prompt = {
        "stream": True,
        "messages": [{"role": "user", "content": "key [masked:aws-key]"}, {"role": "tool", "content": blocked}],
    }
    return {
        "transcript": [
            {"kind": "task", "content": f"key {SECRET}"},
            {"kind": "calls", "calls": [{"name": "request_refund", "arguments": json.dumps(REFUND)}]},
            result("read_customer", record),
            result("request_refund", 'HTTP 201\n{"refund": {}}'),
            result("delete_all_customers", blocked),
            result("list_customers", listed),
            {"kind": "end", "content": "done", "chunks": 12},
        ],
        "customer_api": [
            received("GET", "/customers/1042", ""),
            received("POST", "/customers/1042/refunds", refund_body()),
        ],
        "model_server": [received("POST", "/v1/chat/completions", json.dumps(prompt))],
        "approver": "dana",
        "approved_at": "2026-01-01T00:00:01.000000Z",
        "secret": SECRET,
    }


def result(tool: str, content: str) -> dict[str, Any]:
    """One line of a transcript: what a tool answered."""
    return {"kind": "results", "results": [{"id": "1", "name": tool, "content": content}]}


def received(method: str, path: str, body: str) -> dict[str, Any]:
    """One line of an upstream's log."""
    return {
        "at": "2026-01-01T00:00:02.000000+00:00",
        "method": method,
        "path": path,
        "body": body,
        "credential": "real",
    }


def refund_body() -> str:
    """The refund as the customer API should get it."""
    return json.dumps({"amount": 40.0, "reason": "charged twice"})


def leak_in_other_form(raw: Raw) -> None:
    """The card's digits reach the model with other separators than upstream sent."""
    card = str(CUSTOMERS[0]["card_number"]).replace(" ", "-")
    raw["model_server"][0]["body"] = raw["model_server"][0]["body"].replace("key ", f"key {card} ")


def set_in(*path: Any, value: Any) -> Break:
    """A spoiler that puts `value` at `path`."""

    def spoil(raw: Raw) -> None:
        place: Any = raw
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return spoil


def test_all_claims_hold_of_a_good_run() -> None:
    """Nothing is false, and each claim names its evidence."""
    checks = run_checks(Evidence(**good()))
    assert [check.claim for check in checks if not check.true or not check.evidence] == []


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        (0, set_in("transcript", 2, value=result("read_customer", "HTTP 503\n"))),
        (0, set_in("transcript", 2, value=result("read_customer", 'HTTP 200\n{"card_number": null}'))),
        (
            0,
            set_in(
                "transcript",
                2,
                value=result("read_customer", f"HTTP 200\n{CUSTOMERS[0]['ssn']} [masked:card] [masked:ssn]"),
            ),
        ),
        (0, leak_in_other_form),
        (1, lambda raw: raw["customer_api"].append(received("POST", "/customers/1042/refunds", refund_body()))),
        (1, lambda raw: raw["customer_api"].pop()),
        (1, set_in("approver", value=None)),
        (1, set_in("approved_at", value="2026-01-01T00:00:02.500000Z")),
        (1, set_in("customer_api", 1, "body", value='{"amount": 4000.0, "reason": "charged twice"}')),
        (1, set_in("transcript", 3, value=result("request_refund", "HTTP 202\n"))),
        (2, lambda raw: raw["customer_api"].append(received("DELETE", "/customers", ""))),
        (2, set_in("transcript", 4, value=result("delete_all_customers", "HTTP 403\n{}"))),
        (2, set_in("transcript", 4, value=result("delete_all_customers", "HTTP 200\n{}"))),
        (2, set_in("model_server", 0, "body", value='{"messages": []}')),
        (2, set_in("transcript", 5, value=result("list_customers", 'HTTP 200\n{"customers": []}'))),
        (3, set_in("model_server", 0, "body", value=f'{{"messages": [], "x": "[masked:aws-key] {SECRET}"}}')),
        (3, set_in("model_server", 0, "body", value="{}")),
        (3, set_in("model_server", value=[])),
        (3, set_in("transcript", 0, "content", value="no secret at all")),
        (4, set_in("customer_api", 0, "credential", value="other")),
        (5, set_in("transcript", 6, value={"kind": "error", "content": "APIStatusError"})),
        (5, set_in("transcript", 6, "chunks", value=0)),
        (5, set_in("model_server", 0, "body", value='{"messages": []}')),
    ],
)
def test_a_claim_is_false_when_its_evidence_is_missing(claim: int, spoil: Break) -> None:
    """Each way of going wrong turns its own claim false."""
    raw = copy.deepcopy(good())
    spoil(raw)
    assert run_checks(Evidence(**raw))[claim].true is False


def test_nothing_is_claimed_of_an_empty_run() -> None:
    """No evidence is no success."""
    empty = Evidence(transcript=[], customer_api=[], model_server=[], approver=None, approved_at=None, secret=SECRET)
    assert [check for check in run_checks(empty) if check.true] == []
    assert "nothing" in check_masked(empty).evidence
