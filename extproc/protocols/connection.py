"""What a session of a whole connection adds to the contract of `protocols.session`.

An HTTP exchange asks once. A connection (PostgreSQL, a shell, a WebSocket) asks again and again, each time with a
Grant of its own, and the gateway itself connects, logs in and counts what was done under which Grant.
"""

from dataclasses import dataclass, field
from typing import Protocol

from extproc.domain.grant import Grant, Lane
from extproc.domain.json import JSON, Document
from extproc.protocols.session import Abort, Decide, Decided, Lost, Pending, Received, Send, Stopped


@dataclass(frozen=True, slots=True)
class Connected:
    """The upstream let us in. `told` is what its login said: a type of the protocol's own."""

    told: object


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """The upstream can't be had. `message` is for the client, `code` for the trail."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The client wants what it waits for to end."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is done under a Grant takes longer than its Deadline said, and is not concluded."""

    under: Grant


@dataclass(frozen=True, slots=True)
class Learned:
    """The answer to a Learn; None where it can't be known."""

    question: object
    answer: object | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answer to a Draw: whether it may be given; None where nobody can tell, so that it may not."""

    under: Grant
    enough: bool | None


Event = (
    Received | Decided | Pending | CancelAsked | Connected | ConnectFailed | Learned | Overdue | Drawn | Lost | Stopped
)


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect to the target and log in, under this Grant. Answered by Connected or ConnectFailed."""

    under: Grant


@dataclass(frozen=True, slots=True)
class Tell:
    """Words of the gateway's own for the client: none of them is the upstream's."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Words of the gateway's own for the upstream: none of them is the client's. Only under a Grant is there one."""

    data: bytes
    under: Grant


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take a Decide back: whoever asked waits for it no longer, and it is never answered."""

    ask: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the upstream to end what it does now."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Say so (Overdue) when what is done under a Grant is not concluded after so many seconds."""

    under: Grant
    seconds: float


@dataclass(frozen=True, slots=True)
class Draw:
    """Count so many rows and bytes, which are about to be given under a Grant, against its hourly limits. Answered by
    Drawn."""

    under: Grant
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Learn:
    """Find something out that the session needs to go on. Answered by Learned."""

    question: object


@dataclass(frozen=True, slots=True)
class Conclude:
    """All that was to be done under a Grant is done, or never will be: write what became of it."""

    under: Grant
    outcome: str
    facts: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Write that something was refused before there was an action to decide: what was asked (`summary` is masked, as
    an action's), and a code and words for the trail that quote no payload. `trace` is as a Decide has it."""

    verb: str
    resource: str
    code: str
    title: str
    summary: Document = field(default_factory=dict)
    trace: Document | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The connection has ended as its protocol says; what was sent still arrives."""


Said = Send | Tell | Ask
Command = Decide | Withdraw | Connect | Said | Cancel | Deadline | Draw | Learn | Conclude | Refuse | Close | Abort


class Connection(Protocol):
    """One connection. `handle` is total, as a session's."""

    def handle(self, event: Event) -> list[Command]:
        """Take one event, give the commands it leads to, in order."""
        ...

    def credit(self, lane: Lane) -> bool:
        """Whether more of a lane is wanted now; while not, nobody reads from it."""
        ...

    def heavy(self, lane: Lane) -> bool:
        """Whether a step over more than a few KiB of this lane is more work than an event loop should do."""
        ...

    @property
    def load(self) -> int:
        """Bytes that a step may have to work on beside those of its event: messages that are not whole, that wait for
        their turn, or that are remembered."""
        ...
