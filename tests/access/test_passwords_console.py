"""Short-lived passwords over the control socket, and by `holdpoint passwords`."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extproc.access.model import AgentToken
from extproc.adapters.access_keys import read_private_key
from extproc.adapters.identity import issue
from tests.access.making import GATEWAY, unseen
from tests.access.serving import ADMIN, ISSUER, Control, control
from tests.access.test_cli import against, command
from tests.access.test_list import until
from tests.approvals.making import PEOPLE, person

DANA = ISSUER.token("dana", ["dba"], exp=int(time.time()) + 24 * 3600)


async def until_known(c: Control, reached: Callable[[], bool]) -> None:
    """Wait until the list that a worker has says so."""
    change = asyncio.Event()
    c.standing.on_change(change.set)
    await until(c.standing, reached, change)


async def bot(c: Control, folder: Path, **wanted: Any) -> tuple[AgentToken, str]:
    """An agent token, signed, that the store knows."""
    token = await c.store.issued(**wanted)
    await until_known(c, lambda: c.standing.token(token.id) is not None)
    key = await asyncio.to_thread(read_private_key, folder / "keys")
    return token, issue(key, token, GATEWAY)


def test_a_password_from_issue_to_revocation(folder: Path) -> None:
    """Shown once, journalled first by name of its id, and nowhere kept."""

    async def run() -> None:
        async with control(folder) as c:
            wanted = {"targets": ["crm"], "lifetime_seconds": 900, "note": "reports"}
            status, made = await c.call("POST", "/passwords", DANA, json=wanted)
            text = made.pop("password")
            assert (status, len(text), made.pop("address")) == (200, 32, "10.0.0.1:5432")
            assert (made["user"], made["state"]) == (f"hp-{made['id']}", "valid")
            assert (made["issuer"], made["subject"], made["kind"], made["groups"]) == (PEOPLE, "dana", "human", ["dba"])
            assert (made["targets"], made["note"], made["networks"]) == (["crm"], "reports", None)
            assert await c.call("GET", "/passwords", DANA) == (200, {"passwords": [made]})
            path = f"/passwords/{made['id']}"
            status, revoked = await c.call("DELETE", path, DANA)
            assert (status, revoked["state"], revoked["revoked_now"]) == (200, "revoked", True)
            assert (await c.call("DELETE", path, DANA))[1] == revoked | {"revoked_now": False}
            (kind, body), (_, second) = c.journal.records
            assert (kind, body["what"], second["what"]) == ("password", "issued", "revoked")
            assert body["by"] == second["by"]
            assert isinstance(body["by"], dict)
            assert (body["by"]["subject"], body["id"], body["expires"]) == ("dana", made["id"], made["expires_at"])
            assert text not in str(c.journal.records)
            kept = await asyncio.to_thread(lambda: [f.read_bytes() for f in folder.rglob("*") if f.is_file()])
            assert not [data for data in kept if text.encode() in data]

    asyncio.run(run())


def test_an_agent_gets_one_by_its_token(folder: Path) -> None:
    """It is the agent's: the kind, owner and bounds are its token's. Without the token there is none."""

    async def run() -> None:
        async with control(folder) as c:
            token, text = await bot(c, folder, targets=("crm",), lifetime=600)
            status, made = await c.call("POST", "/passwords", text, json={})
            assert (status, made["issuer"], made["subject"], made["kind"]) == (200, GATEWAY, "crm-bot", "agent")
            assert (made["acts_for"], made["targets"], made["credential"]) == (
                "alice",
                ["crm"],
                f"agent-token:{token.id}",
            )
            assert (await c.call("GET", "/passwords", text))[1]["passwords"][0]["id"] == made["id"]
            assert (await c.call("POST", "/passwords", text, json={"targets": ["llm"]}))[1]["code"] == "unknown-target"
            await c.store.access.revoke(token.id, unseen)
            await until_known(c, lambda: c.standing.token(token.id) != token)
            assert (await c.call("POST", "/passwords", text, json={}))[0] == 401
            (status, found) = await c.call("GET", "/passwords")
            assert (status, [p["state"] for p in found["passwords"]]) == (200, ["revoked"])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wanted", "status", "code", "expected"),
    [
        ({"targets": ["cmr"]}, 422, "unknown-target", "there are: crm, llm"),
        ({"targets": []}, 422, "unknown-target", "no target at all"),
        ({"lifetime_seconds": 3601}, 422, "bad-password", "60 to 3600 seconds"),
        ({"lifetime_seconds": True}, 400, "bad-request", "lifetime_seconds"),
        ({"subject": "alice"}, 400, "bad-request", "'subject': not a member"),
        ({"groups": ["admins"]}, 400, "bad-request", "'groups': not a member"),
        ({"note": "a\u202eb"}, 400, "bad-request", "note"),
        ([], 400, "bad-request", "expected"),
    ],
)
def test_passwords_that_are_not_issued(folder: Path, wanted: Any, status: int, code: str, expected: str) -> None:
    """Nobody gets one for anybody else, nor for longer; nothing is recorded of what was not even tried."""

    async def run() -> None:
        async with control(folder) as c:
            answered, problem = await c.call("POST", "/passwords", DANA, json=wanted)
            assert (answered, problem["code"]) == (status, code)
            assert expected in problem["detail"]
            assert c.journal.records == []

    asyncio.run(run())


def test_whose_are_seen_and_revoked(folder: Path) -> None:
    """One's own; everybody's by administrators, and by whoever sits at the machine, who gets none for themself."""

    async def run() -> None:
        async with control(folder) as c:
            carol = ISSUER.token("carol", ["dba"], exp=int(time.time()) + 3600)
            ids = [(await c.call("POST", "/passwords", who, json={}))[1]["id"] for who in (DANA, carol)]

            async def seen(token: str | None) -> list[str]:
                return [p["id"] for p in (await c.call("GET", "/passwords", token))[1]["passwords"]]

            assert [await seen(t) for t in (DANA, carol)] == [[ids[0]], [ids[1]]]
            assert [sorted(await seen(t)) for t in (ADMIN, None)] == [sorted(ids)] * 2
            for password_id in (ids[0], "0" * 12, "x"):
                status, problem = await c.call("DELETE", f"/passwords/{password_id}", carol)
                assert (status, problem["code"]) == (404, "unknown-password")
            assert (await c.call("DELETE", f"/passwords/{ids[1]}"))[0] == 200
            assert (await c.call("DELETE", f"/passwords/{ids[0]}", None))[0] == 200
            status, problem = await c.call("POST", "/passwords", None, json={})
            assert (status, problem["code"]) == (401, "not-known")
            _, agents = await bot(c, folder, groups=("platform",))
            assert await seen(agents) == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("x", 401, "not-known"),
        (ISSUER.token("dana", exp=1), 401, "not-known"),
        (ISSUER.token("dana", aud="another"), 401, "not-known"),
        (ISSUER.token("dana", aud="holdpoint"), 401, "not-known"),
        (ISSUER.token("dana", act={"sub": "bot"}), 401, "not-known"),
        (ISSUER.token("eve", exp=int(time.time()) + 3600), 403, "identity-frozen"),
    ],
)
def test_who_gets_none(folder: Path, token: str, status: int, code: str) -> None:
    """Nor sees or revokes any: what is no token of ours or of the approvers', and who is frozen."""

    async def run() -> None:
        async with control(folder) as c:
            await c.freeze("eve")
            await until_known(c, lambda: c.standing.frozen(person("eve")) is not None)
            c.journal.records.clear()
            for method, path, body in (("POST", "", {}), ("GET", "", None), ("DELETE", f"/{'0' * 12}", None)):
                answered, problem = await c.call(method, f"/passwords{path}", token, json=body)
                assert (answered, problem["code"]) == (status, code)
            assert c.journal.records == []

    asyncio.run(run())


