"""What administrators do over the control socket, and who they are."""

import asyncio
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from extproc.access.check import check
from extproc.access.model import AgentToken
from extproc.access.ports import AccessUnavailable
from extproc.access.register import TokenState
from extproc.adapters import access_table
from extproc.adapters.access import AccessList
from extproc.adapters.access_keys import read_private_key
from extproc.adapters.identity import AgentTokens, issue
from extproc.console import callers
from extproc.console.freezes import cancel_frozen
from extproc.domain.hold import Hold, HoldState
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Principal
from tests.access.making import ALICE, GATEWAY, bot
from tests.access.serving import ISSUER, Control, control
from tests.approvals.making import DBA, PEOPLE, Issuer, action, agent, decision, person

ME = {"issuer": f"unix:{socket.gethostname()}", "subject": pwd.getpwuid(os.geteuid()).pw_name}


def test_a_token_from_issue_to_revocation(folder: Path) -> None:
    """It is shown once, journalled first, and nowhere kept."""

    async def run() -> None:
        async with control(folder) as c:
            wanted: dict[str, Any] = {
                "owner": {"issuer": None, "subject": "alice"},
                "kind": "service",
                "groups": ["ci"],
                "targets": ["crm"],
                "networks": ["10.0.0.0/8"],
                "lifetime_seconds": 3600,
                "note": "build",
            }
            status, issued = await c.issue(**wanted)
            token = issued.pop("token")
            assert (status, token) == (200, f"signed.{issued['id']}")
            assert {k: issued[k] for k in wanted if k not in ("owner", "lifetime_seconds")} == {
                k: v for k, v in wanted.items() if k not in ("owner", "lifetime_seconds")
            }
            assert (issued["state"], issued["owner"]) == ("valid", {"issuer": PEOPLE, "subject": "alice"})
            assert await c.call("GET", "/tokens") == (200, {"tokens": [issued]})
            assert (await c.call("GET", "/tokens?owner=bob"))[1] == {"tokens": []}
            status, revoked = await c.call("DELETE", f"/tokens/{issued['id']}")
            assert (status, revoked["state"], revoked["revoked_now"]) == (200, "revoked", True)
            assert (await c.call("DELETE", f"/tokens/{issued['id']}"))[1] == revoked | {"revoked_now": False}
            assert (await c.call("GET", "/tokens?state=valid"))[1] == {"tokens": []}
            (kind, body), (_, second) = c.journal.records
            assert (kind, body["what"], second["what"]) == ("token", "issued", "revoked")
            assert body["by"] == (by := person("ada", "platform").document()) | {"credential": body["by"]["credential"]}  # type: ignore[call-overload, index]
            assert by["subject"] == "ada"
            assert (body["id"], body["targets"], body["expires"]) == (issued["id"], ["crm"], issued["expires_at"])
            assert token not in str(c.journal.records)
            kept = await asyncio.to_thread(lambda: [f.read_bytes() for f in folder.iterdir() if f.is_file()])
            assert not [data for data in kept if token.encode() in data]

    asyncio.run(run())


def test_a_signed_token_lets_in_until_it_is_revoked_or_frozen(folder: Path) -> None:
    """Issued over the socket, signed with the gateway's key, and known by the verifier that workers have."""

    def sign(token: AgentToken) -> str:
        return issue(read_private_key(folder / "keys"), token, GATEWAY)

    async def run() -> None:
        async with control(folder, sign=sign) as c:
            verifier = AgentTokens(GATEWAY, folder / "keys" / "tokens.pub", c.standing)
            known = asyncio.Event()
            c.standing.on_change(known.set)
            _, issued = await c.issue(owner={"issuer": None, "subject": "alice"}, targets=["crm"])
            await known.wait()
            principal = (await verifier.prove(issued["token"])).principal
            assert (principal.subject, principal.acts_for, principal.targets) == ("crm-bot", "alice", ("crm",))
            check(principal, c.standing, 0.0)
            for change, why in (
                (c.freeze("ALICE"), Why.FROZEN),
                (c.call("DELETE", "/freezes?principal=ALICE"), None),
                (c.call("DELETE", f"/tokens/{issued['id']}"), Why.REVOKED),
            ):
                known.clear()
                assert (await change)[0] == 200
                await known.wait()
                assert refused(principal, c.standing) is why
            with pytest.raises(IdentityRefused) as error:
                await verifier.prove(issued["token"])
            assert error.value.why is Why.REVOKED

    asyncio.run(run())


