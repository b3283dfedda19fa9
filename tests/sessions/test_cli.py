"""`holdpoint sessions` on files: what people read, what programs read, and a replay on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.cli import main
from extproc.cli._terminal import fit, size, span, width, wrap
from tests.sessions.making import Trail

LIST = """\
SESSION     LAST SEEN            WHO                      ALLOW  MASK  HOLD  BLOCK  TARGETS      LAST OF IT
c86cda2191  2027-01-15 08:01:05  agent-7                      1     -     -      -  git          GET /repo
2d63e7cbde  2027-01-15 08:01:05  <U+001B>[2Jevil<U+202E>      -     -     -      1  crm          POST /<U+001B>[2Jevil<…
7571c857e4  2027-01-15 08:01:05  agent-7                      2     1     -      -  crm, openai  DELETE /customers/7
"""
SHOW = """\
session 7571c857e405117d
  who       agent-7 (agent) of https://id.example, for ann
  from      127.0.0.1
  when      2027-01-15T08:00:00Z, for 1m 5s; closed
  targets   crm, openai
  actions   3: 2 allowed, 1 masked

    +1 ms  08:00:00.002  allow  200  POST crm /customers  a100000000
    because   allow: a write needs a ticket (http.writes, needs-ticket)
    ended     completed: 19 B up, 34 B down, 2 ms
    recorded  request 19 B, response 34 B
    trace     http://127.0.0.1:16686/trace/ccee6026d716a3ca75c784ae3d50520a

   +5.0 s  08:00:05.004  mask   200  POST openai /v1/chat  a200000000
    because   allow: a write needs a ticket (llm.pii, needs-ticket)
    masked    request: email 1
    ended     completed: 50 B up, 27 B down, 2 ms
    recorded  request 50 B, response 27 B
    trace     http://127.0.0.1:16686/trace/ccee6026d716a3ca75c784ae3d50520a

   +1m 5s  08:01:05.009  allow  200  DELETE crm /customers/7  a300000000
    because   allow: a write needs a ticket (http.writes, needs-ticket)
    hold      ffffffffffffffff, waited 42.0 s
              approved by bob: ok 4711
    ended     completed: 0 B up, 256 B down, 2 ms
    recorded  response 256 B
    trace     http://127.0.0.1:16686/trace/0af7651916cd43dd8448eb211c80319c
"""
REPLAY = """\
    +1 ms  08:00:00.002  allow  200  POST crm /customers  a100000000
→ POST /customers                                          │ ← 200 completed
content-type: application/json                             │ content-type: application/json
                                                           │
{                                                          │ {
  "ask": "invoices"                                        │   "total": 3,
}                                                          │   "names": [
                                                           │     "Müller"
                                                           │   ]
                                                           │ }

   +5.0 s  08:00:05.004  mask   200  POST openai /v1/chat  a200000000
→ POST /v1/chat                                            │ ← 200 completed
content-type: application/json                             │ content-type: application/json
                                                           │
{                                                          │ {
  "prompt": "mail [masked:email] the zebra report"         │   "text": "done \\u001b[31m"
}                                                          │ }

   +1m 5s  08:01:05.009  allow  200  DELETE crm /customers/7  a300000000
           held for 42.0 s; approved by bob
→ DELETE /customers/7                                      │ ← 200 completed
content-type: image/png                                    │ content-type: image/png
                                                           │
(no body)                                                  │ (256 B, image/png)
end of the session
"""


@pytest.fixture
def state(filled: Trail) -> Path:
    """Three sessions, and nobody who writes."""
    filled.close()
    return filled.state


def run(state: Path, *arguments: str) -> int:
    """One verb, on files."""
    return main(["sessions", *arguments, "--state", str(state)])


def listed(state: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Any]:
    """The rows of `list --json`."""
    assert run(state, "list", "--json", *arguments) == 0
    return list(json.loads(capsys.readouterr().out))


def test_list_draws_a_table(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In 120 columns, where nothing that an agent wrote draws by itself."""
    assert run(state, "list") == 0
    out = capsys.readouterr().out
    assert out == LIST
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["s-3", "s-2", "s-1"]),
        (["--principal", "agent-7"], ["s-3", "s-1"]),
        (["--principal", "https://id.example agent-7", "--target", "crm"], ["s-1"]),
        (["--effect", "block"], ["s-2"]),
        (["--effect", "mask", "--policy", "llm.pii"], ["s-1"]),
        (["--since", "2027-01-15T08:00:30Z", "--effect", "allow"], ["s-3", "s-1"]),
        (["--until", "2027-01-15T08:00:30Z", "needs a ticket"], ["s-1"]),
        (["--trace", "0af7651916cd43dd8448eb211c80319c"], ["s-1"]),
        (["--decision", "c1"], ["s-3"]),
        (["--hold", "f" * 16], ["s-1"]),
        (["--limit", "1"], ["s-3"]),
        (["zebra", "repor*"], ["s-1"]),
        (["zebra", "--target", "crm"], []),
    ],
)
def test_list_finds(state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: list[str]) -> None:
    """By everything that it takes."""
    assert [row["session"] for row in listed(state, capsys, *arguments)] == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--limit", "0"], "--limit 0: expected 1 to 1000"),
        (["list", "--since", "soon"], "--since 'soon': expected a time such as"),
        (["show", "zz"], "no session in the index starts with 'zz'; `holdpoint sessions list`"),
        (["show", ""], "no session in the index starts with ''"),
        (["replay", "7571c857e4", "--step"], "--step waits for keys: it needs a terminal"),
        (["replay", "7571c857e4", "--json"], "replay is for people"),
        (["list", "--state", "/nowhere"], "--state /nowhere: no journal there"),
    ],
)
def test_what_can_t_be_done_is_said(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """What, where, and what would be right."""
    line = arguments if "--state" in arguments else [*arguments, "--state", str(state)]
    assert main(["sessions", *line]) == 2
    assert said in capsys.readouterr().err


def test_show_draws_a_timeline(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the start of the session's id, or of a decision's."""
    assert run(state, "show", "7571") == 0
    assert capsys.readouterr().out == SHOW
    assert run(state, "show", "b1") == 0
    out = capsys.readouterr().out
    assert out.startswith("of session 2d63e7cbde")
    assert "because   block: unbounded delete" in out
    assert run(state, "show", "7571", "--json") == 0
    assert [e["decision"]["id"][:2] for e in json.loads(capsys.readouterr().out)["exchanges"]] == ["a1", "a2", "a3"]


def test_replay_into_a_pipe_neither_waits_nor_colours(filled: Trail, capsys: pytest.CaptureFixture[str]) -> None:
    """Side by side; each body that was read is a record of the operators' stream."""
    filled.close()
    assert run(filled.state, "replay", "7571") == 0
    out = capsys.readouterr().out
    assert out.split("\n\n", 1)[1] == REPLAY
    assert "\x1b" not in out
    readings = [(r.stream, r.body["lane"], r.body["decision"][:2]) for r in filled.records("reading")]
    lanes = [("request", "a1"), ("response", "a1"), ("request", "a2"), ("response", "a2"), ("response", "a3")]
    assert readings == [("operator", *lane) for lane in lanes]
    assert run(filled.state, "replay", "7571", "--no-bodies") == 0
    assert "(34 B, not shown)" in capsys.readouterr().out
    assert len(filled.records("reading")) == 5


def test_replay_says_what_is_gone_cut_or_in_another_coding(trail: Trail, capsys: pytest.CaptureFixture[str]) -> None:
    """And goes on with the rest."""
    from extproc.domain.decision import Recording as Mode

    gone = trail.answer(trail.ask("a1"), response=b"x" * 99, type_="text/plain")
    trail.answer(trail.ask("a2"), response=b"abc" * 50, type_="text/plain", mode=Mode.HEAD, head_bytes=6)
    trail.answer(trail.ask("a3"), response=b"\x1f\x8b broken", type_="text/plain", coding="br")
    trail.answer(trail.ask("a4"), response=b"\n".join(b"line %d" % i for i in range(40)), type_="text/plain")
    trail.close()
    BodyFolder(trail.state / "bodies").delete(gone["bodies"]["response"]["address"])
    assert run(trail.state, "replay", listed(trail.state, capsys)[0]["id"], "--lines", "5") == 0
    out = capsys.readouterr().out
    for said in ("(99 B, not to be had)", "abcabc", "(the first 6 B of 150 B were recorded)", "text/plain, br)"):
        assert said in out
    assert "line 2" in out
    assert "line 3" not in out
    assert "… 37 more lines" in out


def test_nothing_is_shown_that_can_t_be_recorded(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the operators' stream can't be had, the text of bodies is not told, and why."""
    (state / "journal" / "operator").write_text("in the way")
    assert run(state, "replay", "7571") == 0
    out = capsys.readouterr().out
    assert "zebra" not in out
    assert "can't be recorded" in " ".join(out.split())


def test_index_is_made_anew(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On demand; and a file that is none is no obstacle."""
    (state / "index.db").write_bytes(b"garbage" * 1000)
    for arguments, new in (((), "10.6 kB"), ((), "0 B"), (("--rebuild",), "10.6 kB")):
        assert run(state, "index", *arguments) == 0
        assert f"up to date; {new} of the journal were new to it" in capsys.readouterr().out
    assert len(listed(state, capsys)) == 3


def test_help_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb has examples, and says what its options take."""
    for verb in ("list", "show", "replay", "index", "export"):
        assert main(["sessions", verb, "--help"]) == 0
        assert f"examples:\n  holdpoint sessions {verb}" in capsys.readouterr().out


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, columns: int, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.getcwd()}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "extproc.cli", "sessions", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        )  # fmt: skip
        self.said = ""

    def until(self, text: str) -> str:
        """Everything it says up to this text."""
        while text not in self.said:
            ready, _, _ = select.select([self.ours], [], [], 60)
            assert ready, f"never said {text!r}: {self.said}"
            self.said += os.read(self.ours, 65536).decode("utf-8", "replace")
        told, _, self.said = self.said.partition(text)
        return told + text

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.ours, keys)

    def end(self) -> int:
        """Its exit code; the terminal is as it was."""
        code = self.process.wait(60)
        assert termios.tcgetattr(self.theirs)[3] == self.before[3]
        return code


@contextmanager
def terminal(columns: int, *arguments: str) -> Iterator[Terminal]:
    """A command on a terminal, gone at the end."""
    opened = Terminal(columns, *arguments)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
            opened.process.wait()
        os.close(opened.ours)
        os.close(opened.theirs)


def test_replay_on_a_terminal_goes_step_by_step(state: Path) -> None:
    """A key for each exchange; masked values are lit; q ends it and leaves the terminal as it was."""
    with terminal(120, "replay", "7571", "--step", "--speed", "0", "--state", str(state)) as opened:
        assert "a100000000" not in opened.until("q: end")
        opened.press(b" ")
        assert "│" in opened.until('"Müller"')
        opened.press(b"\n")
        assert "\x1b[33m[masked:email]\x1b[0m" in opened.until("\\u001b[31m")
        opened.press(b"q")
        opened.until("\n")
        assert opened.end() == 130


def test_replay_on_a_narrow_terminal_is_stacked(state: Path) -> None:
    """And a key ends a wait of the session's own time."""
    with terminal(70, "replay", "7571", "--longest-wait", "1h", "--state", str(state)) as opened:
        assert "│" not in opened.until('"Müller"')
        opened.press(b" ")
        opened.until("zebra report")
        opened.press(b" ")
        opened.until("end of the session")
        assert opened.end() == 0


def test_replay_says_that_a_wait_was_shortened(state: Path) -> None:
    """A minute passes in no time."""
    with terminal(120, "replay", "7571", "--longest-wait", "10ms", "--state", str(state)) as opened:
        told = opened.until("end of the session")
        assert "… 5.0 s passed" in told
        assert "… 1m 0s passed" in told
        assert opened.end() == 0


def test_an_interrupted_replay_ends_clean(state: Path) -> None:
    """No traceback, exit code 130, the terminal as it was."""
    with terminal(120, "replay", "7571", "--longest-wait", "1h", "--state", str(state)) as opened:
        opened.until('"Müller"')
        opened.process.send_signal(signal.SIGINT)
        assert opened.end() == 130
        assert "Traceback" not in opened.said


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_the_list_fits_the_terminal(state: Path, columns: int) -> None:
    """Whatever its width."""
    with terminal(columns, "list", "--state", str(state)) as opened:
        told = opened.until("7571c857e4") + opened.until("\n")
        lines = re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()
        assert max(map(width, lines)) <= columns
        assert opened.end() == 0


def test_text_is_measured_in_columns() -> None:
    """Wide characters take two, combining ones none."""
    assert (width("日本"), width("e\u0301"), fit("日本語", 5), fit("ab", 4)) == (4, 1, "日本…", "ab  ")
    assert list(wrap("日本語abc", 4)) == ["日本", "語ab", "c"]
    assert [size(n) for n in (0, 999, 1500, 2_500_000, 3 * 10**9)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "3.0 GB"]
    assert [span(s) for s in (0.0015, 2.5, 61, 3700)] == ["2 ms", "2.5 s", "1m 1s", "1h 1m"]
