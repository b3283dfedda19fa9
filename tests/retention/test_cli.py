"""`holdpoint audit legal-hold`, `purge`, `receipt` and `retention`: against a control socket, and on files."""

import asyncio
import errno
import io
import json
import os
import pty
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from extproc.adapters.access import AccessList
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import Approvers, Provider
from extproc.approvals.service import Holds
from extproc.audit.keys import PublicKeys
from extproc.audit.retention.receipt import verify_receipt
from extproc.cli._common import CommandError
from extproc.cli.retention import _wait
from extproc.console import api, retention
from extproc.console.admin import Administration
from extproc.console.control import listen_unix
from tests.access.making import Store
from tests.approvals.making import AUDIENCE, PEOPLE, Issuer
from tests.retention.conftest import House

ROOT = Path(__file__).parents[2]
ISSUER = Issuer()
# Good for longer than any run of all tests.
LATER = int(time.time()) + 24 * 3600
ADMIN, NOBODY = ISSUER.token("ada", ["platform"], exp=LATER), ISSUER.token("bob", ["dba"], exp=LATER)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="hp") as name:
        yield Path(name)


async def command(*arguments: str | Path, stdin: int | None = None, **env: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "extproc.cli", "audit", *map(str, arguments)),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def control(folder: Path, house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """A control socket with the routes of retention, for the group `platform`."""
    hold_store = await SqliteHolds.open(folder / "holds.db")
    keys = ISSUER.write(folder / "jwks.json")
    listener = listen_unix(folder / "control.sock")
    async with Store(folder) as store:
        standing = AccessList.open(store.path)
        verifier = Approvers([Provider(PEOPLE, AUDIENCE, keys)], ["holdpoint"], standing)
        routes = retention.routes(house.state, house.store, house["control"], lambda: house.rules)
        administration = Administration(lambda: ("platform",), routes)
        runner = web.AppRunner(api.application(Holds(hold_store), verifier, house["control"], administration))
        await runner.setup()
        await web.SockSite(runner, listener).start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / "control.sock"))) as session:
            yield session
        await runner.cleanup()
        standing.close()
        await hold_store.close()


def against(
    folder: Path, house: House, test: Callable[[aiohttp.ClientSession], Awaitable[None]], working: bool = True
) -> None:
    """Run a test against a control socket in the folder; with `working`, the archivist works beside it."""

    async def archivist() -> None:
        while True:
            await asyncio.to_thread(house.indexer.step)
            await asyncio.to_thread(house.retention.step)
            await asyncio.sleep(0.01)

    async def run() -> None:
        async with control(folder, house) as session:
            beside = asyncio.create_task(archivist()) if working else None
            try:
                await test(session)
            finally:
                if beside is not None:
                    beside.cancel()
                    await asyncio.gather(beside, return_exceptions=True)

    asyncio.run(run())


def test_a_purge_from_the_command_line(folder: Path, house: House) -> None:
    """Shown, done, and with a receipt that the public key checks."""
    for n in range(3):
        house.act("worker-0", "wiki", "wendy", f"Mustermann {n}")
    house.act("worker-0", "crm", "carl", "of carl")
    receipt, key = folder / "receipt.json", house.state / "keys" / "audit.pub"
    socket = ("--control", folder / "control.sock")

    async def test(_: aiohttp.ClientSession) -> None:
        code, out, _err = await command("purge", "mustermann", "--principal", "wendy", "--dry-run", *socket)
        assert (code, out.splitlines()[0]) == (0, "3 actions fit; 3 recorded bodies of them would be deleted")
        assert len(list(house.folder.list())) == 4
        what = ("purge", "--principal", "wendy", *socket)
        code, out, err = await command(*what)
        assert (code, out) == (2, "")
        assert "--reason" in err
        code, out, err = await command(*what, "--reason", "asked")
        assert (code, out) == (2, "")
        assert "give --yes" in err
        assert len(list(house.folder.list())) == 4
        code, out, err = await command(*what, "--reason", "asked", "--yes", "--receipt", receipt)
        assert (code, out) == (0, "")
        assert "3 bodies are deleted" in err
        code, out, _err = await command("receipt", receipt, "--key", key)
        assert code == 0
        assert "3 bodies deleted, 0 kept on legal hold" in out
        code, out, err = await command(*what, "--reason", "asked", "--yes", "--receipt", receipt)
        assert (code, out) == (2, "")
        assert "name a file that is not there yet" in err
        purge_id = json.loads(receipt.read_text())["purge"]["id"]
        code, out, _err = await command("purge", "--receipt-of", purge_id, *socket)
        assert (code, json.loads(out)) == (0, json.loads(receipt.read_text()))

    against(folder, house, test)
    assert (receipt.stat().st_mode & 0o777) == 0o600
    verify_receipt(json.loads(receipt.read_text()), PublicKeys.load([key]))
    receipt.write_text(receipt.read_text().replace("asked", "a joke"))
    code, _, err = asyncio.run(command("receipt", receipt, "--key", key))
    assert (code, "not as it was signed" in err) == (1, True)
    assert len(list(house.folder.list())) == 1
    assert house.faults() == []


