"""Freezes, for administrators: principals that may do nothing.

POST   /freezes                 {"principal": "subject" or "issuer subject", "reason": text} → the freeze, whether
                                this call made it as "frozen_now", and the ids of the holds that it cancelled as
                                "cancelled" (null: the holds can't be reached, and are cancelled when they can)
DELETE /freezes?principal=...   lift the freeze of exactly this name; the freeze as it was, and "still": the other
                                freezes of that subject
GET    /freezes                 {"freezes": [...]}, oldest first
"""

import logging
import time
from collections.abc import Sequence

from aiohttp import web

from extproc.access.model import Freeze
from extproc.access.ports import AccessUnavailable
from extproc.access.register import name_of
from extproc.access.service import Access, split_name
from extproc.approvals.ports import HoldsUnavailable
from extproc.approvals.records import hold_record, rfc3339
from extproc.approvals.service import Holds
from extproc.console import body
from extproc.console.admin import administrator, recording
from extproc.console.problem import BadRequest
from extproc.domain.hold import Hold
from extproc.domain.json import JSON
from extproc.domain.ports import Journal, JournalUnwritable

log = logging.getLogger(__name__)

PRINCIPAL_LENGTH = 1024


def routes(access: Access, holds: Holds, journal: Journal) -> Sequence[web.RouteDef]:
    """The routes above. `journal` must be safe to append to from another thread."""
    of = _Freezes(access, holds, journal)
    return (web.post("/freezes", of.freeze), web.delete("/freezes", of.unfreeze), web.get("/freezes", of.list))


async def cancel_frozen(access: Access, holds: Holds, journal: Journal) -> tuple[Hold, ...]:
    """Cancel the live holds of everyone who is frozen, each in the journal first. Called at each freeze, and again and
    again while there is one: what a worker opened before it knew of the freeze must not wait for the thaw. Raises
    AccessUnavailable, HoldsUnavailable and JournalUnwritable."""
    if not await access.freezes():
        return ()
    register = await access.register()

    def witness(cancelled: Sequence[Hold]) -> None:
        for hold in cancelled:
            journal.append("hold", hold_record(hold, time.time()))

    return await holds.cancel_of(lambda principal: register.frozen(principal) is not None, witness)


def view(freeze: Freeze) -> dict[str, JSON]:
    """A freeze as it is shown; `principal` is what lifts it, `at` RFC 3339."""
    return {
        "principal": name_of(freeze.issuer, freeze.subject),
        **_named(freeze),
        "reason": freeze.reason,
        "by": freeze.by,
        "at": rfc3339(freeze.at),
    }


class _Freezes:
    def __init__(self, access: Access, holds: Holds, journal: Journal) -> None:
        self._access, self._holds, self._journal = access, holds, journal

    async def freeze(self, request: web.Request) -> web.Response:
        by = administrator(request)
        asked = await body.read(
            request,
            '{"principal": "subject" or "issuer subject", "reason": "why, in 1 to 256 visible characters"}',
            {"principal": body.text, "reason": body.name},
        )
        issuer, subject = _split(asked["principal"])
        with recording(self._journal, "freeze", by) as write:
            freeze, now = await self._access.freeze(
                subject, issuer, by, asked["reason"], lambda f: write("frozen", _record(f))
            )
        try:
            cancelled: list[JSON] | None = [h.id for h in await cancel_frozen(self._access, self._holds, self._journal)]
        except (AccessUnavailable, HoldsUnavailable, JournalUnwritable) as error:
            # The freeze stands, and that is what counts: workers refuse what an approval would let go on.
            log.error("cancelling the holds of a frozen principal: %s", error)
            cancelled = None
        return web.json_response({**view(freeze), "frozen_now": now, "cancelled": cancelled})

    async def unfreeze(self, request: web.Request) -> web.Response:
        values = request.query.getall("principal", [])
        if len(values) != 1 or set(request.query) != {"principal"}:
            raise BadRequest("expected ?principal=<name>, once, as GET /freezes shows it")
        issuer, subject = _split(values[0])
        with recording(self._journal, "freeze", administrator(request)) as write:
            freeze, still = await self._access.unfreeze(subject, issuer, lambda f: write("unfrozen", _record(f)))
        return web.json_response({**view(freeze), "still": [view(f) for f in still]})

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response({"freezes": [view(f) for f in await self._access.freezes()]})


def _split(name: str) -> tuple[str | None, str]:
    if not name.strip() or len(name) > PRINCIPAL_LENGTH:
        raise BadRequest(f"principal: a subject, or an issuer and its subject, of 1 to {PRINCIPAL_LENGTH} characters")
    return split_name(name)


def _named(freeze: Freeze) -> dict[str, JSON]:
    return {"issuer": freeze.issuer, "subject": freeze.subject}


def _record(freeze: Freeze) -> dict[str, JSON]:
    return {**_named(freeze), "reason": freeze.reason}
