"""Agent tokens, for administrators.

POST   /tokens        {"subject", "owner"?: {"issuer", "subject"}, "kind"?, "groups"?, "targets"?, "networks"?,
                      "lifetime_seconds"?, "note"?} → the token's view and "token", which is shown this once.
                      Without an owner it is the caller; an owner's issuer may be null where there is one issuer
                      of approvers, or the subject is "issuer subject" of one.
GET    /tokens        {"tokens": [...]}, newest first; ?owner= and ?subject= for those of one, ?state= for those
                      that are valid, expired or revoked
DELETE /tokens/{id}   revoke; the token's view, and whether this call did it as "revoked_now"
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from extproc.access.model import AgentToken
from extproc.access.register import TokenState
from extproc.access.service import DEFAULT_LIFETIME_SECONDS, Access, AccessRefused, Refused, Wanted, split_name
from extproc.approvals.records import rfc3339
from extproc.console import body
from extproc.console.admin import administrator, recording
from extproc.console.problem import BadRequest
from extproc.domain.json import JSON
from extproc.domain.ports import Journal
from extproc.domain.principal import Kind, Principal

# Workers look for changes five times a second; whoever is shown a token may use it at once.
SETTLE_SECONDS = 0.4
_ID = re.compile(r"[0-9a-f]{16}")
_WANTED = (
    '{"subject": "...", "owner": {"issuer": "..." or null, "subject": "..."}, "kind": "agent" or "service", '
    '"groups": [...], "targets": [...], "networks": [CIDR ...], "lifetime_seconds": number, "note": "..."}, where all '
    f"but subject may be left out; names of 1 to {body.NAME_LENGTH} visible characters, at most {body.LIST_LENGTH} each"
)


def routes(
    access: Access,
    journal: Journal,
    sign: Callable[[AgentToken], str],
    issuers: Callable[[], Sequence[str]],
    settle_seconds: float = SETTLE_SECONDS,
) -> Sequence[web.RouteDef]:
    """The routes above. `sign` makes the token's text, in the store's thread; `issuers` gives the approvers', one of
    which an owner named by its subject alone is of. `journal` must be safe to append to from another thread. A token is
    shown `settle_seconds` after it was issued, when all workers know it."""
    of = _Tokens(access, journal, sign, issuers, settle_seconds)
    return (web.post("/tokens", of.issue), web.get("/tokens", of.list), web.delete("/tokens/{id}", of.revoke))


def view(token: AgentToken, state: TokenState) -> dict[str, JSON]:
    """A token as it is shown: never the token itself. Times are RFC 3339; `targets` and `networks` null mean all."""
    return {
        "id": token.id,
        "state": state.value,
        **_named(token),
        "note": token.note,
        "issued_by": None if token.issued_by is None else {"issuer": token.issued_by[0], "subject": token.issued_by[1]},
        "issued_at": rfc3339(token.issued_at),
        "expires_at": rfc3339(token.expires_at),
        "revoked_at": None if token.revoked_at is None else rfc3339(token.revoked_at),
    }


class _Tokens:
    def __init__(
        self,
        access: Access,
        journal: Journal,
        sign: Callable[[AgentToken], str],
        issuers: Callable[[], Sequence[str]],
        settle_seconds: float,
    ) -> None:
        self._access, self._journal, self._sign, self._issuers = access, journal, sign, issuers
        self._settle_seconds = settle_seconds

    async def issue(self, request: web.Request) -> web.Response:
        by = administrator(request)
        wanted = self._wanted(
            await body.read(
                request,
                _WANTED,
                {"subject": body.name},
                {
                    "owner": body.document(issuer=lambda v: v is None or body.name(v), subject=body.name),
                    "kind": lambda v: v in [k.value for k in Kind],
                    "groups": body.names,
                    "targets": body.names,
                    "networks": body.names,
                    "lifetime_seconds": body.whole,
                    "note": body.remark,
                },
            ),
            by,
        )
        with recording(self._journal, "token", by) as write:
            token, text = await self._access.issue(wanted, by, self._sign, lambda t: write("issued", _record(t)))
        await asyncio.sleep(self._settle_seconds)
        return web.json_response(
            {**view(token, TokenState.VALID), "token": text}, headers={"Cache-Control": "no-store"}
        )

    async def list(self, request: web.Request) -> web.Response:
        state = request.query.get("state")
        if state is not None and state not in list(TokenState):
            raise BadRequest(f"state: expected one of {', '.join(TokenState)}")
        if further := sorted(set(request.query) - {"owner", "subject", "state"}):
            raise BadRequest(f"{further[0][:80]!a}: expected owner, subject or state")
        found = await self._access.tokens(
            request.query.get("owner"), request.query.get("subject"), None if state is None else TokenState(state)
        )
        return web.json_response({"tokens": [view(token, its) for token, its in found]})

    async def revoke(self, request: web.Request) -> web.Response:
        token_id = request.match_info["id"]
        if not _ID.fullmatch(token_id):
            raise AccessRefused(Refused.UNKNOWN_TOKEN, "a token's id is 16 hexadecimal digits")
        with recording(self._journal, "token", administrator(request)) as write:
            token, now = await self._access.revoke(token_id, lambda t: write("revoked", _record(t)))
        return web.json_response({**view(token, TokenState.REVOKED), "revoked_now": now})

    def _wanted(self, asked: dict[str, Any], by: Principal) -> Wanted:
        """The shapes were checked when the body was read."""
        return Wanted(
            subject=asked["subject"],
            owner=self._owner(asked.get("owner"), by),
            kind=Kind(asked.get("kind", Kind.AGENT)),
            groups=tuple(asked.get("groups", ())),
            targets=tuple(asked["targets"]) if "targets" in asked else None,
            networks=tuple(asked["networks"]) if "networks" in asked else None,
            lifetime=asked.get("lifetime_seconds", DEFAULT_LIFETIME_SECONDS),
            note=asked.get("note", ""),
        )

    def _owner(self, owner: dict[str, Any] | None, by: Principal) -> tuple[str, str]:
        if owner is None:
            return by.issuer, by.subject
        if owner["issuer"] is not None:
            return owner["issuer"], owner["subject"]
        issuers = list(dict.fromkeys(self._issuers()))
        # As people write principals elsewhere. Taken whole, it would be somebody whom no approver is.
        issuer, subject = split_name(owner["subject"])
        if issuer is not None:
            if issuer not in issuers:
                message = f"owner: {owner['subject']!a} has a space, and {issuer!a} issues no approvers' tokens"
                raise AccessRefused(Refused.BAD_TOKEN, f"{message}; name its issuer by itself (--owner-issuer)")
            return issuer, subject
        if len(issuers) != 1:
            there = ", ".join(issuers) or "none in identity.approvers"
            raise AccessRefused(Refused.BAD_TOKEN, f"owner: name the issuer too; there are: {there}")
        return issuers[0], subject


def _named(token: AgentToken) -> dict[str, JSON]:
    return {
        "subject": token.subject,
        "kind": token.kind.value,
        "groups": list(token.groups),
        "owner": {"issuer": token.owner[0], "subject": token.owner[1]},
        "targets": None if token.targets is None else list(token.targets),
        "networks": None if token.networks is None else list(token.networks),
    }


def _record(token: AgentToken) -> dict[str, JSON]:
    return {"id": token.id, **_named(token), "expires": rfc3339(token.expires_at), "note": token.note}
