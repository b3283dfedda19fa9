"""The API on the control socket: holds for approvers, what administrators may change, and the audit trail. Nobody is
told anything, not even what there is, before it is known who they are. Errors are problem documents (see `problem`)."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from extproc.approvals.ports import Verifier
from extproc.approvals.service import Holds
from extproc.console import holds as hold_routes
from extproc.console.admin import Administration, access_problems
from extproc.console.body import MAX_BODY_BYTES
from extproc.console.callers import Doors, behind
from extproc.console.passwords import PasswordDesk
from extproc.console.problem import problems
from extproc.console.trail import Trail
from extproc.domain.ports import Journal


def application(
    holds: Holds,
    verifier: Verifier,
    journal: Journal,
    administration: Administration | None = None,
    trail: Trail | None = None,
    passwords: PasswordDesk | None = None,
) -> web.Application:
    """The API as an aiohttp application. `journal` must be safe to append to from another thread: what is changed is
    recorded in the stores'."""
    doors = Doors(verifier, administration.groups if administration is not None else tuple)
    app = web.Application(middlewares=[problems, access_problems, _nowhere(doors)], client_max_size=MAX_BODY_BYTES)
    app.add_routes([behind(doors.person, route) for route in hold_routes.routes(holds, journal)])
    if administration is not None:
        app.add_routes([behind(doors.administrator, route) for route in administration.routes])
    if trail is not None:
        app.add_routes(trail.behind(doors))
    if passwords is not None:
        app.add_routes(passwords.behind(doors))
    return app


def _nowhere(doors: Doors) -> Middleware:
    """Asks who calls before it is said that there is no such path or method."""

    @web.middleware
    async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            await doors.known(request)
        return await handler(request)

    return ask
