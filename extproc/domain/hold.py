"""A hold: an action that waits for people. Its state machine lives in `approvals`."""

from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.decision import Approval
from extproc.domain.json import Document
from extproc.domain.principal import Principal


class HoldState(StrEnum):
    """Pending ends in one of the others; only an approved hold becomes used, and only once."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer. `at` is the store's time, seconds since the epoch."""

    approver: Principal
    approve: bool
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Hold:
    """One held action. `summary` is rendered from the bytes that will go on, masked; times are the store's."""

    id: str
    state: HoldState
    principal: Principal
    target: str
    verb: str
    resource: str
    digest: str
    revision: str
    decision: Document
    summary: Document
    requirements: tuple[Approval, ...]
    created_at: float
    expires_at: float
    detached: bool
    votes: tuple[Vote, ...] = ()
