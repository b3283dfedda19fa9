"""Tails every stream and hands spans to an exporter, at least once. Synchronous: one step reads at most one batch.

A step reads the streams merged by time from their cursors, builds spans, and only after the exporter took them moves
the cursors. What must not come out differently a second time (who owns a trace id, which decisions are given up) is
committed before the export; so a step that is repeated sends the same spans.
"""

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from extproc.audit.attributes import part
from extproc.audit.frame import Fault, Record
from extproc.audit.placement import Place, Placed, claimed, derive, nanoseconds, place, principal_key
from extproc.audit.reader import JournalFault, journals, record_at, records
from extproc.audit.spans import Span, action_spans, event_span, is_final, late_delivery
from extproc.audit.store import Cursor, Store, Wait, Waiting

BATCH_RECORDS = 256
BATCH_BYTES = 1 << 20
WAITED_PER_HOLD = 32
FINISHED_HOLDS = ("denied", "expired", "cancelled")
LATE_STREAMS = ("control", "gateway")
"""Streams whose records explain those of the workers: their size is read after the workers', so that a vote is seen
before the action that it released."""


class Exporter(Protocol):
    """Where spans go."""

    def export(self, spans: list[Span]) -> bool:
        """Send them; True only when the other side has taken all of them. Never raises; blocks a bounded time."""
        ...

    def close(self) -> None:
        """End a running export soon; nothing can be exported any more."""
        ...


