"""The contract between a protocol session and the driver: events in, commands out.

A session has no sockets, clocks, logging or awaits. Cutting its input at any byte must not change its output.
Past-tense names are events, imperative names are commands.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from extproc.domain.action import Action
from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.hold import Hold
from extproc.domain.json import JSON, Document


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a message on a lane. Names are lower case; order and duplicates are kept."""

    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HeadReceived:
    """A message starts. `end` is true when it has no body and no trailers."""

    lane: Lane
    head: Head
    end: bool


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes of a body. `end` marks the last of the lane."""

    lane: Lane
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class TrailersReceived:
    """Trailers end the lane's body."""

    lane: Lane
    head: Head


@dataclass(frozen=True, slots=True)
class Pending:
    """The decision waits for people, under this hold."""

    ask: int
    hold: Hold


@dataclass(frozen=True, slots=True)
class Decided:
    """The driver's answer to a Decide."""

    ask: int
    outcome: Grant | Refusal


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No input came for as long as `patience_seconds` allowed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lane, or with None the whole exchange, is gone."""

    why: str
    lane: Lane | None = None


class Cause(StrEnum):
    """Why the driver stops an exchange: too much at one time, an identity that does not count any more, a target that
    is no more, or nobody can tell."""

    LIMIT = "limit"
    IDENTITY = "identity"
    TARGET = "target"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The exchange may not go on. Where nothing has, the session answers in its protocol's words; else it aborts.
    `code` is for the trail, `message` for the client."""

    cause: Cause
    code: str
    message: str


Event = HeadReceived | Received | TrailersReceived | Pending | Decided | TimedOut | Lost | Stopped


@dataclass(frozen=True, slots=True)
class Decide:
    """Ask for a decision. `wait_seconds` is how long the asker can stay for people; after it the driver answers
    Refusal PENDING and leaves the hold open. `trace` is the trace that the action claims for itself, as records have
    it; None where it is its connection's, or the exchange's."""

    ask: int
    action: Action
    wait_seconds: float
    trace: Document | None = None


@dataclass(frozen=True, slots=True)
class SendHead:
    """Let a message's head go on, with these changes; both name headers in lower case."""

    lane: Lane
    under: Grant
    set: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Let bytes go on."""

    lane: Lane
    data: bytes
    under: Grant
    end: bool


@dataclass(frozen=True, slots=True)
class SendTrailers:
    """Let the lane's trailers go on, less those removed."""

    lane: Lane
    under: Grant
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the client ourselves; nothing of the lane's message goes on. `why` is a short code for the trail."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Abort:
    """End the exchange with an error; what has not gone on never does."""

    why: str


Command = Decide | SendHead | Send | SendTrailers | Answer | Abort


BITE = 1 << 20
"""Bytes of a body that are little work at once, where they mean themselves."""


class Session(Protocol):
    """One exchange. `handle` is total: any event in any state gives commands, never an exception for hostile input."""

    def handle(self, event: Event) -> list[Command]:
        """Take one event, give the commands it leads to, in order."""
        ...

    @property
    def patience_seconds(self) -> float | None:
        """How long the next input may take before TimedOut; None while the other side owes us nothing."""
        ...

    @property
    def held_bytes(self) -> int:
        """How much input is held back, so how much work the next step may be; the driver moves large steps off its
        event loop."""
        ...

    @property
    def bite_bytes(self) -> int:
        """How much of a body it takes at once, at most: what a few coded bytes mean is in memory until it went on, and
        few bytes of some kinds are much work."""
        ...

    @property
    def completed(self) -> bool:
        """True once everything that the session was to vouch for has gone on."""
        ...

    def delivery(self) -> dict[str, JSON]:
        """What went on so far, for the delivery record: status, bytes by lane, values masked by kind."""
        ...
