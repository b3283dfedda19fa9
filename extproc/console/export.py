"""Exports, for whoever has the role `export`.

GET /v1/sessions/{id}/export?format=bundle|har|jsonl    the session whose key starts with id, or the one action whose
                                                        decision does, in pieces. A record `export` says who took what,
                                                        before the first byte. An answer that breaks off is not whole.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from extproc.approvals.records import rfc3339
from extproc.audit.checkpoints import Wish
from extproc.audit.export.bundle import Source
from extproc.audit.export.formats import FAILURES, FORMATS, Format
from extproc.audit.export.gathered import Gathered, NoSession, gather
from extproc.audit.index.search import Index, IndexUnusable
from extproc.console.callers import caller
from extproc.console.problem import BadRequest, problem
from extproc.domain.json import JSON
from extproc.domain.ports import Journal

log = logging.getLogger(__name__)

SIGNED_SECONDS = 3.0
AT_ONCE = 2
"""Exports that are made at the same time; each is a thread's work, and others wait."""


def routes(state: Path, index: Index, source: Callable[[], Source], journal: Journal) -> Sequence[web.RouteDef]:
    """The route above, to be put behind a door for the role (see rights.Rights.door). `source` is asked at each export,
    from a thread; `journal` must be safe to append to from one."""
    of = _Exports(state, index, source, journal)
    return (web.get("/v1/sessions/{id}/export", of.export),)


class _Exports:
    def __init__(self, state: Path, index: Index, source: Callable[[], Source], journal: Journal) -> None:
        self._state, self._index, self._source, self._journal = state, index, source, journal
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def export(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("format", "bundle")
        if set(request.query) - {"format"} or name not in FORMATS:
            raise BadRequest(f"expected ?format=, one of: {', '.join(FORMATS)}")
        async with self._turns:
            # What was written until now is to be signed. Where nobody signs, the export says what is not.
            with suppress(OSError):
                await asyncio.to_thread(Wish(self._state).make, SIGNED_SECONDS)
            try:
                found = await asyncio.to_thread(gather, self._state, self._index, request.match_info["id"])
            except NoSession as error:
                return problem(404, "unknown-session", str(error))
            except IndexUnusable as error:
                return problem(503, "index-unavailable", str(error))
            by = caller(request).document()
            body: dict[str, JSON] = {"at": rfc3339(time.time()), "what": name, "by": by, "session": found.key}
            await asyncio.to_thread(self._journal.append, "export", body)
            return await self._send(request, found, FORMATS[name])

    async def _send(self, request: web.Request, found: Gathered, form: Format) -> web.StreamResponse:
        try:
            pieces = form.make(found.session, await asyncio.to_thread(self._source))
            first = await asyncio.to_thread(next, pieces, b"")
        except FAILURES as error:
            log.error("exporting %s: %s", found.key, error)
            return problem(500, "not-exportable", f"{error}; `holdpoint audit verify` says more")
        name = f"holdpoint-{found.key}{form.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        answer = web.StreamResponse(headers=headers)
        answer.content_type = form.media_type
        await answer.prepare(request)
        try:
            await answer.write(first)
            while piece := await asyncio.to_thread(_next, pieces):
                await answer.write(piece)
        except FAILURES as error:
            log.error("exporting %s broke off: %s", found.key, error)
            # No end is written: whoever reads knows that it is not whole.
            if request.transport is not None:
                request.transport.abort()
            raise
        await answer.write_eof()
        return answer


def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece that is not empty; nothing at the end."""
    return next((piece for piece in pieces if piece), b"")