@dataclass(frozen=True, slots=True)
class Lag:
    """How far shipping is behind: bytes of journal, and the age in seconds of the oldest record not shipped."""

    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. `sent` is False when the exporter refused: nothing moved."""

    records: int
    spans: int
    sent: bool = True


@dataclass(slots=True)
class _Plan:
    """One batch: its spans, and what to note once they are sent."""

    spans: list[Span] = field(default_factory=list)
    records: int = 0
    full: bool = False
    cursors: dict[str, Cursor] = field(default_factory=dict)
    decisions: dict[str, Record] = field(default_factory=dict)
    rows: dict[str, Waiting] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    owners: dict[str, tuple[str, int]] = field(default_factory=dict)
    gone: list[tuple[str, int]] = field(default_factory=list)
    waited: dict[str, list[Record]] = field(default_factory=dict)
    hold_traces: dict[str, tuple[str, int]] = field(default_factory=dict)


class Shipper:
    """Ships the journals under `state`. Not thread-safe. `on_fault(stream, fault, offset, message)` is called once
    for every place where a journal can't be read on; the other streams go on."""

    def __init__(
        self,
        state: Path,
        store: Store,
        exporter: Exporter,
        on_fault: Callable[[str, Fault, int, str], None] = lambda stream, fault, offset, message: None,
        clock: Callable[[], float] = time.time,
        unknown_after_seconds: float = 900.0,
        keep_seconds: float = 7 * 86400.0,
    ) -> None:
        self._state, self._store, self._exporter, self._clock = state, store, exporter, clock
        self._on_fault = on_fault
        self._unknown_after, self._keep = unknown_after_seconds, keep_seconds
        self._faults: dict[tuple[str, int], Fault] = {}
        self._genesis: dict[str, tuple[int, str]] = {}
        self._batch = BATCH_RECORDS
        self._pruned = 0.0

    def step(self) -> Step:
        """Ship one batch. Raises sqlite3.Error and OSError; then nothing moved."""
        told = self._tell_given_up()
        if not told.sent:
            return told
        plan, limit = _Plan(), self._batch
        for record in islice(self._merged(plan), limit):
            self._take(plan, record)
        with self._store.transaction():
            self._store.own((trace, who, at) for trace, (who, at) in plan.owners.items())
            for stream, offset in plan.gone:
                self._store.give_up_stream(stream, offset)
        if plan.spans and not self._send(plan.spans):
            return Step(0, told.spans, sent=False)
        with self._store.transaction():
            self._store.move(plan.cursors.values())
            self._store.settle(plan.settled)
            self._store.keep_waiting(plan.rows.values())
            self._store.note_waited(
                (r.stream, r.offset, hold, nanoseconds(r.at)) for hold, rs in plan.waited.items() for r in rs
            )
            self._store.note_hold_trace((hold, trace, at) for hold, (trace, at) in plan.hold_traces.items())
            # Only when all is read: a delivery may stand further on in a journal that we are behind with.
            if plan.records < limit and not plan.full:
                self._age()
        return Step(plan.records, told.spans + len(plan.spans))

    def lag(self) -> Lag:
        """How far shipping is behind now. Raises sqlite3.Error."""
        cursors, behind, oldest = self._store.cursors(), 0, None
        for path in journals(self._state):
            offset = cursors[path.stem].offset if path.stem in cursors else 0
            try:
                behind += max(0, path.stat().st_size - offset)
                at = next((nanoseconds(record.at) for record in records(path, offset)), None)
            except (JournalFault, OSError, ValueError):
                continue
            oldest = at if oldest is None else min(oldest, at or oldest)
        return Lag(behind, 0.0 if oldest is None else max(0.0, self._clock() - oldest / 1e9))

    def _send(self, spans: list[Span]) -> bool:
        """A batch that is refused is tried smaller: it may be its size."""
        sent = self._exporter.export(spans)
        self._batch = min(BATCH_RECORDS, self._batch * 2) if sent else max(1, self._batch // 2)
        return sent

    def _age(self) -> None:
        """Give up what waited too long (the next step tells it), and forget what is old."""
        now = self._clock()
        self._store.give_up_before(int((now - self._unknown_after) * 1e9))
        if now - self._pruned > 600:
            self._pruned = now
            self._store.forget_before(int((now - self._keep) * 1e9))

    def _tell_given_up(self) -> Step:
        plan = _Plan()
        rows = self._store.given_up(self._batch)
        for row in rows:
            decision = self._recall(row)
            if decision is not None:
                plan.spans += self._action(plan, decision, None, unknown=True)
        if plan.spans and not self._send(plan.spans):
            return Step(0, 0, sent=False)
        if rows:
            with self._store.transaction():
                self._store.keep_waiting(replace(row, state=Wait.UNKNOWN) for row in rows)
        return Step(0, len(plan.spans))

    def _merged(self, plan: _Plan) -> Iterator[Record]:
        """All streams' next records by time, each up to its size as noted before the first is read."""
        cursors = self._store.cursors()
        paths = sorted(journals(self._state), key=lambda path: (path.stem in LATE_STREAMS, path.stem))
        bounds = [(path, path.stat().st_size) for path in paths]
        room = BATCH_BYTES
        for record in heapq.merge(*(self._tail(path, cursors, size) for path, size in bounds), key=lambda r: r.at):
            genesis = self._genesis[record.stream][1]
            plan.cursors[record.stream] = Cursor(record.stream, genesis, record.end, record.seq, record.hash)
            plan.records += 1
            room -= record.end - record.offset
            yield record
            if room < 0:
                plan.full = True
                return

    def _tail(self, path: Path, cursors: dict[str, Cursor], size: int) -> Iterator[Record]:
        """The records of one stream from its cursor, as long as they continue its chain."""
        stream, offset = path.stem, 0
        try:
            genesis = self._first(path)
            if genesis is None:
                return
            cursor = cursors.get(stream)
            if cursor is not None and cursor.genesis != genesis:
                self._fault(stream, Fault.BAD_GENESIS, 0, "another journal stands in place of the one shipped from")
                cursor = None
            seq, prev = (0, None) if cursor is None else (cursor.seq + 1, cursor.hash)
            offset = 0 if cursor is None else cursor.offset
            if size < offset:
                raise JournalFault(path, Fault.BEHIND_WITNESS, size, seq, "shorter than what was shipped from it")
            for record in records(path, offset, size):
                if record.stream != stream or record.seq != seq or (prev is not None and record.prev != prev):
                    raise JournalFault(path, Fault.BAD_CHAIN, record.offset, seq, "the chain is broken here")
                nanoseconds(record.at)
                yield record
                seq, prev, offset = record.seq + 1, record.hash, record.end
        except JournalFault as error:
            self._fault(stream, error.fault, error.offset, error.detail)
        except ValueError as error:
            self._fault(stream, Fault.BAD_RECORD, offset, str(error))

    def _first(self, path: Path) -> str | None:
        """The hash of the stream's first record, read once for every file that had the name."""
        inode = path.stat().st_ino
        known = self._genesis.get(path.stem)
        if known is None or known[0] != inode:
            first = next(records(path), None)
            if first is None:
                return None
            known = self._genesis[path.stem] = (inode, first.hash)
        return known[1]

    def _fault(self, stream: str, fault: Fault, offset: int, message: str) -> None:
        if (stream, offset) not in self._faults:
            # Told first: where telling fails (the gateway stream is full, say), it is told the next time.
            self._on_fault(stream, fault, offset, message)
            self._faults[(stream, offset)] = fault

    def _take(self, plan: _Plan, record: Record) -> None:
        body = record.body
        if record.kind == "decision":
            key = str(part(body, "decision").get("id"))
            if is_final(record):
                plan.spans += self._action(plan, record, None)
            else:
                self._place(plan, record)
                plan.decisions[key] = record
                plan.rows[key] = Waiting(key, record.stream, record.offset, nanoseconds(record.at), Wait.WAITING)
        elif record.kind == "delivery":
            self._deliver(plan, record)
        else:
            if record.kind == "journal-opened":
                plan.gone.append((record.stream, record.offset))
                for key, row in plan.rows.items():
                    if row.stream == record.stream and row.state is Wait.WAITING:
                        plan.rows[key] = replace(row, state=Wait.EXPIRED)
            hold = body.get("hold")
            if record.kind in ("hold", "vote") and isinstance(hold, str):
                plan.waited.setdefault(hold, []).append(record)
            if record.kind != "hold" or body.get("state") in FINISHED_HOLDS:
                plan.spans.append(event_span(record, self._beside(plan, record)))

    def _deliver(self, plan: _Plan, record: Record) -> None:
        key = str(record.body.get("decision"))
        decision, row = plan.decisions.get(key), plan.rows.get(key) or self._store.waiting(key)
        if row is None:
            # Its decision was final, so that the action is told already.
            return
        decision = decision or self._recall(row)
        if decision is None:
            return
        if row.state is Wait.WAITING and not self._gone(plan, row):
            plan.spans += self._action(plan, decision, record)
            plan.decisions.pop(key, None)
            plan.rows.pop(key, None)
            plan.settled.append(key)
            return
        if row.state is not Wait.UNKNOWN:
            plan.spans += self._action(plan, decision, None, unknown=True)
        plan.spans.append(late_delivery(record, decision, self._place(plan, decision)))
        plan.rows[key] = replace(row, state=Wait.UNKNOWN)

    def _gone(self, plan: _Plan, row: Waiting) -> bool:
        return any(stream == row.stream and row.offset < offset for stream, offset in plan.gone)

    def _recall(self, row: Waiting) -> Record | None:
        """The decision record that a row points to; a fault where it is gone."""
        path = self._state / "journal" / f"{row.stream}.journal"
        try:
            record = record_at(path, row.offset)
        except JournalFault as error:
            self._fault(row.stream, error.fault, error.offset, error.detail)
            return None
        return record if str(part(record.body, "decision").get("id")) == row.decision else None

    def _action(self, plan: _Plan, decision: Record, delivery: Record | None, unknown: bool = False) -> list[Span]:
        waited: list[Record] = []
        hold = decision.body.get("hold")
        if isinstance(hold, str):
            for stream, offset in self._store.waited(hold, WAITED_PER_HOLD):
                try:
                    waited.append(record_at(self._state / "journal" / f"{stream}.journal", offset))
                except JournalFault as error:
                    self._fault(stream, error.fault, error.offset, error.detail)
            waited += plan.waited.get(hold, [])
        # What was written after the decision would be seen or not by chance of the batch.
        waited = [r for r in waited if r.at <= decision.at]
        return action_spans(decision, delivery, waited, self._place(plan, decision), unknown)

    def _place(self, plan: _Plan, decision: Record) -> Place:
        def owner(trace: str) -> str | None:
            return plan.owners[trace][0] if trace in plan.owners else self._store.owner(trace)

        where = place(decision.body, decision.hash, owner)
        at = nanoseconds(decision.at)
        if where.parent is not None and where.trace_id not in plan.owners:
            plan.owners[where.trace_id] = (principal_key(decision.body), at)
        hold = decision.body.get("hold")
        if isinstance(hold, str):
            plan.hold_traces.setdefault(hold, (where.trace_id, at))
        return where

    def _beside(self, plan: _Plan, record: Record) -> Place:
        """Votes and the ends of holds go to the trace of the action that waits; the rest has one of its own."""
        hold = record.body.get("hold")
        if record.kind in ("hold", "vote") and isinstance(hold, str):
            known = plan.hold_traces[hold][0] if hold in plan.hold_traces else self._store.hold_trace(hold)
            return Place(known or derive("hold", hold), Placed.RECORD)
        return Place(derive("record", record.hash), Placed.RECORD)


def trace_of(state: Path, record: Record) -> str:
    """The trace id of a decision's record, whether it is shipped yet or not. Ownership is read from `shipper.db`;
    a claimed trace id that nobody owns yet will be its claimant's. Raises sqlite3.Error for a damaged database."""
    path = state / "shipper.db"
    if claimed(record.body) is None or not path.exists():
        return place(record.body, record.hash, lambda trace: None).trace_id
    store = Store(path, readonly=True)
    try:
        return place(record.body, record.hash, store.owner).trace_id
    finally:
        store.close()
