"""The holds API over a real unix socket, with real tokens; health, readiness and metrics over TCP."""

import asyncio
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from extproc.adapters import holds_table
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import Approvers
from extproc.approvals.ports import HoldsUnavailable
from extproc.approvals.service import Holds
from extproc.console import control
from extproc.console.control import ControlSettings, listen_unix, run_control
from extproc.domain.decision import Approval
from extproc.domain.hold import HoldState
from tests.approvals.making import TWO_DBAS, Issuer, MemoryJournal, action, agent, decision
from tests.approvals.serving import ISSUER, console


async def passes() -> None:
    """A check that passes."""


def test_the_whole_way(folder: Path) -> None:
    """List, show, approve: each vote is in the journal, and the approval can be used."""

    async def run() -> None:
        async with console(folder) as c:
            assert stat.S_IMODE(c.socket.stat().st_mode) == 0o660
            hold = await c.open(TWO_DBAS)
            status, listed = await c.call("GET", "/holds")
            assert (status, [h["id"] for h in listed["holds"]], listed["more"]) == (200, [hold], 0)
            _, shown = await c.call("GET", f"/holds/{hold}")
            assert shown["summary"] == {"host": "crm", "request": "DELETE /customers/7\n\nall of it"}
            assert listed["holds"] == [shown | {"summary": {"host": "crm"}}]
            assert shown["principal"] == agent().document()
            assert shown["reasons"][0]["message"] == "deleting needs a DBA"
            assert shown["you"] == {"may_vote": True, "why_not": None}
            assert (await c.vote(hold, reason="ticket 4711"))[1]["state"] == "pending"
            status, after = await c.vote(hold, ISSUER.token("eve"))
            assert (status, after["state"], after["requirements"][0]["met"]) == (200, "approved", True)
            assert [v["reason"] for v in after["votes"]] == ["ticket 4711", "ok"]
            assert [(kind, body["state"]) for kind, body in c.journal.records] == [
                ("vote", "pending"),
                ("vote", "approved"),
                ("hold", "approved"),
            ]
            assert (await c.holds.claim(hold, "d1", agent())).state is HoldState.USED
            assert (await c.call("GET", "/holds"))[1]["holds"] == []
            assert (await c.call("GET", "/holds?state=all"))[1]["holds"][0]["state"] == "used"

    asyncio.run(run())


def test_an_approval_that_is_not_recorded_releases_nothing(folder: Path) -> None:
    """The journal refuses: so does the API, and the hold is as it was."""

    async def run() -> None:
        async with console(folder) as c:
            hold = await c.open()
            c.journal.broken = True
            status, problem = await c.vote(hold)
            assert (status, problem["code"]) == (503, "journal-unwritable")
            assert (await c.holds.get(hold)).votes == ()
            c.journal.broken = False
            assert (await c.vote(hold))[1]["state"] == "approved"

    asyncio.run(run())


