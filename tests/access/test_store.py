"""Tokens and freezes in SQLite: use cases, several processes, and files that can't be used."""

import asyncio
import multiprocessing
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extproc.access.ports import AccessUnavailable
from extproc.access.register import TokenState
from extproc.access.service import DAY_SECONDS, AccessRefused, Refused
from extproc.adapters.access import SqliteAccess, prepare
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind
from tests.access import making
from tests.access.making import ALICE, ROOT, Store, signed, unseen, wanted

SPAWN = multiprocessing.get_context("spawn")


def refuses(_: object) -> None:
    """A witness whose journal is full."""
    raise JournalUnwritable("disk full")


def test_a_token_reads_back_and_is_revoked_once(folder: Path) -> None:
    """All that was asked for is there, in another connection too; revoking again changes nothing and says so."""

    async def run() -> None:
        async with Store(folder) as s, Store(folder) as other:
            asked = wanted(
                groups=("b", "a", "a"),
                targets=("llm", "crm"),
                networks=("10.0.0.0/8",),
                note="für die CI",
                lifetime=3600,
            )
            token, text = await s.access.issue(asked, ROOT, signed, unseen)
            assert text == f"signed.{token.id}"
            assert (token.groups, token.targets, token.networks) == (("a", "b"), ("crm", "llm"), ("10.0.0.0/8",))
            assert token.expires_at - token.issued_at == 3600
            assert (await other.access.tokens()) == ((token, TokenState.VALID),)
            revoked, now = await other.access.revoke(token.id, unseen)
            assert now
            assert replace(revoked, revoked_at=None) == token
            assert await s.access.revoke(token.id, refuses) == (revoked, False)
            second = await s.issued("other", (making.IDP, "bob"))
            assert [t.id for t, _ in await s.access.tokens(owner="bob")] == [second.id]
            assert [t.id for t, _ in await s.access.tokens(subject="crm-bot")] == [token.id]
            assert [t.id for t, _ in await s.access.tokens(state=TokenState.REVOKED)] == [token.id]
            assert s.path.stat().st_mode & 0o777 == 0o600

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        ({"subject": "crm bot"}, Refused.BAD_TOKEN, "without spaces"),
        ({"subject": ""}, Refused.BAD_TOKEN, "without spaces"),
        ({"owner": ("", "alice")}, Refused.BAD_TOKEN, "issuer and subject"),
        ({"kind": Kind.HUMAN}, Refused.BAD_TOKEN, "agent or service"),
        ({"lifetime": 59}, Refused.BAD_TOKEN, "60 seconds to 366 days"),
        ({"lifetime": 366 * DAY_SECONDS + 1}, Refused.BAD_TOKEN, "60 seconds to 366 days"),
        ({"targets": ("crm", "cmr")}, Refused.UNKNOWN_TARGET, "no target 'cmr'; there are: crm, llm"),
        ({"targets": ()}, Refused.UNKNOWN_TARGET, "there are: crm, llm"),
        ({"networks": ("10.0.0.1/8",)}, Refused.BAD_TOKEN, "did you mean 10.0.0.0/8?"),
        ({"networks": ("office",)}, Refused.BAD_TOKEN, "for example 10.0.0.0/8"),
        ({"networks": ()}, Refused.BAD_TOKEN, "at least one"),
    ],
)
def test_tokens_that_are_not_issued(folder: Path, changes: dict[str, Any], code: Refused, expected: str) -> None:
    """The message says what would be right."""

    async def run() -> None:
        async with Store(folder) as s:
            with pytest.raises(AccessRefused, match=expected.replace("?", r"\?")) as refused:
                await s.access.issue(replace(wanted(), **changes), ROOT, signed, unseen)
            assert refused.value.code is code
            assert await s.access.tokens() == ()

    asyncio.run(run())


def test_what_is_not_recorded_did_not_happen(folder: Path) -> None:
    """Neither is what can't be signed."""

    def unsigned(_: object) -> str:
        raise RuntimeError("no key")

    async def run() -> None:
        async with Store(folder) as s:
            token, freeze = await s.issued(), await s.frozen("mallory")
            with pytest.raises(JournalUnwritable):
                await s.access.issue(wanted(), ROOT, signed, refuses)
            with pytest.raises(RuntimeError):
                await s.access.issue(wanted(), ROOT, unsigned, unseen)
            with pytest.raises(JournalUnwritable):
                await s.access.revoke(token.id, refuses)
            with pytest.raises(JournalUnwritable):
                await s.access.freeze("eve", None, ROOT, "why", refuses)
            with pytest.raises(JournalUnwritable):
                await s.access.unfreeze("mallory", None, refuses)
            assert await s.access.tokens() == ((token, TokenState.VALID),)
            assert await s.access.freezes() == (freeze,)

    asyncio.run(run())


