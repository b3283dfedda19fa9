"""Journal bodies about holds, and times as records write them."""

from datetime import UTC, datetime

from extproc.approvals.codec import requirement_documents
from extproc.domain.hold import Hold
from extproc.domain.json import JSON


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 text in UTC, with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def hold_record(hold: Hold, at: float) -> dict[str, JSON]:
    """The body of a `hold` record: the hold has reached `hold.state` at `at` (seconds since the epoch)."""
    return {
        "at": rfc3339(at),
        "principal": hold.principal.document(),
        "target": {"name": hold.target},
        "hold": hold.id,
        "state": hold.state.value,
        "digest": hold.digest,
        "revision": hold.revision,
        "requirements": requirement_documents(hold),
        "expires_at": rfc3339(hold.expires_at),
    }


def vote_record(after: Hold) -> dict[str, JSON]:
    """The body of a `vote` record, for the last vote of `after`; `state` is what the hold becomes by it."""
    vote = after.votes[-1]
    return {
        "at": rfc3339(vote.at),
        "principal": after.principal.document(),
        "target": {"name": after.target},
        "hold": after.id,
        "digest": after.digest,
        "approver": vote.approver.document(),
        "approve": vote.approve,
        "reason": vote.reason,
        "state": after.state.value,
    }