def refused(principal: Principal, standing: AccessList) -> Why | None:
    """Why a principal may not be here, or None where it may."""
    try:
        check(principal, standing, 0.0)
    except IdentityRefused as error:
        return error.why
    return None


@pytest.mark.parametrize(
    ("wanted", "status", "code", "expected"),
    [
        ({"targets": ["cmr"]}, 422, "unknown-target", "there are: crm, llm"),
        ({"lifetime_seconds": 10**9}, 422, "bad-token", "366 days"),
        ({"lifetime_seconds": True}, 400, "bad-request", "lifetime_seconds"),
        ({"lifetime_seconds": 60.0}, 400, "bad-request", "lifetime_seconds"),
        ({"kind": "human"}, 422, "bad-token", "agent or service"),
        ({"kind": "robot"}, 400, "bad-request", "kind"),
        ({"owner": {"subject": "alice"}}, 400, "bad-request", "owner"),
        ({"owner": {"issuer": 1, "subject": "alice"}}, 400, "bad-request", "owner"),
        ({"owner": "alice"}, 400, "bad-request", "owner"),
        ({"groups": ["a\u202eb"]}, 400, "bad-request", "groups"),
        ({"groups": "admins"}, 400, "bad-request", "groups"),
        ({"networks": ["10.0.0.1/8"]}, 422, "bad-token", "did you mean 10.0.0.0/8?"),
        ({"id": "0" * 16}, 400, "bad-request", "'id': not a member"),
        ({"note": "x" * 300}, 400, "bad-request", "note"),
        ({"subject": "a b"}, 422, "bad-token", "without spaces"),
        ({"subject": None}, 400, "bad-request", "subject"),
    ],
)
def test_tokens_that_are_not_issued(
    folder: Path, wanted: dict[str, Any], status: int, code: str, expected: str
) -> None:
    """Nothing is recorded of what was not even tried."""

    async def run() -> None:
        async with control(folder) as c:
            answered, problem = await c.issue(**wanted)
            assert (answered, problem["code"]) == (status, code)
            assert expected in problem["detail"]
            assert c.journal.records == []
            assert await c.access.tokens() == ()

    asyncio.run(run())


def test_an_owner_without_an_issuer(folder: Path) -> None:
    """Where there are several, one is named."""

    async def run() -> None:
        async with control(folder, Issuer("https://more.test", "k2")) as c:
            status, problem = await c.issue(owner={"issuer": None, "subject": "alice"})
            assert (status, problem["detail"]) == (
                422,
                f"owner: name the issuer too; there are: {PEOPLE}, https://more.test",
            )
            assert (await c.issue(owner={"issuer": ALICE[0], "subject": ALICE[1]}))[0] == 200
            named = await c.issue(owner={"issuer": None, "subject": f"{PEOPLE} alice"})
            assert named[1]["owner"] == {"issuer": PEOPLE, "subject": "alice"}
            status, problem = await c.issue(owner={"issuer": None, "subject": "https://idp.test nobody"})
            assert (status, problem["code"]) == (422, "bad-token")
            assert "'https://idp.test' issues no approvers' tokens" in problem["detail"]
            _, own = await c.issue()
            assert own["owner"] == own["issued_by"] == {"issuer": PEOPLE, "subject": "ada"}
            assert (await c.issue(token=None))[1]["owner"] == ME

    asyncio.run(run())


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/tokens", {"json": {"subject": "x"}}),
    ("GET", "/tokens", {}),
    ("DELETE", "/tokens/0123456789abcdef", {}),
    ("POST", "/freezes", {"json": {"principal": "x", "reason": "y"}}),
    ("DELETE", "/freezes?principal=x", {}),
    ("GET", "/freezes", {}),
)


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (ISSUER.token("dana", ["dba"]), 403, "not-administrator"),
        (ISSUER.token("dana", []), 403, "not-administrator"),
        (ISSUER.token("bot", ["platform"], aud="holdpoint"), 401, "not-known"),
        (ISSUER.token("bot", ["platform"], aud="holdpoint-agent"), 401, "not-known"),
        (ISSUER.token("ada", ["platform"], exp=1), 401, "not-known"),
        (Issuer().token("ada", ["platform"]), 401, "not-known"),
        ("", 401, "not-known"),
    ],
)
def test_who_is_no_administrator(folder: Path, token: str, status: int, code: str) -> None:
    """A token that is not an administrator's never falls back to whose connection it is, not even root's."""

    async def run() -> None:
        async with control(folder) as c:
            for method, path, options in CALLS:
                answered, problem = await c.call(method, path, token, **options)
                assert (answered, problem["code"]) == (status, code)
            assert c.journal.records == []

    asyncio.run(run())


