"""The one place where an action becomes a Grant or a Refusal: policy, people, record, in this order.

Nothing else mints a Grant, and it is minted only after the decision's record is in the journal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from extproc.approvals.machine import HoldRefused, Refused, approvals
from extproc.approvals.ports import HoldsUnavailable
from extproc.approvals.service import Holds
from extproc.audit.bodies import heads
from extproc.audit.bodies.recorder import Recorder, Recording
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.action import Action, Unrenderable
from extproc.domain.decision import Decision, Effect, MalformedDecision, parse, unavailable
from extproc.domain.decision import Recording as Mode
from extproc.domain.grant import Grant, Lane, Refusal, RefusalKind
from extproc.domain.hold import Hold, HoldState
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.json import JSON, Document
from extproc.domain.limits import Limits
from extproc.domain.ports import (
    History,
    HistoryUnavailable,
    Journal,
    JournalUnwritable,
    Meter,
    PolicyEngine,
    PolicyUnavailable,
    Settler,
)
from extproc.domain.principal import Principal
from extproc.domain.target import Inspect, Protocol
from extproc.server.memory import UNKNOWN, Memory, unsettled
from extproc.server.metrics import Metrics
from extproc.server.records import Asker, Records, new_id, now

_LANES = frozenset(Lane)
_UNDECIDED = {"policy-busy": "Deciding on this takes long, and others of yours came first"}
# An approval, a changed policy that wants another one, and one more change under way: beyond that, refuse.
_ROUNDS = 3
# Longer than it takes a worker to learn of a freeze, which the process that cancels holds knows first.
_HEARSAY_SECONDS = 0.5
# Of the time that the engine takes to say what a decision depends on: for so long it is not asked that again.
_REST = 4.0


class Gate:
    """Decides actions. One per worker; safe for any number of concurrent exchanges on one event loop."""

    def __init__(
        self,
        policy: PolicyEngine,
        holds: Holds,
        journal: Journal,
        metrics: Metrics,
        history: History,
        check: Callable[[Principal, float], None],
        recorder: Recorder,
        memory: Memory | None = None,
        settler: Settler | None = None,
        meter: Meter | None = None,
    ) -> None:
        """`check` raises IdentityRefused for a principal that may not go on at a time (seconds since the epoch).
        Without `memory` and `settler` policy is asked each time; without `meter` nothing is given under hourly
        limits."""
        self._policy = policy
        self._recorder = recorder
        self.history = history
        self.check = check
        self._holds = holds
        self._metrics = metrics
        self.records = Records(journal, metrics)
        self._leaving: set[asyncio.Task[None]] = set()
        self._memory = memory
        self._settler = settler
        self._meter = meter
        self._settling: asyncio.Task[None] | None = None
        self._rested = 0.0

    def recall(self, asker: Asker, action: Action) -> Grant | None:
        """A Grant at once, its record written, where policy was asked the same before and its answer is remembered.
        None: `decide`. Whether the principal may go on is looked at as for any decision: by whoever ends exchanges."""
        memory = self._memory
        if memory is None:
            return None
        key = memory.key(_question(asker, action, ()))
        remembered = None if key is None else memory.recall(key)
        if remembered is None:
            return None
        decision = self._fit(asker, replace(remembered, id=new_id()))
        if decision.effect is not Effect.ALLOW:
            return None
        try:
            self.records.decided(asker, action, decision, None, {}, "granted", remembered=True)
        except JournalUnwritable:
            return None
        self._metrics.remembered(asker.target.name)
        return Grant(decision, _LANES)

    async def decide(
        self,
        asker: Asker,
        action: Action,
        wait_seconds: float,
        pending: Callable[[Hold], Awaitable[None]],
    ) -> Grant | Refusal:
        """A Grant or a Refusal; never raises but for cancellation. `pending` is called with the hold once
        people are waited for, `wait_seconds` long at most."""
        granted = self.recall(asker, action)
        if granted is not None:
            return granted
        ruling = _Ruling(self, asker, action, pending)
        try:
            return await ruling.run(wait_seconds)
        except JournalUnwritable:
            self._metrics.unwritable.inc()
            return Refusal(
                unavailable(new_id(), "journal-unwritable", "The audit journal can't be written"),
                RefusalKind.UNAVAILABLE,
            )

    async def draw(self, asker: Asker, limits: Limits, rows: int, size: int) -> bool | None:
        """Whether so many rows and bytes may be given now, under these hourly limits; None where nobody can tell."""
        try:
            if self._meter is None:
                raise HistoryUnavailable("nothing counts here")
            return await self._meter.draw(asker.principal, asker.target.name, rows, size, limits)
        except HistoryUnavailable as error:
            self._metrics.engine_failure("history-unavailable", str(error))
            return None

    def recording(self, asker: Asker, decision: Decision) -> Recording:
        """Begin to record what passes under a decision: as much as both policy and the target's configuration let."""
        target = asker.target
        of_type = heads.TYPES.get(target.protocol, "")
        return self._recorder.begin(decision.id, _mode(asker, decision), target.head_bytes, target.index, of_type)

    async def evaluate(self, asker: Asker, action: Action, approvals: Sequence[JSON], history: Document) -> Decision:
        """Ask policy once. Whatever is not a decision becomes a block."""
        decision_id = new_id()
        document: dict[str, JSON] = {
            **_question(asker, action, approvals),
            "context": {"time": now(), "source": {"address": asker.source}},
            "history": history,
        }
        try:
            decision = parse(decision_id, await self._policy.evaluate(document, asker.principal.key))
        except PolicyUnavailable as error:
            self._metrics.engine_failure(error.code, str(error))
            return unavailable(
                decision_id, error.code, _UNDECIDED.get(error.code, "The policy engine gave no decision")
            )
        except MalformedDecision as error:
            self._metrics.engine_failure("policy-malformed", str(error))
            return unavailable(decision_id, "policy-malformed", "The policy engine gave no valid decision")
        if decision.effect is Effect.ALLOW and not approvals:
            self._learn(document, decision)
        return self._fit(asker, decision)

    def _learn(self, document: Document, decision: Decision) -> None:
        """Find out, behind everybody's back, whether a decision may be remembered. One at a time, and never for more
        than a small share of what the engine can do."""
        memory, settler = self._memory, self._settler
        if memory is None or settler is None or self._settling is not None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._rested:
            return
        key = memory.key(document)
        if key is not None and memory.worth_settling(key, decision):
            self._settling = loop.create_task(self._settle(memory, settler, key, document, decision))

    async def _settle(
        self, memory: Memory, settler: Settler, key: bytes, document: Document, decision: Decision
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            kept = memory.keep(key, document, decision, await settler.settled(unsettled(document), UNKNOWN))
            self._metrics.settled("remembered" if kept else "asked-each-time")
        except PolicyUnavailable:
            memory.again(key)
            self._metrics.settled("failed")
        finally:
            self._rested = loop.time() + _REST * (loop.time() - began)
            self._settling = None

    def _fit(self, asker: Asker, decision: Decision) -> Decision:
        """The decision, or a block where what it demands can't be done here and now."""
        unread = asker.target.inspect in (Inspect.HEADERS, Inspect.OPAQUE)
        if decision.masks and unread and decision.effect is not Effect.BLOCK:
            why = "Policy demands a mask, and this target's bodies are not read"
            return _blocked(decision, "mask-impossible", why)
        if decision.limits and asker.target.protocol is not Protocol.POSTGRES and decision.effect is not Effect.BLOCK:
            return _blocked(decision, "limit-impossible", "Policy demands a limit that this protocol has not")
        if decision.effect is not Effect.BLOCK and not unread and _mode(asker, decision) is not Mode.METADATA:
            try:
                self._recorder.ready()
            except RecordingFailed:
                self._metrics.unwritable.inc()
                return unavailable(decision.id, "recording-unwritable", "What passes can't be recorded now")
        return decision

    def abandon(self, asker: Asker, hold: Hold) -> None:
        """The asker left, and can't wait for anything any more: settle its hold in a task of its own.

        A client of HTTP most often gave up because of a timeout of its own: the same request sent again finds the
        hold. A session of PostgreSQL that ends, or cancels the statement, has given it up."""
        task = asyncio.get_running_loop().create_task(self._leave(asker, hold))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, asker: Asker, hold: Hold) -> None:
        try:
            if asker.target.protocol is not Protocol.POSTGRES:
                await self._holds.detach(hold.id)
                return
            left = await self._holds.cancel(hold.id)
            if left.state is HoldState.CANCELLED:
                self.records.held(asker, left)
        except (HoldRefused, HoldsUnavailable, JournalUnwritable):
            # A hold that stays open releases nothing by itself, and expires.
            self._metrics.unwritable.inc()

    @property
    def holds(self) -> Holds:
        """The use cases of holds."""
        return self._holds

    @property
    def metrics(self) -> Metrics:
        """Where figures go."""
        return self._metrics


