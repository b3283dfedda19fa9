"""Holds in SQLite: use cases, waiting, races between processes, and what happens when the file can't be used."""

import asyncio
import multiprocessing
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from extproc.adapters.holds import SqliteHolds
from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.ports import HoldsUnavailable
from extproc.approvals.service import KEEP_SECONDS, PENDING_PER_PRINCIPAL, Holds
from extproc.domain.hold import Hold, HoldState
from extproc.domain.ports import JournalUnwritable
from tests.approvals import processes
from tests.approvals.making import DBA, NOW, SECURITY, TWO_DBAS, Clock, action, agent, decision, person

S = HoldState
DANA = person("dana", "dba")
SPAWN = multiprocessing.get_context("spawn")


def unseen(before: Hold, after: Hold) -> None:
    """A witness that has nothing to say."""


def unheard(expired: Sequence[Hold]) -> None:
    """The same for expiries."""


class Given:
    """A store with its clock and its service."""

    def __init__(self, store: SqliteHolds, clock: Clock) -> None:
        self.store, self.clock, self.holds = store, clock, Holds(store)

    async def opened(self, digest: str = "d1", asker: str = "bot", detached: bool = False) -> Hold:
        """A hold on one DBA."""
        return await self.holds.open_or_join(agent(asker), "crm", action(digest), decision(DBA), detached)

    async def approved(self, hold: Hold) -> Hold:
        """The hold after Dana's yes."""
        return await self.holds.vote(hold.id, DANA, True, "fine", unseen)


async def given(path: Path) -> Given:
    """A store in an empty file."""
    clock = Clock()
    return Given(await SqliteHolds.open(path / "holds.db", clock), clock)


async def refusal(awaitable: "asyncio.Future[Hold] | object") -> Refused:
    """The code of the refusal that awaiting raises."""
    with pytest.raises(HoldRefused) as refused:
        await awaitable  # type: ignore[misc]
    return refused.value.code


def test_a_hold_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """All that a hold carries survives, in another connection too."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.holds.open_or_join(agent(acts_for="kim"), "crm", action(), decision(DBA, SECURITY))
        voted = await g.holds.vote(hold.id, DANA, True, "geprüft ✓", unseen)
        other = await SqliteHolds.open(tmp_path / "holds.db", g.clock)
        assert voted == await other.get(hold.id)
        assert voted.expires_at == NOW + 60
        assert (tmp_path / "holds.db").stat().st_mode & 0o777 == 0o600
        await other.close()
        await g.store.close()

    asyncio.run(run())


def test_identical_asks_share_one_hold(tmp_path: Path) -> None:
    """Same asker, target, action and approvals: one hold. Anything else: another."""

    async def run() -> None:
        g = await given(tmp_path)
        first = await g.opened()
        assert first.id == (await g.opened()).id
        others = [
            await g.opened(digest="d2"),
            await g.opened(asker="bot2"),
            await g.holds.open_or_join(agent(), "erp", action(), decision(DBA)),
            await g.holds.open_or_join(agent(acts_for="kim"), "crm", action(), decision(DBA)),
        ]
        assert len({h.id for h in [first, *others]}) == 5
        await g.store.close()

    asyncio.run(run())


def test_other_approvals_need_other_votes(tmp_path: Path) -> None:
    """A changed policy ends the hold that asked by the old one, approved or not, and wakes who waits for it."""

    async def run() -> None:
        g = await given(tmp_path)
        old = await g.opened()
        waiting = asyncio.create_task(g.holds.wait(old.id, 30))
        await asyncio.sleep(0)
        new = await g.holds.open_or_join(agent(), "crm", action(), decision(TWO_DBAS))
        assert (await waiting).state is S.CANCELLED
        assert (new.state, new.requirements) == (S.PENDING, (TWO_DBAS,))
        await g.holds.vote(new.id, DANA, True, "fine", unseen)
        await g.holds.vote(new.id, person("eve", "dba"), True, "fine", unseen)
        newest = await g.opened()
        assert newest.id not in (old.id, new.id)
        assert (await g.holds.get(new.id)).state is S.CANCELLED
        await g.store.close()

    asyncio.run(run())


def test_an_approval_is_found_and_used_once(tmp_path: Path) -> None:
    """After a 202 the same request finds its approval; the one after that asks again."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()
        await g.holds.detach(hold.id)
        assert (await g.holds.cancel(hold.id)).state is S.PENDING
        await g.approved(hold)
        found = await g.opened()
        assert (found.id, found.state) == (hold.id, S.APPROVED)
        assert (await g.holds.claim(hold.id, "d1", agent())).state is S.USED
        assert await refusal(g.holds.claim(hold.id, "d1", agent())) is Refused.NOT_APPROVED
        again = await g.opened()
        assert (again.id == hold.id, again.state) == (False, S.PENDING)
        await g.store.close()

    asyncio.run(run())


