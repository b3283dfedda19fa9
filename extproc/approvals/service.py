"""The use cases of holds: what workers and people do with them. Rules come from `machine`, order from the store."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from extproc.approvals import machine
from extproc.approvals.machine import REQUEST, HoldRefused, Refused
from extproc.approvals.ports import (
    Admission,
    HoldStore,
    HoldsUnavailable,
    Page,
    Question,
    Standing,
    Tally,
    UnknownHold,
)
from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.hold import Hold, HoldState
from extproc.domain.principal import Principal

# One principal can't bury the approvers: more pending holds than this are refused, identical ones are merged anyway.
PENDING_PER_PRINCIPAL = 20
# Nor can it by asking and leaving, nor by asking again for what was denied with a header changed. By the store's time.
WINDOW_SECONDS = 600.0
OPENED_PER_WINDOW = 60
DENIALS_PER_WINDOW = 3
# Requests that wait on one hold, each of which takes a connection.
ASKERS_PER_HOLD = 50
# Final holds stay this long, and so many of a principal, to be looked back at; the journal keeps what must last.
KEEP_SECONDS = 7 * 86400.0
KEEP_PER_PRINCIPAL = 200

Witness = Callable[[Hold, Hold], None]
# Why an approver may not answer for an asker, beside what the two principals themselves say; None for no reason.
Unfit = Callable[[Principal, Principal], str | None]


class _NotRendered(Exception):
    """A hold would open, and the text that people read is not made yet."""


class Holds:
    """Holds over a store.

    Every `open_or_join` that returned a live hold (pending or approved) is followed by exactly one of `claim`,
    `detach` or `cancel`. All methods raise HoldsUnavailable; the caller then lets nothing pass.
    """

    def __init__(
        self, store: HoldStore, most_pending: int = PENDING_PER_PRINCIPAL, unfit: Unfit = lambda asker, approver: None
    ) -> None:
        """`most_pending` is how many holds of one principal may wait at one time; it may be changed while in use.
        `unfit` is asked at each vote, also in the store's thread; what it raises undoes the vote."""
        self._store = store
        self.most_pending = most_pending
        self.unfit = unfit
        self._strays: set[asyncio.Task[None]] = set()

    async def open_or_join(
        self, principal: Principal, target: str, action: Action, decision: Decision, detached: bool = False
    ) -> Hold:
        """The hold that answers for this action: read its state.

        - pending: new, or joined because the same asker already waits for the same digest and approvals. `wait` on it.
        - approved: people already said yes and nobody used it. Evaluate again, then `claim`.
        - denied: people said no and that still stands (until the hold would have expired).

        Where the decision now asks for other approvals than the live hold does, or lays other masks on the request,
        that one ends as cancelled and a new one opens: an approval by the old rules is not one by the new. What people
        will read (`action.render`) is made only for a new hold, in a thread, outside the store's transaction. With
        `detached` the asker is answered 202 at once: it counts as one that already called `detach`.
        Raises HoldRefused (too-many-holds, denied-too-often, no-requirements). Cancelled while it runs, it leaves no
        asker behind.
        """

        asking = 0 if detached else 1
        text: str | None = None
        question = Question(principal, target, action.verb, action.resource, action.digest)

        def rule(same: Sequence[Standing], tally: Tally, now: float) -> Admission:
            ended = []
            for standing in same:
                hold = machine.at(standing.hold, now)
                if hold.state is HoldState.DENIED and now < hold.expires_at:
                    return Admission(replace(standing, hold=hold))
                if hold.state not in machine.LIVE:
                    ended += [hold] if hold != standing.hold else []
                elif machine.fits(hold, decision):
                    if hold.state is HoldState.PENDING and standing.askers + asking > ASKERS_PER_HOLD:
                        raise HoldRefused(
                            Refused.TOO_MANY,
                            f"{ASKERS_PER_HOLD} requests already wait for this answer, which is the most",
                        )
                    joined = replace(hold, detached=hold.detached or detached)
                    return Admission(Standing(joined, standing.askers + asking))
                else:
                    ended.append(machine.withdraw(hold, now))
            freed = sum(1 for s in same if machine.at(s.hold, now).state is HoldState.PENDING)
            _check(replace(tally, pending=tally.pending - freed), self.most_pending)
            if text is None:
                raise _NotRendered
            opened = _new(principal, target, action, text, decision, detached, now)
            return Admission(Standing(opened, asking), tuple(ended))

        async def admit() -> Hold:
            nonlocal text
            try:
                return await self._store.admit(question, WINDOW_SECONDS, KEEP_PER_PRINCIPAL, rule)
            except _NotRendered:
                text = await asyncio.to_thread(action.render, decision.masks)
                return await self._store.admit(question, WINDOW_SECONDS, KEEP_PER_PRINCIPAL, rule)

        admitting = asyncio.ensure_future(admit())
        try:
            return await asyncio.shield(admitting)
        except asyncio.CancelledError:
            # The store's thread can't be called back, so whatever it admits is given up when it is done.
            stray = asyncio.ensure_future(self._give_up(admitting, detached))
            self._strays.add(stray)
            stray.add_done_callback(self._strays.discard)
            raise

    async def wait(self, hold_id: str, timeout: float) -> Hold:
        """The hold once it is no longer pending, or still pending after `timeout` seconds. Raises HoldRefused."""
        try:
            return await self._store.wait(hold_id, timeout)
        except UnknownHold as error:
            raise _unknown(error) from None

    async def claim(self, hold_id: str, digest: str, principal: Principal) -> Hold:
        """Use an approval, exactly once whoever races for it: the one that gets the hold back (as used) may go on.
        Raises HoldRefused (not-approved, not-yours, unknown-hold). A caller cancelled here has lost the approval."""
        return await self._change(
            hold_id, lambda s, now: Standing(machine.claim(s.hold, principal, digest, now), s.askers)
        )

    async def detach(self, hold_id: str) -> Hold:
        """The asker is being answered 202: from now on a client that leaves does not cancel the hold."""
        return await self._change(hold_id, lambda s, now: Standing(machine.detach(s.hold, now), max(0, s.askers - 1)))

    async def cancel(self, hold_id: str) -> Hold:
        """An asker left. The hold is cancelled when it was the last and none was answered 202; an approval that
        came in the meantime too, for nobody is left to use it."""

        def leave(s: Standing, now: float) -> Standing:
            left = max(0, s.askers - 1)
            return Standing(s.hold if left else machine.cancel(s.hold, now), left)

        return await self._change(hold_id, leave)

    async def vote(self, hold_id: str, approver: Principal, approve: bool, reason: str, witness: Witness) -> Hold:
        """Take a person's answer. `witness(before, after)` is called inside the transaction, before it takes effect,
        in the store's thread: it writes the vote to the journal, and by raising it undoes the vote.
        Raises HoldRefused and whatever `witness` and `unfit` raise."""

        def cast(s: Standing, now: float) -> Standing:
            known = self.unfit(s.hold.principal, approver)
            after = machine.vote(s.hold, approver, approve, reason, now, known)
            witness(s.hold, after)
            return Standing(after, s.askers)

        return await self._change(hold_id, cast)

    async def get(self, hold_id: str) -> Hold:
        """One hold as it stands. Raises HoldRefused (unknown-hold)."""
        try:
            return await self._store.get(hold_id)
        except UnknownHold as error:
            raise _unknown(error) from None

    async def find(
        self,
        state: HoldState | None = HoldState.PENDING,
        groups: frozenset[str] | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> Page:
        """Holds as they stand, without the text of requests; state None for all. Pending ones come oldest first, so
        that no later ones push them out; others newest first. `groups` leaves those that ask one of them; `after` is
        the id that ended the page before. Raises HoldRefused (unknown-hold) for an `after` that is gone."""
        try:
            return await self._store.find(state, groups, after, limit)
        except UnknownHold as error:
            raise _unknown(error) from None

    async def expire_due(self, witness: Callable[[Sequence[Hold]], None]) -> tuple[Hold, ...]:
        """Write expiries down. `witness` gets each expired hold once over all calls and processes, inside the
        transaction and in the store's thread: it writes them to the journal, and by raising it undoes them."""
        return await self._store.expire_due(KEEP_SECONDS, witness)

    async def cancel_of(
        self, whose: Callable[[Principal], bool], witness: Callable[[Sequence[Hold]], None]
    ) -> tuple[Hold, ...]:
        """Cancel what waits and what is approved and unused of every asker that `whose` picks, answered 202 or not.
        `witness` gets what is cancelled, if anything, inside the transaction and in the store's thread, and by raising
        undoes it."""
        return await self._store.cancel_of(whose, witness)

    async def _change(self, hold_id: str, change: Callable[[Standing, float], Standing]) -> Hold:
        try:
            return await self._store.change(hold_id, change)
        except UnknownHold as error:
            raise _unknown(error) from None

    async def _give_up(self, admitting: "asyncio.Future[Hold]", detached: bool) -> None:
        try:
            hold = await admitting
            if hold.state in machine.LIVE and not detached:
                await self.cancel(hold.id)
        except (HoldRefused, HoldsUnavailable):
            # Nobody is left to tell. A hold that could not be cancelled releases nothing and expires.
            return


def _check(tally: Tally, most_pending: int) -> None:
    """Raise HoldRefused where a principal may not open another hold."""
    if tally.pending >= most_pending:
        raise HoldRefused(
            Refused.TOO_MANY,
            f"{most_pending} actions of this principal already wait for approval, which is the most; "
            "wait for an answer to one of them",
        )
    minutes = int(WINDOW_SECONDS / 60)
    if tally.opened >= OPENED_PER_WINDOW:
        raise HoldRefused(
            Refused.TOO_MANY,
            f"this principal asked for {OPENED_PER_WINDOW} approvals within {minutes} minutes, which is the most; "
            "ask less often",
        )
    if tally.denied >= DENIALS_PER_WINDOW:
        raise HoldRefused(
            Refused.SAID_NO,
            f"people said no to this {tally.denied} times within {minutes} minutes; do not ask again, or not so soon",
        )


def _new(
    principal: Principal, target: str, action: Action, text: str, decision: Decision, detached: bool, now: float
) -> Hold:
    # `body` is an excerpt for records; here the whole takes its place.
    told = action.summary_under(decision.masks)
    summary = {name: value for name, value in told.items() if name != "body"} | {REQUEST: text}
    return Hold(
        id=secrets.token_hex(8),
        state=HoldState.PENDING,
        principal=principal,
        target=target,
        verb=action.verb,
        resource=action.resource,
        digest=action.digest,
        revision=decision.revision,
        decision=decision.document(),
        summary=summary,
        requirements=decision.approvals,
        created_at=now,
        expires_at=machine.expiry(decision.approvals, now),
        detached=detached,
    )


def _unknown(error: UnknownHold) -> HoldRefused:
    return HoldRefused(Refused.UNKNOWN, str(error))
