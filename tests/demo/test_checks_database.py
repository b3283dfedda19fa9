"""What the demo claims of its database: true of a good run, false of every run that went wrong in its way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from examples.demo import checks_database as checks
from examples.demo import script_database as script
from examples.demo.agent_run import Vote
from examples.demo.customer_api import CUSTOMERS
from examples.demo.database import Found
from examples.demo.holdings import Holdings
from examples.demo.seen import Seen

READ = [
    {"name": one["name"], "reference": "[masked:key:card_number]", "code": "[masked:key:ssn]", "note": note}
    for one, note in zip(
        CUSTOMERS[:2], ("charged twice", "[masked:acme-customer] paid with [masked:card]"), strict=True
    )
]
WHY = "ERROR 42501: Blocked by policy: This writes to every row."
COPY = (
    "id,name,card_number,ssn,note\n1042,Rosa Quintero,,,charged twice\n"
    "1043,Ibrahim Oyelaran,[masked:key:card_number],,[masked:acme-customer] paid with [masked:card]\n"
    "1044,Mei Tanaka,,,\n"
)
ANSWERS = {
    script.READ: f"SELECT 2\n{json.dumps(READ)}",
    script.DELETE: f"{WHY}\nDETAIL: Policy postgres.unbounded_writes (unbounded-delete); decision {'1' * 24}.",
    script.COUNT: 'SELECT 1\n[{"customers": 3}]',
    script.BOOK: "UPDATE 1\n[]",
}
FOUND = Found(
    customers=3,
    state="booked",
    counted=1,
    booked=["2026-01-01T00:00:03.25+00:00"],
    may_delete=True,
    may_read_files=True,
    ran=[script.READ, script.COUNT, script.BOOK, f"COPY  ( {script.COPY} ) TO STDOUT", f"{script.COUNT};"],
)
NOTICE = {
    "kind": "notice",
    "at": "2026-01-01T00:00:01+00:00",
    "content": "NOTICE 01000: Held for approval\nDETAIL: Waiting for somebody of finance.",
}
HELD = Holdings(memory=100 << 20, known=True, files=3, found=())


def row(number: int, statement: str, effect: str = "allow", session: str = "tool", **more: Any) -> dict[str, Any]:
    """One line of `holdpoint audit list --json`; the decision's id is made of `number`, in hexadecimal digits."""
    reason = {"policy": "postgres.x", "effect": effect, "mode": "enforce"}
    return {
        "session": session,
        "action": {"verb": statement.partition(" ")[0], "summary": {"statement": statement}},
        "decision": {"effect": effect, "id": f"{number:x}" * 24, "reasons": [reason]},
        "delivery": {"outcome": "completed"} if effect == "allow" else None,
    } | more


ROWS = [
    row(0, script.READ),
    row(1, script.DELETE, "block"),
    row(2, script.COUNT),
    row(3, script.BOOK, approvers=[{"subject": "dana"}]),
    row(4, f"COPY  ( {script.COPY} ) TO STDOUT", session="psql"),
    *(row(5 + at, f"{statement};", "block", "psql") for at, statement in enumerate(script.WAYS_ROUND)),
    row(8, f"{script.COUNT};", session="psql"),
]
OUTPUT = "\n".join(f"ERROR:  Blocked by policy\nDETAIL:  decision {number * 24}." for number in "567")


def span(of: Mapping[str, Any]) -> dict[str, str]:
    """The tags that Jaeger has of a row."""
    return {
        "holdpoint.decision.id": of["decision"]["id"],
        "holdpoint.decision.effect": of["decision"]["effect"],
        "db.query.text": of["action"]["summary"]["statement"],
        "db.operation.name": of["action"]["verb"],
        "db.collection.name": "customers",
    }


@dataclass(frozen=True)
class Run:
    """A run as it should be, of which a test may have a part otherwise."""

    answers: Mapping[str, str] = field(default_factory=lambda: ANSWERS)
    notices: Sequence[dict[str, Any]] = (NOTICE,)
    output: str = OUTPUT
    told: str = WHY
    rows: Sequence[dict[str, Any]] = tuple(ROWS)
    found: Found = FOUND
    vote: Vote | None = Vote("dana", "2026-01-01T00:00:02.000001Z")  # noqa: RUF009 - it can't be changed
    copy: str = COPY
    holdings: Sequence[Holdings] = (HELD,)
    script: bool = True
    spans: Sequence[Mapping[str, str]] | None = tuple(span(one) for one in ROWS)

    @property
    def seen(self) -> Seen:
        """As the demo looks at it."""
        calls = [
            {"id": str(at), "name": script.TOOL, "arguments": json.dumps({"statement": statement})}
            for at, statement in enumerate(self.answers)
        ]
        results = [
            {"id": str(at), "name": script.TOOL, "content": text} for at, text in enumerate(self.answers.values())
        ]
        transcript = [{"kind": "calls", "calls": calls}, *self.notices, {"kind": "results", "results": results}]
        transcript.append({"kind": "output", "source": script.SHELL, "content": self.output})
        prompt = json.dumps({"messages": [{"role": "tool", "content": self.told}]})
        return Seen(
            transcript, [{"body": prompt}], self.rows, self.found, self.vote, self.copy, self.holdings, self.script,
            self.spans,
        )  # fmt: skip


