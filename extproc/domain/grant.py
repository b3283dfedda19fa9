"""The permission to send. Only the driver mints one, after the decision's record is in the journal."""

from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.decision import Decision


class Lane(StrEnum):
    """A direction of travel: REQUEST is client to upstream, RESPONSE is upstream to client."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """Names the decision that bytes go on under. Compared by identity: a copy is not a grant, and the driver
    refuses one that it did not mint for this session."""

    decision: Decision
    lanes: frozenset[Lane]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The end of an action that may not go on. `hold` is the hold's id where a hold led here.

    `kind` is one of the closed vocabulary below; a renderer turns it into what each client understands."""

    decision: Decision
    kind: "RefusalKind"
    hold: str | None = None
    retry_after_seconds: int | None = None


class RefusalKind(StrEnum):
    """Why nothing goes on. PENDING is the one that may be taken up again: the hold is still open. LIMITED:
    the principal has too much under way. UNSETTLED is no end, and in no record: people are to be asked, and the session
    first has to find out what their approval binds (`Action.settled`), and then to ask again."""

    BLOCKED = "blocked"
    PENDING = "pending"
    DENIED = "denied"
    EXPIRED = "expired"
    UNAVAILABLE = "unavailable"
    LIMITED = "limited"
    UNSETTLED = "unsettled"