class _Ruling:
    """One action on its way through the gate."""

    def __init__(
        self,
        gate: Gate,
        asker: Asker,
        action: Action,
        pending: Callable[[Hold], Awaitable[None]],
    ) -> None:
        self._gate = gate
        self._asker = asker
        self._action = action
        self._pending = pending
        self._timings: dict[str, int] = {}
        self._deadline = 0.0
        self._history: Document | None = None

    async def run(self, wait_seconds: float) -> Grant | Refusal:
        self._deadline = time.monotonic() + wait_seconds
        decision = await self._evaluate([])
        for _ in range(_ROUNDS):
            if decision.effect is not Effect.HOLD:
                return self._conclude(decision, None)
            if self._action.settled is False:
                return Refusal(decision, RefusalKind.UNSETTLED)
            outcome = await self._hold(decision)
            if isinstance(outcome, Grant | Refusal):
                return outcome
            decision = outcome
        return self._refuse(decision, RefusalKind.UNAVAILABLE, None)

    async def _hold(self, decision: Decision) -> Grant | Refusal | Decision:
        """See a held action through. A Decision means that policy changed its mind: rule on that one."""
        holds = self._gate.holds
        try:
            hold = await holds.open_or_join(self._asker.principal, self._asker.target.name, self._action, decision)
        except HoldRefused as error:
            kind = RefusalKind.LIMITED if error.code is Refused.TOO_MANY else RefusalKind.BLOCKED
            return self._refuse(_blocked(decision, error.code.value, str(error)), kind, None)
        except Unrenderable as error:
            return self._refuse(_blocked(decision, "not-approvable", str(error)), RefusalKind.BLOCKED, None)
        except HoldsUnavailable:
            return self._unavailable("holds-unavailable", "Holds can't be stored")
        if hold.state is HoldState.DENIED:
            return self._refuse(decision, RefusalKind.DENIED, hold)
        settled = False
        try:
            self._gate.records.held(self._asker, hold)
            if hold.state is HoldState.PENDING:
                await self._pending(hold)
                hold = await self._wait(hold)
                if hold.state is HoldState.APPROVED and self._action.settled:
                    # What the digest binds may be something else by now: the same again claims it, anything else asks.
                    hold, settled = await holds.detach(hold.id), True
                    return Refusal(decision, RefusalKind.UNSETTLED, hold.id)
            if hold.state is HoldState.PENDING:
                hold, settled = await holds.detach(hold.id), True
                return self._refuse(decision, RefusalKind.PENDING, hold)
            if hold.state is HoldState.USED:
                # Another exchange of the same principal used this approval first: it was good for one.
                settled = True
                return decision
            if hold.state is not HoldState.APPROVED:
                settled = True
                if hold.state is HoldState.CANCELLED:
                    # Most often its asker was just frozen. We hear of that in a moment, and then it is what is said.
                    await asyncio.sleep(_HEARSAY_SECONDS)
                kind = RefusalKind.DENIED if hold.state is HoldState.DENIED else RefusalKind.EXPIRED
                return self._refuse(decision, kind, hold)
            try:
                self._gate.check(self._asker.principal, time.time())
            except IdentityRefused as error:
                kind = RefusalKind.UNAVAILABLE if error.why is Why.UNAVAILABLE else RefusalKind.BLOCKED
                why = f"While this waited: {error}"
                return self._refuse(_blocked(decision, error.why.value, why), kind, hold)
            again = await self._evaluate(approvals(hold))
            if again.effect is Effect.BLOCK:
                return self._refuse(again, RefusalKind.BLOCKED, hold)
            if again.effect is Effect.HOLD:
                return again
            approved = _as_approved(again, hold)
            hold, settled = await holds.claim(hold.id, self._action.digest, self._asker.principal), True
            return self._conclude(approved, hold)
        except HoldRefused as error:
            if error.code is Refused.NOT_APPROVED:
                settled = True
                return decision
            return self._refuse(_blocked(decision, error.code.value, str(error)), RefusalKind.BLOCKED, hold)
        except HoldsUnavailable:
            return self._unavailable("holds-unavailable", "Holds can't be stored")
        finally:
            if not settled:
                self._gate.abandon(self._asker, hold)

    async def _wait(self, hold: Hold) -> Hold:
        started = time.perf_counter_ns()
        with self._gate.metrics.holding.track_inprogress():
            waited = await self._gate.holds.wait(hold.id, max(0.0, self._deadline - time.monotonic()))
        self._clock("hold", started)
        return waited

    async def _evaluate(self, approvals: Sequence[JSON]) -> Decision:
        started = time.perf_counter_ns()
        try:
            if self._history is None:
                # Once for an action, however often policy is asked about it: to be asked again is not to act again.
                asker = self._asker
                self._history = await self._gate.history.of(
                    asker.principal, asker.target.name, self._action.verb, asker.source
                )
            decision = await self._gate.evaluate(self._asker, self._action, approvals, self._history)
        except HistoryUnavailable as error:
            self._gate.metrics.engine_failure("history-unavailable", str(error))
            decision = unavailable(new_id(), "history-unavailable", "What policy reads of the past can't be told")
        self._clock("policy", started)
        return decision

    def _clock(self, stage: str, started_ns: int) -> None:
        took = (time.perf_counter_ns() - started_ns) // 1000
        self._timings[stage] = self._timings.get(stage, 0) + took
        self._gate.metrics.stage(stage, took / 1e6)

    def _conclude(self, decision: Decision, hold: Hold | None) -> Grant | Refusal:
        if decision.effect is Effect.BLOCK:
            kind = RefusalKind.UNAVAILABLE if decision.revision == "none" else RefusalKind.BLOCKED
            return self._refuse(decision, kind, hold)
        started = time.perf_counter_ns()
        self._gate.records.decided(self._asker, self._action, decision, hold, self._timings, "granted")
        self._clock("journal", started)
        return Grant(decision, _LANES)

    def _refuse(self, decision: Decision, kind: RefusalKind, hold: Hold | None) -> Refusal:
        self._gate.records.decided(self._asker, self._action, decision, hold, self._timings, kind.value)
        # Seconds until it is worth asking again: people need some, and a poll costs next to nothing.
        retry = 5 if kind in (RefusalKind.PENDING, RefusalKind.LIMITED) else None
        return Refusal(decision, kind, hold.id if hold else None, retry)

    def _unavailable(self, code: str, message: str) -> Refusal:
        return self._refuse(unavailable(new_id(), code, message), RefusalKind.UNAVAILABLE, None)


def _question(asker: Asker, action: Action, approvals: Sequence[JSON]) -> dict[str, JSON]:
    """A policy input, but for what is never the same twice."""
    return {
        "schema": 1,
        "principal": asker.principal.document(),
        "target": asker.target.document(),
        "session": {"id": asker.session},
        "action": action.document(),
        "context": {"source": {"address": asker.source}},
        "approvals": approvals,
    }


def _as_approved(decision: Decision, hold: Hold) -> Decision:
    """The decision with the masks that the approver saw as well: nothing after an approval may widen it."""
    seen = parse(decision.id, hold.decision).masks
    return replace(decision, masks=(*decision.masks, *(m for m in seen if m not in decision.masks)))


def _blocked(decision: Decision, code: str, message: str) -> Decision:
    """The decision, turned into a block by the gate itself."""
    block = unavailable(decision.id, code, message)
    return replace(decision, effect=Effect.BLOCK, reasons=(*decision.reasons, *block.reasons))


def _mode(asker: Asker, decision: Decision) -> Mode:
    return decision.record.least(asker.target.record)
