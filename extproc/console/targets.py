"""Targets, for administrators.

GET    /targets              {"version", "refused": {"at", "why"} or null, "targets": [...]}: what is in force, and
                             why the files say something else that is not
POST   /targets              {"name", "settings": {...}, "replace"?} → the target, once it is in force; `settings` are
                             those of docs/configuration.md below `targets.<name>`
DELETE /targets/{name}       the target that was, once it is in force no more
POST   /targets/{name}/test  {"path"?} → {"ok", "steps": [{"step", "ok", "detail"}]}: connect to it and ask once, with
                             its credential
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.console import body
from extproc.console.admin import administrator
from extproc.console.problem import BadRequest, problem
from extproc.domain.json import Document
from extproc.domain.principal import Principal

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_PATH = re.compile(r"/[!-~]{0,1023}")
_WANTED = '{"name": "crm", "settings": {"upstream": "https://crm.example.com", ...}, "replace": true or false}'
_STATUS = {
    "no-such-target": 404,
    "target-exists": 409,
    "not-in-folder": 409,
    "credential-not-yours": 403,
    "not-in-force": 503,
}


class TargetRefused(Exception):
    """A change of targets that is not made, or not in force. `code` is one of: bad-target, no-such-target,
    target-exists, not-in-folder, credential-not-yours, not-in-force. The message is for people, and names files and
    lines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TargetBook(Protocol):
    """What can be done about targets. All of it raises TargetRefused; what changes something raises JournalUnwritable
    too, and then nothing was changed."""

    def shown(self) -> Document:
        """What is in force."""
        ...

    async def add(self, name: str, settings: Mapping[str, Any], by: Principal, *, replace: bool) -> Document:
        """Add a target, or with `replace` change one, and wait until it is in force."""
        ...

    async def remove(self, name: str, by: Principal) -> Document:
        """Remove a target, and wait until it is in force no more."""
        ...

    async def test(self, name: str, path: str, by: Principal) -> Document:
        """Ask the target once."""
        ...


def routes(book: TargetBook) -> Sequence[web.RouteDef]:
    """The routes above."""
    of = _Targets(book)
    return (
        web.get("/targets", _told(of.list)),
        web.post("/targets", _told(of.add)),
        web.delete("/targets/{name}", _told(of.remove)),
        web.post("/targets/{name}/test", _told(of.test)),
    )


class _Targets:
    def __init__(self, book: TargetBook) -> None:
        self._book = book

    async def list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._book.shown())

    async def add(self, request: web.Request) -> web.StreamResponse:
        shapes: dict[str, Callable[[object], bool]] = {"name": body.name, "settings": lambda v: isinstance(v, dict)}
        asked = await body.read(request, _WANTED, shapes, {"replace": body.flag})
        name, replace = _name(asked["name"]), asked.get("replace", False)
        return web.json_response(await self._book.add(name, asked["settings"], administrator(request), replace=replace))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        name = _name(request.match_info["name"])
        return web.json_response(await self._book.remove(name, administrator(request)))

    async def test(self, request: web.Request) -> web.StreamResponse:
        asked = await body.read(request, '{"path": "/"} or {}', {}, {"path": body.text})
        path = asked.get("path", "/")
        if not _PATH.fullmatch(path):
            raise BadRequest("path: expected one that starts with / and has no spaces")
        name = _name(request.match_info["name"])
        return web.json_response(await self._book.test(name, path, administrator(request)))


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadRequest("name: expected 1 to 40 of the characters a-z, 0-9 and, inside, -")
    return text


def _told(handler: Handler) -> Handler:
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except TargetRefused as error:
            return problem(_STATUS.get(error.code, 422), error.code, str(error))

    return told