def test_a_recorded_vote_that_could_not_be_stored_is_taken_back_in_the_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills between the two: nothing is released, and the last record says how the hold stands."""

    def full(*arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def run() -> None:
        async with console(folder) as c:
            hold = await c.open()
            with monkeypatch.context() as patched:
                patched.setattr(holds_table, "insert_vote", full)
                status, problem = await c.vote(hold)
            assert (status, problem["code"]) == (503, "holds-unavailable")
            states = [(kind, body["state"]) for kind, body in c.journal.records]
            assert states == [("vote", "approved"), ("hold", "approved"), ("hold", "pending")]
            assert (await c.holds.get(hold)).state is HoldState.PENDING

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": "Basic eDp5"}, "Bearer"),
        ({"Authorization": "Bearer "}, "Bearer"),
        ({"Authorization": f"Bearer {ISSUER.token(exp=1)}"}, "expired"),
        ({"Authorization": f"Bearer {ISSUER.token(aud='holdpoint')}"}, "agent's"),
        ({"Authorization": f"Bearer {Issuer().token()}"}, "signature"),
    ],
)
def test_every_call_needs_an_approvers_token(folder: Path, headers: dict[str, str], expected: str) -> None:
    """No path answers anyone else, whether it exists or not."""

    async def run() -> None:
        async with console(folder) as c:
            hold = await c.open()
            for method, path in (
                ("GET", "/holds"),
                ("GET", f"/holds/{hold}"),
                ("POST", f"/holds/{hold}/votes"),
                ("GET", "/x"),
            ):
                status, problem = await c.call(method, path, headers=headers)
                assert (status, problem["code"]) == (401, "not-known")
                assert expected in problem["detail"]

    asyncio.run(run())


def test_who_may_not_vote_is_told_why(folder: Path) -> None:
    """Own holds, other groups, a second vote, a closed or unknown hold."""

    async def run() -> None:
        async with console(folder) as c:
            own = await c.open(asker=agent(acts_for="dana"))
            other = await c.open(TWO_DBAS)
            assert (await c.call("GET", f"/holds/{own}"))[1]["you"]["may_vote"] is False
            sales = ISSUER.token("sue", ["sales"])
            table = [
                (await c.vote(own), 403, "own-hold"),
                (await c.vote(own, sales), 403, "not-in-group"),
                (await c.call("GET", f"/holds/{own}", sales), 403, "not-in-group"),
                (await c.vote(other), 200, None),
                (await c.vote(other), 409, "already-voted"),
                (await c.vote(own, ISSUER.token("eve"), approve=False), 200, None),
                (await c.vote(own, ISSUER.token("flo")), 409, "not-pending"),
                (await c.vote("0" * 16), 404, "unknown-hold"),
                (await c.vote("..%2f"), 404, "unknown-hold"),
                (await c.vote(other, ISSUER.token("eve"), reason="a\u202eb"), 422, "bad-reason"),
                (await c.vote(other, ISSUER.token("eve"), reason=""), 422, "bad-reason"),
            ]
            assert [(s, code) for _, s, code in table] == [(answer[0], answer[1].get("code")) for answer, _, _ in table]
            assert (await c.call("GET", "/holds", sales))[1]["holds"] == []
            assert len([kind for kind, _ in c.journal.records if kind == "vote"]) == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"json": {"approve": True}}, 400),
        ({"json": {"approve": "yes", "reason": "ok"}}, 400),
        ({"json": {"approve": 1, "reason": "ok"}}, 400),
        ({"json": {"approve": True, "reason": "ok", "for": "bob"}}, 400),
        ({"json": [True]}, 400),
        (
            {
                "data": b'{"approve": false, "approve": true, "reason": "ok"}',
                "headers": {"Content-Type": "application/json"},
            },
            400,
        ),
        ({"data": b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"approve=true"}, 400),
        ({"data": b" " * 20_000, "headers": {"Content-Type": "application/json"}}, 413),
    ],
)
def test_ballots_that_are_not_understood(folder: Path, options: dict[str, Any], expected: int) -> None:
    """A vote has one meaning or none."""

    async def run() -> None:
        async with console(folder) as c:
            hold = await c.open()
            assert expected == (await c.call("POST", f"/holds/{hold}/votes", **options))[0]
            assert (await c.holds.get(hold)).votes == ()
            assert (await c.call("GET", "/holds?state=maybe"))[0] == 400
            assert (await c.call("DELETE", f"/holds/{hold}"))[0] == 405

    asyncio.run(run())


def test_ops(folder: Path) -> None:
    """Alive; ready only if every check passes, naming the one that does not; metrics of all processes."""

    async def fails() -> None:
        raise HoldsUnavailable("/secret/path: disk full")

    async def run() -> None:
        checks: dict[str, Callable[[], Awaitable[None]]] = {"holds": passes}
        async with console(folder, checks) as c, aiohttp.ClientSession() as plain:
            assert (await plain.get(f"{c.ops}/healthz")).status == 200
            assert await (await plain.get(f"{c.ops}/readyz")).json() == {"ready": True, "checks": {"holds": "ok"}}
            assert (await plain.get(f"{c.ops}/metrics")).status == 200
            assert (await plain.get(f"{c.ops}/holds")).status == 404
            (folder / "metrics").rmdir()
            assert (await plain.get(f"{c.ops}/metrics")).status == 503
        (folder / "2").mkdir()
        async with console(folder / "2", checks | {"policy": fails}) as c, aiohttp.ClientSession() as plain:
            answer = await plain.get(f"{c.ops}/readyz")
            assert answer.status == 503
            assert (await answer.json())["checks"] == {"holds": "ok", "policy": "failed (HoldsUnavailable)"}

    asyncio.run(run())


def test_control_runs_until_it_is_stopped(folder: Path) -> None:
    """The sweep journals an expiry once; stopping removes the socket."""

    async def run() -> None:
        store = await SqliteHolds.open(folder / "holds.db")
        holds, journal, stop = Holds(store), MemoryJournal(), asyncio.Event()
        short = Approval("http.writes", "dba", 1, 1)
        hold = await holds.open_or_join(agent(), "crm", action(), decision(short))
        where = ControlSettings(folder / "control.sock", ("127.0.0.1", 0), folder)
        running = asyncio.create_task(run_control(where, holds, Approvers([], []), journal, {}, stop))
        assert (await holds.wait(hold.id, 30)).state is HoldState.EXPIRED
        assert await asyncio.to_thread(journal.written.wait, 30)
        stop.set()
        await running
        ((kind, body),) = journal.records
        assert (kind, body["hold"], body["state"]) == ("hold", hold.id, "expired")
        assert not where.socket.exists()
        await store.close()

    asyncio.run(run())


def test_a_sweep_that_fails_is_not_the_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in it."""
    monkeypatch.setattr(control, "SWEEP_SECONDS", 0.0)

    async def run() -> None:
        store = await SqliteHolds.open(folder / "holds.db")
        faults, stop = [RuntimeError("a bug"), HoldsUnavailable("busy")], asyncio.Event()

        async def chore() -> None:
            if faults:
                raise faults.pop(0)
            stop.set()

        where = ControlSettings(folder / "control.sock", ("127.0.0.1", 0), folder)
        serving = run_control(where, Holds(store), Approvers([], []), MemoryJournal(), {}, stop, chore=chore)
        await asyncio.wait_for(serving, 30)
        await store.close()

    asyncio.run(run())


def test_sockets_that_are_taken_or_left_behind(folder: Path) -> None:
    """A dead process's socket is replaced; a living one's and anything else is left alone."""
    path = folder / "control.sock"
    with listen_unix(path) as first:
        first.listen()
        with pytest.raises(FileExistsError, match="another process"):
            listen_unix(path)
    listen_unix(path).close()
    path.unlink()
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="not a socket"):
        listen_unix(path)
    with pytest.raises(OSError, match="107 bytes"):
        listen_unix(folder / ("x" * 120))
    assert path.read_text() == "mine"
