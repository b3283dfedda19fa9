"""A limited number of places, given to callers of different keys in turn (round robin)."""

import asyncio
from collections import deque


class Places:
    """`most` places, of which callers with the same key hold at most `most_each` at one time. Belongs to one event
    loop.

    A caller that waits is passed over only by the first waiter of each other key, or while its own key has all that it
    may have: how many wait under one key costs the callers of no other key a place.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._free = most
        self._most_each = most_each
        self._held: dict[str, int] = {}
        # In the order in which the keys are served; only keys that wait.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, key: str) -> None:
        """Wait for a place. Whoever has one gives it back; a cancelled caller has none."""
        if self._free and self._held.get(key, 0) < self._most_each:
            # Nobody waits who could have it: a place that is free and may be had is given away at once.
            self._give(key)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give_back(key)
            else:
                self._forget(key, granted)
            raise

    def give_back(self, key: str) -> None:
        """A caller of this key is done with its place."""
        self._free += 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
        self._grant()

    @property
    def idle(self) -> bool:
        """Whether nobody has a place and nobody waits for one."""
        return not self._held and not self._waiting

    def _give(self, key: str) -> None:
        self._free -= 1
        self._held[key] = self._held.get(key, 0) + 1

    def _grant(self) -> None:
        """Give what is free to the keys in turn."""
        while self._free:
            key = next((key for key in self._waiting if self._held.get(key, 0) < self._most_each), None)
            if key is None:
                return
            waiting = self._waiting.pop(key)
            granted = waiting.popleft()
            if waiting:
                self._waiting[key] = waiting  # behind all others
            if not granted.cancelled():
                self._give(key)
                granted.set_result(None)

    def _forget(self, key: str, granted: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        if granted in waiting:
            waiting.remove(granted)
        if not waiting:
            del self._waiting[key]