@pytest.mark.parametrize(("answer", "left"), [("purge\n", 0), ("no\n", 1), ("\x04", 1)])
def test_a_person_is_asked(folder: Path, house: House, answer: str, left: int) -> None:
    """With numbers; whatever is not the word ends it."""
    house.act("worker-0", "wiki", "wendy", "Mustermann")
    receipt = folder / "receipt.json"

    async def test(_: aiohttp.ClientSession) -> None:
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        what = ("purge", "--principal", "wendy", "--reason", "asked", "--receipt", receipt)
        code, _out, err = await command(*what, "--control", folder / "control.sock", stdin=theirs)
        os.close(ours)
        os.close(theirs)
        assert "1 actions fit; 1 recorded bodies" in err
        assert (code == 0) == (left == 0)

    against(folder, house, test)
    assert len(list(house.folder.list())) == left
    assert receipt.exists() == (left == 0)


def test_an_interrupted_wait(folder: Path, house: House) -> None:
    """Ctrl-C ends the waiting and not the purge, and says how to get the receipt."""
    house.act("worker-0", "wiki", "wendy", "Mustermann")
    house["control"].append("alarm", {"code": "tick"})
    house.index()

    async def test(_: aiohttp.ClientSession) -> None:
        what = (
            "purge",
            "--principal",
            "wendy",
            "--reason",
            "asked",
            "--yes",
            "--control",
            str(folder / "control.sock"),
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "extproc.cli", "audit", *what),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        begun = (await process.stderr.readline()).decode()
        assert "1 bodies go" in begun
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert (process.returncode, out) == (130, b"")
        assert f"--receipt-of {begun.split()[1].rstrip(':')}" in err.decode()

    against(folder, house, test, working=False)
    assert house.store.purges(open_only=True) != []
    house.keep_house()
    assert house.store.purges(open_only=True) == []
    assert list(house.folder.list()) == []


