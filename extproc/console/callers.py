"""Who calls: each group of routes has its own way of knowing them, and says nothing before."""

import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from extproc.approvals.ports import Verifier
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind, Principal

MACHINE = "unix"
"""The `Principal.credential` of root and the gateway's own user, who can read what the gateway can."""

_CALLER = web.RequestKey("caller", Principal)
_CREDENTIALS = struct.Struct("3i")
# What Linux shows of a user that this namespace has no number for.
_OVERFLOW_UID = 65534

Door = Callable[[web.Request], Awaitable[Principal]]


class NotAdministrator(Exception):
    """Somebody known, who may not do this. The message says who may."""


def caller(request: web.Request) -> Principal:
    """Who calls, after the request came in by a door."""
    return request[_CALLER]


def behind(door: Door, route: web.RouteDef) -> web.RouteDef:
    """The route, for those whom `door` lets in."""

    async def handler(request: web.Request) -> web.StreamResponse:
        request[_CALLER] = await door(request)
        return await inner(request)

    inner: Callable[[web.Request], Awaitable[web.StreamResponse]] = route.handler
    return web.RouteDef(route.method, route.path, handler, route.kwargs)


class Doors:
    """The ways in."""

    def __init__(self, verifier: Verifier, administrators: Callable[[], Collection[str]] = tuple) -> None:
        """`administrators` gives the groups of approvers who may change who and what is let in."""
        self._verifier = verifier
        self._administrators = administrators

    async def person(self, request: web.Request) -> Principal:
        """An approver, by their Bearer token. Raises IdentityRefused."""
        values = request.headers.getall("Authorization", [])
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            raise IdentityRefused("one Authorization header with an approver's Bearer token is needed", Why.MISSING)
        return await self._verifier.verify(token.strip())

    async def known(self, request: web.Request) -> Principal:
        """An approver by their token; or, where none is shown, whoever runs as root or as the gateway's own user.
        What they may do is for others to ask. Raises IdentityRefused and NotAdministrator."""
        return await (self.person if "Authorization" in request.headers else self.administrator)(request)

    async def administrator(self, request: web.Request) -> Principal:
        """An approver in an administrators' group; or, where no Authorization header is, whoever runs as root or as
        the gateway's own user on this machine: these can't be frozen, so that somebody can thaw. Raises IdentityRefused
        and NotAdministrator."""
        if "Authorization" in request.headers:
            person = await self.person(request)
            groups = sorted(set(self._administrators()))
            if set(groups).isdisjoint(person.groups):
                yours = ", ".join(sorted(person.groups)) or "none"
                who = f"members of: {', '.join(groups)}" if groups else "root and the gateway's user on its machine"
                raise NotAdministrator(f"this is for {who} (identity.administrators); yours: {yours}")
            return person
        user = _peer(request)
        if user is None:
            raise IdentityRefused("an Authorization header with an administrator's Bearer token is needed", Why.MISSING)
        if user not in (0, os.geteuid()) or user == _OVERFLOW_UID:
            raise NotAdministrator(
                "without a token this is for root and the gateway's user; sign in, or use sudo on the gateway's machine"
            )
        return Principal(f"unix:{socket.gethostname()}", _user_name(user), Kind.HUMAN, credential=MACHINE)


def _peer(request: web.Request) -> int | None:
    """The user who opened this unix socket's connection, as the kernel knows it; None for other connections."""
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
