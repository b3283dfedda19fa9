"""Turns of principals: while others ask too, a worker decides for each of them one exchange at a time.

What many connections of one principal send at once would otherwise be served in the order in which it came, before
what others sent after it. Where more of its exchanges wait, a turn rests for as long as it lasted: the processors are
the others' for half of the time.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

ACTIVE_SECONDS = 0.1
"""Seconds. A principal is active for this long after the start of its latest exchange."""

LONGEST_REST = 1.0
"""Seconds."""

SHARED_BYTES = 64 * 1024
"""A larger step of work takes the principal's slot: it is some milliseconds of a processor."""


class Slots(Protocol):
    """Slots that all workers of a gateway share."""

    async def take(self, principal: str) -> Callable[[], None]:
        """Wait for the principal's slot; what it returns is called, once, to give it back. Raises OSError."""
        ...


class Turns:
    """Belongs to one event loop."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        # When each principal last asked, by the loop's clock; the latest last.
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def turn(self, principal: str) -> "Turn":
        """A turn for one exchange of the principal with this key; it is not taken yet."""
        return Turn(self, principal)

    async def take(self, principal: str, waits: Callable[[], Awaitable[None]]) -> float:
        """Wait for a turn; gives when it began, by the loop's clock. `waits` is called where there is a wait.
        Cancelled, or where `waits` raises, the caller has none."""
        loop = asyncio.get_running_loop()
        self._asked[principal] = loop.time()
        self._asked.move_to_end(principal)
        if not self._others_ask(loop) or not self._taken.get(principal):
            self._taken[principal] = self._taken.get(principal, 0) + 1
            return loop.time()
        granted: asyncio.Future[None] = loop.create_future()
        # In line before anything is awaited: the turn may be given back meanwhile.
        waiting = self._waiting.setdefault(principal, deque())
        waiting.append(granted)
        try:
            await waits()
            await granted
        except BaseException:
            if granted.done() and not granted.cancelled():
                self._pass_on(principal)
            elif granted in waiting:
                waiting.remove(granted)
            raise
        return loop.time()

    def give_back(self, principal: str, began: float) -> None:
        """End a turn that began then."""
        loop = asyncio.get_running_loop()
        if self._waiting.get(principal) and self._others_ask(loop):
            loop.call_later(min(loop.time() - began, LONGEST_REST), self._pass_on, principal)
        else:
            self._pass_on(principal)

    @contextlib.asynccontextmanager
    async def heavy(self, principal: str, work: int) -> AsyncIterator[None]:
        """A step of so many bytes of work: where others ask, a principal has one that is large at a time over all
        workers, an evaluation of policy included. Raises OSError."""
        if work <= SHARED_BYTES or not self._others_ask(asyncio.get_running_loop()):
            yield
            return
        give_back = await self._slots.take(principal)
        try:
            yield
        finally:
            give_back()

    def _others_ask(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether more than one principal asks."""
        since = loop.time() - ACTIVE_SECONDS
        while self._asked and next(iter(self._asked.values())) < since:
            self._asked.popitem(last=False)
        return len(self._asked) > 1

    def _pass_on(self, principal: str) -> None:
        """The turn is that of the principal's next exchange."""
        waiting = self._waiting.get(principal)
        while waiting:
            granted = waiting.popleft()
            if not granted.cancelled():
                granted.set_result(None)
                return
        self._waiting.pop(principal, None)
        self._taken[principal] -= 1
        if not self._taken[principal]:
            del self._taken[principal]


class Turn:
    """One exchange's turn. May be taken and given back several times; either does nothing where it is so already."""

    __slots__ = ("_began", "_principal", "_turns")

    def __init__(self, turns: Turns, principal: str) -> None:
        self._turns = turns
        self._principal = principal
        self._began: float | None = None

    async def take(self, waits: Callable[[], Awaitable[None]]) -> None:
        """Wait for it; `waits` is called where there is a wait."""
        if self._began is None:
            self._began = await self._turns.take(self._principal, waits)

    def give_back(self) -> None:
        """The exchange waits for something else than this worker now, or ends."""
        if self._began is not None:
            began, self._began = self._began, None
            self._turns.give_back(self._principal, began)

    def heavy(self, work: int) -> contextlib.AbstractAsyncContextManager[None]:
        """A step of so many bytes of work. See Turns.heavy."""
        return self._turns.heavy(self._principal, work)
