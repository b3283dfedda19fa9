"""Exporting from files and over the control socket: who took what is recorded first, and no file is half there."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from extproc.audit.export import formats
from extproc.audit.export.bundle import VERIFIER
from extproc.audit.export.exchange import of
from extproc.audit.export.gathered import NoSession, gather
from extproc.audit.index import Index, Indexer
from extproc.audit.index.rows import session_key
from extproc.audit.reader import records
from extproc.cli import _export
from extproc.cli._common import CommandError
from extproc.console import export
from extproc.console.callers import behind
from extproc.console.control import listen_unix
from extproc.console.problem import problems
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind, Principal
from tests.export import making

KEY = session_key({"principal": making.BOT, "session": making.SESSION}) or ""
AUDITOR = Principal("https://login.example.com/realms/people", "n.ito@example.com", Kind.HUMAN)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the story in it, indexed; no gateway runs on it."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.checkpoint()
    world.close()
    index(world.state)
    return world.state


def index(state: Path) -> None:
    """Bring the index up to date."""
    indexer = Indexer(state)
    while indexer.step():
        pass
    indexer.close()


def run(*arguments: str | Path) -> int:
    """The verb, as `holdpoint sessions` has it."""
    import argparse

    parser = argparse.ArgumentParser()
    _export.register_export(parser.add_subparsers())
    parsed = parser.parse_args(["export", *map(str, arguments)])
    code: int = parsed.run(parsed)
    return code


def exported(state: Path) -> list[dict[str, Any]]:
    """What operators' records say was exported."""
    return [record.body for record in records(state / "journal" / "operator") if record.kind == "export"]


def test_gathers_what_the_journal_holds(state: Path) -> None:
    """The index finds the same session as a reading of the whole journal does."""
    found = gather(state, Index(state), KEY[:6])
    whole = making.session(state)
    assert found.key == KEY
    assert [j.document() for j in found.session.exchanges()] == [j.document() for j in whole.exchanges()]
    assert {(r.stream, r.seq) for r in found.session.records()} == {(r.stream, r.seq) for r in whole.records()}
    one = gather(state, Index(state), next(whole.exchanges()).decision.body["decision"]["id"])
    assert [j.document() for j in one.session.exchanges()] == [next(whole.exchanges()).document()]


def test_says_what_it_did_not_find(state: Path) -> None:
    """What starts no session and no decision, or several, is said."""
    for start in ("", "ffff", "no such"):
        with pytest.raises(NoSession, match="no session or decision starts"):
            gather(state, Index(state), start)
    with pytest.raises(NoSession, match="several decisions start"):
        gather(state, Index(state), "0")


@pytest.mark.parametrize("form", formats.FORMATS)
def test_from_files(state: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form is written whole, for its owner alone, and recorded before."""
    out = tmp_path / "out"
    assert run(KEY[:8], "--state", state, "--format", form, "-o", out) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert str(out) in capsys.readouterr().out
    (told,) = exported(state)
    assert (told["what"], told["session"], told["by"]["kind"]) == (form, KEY, "human")
    if form == "bundle":
        checked = subprocess.run(
            [sys.executable, "-I", VERIFIER, out, "--key", state / "keys" / "audit.pub"], check=False
        )
        assert checked.returncode == 0


@pytest.mark.parametrize("start", ["", "../../etc/passwd", "XYZ", "0" * 65])
def test_wrong_ids(state: Path, start: str) -> None:
    """What can't be the start of a key is refused before it is part of a file's name."""
    with pytest.raises(CommandError, match="expected the start of a session's key"):
        run(start, "--state", state)


def test_for_programs(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the outcome is one document."""
    assert run(KEY, "--state", state, "-o", tmp_path / "out", "--json") == 0
    size = (tmp_path / "out").stat().st_size
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "out"), "bytes": size, "verified": True}


def test_to_stdout(state: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """With -o - there is the export and nothing else."""
    assert run(KEY, "--state", state, "--format", "jsonl", "-o", "-") == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"session", "decision", "delivery", "hold", "vote"}