def test_a_denial_stands_until_the_hold_would_have_expired(tmp_path: Path) -> None:
    """Asking again, by whatever requirements, does not ask people again."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()
        await g.holds.vote(hold.id, DANA, False, "no", unseen)
        g.clock.now = hold.expires_at - 1
        assert (await g.opened()).state is S.DENIED
        assert (await g.holds.open_or_join(agent(), "crm", action(), decision(SECURITY))).id == hold.id
        g.clock.now = hold.expires_at
        assert (await g.opened()).state is S.PENDING
        await g.store.close()

    asyncio.run(run())


def test_the_last_asker_that_leaves_cancels(tmp_path: Path) -> None:
    """Two wait for one hold; it ends with the second that leaves, even if approved by then."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()
        await g.opened()
        assert (await g.holds.cancel(hold.id)).state is S.PENDING
        await g.approved(hold)
        assert (await g.holds.cancel(hold.id)).state is S.CANCELLED
        assert await refusal(g.holds.claim(hold.id, "d1", agent())) is Refused.NOT_APPROVED
        await g.store.close()

    asyncio.run(run())


def test_an_asker_cancelled_while_it_opens_leaves_nothing_behind(tmp_path: Path) -> None:
    """The driver's task may be cancelled before it learns the hold's id."""

    async def run() -> None:
        g = await given(tmp_path)
        opening = asyncio.create_task(g.opened())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        while g.holds._strays:
            await asyncio.gather(*g.holds._strays)
        (hold,) = (await g.holds.find(None)).holds
        assert hold.state is S.CANCELLED
        await g.store.close()

    asyncio.run(run())


def test_pending_holds_of_a_principal_are_capped(tmp_path: Path) -> None:
    """One more than the most is refused, whomever the agent acts for; joining one is not."""

    async def run() -> None:
        g = await given(tmp_path)
        holds = [await g.opened(digest=f"d{i}") for i in range(PENDING_PER_PRINCIPAL)]
        assert await refusal(g.opened(digest="more")) is Refused.TOO_MANY
        delegated = g.holds.open_or_join(agent(acts_for="kim"), "crm", action("more"), decision(DBA))
        assert await refusal(delegated) is Refused.TOO_MANY
        assert (await g.opened(digest="d0")).id == holds[0].id
        assert (await g.opened(digest="more", asker="bot2")).state is S.PENDING
        await g.holds.cancel(holds[1].id)
        assert (await g.opened(digest="more")).state is S.PENDING
        g.clock.now = holds[0].expires_at
        assert (await g.opened(digest="later")).state is S.PENDING
        await g.store.close()

    asyncio.run(run())


def test_expiries_are_told_once_and_old_holds_forgotten(tmp_path: Path) -> None:
    """Each expired hold is given to one witness, also those that asking again had expired already."""

    async def run() -> None:
        g = await given(tmp_path)
        first, second = await g.opened(), await g.opened(digest="d2")
        g.clock.now = first.expires_at
        assert {h.id for h in (await g.holds.find(S.EXPIRED)).holds} == {first.id, second.id}
        assert (await g.holds.find(S.PENDING)).holds == ()
        third = await g.opened()

        def broken(expired: Sequence[Hold]) -> None:
            raise JournalUnwritable("disk full")

        with pytest.raises(JournalUnwritable):
            await g.holds.expire_due(broken)
        assert {first.id, second.id} == {h.id for h in await g.holds.expire_due(unheard)}
        assert await g.holds.expire_due(unheard) == ()
        g.clock.now += KEEP_SECONDS + 1
        await g.holds.expire_due(unheard)
        assert [h.id for h in (await g.holds.find(None)).holds] == [third.id]
        assert await refusal(g.holds.get(first.id)) is Refused.UNKNOWN
        await g.store.close()

    asyncio.run(run())


