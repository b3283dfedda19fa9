"""Records as spans. Pure: everything follows from the records, so a span that is sent again is the same span."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from extproc.audit import attributes as say
from extproc.audit.attributes import Attributes, part, rows
from extproc.audit.frame import Record
from extproc.audit.placement import Context, Place, nanoseconds, span_id

STAGES = ("policy", "hold", "upstream")
"""What an action's span may have as children, besides a late delivery."""
FINISHED_HOLDS = ("denied", "expired", "cancelled")
SHORTEST = 1000
"""Nanoseconds. Jaeger keeps microseconds, and puts a warning on a span that takes no time at all."""
LONGEST_STAGE_US = 7 * 86_400_000_000
"""Microseconds; a stage that claims more than a week is left out of the picture."""


class Kind(StrEnum):
    """OpenTelemetry's kinds of span that we use."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span, at `at` nanoseconds since the epoch."""

    name: str
    at: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """One span, ready for any exporter. Ids are lower-case hex, times are nanoseconds since the epoch. `error` is the
    status description of a span in error, None for one that is not. `remote` says whose the parent is."""

    trace_id: str
    id: str
    parent: str | None
    remote: bool
    name: str
    kind: Kind
    start: int
    end: int
    attributes: Attributes
    error: str | None = None
    link: Context | None = None
    events: Sequence[Event] = field(default_factory=tuple)


def is_final(record: Record) -> bool:
    """Whether a decision ends its action there and then: what was not granted has no delivery to wait for."""
    return verdict(record.body) != "granted"


def is_told(record: Record) -> bool:
    """Whether a record that is neither decision nor delivery has a span of its own. What a journal needs to be read,
    and the states of a hold that an action's span or another record tells, have none."""
    body = record.body
    if record.kind == "hold":
        return body.get("state") in FINISHED_HOLDS
    if record.kind == "session":
        return body.get("what") == "closed"
    return record.kind not in ("segment", "seal")


def verdict(body: dict[str, Any]) -> str:
    """What came of a decision: `granted`, `pending`, or why it was refused. A hold that people denied still has the
    effect hold, so the record's own word counts; where it has none, the effect says it."""
    outcome, effect = body.get("outcome"), part(body, "decision").get("effect")
    if isinstance(outcome, str) and outcome:
        return outcome
    return {"allow": "granted", "hold": "pending"}.get(str(effect), "blocked")


def action_spans(
    decision: Record, delivery: Record | None, waited: Sequence[Record], at: Place, unknown: bool = False
) -> list[Span]:
    """The span of one action and its stages as children. `waited` are the hold and vote records of its hold;
    `unknown` says that its delivery was never seen.

    A refused action is in error, so that it is red in Jaeger; so is one that broke off, or that upstream failed."""
    body = decision.body
    done = {} if delivery is None else delivery.body
    said, timings = part(body, "decision"), part(body, "timings_us")
    decided = nanoseconds(decision.at)
    stages = {name: us for name, us in timings.items() if _duration(us)}
    start = decided - 1000 * sum(stages.get(name, 0) for name in ("policy", "hold"))
    end = max(start + SHORTEST, decided if delivery is None else max(decided, nanoseconds(delivery.at)))
    votes = sorted((r for r in waited if r.kind == "vote"), key=lambda r: (r.at, r.stream, r.seq))
    states = [r for r in waited if r.kind == "hold"]
    attributes = {
        **say.who_and_where(body),
        **say.action(body),
        **say.delivery(done),
        **say.decision(body, _masked(done)),
        **approval(body, states, votes),
        **{f"holdpoint.stage.{name}_us": us for name, us in list(stages.items())[: say.MOST]},
        **_audit(decision),
    }
    if unknown:
        attributes["holdpoint.outcome"] = "unknown"
    elif delivery is None:
        attributes["holdpoint.outcome"] = say.clip(verdict(body))
    if at.link is not None or at.parent is not None:
        attributes["holdpoint.link.method"] = "traceparent"
        attributes["holdpoint.link.confidence"] = "own" if at.parent is not None else "claimed"
    error = _error(body, done, unknown)
    if error is not None:
        attributes["error.type"] = error.partition(":")[0]
    asked, target = part(body, "action"), part(body, "target")
    own = span_id(decision.hash)
    name = f"{say.clip(str(asked.get('verb', 'ACTION')))[:32]} {target.get('name', '?')}"
    top = Span(
        at.trace_id, own, at.parent.span_id if at.parent else None, at.parent is not None, name, Kind.SERVER,
        start, end, attributes, error, at.link,
    )  # fmt: skip

    def child(stage: str, kind: Kind, begin: int, finish: int, tags: Attributes, events: Sequence[Event] = ()) -> Span:
        return Span(
            at.trace_id, span_id(decision.hash, stage), own, False, f"holdpoint {stage}", kind, begin,
            max(finish, begin + SHORTEST), tags, events=events,
        )  # fmt: skip

    spans = [top]
    if "policy" in stages:
        tags = say.keep({"holdpoint.policy.revision": said.get("revision")})
        spans.append(child("policy", Kind.INTERNAL, start, start + 1000 * stages["policy"], tags))
    if "hold" in stages:
        events = [Event("vote", nanoseconds(r.at), vote(r.body)) for r in votes]
        begin = start + 1000 * stages.get("policy", 0)
        spans.append(child("hold", Kind.INTERNAL, begin, decided, approval(body, states, votes), events))
    if delivery is not None:
        tags = say.keep({"server.address": target.get("name"), "http.response.status_code": done.get("status")})
        spans.append(child("upstream", Kind.CLIENT, decided, end, tags))
    return spans


