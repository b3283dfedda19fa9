"""What a worker records: decisions, holds, deliveries, sessions, and who was turned away."""

import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from extproc.approvals.records import hold_record
from extproc.audit.bodies.recorder import Recording
from extproc.domain.action import Action
from extproc.domain.decision import Decision, unavailable
from extproc.domain.hold import Hold
from extproc.domain.json import JSON, Document
from extproc.domain.ports import Journal, JournalUnwritable
from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.server.metrics import Metrics
from extproc.server.sessions import Sessions
from extproc.server.turnstile import Turnstile


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks through which exchange. `context` is what records carry of it; `source` is the peer's address."""

    principal: Principal
    target: Target
    session: str
    request: str
    source: str
    context: Document


class Records:
    """Writes the records of one worker. Belongs to its event loop."""

    def __init__(self, journal: Journal, metrics: Metrics) -> None:
        self._journal, self._metrics = journal, metrics
        self._turnstile = Turnstile(journal, now)
        self._sessions = Sessions(journal, now, metrics.unwritable.inc)

    def decided(
        self,
        asker: Asker,
        action: Action,
        decision: Decision,
        hold: Hold | None,
        timings: dict[str, int],
        outcome: str,
        *,
        remembered: bool = False,
    ) -> None:
        """Write the decision's record. `remembered` says that policy was not asked this time, for it was asked the same
        before. Raises JournalUnwritable."""
        self._metrics.decided(asker.target.name, decision)
        body: dict[str, JSON] = {
            **_common(asker),
            "action": {
                "protocol": action.protocol.value,
                "verb": action.verb,
                "resource": action.resource,
                "digest": action.digest,
                "summary": action.summary_under(decision.masks),
            },
            "decision": decision.document(),
            "outcome": outcome,
            "hold": hold.id if hold else None,
            "approvers": [v.approver.document() for v in hold.votes if v.approve] if hold else [],
            "timings_us": dict(timings),
        }
        if remembered:
            body["remembered"] = True
        self._journal.append("decision", body)

    def held(self, asker: Asker, hold: Hold) -> None:
        """Write that a hold opened or ended. Raises JournalUnwritable."""
        self._journal.append("hold", {**_common(asker), **hold_record(hold, time.time())})

    def turned_away(self, body: dict[str, JSON], code: str, peer: str, target: str) -> str:
        """Record that nobody was let in, for there was nobody known; returns the id that joins Envoy's access log."""
        refusal_id = new_id()
        self._metrics.turned_away(code)
        try:
            self._turnstile.turn_away(code, peer, target, {"id": refusal_id, **body})
        except JournalUnwritable:
            # They were turned away anyway; what must not happen unseen is passing.
            self._metrics.unwritable.inc()
        return refusal_id

    def visit(self, asker: Asker, *, whole: bool = False) -> AbstractContextManager[None]:
        """For as long as the exchange lasts: its session is open. With `whole` it ends with it."""
        return self._sessions.visit(asker.principal, asker.session, lambda: _common(asker), whole=whole)

    def close(self) -> None:
        """Record what ends with this worker; nothing is decided any more."""
        self.flush()
        self._sessions.close()

    def flush(self) -> None:
        """Record how many were turned away since the last time, and which sessions ended; call it about once a
        second."""
        self._sessions.sweep()
        try:
            self._turnstile.flush()
        except JournalUnwritable:
            self._metrics.unwritable.inc()

    def refused(
        self, asker: Asker, verb: str, resource: str, code: str, title: str, summary: Document | None = None
    ) -> str:
        """Record that the session refused before there was an action to decide; returns the decision's id. `summary` is
        masked, as an action's."""
        decision = unavailable(new_id(), code, title)
        self._metrics.decided(asker.target.name, decision)
        action: dict[str, JSON] = {"protocol": asker.target.protocol.value, "verb": verb, "resource": resource}
        body: dict[str, JSON] = {
            **_common(asker),
            "action": {**action, "digest": None, "summary": summary or {}},
            "decision": decision.document(),
            "outcome": "refused",
            "hold": None,
            "approvers": [],
            "timings_us": {},
        }
        try:
            self._journal.append("decision", body)
        except JournalUnwritable:
            # It was refused anyway; what must not happen unseen is passing.
            self._metrics.unwritable.inc()
        return decision.id

    def delivered(
        self, asker: Asker, decision_id: str | None, facts: Document, recording: Recording | None = None
    ) -> None:
        """Record how the exchange ended. A failure is counted: the bytes are gone, and the next decision fails."""
        recorded = recording.finish() if recording is not None else {}
        try:
            self._journal.append("delivery", {**_common(asker), "decision": decision_id, **facts, **recorded})
        except JournalUnwritable:
            # What was recorded stays where it is salvaged from, for no record names it.
            self._metrics.unwritable.inc()
        else:
            if recording is not None:
                recording.settle()


def _common(asker: Asker) -> dict[str, JSON]:
    return {
        "at": now(),
        "request": asker.request,
        "session": asker.session,
        "principal": asker.principal.document(),
        "target": asker.target.document(),
        "source": {"address": asker.source},
        **asker.context,
    }


def now() -> str:
    """The time as records have it: RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> str:
    """The id of a decision, or of a refusal of nobody known: 24 hex digits."""
    # 96 random bits: nobody guesses another's decision, and no two collide.
    return secrets.token_hex(12)
