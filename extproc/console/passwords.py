"""Short-lived passwords for databases, for whoever has a token: a person's or an agent's.

POST   /passwords       {"targets"?, "lifetime_seconds"?, "note"?} → the password's view and "password", which is shown
                        this once, and "address": where databases are reached, or null. It makes its user who asked.
GET    /passwords       {"passwords": [...]}, newest first: the caller's own; everybody's for an administrator
DELETE /passwords/{id}  revoke one's own, or as an administrator any; the view, and whether this call did it as
                        "revoked_now"
"""

import asyncio
import re
from collections.abc import Iterator

from aiohttp import web

from extproc.access.model import Password
from extproc.access.passwords import MAX_LIFETIME_SECONDS, Passwords, PasswordWanted
from extproc.access.register import TokenState
from extproc.access.service import AccessRefused, Refused
from extproc.approvals.ports import Verifier
from extproc.approvals.records import rfc3339
from extproc.console import body
from extproc.console.admin import recording
from extproc.console.callers import Doors, NotAdministrator, behind, caller
from extproc.console.problem import BadRequest
from extproc.console.tokens import SETTLE_SECONDS
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.json import JSON
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

_ID = re.compile(r"[0-9a-f]{12}")
_WANTED = (
    '{"targets": [...], "lifetime_seconds": number, "note": "..."}, where all may be left out; names of 1 to '
    f"{body.NAME_LENGTH} visible characters, at most {body.LIST_LENGTH} each"
)
# Whether a caller may see and revoke everybody's passwords.
_EVERYBODYS = web.RequestKey("everybodys", bool)


class PasswordDesk:
    """The routes above."""

    def __init__(
        self,
        passwords: Passwords,
        journal: Journal,
        agents: Verifier,
        address: str | None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """`agents` knows agents by their tokens; `address` is where databases are reached, host and port. `journal`
        must be safe to append to from another thread. A password is shown `settle_seconds` after it was issued, when
        all workers know it."""
        self._passwords, self._journal, self._agents, self._address = passwords, journal, agents, address
        self._settle_seconds = settle_seconds

    def behind(self, doors: Doors) -> Iterator[web.RouteDef]:
        """The routes, for those who may."""

        async def asker(request: web.Request) -> Principal:
            """Somebody with a token of their own. Raises IdentityRefused."""
            try:
                return await doors.person(request)
            except IdentityRefused as refused:
                if refused.why is not Why.WRONG_AUDIENCE:
                    raise
            _, _, token = request.headers["Authorization"].partition(" ")
            return await self._agents.verify(token.strip())

        async def holder(request: web.Request) -> Principal:
            """The same; or an administrator, for whom there are no bounds. Raises IdentityRefused, and NotAdministrator
            for who has no token."""
            try:
                who = await doors.administrator(request)
                request[_EVERYBODYS] = True
            except (IdentityRefused, NotAdministrator):
                if "Authorization" not in request.headers:
                    raise
                who = await asker(request)
                request[_EVERYBODYS] = False
            return who

        yield behind(asker, web.post("/passwords", self._issue))
        yield behind(holder, web.get("/passwords", self._list))
        yield behind(holder, web.delete("/passwords/{id}", self._revoke))

    async def _issue(self, request: web.Request) -> web.Response:
        by = caller(request)
        optional = {"targets": body.names, "lifetime_seconds": body.whole, "note": body.remark}
        asked = await body.read(request, _WANTED, {}, optional)
        wanted = PasswordWanted(
            targets=tuple(asked["targets"]) if "targets" in asked else None,
            lifetime=asked.get("lifetime_seconds", MAX_LIFETIME_SECONDS),
            note=asked.get("note", ""),
        )
        with recording(self._journal, "password", by) as write:
            password, text = await self._passwords.issue(wanted, by, lambda p: write("issued", _record(p)))
        await asyncio.sleep(self._settle_seconds)
        shown = {**view(password, TokenState.VALID), "password": text, "address": self._address}
        return web.json_response(shown, headers={"Cache-Control": "no-store"})

    async def _list(self, request: web.Request) -> web.Response:
        if request.query:
            raise BadRequest("expected no query")
        found = await self._passwords.list(_whose(request))
        return web.json_response({"passwords": [view(password, its) for password, its in found]})

    async def _revoke(self, request: web.Request) -> web.Response:
        password_id = request.match_info["id"]
        if not _ID.fullmatch(password_id):
            raise AccessRefused(Refused.UNKNOWN_PASSWORD, "a password's id is 12 hexadecimal digits")
        with recording(self._journal, "password", caller(request)) as write:
            password, now = await self._passwords.revoke(
                password_id, _whose(request), lambda p: write("revoked", _record(p))
            )
        return web.json_response({**view(password, TokenState.REVOKED), "revoked_now": now})


def view(password: Password, state: TokenState) -> dict[str, JSON]:
    """A password as it is shown: never the password itself. Times are RFC 3339; `targets` and `networks` null mean
    all."""
    return {
        "id": password.id,
        "user": password.user,
        "state": state.value,
        **_named(password),
        "credential": password.credential,
        "note": password.note,
        "issued_at": rfc3339(password.issued_at),
        "expires_at": rfc3339(password.expires_at),
        "revoked_at": None if password.revoked_at is None else rfc3339(password.revoked_at),
    }


def _whose(request: web.Request) -> Principal | None:
    return None if request[_EVERYBODYS] else caller(request)


def _named(password: Password) -> dict[str, JSON]:
    return {
        "issuer": password.issuer,
        "subject": password.subject,
        "kind": password.kind.value,
        "groups": list(password.groups),
        "acts_for": password.acts_for,
        "targets": None if password.targets is None else list(password.targets),
        "networks": None if password.networks is None else list(password.networks),
    }


def _record(password: Password) -> dict[str, JSON]:
    return {"id": password.id, **_named(password), "expires": rfc3339(password.expires_at), "note": password.note}
