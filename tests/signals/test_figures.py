"""Figures as tables and properties: windows, facts, bounds, and state that comes back as it was."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit.frame import Record
from extproc.audit.signals import figures
from extproc.audit.signals.board import Board
from extproc.audit.signals.facts import Fact, Repeat, Said, fact_of, network
from extproc.audit.signals.figures import OfPrincipal
from extproc.audit.signals.windows import Windows
from tests.signals.conftest import START

SPANS = {"minute": (60, 5), "hour": (3600, 300), "day": (86400, 3600)}


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 5)), max_size=40), st.integers(0, 100_000))
def test_a_sum_holds_its_window_and_little_more(added: list[tuple[int, int]], wait: int) -> None:
    """Nothing within the window is missing; nothing older than a bucket more is counted."""
    windows = Windows()
    for at, n in added:
        windows.add(START + at, n)
    now = START + max((at for at, _ in added), default=0) + wait
    for name, (span, bucket) in SPANS.items():
        least = sum(n for at, n in added if START + at > now - span)
        most = sum(n for at, n in added if START + at > now - span - bucket)
        assert least <= windows.sums(now)[name] <= most


def _some(seed: int) -> list[Fact]:
    chance = random.Random(seed)
    return [
        Fact(
            START + chance.random() * 3 * 86400,
            "i s",
            chance.choice(["crm", "mail", ""]),
            chance.choice(list(Said)),
            (("requests", 1), (chance.choice(["masked/response/card", "bytes/response", "rows"]), 3)),
            chance.choice(["jwt:1", ""]),
            "production",
            chance.choice(["10.0.0.0/24", "10.0.1.0/24"]),
            chance.choice([None, Repeat("GET", "/admin", "c", "d")]),
        )
        for _ in range(60)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_document_changes_only_when_it_said_it_would(seed: int) -> None:
    """Between one due time and the next, time alone changes nothing; and each due time lies ahead."""
    party = OfPrincipal()
    for fact in _some(seed):
        party.take(fact)
    now = START + 3 * 86400
    for _ in range(60):
        told, due = party.document(now), party.due(now)
        assert due > now
        assert party.document(due - 0.001) == told
        now = due


@pytest.mark.parametrize("seed", range(5))
def test_state_comes_back_as_it_was(seed: int) -> None:
    """Through JSON, at any point, the same facts give the same document."""
    whole, parts, now = OfPrincipal(), OfPrincipal(), START + 3 * 86400
    for fact in _some(seed):
        whole.take(fact)
        parts.take(fact)
        parts = OfPrincipal(orjson.loads(orjson.dumps(parts.state())))
    assert parts.document(now) == whole.document(now)


def test_nothing_grows_without_end() -> None:
    """An agent that names ever new things is kept in bounds."""
    board = Board(most=3)
    for n in range(2000):
        body = {
            "principal": {"issuer": "i", "subject": f"s{n % 7}", "credential": f"c{n}"},
            "target": {"name": f"t{n % 500}", "environment": f"e{n}"},
            "source": {"address": f"10.{n % 250}.{n // 250}.1"},
            "action": {"verb": "GET", "resource": f"/{n}"},
            "decision": {"effect": "block", "reasons": [{"code": "c", "mode": "enforce", "effect": "block"}]},
            "masked": {"response": {f"kind-{n}": 1}},
        }
        for kind in ("decision", "delivery"):
            board.take(_record(kind, {**body, "outcome": "completed" if kind == "delivery" else "blocked"}))
    assert len(board) == 3
    assert set(board.forgotten(START)) == {"i s2", "i s3", "i s4", "i s5", "i s6", "i s0", "i s1"} - set(
        board.touched()
    )
    for document in board.changed(START).values():
        assert len(document["targets"]) <= figures.MOST_TARGETS  # type: ignore[arg-type]
        assert len(document["credentials"]) <= figures.MOST_CREDENTIALS  # type: ignore[arg-type]
        assert len(orjson.dumps(document)) < 200_000


def test_of_many_changes_those_of_the_last_records_are_told_first() -> None:
    """Time changes all documents at once; what principals just did is not kept waiting for that."""
    board = Board()
    for n in range(6):
        board.take(_record("decision", {"principal": {"issuer": "i", "subject": f"s{n}"}}))
    assert len(board.changed(START, most=4)) == 4
    assert len(board.changed(START, most=4)) == 2
    board.take(_record("decision", {"principal": {"issuer": "i", "subject": "s5"}}))
    assert set(board.changed(START + 90000, most=1)) == {"i s5"}
    assert len(board.changed(START + 90000)) == 5


def _record(kind: str, body: dict[str, Any], at: str = "2026-03-02T09:00:00.000000Z") -> Record:
    return Record("worker-0", 1, kind, at, "", body, "d", "h", 0, 1)


WHO = {"issuer": "i", "subject": "s", "credential": "jwt:1"}


@pytest.mark.parametrize(
    ("kind", "body", "said", "counts"),
    [
        ("decision", {"decision": {"effect": "allow"}}, "granted", {"requests": 1, "allowed": 1}),
        ("decision", {"decision": {"effect": "hold"}, "outcome": "pending"}, "open", {"requests": 1, "held": 1}),
        (
            "decision",
            {"decision": {"effect": "block"}, "outcome": "unavailable"},
            "open",
            {"requests": 1, "blocked": 1},
        ),
        ("decision", {}, "open", {"requests": 1}),
        ("delivery", {"status": 204, "outcome": "completed"}, "succeeded", {}),
        ("delivery", {"status": None, "outcome": "completed"}, "succeeded", {}),
        ("delivery", {"status": 500, "outcome": "completed"}, "failed", {}),
        ("delivery", {"status": None, "outcome": "aborted:peer-left"}, "open", {}),
        ("delivery", {"status": 403, "outcome": "refused:blocked"}, "open", {}),
        ("delivery", {"bytes": {"request": True, "response": -1, "x": 5}, "rows": 1 << 60, "masked": 7}, "open", {}),
        ("delivery", {"bytes": {"request": 5}, "rows": 3}, "open", {"bytes/request": 5, "rows": 3}),
    ],
)
def test_what_a_record_says(kind: str, body: dict[str, Any], said: str, counts: dict[str, int]) -> None:
    """Whatever its shape, a record is counted for what it has."""
    fact = fact_of(_record(kind, {"principal": WHO, "target": {"name": "crm"}, **body}))
    assert fact is not None
    assert (fact.said.value, dict(fact.counts)) == (said, counts)


@pytest.mark.parametrize(
    ("kind", "body", "at"),
    [
        ("decision", {}, "2026-03-02T09:00:00Z"),
        ("decision", {"principal": {"issuer": "i", "subject": ""}}, "2026-03-02T09:00:00Z"),
        ("decision", {"principal": WHO}, "yesterday"),
        ("genesis", {"principal": WHO}, "2026-03-02T09:00:00Z"),
        ("refusal", {"code": "missing"}, "2026-03-02T09:00:00Z"),
    ],
)
def test_what_says_nothing_of_anybody(kind: str, body: dict[str, Any], at: str) -> None:
    """Records without a known principal, or of other things, are passed over."""
    assert fact_of(_record(kind, body, at)) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("", None),
        ("localhost", None),
        (None, None),
    ],
)
def test_networks(address: object, expected: str | None) -> None:
    """A /24 or a /64; nothing for what is no address."""
    assert network(address) == expected


def test_kinds_of_masked_values_leave_room_for_other_figures() -> None:
    """Beyond so many they are one kind, in each direction; nothing else goes uncounted for them."""
    kinds = tuple((f"masked/{lane}/kind-{n}", 1) for n in range(200) for lane in ("request", "response"))
    party = OfPrincipal()
    party.take(Fact(START, "i s", "crm", Said.GRANTED, kinds))
    party.take(Fact(START, "i s", "crm", Said.GRANTED, (("rows", 7), ("masked/request/kind-0", 1))))
    told: Any = party.document(START)
    for part in (told["principal"], told["targets"]["crm"]):
        masked = part["masked"]
        assert sum(sums["hour"] for lane in masked.values() for sums in lane.values()) == 401
        assert masked["request"]["other"]["hour"] == masked["response"]["other"]["hour"] > 100
        assert (masked["request"]["kind-0"]["hour"], part["rows"]["hour"]) == (2, 7)
