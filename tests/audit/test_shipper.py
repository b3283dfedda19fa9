"""The shipper: every action becomes one span, at least once, and the same one however often it is sent."""

import os
import sqlite3
from pathlib import Path
from typing import Any

from extproc.audit.frame import Fault
from extproc.audit.journal import FileJournal
from extproc.audit.merge import SETTLE_SECONDS
from extproc.audit.reader import records
from extproc.audit.shipper import Lag, Shipper, trace_of
from extproc.audit.spans import Span
from extproc.audit.store import Store
from tests.audit.conftest import TRACEPARENT, Clock, Collector, Streams, decision, delivery

TRACE, PARENT = TRACEPARENT.split("-")[1:3]


class Ship:
    """A shipper over a state folder that can be ended and started again."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self.state, self.clock, self.collector = state, clock, Collector()
        self.faults: list[tuple[str, Fault, int, str]] = []
        self.start()

    def start(self) -> None:
        """A new shipper with what the last one left."""
        self.store = Store(self.state / "shipper.db")
        self.shipper = Shipper(
            self.state, self.store, self.collector, lambda *fault: self.faults.append(fault), self.clock
        )

    def restart(self) -> None:
        """The shipper's process ends and another begins."""
        self.store.close()
        self.start()

    def __call__(self) -> list[Span]:
        """Ship until nothing is left; the spans of actions that came of it."""
        self.clock.now += SETTLE_SECONDS
        before = len(self.collector.spans)
        while (step := self.shipper.step()).sent and (step.records or step.spans):
            pass
        return [s for s in self.collector.spans[before:] if "holdpoint.decision.id" in s.attributes]


def ids(spans: list[Span]) -> list[Any]:
    """The decisions that spans are about."""
    return [span.attributes["holdpoint.decision.id"] for span in spans]


def outcomes(spans: list[Span]) -> list[Any]:
    """How the actions ended."""
    return [span.attributes.get("holdpoint.outcome") for span in spans]


def test_an_action_is_told_once_its_delivery_is_there(streams: Streams) -> None:
    """An allowed action waits for its delivery, across restarts; a refused one does not."""
    ship = Ship(streams.state, streams.clock)
    worker = streams["worker-0"]
    worker.append("decision", decision("d1"))
    worker.append("decision", decision("d2", "block"))
    worker.append("decision", decision("d3", "hold", hold="h1"))
    first = ship()
    assert ids(first) == ["d2", "d3"]
    assert outcomes(first) == ["blocked", "pending"]
    ship.restart()
    worker.append("delivery", delivery("d1", masked={"response": {"ssn": 2}}))
    (told,) = ship()
    assert told.attributes["holdpoint.decision.effect"] == "mask"
    assert told.attributes["holdpoint.mask.ssn"] == 2
    assert ship() == []


def test_nothing_moves_while_the_collector_is_away(streams: Streams) -> None:
    """Refused spans are sent again, the same to the last attribute, and nothing is lost or doubled."""
    ship = Ship(streams.state, streams.clock)
    for n in range(40):
        streams["worker-0"].append("decision", decision(f"d{n}", session=f"c{n % 3}"))
        streams["worker-0"].append("delivery", delivery(f"d{n}"))
    ship.collector.up = False
    streams.clock.now += SETTLE_SECONDS
    for _ in range(12):
        assert not ship.shipper.step().sent
        ship.restart()
    assert ship.shipper.lag().bytes > 0
    ship.collector.up = True
    told = ship()
    assert ids(told) == [f"d{n}" for n in range(40)]
    again = {span.id: span for span in ship.collector.refused}
    assert all(span == again[span.id] for span in ship.collector.spans if span.id in again)
    assert ship.shipper.lag() == Lag(0, 0.0)


def test_a_lost_database_sends_the_same_spans_again(streams: Streams) -> None:
    """Without its memory the shipper starts over, with the same ids and content."""
    ship = Ship(streams.state, streams.clock)
    for n in range(5):
        streams["worker-0"].append("decision", decision(f"d{n}", trace={"traceparent": TRACEPARENT}))
        streams["worker-0"].append("delivery", delivery(f"d{n}"))
    first = ship()
    ship.store.close()
    for file in streams.state.glob("shipper.db*"):
        file.unlink()
    ship.start()
    assert ship() == first


def test_a_journal_that_grows_while_it_is_read(streams: Streams) -> None:
    """A frame that is not whole yet is left for the next look."""
    ship = Ship(streams.state, streams.clock)
    streams["worker-0"].append("decision", decision("d1", "block"))
    streams.close()
    path = streams.segment("worker-0")
    whole = path.read_bytes()
    for cut in (*range(0, len(whole), 97), len(whole)):
        path.write_bytes(whole[:cut])
        told = ship()
        assert ids(told) == (["d1"] if cut == len(whole) else [])
    assert ship.faults == []


