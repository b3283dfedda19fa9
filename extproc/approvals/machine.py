"""The life of a hold, as a pure state machine. No clock: `now` is the store's time, seconds since the epoch.

A hold is an action that may go on once, if the right people say so in time. Its states:

                     quorum of every requirement
        PENDING ────────────────────────────────▶ APPROVED ──── claimed ────▶ USED
           │                                          │
           ├── one eligible person denies ──▶ DENIED  │
           ├── expires_at passes ───────────▶ EXPIRED ◀──┤
           └── the last asker leaves,                    │
               approvals or masks change,                │
               or the asker is frozen ──────▶ CANCELLED ◀┘

PENDING and APPROVED are *live*; the other four are final, and nothing leads out of them. APPROVED is not yet
permission: only the step to USED is, and the store takes it for one claimant. An approval that nobody is left to use,
or that is too old, ends like a question that nobody is left to ask. So each hold lets at most one action go on, and
what is not in the table below can't happen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from extproc.approvals import people
from extproc.domain.decision import Approval, Decision
from extproc.domain.display import is_plain
from extproc.domain.hold import Hold, HoldState, Vote
from extproc.domain.json import JSON, Document
from extproc.domain.principal import Principal

REASON_LENGTH = 500
# The member of a hold's summary that has the whole text people read. Only live holds have it: it may be large, and
# ended holds are kept for days.
REQUEST = "request"

S = HoldState
TRANSITIONS: dict[HoldState, frozenset[HoldState]] = {
    S.PENDING: frozenset({S.APPROVED, S.DENIED, S.EXPIRED, S.CANCELLED}),
    S.APPROVED: frozenset({S.USED, S.EXPIRED, S.CANCELLED}),
    S.DENIED: frozenset(),
    S.EXPIRED: frozenset(),
    S.CANCELLED: frozenset(),
    S.USED: frozenset(),
}
LIVE = frozenset(state for state, ways in TRANSITIONS.items() if ways)


class Refused(StrEnum):
    """Why the machine did not do as asked. A closed vocabulary: problem types and exit messages build on it."""

    UNKNOWN = "unknown-hold"
    NOT_PENDING = "not-pending"
    NOT_APPROVED = "not-approved"
    NOT_A_PERSON = "not-a-person"
    OWN_HOLD = "own-hold"
    NOT_IN_GROUP = "not-in-group"
    ALREADY_VOTED = "already-voted"
    BAD_REASON = "bad-reason"
    NOT_YOURS = "not-yours"
    TOO_MANY = "too-many-holds"
    SAID_NO = "denied-too-often"
    NO_REQUIREMENTS = "no-requirements"


class HoldRefused(Exception):
    """A rule of holds forbids it. `code` is for programs; the message is for people and quotes no payload."""

    def __init__(self, code: Refused, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one requirement has come. `approvers` are the people counted for its group, never for two groups."""

    requirement: Approval
    approvers: tuple[Principal, ...]

    @property
    def met(self) -> bool:
        """Whether enough distinct people of the group approved."""
        return len(self.approvers) >= self.requirement.quorum


def expiry(requirements: Sequence[Approval], now: float) -> float:
    """When a hold opened now expires: with the first of its requirements. Raises HoldRefused when there are none,
    for a hold that asks nobody would be approved by nobody."""
    if not requirements:
        raise HoldRefused(Refused.NO_REQUIREMENTS, "a hold needs at least one approval requirement")
    return now + min(r.expires_in_seconds for r in requirements)


def at(hold: Hold, now: float) -> Hold:
    """The hold as it stands at `now`: a live one past its time is expired, whether or not anyone wrote that down."""
    return _to(hold, S.EXPIRED) if hold.state in LIVE and now >= hold.expires_at else hold


def progress(hold: Hold) -> tuple[Progress, ...]:
    """Each requirement in order, with those who count for it."""
    counted = people.assign(hold.requirements, [v.approver for v in hold.votes if v.approve])
    return tuple(Progress(r, counted[r.group]) for r in hold.requirements)


