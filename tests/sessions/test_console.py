"""The trail on the control socket: who may, and that `holdpoint sessions` reads the same there as from files."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from extproc.adapters.identity import Approvers, Provider
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.index import Index, Indexer
from extproc.audit.library import Library, Role
from extproc.cli import main
from extproc.console.admin import access_problems
from extproc.console.callers import Doors, behind, caller
from extproc.console.control import listen_unix
from extproc.console.problem import problems
from extproc.console.rights import Rights
from extproc.console.sessions import routes
from extproc.domain.principal import Principal
from tests.approvals.making import AUDIENCE, PEOPLE, Issuer
from tests.sessions.making import Trail
from tests.sessions.test_library import Journal

ISSUER = Issuer()
GROUPS = {Role.LIST: ("auditors", "security"), Role.READ: ("auditors",)}


@dataclass
class Console:
    """The routes on a socket, and what is behind them."""

    socket: Path
    session: aiohttp.ClientSession
    journal: Journal
    library: Library

    async def get(self, path: str, *groups: str, **query: str) -> tuple[int, Any]:
        """Status and document (or bytes) of a call by somebody of these groups; of root, without any."""
        headers = {"Authorization": f"Bearer {ISSUER.token('ann', groups=list(groups))}"} if groups else {}
        address = f"http://gateway{path}" + (f"?{urlencode(query)}" if query else "")
        async with self.session.get(address, headers=headers) as response:
            data = await response.read()
            json_ = "json" in response.content_type
            return response.status, json.loads(data) if json_ else data


@asynccontextmanager
async def console(trail: Trail) -> AsyncIterator[Console]:
    """The routes, for as long as the context lasts."""
    indexer = Indexer(trail.state)
    while indexer.step():
        continue
    indexer.close()
    index, journal = Index(trail.state), Journal()
    library = Library(trail.state, index, Bodies(BodyFolder(trail.state / "bodies")), journal)
    doors = Doors(Approvers([Provider(PEOPLE, AUDIENCE, ISSUER.write(trail.state / "jwks.json"))], ["holdpoint"]))

    async def known(request: web.Request) -> Principal:
        return await (doors.person if "Authorization" in request.headers else doors.administrator)(request)

    async def taken(request: web.Request) -> web.StreamResponse:
        return web.json_response({"by": caller(request).subject})

    rights = Rights(lambda: GROUPS, lambda: ("admins",))
    app = web.Application(middlewares=[problems, access_problems])
    app.add_routes([behind(known, route) for route in routes(library, rights)])
    app.add_routes([behind(rights.door(known, Role.READ), web.get("/v1/taken", taken))])
    runner = web.AppRunner(app, access_log=None)
    socket = trail.state / "c.sock"
    listener = listen_unix(socket)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:
            yield Console(socket, session, journal, library)
    finally:
        await runner.cleanup()
        listener.close()
        index.close()


def on(trail: Trail, test: Callable[[Console], Coroutine[Any, Any, None]]) -> None:
    """Run a test against the routes."""

    async def run() -> None:
        async with console(trail) as opened:
            await test(opened)

    asyncio.run(run())


DECISION = "a1".ljust(24, "0")


@pytest.mark.parametrize(
    ("groups", "lists", "reads"),
    [
        ((), 200, 200),
        (("admins",), 200, 200),
        (("auditors",), 200, 200),
        (("security",), 200, 403),
        (("dba",), 403, 403),
    ],
)
def test_each_group_may_what_its_role_says(filled: Trail, groups: tuple[str, ...], lists: int, reads: int) -> None:
    """Root without a token may all; a refused reading leaves no record."""

    async def test(opened: Console) -> None:
        address = filled.records("delivery")[0].body["bodies"]["response"]["address"]
        lists_of = ("/v1/sessions", "/v1/sessions/7571c857e4", "/v1/decisions", "/v1/events?kind=vote")
        for path in (*lists_of, f"/v1/decisions/{DECISION}"):
            assert (await opened.get(path, *groups))[0] == lists
        status, data = await opened.get(f"/v1/bodies/{address}", *groups, decision=DECISION)
        assert status == reads
        assert (data == b'{"total": 3, "names": ["M\xc3\xbcller"]}') == (reads == 200)
        assert [kind for kind, _ in opened.journal.records] == (["reading"] if reads == 200 else [])
        assert (await opened.get("/v1/taken", *groups))[0] == reads

    on(filled, test)


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/decisions"])
def test_looking_for_words_in_bodies_is_reading(filled: Trail, path: str) -> None:
    """It is recorded first, or refused; who may not read them looks in the records alone."""

    async def test(opened: Console) -> None:
        name = path.rpartition("/")[2]
        assert (await opened.get(path, "security", word="invoices"))[1][name] == []
        assert opened.journal.records == []
        assert len((await opened.get(path, "auditors", word="invoices"))[1][name]) == 1
        ((kind, body),) = opened.journal.records
        assert (kind, body["what"], body["words"]) == ("reading", "words", ["invoices"])
        opened.journal.full = True
        assert (await opened.get(path, "auditors", word="invoices"))[0] == 503
        assert (await opened.get(path, "auditors"))[0] == 200

    on(filled, test)


def test_the_reader_is_named(filled: Trail) -> None:
    """By the token that came with the call."""

    async def test(opened: Console) -> None:
        address = filled.records("delivery")[0].body["bodies"]["request"]["address"]
        await opened.get(f"/v1/bodies/{address}", "auditors", decision=DECISION)
        ((_, body),) = opened.journal.records
        by = body["by"]
        assert isinstance(by, dict)
        assert (by["subject"], body["lane"]) == ("ann", "request")
        opened.journal.full = True
        assert (await opened.get(f"/v1/bodies/{address}", "auditors", decision=DECISION))[0] == 503

    on(filled, test)


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/v1/sessions", {"effect": "deny"}, 400, "effect: expected one of allow, mask, hold, block"),
        ("/v1/sessions", {"since": "yesterday"}, 400, "since: expected a time"),
        ("/v1/sessions", {"since": "2027-01-15T08:00:00"}, 400, "since: expected a time"),
        ("/v1/sessions", {"limit": "-1"}, 400, "limit: expected a whole number"),
        ("/v1/sessions", {"before": "9" * 19}, 400, "before: expected a whole number"),
        ("/v1/sessions", {"colour": "red"}, 400, "'colour': expected one of"),
        ("/v1/decisions", {"effect": "deny"}, 400, "effect: expected one of allow, mask, hold, block"),
        ("/v1/decisions", {"kind": "vote"}, 400, "'kind': expected one of principal"),
        ("/v1/events", {}, 400, "kind: expected 1 to 64 kinds"),
        ("/v1/events", {"kind": "vote", "effect": "hold"}, 400, "'effect': expected one of principal"),
        ("/v1/events", {"kind": "vote", "until": "now"}, 400, "until: expected a time"),
        ("/v1/sessions/x-y", {}, 400, "expected an id"),
        ("/v1/sessions/ffff", {}, 404, "no session"),
        ("/v1/decisions/a", {}, 404, "several decisions start with 'a'"),
        (f"/v1/bodies/{'0' * 64}", {"decision": DECISION}, 404, "no body"),
        (f"/v1/bodies/{'0' * 64}", {}, 400, "expected an id"),
    ],
)
def test_what_can_t_be_answered_is_said(
    filled: Trail, path: str, query: dict[str, str], status: int, said: str
) -> None:
    """As a problem document, with what would be right."""

    async def test(opened: Console) -> None:
        given, document = await opened.get(path, "auditors", **query)
        assert given == status
        assert said in document["detail"]

    on(filled, test)


def test_pages_are_followed(filled: Trail) -> None:
    """`next` of one page asks for the next; all together are all of it."""

    async def test(opened: Console) -> None:
        names, before = [], "0"
        while True:
            _, page = await opened.get("/v1/sessions", "auditors", limit="1", before=before)
            names += [row["session"] for row in page["sessions"]]
            if page["next"] is None:
                break
            before = str(page["next"])
        assert names == ["s-3", "s-2", "s-1"]
        _, page = await opened.get("/v1/sessions/7571", "auditors", limit="2")
        _, rest = await opened.get("/v1/sessions/7571", "auditors", after=str(page["next"]))
        ids = [e["decision"]["id"][:2] for e in page["exchanges"] + rest["exchanges"]]
        assert (ids, rest["next"]) == (["a1", "a2", "a3"], None)
        for path, name, total in (("/v1/decisions", "decisions", 5), ("/v1/events", "events", 2)):
            query = {"kind": "session"} if name == "events" else {}
            _, whole = await opened.get(path, "auditors", **query)
            _, page = await opened.get(path, "auditors", limit="1", **query)
            _, rest = await opened.get(path, "auditors", before=str(page["next"]), **query)
            assert page[name] + rest[name] == whole[name]
            assert (len(whole[name]), whole["behind"]) == (total, 0)

    on(filled, test)


def test_a_body_that_is_gone_is_said(filled: Trail) -> None:
    """And that it would have been read is no record."""

    async def test(opened: Console) -> None:
        address = filled.records("delivery")[0].body["bodies"]["response"]["address"]
        BodyFolder(filled.state / "bodies").delete(address)
        status, document = await opened.get(f"/v1/bodies/{address}", "auditors", decision=DECISION)
        assert (status, document["code"]) == (410, "body-gone")
        assert opened.journal.records == []

    on(filled, test)


def test_the_index_that_is_missing_is_said(filled: Trail) -> None:
    """Not as an empty list."""

    async def test(opened: Console) -> None:
        for path in filled.state.glob("index.db*"):
            path.unlink()
        status, document = await opened.get("/v1/sessions", "auditors")
        assert (status, document["code"]) == (503, "index-unusable")

    on(filled, test)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "list"],
        ["sessions", "list", "zebra", "--json"],
        ["sessions", "show", "7571"],
        ["sessions", "show", "b1"],
        ["sessions", "replay", "7571"],
        ["audit", "list"],
        ["audit", "list", "--kind", "vote"],
        ["audit", "list", "--kind", "session", "--principal", "agent-7", "--json"],
    ],
)
def test_the_command_line_reads_the_same_from_both(
    filled: Trail, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A gateway and its files tell one story; only where its Jaeger is, files alone don't know."""

    async def test(opened: Console) -> None:
        assert await asyncio.to_thread(main, [*arguments, "--control", str(opened.socket)]) == 0

    on(filled, test)
    asked = capsys.readouterr().out
    filled.close()
    assert main([*arguments, "--state", str(filled.state)]) == 0
    assert asked
    assert asked.replace("trace     ", "trace     http://127.0.0.1:16686/trace/") == capsys.readouterr().out


def test_replay_goes_on_without_bodies_that_are_not_the_reader_s(
    filled: Trail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, in their place."""
    monkeypatch.setenv("HOLDPOINT_TOKEN", ISSUER.token("sam", groups=["security"]))

    async def test(opened: Console) -> None:
        assert await asyncio.to_thread(main, ["sessions", "replay", "7571", "--control", str(opened.socket)]) == 0

    on(filled, test)
    out = " ".join(capsys.readouterr().out.split())
    assert "POST /v1/chat" in out
    assert "zebra" not in out
    assert "this takes the role" in out