def test_the_first_principal_to_use_a_trace_owns_it(streams: Streams) -> None:
    """Its owner's actions are children; another principal's go elsewhere, with a link; restarts change nothing."""
    ship = Ship(streams.state, streams.clock)
    other = {**decision()["principal"], "subject": "agent-8"}
    trace = {"traceparent": TRACEPARENT, "state": ""}
    streams["worker-1"].append("decision", decision("d1", "block", trace=trace))
    streams["worker-0"].append("decision", decision("d2", "block", trace=trace, principal=other))
    owned, linked = ship()
    assert (owned.trace_id, owned.parent, owned.remote, owned.link) == (TRACE, PARENT, True, None)
    assert linked.trace_id != TRACE
    assert linked.parent is None
    assert linked.link is not None
    assert (linked.link.trace_id, linked.link.span_id) == (TRACE, PARENT)
    ship.restart()
    streams["worker-0"].append("decision", decision("d3", "block", trace=trace, principal=other))
    streams["worker-0"].append("decision", decision("d4", "block", trace=trace))
    assert [span.trace_id == TRACE for span in ship()] == [False, True]
    rows = [r for s in ("worker-0", "worker-1") for r in records(streams.path(s)) if r.kind == "decision"]
    predicted = {r.body["decision"]["id"]: trace_of(streams.state, r) for r in rows}
    told = [span for span in ship.collector.spans if "holdpoint.decision.id" in span.attributes]
    assert predicted == {str(span.attributes["holdpoint.decision.id"]): span.trace_id for span in told}


def test_one_connection_without_context_is_one_trace(streams: Streams) -> None:
    """The session and the principal make the trace, and its address is known before anything is shipped."""
    for n, session in enumerate(("c1", "c1", "c2")):
        streams["worker-0"].append("decision", decision(f"d{n}", "block", session=session))
    predicted = [trace_of(streams.state, r) for r in records(streams.path("worker-0")) if r.kind == "decision"]
    told = Ship(streams.state, streams.clock)()
    assert predicted == [span.trace_id for span in told]
    assert predicted[0] == predicted[1] != predicted[2]


def test_a_vote_is_in_the_action_that_it_released(streams: Streams) -> None:
    """Hold and votes come from another stream, are children of the action, and stand in its trace besides."""
    ship = Ship(streams.state, streams.clock)
    approver = {"issuer": "https://people", "subject": "ann"}
    streams["worker-0"].append("decision", decision("d1", "hold", hold="h1"))
    streams["control"].append("vote", {"hold": "h1", "approver": approver, "approve": True, "reason": "ticket 4711"})
    streams["worker-0"].append(
        "decision", decision("d2", hold="h1", approvers=[approver], timings_us={"policy": 900, "hold": 2_000_000})
    )
    streams["worker-0"].append("delivery", delivery("d2"))
    _, action = ship()
    assert action.attributes["holdpoint.approval.state"] == "approved"
    assert action.attributes["holdpoint.approval.approver"] == "ann"
    children = {span.name: span for span in ship.collector.spans if span.parent == action.id}
    assert set(children) == {"holdpoint policy", "holdpoint hold", "holdpoint upstream"}
    hold = children["holdpoint hold"]
    assert hold.end - hold.start == 2_000_000_000
    assert [event.attributes["holdpoint.approval.reason"] for event in hold.events] == ["ticket 4711"]
    (vote,) = [span for span in ship.collector.spans if span.name == "holdpoint vote"]
    assert vote.trace_id == action.trace_id


def test_an_action_without_an_end_is_told_as_unknown(streams: Streams) -> None:
    """When its worker starts anew, or after a quarter of an hour; what comes later stands beside it."""
    ship = Ship(streams.state, streams.clock)
    streams["worker-0"].append("decision", decision("d1"))
    assert ship() == []
    streams.restart("worker-0").append("decision", decision("d2"))
    told = ship()
    assert (ids(told), outcomes(told)) == (["d1"], ["unknown"])
    streams.clock.now += 1000
    ship()
    told = ship()
    assert (ids(told), outcomes(told)) == (["d2"], ["unknown"])
    ship.restart()
    streams["worker-0"].append("delivery", delivery("d2"))
    (late,) = ship()
    assert (late.name, late.parent) == ("holdpoint late delivery", told[0].id)


