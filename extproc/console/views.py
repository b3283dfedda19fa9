"""How a hold is shown to the people who answer it: whole, and exactly. Text stays as it came (JSON escapes what is
not ASCII); who draws it on a screen makes it visible with `approvals.display`."""

from extproc.approvals import machine
from extproc.approvals.records import rfc3339
from extproc.domain.hold import Hold
from extproc.domain.json import JSON
from extproc.domain.principal import Principal


def may_see(hold: Hold, viewer: Principal) -> bool:
    """Whether a hold is any of the viewer's business: they are in a group that it asks. Its summary may show what
    other teams' agents do, so the approvers' audience alone is not enough."""
    return bool({r.group for r in hold.requirements} & set(viewer.groups))


def view(hold: Hold, viewer: Principal, known: str | None = None) -> dict[str, JSON]:
    """The hold with all it carries, and whether this viewer may vote. Times are RFC 3339. `summary` is never cut; its
    `request` is there while the hold is live, and not in lists. `known` as for `machine.objection`."""
    objection = machine.objection(hold, viewer, hold.created_at, known)
    return {
        "id": hold.id,
        "state": hold.state.value,
        "created_at": rfc3339(hold.created_at),
        "expires_at": rfc3339(hold.expires_at),
        "answered_202": hold.detached,
        "principal": hold.principal.document(),
        "target": hold.target,
        "verb": hold.verb,
        "resource": hold.resource,
        "summary": hold.summary,
        "digest": hold.digest,
        "revision": hold.revision,
        "reasons": hold.decision.get("reasons", []),
        "requirements": [
            {
                "policy": p.requirement.policy,
                "group": p.requirement.group,
                "quorum": p.requirement.quorum,
                "approvers": [{"issuer": a.issuer, "subject": a.subject} for a in p.approvers],
                "met": p.met,
            }
            for p in machine.progress(hold)
        ],
        "votes": [
            {
                "approver": {"issuer": v.approver.issuer, "subject": v.approver.subject},
                "approve": v.approve,
                "reason": v.reason,
                "at": rfc3339(v.at),
            }
            for v in hold.votes
        ],
        "you": {"may_vote": objection is None, "why_not": str(objection) if objection else None},
    }