def test_the_command(folder: Path) -> None:
    """What is printed can be read by people, a shell, libpq and programs; the words around it are on stderr."""

    async def test(c: Control) -> None:
        assert await command(folder, "passwords", "list", token=DANA) == (0, "no passwords\n", "")
        code, out, err = await command(folder, "passwords", "issue", token=DANA)
        user, password = (line.split()[1] for line in out.splitlines())
        ((kept, _),) = await c.store.passwords.list(None)
        assert (code, user, len(password)) == (0, kept.user, 32)
        assert f"holdpoint passwords revoke {kept.id}" in err
        assert password not in err
        code, out, _ = await command(
            *(folder, "passwords", "issue", "--target", "crm", "--format", "env", "--expires", "15m"), token=DANA
        )
        words = dict(line.removeprefix("export ").split("=") for line in out.splitlines())
        assert list(words) == ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"]
        assert (words["PGHOST"], words["PGPORT"], words["PGDATABASE"]) == ("10.0.0.1", "5432", "crm")
        code, out, _ = await command(folder, "passwords", "issue", "--format", "pgpass", "--note", "x", token=DANA)
        assert out.split(":")[:3] == ["10.0.0.1", "5432", "*"]
        code, out, err = await command(folder, "passwords", "issue", "--target", "nope", token=DANA)
        assert (code, out, err.split(":")[0]) == (2, "", "no such password can be issued")
        code, out, err = await command(folder, "passwords", "issue", token=None)
        assert (code, out, "name its file with --token-file (agents" in err) == (2, "", True)
        code, out, err = await command(folder, "passwords", "issue", "--json", token=DANA)
        made = json.loads(out)
        assert (code, err, made["subject"], len(made["password"])) == (0, "", "dana", 32)
        code, out, _ = await command(folder, "passwords", "list", token=DANA)
        head, *rows = out.splitlines()
        assert (head.split()[0], len(rows)) == ("ID", 4)
        assert password not in out
        code, out, _ = await command(folder, "passwords", "revoke", user, token=DANA)
        assert (code, out.split(";")[0]) == (0, f"{user} of dana is revoked")
        assert "was revoked before" in (await command(folder, "passwords", "revoke", kept.id))[1]

    against(folder, test)


