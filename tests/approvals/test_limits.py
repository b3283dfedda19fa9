"""What one principal can make of holds: how many, how large, how often; and what that leaves of the lists of others."""

import asyncio
import sqlite3
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.holds import SqliteHolds
from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.service import (
    ASKERS_PER_HOLD,
    DENIALS_PER_WINDOW,
    KEEP_PER_PRINCIPAL,
    OPENED_PER_WINDOW,
    PENDING_PER_PRINCIPAL,
    WINDOW_SECONDS,
    Holds,
)
from extproc.domain.action import Action
from extproc.domain.hold import Hold, HoldState
from extproc.domain.mask import Mask, Operator
from tests.approvals.making import DBA, NOW, SECURITY, Clock, action, agent, decision, person
from tests.approvals.serving import ISSUER, console
from tests.approvals.test_holds_cli import command

S = HoldState
DANA = person("dana", "dba")
BIG = "x" * 900_000


def large(digest: str, **changes: str) -> Action:
    """An action whose text is large."""
    return replace(action(digest), render=lambda masks: BIG, **changes)  # type: ignore[arg-type]


async def vote(holds: Holds, hold: Hold, approve: bool) -> Hold:
    """Dana's answer."""
    return await holds.vote(hold.id, DANA, approve, "because", lambda before, after: None)


async def refused(awaitable: Awaitable[Hold]) -> HoldRefused:
    """The refusal that awaiting raises."""
    with pytest.raises(HoldRefused) as caught:
        await awaitable
    return caught.value


def test_what_people_read_is_made_under_the_masks_of_the_decision(tmp_path: Path) -> None:
    """The text is rendered with them, so it shows what will go on."""
    mask = Mask("http.secrets", ("jwt",), (), Operator.REDACT, ("request",))
    given: list[tuple[Mask, ...]] = []

    def render(masks: tuple[Mask, ...]) -> str:
        given.append(masks)
        return "text"

    async def run() -> None:
        store = await SqliteHolds.open(tmp_path / "holds.db")
        masked = replace(decision(DBA), masks=(mask,))
        hold = await Holds(store).open_or_join(agent(), "crm", replace(action(), render=render), masked)
        assert (hold.summary["request"], given) == ("text", [(mask,)])
        # Masks on the way back change nothing of what people read; others on the way out do.
        for also, same in ((replace(mask, lanes=("response",)), True), (replace(mask, kinds=("card",)), False)):
            other = replace(masked, masks=(also, mask))
            again = await Holds(store).open_or_join(agent(), "crm", replace(action(), render=render), other)
            assert (again.id == hold.id) is same
        assert (await Holds(store).get(hold.id)).state is S.CANCELLED
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("end", [S.DENIED, S.EXPIRED, S.CANCELLED, S.USED, "superseded"])
def test_a_hold_that_ends_loses_its_text(tmp_path: Path, end: S | str) -> None:
    """Whatever ends it: the row has no text any more, and still says what was asked."""

    async def run() -> None:
        clock = Clock()
        store = await SqliteHolds.open(tmp_path / "holds.db", clock)
        holds = Holds(store)
        hold = await holds.open_or_join(agent(), "crm", large("d1"), decision(DBA))
        assert hold.summary["request"] == (await holds.get(hold.id)).summary["request"] == BIG
        if end is S.DENIED:
            await vote(holds, hold, False)
        elif end is S.EXPIRED:
            clock.now = hold.expires_at
            assert "request" not in (await holds.get(hold.id)).summary
            await holds.expire_due(lambda expired: None)
        elif end is S.CANCELLED:
            await holds.cancel(hold.id)
        elif end is S.USED:
            assert (await vote(holds, hold, True)).summary["request"] == BIG
            await holds.claim(hold.id, "d1", agent())
        else:
            await holds.open_or_join(agent(), "crm", action("d1"), decision(SECURITY))
        ended = await holds.get(hold.id)
        assert ended.summary == {"host": "crm"}
        assert (ended.verb, ended.resource, ended.digest) == (hold.verb, hold.resource, hold.digest)

        def stored(db: sqlite3.Connection) -> int:
            (size,) = db.execute("SELECT length(fixed) + length(coalesce(request, '')) FROM holds").fetchone()
            return int(size)

        assert await store._database.run(stored) < 5_000
        await store.close()

    asyncio.run(run())


def test_opening_and_leaving_is_counted(tmp_path: Path) -> None:
    """A principal opens so many holds in ten minutes, whomever it acts for, and neither file nor table grows on."""

    async def run() -> None:
        clock = Clock()
        store = await SqliteHolds.open(tmp_path / "holds.db", clock)
        holds = Holds(store)

        async def opened(digest: str, name: str = "bot", acts_for: str | None = None) -> Hold:
            return await holds.open_or_join(agent(name, acts_for), "crm", large(digest), decision(DBA))

        sizes, rows = [], []
        for window in range(6):
            for i in range(OPENED_PER_WINDOW):
                await holds.cancel((await opened(f"d{window}-{i}")).id)
            refusal = await refused(opened("more"))
            assert (refusal.code, "60 approvals within 10 minutes" in str(refusal)) == (Refused.TOO_MANY, True)
            assert (await refused(opened("more", acts_for="kim"))).code is Refused.TOO_MANY
            await holds.cancel((await opened(f"d{window}", "other")).id)
            sizes.append((tmp_path / "holds.db").stat().st_size)
            rows.append(len((await holds.find(None, limit=10_000)).holds))
            clock.now += WINDOW_SECONDS
        assert max(sizes) < 8_000_000
        assert rows[-1] <= KEEP_PER_PRINCIPAL + OPENED_PER_WINDOW + 6
        assert (await opened("again")).state is S.PENDING
        await store.close()

    asyncio.run(run())