def test_overwrites_nothing(state: Path, tmp_path: Path) -> None:
    """A file that is there stays as it is, unless --force is given; nothing is left beside it."""
    out = tmp_path / "out.har"
    out.write_text("mine")
    with pytest.raises(CommandError, match="exists; --force replaces it"):
        run(KEY, "--state", state, "--format", "har", "-o", out)
    assert out.read_text() == "mine"
    assert not (state / "journal" / "operator").exists()
    assert run(KEY, "--state", state, "--format", "har", "-o", out, "--force") == 0
    assert json.loads(out.read_text())["log"]["version"] == "1.2"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_unrecorded_is_not_exported(state: Path, tmp_path: Path) -> None:
    """Where the journal can't be written, nothing is exported."""
    (state / "journal" / "operator").write_text("no folder")
    with pytest.raises(CommandError, match="not exported, for it can't be recorded"):
        run(KEY, "--state", state, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_full_disk(tmp_path: Path) -> None:
    """Where the system takes no more bytes, there is neither the file nor a part of it; so when it is interrupted."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from extproc.cli._export import save\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "save(Path(sys.argv[1]), iter([b'x' * 5000] * 4))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "out: nothing was written: File too large" in done.stderr
    with pytest.raises(KeyboardInterrupt):
        _export.save(tmp_path / "out", _until(KeyboardInterrupt()))
    assert list(tmp_path.iterdir()) == []


def test_somebody_was_faster(tmp_path: Path) -> None:
    """A file that came there while ours was written is not replaced."""
    out = tmp_path / "out"

    def pieces() -> Iterator[bytes]:
        out.write_text("theirs")
        yield b"ours"

    with pytest.raises(CommandError, match="exists"):
        _export.save(out, pieces())
    assert out.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["out"]


def _until(error: BaseException) -> Iterator[bytes]:
    yield b"some"
    raise error


@dataclass
class Journal:
    """Keeps what is appended; refuses where it is told to."""

    kept: list[tuple[str, Any]] = field(default_factory=list)
    full: bool = False

    def append(self, kind: str, body: Any) -> int:
        """One record."""
        if self.full:
            raise JournalUnwritable("full")
        self.kept.append((kind, body))
        return len(self.kept)

    def sync(self) -> None:
        """Nothing to do."""


@contextmanager
def gateway(state: Path, socket: Path, journal: Journal) -> Iterator[None]:
    """The route on a real socket, behind a door that knows everybody as the auditor."""

    async def door(request: web.Request) -> Principal:
        return AUDITOR

    async def serve() -> None:
        app = web.Application(middlewares=[problems])
        routes = export.routes(state, Index(state), lambda: _export.source_of(state), journal)
        app.add_routes([behind(door, route) for route in routes])
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listen_unix(socket)).start()
        started.set()
        await stop.wait()
        await runner.cleanup()

    loop, started = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.mark.parametrize("form", formats.FORMATS)
def test_over_the_socket(state: Path, tmp_path: Path, form: str) -> None:
    """The same bytes as from the files, and the gateway's own record of who took them."""
    journal = Journal()
    with gateway(state, tmp_path / "s", journal):
        assert run(KEY[:8], "--control", tmp_path / "s", "--format", form, "-o", tmp_path / "out") == 0
    assert run(KEY, "--state", state, "--format", form, "-o", tmp_path / "same") == 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "same").read_bytes()
    ((kind, told),) = journal.kept
    assert (kind, told["what"], told["session"], told["by"]["subject"]) == ("export", form, KEY, AUDITOR.subject)


REFUSED = (
    ("ffff", "bundle", False, "no session or decision starts"),
    (KEY, "bundle", True, "journal"),
)


@pytest.mark.parametrize(("start", "form", "full", "said"), REFUSED)
def test_refused_over_the_socket(state: Path, tmp_path: Path, start: str, form: str, full: bool, said: str) -> None:
    """What can't be exported or recorded is refused with why, and no file is left."""
    with gateway(state, tmp_path / "s", Journal(full=full)), pytest.raises(CommandError, match=said):
        run(start, "--control", tmp_path / "s", "--format", form, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_broken_off(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that breaks off in the middle is no file."""
    monkeypatch.setitem(
        formats.FORMATS, "har", formats.Format(".har", "application/json", lambda s, f: _until(OSError(5, "gone")), "")
    )
    with gateway(state, tmp_path / "s", Journal()), pytest.raises(CommandError, match="did not answer properly"):
        run(KEY, "--control", tmp_path / "s", "--format", "har", "-o", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def test_erased_records(tmp_path: Path) -> None:
    """What retention erased is told by number, and the rest is exported and verifies."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.checkpoint()
    world.close()
    index(world.state)
    first = next(making.session(world.state).exchanges())
    erase(world.state, first.decision.stream, [first.decision.offset])
    found = gather(world.state, Index(world.state), KEY)
    assert found.session.gone() == 1
    gone = {(record.stream, record.seq) for record in of(first)}
    assert not gone & {(record.stream, record.seq) for record in found.session.records()}
    assert run(KEY, "--state", world.state, "-o", tmp_path / "out.zip") == 0


def erase(state: Path, stream: str, offsets: list[int]) -> None:
    """Erase records as retention does, without the record that announces it."""
    from extproc.audit import frame
    from extproc.audit.segments import Folder

    folder = state / "journal" / stream
    with Folder(folder) as opened:
        payloads = dict(opened.frames())
        base = opened.bases()[0]
    for offset in offsets:
        record = frame.decode(payloads[offset], offset)
        with opened.file(base).open("r+b") as file:
            file.seek(offset - base)
            file.write(frame.frame(frame.erased(payloads[offset], record.seq)))
