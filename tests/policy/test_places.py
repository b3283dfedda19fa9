"""Places under any order of arrivals, ends and departures: the limits hold, and everybody's turn comes."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from extproc.adapters.opa.places import Places

KEYS = ("a", "b", "c", "d")
ACTIONS = st.lists(st.tuples(st.sampled_from(["come", "come", "end", "leave"]), st.integers(0, 99)), max_size=120)


@dataclass(eq=False, slots=True)
class Caller:
    """One that wants a place; `passed` counts, by key, the places that others of that key were given while it was the
    first of its own key and this key might have had one."""

    key: str
    task: "asyncio.Task[None]"
    passed: dict[str, int] = field(default_factory=dict)


class Scene:
    """Callers of `Places(most, each)`, and what the rules say of them."""

    def __init__(self, most: int, each: int) -> None:
        self.places, self.most, self.each = Places(most, each), most, each
        self.waiting: list[Caller] = []
        self.inside: list[Caller] = []

    async def come(self, number: int) -> None:
        """One more caller."""
        key = KEYS[number % len(KEYS)]
        self.waiting.append(Caller(key, asyncio.create_task(self.places.take(key))))
        await self.settle()

    async def end(self, number: int) -> None:
        """One that has a place is done."""
        if self.inside:
            self.places.give_back(self.inside.pop(number % len(self.inside)).key)
            await self.settle()

    async def leave(self, number: int) -> None:
        """One that waits gives up, half the time in the very moment in which a place becomes free."""
        if not self.waiting:
            return
        caller = self.waiting.pop(number % len(self.waiting))
        if number % 2 and self.inside:
            self.places.give_back(self.inside.pop().key)
        caller.task.cancel()
        await asyncio.gather(caller.task, return_exceptions=True)
        await self.settle()

    async def settle(self) -> None:
        """Let everybody run, then look."""
        for _ in range(4):
            await asyncio.sleep(0)
        granted = [one for one in self.waiting if one.task.done()]
        self.waiting = [one for one in self.waiting if not one.task.done()]
        self.inside += granted
        held = {key: sum(one.key == key for one in self.inside) for key in KEYS}
        assert len(self.inside) <= self.most
        assert all(held[key] <= self.each for key in KEYS)
        firsts = {one.key: one for one in reversed(self.waiting)}.values()
        if len(self.inside) < self.most:
            assert all(held[one.key] == self.each for one in firsts), "a place is free, and somebody waits for it"
        for first in firsts:
            if held[first.key] == self.each or any(one.key == first.key for one in granted):
                first.passed.clear()
                continue
            for one in granted:
                first.passed[one.key] = first.passed.get(one.key, 0) + 1
                assert first.passed[one.key] <= 1, "another key had two turns before this one had its first"


@given(st.integers(1, 4), st.integers(1, 4), ACTIONS)
def test_limits_hold_and_turns_come(most: int, each: int, actions: Iterable[tuple[str, int]]) -> None:
    """Never more than may be inside; no place free that somebody could have; no key twice before another's first."""

    async def play() -> None:
        scene = Scene(most, each)
        for name, number in actions:
            await {"come": scene.come, "end": scene.end, "leave": scene.leave}[name](number)
        while scene.inside:
            await scene.end(0)
        assert not scene.waiting
        assert scene.places.idle

    asyncio.run(play())