def test_a_receipt_that_does_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was deleted stays deleted, and it is said how its receipt is to be had."""

    class Asked:
        def receipt(self, purge_id: str, progress: object) -> dict[str, Any]:
            return {"addresses": {}}

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CommandError, match=r"--receipt-of 3f9a --receipt FILE"):
        _wait(cast("Any", Asked()), "3f9a", Full())
    assert "done" not in capsys.readouterr().err


def test_legal_holds_and_the_report(folder: Path, house: House) -> None:
    """Placed, listed, lifted; and what is kept how long."""
    house.act("worker-0", "wiki", "wendy", "Mustermann")
    socket = ("--control", folder / "control.sock")

    async def test(_: aiohttp.ClientSession) -> None:
        assert await command("legal-hold", "list", *socket) == (0, "no legal holds\n", "")
        code, _out, err = await command("legal-hold", "place", "--reason", "x", *socket)
        assert (code, "say what to keep" in err) == (2, True)
        what = ("--principal", "wendy", "--since", "30d", "--reason", "lawsuit 7")
        code, out, _err = await command("legal-hold", "place", *what, "--json", *socket)
        hold = json.loads(out)
        assert (code, hold["selects"]["principal"], hold["reason"]) == (0, "wendy", "lawsuit 7")
        code, out, _err = await command("legal-hold", "list", *socket)
        assert out.splitlines()[0].startswith(f"{hold['id']}  principal wendy, since 20")
        code, out, _err = await command("retention", *socket)
        rows = [line.split() for line in out.splitlines()]
        assert rows[2][:4] == ["wiki", "60d", "1", "0"]
        assert rows[4][:3] == ["legal", "holds:", "1;"]
        code, out, _err = await command("legal-hold", "lift", hold["id"], "--reason", "settled", *socket)
        assert code == 0
        code, _out, err = await command("legal-hold", "lift", hold["id"], "--reason", "settled", *socket)
        assert (code, "there is no legal hold of that id" in err) == (2, True)

    against(folder, house, test)
    assert [r.body["what"] for r in house.said("legal-hold", "control")] == ["placed", "lifted"]


def test_who_may_not(folder: Path, house: House) -> None:
    """Nobody but those with the role, and nothing is said to others."""

    async def test(_: aiohttp.ClientSession) -> None:
        what = ("legal-hold", "place", "--target", "crm", "--reason", "x", "--control", folder / "control.sock")
        code, _out, err = await command(*what, HOLDPOINT_TOKEN=NOBODY)
        assert code == 2
        assert "not yours to change" in err
        code, _out, err = await command(*what, HOLDPOINT_TOKEN=ADMIN)
        assert code == 0

    against(folder, house, test)
    (placed,) = house.said("legal-hold", "control")
    assert placed.body["by"]["subject"] == "ada"


REFUSED: tuple[tuple[str, str, Any, str], ...] = (
    ("POST", "/v1/legal-holds", {"reason": "x"}, "expected an object with one or more of"),
    ("POST", "/v1/legal-holds", {"target": "crm"}, "reason: missing"),
    ("POST", "/v1/legal-holds", {"reason": "x", "since": "yesterday"}, "a time with a zone"),
    ("POST", "/v1/legal-holds", {"reason": "x", "host": "a"}, "not a member"),
    ("DELETE", "/v1/legal-holds/0123456789abcdef", None, "?reason="),
    ("POST", "/v1/purges", {"query": {}, "reason": "x"}, "say what to purge"),
    ("POST", "/v1/purges", {"query": {"words": [7]}, "dry_run": True}, "not as expected"),
    ("POST", "/v1/purges", {"query": {"words": ["_"]}, "dry_run": True}, "say what to purge"),
    ("POST", "/v1/purges", {"query": {"principal": "wendy"}}, "reason: missing"),
    ("POST", "/v1/purges", {"query": {"limit": "3"}, "dry_run": True}, "expected texts for some of"),
    ("POST", "/v1/purges", {"query": {"until": "2026-01-01"}, "dry_run": True}, "a time with a zone"),
    ("POST", "/v1/purges", {"query": "wendy", "dry_run": True}, "not as expected"),
    ("GET", "/v1/purges/0123456789abcdef", None, "no purge of that id"),
    ("GET", "/v1/purges/..", None, ""),
)


def test_what_the_api_refuses(folder: Path, house: House) -> None:
    """Each with what would be right; nothing is recorded."""
    house["control"].append("alarm", {"code": "tick"})
    house.index()

    async def test(session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        for method, path, document, says in REFUSED:
            async with session.request(method, f"http://gateway{path}", json=document, headers=headers) as response:
                assert 400 <= response.status < 500
                assert says in (await response.json(content_type=None))["detail"]

    against(folder, house, test, working=False)
    assert house.said("legal-hold") + house.said("purge") == []


def test_an_index_that_does_not_come(folder: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that nothing was done."""
    monkeypatch.setattr("extproc.audit.retention.purge.WAIT_SECONDS", 0.0)
    house.act("worker-0", "wiki", "wendy", "Mustermann")

    async def test(session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        asked = {"query": {"principal": "wendy"}, "reason": "x"}
        async with session.post("http://gateway/v1/purges", json=asked, headers=headers) as response:
            assert response.status == 503
            assert "nothing was done" in (await response.json(content_type=None))["detail"]

    against(folder, house, test, working=False)
    assert house.store.purges() == []


def test_on_files(folder: Path, house: House) -> None:
    """Where no gateway runs; what was done is in the stream `operator`, and verification knows it."""
    house.act("worker-0", "wiki", "wendy", "Mustermann")
    house.act("worker-0", "wiki", "carl", "held words")
    (house.state / "run").mkdir()
    (house.state / "keys" / "digest.key").write_bytes(b"d" * 32)
    house.close()
    config = folder / "holdpoint.yaml"
    config.write_text((ROOT / "examples" / "holdpoint.yaml").read_text())
    where = ("--state", house.state, "-c", config)

    async def test() -> None:
        code, out, err = await command("legal-hold", "place", "--principal", "carl", "--reason", "x", *where)
        assert code == 0, err
        code, out, err = await command("purge", "--target", "wiki", "--reason", "asked", "--yes", *where)
        assert code == 0, err
        assert (len(json.loads(out)["addresses"]), json.loads(out)["purge"]["kept"]) == (1, 1)
        code, out, err = await command("retention", *where)
        assert code == 0, err

    asyncio.run(test())
    house._begin()
    assert [r.kind for r in house.said("purge", "operator") + house.said("body-deleted", "operator")] == [
        "purge", "body-deleted"
    ]  # fmt: skip
    assert house.contains("Mustermann") == []
    assert house.contains("held words") != []
    assert house.faults() == []