def test_whose_connection_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says so: root and the gateway's own user administrate, nobody else, and they answer no holds."""

    async def run() -> None:
        async with control(folder) as c:
            assert (await c.freeze("eve", None))[0] == 200
            assert c.journal.records[0][1]["by"]["issuer"] == ME["issuer"]  # type: ignore[index, call-overload]
            assert (await c.call("GET", "/holds", None))[1]["code"] == "not-known"
            assert (await c.call("GET", "/nowhere", None))[0] == 404
            for user in (1234, 65534):
                # As if the gateway ran as somebody else, who is not who calls: or as the user that stands for all whom
                # the kernel can't name.
                monkeypatch.setattr(callers, "_peer", lambda request, user=user: user)
                monkeypatch.setattr(os, "geteuid", lambda: 65534)
                for method, path, options in CALLS:
                    status, problem = await c.call(method, path, None, **options)
                    assert (status, problem["code"]) == (403, "not-administrator")
                assert (await c.call("GET", "/nowhere", None))[0] == 403
            monkeypatch.setattr(callers, "_peer", lambda request: None)
            assert (await c.call("GET", "/tokens", None))[0] == 401

    asyncio.run(run())


async def opened(c: Control, who: Principal, digest: str, detached: bool = False) -> Hold:
    """A hold on one DBA."""
    return await c.holds.open_or_join(who, "crm", action(digest), decision(DBA), detached)


def test_a_freeze_cancels_what_waits_and_what_was_approved(folder: Path) -> None:
    """Also of what acts for whom was frozen, each with its record, whether somebody waits or was answered 202."""

    async def run() -> None:
        async with control(folder) as c:
            await c.issue(owner={"issuer": None, "subject": "alice"})
            ((token, _),) = await c.access.tokens(state=TokenState.VALID)
            approved = await opened(c, bot(token), "d1", detached=True)
            await c.holds.vote(approved.id, person("dana", "dba"), True, "fine", lambda before, after: None)
            waiting = await opened(c, agent(acts_for="Alice"), "d2")
            other = await opened(c, agent("bot2"), "d3")
            waiter = asyncio.create_task(c.holds.wait(waiting.id, 30))
            status, frozen = await c.freeze("alice")
            assert (status, frozen["frozen_now"]) == (200, True)
            assert sorted(frozen["cancelled"]) == sorted([approved.id, waiting.id])
            assert (await waiter).state is HoldState.CANCELLED
            states = [(await c.holds.get(h.id)).state for h in (approved, waiting, other)]
            assert states == [HoldState.CANCELLED, HoldState.CANCELLED, HoldState.PENDING]
            kinds = [(kind, body.get("what", body.get("state"))) for kind, body in c.journal.records]
            assert kinds == [("token", "issued"), ("freeze", "frozen"), ("hold", "cancelled"), ("hold", "cancelled")]
            assert (await c.freeze("alice"))[1] == frozen | {"frozen_now": False, "cancelled": []}
            await c.freeze(f"{GATEWAY} alice")
            status, lifted = await c.call("DELETE", "/freezes?principal=alice")
            assert (status, [f["principal"] for f in lifted["still"]]) == (200, [f"{GATEWAY} alice"])
            assert [f["principal"] for f in (await c.call("GET", "/freezes"))[1]["freezes"]] == [f"{GATEWAY} alice"]
            assert (await c.call("DELETE", "/freezes?principal=alice"))[0] == 404
            assert c.journal.records[-1][1]["what"] == "unfrozen"

    asyncio.run(run())


