"""What was sent to the server and is not answered yet.

The server answers in order, so each of its messages belongs to the oldest that was sent and not answered. When one of
an extended query fails, the server skips whatever follows until a Sync (PostgreSQL, "Message Flow", Extended Query),
and so does what is remembered here: with it goes what the skipped messages would have changed.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Generic, TypeVar

from extproc.protocols.postgres.work import Portal, Prepared, Work

T = TypeVar("T")
Undo = Callable[[], None]


class Step(Enum):
    """Which message it was. QUERY and SYNC end with a ReadyForQuery, and an error stops at neither. LOOK is a question
    of the gateway's own in the midst of a pipeline, TYPES a Describe of its own."""

    QUERY = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()
    SYNC = auto()
    LOOK = auto()
    TYPES = auto()


_WHOLE = (Step.QUERY, Step.SYNC)


@dataclass(slots=True)
class Sent:
    """One message on its way. `work` is what it is done for, None for what the connection's own Grant covers.
    `instead` is what the client gets in place of the error that the server was made to raise. A `silent` one is the
    gateway's own: the client hears nothing of its answer. `undo` takes back what was assumed of it. `portal` is what a
    Describe asks about, or an Execute runs; `prepared` what a Describe asks about. With a `final` one its work is
    done. `then` is what follows the ReadyForQuery that answers it, where what was asked did not fail: then the
    client does not hear of it."""

    step: Step
    work: Work | None = None
    instead: bytes | None = None
    silent: bool = False
    undo: Undo | None = None
    portal: Portal | None = None
    prepared: Prepared | None = None
    final: bool = False
    then: Callable[[], None] | None = None


class Pipeline:
    """The messages that wait for answers, the oldest first."""

    def __init__(self) -> None:
        self._sent: deque[Sent] = deque()
        self.skipping = False
        """Whether the server skips what comes, because no Sync follows the failed message yet."""
        self.flushed = True
        """Whether the server was asked for all answers so far."""
        self.between = True
        """Whether the server has nothing more to say, and a statement that comes now is the first of its kind: no
        transaction is open but one that a BEGIN opened."""

    def __bool__(self) -> bool:
        return bool(self._sent)

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def first(self) -> Sent | None:
        """The one that the server answers now."""
        return self._sent[0] if self._sent else None

    @property
    def follows(self) -> Step | None:
        """What the second one is."""
        return self._sent[1].step if len(self._sent) > 1 else None

    @property
    def closed(self) -> bool:
        """Whether what is on its way ends with what the server answers as a whole, and then is ready."""
        return bool(self._sent) and self._sent[-1].step in _WHOLE

    def push(self, sent: Sent) -> None:
        """One more is on its way."""
        self._sent.append(sent)
        self.between = False
        if sent.work is not None:
            sent.work.sent += 1
        self.flushed = sent.step in _WHOLE
        if sent.step is Step.SYNC:
            self.skipping = False

    def done(self) -> Sent:
        """The first one is answered."""
        sent = self._next()
        self.between = not self._sent and sent.step in _WHOLE
        return sent

    def fail(self) -> list[Sent]:
        """The first one failed: it, and those that the server skips for it. A Query stays, for its ReadyForQuery is
        still to come."""
        failed: list[Sent] = []
        if self._sent and self._sent[0].step is Step.QUERY:
            return failed
        while self._sent and self._sent[0].step is not Step.SYNC:
            failed.append(self._next())
        self.skipping = self.skipping or not self._sent
        for sent in reversed(failed):
            if sent.undo is not None:
                sent.undo()
        return failed

    def _next(self) -> Sent:
        sent = self._sent.popleft()
        if sent.work is not None:
            sent.work.sent -= 1
        return sent


class Names(Generic[T]):
    """Prepared statements or portals by name. What is assumed when a message is sent is taken back when it fails.
    `weight` is that of all of them together, as `weigh` says of each."""

    def __init__(self, weigh: Callable[[T], int] = lambda _: 0) -> None:
        self._weigh = weigh
        self._known: dict[str, T] = {}
        self.weight = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str) -> T | None:
        """What the name stands for, as far as the server follows."""
        return self._known.get(name)

    def put(self, name: str, value: T) -> Undo:
        """The name stands for this now. Gives what takes that back."""
        return self._change(name, value)

    def drop(self, name: str) -> Undo:
        """The name stands for nothing now. Gives what takes that back."""
        return self._change(name, None)

    def clear(self) -> None:
        """No name stands for anything."""
        self._known.clear()
        self.weight = 0

    def _change(self, name: str, value: T | None) -> Undo:
        before = self._known.get(name)
        self._set(name, value)
        return partial(self._set, name, before)

    def _set(self, name: str, value: T | None) -> None:
        before = self._known.pop(name, None)
        if before is not None:
            self.weight -= self._weigh(before)
        if value is not None:
            self._known[name] = value
            self.weight += self._weigh(value)
