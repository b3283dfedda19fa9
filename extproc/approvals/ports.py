"""What holds ask of the outside: a store that orders changes, and someone who knows people by their tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from extproc.domain.hold import Hold, HoldState
from extproc.domain.principal import Principal


class HoldsUnavailable(Exception):
    """The store can't be read or written (full, locked, corrupt, of another version). Nothing may be released.
    The message is for the operator: what, where, and what would be right."""


class UnknownHold(KeyError):
    """The store has no hold of this id."""

    def __str__(self) -> str:
        return f"no hold has the id {self.args[0]}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A hold inside a transaction. `askers` counts the requests that wait on it, in all processes."""

    hold: Hold
    askers: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and by whom: all that says which holds are about the same thing."""

    asker: Principal
    target: str
    verb: str
    resource: str
    digest: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the issuer and subject of an asker have in the store, whomever they act for: holds that wait; holds opened
    within the window; denials within it of the same target, verb and resource, whatever else differed."""

    pending: int
    opened: int
    denied: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list of holds, without the text of requests (`summary["request"]`), and how many come after it."""

    holds: tuple[Hold, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Admission:
    """What an asker is given: `standing` is written (as new, if the store lacks its id) and its hold returned;
    `ended` are others that end in the same transaction."""

    standing: Standing
    ended: tuple[Hold, ...] = ()


# Both are called inside one write transaction, in the store's thread, with its time. What they raise undoes it.
Change = Callable[[Standing, float], Standing]
AdmissionRule = Callable[[Sequence[Standing], Tally, float], Admission]


class HoldStore(Protocol):
    """Holds, one order of changes for every process that opened the store. Times are the store's own, in seconds
    since the epoch. Every method raises HoldsUnavailable."""

    async def admit(self, question: Question, window_seconds: float, keep: int, rule: AdmissionRule) -> Hold:
        """Give `rule` the live and denied holds of this asker (issuer, subject, acts_for), target and digest,
        newest first, and the tally of its issuer and subject over the last `window_seconds`; write what it answers.
        With a new hold, the principal's ended ones are forgotten but for the newest `keep`, and those that a later
        question must still meet: of this window, standing denials, expiries that no witness has had."""
        ...

    async def change(self, hold_id: str, change: Change) -> Hold:
        """Replace a hold by what `change` makes of it. Raises UnknownHold."""
        ...

    async def get(self, hold_id: str) -> Hold:
        """The hold as it stands now. Raises UnknownHold."""
        ...

    async def find(self, state: HoldState | None, groups: frozenset[str] | None, after: str | None, limit: int) -> Page:
        """Holds as they stand now: pending ones oldest first, others newest first; None for every state. With
        `groups`, only those that ask one of them. `after` is the hold that ended the page before.
        Raises UnknownHold for an `after` that is gone."""
        ...

    async def expire_due(self, keep_seconds: float, witness: Callable[[Sequence[Hold]], None]) -> tuple[Hold, ...]:
        """Write down every expiry that has come, and give those that no call has given before, to `witness` first:
        inside the transaction, which what it raises undoes. Forgets final holds that ended more than `keep_seconds`
        ago: the journal is the lasting record."""
        ...

    async def cancel_of(
        self, whose: Callable[[Principal], bool], witness: Callable[[Sequence[Hold]], None]
    ) -> tuple[Hold, ...]:
        """Withdraw every live hold whose asker `whose` picks; `witness` is called as by `expire_due`."""
        ...

    async def wait(self, hold_id: str, timeout: float) -> Hold:
        """Return when the hold is not pending any more, or after `timeout` seconds with it still pending.
        Raises UnknownHold."""
        ...


class Verifier(Protocol):
    """Knows approvers by their tokens."""

    async def verify(self, token: str) -> Principal:
        """The person that a token proves. Raises domain.identity.IdentityRefused."""
        ...
