"""What the demo claims of its trail: true of a run that went right, false of every run that went wrong in its way."""

from dataclasses import replace
from typing import Any

import pytest

from examples.demo.auditor import Audit, excerpt, verified_line
from examples.demo.checks_trail import trail_checks
from examples.demo.customer_api import CUSTOMERS
from examples.demo.people import AUDITOR_SUBJECT, OPERATOR_SUBJECT

SESSION, OTHER = "21f4800028c27236", "7f8c13a2f877e04c"
REPLAYED = """\
session 21f4800028c27236

    +4 ms  08:00:00.000  mask   200  GET crm /customers/1042  aa
"card_number": "[masked:key:card_number]", "ssn": "[masked:key:ssn]"

  +509 ms  08:00:00.500  allow  201  POST crm /customers/1042/refunds  bb
           held for 407 ms; approved by dana
{ "amount": 40.0 } { "id": "R-1" }

end of the session
"""
PROOF = (
    "ok   9 files are what manifest.json says\nok   5 records stand in the chain\nok   signed with key ab (given)\nPASS"
)


def row(kind: str, what: str, by: str = AUDITOR_SUBJECT, about: str = SESSION) -> dict[str, Any]:
    """One reading, as `holdpoint audit report --json` has it."""
    return {"at": "2026-01-01T00:00:00.000000Z", "kind": kind, "what": what, "by": by, "about": about}


def stream(witnessed: bool = True) -> dict[str, Any]:
    """One stream, as `holdpoint audit verify --json` has it."""
    return {"stream": "worker-0", "records": 5, "witnessed": {"seq": 4} if witnessed else None}


VERIFIED = {
    "ok": True,
    "streams": [stream()],
    "faults": [],
    "fault_count": 0,
    "keys": ["ab"],
    "bodies": 2,
    "checkpoints": 2,
    "witness_checkpoints": 2,
}
READINGS = [
    row("reading", "words", about=""),
    row("reading", "body"),
    row("reading", "body"),
    row("export", "bundle"),
]
GOOD = Audit(
    session=SESSION,
    by_who=[OTHER, SESSION],
    by_word=[SESSION],
    refused="not done: this takes the role 'list' (audit.roles); yours: none",
    replayed=REPLAYED,
    proof=(0, PROOF),
    spoiled=(1, "FAIL"),
    bodies=2,
    verified=VERIFIED,
    readings=READINGS,
)


def good(**changed: Any) -> Audit:
    """A run in which this was otherwise."""
    return replace(GOOD, **changed)


def verified(**changed: Any) -> Audit:
    """A run in which verification found this."""
    return good(verified=VERIFIED | changed)


def test_all_claims_hold_of_a_good_run() -> None:
    """Nothing is false, and each claim names its evidence."""
    assert [check.claim for check in trail_checks(GOOD) if not check.true or not check.evidence] == []


@pytest.mark.parametrize(
    ("claim", "audit"),
    [
        (0, good(by_who=[OTHER])),
        (0, good(by_word=[])),
        (0, good(by_word=[OTHER])),
        (0, good(by_word=[SESSION, OTHER])),
        (0, good(refused="")),
        (0, good(refused="not done: no gateway answers")),
        (1, good(replayed="")),
        (1, good(replayed=REPLAYED.replace("approved by dana", "approved by kim"))),
        (1, good(replayed=REPLAYED.replace("[masked:key:ssn]", "123"))),
        (1, good(replayed=f"{REPLAYED}{CUSTOMERS[0]['card_number']}")),
        (2, good(proof=(1, "FAIL"))),
        (2, good(proof=(0, PROOF.replace("given", "yours?")))),
        (2, good(spoiled=(0, PROOF))),
        (2, good(spoiled=(2, "No such file"))),
        (3, verified(ok=False, fault_count=1)),
        (3, verified(streams=[])),
        (3, verified(streams=[stream(), stream(witnessed=False)])),
        (3, verified(witness_checkpoints=0)),
        (3, verified(keys=[])),
        (4, good(readings=[])),
        (4, good(readings=READINGS[1:])),
        (4, good(readings=[READINGS[0], *READINGS[2:]])),
        (4, good(readings=READINGS[:3])),
        (4, good(readings=[*READINGS, row("reading", "words", by=OPERATOR_SUBJECT, about="")])),
        (4, good(readings=[*READINGS, row("reading", "body", by=OPERATOR_SUBJECT)])),
        (4, good(readings=[*READINGS, row("export", "bundle", about=OTHER)])),
        (4, good(bodies=0)),
    ],
)
def test_a_claim_is_false_when_its_evidence_is_missing(claim: int, audit: Audit) -> None:
    """Each way of going wrong turns its own claim false, and no other."""
    assert [i for i, check in enumerate(trail_checks(audit)) if not check.true] == [claim]


def test_the_refund_is_cut_out_of_the_replay() -> None:
    """Its own lines, and no other exchange's."""
    assert [line.strip() for line in excerpt(REPLAYED)] == [
        "+509 ms  08:00:00.500  allow  201  POST crm /customers/1042/refunds  bb",
        "held for 407 ms; approved by dana",
        '{ "amount": 40.0 } { "id": "R-1" }',
    ]


def test_what_verification_found_in_a_line() -> None:
    """Good and bad are told apart."""
    told = "5 records in 1 streams, 2 bodies; 2 of 2 checkpoints are with the witness; "
    assert verified_line(VERIFIED) == f"{told}everything is as it was written"
    assert verified_line(VERIFIED | {"ok": False, "fault_count": 3}) == f"{told}3 faults"
