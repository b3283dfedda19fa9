"""Holds, for the people who answer them. Every call carries an approver's token.

GET  /holds?state=pending        {"holds": [...], "more": number}: holds that ask a group of the caller, without
                                 the text of requests; pending ones oldest first, others newest first; state
                                 `all` for every state; `after=<the last id>` for the next page
GET  /holds/{id}                 one hold
POST /holds/{id}/votes           {"approve": bool, "reason": text} → the hold after the vote
"""

import re
import time
from collections.abc import Sequence

from aiohttp import web

from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.ports import HoldsUnavailable
from extproc.approvals.records import hold_record, vote_record
from extproc.approvals.service import Holds
from extproc.console import body
from extproc.console.callers import caller
from extproc.console.problem import BadRequest
from extproc.console.views import may_see, view
from extproc.domain.hold import Hold, HoldState
from extproc.domain.json import JSON
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

LIST_LIMIT = 200
_ID = re.compile(r"[0-9a-f]{16}")


def routes(holds: Holds, journal: Journal) -> Sequence[web.RouteDef]:
    """The routes above. `journal` must be safe to append to from another thread: votes are recorded in the store's."""
    of = _Holds(holds, journal)
    return (
        web.get("/holds", of.list),
        web.get("/holds/{id}", of.show),
        web.post("/holds/{id}/votes", of.vote),
    )


class _Holds:
    def __init__(self, holds: Holds, journal: Journal) -> None:
        self._holds, self._journal = holds, journal

    async def list(self, request: web.Request) -> web.Response:
        state = request.query.get("state", "pending")
        if state != "all" and state not in list(HoldState):
            raise BadRequest(f"state: expected one of all, {', '.join(HoldState)}")
        after = request.query.get("after")
        if after is not None and not _ID.fullmatch(after):
            raise BadRequest("after: expected a hold's id, which is 16 hexadecimal digits")
        person, wanted = caller(request), None if state == "all" else HoldState(state)
        page = await self._holds.find(wanted, frozenset(person.groups), after, LIST_LIMIT)
        return web.json_response({"holds": [self._view(hold, person) for hold in page.holds], "more": page.more})

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(self._view(await self._hold(request), caller(request)))

    async def vote(self, request: web.Request) -> web.Response:
        """The journal has the vote before the store does, inside the store's transaction: a vote that can't be recorded
        is undone. A recorded one whose commit failed has no effect, and a further `hold` record says so."""
        hold, person, journal = await self._hold(request), caller(request), self._journal
        ballot = await body.read(
            request,
            '{"approve": true or false, "reason": "..."} as the vote',
            {"approve": body.flag, "reason": body.text},
        )

        recorded: list[Hold] = []

        def witness(before: Hold, after: Hold) -> None:
            recorded.append(before)
            journal.append("vote", vote_record(after))
            if after.state is not before.state:
                journal.append("hold", hold_record(after, after.votes[-1].at))

        try:
            voted = await self._holds.vote(hold.id, person, ballot["approve"], ballot["reason"], witness)
        except HoldsUnavailable:
            for before in recorded:
                journal.append("hold", hold_record(before, time.time()))
            raise
        return web.json_response(self._view(voted, person))

    def _view(self, hold: Hold, person: Principal) -> dict[str, JSON]:
        return view(hold, person, self._holds.unfit(hold.principal, person))

    async def _hold(self, request: web.Request) -> Hold:
        hold_id = request.match_info["id"]
        if not _ID.fullmatch(hold_id):
            raise HoldRefused(Refused.UNKNOWN, "a hold's id is 16 hexadecimal digits")
        hold, person = await self._holds.get(hold_id), caller(request)
        if not may_see(hold, person):
            groups, yours = sorted({r.group for r in hold.requirements}), sorted(person.groups)
            message = f"this hold is for members of: {', '.join(groups)}; yours: {', '.join(yours) or 'none'}"
            raise HoldRefused(Refused.NOT_IN_GROUP, message)
        return hold
