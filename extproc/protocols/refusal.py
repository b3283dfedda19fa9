"""What a refusal says in every protocol."""

from extproc.domain.decision import Decision, Effect, Mode, Reason
from extproc.domain.grant import RefusalKind

TITLE = {
    RefusalKind.BLOCKED: "Blocked by policy",
    RefusalKind.DENIED: "Denied by an approver",
    RefusalKind.EXPIRED: "Nobody approved in time",
    RefusalKind.PENDING: "Held for approval",
    RefusalKind.UNAVAILABLE: "No decision could be made, so nothing passes",
    RefusalKind.LIMITED: "Too much at one time",
    RefusalKind.UNSETTLED: "What an approval would bind is not known",
}
"""The first words of a refusal."""


def grounds(decision: Decision) -> list[Reason]:
    """The findings that a refusal or a hold stands on, the gravest first."""
    return [r for r in decision.reasons if r.mode is Mode.ENFORCE and r.effect is not Effect.ALLOW]
