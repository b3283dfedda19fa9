"""Records into spans, one after the other. What it must know of earlier ones is in the store.

Which spans come of a record follows from the records before it in order of time, and from nothing else: no clock is
looked at, and what is forgotten is what is too old by the records' own times to count. So whoever reads the same
records again, in other batches or with an empty store, makes the same spans.
"""

from collections.abc import Callable
from dataclasses import replace

from extproc.audit.attributes import part
from extproc.audit.frame import Record
from extproc.audit.placement import Place, Placed, derive, nanoseconds, place, principal_key
from extproc.audit.spans import Span, action_spans, event_span, is_final, is_told, late_delivery
from extproc.audit.store import Store, Wait, Waiting

UNKNOWN_AFTER = 900 * 10**9
"""Nanoseconds; a delivery that comes later finds its action told as one of unknown end."""
REMEMBERED = 7 * 86400 * 10**9
"""Nanoseconds for which the owner of a trace id, a hold's votes and trace, and an action of unknown end count."""
KEPT = REMEMBERED + 86400 * 10**9
"""Nanoseconds after which they are dropped: a day later, so that a clock that is put back a little changes nothing."""
FORGET_EVERY = 600 * 10**9
WAITED_PER_HOLD = 32


class Fold:
    """Takes records in order. Everything it notes is noted in `store`, in whatever transaction is open there.
    `recall(stream, offset)` gives a record again, or None where it is gone."""

    def __init__(self, store: Store, recall: Callable[[str, int], Record | None]) -> None:
        self._store, self._recall = store, recall
        self._front = self._forgot = 0

    def take(self, record: Record) -> list[Span]:
        """The spans that come of this record. Raises ValueError for one that is not as records are, sqlite3.Error."""
        at = nanoseconds(record.at)
        self._forget(at)
        if record.kind == "decision":
            return self._decided(record, at)
        if record.kind == "delivery":
            return self._delivered(record, at)
        if record.kind == "journal-opened":
            self._store.give_up_stream(record.stream, record.offset)
        hold = _hold(record)
        spans = [event_span(record, self._beside(record, at))] if is_told(record) else []
        if record.kind in ("hold", "vote") and hold is not None:
            self._store.note_waited(record.stream, record.offset, hold, at)
        return spans

    def give_up(self, stream: str, now: int) -> None:
        """All that a stream has from before `now` is taken: give up the actions in it that were to end by then."""
        self._store.give_up_before(stream, now - UNKNOWN_AFTER)

    def tell_given_up(self, limit: int) -> list[Span]:
        """The spans of so many actions that are given up and not told yet."""
        spans: list[Span] = []
        for row in self._store.given_up(limit):
            spans += self.unknown(row)
        return spans

    def _decided(self, record: Record, at: int) -> list[Span]:
        who = principal_key(record.body)
        where = place(record.body, record.hash, lambda trace: self._store.owner(trace, at - REMEMBERED))
        own = where.parent is not None
        if own:
            self._store.own(where.trace_id, who, at)
        hold = _hold(record)
        if hold is not None:
            self._store.note_hold_trace(hold, where.trace_id, at, at - REMEMBERED)
        if is_final(record):
            return self._action(record, None, where)
        key = str(part(record.body, "decision").get("id"))
        self._store.keep_waiting(Waiting(key, record.stream, record.offset, at, own, Wait.WAITING))
        return []

    def _delivered(self, record: Record, at: int) -> list[Span]:
        row = self._store.waiting(str(record.body.get("decision")))
        if row is None or at - row.at > REMEMBERED:
            # Its decision was final, so that the action is told already; or so long ago that nobody remembers.
            return []
        decision = self.decision(row)
        if decision is None:
            return []
        where = _again(decision, row)
        if row.state is Wait.WAITING and at - row.at <= UNKNOWN_AFTER:
            self._store.settle(row.decision)
            return self._action(decision, record, where)
        spans = [] if row.state is Wait.UNKNOWN else self.unknown(row)
        return [*spans, late_delivery(record, decision, where)]

    def unknown(self, row: Waiting) -> list[Span]:
        """The spans of an action whose end nobody tells."""
        decision = self.decision(row)
        self._store.keep_waiting(replace(row, state=Wait.UNKNOWN))
        return [] if decision is None else self._action(decision, None, _again(decision, row), unknown=True)

    def _action(self, decision: Record, delivery: Record | None, at: Place, unknown: bool = False) -> list[Span]:
        waited: list[Record] = []
        hold, decided = _hold(decision), nanoseconds(decision.at)
        if hold is not None:
            # What was written after the decision is no reason for it.
            places = self._store.waited(hold, decided - REMEMBERED, decided, WAITED_PER_HOLD)
            waited = [record for record in (self._recall(*place) for place in places) if record is not None]
        return action_spans(decision, delivery, waited, at, unknown)

    def decision(self, row: Waiting) -> Record | None:
        """The decision that a row points to, if it is still there."""
        record = self._recall(row.stream, row.offset)
        if record is None or str(part(record.body, "decision").get("id")) != row.decision:
            return None
        return record

    def _beside(self, record: Record, at: int) -> Place:
        """Votes and the ends of holds go to the trace of the action that waits, a session's end to the session's; the
        rest has a trace of its own."""
        hold = _hold(record)
        if record.kind in ("hold", "vote") and hold is not None:
            known = self._store.hold_trace(hold, at - REMEMBERED)
            return Place(known or derive("hold", hold), Placed.RECORD)
        if record.kind == "session":
            return place({**record.body, "trace": None}, record.hash, lambda trace: None)
        return Place(derive("record", record.hash), Placed.RECORD)

    def _forget(self, at: int) -> None:
        self._front = max(self._front, at)
        if self._front - self._forgot > FORGET_EVERY:
            self._forgot = self._front
            self._store.give_up_all_before(self._front - KEPT)
            # But for what an action that is to be told yet was decided with.
            untold = self._store.untold()
            self._store.forget_before(self._front - KEPT if untold is None else min(self._front, untold) - KEPT)


def _hold(record: Record) -> str | None:
    hold = record.body.get("hold")
    return hold if isinstance(hold, str) else None


def _again(decision: Record, row: Waiting) -> Place:
    """Where the decision was placed when it was taken."""
    who = principal_key(decision.body)
    return place(decision.body, decision.hash, lambda trace: who if row.own else "")
