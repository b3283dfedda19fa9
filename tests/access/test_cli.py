"""`holdpoint tokens`, `freeze` and `unfreeze`, as commands against a running control socket."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from extproc.app.layout import Layout
from extproc.app.snapshot import active, publish, snapshot
from extproc.config import load
from tests.access.making import IDP
from tests.access.serving import ADMIN, ISSUER, Control, control
from tests.approvals.making import DBA as ONE_DBA
from tests.approvals.making import PEOPLE, action, agent, decision
from tests.live.making import configuration

ROOT = Path(__file__).parents[2]


async def command(folder: Path | None, *arguments: str, token: str | None = ADMIN) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command; the token is an administrator's where none is given. Without a
    folder it is not told of the socket in it."""
    control = () if folder is None else ("--control", str(folder / "control.sock"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "extproc.cli", *arguments, *control),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | ({"HOLDPOINT_TOKEN": token} if token is not None else {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def against(folder: Path, test: Callable[[Control], Awaitable[None]]) -> None:
    """Run a test against a control socket in the folder."""

    async def run() -> None:
        async with control(folder) as c:
            await test(c)

    asyncio.run(run())


def test_issue_list_and_revoke(folder: Path) -> None:
    """The token alone is on stdout, so that it can be put where the agent finds it."""

    async def test(c: Control) -> None:
        assert await command(folder, "tokens", "list") == (0, "no tokens\n", "")
        what = ("--subject", "crm-bot", "--owner", "alice", "--target", "crm", "--target", "llm", "--group", "ci")
        code, out, err = await command(
            *(folder, "tokens", "issue", *what, "--network", "10.0.0.0/8", "--expires", "12h", "--note", "build 7")
        )
        ((token, _),) = await c.access.tokens()
        assert (code, out) == (0, f"signed.{token.id}\n")
        assert f"holdpoint tokens revoke {token.id}" in err
        assert "for a database it is the password" in err
        assert "machine" not in err
        assert (token.owner, token.targets, token.groups) == ((PEOPLE, "alice"), ("crm", "llm"), ("ci",))
        assert (token.networks, token.note) == (("10.0.0.0/8",), "build 7")
        assert token.expires_at - token.issued_at == 12 * 3600
        code, out, _ = await command(folder, "tokens", "list", "--owner", "alice", "--state", "valid")
        head, row = out.splitlines()
        assert (code, head.split()[0], row.split()[:4]) == (0, "ID", [token.id, "valid", "crm-bot", "alice"])
        assert row.endswith("crm, llm  10.0.0.0/8  build 7")
        code, out, _ = await command(folder, "tokens", "revoke", token.id)
        assert (code, out.split(";")[0]) == (0, f"token {token.id} of crm-bot is revoked")
        assert "was revoked before" in (await command(folder, "tokens", "revoke", token.id))[1]
        code, out, _ = await command(folder, "tokens", "list", "--json")
        assert [(t["id"], t["state"]) for t in json.loads(out)] == [(token.id, "revoked")]
        code, out, err = await command(folder, "tokens", "issue", "--subject", "x", "--kind", "service", "--json")
        assert (code, err, json.loads(out)["kind"], json.loads(out)["owner"]["subject"]) == (0, "", "service", "ada")

    against(folder, test)


def test_at_the_machine_no_token_is_needed(folder: Path) -> None:
    """But an owner is better named."""

    async def test(c: Control) -> None:
        code, out, err = await command(folder, "tokens", "issue", "--subject", "crm-bot", token=None)
        assert (code, out.startswith("signed.")) == (0, True)
        assert "name the person with --owner" in err

    against(folder, test)


def test_freeze_list_and_unfreeze(folder: Path) -> None:
    """What a person does when a laptop was stolen, and afterwards."""

    async def test(c: Control) -> None:
        assert await command(folder, "freeze", "--list") == (0, "nobody is frozen\n", "")
        hold = await c.holds.open_or_join(agent(acts_for="alice"), "crm", action(), decision(ONE_DBA))
        name = f"{IDP} alice"
        code, out, _ = await command(folder, "freeze", name, "--reason", "laptop stolen")
        assert (code, out.splitlines()[1]) == (0, f"cancelled holds: {hold.id}")
        assert f"holdpoint unfreeze '{name}'" in out
        assert "was frozen before" in (await command(folder, "freeze", name, "--reason", "again"))[1]
        code, out, _ = await command(folder, "freeze", "--list")
        assert (code, out.splitlines()[0]) == (0, name)
        assert out.endswith(f"by {PEOPLE} ada: laptop stolen\n")
        await command(folder, "freeze", "Alice", "--reason", "to be sure")
        code, out, _ = await command(folder, "unfreeze", name)
        assert (code, out) == (0, f"{name} is not frozen any more by this name\nstill frozen: Alice\n")
        assert json.loads((await command(folder, "freeze", "--list", "--json"))[1])[0]["subject"] == "Alice"

    against(folder, test)


def test_what_others_wrote_can_not_move_the_screen(folder: Path) -> None:
    """Names of principals are theirs; nor can one be a command in what is there to copy."""

    async def test(c: Control) -> None:
        _, out, _ = await command(folder, "freeze", "bot\x1b[2J\u202e; $(reboot)", "--reason", "why")
        assert "holdpoint unfreeze 'bot<U+001B>[2J<U+202E>; $(reboot)'" in out
        assert all(line.isprintable() for line in (await command(folder, "freeze", "--list"))[1].splitlines())

    against(folder, test)


def test_a_freeze_does_not_wait_for_a_good_file(folder: Path, tmp_path: Path) -> None:
    """While the file has a mistake the gateway serves on, and who goes wrong is frozen there."""
    file = configuration(tmp_path, more=f"listen: {{control: {folder / 'control.sock'}}}")
    settings = load(file)
    settings.state.mkdir(mode=0o700)
    publish(snapshot(settings), active(Layout(settings.state)))
    file.write_text(file.read_text().replace("targets:", "tragets:"))

    async def test(c: Control) -> None:
        said = "the configuration that was last in force is used, for the file is refused\n"
        freeze = ("freeze", "crm-bot", "--reason", "why", "--config", str(file))
        code, out, err = await command(None, *freeze)
        assert (code, out.split(",")[0]) == (0, "crm-bot is frozen")
        assert err.startswith(f"{file}:1:1: ")
        assert err.endswith(said)
        for asked in (("freeze", "--list"), ("tokens", "list"), ("passwords", "list"), ("holds", "list")):
            code, out, err = await command(None, *asked, "--config", str(file))
            assert (code, err.endswith(said), err.count("\n")) == (0, True, 1)
        active(Layout(settings.state)).unlink()
        file.write_text(file.read_text().replace("listen:", "lisetn:"))
        code, out, err = await command(None, *freeze)
        assert (code, out) == (2, "")
        assert "tragets" in err
        assert err.endswith("\n--control SOCKET names a running gateway's socket, whatever the file says\n")

    against(folder, test)


def test_errors_say_what_to_do(folder: Path) -> None:
    """Each names its cause, on stderr, with exit code 2."""

    async def test(c: Control) -> None:
        dba = ISSUER.token("dana", ["dba"])
        issue = ("tokens", "issue", "--subject", "bot")
        table = [
            (await command(folder, *issue, "--target", "cmr"), "there is no target 'cmr'; there are: crm, llm"),
            (await command(folder, *issue, "--network", "10.0.0.1/8"), "did you mean 10.0.0.0/8?"),
            (await command(folder, *issue, "--expires", "30"), "such as 12h or 30d"),
            (await command(folder, *issue, "--expires", "400d"), "60 seconds to 366 days"),
            (await command(folder, *issue, "--owner-issuer", IDP), "give that too"),
            (await command(folder, *issue, token=dba), "not yours to change: this is for members of: platform"),
            (await command(folder, *issue, token=ISSUER.token(exp=1)), "not signed in: the token has expired"),
            (await command(folder, "tokens", "revoke", "0" * 16), "no such token: no token has the id"),
            (await command(folder, "tokens", "revoke", "../holds"), "16 hexadecimal digits"),
            (await command(folder, "freeze", "bot"), "--reason: say why"),
            (await command(folder, "freeze"), "name whom to freeze"),
            (await command(folder, "freeze", "bot", "--list"), "--list changes nothing"),
            (await command(folder, "unfreeze", "bot"), "not frozen: no freeze names exactly 'bot'"),
        ]
        for (code, out, err), expected in table:
            assert (code, out) == (2, "")
            assert expected in err
        assert await c.access.tokens() == ()
        assert await c.access.freezes() == ()

    against(folder, test)
