"""The holds API for people. Every call carries an approver's token.

    GET  /holds?state=pending        {"holds": [...], "more": number}: holds that ask a group of the caller, without
                                     the text of requests; pending ones oldest first, others newest first; state
                                     `all` for every state; `after=<the last id>` for the next page
    GET  /holds/{id}                 one hold
    POST /holds/{id}/votes           {"approve": bool, "reason": text} → the hold after the vote

Errors are problem documents (see `problem`).
"""

import json
import re
import time
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.ports import HoldsUnavailable, IdentityRefused, Verifier
from extproc.approvals.records import hold_record, vote_record
from extproc.approvals.service import Holds
from extproc.console.problem import BadRequest, problems
from extproc.console.views import may_see, view
from extproc.domain.hold import Hold, HoldState
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

MAX_BODY_BYTES = 16_384
LIST_LIMIT = 200
_ID = re.compile(r"[0-9a-f]{16}")

_HOLDS = web.AppKey("holds", Holds)
_VERIFIER: web.AppKey[Verifier] = web.AppKey("verifier")
_JOURNAL: web.AppKey[Journal] = web.AppKey("journal")
_PERSON = web.RequestKey("person", Principal)


def application(holds: Holds, verifier: Verifier, journal: Journal) -> web.Application:
    """The API as an aiohttp application. `journal` must be safe to append to from another thread: votes are recorded
    in the store's."""
    app = web.Application(middlewares=[problems, _authenticate], client_max_size=MAX_BODY_BYTES)
    app[_HOLDS], app[_VERIFIER], app[_JOURNAL] = holds, verifier, journal
    app.add_routes([web.get("/holds", _list), web.get("/holds/{id}", _show), web.post("/holds/{id}/votes", _vote)])
    return app


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    values = request.headers.getall("Authorization", [])
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise IdentityRefused("one Authorization header with an approver's Bearer token is needed")
    request[_PERSON] = await request.app[_VERIFIER].verify(token.strip())
    return await handler(request)


async def _list(request: web.Request) -> web.Response:
    state = request.query.get("state", "pending")
    if state != "all" and state not in list(HoldState):
        raise BadRequest(f"state: expected one of all, {', '.join(HoldState)}")
    after = request.query.get("after")
    if after is not None and not _ID.fullmatch(after):
        raise BadRequest("after: expected a hold's id, which is 16 hexadecimal digits")
    person, wanted = request[_PERSON], None if state == "all" else HoldState(state)
    page = await request.app[_HOLDS].find(wanted, frozenset(person.groups), after, LIST_LIMIT)
    return web.json_response({"holds": [view(hold, person) for hold in page.holds], "more": page.more})


async def _show(request: web.Request) -> web.Response:
    return web.json_response(view(await _hold(request), request[_PERSON]))


async def _vote(request: web.Request) -> web.Response:
    """The journal has the vote before the store does, inside the store's transaction: a vote that can't be recorded
    is undone. A recorded one whose commit failed has no effect, and a further `hold` record says so."""
    hold, person, journal = await _hold(request), request[_PERSON], request.app[_JOURNAL]
    approve, reason = await _ballot(request)

    recorded: list[Hold] = []

    def witness(before: Hold, after: Hold) -> None:
        recorded.append(before)
        journal.append("vote", vote_record(after))
        if after.state is not before.state:
            journal.append("hold", hold_record(after, after.votes[-1].at))

    try:
        voted = await request.app[_HOLDS].vote(hold.id, person, approve, reason, witness)
    except HoldsUnavailable:
        for before in recorded:
            journal.append("hold", hold_record(before, time.time()))
        raise
    return web.json_response(view(voted, person))


async def _hold(request: web.Request) -> Hold:
    hold_id = request.match_info["id"]
    if not _ID.fullmatch(hold_id):
        raise HoldRefused(Refused.UNKNOWN, "a hold's id is 16 hexadecimal digits")
    hold, person = await request.app[_HOLDS].get(hold_id), request[_PERSON]
    if not may_see(hold, person):
        groups, yours = sorted({r.group for r in hold.requirements}), sorted(person.groups)
        message = f"this hold is for members of: {', '.join(groups)}; yours: {', '.join(yours) or 'none'}"
        raise HoldRefused(Refused.NOT_IN_GROUP, message)
    return hold


async def _ballot(request: web.Request) -> tuple[bool, str]:
    if request.content_type != "application/json":
        raise BadRequest("a vote is sent as application/json")
    try:
        body = json.loads(await request.read(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest('a vote is {"approve": true or false, "reason": "..."}, each member once') from None
    if (
        not isinstance(body, dict)
        or set(body) != {"approve", "reason"}
        or not isinstance(body["approve"], bool)
        or not isinstance(body["reason"], str)
    ):
        raise BadRequest('a vote is {"approve": true or false, "reason": "..."}, and nothing else')
    return body["approve"], body["reason"]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member twice")
    return dict(pairs)
