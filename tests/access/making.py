"""Values for tests about access, and what other processes do in them: a spawned one imports it by name."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Self

from extproc.access.model import AgentToken, Freeze, Password
from extproc.access.passwords import Passwords, PasswordWanted
from extproc.access.service import Access, Wanted
from extproc.adapters.access import SqliteAccess, prepare
from extproc.adapters.access_keys import read_private_key
from extproc.domain.principal import Kind, Principal

IDP = "https://people.test"
GATEWAY = "urn:holdpoint:test"
ALICE = (IDP, "alice")
ROOT = Principal("unix:here", "root", Kind.HUMAN)


def signed(token: AgentToken) -> str:
    """What stands for a signed token."""
    return f"signed.{token.id}"


def unseen(_: object) -> None:
    """A witness that has nothing to say."""


def bot(token: AgentToken) -> Principal:
    """The principal that a token proves."""
    credential = f"agent-token:{token.id}"
    return Principal(GATEWAY, token.subject, token.kind, token.groups, token.owner[1], token.expires_at, credential)


def wanted(subject: str = "crm-bot", owner: tuple[str, str] = ALICE, **more: Any) -> Wanted:
    """A token to ask for."""
    return Wanted(subject, owner, **more)


class Store:
    """An access database in a folder, opened, with its use cases."""

    def __init__(self, folder: Path) -> None:
        self.path, self.keys = folder / "access.db", folder / "keys"
        self.keys.mkdir(exist_ok=True)

    async def __aenter__(self) -> Self:
        prepare(self.path, self.keys)
        self.store = await SqliteAccess.open(self.path)
        self.access = Access(self.store, lambda: ("crm", "llm"))
        self.passwords = Passwords(self.store, lambda: ("crm", "llm"), read_private_key(self.keys).sign)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.store.close()

    async def issued(self, subject: str = "crm-bot", owner: tuple[str, str] = ALICE, **more: Any) -> AgentToken:
        """A new token."""
        token, _ = await self.access.issue(wanted(subject, owner, **more), ROOT, signed, unseen)
        return token

    async def given(self, by: Principal, **wanted: Any) -> tuple[Password, str]:
        """A new password of somebody's, and its text."""
        return await self.passwords.issue(PasswordWanted(**wanted), by, unseen)

    async def frozen(self, subject: str, issuer: str | None = None) -> Freeze:
        """A new freeze."""
        freeze, _ = await self.access.freeze(subject, issuer, ROOT, "why not", unseen)
        return freeze


def freeze_and_die(folder: Path) -> None:
    """Freeze one, and be killed inside the transaction that freezes another."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("first")
            await s.access.freeze("second", None, ROOT, "why", lambda _: os.kill(os.getpid(), signal.SIGKILL))

    asyncio.run(run())


def issue_many(folder: Path, name: str, count: int) -> None:
    """Issue tokens while another process does."""

    async def run() -> None:
        async with Store(folder) as s:
            for i in range(count):
                await s.issued(f"{name}-{i}")

    asyncio.run(run())