def answered(statement: str, text: str) -> Run:
    """A run in which this statement was answered otherwise."""
    return Run(answers=ANSWERS | {statement: text})


def found(**changed: Any) -> Run:
    """A run after which the server has something else."""
    return Run(found=replace(FOUND, **changed))


def without(statement: str) -> Run:
    """A run in which the journal has nothing of a statement."""
    return Run(rows=[one for one in ROWS if statement not in one["action"]["summary"]["statement"]])


def test_all_claims_hold_of_a_good_run() -> None:
    """Nothing is false, and each claim names its evidence."""
    made = checks.database_checks(Run().seen)
    assert [check for check in made if not check.true or not check.evidence] == []
    assert len(made) == 8


def test_what_is_not_there_is_not_claimed() -> None:
    """Without psql nothing is said of the script, without Jaeger nothing of spans."""
    assert len(checks.database_checks(Run(script=False, spans=None).seen)) == 5


SSN = CUSTOMERS[0]["ssn"]
LEAKING = json.dumps([READ[0] | {"note": f"SSN {SSN}"}, READ[1]])
BARE = json.dumps([READ[0] | {"code": "1378-22-635"}, READ[1]])


@pytest.mark.parametrize(
    ("claim", "run"),
    [
        (0, answered(script.READ, "ERROR 42501: Blocked by policy")),
        (0, answered(script.READ, f"SELECT 2\n{LEAKING}")),
        (0, answered(script.READ, f"SELECT 2\n{BARE}")),
        (0, found(ran=[])),
        (0, Run(told=str(CUSTOMERS[0]["card_number"]))),
        (1, answered(script.DELETE, "DELETE 3\n[]")),
        (1, answered(script.DELETE, ANSWERS[script.DELETE].replace("1" * 24, "2" * 24))),
        (1, answered(script.COUNT, 'SELECT 1\n[{"customers": 0}]')),
        (1, Run(rows=[])),
        (1, Run(rows=[row(1, script.DELETE, "hold"), *ROWS[2:]])),
        (1, Run(rows=[ROWS[1], row(2, script.COUNT, session="another")])),
        (1, Run(told="nothing")),
        (1, found(customers=0)),
        (1, found(ran=[*FOUND.ran, "DELETE FROM customers"])),
        (1, found(may_delete=False)),
        (2, Run(notices=())),
        (2, Run(vote=None)),
        (2, Run(notices=[NOTICE | {"at": "2026-01-01T00:00:02.5+00:00"}])),
        (2, Run(vote=Vote("dana", "2026-01-01T00:00:03.5Z"))),
        (2, found(booked=[*FOUND.booked, "2026-01-01T00:00:04+00:00"])),
        (2, found(booked=[])),
        (2, found(counted=2)),
        (2, found(state="requested")),
        (2, found(ran=[*FOUND.ran, script.BOOK])),
        (2, answered(script.BOOK, "ERROR 42501: Held for approval")),
        (3, Run(copy="")),
        (3, Run(copy=COPY.replace("[masked:key:card_number]", "5555-5555-5555-4444"))),
        (3, Run(copy=COPY.replace("Quintero,,", "Quintero,1,"))),
        (3, Run(copy=COPY.replace("[masked:acme-customer] paid with [masked:card]", "paid"))),
        (3, Run(copy=COPY.replace("Tanaka", "Other"))),
        (3, found(ran=[])),
        (4, Run(output="")),
        (4, Run(output=f"{OUTPUT}\nroot:x:0:0")),
        (4, without("DO $$")),
        (4, Run(rows=[row(6, one["action"]["summary"]["statement"]) if "DO $$" in str(one) else one for one in ROWS])),
        (4, Run(rows=ROWS[:-1])),
        (4, found(ran=[*FOUND.ran, script.WAYS_ROUND[2]])),
        (4, found(may_read_files=False)),
        (4, found(customers=2)),
        (5, Run(rows=[])),
        (5, without(script.COPY)),
        (5, Run(rows=[*ROWS, row(9, "SELECT 1", delivery=None)])),
        (6, Run(spans=())),
        (6, Run(spans=[span(one) for one in ROWS[1:]])),
        (6, Run(spans=[span(one) | {"db.query.text": "?"} for one in ROWS])),
        (6, Run(spans=[span(one) | {"holdpoint.decision.effect": "allow"} for one in ROWS])),
        (6, Run(rows=[])),
        (7, Run(holdings=())),
        (7, Run(holdings=[replace(HELD, found=("its memory",))])),
        (7, Run(holdings=[HELD, replace(HELD, memory=0, found=("scripts/x",))])),
        (7, Run(holdings=[replace(HELD, known=False)])),
    ],
)
def test_a_claim_is_false_when_its_evidence_is_missing(claim: int, run: Run) -> None:
    """Each way of going wrong turns its own claim false."""
    assert checks.database_checks(run.seen)[claim].true is False
