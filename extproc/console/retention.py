"""Legal holds, purges and retention, for those with the role `administer`.

POST   /v1/legal-holds               {"reason", and one or more of "target", "principal", "session", "since", "until"}
                                     → the hold; from now on nothing goes that fits all that is given
GET    /v1/legal-holds               {"legal_holds": [...]}, oldest first
DELETE /v1/legal-holds/{id}?reason=  lift one; the hold as it was
POST   /v1/purges                    {"query": {...}, "reason", "dry_run"?: true} → how many decisions fit, bodies would
                                     go and are kept on legal hold, and ids of a few decisions. Without dry_run it is
                                     done, and has an "id"; a process of its own does it, see the next
GET    /v1/purges/{id}               {"id", "state": "going" or "done", "left": bodies, "receipt": null until done}
GET    /v1/retention                 what is kept how long, how much of it there is, and what goes next

A query has texts: "principal", "session", "decision" (the start of an id), "target", "effect", "policy", "trace",
"hold", "since", "until"; and "words", a list. All of it must fit. Times have a zone.
"""

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.audit.index.query import Query
from extproc.audit.reader import JournalFault
from extproc.audit.retention.legal import lift, place
from extproc.audit.retention.purge import TEXTS, NothingAsked, document, purge, query_of, search
from extproc.audit.retention.report import report
from extproc.audit.retention.rules import NotSelects, Rules, Selects, moment, rfc3339
from extproc.audit.retention.store import RetentionStore, UnknownHold
from extproc.audit.retention.uses import IndexBehind
from extproc.console import body
from extproc.console.callers import caller
from extproc.console.problem import BadRequest, problem
from extproc.domain.json import JSON
from extproc.domain.ports import Journal

log = logging.getLogger(__name__)

SELECTS = ("target", "principal", "session", "since", "until")
_ID = re.compile(r"[0-9a-f]{16}")
_HOLD = (
    '{"reason": "why, in 1 to 256 visible characters", and one or more of ' + ", ".join(f'"{s}"' for s in SELECTS) + "}"
)
_PURGE = (
    '{"query": {some of '
    + ", ".join(f'"{name}"' for name in sorted(TEXTS))
    + ', "words": [...]}, "reason": "why, in 1 '
    'to 256 visible characters", "dry_run": true or false}'
)


def routes(state: Path, store: RetentionStore, journal: Journal, rules: Callable[[], Rules]) -> Sequence[web.RouteDef]:
    """The routes above, to be put behind a door for the role `administer`. `store` is the state folder's; `journal`
    must be safe to append to from another thread; `rules` gives what is configured now."""
    of = _Retention(state, store, journal, rules)
    return (
        web.post("/v1/legal-holds", _told(of.place)),
        web.get("/v1/legal-holds", _told(of.holds)),
        web.delete("/v1/legal-holds/{id}", _told(of.lift)),
        web.post("/v1/purges", _told(of.purge)),
        web.get("/v1/purges/{id}", _told(of.purged)),
        web.get("/v1/retention", _told(of.report)),
    )


class _Retention:
    def __init__(self, state: Path, store: RetentionStore, journal: Journal, rules: Callable[[], Rules]) -> None:
        self._state, self._store, self._journal, self._rules = state, store, journal, rules

    async def place(self, request: web.Request) -> web.Response:
        """POST /v1/legal-holds."""
        asked = await body.read(request, _HOLD, {"reason": body.name}, dict.fromkeys(SELECTS, body.name))
        reason = asked.pop("reason")
        try:
            selects = Selects.parse(asked)
        except NotSelects as error:
            raise BadRequest(f"{error}; expected {_HOLD}") from None
        hold = await asyncio.to_thread(place, self._store, self._journal, caller(request), reason, selects)
        return web.json_response(hold.document())

    async def holds(self, request: web.Request) -> web.Response:
        """GET /v1/legal-holds."""
        _, holds = await asyncio.to_thread(self._store.holds)
        return web.json_response({"legal_holds": [hold.document() for hold in holds]})

    async def lift(self, request: web.Request) -> web.Response:
        """DELETE /v1/legal-holds/{id}."""
        values = request.query.getall("reason", [])
        if len(values) != 1 or set(request.query) != {"reason"} or not body.name(values[0]):
            raise BadRequest("expected ?reason=<why, in 1 to 256 visible characters>, once")
        by, hold_id = caller(request), request.match_info["id"]
        hold = await asyncio.to_thread(lift, self._store, self._journal, by, values[0], hold_id)
        return web.json_response(hold.document())

    async def purge(self, request: web.Request) -> web.Response:
        """POST /v1/purges."""
        wanted = await body.read(request, _PURGE, {"query": _is_query}, {"reason": body.name, "dry_run": body.flag})
        query = _query(wanted["query"])
        if wanted.get("dry_run"):
            if query.words:
                # What fits tells of what was said.
                asked: dict[str, JSON] = {"what": "words", "by": caller(request).document(), "query": document(query)}
                await asyncio.to_thread(self._journal.append, "reading", {"at": rfc3339(time.time()), **asked})
            found, _ = await asyncio.to_thread(search, self._state, self._store, query)
            return web.json_response(found.document())
        if "reason" not in wanted:
            raise BadRequest(f"reason: missing; expected {_PURGE}")
        noted = await asyncio.to_thread(purge, self._state, self._store, caller(request), wanted["reason"], query)
        counts = {"decisions": noted.decisions, "bodies": noted.bodies, "kept": noted.kept}
        return web.json_response({"id": noted.id, **counts})

    async def purged(self, request: web.Request) -> web.Response:
        """GET /v1/purges/{id}."""
        purge_id = request.match_info["id"]
        found = await asyncio.to_thread(self._store.find_purge, purge_id) if _ID.fullmatch(purge_id) else None
        if found is None:
            return problem(404, "unknown-purge", "there is no purge of that id: 16 hexadecimal digits")
        left = await asyncio.to_thread(self._store.left, purge_id)
        state = "going" if found.receipt is None else "done"
        return web.json_response({"id": found.id, "state": state, "left": left, "receipt": found.receipt})

    async def report(self, request: web.Request) -> web.Response:
        """GET /v1/retention."""
        told = await asyncio.to_thread(report, self._state, self._store, self._rules(), time.time())
        return web.json_response(told)


def _is_query(value: object) -> bool:
    return isinstance(value, dict) and all(
        body.names(member) if name == "words" else body.name(member) for name, member in value.items()
    )


def _query(asked: dict[str, Any]) -> Query:
    try:
        times = {name: moment(asked[name], name) for name in ("since", "until") if name in asked}
        return query_of(asked | times)
    except ValueError as error:
        raise BadRequest(f"query: {error}; expected {_PURGE}") from None


def _told(handler: Handler) -> Handler:
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except UnknownHold:
            told = "there is no legal hold of that id; give all of it (`holdpoint audit legal-hold list` has them)"
            return problem(404, "unknown-legal-hold", told)
        except NothingAsked as error:
            raise BadRequest(f"query: {error}") from None
        except IndexBehind as error:
            detail = (
                f"nothing was done: the index does not know all of the journal yet ({error}); try again in a moment"
            )
            return problem(503, "index-behind", detail)
        except JournalFault as error:
            return problem(500, "journal-damaged", f"nothing was done: {error}; `holdpoint audit verify` says more")
        except (sqlite3.Error, OSError) as error:
            log.error("retention: %s", error)
            detail = (
                "the store of legal holds and purges can't be used just now (the gateway's log says why); try again"
            )
            return problem(503, "retention-unavailable", detail)

    return told
