"""A control process for tests: real sockets, a real store, real tokens."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import Approvers, Provider
from extproc.approvals.service import Holds
from extproc.console.control import ControlSettings, serving
from extproc.domain.decision import Approval
from extproc.domain.principal import Principal
from tests.approvals.making import AUDIENCE, DBA, PEOPLE, Issuer, MemoryJournal, action, agent, decision

ISSUER = Issuer()


@dataclass
class Console:
    """A running control process, and what is behind it."""

    holds: Holds
    journal: MemoryJournal
    session: aiohttp.ClientSession
    ops: str
    socket: Path

    async def open(self, *requirements: Approval, asker: Principal | None = None) -> str:
        """Open a hold; gives its id."""
        what = action(summary={"host": "crm"})
        return (await self.holds.open_or_join(asker or agent(), "crm", what, decision(*requirements or (DBA,)))).id

    async def call(self, method: str, path: str, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """Status and document of a call; the token is a DBA's where none is given."""
        headers = {"Authorization": f"Bearer {token or ISSUER.token()}"} | options.pop("headers", {})
        async with self.session.request(method, f"http://gateway{path}", headers=headers, **options) as response:
            if response.status != 200:
                assert response.content_type == "application/problem+json"
            return response.status, await response.json(content_type=None)

    async def vote(self, hold: str, token: str | None = None, **ballot: Any) -> tuple[int, Any]:
        """Vote."""
        return await self.call("POST", f"/holds/{hold}/votes", token, json={"approve": True, "reason": "ok"} | ballot)


@asynccontextmanager
async def console(
    folder: Path, checks: dict[str, Callable[[], Awaitable[None]]] | None = None
) -> AsyncIterator[Console]:
    """A control process in a folder."""
    store = await SqliteHolds.open(folder / "holds.db")
    holds, journal = Holds(store), MemoryJournal()
    verifier = Approvers([Provider(PEOPLE, AUDIENCE, ISSUER.write(folder / "jwks.json"))], ["holdpoint"])
    (folder / "metrics").mkdir()
    where = ControlSettings(folder / "control.sock", ("127.0.0.1", 0), folder / "metrics")
    async with (
        serving(where, holds, verifier, journal, checks or {}) as port,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(where.socket))) as session,
    ):
        yield Console(holds, journal, session, f"http://127.0.0.1:{port}", where.socket)
    await store.close()
