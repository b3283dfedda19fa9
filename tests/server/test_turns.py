"""Turns of principals at what a worker does before a decision."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.adapters.opa.slots import Slots
from extproc.server import turns
from extproc.server.turns import SHARED_BYTES, Turn, Turns

WAIT_SECONDS = 30.0


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked once asks for ever, and nobody rests: what happens depends on no time."""
    monkeypatch.setattr(turns, "ACTIVE_SECONDS", 1e9)
    monkeypatch.setattr(turns, "LONGEST_REST", 0.0)


async def nothing() -> None:
    """Nobody has to be told that there is a wait."""


def run(scene: Callable[[Turns], Awaitable[Any]]) -> Any:
    """Play a scene on turns of its own."""

    async def play() -> Any:
        async with asyncio.timeout(WAIT_SECONDS):
            return await scene(Turns(Slots(None, 1)))

    return asyncio.run(play())


async def settle() -> None:
    """Let the loop do all that is due."""
    for _ in range(10):
        await asyncio.sleep(0)


async def taken(all_of_it: Turns, principal: str) -> Turn:
    """A turn, once it is there."""
    turn = all_of_it.turn(principal)
    await turn.take(nothing)
    return turn


def test_who_asks_alone_waits_for_nobody() -> None:
    """However many exchanges there are."""

    async def scene(all_of_it: Turns) -> None:
        for turn in [await taken(all_of_it, "a") for _ in range(100)]:
            turn.give_back()

    run(scene)


def test_while_others_ask_each_has_one_at_a_time() -> None:
    """In the order in which they came, and nobody waits for another principal's."""

    async def scene(all_of_it: Turns) -> list[str]:
        done: list[str] = []
        held = await taken(all_of_it, "eager")
        patient = await taken(all_of_it, "patient")

        async def one(name: str) -> Turn:
            turn = await taken(all_of_it, "eager")
            done.append(name)
            return turn

        waiting = [asyncio.create_task(one(str(n))) for n in range(3)]
        await settle()
        done.append("none yet")
        patient.give_back()
        (await taken(all_of_it, "patient")).give_back()
        done.append("patient")
        held.give_back()
        for task in waiting:
            (await task).give_back()
        return done

    assert run(scene) == ["none yet", "patient", "0", "1", "2"]


def test_who_has_to_wait_is_told_before() -> None:
    """Once, so that the peer is asked for patience; a turn that is there already takes no wait."""

    async def scene(all_of_it: Turns) -> list[str]:
        told: list[str] = []

        def of(name: str) -> Callable[[], Awaitable[None]]:
            async def waits() -> None:
                told.append(name)

            return waits

        first, second, other = (all_of_it.turn(name) for name in ("a", "a", "b"))
        await other.take(of("other"))
        await first.take(of("first"))
        await first.take(of("first again"))
        waiting = asyncio.create_task(second.take(of("second")))
        await settle()
        first.give_back()
        first.give_back()
        await waiting
        return told

    assert run(scene) == ["second"]


class Clock:
    """A loop's clock that a test sets, and what is to be called later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        """Seconds."""
        return self.now

    def call_later(self, delay: float, call: Callable[..., None], *arguments: object) -> None:
        """Keep it."""
        self.later.append((delay, partial(call, *arguments)))

    def create_future(self) -> asyncio.Future[None]:
        """One of the real loop's."""
        return self._loop.create_future()


@pytest.mark.parametrize("fails", [False, True])
def test_a_turn_that_is_given_back_while_its_next_is_told(fails: bool) -> None:
    """It is not lost, whether or not the peer could be told."""

    async def scene(all_of_it: Turns) -> None:
        await taken(all_of_it, "other")
        held, tells = await taken(all_of_it, "a"), asyncio.Event()

        async def waits() -> None:
            await tells.wait()
            if fails:
                raise OSError

        turn = all_of_it.turn("a")
        waiting = asyncio.create_task(turn.take(waits))
        await settle()
        held.give_back()
        await settle()
        tells.set()
        if fails:
            with pytest.raises(OSError):
                await waiting
        else:
            await waiting
            turn.give_back()
        await settle()
        (await taken(all_of_it, "a")).give_back()
        assert "a" not in all_of_it._taken

    run(scene)


@pytest.mark.parametrize(("lasted", "rest"), [(0.25, 0.25), (7.0, 1.0)])
def test_a_turn_rests_as_long_as_it_lasted(lasted: float, rest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more of the same principal wait, and others ask; a second at most."""
    loop = asyncio.new_event_loop()
    clock = Clock(loop)
    monkeypatch.setattr(turns, "LONGEST_REST", 1.0)
    monkeypatch.setattr("extproc.server.turns.asyncio.get_running_loop", lambda: clock)

    async def scene(all_of_it: Turns) -> None:
        await taken(all_of_it, "other")
        turn = await taken(all_of_it, "a")
        waiting = asyncio.ensure_future(taken(all_of_it, "a"))
        await settle()
        clock.now += lasted
        turn.give_back()
        await settle()
        ((delay, passes_on),) = clock.later
        assert (delay, waiting.done()) == (rest, False)
        passes_on()
        await waiting

    with contextlib.closing(loop):
        loop.run_until_complete(scene(Turns(Slots(None, 1))))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 6))), max_size=20)
)
def test_no_turn_is_lost(plan: list[tuple[str, int, int | None]]) -> None:
    """Whoever gives up, whenever: all others have theirs, never two of one principal at a time, and none is left."""

    async def scene(all_of_it: Turns) -> None:
        at_work: dict[str, int] = {}
        (await taken(all_of_it, "x")).give_back()
        (await taken(all_of_it, "y")).give_back()

        async def one(name: str, steps: int) -> None:
            turn = await taken(all_of_it, name)
            try:
                at_work[name] = at_work.get(name, 0) + 1
                assert at_work[name] == 1
                for _ in range(steps):
                    await asyncio.sleep(0)
            finally:
                at_work[name] -= 1
                turn.give_back()

        tasks = []
        for name, steps, leaves in plan:
            task = asyncio.create_task(one(name, steps))
            tasks.append(task)
            if leaves is not None:
                for _ in range(leaves):
                    await asyncio.sleep(0)
                task.cancel()
        for task, (_, _, leaves) in zip(tasks, plan, strict=True):
            try:
                await task
            except asyncio.CancelledError:
                assert leaves is not None
        await settle()
        assert not all_of_it._taken
        assert not any(all_of_it._waiting.values())

    run(scene)


@pytest.mark.parametrize(
    ("others", "work", "shared"),
    [(False, SHARED_BYTES + 1, False), (True, SHARED_BYTES, False), (True, SHARED_BYTES + 1, True)],
)
def test_a_large_step_has_the_principals_slot_while_others_ask(others: bool, work: int, shared: bool) -> None:
    """The same one that heavy evaluations have."""

    async def play() -> bool:
        slots = Slots(None, 1)
        all_of_it = Turns(slots)
        turn = await taken(all_of_it, "a")
        if others:
            await taken(all_of_it, "b")
        async with turn.heavy(work):
            waiting = asyncio.create_task(slots.take("a"))
            await settle()
            held = not waiting.done()
        (await waiting)()
        return held

    assert asyncio.run(play()) is shared


def test_principals_who_asked_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there were, and whether or not anybody waited."""

    async def scene(all_of_it: Turns) -> int:
        monkeypatch.setattr(turns, "ACTIVE_SECONDS", -1.0)
        for number in range(100):
            (await taken(all_of_it, str(number))).give_back()
        return len(all_of_it._asked)

    assert run(scene) == 0