def test_what_one_principal_waits_for_is_cancelled(tmp_path: Path) -> None:
    """Pending and approved, answered 202 or not; not what ended, nor another's; and only what is recorded."""

    def unrecorded(cancelled: Sequence[Hold]) -> None:
        raise JournalUnwritable("disk full")

    async def run() -> None:
        g = await given(tmp_path)
        pending, detached = await g.opened(), await g.opened("d2", detached=True)
        approved = await g.approved(await g.opened("d3", detached=True))
        denied = await g.holds.vote((await g.opened("d4")).id, DANA, False, "no", unseen)
        other = await g.opened("d1", "other")
        with pytest.raises(JournalUnwritable):
            await g.holds.cancel_of(lambda p: p.subject == "bot", unrecorded)
        told: list[Sequence[Hold]] = []
        cancelled = await g.holds.cancel_of(lambda p: p.subject == "bot", told.append)
        assert {h.id for h in cancelled} == {pending.id, detached.id, approved.id}
        assert {h.state for h in cancelled} == {S.CANCELLED}
        assert told == [cancelled]
        assert [(await g.holds.get(h.id)).state for h in (denied, other)] == [S.DENIED, S.PENDING]
        assert await g.holds.cancel_of(lambda p: p.subject == "bot", unrecorded) == ()
        assert await refusal(g.holds.claim(approved.id, "d3", agent())) is Refused.NOT_APPROVED
        await g.store.close()

    asyncio.run(run())


def test_a_vote_that_is_not_recorded_has_no_effect(tmp_path: Path) -> None:
    """The witness comes before the change, and what it raises undoes the vote."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()

        def broken(before: Hold, after: Hold) -> None:
            assert (before.state, after.state) == (S.PENDING, S.APPROVED)
            raise JournalUnwritable("disk full")

        with pytest.raises(JournalUnwritable):
            await g.holds.vote(hold.id, DANA, True, "fine", broken)
        assert hold == await g.holds.get(hold.id)
        assert (await g.approved(hold)).state is S.APPROVED
        await g.store.close()

    asyncio.run(run())


def test_waiting_ends_with_an_answer_from_another_connection(tmp_path: Path) -> None:
    """A vote in another process wakes the worker; one in this process does too."""

    async def run() -> None:
        g = await given(tmp_path)
        other = await SqliteHolds.open(tmp_path / "holds.db", g.clock)
        for digest, voting in (("d1", Holds(other)), ("d2", g.holds)):
            hold = await g.opened(digest)
            waiting = asyncio.create_task(g.holds.wait(hold.id, 3600))
            await asyncio.sleep(0)
            await voting.vote(hold.id, DANA, True, "fine", unseen)
            async with asyncio.timeout(20):
                assert (await waiting).state is S.APPROVED
        await other.close()
        await g.store.close()

    asyncio.run(run())


def test_waiting_ends_with_its_time(tmp_path: Path) -> None:
    """A wait that times out gives the hold as it is; unknown ids are refused; closing ends a wait."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()
        assert hold == await g.holds.wait(hold.id, 0.01)
        assert await refusal(g.holds.wait("none", 1)) is Refused.UNKNOWN
        expiring = asyncio.create_task(g.holds.wait(hold.id, 30))
        await asyncio.sleep(0)
        g.clock.now = hold.expires_at
        await g.holds.expire_due(unheard)
        assert (await expiring).state is S.EXPIRED
        closing = asyncio.create_task(g.holds.wait((await g.opened("d2")).id, 30))
        await g.holds.get(hold.id)
        await g.store.close()
        with pytest.raises(HoldsUnavailable):
            await closing

    asyncio.run(run())