def test_given_up_stays_given_up_though_the_collector_was_away(streams: Streams) -> None:
    """Once an action counts as unknown a later delivery does not change what is told of it."""
    ship = Ship(streams.state, streams.clock)
    streams["worker-0"].append("decision", decision("d1"))
    ship()
    streams.clock.now += 1000
    ship.shipper.step()
    ship.collector.up = False
    assert not ship.shipper.step().sent
    streams["worker-0"].append("delivery", delivery("d1"))
    ship.restart()
    ship.collector.up = True
    assert outcomes(ship()) == ["unknown", "completed"]


def test_a_damaged_stream_stops_alone(streams: Streams) -> None:
    """Its fault is told once, with the place; the other streams are shipped on."""
    ship = Ship(streams.state, streams.clock)
    streams["worker-0"].append("decision", decision("d1", "block"))
    ship()
    at = streams["worker-0"].offset
    streams["worker-0"].append("decision", decision("d2", "block"))
    streams.close()
    with streams.segment("worker-0").open("r+b") as file:
        file.seek(at + 30)
        file.write(b"!")
    streams["worker-1"].append("decision", decision("d3", "block"))
    assert ids(ship()) == ["d3"]
    assert ids(ship()) == []
    assert [fault[:3] for fault in ship.faults] == [("worker-0", Fault.BAD_CRC, at)]


def test_a_journal_put_in_anothers_place_is_told_and_shipped_from_its_start(streams: Streams) -> None:
    """Moving a journal aside starts a new chain, which is a fault to hear of and not one to stop at."""
    ship = Ship(streams.state, streams.clock)
    for n in range(3):
        streams["worker-0"].append("decision", decision(f"d{n}", "block"))
    ship()
    streams.path("worker-0").rename(streams.path("worker-0").with_name("worker-0.old"))
    streams.restart_without_file("worker-0").append("decision", decision("d9", "block"))
    assert ids(ship()) == ["d9"]
    assert [fault[1] for fault in ship.faults] == [Fault.BAD_GENESIS]


def test_what_was_retired_unshipped_is_said_and_passed_over(streams: Streams) -> None:
    """A stream that lost segments before they were shipped goes on with the first that is there."""
    ship = Ship(streams.state, streams.clock)
    worker = FileJournal(streams.path("worker-0"), "worker-0", streams.clock, 0, segment_bytes=1)
    worker.append("decision", decision("d1", "block"))
    assert ids(ship()) == ["d1"]
    for n in range(2, 5):
        worker.append("decision", decision(f"d{n}", "block"))
    behind = worker.offset
    min(streams.path("worker-0").glob("*.segment")).unlink()
    assert ids(ship()) == ["d2", "d3", "d4"]
    assert ship.faults == []
    ship.collector.up = False
    worker.append("decision", decision("d5", "block"))
    worker.append("decision", decision("d6", "block"))
    for file in sorted(streams.path("worker-0").glob("*.segment"))[:-1]:
        file.unlink()
    ship.collector.up = True
    assert ids(ship()) == ["d6"]
    assert [fault[:3] for fault in ship.faults] == [("worker-0", Fault.RETIRED, behind)]
    assert ids(ship()) == []
    worker.close()


def test_memory_is_bounded_by_the_records_times(streams: Streams) -> None:
    """A trace id that nobody used for a week belongs to nobody, and soon after that nothing of it is kept."""
    ship = Ship(streams.state, streams.clock)
    trace = {"traceparent": TRACEPARENT}
    other = {**decision()["principal"], "subject": "agent-8"}
    streams["worker-0"].append("decision", decision("d1", "block", trace=trace))
    ship()
    assert ship.store.owner(TRACE) == "https://id.example agent-7"
    streams.clock.now += 7 * 86400 + 10
    streams["worker-0"].append("decision", decision("d2", "block", trace=trace, principal=other))
    (taken_over,) = ship()
    assert (taken_over.trace_id, taken_over.link) == (TRACE, None)
    streams.clock.now += 9 * 86400
    streams["worker-0"].append("decision", decision("d3", "block"))
    ship()
    assert ship.store.owner(TRACE) is None


def test_a_database_that_can_not_be_written_moves_nothing(streams: Streams) -> None:
    """The step raises, and the spans are sent again when it can."""
    ship = Ship(streams.state, streams.clock)
    streams["worker-0"].append("decision", decision("d1", "block"))
    lock = sqlite3.connect(streams.state / "shipper.db", isolation_level=None)
    ship.store._db.execute("PRAGMA busy_timeout=0")
    lock.execute("BEGIN IMMEDIATE")
    try:
        ship.shipper.step()
    except sqlite3.OperationalError:
        pass
    else:
        raise AssertionError("the step did not raise")
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert ids(ship()) == ["d1"]
    assert os.stat(streams.state / "shipper.db").st_mode & 0o077 == 0
