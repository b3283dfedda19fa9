"""What an agent has in its memory and in its files."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.demo.holdings import look, memory

SECRET, KNOWN = "an-upstreams-password", "the-agents-own-token"
PROGRAM = "import os, sys; held = os.environ['HELD'] * 2; print(flush=True); sys.stdin.read()"
needs_proc = pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="only Linux shows a process's memory")


@contextmanager
def process(held: str) -> Iterator[int]:
    """A process that has this in its memory; gives its id."""
    argv = [sys.executable, "-I", "-c", PROGRAM]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"HELD": held}) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running.pid
        running.communicate()


@needs_proc
def test_what_a_process_has_is_found(tmp_path: Path) -> None:
    """In its memory, whatever else is there; and what it has not, is not."""
    with process(f"{KNOWN} {SECRET}") as pid:
        has = look(pid, tmp_path, SECRET, KNOWN)
    with process(KNOWN) as pid:
        has_not = look(pid, tmp_path, SECRET, KNOWN)
    assert (has.found, has.known, has_not.found, has_not.known) == (("its memory",), True, (), True)
    assert has_not.memory > 1 << 20


@needs_proc
def test_values_across_two_pieces_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces overlap."""
    monkeypatch.setattr("examples.demo.holdings.PIECE_BYTES", 4096)
    with process("x" * 5000 + SECRET) as pid:
        assert any(SECRET.encode() in piece for piece in memory(pid, len(SECRET)))


def test_files_are_looked_through_and_named(tmp_path: Path) -> None:
    """Also where the process has ended."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "x.sh").write_text(f"PGPASSWORD={SECRET} psql")
    (tmp_path / "other").write_text(KNOWN)
    done = look(None, tmp_path, SECRET, KNOWN)
    assert (done.found, done.files, done.memory, done.known) == (("scripts/x.sh",), 2, 0, False)


def test_a_process_that_has_ended_shows_nothing(tmp_path: Path) -> None:
    """No exception, and nothing that counts as looked through."""
    with subprocess.Popen([sys.executable, "-c", ""]) as running:
        running.wait()
    assert look(running.pid, tmp_path, SECRET, KNOWN).memory == 0
