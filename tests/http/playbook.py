"""A session's test as a transcript: events in, commands out."""

from dataclasses import dataclass, field
from itertools import pairwise

from extproc.domain.decision import Decision, Effect, Mode, Reason, Severity
from extproc.domain.grant import Grant, Lane, Refusal, RefusalKind
from extproc.domain.mask import Mask, Operator
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Inspect, Protocol, Target
from extproc.masking.shipped import knowledge
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Answer, Command, Decide, Decided, Event, Head, HeadReceived, Received, Send

KEY = b"k" * 32
ALICE = Principal("https://issuer.test", "agent-alice", Kind.AGENT, ("support",))
ALL_MASKS = (Mask("http.pii", ("*",), (), Operator.REDACT),)


def target(inspect: Inspect = Inspect.FULL, limit: int = 1024) -> Target:
    """A target of the tests."""
    return Target("crm", Protocol.HTTP, "production", inspect, limit, 30.0)


def head(method: str = "GET", path: str = "/customers/7", *extra: tuple[str, str]) -> Head:
    """A request's head."""
    return Head(((":method", method), (":path", path), (":authority", "crm.test"), (":scheme", "http"), *extra))


def response_head(status: int = 200, *extra: tuple[str, str]) -> Head:
    """A response's head."""
    return Head(((":status", str(status)), *extra))


def decision(effect: Effect = Effect.ALLOW, masks: tuple[Mask, ...] = ()) -> Decision:
    """A decision with one reason."""
    reason = Reason("http.test", "tested", "A test says so", Severity.HIGH, Mode.ENFORCE, effect)
    return Decision("d1", effect, "r1", (reason,), masks)


def grant(masks: tuple[Mask, ...] = ()) -> Grant:
    """A grant for both lanes."""
    return Grant(decision(masks=masks), frozenset(Lane))


def refusal(kind: RefusalKind, hold: str | None = None) -> Refusal:
    """A refusal of that kind."""
    return Refusal(decision(Effect.BLOCK), kind, hold)


@dataclass
class Play:
    """Feeds events and keeps what came of them."""

    session: HttpSession
    commands: list[Command] = field(default_factory=list)

    def feed(self, *events: Event) -> list[Command]:
        """Feed events; returns the commands of these."""
        new = [c for event in events for c in self.session.handle(event)]
        self.commands += new
        return new

    def decided(self, outcome: Grant | Refusal) -> list[Command]:
        """Answer the session's question."""
        return self.feed(Decided(1, outcome))

    @property
    def asked(self) -> Decide:
        """The one question that the session asked."""
        (found,) = [c for c in self.commands if isinstance(c, Decide)]
        return found

    @property
    def answer(self) -> Answer:
        """The session's own answer, which must be the last thing it did."""
        last = self.commands[-1]
        if not isinstance(last, Answer):
            raise AssertionError(f"no answer but {last}")
        return last

    def sent(self, lane: Lane) -> bytes:
        """All body bytes that went on, on a lane."""
        return b"".join(c.data for c in self.commands if isinstance(c, Send) and c.lane is lane)


def play(inspect: Inspect = Inspect.FULL, limit: int = 1024, prefix: str = "") -> Play:
    """A new session."""
    return Play(HttpSession(target(inspect, limit), ALICE, prefix, KEY, knowledge()))


def body(lane: Lane, data: bytes, cuts: tuple[int, ...] = ()) -> list[Event]:
    """A whole body as events, cut at these places."""
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    return [Received(lane, piece, i == len(pieces) - 1) for i, piece in enumerate(pieces)]


def request(h: Head, data: bytes | None = None) -> list[Event]:
    """A whole request as events."""
    if data is None:
        return [HeadReceived(Lane.REQUEST, h, True)]
    return [HeadReceived(Lane.REQUEST, h, False), *body(Lane.REQUEST, data)]
