"""The trail, for those whose groups `audit.roles` names, and for administrators.

GET /v1/sessions              {"sessions": [...], "next": number or null, "behind": bytes that are not searchable yet};
                              ?principal= target= effect= policy= since= until= trace= decision= hold= word= (repeated)
                              limit= before= (the `next` of the page before). With the role `read` words are looked
                              for in bodies too, and that is recorded first
GET /v1/sessions/{id}         {"session": {...}, "exchanges": [...], "next"}: the session whose id starts so, oldest
                              exchange first; ?after= (the `next` of the page before) limit=
GET /v1/decisions             {"decisions": [...], "next", "behind"}: exchanges, newest first; asked as sessions are
GET /v1/events                {"events": [...], "next", "behind"}: other records, newest first; ?kind= (repeated)
                              principal= target= since= until= decision= hold= limit= before=
GET /v1/decisions/{id}        one exchange: the decision whose id starts so, with its delivery, hold and votes
GET /v1/bodies/{address}      ?decision=<whole id>: what was recorded of a body, as it was kept. That it is read is
                              recorded first
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.audit.index import Events, IndexUnusable, Page, Query
from extproc.audit.library import (
    UNREADABLE,
    Exchange,
    Library,
    NotAllowed,
    NotFound,
    Reader,
    event_document,
    session_document,
)
from extproc.audit.reader import JournalFault
from extproc.console.callers import caller
from extproc.console.problem import BadRequest, problem
from extproc.console.rights import Rights

MOST = 200
SETTLE_SECONDS = 3.0
"""How long a question waits for what was written before it to be searchable."""
_ID = re.compile(r"[0-9a-f]{1,64}")
_TEXTS = ("principal", "target", "effect", "policy", "since", "until", "trace", "decision", "hold")
_OF_EVENTS = ("principal", "target", "since", "until", "decision", "hold")
_EFFECTS = ("allow", "mask", "hold", "block")
_MOST_KINDS = 64
Row = TypeVar("Row")
Asked = TypeVar("Asked", Query, Events)


def routes(library: Library, rights: Rights) -> Sequence[web.RouteDef]:
    """The routes above, for anybody who is known: each asks for the role that it takes."""
    of = _Sessions(library, rights)
    return (
        web.get("/v1/sessions", _told(of.list)),
        web.get("/v1/sessions/{id}", _told(of.show)),
        web.get("/v1/decisions", _told(of.decisions)),
        web.get("/v1/events", _told(of.events)),
        web.get("/v1/decisions/{id}", _told(of.decision)),
        web.get("/v1/bodies/{address}", _told(of.body)),
    )


class _Sessions:
    def __init__(self, library: Library, rights: Rights) -> None:
        self._library, self._rights = library, rights

    async def list(self, request: web.Request) -> web.StreamResponse:
        reader, query = self.reader(request), query_of(request)
        await asyncio.to_thread(self._library.search, reader, query)
        return await self._listed("sessions", reader, query, self._library.sessions, session_document)

    async def show(self, request: web.Request) -> web.StreamResponse:
        reader, start = self.reader(request), _id(request.match_info["id"])
        after, limit = _number(request, "after", 0), min(MOST, _number(request, "limit", MOST))
        row = await asyncio.to_thread(self._library.session, reader, start)
        page = await asyncio.to_thread(self._library.exchanges, reader, row.key, after, limit)
        shown = [exchange.document() for exchange in page.rows]
        return web.json_response({"session": session_document(row), "exchanges": shown, "next": page.next})

    async def decision(self, request: web.Request) -> web.StreamResponse:
        reader, start = self.reader(request), _id(request.match_info["id"])
        try:
            exchange = await asyncio.to_thread(self._library.exchange, reader, start)
        except NotFound:
            # Whoever was just refused asks why at once.
            await asyncio.to_thread(self._library.settle, reader, SETTLE_SECONDS)
            exchange = await asyncio.to_thread(self._library.exchange, reader, start)
        return web.json_response(exchange.document())

    async def decisions(self, request: web.Request) -> web.StreamResponse:
        reader, query = self.reader(request), query_of(request)
        await asyncio.to_thread(self._library.search, reader, query)
        return await self._listed("decisions", reader, query, self._library.decisions, Exchange.document)

    async def events(self, request: web.Request) -> web.StreamResponse:
        reader, query = self.reader(request), events_of(request)
        return await self._listed("events", reader, query, self._library.events, event_document)

    async def _listed(
        self,
        name: str,
        reader: Reader,
        query: Asked,
        page_of: Callable[[Reader, Asked], Page[Row]],
        document: Callable[[Row], dict[str, Any]],
    ) -> web.StreamResponse:
        if query.before is None:
            await asyncio.to_thread(self._library.settle, reader, SETTLE_SECONDS)
        page = await asyncio.to_thread(page_of, reader, query)
        behind = await asyncio.to_thread(self._library.behind)
        return web.json_response({name: [document(row) for row in page.rows], "next": page.next, "behind": behind})

    async def body(self, request: web.Request) -> web.StreamResponse:
        address, decision = _id(request.match_info["address"]), _id(request.query.get("decision", ""))
        pieces = await asyncio.to_thread(self._library.body, self.reader(request), decision, address)
        # Never shown by a browser as what it says it is: an agent, or whom it talked to, wrote it.
        headers = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff"}
        answer = web.StreamResponse(
            headers={**headers, "Content-Disposition": "attachment", "Cache-Control": "no-store"}
        )
        await answer.prepare(request)
        # What breaks off from here on ends the connection, and the reader sees that it is not whole.
        while (piece := await asyncio.to_thread(_next, pieces)) is not None:
            await answer.write(piece)
        await answer.write_eof()
        return answer

    def reader(self, request: web.Request) -> Reader:
        """Who asks, and what they may."""
        return self._rights.reader(caller(request))


def query_of(request: web.Request) -> Query:
    """What the request looks for. Raises BadRequest."""
    texts = _texts(request, _TEXTS, "word")
    if texts.get("effect") not in (None, *_EFFECTS):
        raise BadRequest(f"effect: expected one of {', '.join(_EFFECTS)}")
    words = tuple(request.query.getall("word", []))
    return Query(**texts, words=words, limit=min(MOST, _number(request, "limit", 50)), before=_before(request))


def events_of(request: web.Request) -> Events:
    """What the request looks for. Raises BadRequest."""
    texts, kinds = _texts(request, _OF_EVENTS, "kind"), tuple(request.query.getall("kind", []))
    if not 1 <= len(kinds) <= _MOST_KINDS:
        raise BadRequest(f"kind: expected 1 to {_MOST_KINDS} kinds of records, such as freeze")
    return Events(kinds, **texts, limit=min(MOST, _number(request, "limit", 50)), before=_before(request))


def _texts(request: web.Request, names: Sequence[str], repeated: str) -> dict[str, Any]:
    """The texts of these names that were given; of others only `repeated` and those of pages may be."""
    may = (*names, repeated, "limit", "before")
    if further := sorted(set(request.query) - set(may)):
        raise BadRequest(f"{further[0][:80]!a}: expected one of {', '.join(may)}")
    texts = {name: request.query[name] for name in names if name in request.query}
    for name in ("since", "until"):
        if name in texts and not _is_time(texts[name]):
            raise BadRequest(f"{name}: expected a time such as 2026-01-31T12:00:00Z")
    return texts


def _before(request: web.Request) -> int | None:
    return _number(request, "before", 0) or None


def _told(handler: Handler) -> Handler:
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except NotAllowed as error:
            return problem(403, "not-in-role", str(error))
        except NotFound as error:
            return problem(404, "not-found", str(error))
        except IndexUnusable as error:
            return problem(503, "index-unusable", str(error))
        except (JournalFault, sqlite3.Error) as error:
            return problem(500, "journal-damaged", f"{error}; `holdpoint audit verify` says more")
        except UNREADABLE as error:
            return problem(410, "body-gone", str(error))

    return told


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _id(text: str) -> str:
    if not _ID.fullmatch(text.lower()):
        raise BadRequest("expected an id, or its start: hexadecimal digits")
    return text.lower()


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) >= 2**63:
        raise BadRequest(f"{name}: expected a whole number")
    return int(text)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