def test_freezes(folder: Path) -> None:
    """Freezing twice keeps the first reason; only the exact name thaws."""

    async def run() -> None:
        async with Store(folder) as s:
            first, now = await s.access.freeze("Eve", None, ROOT, "one", unseen)
            assert now
            assert await s.access.freeze("Eve", None, ROOT, "two", refuses) == (first, False)
            second, _ = await s.access.freeze("Eve", making.IDP, ROOT, "three", unseen)
            with pytest.raises(AccessRefused, match=f"'eve'; there is: 'Eve', '{making.IDP} Eve'"):
                await s.access.unfreeze("eve", None, unseen)
            assert await s.access.unfreeze("Eve", None, unseen) == (first, (second,))
            assert await s.access.freezes() == (second,)
            with pytest.raises(AccessRefused):
                await s.access.freeze(" ", None, ROOT, "why", unseen)

    asyncio.run(run())


def test_expired_tokens_are_forgotten_in_the_end(folder: Path) -> None:
    """They can be listed for a while first."""

    async def run() -> None:
        async with Store(folder) as s:
            old, kept = await s.issued("old"), await s.issued("kept")
            with sqlite3.connect(s.path) as db:
                for token, days in ((old, 91), (kept, 89)):
                    new = token.issued_at - days * DAY_SECONDS
                    db.execute("UPDATE tokens SET expires_at = ? WHERE id = ?", (new, token.id))
            db.close()
            await s.issued("new")
            found = await s.access.tokens()
            assert {t.subject: its for t, its in found} == {"new": TokenState.VALID, "kept": TokenState.EXPIRED}

    asyncio.run(run())


def test_two_processes_write_at_once(folder: Path) -> None:
    """Every change of both is there."""
    Store(folder)
    prepare(folder / "access.db", folder / "keys")
    writers = [SPAWN.Process(target=making.issue_many, args=(folder, name, 10)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0

    async def run() -> None:
        async with Store(folder) as s:
            assert len(await s.access.tokens()) == 20

    asyncio.run(run())


def test_a_process_killed_inside_a_transaction_changes_nothing(folder: Path) -> None:
    """What was committed before stays, and no lock is left behind."""
    dying = SPAWN.Process(target=making.freeze_and_die, args=(folder,))
    dying.start()
    dying.join(60)
    assert dying.exitcode == -9

    async def run() -> None:
        async with Store(folder) as s:
            assert [f.subject for f in await s.access.freezes()] == ["first"]
            await s.frozen("second")

    asyncio.run(run())


def test_a_full_disk_is_an_error_and_undoes_the_change(folder: Path) -> None:
    """Nothing is half written."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
            await s.store._database.run(lambda db: db.execute("PRAGMA max_page_count = 1"))
            with pytest.raises(AccessUnavailable, match="free space"):
                await s.issued("x" * 9000)
            assert [f.subject for f in await s.access.freezes()] == ["eve"]

    asyncio.run(run())


def remove(path: Path) -> None:
    """Delete a database."""
    path.unlink()


def empty(path: Path) -> None:
    """Put an empty file in its place."""
    path.unlink()
    path.touch(0o600)


def blank(path: Path) -> None:
    """Put a database without tables in its place."""
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("VACUUM")
    db.close()


def noise(path: Path) -> None:
    """Put something else in its place."""
    path.unlink()
    path.write_bytes(b"this is no database at all, not even a small one" * 100)


@pytest.mark.parametrize("loss", [remove, empty, blank, noise])
def test_a_database_that_is_lost_is_not_made_anew(folder: Path, loss: Callable[[Path], None]) -> None:
    """Neither by a process that comes back nor by the next start: who was frozen would be free."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
        loss(s.path)
        with pytest.raises(AccessUnavailable):
            await SqliteAccess.open(s.path)
        with pytest.raises(AccessUnavailable, match="stop the gateway"):
            prepare(s.path, s.keys)
        (s.keys / "tokens.key").unlink()
        s.path.unlink(missing_ok=True)
        async with s:
            assert await s.access.freezes() == ()

    asyncio.run(run())


def test_a_database_that_is_replaced_under_a_running_process(folder: Path) -> None:
    """It is not written to, nor believed, until the one that was opened is back."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
            moved = s.path.rename(folder / "moved.db")
            with pytest.raises(AccessUnavailable):
                await s.access.freezes()
            with sqlite3.connect(s.path) as db:
                db.execute("CREATE TABLE t (x)")
            db.close()
            with pytest.raises(AccessUnavailable, match="put that one back"):
                await s.frozen("mallory")
            moved.rename(s.path)
            assert [f.subject for f in await s.access.freezes()] == ["eve"]

    asyncio.run(run())


def test_a_closed_store_says_so(folder: Path) -> None:
    """It does not open again by itself."""

    async def run() -> None:
        async with Store(folder) as s:
            assert (await s.issued(owner=ALICE)).owner == ALICE
        with pytest.raises(AccessUnavailable, match="closed"):
            await s.access.freezes()

    asyncio.run(run())
