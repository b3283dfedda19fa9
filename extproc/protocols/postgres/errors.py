"""What the gateway itself says to a client: refusals, faults and notices, as a server says such things.

SQLSTATEs are those of PostgreSQL's Appendix A, so that clients do with them what they always do: 42501 is an error of
the statement and no reason to reconnect, 57014 is what a cancelled statement ends with, 08P01 ends the connection.
"""

from collections.abc import Callable
from dataclasses import dataclass

from extproc.domain.decision import MalformedDecision, parse
from extproc.domain.grant import Refusal, RefusalKind
from extproc.domain.hold import Hold
from extproc.protocols.postgres.sql import Unparsable
from extproc.protocols.postgres.sql.facts import TOO_COMPLEX
from extproc.protocols.postgres.wire.backend import ErrorResponse, NoticeResponse
from extproc.protocols.refusal import TITLE, grounds

INSUFFICIENT_PRIVILEGE = "42501"
CANCELLED = "57014"
PROTOCOL_VIOLATION = "08P01"
NO_STATEMENT = "26000"
NO_PORTAL = "34000"
SYNTAX_ERROR = "42601"
NOT_SUPPORTED = "0A000"
OPERATOR_INTERVENTION = "57000"
TOO_LARGE = "54000"
ADMIN_SHUTDOWN = "57P01"
LIMIT_EXCEEDED = "53400"

_STATES = {RefusalKind.UNAVAILABLE: OPERATOR_INTERVENTION, RefusalKind.LIMITED: LIMIT_EXCEEDED}
_NEXT = {
    RefusalKind.BLOCKED: "Running it again will not help; do something else, or ask the owner of the policy.",
    RefusalKind.DENIED: "A person said no; running it again will not help.",
    RefusalKind.EXPIRED: "Run it again to ask anew.",
    RefusalKind.PENDING: "Run exactly the same statement again later: once it is approved it goes through, once.",
    RefusalKind.UNAVAILABLE: "This is a fault of the gateway, not of the statement; try again later.",
    RefusalKind.LIMITED: "Try again when others of yours have ended.",
    RefusalKind.UNSETTLED: "This is a fault of the gateway; try again later.",
}
_WHERE = "holdpoint"
_SIMPLER = "Make the statement simpler, or send it in parts."


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the gateway ends a statement that runs. Unless it says otherwise, it went further than policy lets it."""

    why: str
    state: str = LIMIT_EXCEEDED
    hint: str = "Ask for less at one time."


def error(state: str, message: str, detail: str = "", hint: str = "", position: int | None = None) -> bytes:
    """An ErrorResponse of the gateway's own. `position` counts characters of the statement, from 1."""
    where = (("P", str(position)),) if position is not None else ()
    return ErrorResponse((*_fields("ERROR", state, message, detail, hint), *where)).encode()


def unparsable(why: Unparsable, hint: str) -> bytes:
    """The ErrorResponse for a text that the parser refuses; `hint` is given where it has none of its own."""
    position = None if why.position is None else why.position + 1
    own = why.hint or (_SIMPLER if why.state == TOO_COMPLEX else hint)
    return error(why.state or SYNTAX_ERROR, why.message, why.detail, own, position)


def fatal(state: str, message: str, detail: str = "", hint: str = "") -> bytes:
    """The ErrorResponse that a connection ends with."""
    return ErrorResponse(_fields("FATAL", state, message, detail, hint)).encode()


def refused(refusal: Refusal, say: Callable[[str, str, str, str], bytes] = error) -> bytes:
    """The ErrorResponse for a refused action: why, by which policy, and what would help. Never payload. `say` is
    `fatal` where the connection ends with it."""
    found = grounds(refusal.decision)
    why = " ".join(reason.message.rstrip(".") + "." for reason in found)
    by = ", ".join(f"{reason.policy} ({reason.code})" for reason in found)
    detail = f"Policy {by}; decision {refusal.decision.id}" if by else f"Decision {refusal.decision.id}"
    detail += f", hold {refusal.hold}." if refusal.hold is not None else "."
    state = _STATES.get(refusal.kind, INSUFFICIENT_PRIVILEGE)
    return say(state, f"{TITLE[refusal.kind]}: {why}".rstrip(": "), detail, _NEXT[refusal.kind])


def stopped(stop: Stop, decision: str, say: Callable[[str, str, str, str], bytes] = error) -> bytes:
    """The ErrorResponse for a statement that the gateway ended."""
    return say(stop.state, stop.why, f"Decision {decision}.", stop.hint)


def held(hold: Hold, wait_seconds: float, until: str, in_transaction: bool) -> bytes:
    """The NoticeResponse for an action that waits for people: what, why, who may approve and until when (RFC 3339)."""
    try:
        why = " ".join(r.message.rstrip(".") + "." for r in grounds(parse(hold.id, dict(hold.decision))))
    except MalformedDecision:
        why = ""
    needs = (f"{n.quorum} of {n.group}" if n.quorum > 1 else f"somebody of {n.group}" for n in hold.requirements)
    # Several policies often want the same people.
    wanted = ", ".join(dict.fromkeys(needs))
    detail = f"{why} Waiting for {wanted}, until {until}. Hold {hold.id}.".strip()
    hint = f"This statement waits up to {wait_seconds:g} s; cancel it to give up."
    if in_transaction:
        hint += " It is inside a transaction, which keeps its locks for as long."
    return NoticeResponse(_fields("NOTICE", "01000", TITLE[RefusalKind.PENDING], detail, hint)).encode()


def _fields(severity: str, state: str, message: str, detail: str, hint: str) -> tuple[tuple[str, str], ...]:
    fields = [("S", severity), ("V", severity), ("C", state), ("M", _sayable(message))]
    fields += [(code, _sayable(text)) for code, text in (("D", detail), ("H", hint)) if text]
    # What raised it, in the fields that servers use for their own source: tells ours from the server's in any log.
    return (*fields, ("R", _WHERE))


def _sayable(text: str) -> str:
    """Text that a message can carry: policies, and parsers, may quote anything."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
