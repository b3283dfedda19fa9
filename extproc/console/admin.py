"""What routes for administrators share: who they are, what they raise, and records that come before changes."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.access.ports import AccessUnavailable
from extproc.access.service import AccessRefused, Refused
from extproc.approvals.records import rfc3339
from extproc.console.callers import NotAdministrator, caller
from extproc.console.problem import problem
from extproc.domain.json import JSON, Document
from extproc.domain.ports import Journal, JournalUnwritable
from extproc.domain.principal import Principal

log = logging.getLogger(__name__)

_STATUS = {
    Refused.UNKNOWN_TOKEN: 404,
    Refused.NOT_FROZEN: 404,
    Refused.UNKNOWN_PASSWORD: 404,
    Refused.TOO_MANY_PASSWORDS: 429,
}


@dataclass(frozen=True, slots=True)
class Administration:
    """What administrators may do (`routes`, each behind the administrators' door), and what gives the groups of
    approvers that make one; without any, that are only root and the gateway's user."""

    groups: Callable[[], Collection[str]]
    routes: Sequence[web.RouteDef]


def administrator(request: web.Request) -> Principal:
    """Who asks for this, in a handler of `Administration.routes`."""
    return caller(request)


@web.middleware
async def access_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what access raises into a problem document."""
    try:
        return await handler(request)
    except NotAdministrator as error:
        return problem(403, "not-administrator", str(error))
    except AccessRefused as error:
        return problem(_STATUS.get(error.code, 422), error.code.value, str(error))
    except AccessUnavailable as error:
        log.error("access: %s", error)
        detail = "the store of tokens and freezes can't be used; nothing was changed (the gateway's log says why)"
        return problem(503, "access-unavailable", detail)
    except JournalUnwritable as error:
        log.error("journal: %s", error)
        return problem(503, "journal-unwritable", "the journal can't be written; nothing was changed")


@contextmanager
def recording(journal: Journal, kind: str, by: Principal) -> Iterator[Callable[[str, Document], None]]:
    """Gives what writes a record `{"at", "what", "by", ...}` ahead of a change, from the store's thread. Where the
    change then fails, a record says that it came to nothing: `what` is `undone`, `undone` what was said before."""
    written: list[tuple[str, Document]] = []

    def write(what: str, body: Document) -> None:
        written.append((what, body))
        journal.append(kind, _record(what, by, body))

    try:
        yield write
    except AccessUnavailable:
        for what, body in written:
            journal.append(kind, _record("undone", by, {**body, "undone": what}))
        raise


def _record(what: str, by: Principal, body: Document) -> dict[str, JSON]:
    return {"at": rfc3339(time.time()), "what": what, "by": by.document(), **body}
