"""`holdpoint holds`, as a command against a running control process."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from extproc.cli._holds_view import Screen, detail
from extproc.domain.hold import HoldState
from tests.approvals.making import TWO_DBAS, action, agent, decision
from tests.approvals.serving import ISSUER, Console, console

ROOT = Path(__file__).parents[2]


async def command(folder: Path, *arguments: str, token: str | None = None, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command; the token is a DBA's where none is given."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "extproc.cli", "holds", *arguments, "--control", str(folder / "control.sock")),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOLDPOINT_TOKEN": ISSUER.token() if token is None else token} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def against(folder: Path, test: Callable[[Console], Awaitable[None]]) -> None:
    """Run a test against a console in the folder."""

    async def run() -> None:
        async with console(folder) as c:
            await test(c)

    asyncio.run(run())


@pytest.mark.parametrize("lines", [1, 40])
def test_what_is_longer_than_a_screen_is_told(lines: int) -> None:
    """Whoever sees only the end of it is told so."""
    texts = ("id", "target", "verb", "resource", "digest", "revision")
    hold: dict[str, Any] = {
        **dict.fromkeys(texts, "x"),
        **dict.fromkeys(("created_at", "expires_at"), "2026-01-01T00:00:00+00:00"),
        "state": "denied",
        "reasons": [],
        "requirements": [],
        "votes": [],
        "you": {"may_vote": True},
        "principal": {"subject": "bot", "kind": "agent", "issuer": "https://issuer.test"},
        "summary": {"request": "\n".join(map(str, range(lines)))},
    }
    shown = detail(Screen(), hold, datetime.now(UTC))
    assert ("these were 41 lines: read them from the first one" in shown) == (lines == 40)


def test_list_show_and_approve(folder: Path) -> None:
    """What a person does in a minute."""

    async def test(c: Console) -> None:
        assert await command(folder, "list") == (0, "nothing waits for you\n", "")
        hold = await c.open(TWO_DBAS)
        code, out, _ = await command(folder, "list")
        head, row = out.splitlines()
        assert (code, head.split()[0], row.split()[:2]) == (0, "ID", [hold, "pending"])
        assert row.endswith("0/2 dba  DELETE /customers/7")
        code, out, _ = await command(folder, "show", hold[:6])
        assert code == 0
        assert "deleting needs a DBA (http.writes, delete, high)" in out
        assert "  |   DELETE /customers/7\n  |   \n  |   all of it" in out
        assert out.endswith("you may vote\n")
        code, out, _ = await command(folder, "approve", hold[:6], "--reason", "ticket 4711")
        assert (code, out) == (0, f"hold {hold} is pending\nyour vote is recorded; it needs more: 1 of dba\n")
        code, out, _ = await command(folder, "approve", hold, "--reason", "ok", "--json", token=ISSUER.token("eve"))
        assert (code, json.loads(out)["state"]) == (0, "approved")
        code, out, _ = await command(folder, "list", "--all", "--json")
        assert [(h["id"], h["state"]) for h in json.loads(out)] == [(hold, "approved")]

    against(folder, test)


def test_deny(folder: Path) -> None:
    """One no is enough."""

    async def test(c: Console) -> None:
        hold = await c.open()
        assert (await command(folder, "deny", hold, "--reason", "no ticket"))[:2] == (0, f"hold {hold} is denied\n")
        assert (await c.holds.get(hold)).state is HoldState.DENIED

    against(folder, test)


def test_what_agents_wrote_can_not_move_the_screen(folder: Path) -> None:
    """Escape sequences, direction marks and unseen characters are spelled, and no line leaves its bar."""
    text = "POST /a\x1b[2J\u202e\u200b\r\n\nhold 0000 is approved\ntail"

    async def test(c: Console) -> None:
        what = action(summary={"host": "crm\x1b[31m", "note": text})
        hold = await c.holds.open_or_join(agent("bot\u202e\n"), "crm", what, decision(TWO_DBAS))
        _, out, _ = await command(folder, "show", hold.id)
        assert all(line.isprintable() for line in out.splitlines())
        assert "bot<U+202E><U+000A> (agent)" in out
        assert (
            "  |   POST /a<U+001B>[2J<U+202E><U+200B><U+000D>\n  |   \n  |   hold 0000 is approved\n  |   tail\n" in out
        )
        assert all(line.isprintable() for line in (await command(folder, "list"))[1].splitlines())

    against(folder, test)


def test_wait_prints_what_comes(folder: Path) -> None:
    """A script waits for something to answer, or gives up."""

    async def test(c: Console) -> None:
        await c.open(asker=agent("dana"))
        assert await command(folder, "wait", "--timeout", "0") == (1, "", "no hold came in time\n")
        waiting = asyncio.create_task(command(folder, "wait", "--json", "--timeout", "30"))
        hold = await c.open()
        code, out, _ = await waiting
        assert (code, json.loads(out)["id"]) == (0, hold)

    against(folder, test)


def test_errors_say_what_to_do(folder: Path) -> None:
    """Each names its cause, on stderr, with exit code 2."""

    async def test(c: Console) -> None:
        own, other = await c.open(asker=agent("dana")), await c.open()
        loose = folder / "token"
        loose.write_text(ISSUER.token())
        loose.chmod(0o644)
        table = [
            (await command(folder, "list", token=""), "no token: run `holdpoint login`, or set $HOLDPOINT_TOKEN"),
            (await command(folder, "list", token=ISSUER.token(exp=1)), "not signed in: the token has expired"),
            (await command(folder, "list", token=ISSUER.token(aud="holdpoint")), "the token is an agent's"),
            (await command(folder, "list", "--token-file", str(loose)), "others can read it; `chmod 600"),
            (await command(folder, "list", "--token-file", str(folder / "none")), "can't be read as a token"),
            (await command(folder, "approve", own, "--reason", "ok"), "not yours to answer: nobody answers their own"),
            (
                await command(folder, "approve", other, "--reason", "ok", token=ISSUER.token("s", ["sales"])),
                "members of: dba; yours: sales",
            ),
            (await command(folder, "show", "zz"), "no hold that you may see starts with 'zz'"),
            (await command(folder, "show", ""), "no hold that you may see starts with ''"),
            (await command(folder, "show", "0" * 16), "no such hold: no hold has the id 0000000000000000"),
            (
                await command(folder, "deny", other, "--reason", " "),
                "reason not accepted: a vote needs a reason of 1 to 500",
            ),
        ]
        for (code, out, err), expected in table:
            assert (code, out) == (2, "")
            assert expected in err
        loose.chmod(0o600)
        assert (await command(folder, "list", "--token-file", str(loose), token=""))[0] == 0

    against(folder, test)


def test_a_gateway_that_is_not_running(folder: Path) -> None:
    """The message names the socket and the command that starts it."""
    code, out, err = asyncio.run(command(folder, "list"))
    assert (code, out) == (2, "")
    assert "no gateway answers on" in err
    assert "holdpoint up" in err


@pytest.mark.parametrize(
    ("terminal", "no_color", "expected"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colours_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: str, expected: bool
) -> None:
    """And not where NO_COLOR is set."""
    from extproc.cli._holds_view import Screen

    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    assert expected is ("\x1b[33m" in Screen().state("pending"))
