"""The soak: what it takes for a violation, and a short one with everything real."""

import json
import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.soak.compare import Arrival, Decided, Received, Told, Trail, compare
from tests.soak.plan import REFUSED, SECRET, Fault, Kind, ask, deck

DECIDED_AT, DECIDED_NS = "2026-11-21T08:14:24.593556Z", 1795248864593556000
PROGRAMS = ("control", "opa", "shipper", "watcher", "worker-0", "worker-1")
Parts = tuple[Received, dict[int, Told], Trail]
Change = Callable[[Received, dict[int, Told], Trail], object]


def parts() -> Parts:
    """One request that passed, number 7, and one that policy refused, number 8."""
    received, trail = Received(), Trail()
    received.arrivals[7].append(Arrival("GET", DECIDED_NS))
    trail.decisions[7].append(Decided("d7", "allow", True, "GET", DECIDED_AT))
    trail.decisions[8].append(Decided("d8", "block", False, "DELETE", DECIDED_AT))
    trail.deliveries.update(["d7", "d8"])
    return received, {7: Told(Kind.READ, "200"), 8: Told(Kind.BLOCKED, "403")}, trail


def test_a_whole_trail_is_clean() -> None:
    """What should be, is no violation, and is counted."""
    found = compare(*parts())
    assert found.violations == {}
    assert found.compared["requests at the upstream"] == 1


@pytest.mark.parametrize(
    ("change", "rule", "number"),
    [
        (lambda r, t, j: j.decisions.pop(7), "at the upstream, and no decision in the journal lets it pass", 7),
        (
            lambda r, t, j: r.arrivals[8].append(Arrival("DELETE", DECIDED_NS)),
            "at the upstream, and policy refuses its kind",
            8,
        ),
        (
            lambda r, t, j: r.arrivals[8].append(Arrival("DELETE", DECIDED_NS)),
            "at the upstream, and no decision in the journal lets it pass",
            8,
        ),
        (
            lambda r, t, j: r.arrivals[7].append(Arrival("GET", DECIDED_NS + 1)),
            "at the upstream more often than it was decided",
            7,
        ),
        (
            lambda r, t, j: r.arrivals.update({7: [Arrival("GET", DECIDED_NS - 1)]}),
            "at the upstream before its decision was written",
            7,
        ),
        (
            lambda r, t, j: r.arrivals.update({7: [Arrival("POST", DECIDED_NS)]}),
            "at the upstream with another method than was decided",
            7,
        ),
        (lambda r, t, j: r.arrivals.pop(7), "answered 200, and the upstream never had it", 7),
        (lambda r, t, j: r.leaks.add(7), "the secret reached the upstream", 7),
        (lambda r, t, j: j.decisions.pop(8), "refused by policy, and that is not in the journal", 8),
        (lambda r, t, j: t.update({7: Told(Kind.READ, "hung")}), "a client was left without an answer", 7),
        (
            lambda r, t, j: t.update({7: Told(Kind.READ, "wrong")}),
            "a client got an answer that is not its own, or unmasked",
            7,
        ),
        (lambda r, t, j: t.update({8: Told(Kind.STRANGER, "401")}), "nobody known, and yet decided on", 8),
        (lambda r, t, j: j.deliveries.update(["d7"]), "more than one delivery of one decision", 7),
    ],
)
def test_each_violation_is_named(change: Change, rule: str, number: int) -> None:
    """One thing wrong, and its rule names the request."""
    received, told, trail = parts()
    change(received, told, trail)
    assert compare(received, told, trail).violations[rule] == [number]


def test_requests_follow_from_the_seed() -> None:
    """The same every time, each with its number in its path, of all kinds, secrets only where they belong."""
    asks = [ask(5, number) for number in range(1, 3001)]
    assert asks == [ask(5, number) for number in range(1, 3001)]
    assert all(f"/{one.number}" in one.path for one in asks)
    assert {one.kind for one in asks} == set(Kind) > REFUSED
    assert all((SECRET.encode() in one.wire("token")) is (one.kind is Kind.SECRET) for one in asks)


@pytest.mark.parametrize("disk", [True, False])
def test_a_deck_has_one_of_each_fault(disk: bool) -> None:
    """Every program is killed, of the workers one; a disk is filled only where there is a small one."""
    found = deck(random.Random(3), PROGRAMS, 100, disk)
    assert {e.fault for e in found} == set(Fault) - (set() if disk else {Fault.DISK})
    killed = sorted(e.victim.partition("-")[0] for e in found if e.fault is Fault.KILL)
    assert killed == ["control", "opa", "shipper", "watcher", "worker"]


def test_a_short_soak_is_clean() -> None:
    """One of each fault under load, everything real: nothing is lost, nothing passes unrecorded."""
    words = ["--requests", "3000", "--gap", "120", "--rate", "400", "--connections", "16", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", *words], capture_output=True, text=True, check=False, timeout=540
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == 0, json.dumps(report, indent=1) + done.stderr
    assert report["clean"]
    assert report["comparison"]["compared"]["requests at the upstream"] > 1000