def objection(hold: Hold, approver: Principal, now: float, known: str | None = None) -> HoldRefused | None:
    """Why this person can't vote on this hold now, or None when they can. `known` is why they may not answer for its
    asker, where somebody else knows a reason."""
    if fault := people.unfit(hold.principal, approver) or known:
        return HoldRefused(Refused.NOT_A_PERSON if approver.kind != "human" else Refused.OWN_HOLD, fault)
    groups = sorted({r.group for r in hold.requirements})
    if not set(groups) & set(approver.groups):
        yours = ", ".join(sorted(approver.groups)) or "none"
        return HoldRefused(Refused.NOT_IN_GROUP, f"this hold is for members of: {', '.join(groups)}; yours: {yours}")
    if any(people.same(v.approver, approver) for v in hold.votes):
        return HoldRefused(Refused.ALREADY_VOTED, "you have voted on this hold; each person has one vote")
    state = at(hold, now).state
    if state is not S.PENDING:
        return HoldRefused(Refused.NOT_PENDING, f"the hold is {state.value}; only a pending one takes votes")
    return None


def vote(hold: Hold, approver: Principal, approve: bool, reason: str, now: float, known: str | None = None) -> Hold:
    """Take one person's answer; `known` as for `objection`. Raises HoldRefused; the hold is then as it was."""
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_LENGTH or not is_plain(reason):
        wanted = f"a reason of 1 to {REASON_LENGTH} visible characters, on one line"
        raise HoldRefused(Refused.BAD_REASON, f"a vote needs {wanted}")
    if refusal := objection(hold, approver, now, known):
        raise refusal
    voted = replace(hold, votes=(*hold.votes, Vote(approver, approve, reason, now)))
    if not approve:
        return _to(voted, S.DENIED)
    return _to(voted, S.APPROVED) if all(p.met for p in progress(voted)) else voted


def fits(hold: Hold, decision: Decision) -> bool:
    """Whether the hold asks what this decision would ask: the same approvals, and the same masks over what goes on,
    for people approve the text that these make of the request. Order does not matter."""
    return frozenset(hold.requirements) == frozenset(decision.approvals) and _request_masks(
        hold.decision
    ) == _request_masks(decision.document())


def claim(hold: Hold, principal: Principal, digest: str, now: float) -> Hold:
    """Use an approval. Raises HoldRefused unless it is approved, in time, and for exactly this asker and action."""
    if not people.same_asker(hold.principal, principal) or hold.digest != digest:
        raise HoldRefused(Refused.NOT_YOURS, "the approval is for another asker or another action")
    state = at(hold, now).state
    if state is not S.APPROVED:
        raise HoldRefused(Refused.NOT_APPROVED, f"the hold is {state.value}; only an approved one can be used")
    return _to(hold, S.USED)


def detach(hold: Hold, now: float) -> Hold:
    """The asker was told to come back: its leaving no longer cancels. A final hold stays as it is."""
    current = at(hold, now)
    return replace(current, detached=True) if current.state in LIVE else current


def cancel(hold: Hold, now: float) -> Hold:
    """Nobody waits for it any more. Final holds, and those whose asker was told to come back, stay as they are."""
    current = at(hold, now)
    return current if current.state not in LIVE or current.detached else _to(current, S.CANCELLED)


def withdraw(hold: Hold, now: float) -> Hold:
    """The hold ends whoever waits, told to come back or not: the same action now needs other approvals or masks, or its
    asker was frozen."""
    current = at(hold, now)
    return _to(current, S.CANCELLED) if current.state in LIVE else current


def approvals(hold: Hold) -> list[dict[str, JSON]]:
    """What policy input carries under `approvals`: the requirements that people met, empty unless approved."""
    if hold.state not in (S.APPROVED, S.USED):
        return []
    return [
        {
            "policy": p.requirement.policy,
            "group": p.requirement.group,
            "approvers": [{"issuer": a.issuer, "subject": a.subject} for a in p.approvers],
        }
        for p in progress(hold)
        if p.met
    ]


def _request_masks(document: Document) -> set[str]:
    obligations: Any = document["obligations"]
    return {json.dumps(mask, sort_keys=True) for mask in obligations["mask"] if "request" in mask["lanes"]}


def _to(hold: Hold, state: HoldState) -> Hold:
    if state not in TRANSITIONS[hold.state]:
        # Not a refusal but a fault of ours: every caller above has looked at the state first.
        raise RuntimeError(f"hold {hold.id}: no way from {hold.state.value} to {state.value}")
    summary = hold.summary
    if state not in LIVE:
        summary = {name: value for name, value in summary.items() if name != REQUEST}
    return replace(hold, state=state, summary=summary)
