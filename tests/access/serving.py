"""The control socket with all that administrators may do: a real socket, real stores, real tokens."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from extproc.access.check import check
from extproc.access.model import AgentToken
from extproc.access.service import Access
from extproc.adapters.access import AccessList
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import AgentTokens, Approvers, Provider
from extproc.approvals.service import Holds
from extproc.console import api, freezes, tokens
from extproc.console.admin import Administration
from extproc.console.control import listen_unix
from extproc.console.passwords import PasswordDesk
from extproc.domain.principal import Principal
from tests.access.making import GATEWAY, Store, signed
from tests.approvals.making import AUDIENCE, PEOPLE, Issuer, MemoryJournal

ISSUER = Issuer()
# Good for longer than any run of all tests.
ADMIN = ISSUER.token("ada", ["platform"], exp=int(time.time()) + 24 * 3600)


class Bots:
    """The Verifier of the gateway's own agent tokens."""

    def __init__(self, public: Path, standing: AccessList) -> None:
        self._standing = standing
        self._tokens = AgentTokens(GATEWAY, public, standing)

    async def verify(self, token: str) -> Principal:
        """See Verifier."""
        principal = (await self._tokens.prove(token)).principal
        check(principal, self._standing, time.time())
        return principal


@dataclass
class Control:
    """A running control socket, and what is behind it."""

    access: Access
    store: Store
    holds: Holds
    journal: MemoryJournal
    standing: AccessList
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, token: str | None = ADMIN, **options: Any) -> tuple[int, Any]:
        """Status and document of a call; the token is an administrator's where none is given, None for none."""
        headers = ({"Authorization": f"Bearer {token}"} if token is not None else {}) | options.pop("headers", {})
        async with self.session.request(method, f"http://gateway{path}", headers=headers, **options) as response:
            if response.status != 200:
                assert response.content_type == "application/problem+json"
            return response.status, await response.json(content_type=None)

    async def issue(self, subject: str = "crm-bot", token: str | None = ADMIN, **wanted: Any) -> tuple[int, Any]:
        """Issue a token."""
        return await self.call("POST", "/tokens", token, json={"subject": subject, **wanted})

    async def freeze(self, principal: str, token: str | None = ADMIN) -> tuple[int, Any]:
        """Freeze somebody."""
        return await self.call("POST", "/freezes", token, json={"principal": principal, "reason": "laptop stolen"})


@asynccontextmanager
async def control(folder: Path, *further: Issuer, sign: Callable[[AgentToken], str] = signed) -> AsyncIterator[Control]:
    """A control socket in a folder. Administrators are the group `platform`; `further` issue approvers' tokens too."""
    hold_store = await SqliteHolds.open(folder / "holds.db")
    holds, journal = Holds(hold_store), MemoryJournal()
    issuers = [PEOPLE, *(i.issuer for i in further)]
    keys = ISSUER.write(folder / "jwks.json", *further)
    listener = listen_unix(folder / "control.sock")
    async with Store(folder) as store:
        standing = AccessList.open(store.path)
        verifier = Approvers([Provider(i, AUDIENCE, keys) for i in issuers], ["holdpoint"], standing)
        routes = (
            *tokens.routes(store.access, journal, sign, lambda: issuers, settle_seconds=0),
            *freezes.routes(store.access, holds, journal),
        )
        desk = PasswordDesk(store.passwords, journal, Bots(store.keys / "tokens.pub", standing), "10.0.0.1:5432", 0)
        administration = Administration(lambda: ("platform",), routes)
        runner = web.AppRunner(api.application(holds, verifier, journal, administration, passwords=desk))
        await runner.setup()
        await web.SockSite(runner, listener).start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / "control.sock"))) as session:
            yield Control(store.access, store, holds, journal, standing, session)
        await runner.cleanup()
        standing.close()
        await hold_store.close()