def test_a_freeze_stands_though_holds_can_not_be_cancelled(folder: Path) -> None:
    """They are when they can: the sweep asks again, and does nothing when nothing is to do."""

    async def run() -> None:
        async with control(folder) as c:
            hold = await opened(c, agent("eve"), "d1")
            away = (folder / "holds.db").rename(folder / "away")
            status, frozen = await c.freeze("eve")
            assert (status, frozen["frozen_now"], frozen["cancelled"]) == (200, True, None)
            away.rename(folder / "holds.db")
            assert [h.id for h in await cancel_frozen(c.access, c.holds, c.journal)] == [hold.id]
            assert await cancel_frozen(c.access, c.holds, c.journal) == ()

    asyncio.run(run())


def test_a_frozen_administrator(folder: Path) -> None:
    """May not thaw themselves, nor answer holds; whoever sits at the machine can thaw them."""

    async def run() -> None:
        async with control(folder) as c:
            known = asyncio.Event()
            c.standing.on_change(known.set)
            assert (await c.freeze("ada"))[0] == 200
            await known.wait()
            status, problem = await c.call("GET", "/freezes")
            assert (status, problem["code"]) == (403, "identity-frozen")
            assert (await c.call("DELETE", "/freezes?principal=ada"))[0] == 403
            assert (await c.call("GET", "/holds"))[0] == 403
            assert (await c.call("DELETE", "/freezes?principal=ada", None))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("principal", "status"),
    [("", 400), (" \t", 400), ("x" * 1025, 400), ("\ud800", 400), (7, 400), ("bot\u202e", 200), ("a b c", 200)],
)
def test_names_that_can_be_frozen(folder: Path, principal: object, status: int) -> None:
    """Whatever a token could carry: what a subject looks like must not protect it."""

    async def run() -> None:
        async with control(folder) as c:
            answer, document = await c.call("POST", "/freezes", json={"principal": principal, "reason": "why"})
            assert answer == status
            if status == 200:
                assert document["principal"] == principal
            assert (await c.call("POST", "/freezes", json={"principal": "x", "reason": "a\nb"}))[0] == 400
            assert (await c.call("DELETE", "/freezes"))[0] == 400
            assert (await c.call("DELETE", "/freezes?principal=x&principal=y"))[0] == 400

    asyncio.run(run())


def test_nothing_changes_without_a_record(folder: Path) -> None:
    """The journal refuses: so does the API."""

    async def run() -> None:
        async with control(folder) as c:
            _, issued = await c.issue()
            await c.freeze("eve")
            c.journal.broken = True
            for answer in (
                await c.issue("other"),
                await c.call("DELETE", f"/tokens/{issued['id']}"),
                await c.freeze("mallory"),
                await c.call("DELETE", "/freezes?principal=eve"),
            ):
                assert (answer[0], answer[1]["code"]) == (503, "journal-unwritable")
            assert [(t.id, its) for t, its in await c.access.tokens()] == [(issued["id"], TokenState.VALID)]
            assert [f.subject for f in await c.access.freezes()] == ["eve"]

    asyncio.run(run())


def test_a_recorded_change_that_could_not_be_stored_is_taken_back_in_the_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills between the two."""

    def full(*_: object) -> None:
        raise AccessUnavailable("database or disk is full")

    async def run() -> None:
        async with control(folder) as c:
            monkeypatch.setattr(access_table.Rows, "add_token", full)
            monkeypatch.setattr(access_table.Rows, "put_freeze", full)
            for answer in (await c.issue(), await c.freeze("eve")):
                assert (answer[0], answer[1]["code"]) == (503, "access-unavailable")
            said = [(kind, body["what"], body.get("undone")) for kind, body in c.journal.records]
            assert said == [
                ("token", "issued", None),
                ("token", "undone", "issued"),
                ("freeze", "frozen", None),
                ("freeze", "undone", "frozen"),
            ]

    asyncio.run(run())


def test_a_database_that_is_gone(folder: Path) -> None:
    """Nothing is answered from what was there: not who is frozen, and no token is issued."""

    async def run() -> None:
        async with control(folder) as c:
            c.store.path.unlink()
            for method, path, options in CALLS:
                assert (await c.call(method, path, None, **options))[0] == 503

    asyncio.run(run())