def test_what_is_still_needed_is_not_forgotten(tmp_path: Path) -> None:
    """A denial that stands and an expiry that nobody was told outlive the newest ended holds of their principal."""

    async def run() -> None:
        clock = Clock()
        store = await SqliteHolds.open(tmp_path / "holds.db", clock)
        holds = Holds(store)
        long = replace(DBA, expires_in_seconds=86_400)
        denied = await holds.open_or_join(agent(), "crm", action("denied"), decision(long))
        await vote(holds, denied, False)
        expired = await holds.open_or_join(agent(), "crm", action("expired"), decision(SECURITY))
        clock.now = expired.expires_at
        await holds.open_or_join(agent(), "crm", action("expired"), decision(SECURITY))
        for i in range(KEEP_PER_PRINCIPAL + 20):
            clock.now += WINDOW_SECONDS / OPENED_PER_WINDOW + 1
            await holds.cancel((await holds.open_or_join(agent(), "crm", action(f"d{i}"), decision(DBA))).id)
        assert (await holds.open_or_join(agent(), "crm", action("denied"), decision(long))).id == denied.id
        assert expired.id in {h.id for h in await holds.expire_due(lambda expired: None)}
        await store.close()

    asyncio.run(run())


def test_so_many_wait_for_one_answer(tmp_path: Path) -> None:
    """One more is refused until one leaves; whoever was answered 202 does not count."""

    async def run() -> None:
        store = await SqliteHolds.open(tmp_path / "holds.db", Clock())
        holds = Holds(store)

        async def ask(detached: bool = False) -> Hold:
            return await holds.open_or_join(agent(), "crm", action(), decision(DBA), detached)

        (hold, *_) = [await ask() for _ in range(ASKERS_PER_HOLD)]
        assert (await refused(ask())).code is Refused.TOO_MANY
        assert (await ask(detached=True)).id == hold.id
        await holds.detach(hold.id)
        assert (await ask()).id == hold.id
        assert (await vote(holds, hold, True)).state is S.APPROVED
        assert (await ask()).id == hold.id
        await store.close()

    asyncio.run(run())


def test_asking_again_with_a_header_changed(tmp_path: Path) -> None:
    """After three denials of one verb and resource people are not asked about it for ten minutes."""

    async def run() -> None:
        clock = Clock()
        store = await SqliteHolds.open(tmp_path / "holds.db", clock)
        holds = Holds(store)

        async def ask(digest: str, target: str = "crm", acts_for: str | None = None, **changes: str) -> Hold:
            return await holds.open_or_join(agent(acts_for=acts_for), target, large(digest, **changes), decision(DBA))

        for i in range(DENIALS_PER_WINDOW):
            await vote(holds, await ask(f"d{i}"), False)
        refusal = await refused(ask("more"))
        assert (refusal.code, "people said no to this 3 times" in str(refusal)) == (Refused.SAID_NO, True)
        assert (await refused(ask("more", acts_for="kim"))).code is Refused.SAID_NO
        assert (await ask("d0")).state is S.DENIED
        for hold in (await ask("e1", "erp"), await ask("e2", verb="PUT"), await ask("e3", resource="/customers/8")):
            assert hold.state is S.PENDING
        clock.now = NOW + WINDOW_SECONDS
        assert (await ask("more")).state is S.PENDING
        await store.close()

    asyncio.run(run())


def test_nobody_is_pushed_out_of_a_list(folder: Path) -> None:
    """Many agents fill other groups' lists and the approver's own: each hold is found, the oldest first."""

    async def run() -> None:
        async with console(folder) as c:
            for bot in range(11):
                for i in range(PENDING_PER_PRINCIPAL):
                    asked = decision(DBA if bot < 10 or i < 10 else SECURITY)
                    await c.holds.open_or_join(agent(f"bot{bot}"), "crm", large(f"d{i}"), asked)
            honest = await c.open(asker=agent("honest"))
            status, first = await c.call("GET", "/holds")
            assert (status, len(first["holds"]), first["more"]) == (200, 200, 11)
            assert [h["created_at"] for h in first["holds"]] == sorted(h["created_at"] for h in first["holds"])
            assert all("request" not in h["summary"] for h in first["holds"])
            _, second = await c.call("GET", f"/holds?after={first['holds'][-1]['id']}")
            assert (len(second["holds"]), second["holds"][-1]["id"], second["more"]) == (11, honest, 0)
            assert len({h["id"] for page in (first, second) for h in page["holds"]}) == 211
            security = (await c.call("GET", "/holds", ISSUER.token("sam", ["security", "x"])))[1]
            assert (len(security["holds"]), security["more"]) == (10, 0)
            _, newest = await c.call("GET", "/holds?state=all")
            assert (newest["holds"][0]["id"], newest["more"]) == (honest, 11)
            assert (await c.call("GET", "/holds?after=x"))[0] == 400
            assert (await c.call("GET", f"/holds?after={'0' * 16}"))[0] == 404
            code, out, err = await command(folder, "list")
            assert (code, len(out.splitlines()), err) == (0, 212, "")
            assert out.splitlines()[-1].startswith(honest)
            code, out, _ = await command(folder, "show", honest[:10])
            assert "all of it" in out

    asyncio.run(run())


def test_an_ended_hold_says_that_its_text_is_gone(folder: Path) -> None:
    """Nobody takes what is left for all that was asked."""

    async def run() -> None:
        async with console(folder) as c:
            hold = await c.open()
            await c.vote(hold, approve=False)
            _, out, _ = await command(folder, "show", hold)
            assert "what was asked, without its text:" in out
            assert "what will go on" not in out

    asyncio.run(run())