def test_a_login_may_end_in_a_password(folder: Path) -> None:
    """Who has a token is asked for nothing else."""

    async def test(c: Control) -> None:
        code, out, _ = await command(folder, "login", "--database", "--format", "env", token=DANA)
        assert (code, [line.partition("=")[0] for line in out.splitlines()][-1]) == (0, "export PGPASSWORD")
        assert [p.subject for p, _ in await c.store.passwords.list(None)] == ["dana"]
        code, _, err = await command(folder, "login", "--database", "--status", token=DANA)
        assert (code, "not with --status" in err) == (2, True)
        code, _, err = await command(
            *(folder, "login", "--database", "--config", str(folder / "none.yaml")), token=None
        )
        assert (code, "give --issuer and --client-id" in err) == (2, True)

    against(folder, test)


def test_errors_say_what_to_do(folder: Path) -> None:
    """Each names its cause, on stderr, with exit code 2."""

    async def test(c: Control) -> None:
        get = ("passwords", "issue")
        table = [
            (
                await command(folder, *get, "--expires", "2h", token=DANA),
                "no such password can be issued: lifetime: 60",
            ),
            (await command(folder, *get, "--expires", "1", token=DANA), "such as 15m"),
            (await command(folder, *get, "--target", "cmr", token=DANA), "there is no target 'cmr'"),
            (await command(folder, *get, token=None), "run `holdpoint login`"),
            (
                await command(folder, "passwords", "revoke", "0" * 12, token=DANA),
                "no such password: no password of yours",
            ),
            (await command(folder, "passwords", "revoke", "../tokens", token=DANA), "12 hexadecimal digits"),
        ]
        for (code, out, err), expected in table:
            assert (code, out) == (2, "")
            assert expected in err
        assert await c.store.passwords.list(None) == ()

    against(folder, test)