def test_the_stores_own_clock_is_the_time(tmp_path: Path) -> None:
    """Without a clock of its own a store takes SQLite's, in seconds since the epoch."""

    async def run() -> None:
        store = await SqliteHolds.open(tmp_path / "holds.db")
        hold = await Holds(store).open_or_join(agent(), "crm", action(), decision(DBA))
        assert hold.created_at > NOW
        assert hold.expires_at == hold.created_at + 900
        await store.close()

    asyncio.run(run())


def test_two_processes_race_and_one_wins(tmp_path: Path) -> None:
    """Whoever races for an approval, exactly one may go on."""
    path, rounds = tmp_path / "holds.db", 25

    async def prepare() -> list[str]:
        g = Given(store := await SqliteHolds.open(path), Clock())
        ids = [(await g.opened(f"d{i % 20}", f"bot{i // 20}", detached=True)).id for i in range(rounds)]
        for hold_id in ids:
            await g.holds.vote(hold_id, DANA, True, "fine", unseen)
        await store.close()
        return ids

    ids = asyncio.run(prepare())
    barrier, results = SPAWN.Barrier(2), SPAWN.Queue()
    racers = [SPAWN.Process(target=processes.race, args=(path, ids, barrier, results)) for _ in range(2)]
    for racer in racers:
        racer.start()
    wins = [results.get(timeout=30) for _ in racers]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert sorted(ids) == sorted(wins[0] + wins[1])


def test_a_process_killed_inside_a_transaction_changes_nothing(tmp_path: Path) -> None:
    """A crash before the commit leaves the hold as it was, and no lock behind."""

    async def prepare() -> Hold:
        g = Given(store := await SqliteHolds.open(tmp_path / "holds.db"), Clock())
        hold = await g.opened()
        await store.close()
        return hold

    hold = asyncio.run(prepare())
    crashing = SPAWN.Process(target=processes.crash, args=(tmp_path / "holds.db", hold.id))
    crashing.start()
    crashing.join(60)
    assert crashing.exitcode == 7

    async def look() -> None:
        g = Given(store := await SqliteHolds.open(tmp_path / "holds.db"), Clock())
        assert hold == await g.holds.get(hold.id)
        assert (await g.approved(hold)).state is S.APPROVED
        await store.close()

    asyncio.run(look())


def test_a_full_disk_is_an_error_and_undoes_the_change(tmp_path: Path) -> None:
    """Nothing is half written, and what was there can still be read."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()

        await g.store._database.run(lambda db: db.execute("PRAGMA max_page_count = 1"))
        big = action("d2", {"host": "x" * 100_000})
        with pytest.raises(HoldsUnavailable, match="free space"):
            await g.holds.open_or_join(agent(), "crm", big, decision(DBA))
        assert [h.id for h in (await g.holds.find(None)).holds] == [hold.id]
        await g.store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"this is no database at all, not even a small one" * 100, "not a database"),
        (None, "schema version 99, expected 2"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    """The message says what it is, and the file stays as it is."""
    path = tmp_path / "holds.db"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes() if content else None
    with pytest.raises(HoldsUnavailable, match=expected):
        asyncio.run(SqliteHolds.open(path))
    assert content is None or before == path.read_bytes()


def test_a_file_that_was_replaced_is_not_used(tmp_path: Path) -> None:
    """Two processes that see different files would each let the same approval be used."""

    async def run() -> None:
        g = await given(tmp_path)
        hold = await g.opened()
        away = (tmp_path / "holds.db").rename(tmp_path / "away")
        with pytest.raises(HoldsUnavailable):
            await g.holds.get(hold.id)
        (tmp_path / "holds.db").write_bytes(away.read_bytes())
        with pytest.raises(HoldsUnavailable, match="put that one back"):
            await g.approved(hold)
        away.rename(tmp_path / "holds.db")
        assert await g.holds.get(hold.id) == hold
        await g.store.close()

    asyncio.run(run())


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """No file can be made there, and the message names it."""
    with pytest.raises(HoldsUnavailable, match="missing"):
        asyncio.run(SqliteHolds.open(tmp_path / "missing" / "holds.db"))