def late_delivery(delivery: Record, decision: Record, at: Place) -> Span:
    """A delivery that came after its action was told as `unknown`: a span beside the one that can't be taken back."""
    attributes = {
        **say.delivery(delivery.body),
        **_audit(delivery),
        "holdpoint.decision.id": say.clip(str(part(decision.body, "decision").get("id"))),
        "holdpoint.late": "true",
    }
    end = nanoseconds(delivery.at)
    return Span(
        at.trace_id, span_id(delivery.hash), span_id(decision.hash), False, "holdpoint late delivery", Kind.INTERNAL,
        min(nanoseconds(decision.at), end - SHORTEST), end, attributes,
    )  # fmt: skip


def event_span(record: Record, at: Place) -> Span:
    """Any other record as a span, without length unless it ends a session. Envoy's own refusals, and alarms, are in
    error."""
    body, moment = record.body, nanoseconds(record.at)
    own = say.checkpoint(body) if record.kind == "checkpoint" else say.flat(f"holdpoint.{record.kind}", body)
    attributes = {**own, **say.who_and_where(body), **_audit(record)}
    error, hold = None, body.get("hold")
    if record.kind in ("refusal", "alarm"):
        error = str(body.get("code", record.kind))
        attributes |= say.keep(
            {
                "http.request.method": body.get("method"),
                "server.address": body.get("authority"),
                "http.response.status_code": body.get("status"),
                "error.type": error,
                "holdpoint.decision.effect": "block" if record.kind == "refusal" else None,
                f"holdpoint.code.{error}": "true",
            }
        )
    elif record.kind == "vote":
        attributes |= vote(body)
    elif record.kind == "hold":
        attributes |= say.keep({"holdpoint.approval.id": hold, "holdpoint.approval.state": body.get("state")})
    server = record.kind in ("refusal", "alarm")
    return Span(
        at.trace_id, span_id(record.hash), None, False, f"holdpoint {record.kind}",
        Kind.SERVER if server else Kind.INTERNAL, _opened(record, moment), moment + SHORTEST, attributes, error,
        at.link,
    )  # fmt: skip


def approval(body: dict[str, Any], states: Sequence[Record], votes: Sequence[Record]) -> Attributes:
    """What people said: the hold's id, its state when the decision fell, and who approved."""
    hold = body.get("hold")
    if not hold:
        return {}
    states_by_verdict = {"granted": "approved", "pending": "pending", "denied": "denied", "expired": "expired"}
    state = states_by_verdict.get(verdict(body)) or next(
        (str(r.body.get("state")) for r in sorted(states, key=lambda r: r.at, reverse=True)), "refused"
    )
    people = [str(row.get("subject")) for row in rows(body.get("approvers"))] or [
        str(part(r.body, "approver").get("subject")) for r in votes if r.body.get("approve") is True
    ]
    names = tuple(dict.fromkeys(say.clip(person) for person in people))
    wanted = rows(part(body, "decision", "obligations").get("approval"))
    return say.keep(
        {
            "holdpoint.approval.id": hold,
            "holdpoint.approval.state": state,
            # One approver is the rule and is found by this tag; with a quorum each has a tag besides.
            "holdpoint.approval.approver": ", ".join(names),
            **{f"holdpoint.approval.approver.{name}": "true" for name in names},
            "holdpoint.approval.groups": tuple(say.clip(str(row.get("group"))) for row in wanted),
        }
    )


def vote(body: dict[str, Any]) -> Attributes:
    """One person's answer."""
    return say.keep(
        {
            "holdpoint.approval.id": body.get("hold"),
            "holdpoint.approval.approver": part(body, "approver").get("subject"),
            "holdpoint.approval.approve": "true" if body.get("approve") is True else "false",
            "holdpoint.approval.reason": body.get("reason"),
        }
    )


def _opened(record: Record, moment: int) -> int:
    """Where the span of a record begins: a session's end says when it began."""
    opened = record.body.get("opened") if record.kind == "session" else None
    try:
        return min(moment, nanoseconds(opened)) if isinstance(opened, str) else moment
    except ValueError:
        return moment


def _audit(record: Record) -> Attributes:
    return {
        "holdpoint.audit.stream": record.stream,
        "holdpoint.audit.seq": record.seq,
        "holdpoint.audit.hash": record.hash,
        "holdpoint.audit.prev_hash": record.prev,
    }


def _error(body: dict[str, Any], done: dict[str, Any], unknown: bool) -> str | None:
    why, said = verdict(body), part(body, "decision")
    if why not in ("granted", "pending"):
        codes = [str(r.get("code")) for r in rows(said.get("reasons")) if r.get("effect") == said.get("effect")]
        return say.clip(f"{why}: " + ", ".join(codes))
    if unknown:
        return "unknown: no record says how this action ended"
    outcome, status = done.get("outcome"), done.get("status")
    if isinstance(outcome, str) and outcome != "completed":
        return say.clip(outcome)
    if isinstance(status, int) and status >= 500:
        return f"{status}"
    sqlstate = done.get("sqlstate")
    if isinstance(sqlstate, str):
        return say.clip(sqlstate)
    return None


def _duration(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST_STAGE_US


def _masked(done: dict[str, Any]) -> dict[str, int]:
    """Values masked by kind, both lanes together."""
    total: dict[str, int] = {}
    for lane in part(done, "masked"):
        for kind, n in part(part(done, "masked"), lane).items():
            if isinstance(n, int) and not isinstance(n, bool):
                total[kind] = total.get(kind, 0) + n
    return total
