"""Short-lived passwords: who gets one, for how long, and who has it proven to have."""

import asyncio
import hmac
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extproc.access import passwords as module
from extproc.access.answers import unfit
from extproc.access.check import check
from extproc.access.model import Freeze, Password
from extproc.access.ports import AccessUnavailable
from extproc.access.proving import Proving
from extproc.access.register import Register, TokenState
from extproc.access.service import AccessRefused, Refused
from extproc.adapters.access import AccessList
from extproc.adapters.access_keys import ensure_token_keys, read_genuine
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind, Principal
from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth.client import Greeting
from extproc.protocols.postgres.auth.commands import Command, FindVerifier, NeedIdentity, Ready
from extproc.protocols.postgres.auth.commands import Refused as Rejected
from extproc.protocols.postgres.auth.scram import PLAIN, Verifier
from extproc.protocols.postgres.auth.scram_client import ScramClient
from extproc.protocols.postgres.wire.authentication import (
    SASLInitialResponse,
    SASLResponse,
)
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, StartupMessage
from tests.access.making import ALICE, IDP, ROOT, Store, bot, unseen
from tests.access.test_register import TOKEN

NOW = time.time()
DANA = Principal(IDP, "dana", Kind.HUMAN, ("sales",), None, NOW + 86400, "jwt:1")
SECRET = bytes(32)


def proving(store: Store, known: AccessList, clock: Callable[[], float] = time.time) -> Proving:
    """What a worker makes of passwords."""
    known.look()
    return Proving(known, SECRET, read_genuine(store.keys), clock)


def why(work: Callable[[], object]) -> Why | None:
    """Why this refuses somebody, or None where it does not."""
    try:
        work()
    except IdentityRefused as refused:
        return refused.why
    return None


def test_a_password_makes_its_user_who_asked(folder: Path) -> None:
    """Of it only the verifier is kept, and the principal is the asker's own, with the password as its credential."""

    async def run() -> None:
        async with Store(folder) as s, Store(folder) as other:
            asker = replace(DANA, acts_for="carol")
            password, text = await s.given(asker, targets=("crm",), lifetime=600, note="reports")
            assert ((await other.passwords.list(asker)),) == (((password, TokenState.VALID),),)
            assert password.user == f"hp-{password.id}"
            assert password.expires_at - password.issued_at == 600
            verifier = password.verifier
            assert Verifier.of(text.encode(), verifier.salt, verifier.iterations) == verifier
            assert (len(text), text.isalnum(), len(verifier.salt)) == (32, True, 16)
            known = AccessList.open(s.path)
            found = proving(s, known)
            assert found.verifier(password.user) == verifier
            assert found.principal(password.user, "192.0.2.7") == replace(
                asker, credential=f"password:{password.id}", expires_at=password.expires_at, targets=("crm",)
            )
            known.close()
            kept = await asyncio.to_thread(lambda: [f.read_bytes() for f in folder.iterdir() if f.is_file()])
            assert not [data for data in kept if text.encode() in data]

    asyncio.run(run())


def test_it_is_never_more_than_what_it_was_had_with(folder: Path) -> None:
    """Not in time, not in targets, not in networks."""

    async def run() -> None:
        async with Store(folder) as s:
            short = replace(DANA, expires_at=time.time() + 90)
            password, _ = await s.given(short)
            assert password.expires_at == short.expires_at
            token = await s.issued(targets=("crm",), networks=("10.0.0.0/8",), lifetime=60)
            asker = replace(bot(token), targets=token.targets)
            password, _ = await s.given(asker)
            assert (password.targets, password.networks) == (("crm",), ("10.0.0.0/8",))
            assert password.expires_at == token.expires_at
            with pytest.raises(AccessRefused, match="no target 'llm'; there are: crm") as refused:
                await s.given(asker, targets=("llm",))
            assert refused.value.code is Refused.UNKNOWN_TARGET
            known = AccessList.open(s.path)
            found = proving(s, known)
            assert found.principal(password.user, "10.1.2.3").targets == ("crm",)
            for source in ("192.0.2.1", "", "::1"):
                assert why(lambda source=source: found.principal(password.user, source)) is Why.WRONG_NETWORK  # type: ignore[misc]
            known.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        ({"lifetime": 59}, Refused.BAD_PASSWORD, "60 to 3600 seconds"),
        ({"lifetime": 3601}, Refused.BAD_PASSWORD, "60 to 3600 seconds"),
        ({"targets": ("cmr",)}, Refused.UNKNOWN_TARGET, "no target 'cmr'; there are: crm, llm"),
        ({"targets": ()}, Refused.UNKNOWN_TARGET, "no target at all"),
    ],
)
def test_passwords_that_are_not_issued(folder: Path, changes: dict[str, Any], code: Refused, expected: str) -> None:
    """The message says what would be right."""

    async def run() -> None:
        async with Store(folder) as s:
            with pytest.raises(AccessRefused, match=expected) as refused:
                await s.given(DANA, **changes)
            assert refused.value.code is code
            assert await s.passwords.list(None) == ()

    asyncio.run(run())


def test_who_may_not_be_here_gets_none(folder: Path) -> None:
    """Looked at in the transaction that would write it: whoever was frozen or revoked a moment before has lost."""

    async def run() -> None:
        async with Store(folder) as s, Store(folder) as other:
            token = await s.issued()
            await s.access.revoke(token.id, unseen)
            await s.frozen("Dana")
            refused = [(bot(token), Why.REVOKED), (DANA, Why.FROZEN), (replace(DANA, expires_at=1.0), Why.EXPIRED)]
            for by, expected in refused:
                with pytest.raises(IdentityRefused) as error:
                    await other.given(by)
                assert error.value.why is expected
            assert await s.passwords.list(None) == ()

    asyncio.run(run())


def test_one_principal_has_so_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker knows all of them by heart; others still get theirs, and after a day so does this one."""
    monkeypatch.setattr(module, "MOST_OF_ONE", 2)

    async def run() -> None:
        async with Store(folder) as s:
            first, _ = await s.given(DANA)
            await s.given(DANA)
            with pytest.raises(AccessRefused) as refused:
                await s.given(DANA)
            assert refused.value.code is Refused.TOO_MANY_PASSWORDS
            other, _ = await s.given(replace(DANA, subject="carol"))
            with sqlite3.connect(s.path) as db:
                ended = first.expires_at - 2 * 86400
                db.execute("UPDATE passwords SET expires_at = ? WHERE id = ?", (ended, first.id))
            db.close()
            await s.passwords.issue(module.PasswordWanted(), replace(DANA, subject="carol"), unseen)
            assert first.id not in [p.id for p, _ in await s.passwords.list(None)]
            assert [p.subject for p, _ in await s.passwords.list(other_of(other))] == ["carol", "carol"]
            await s.given(DANA)

    asyncio.run(run())


def other_of(password: Password) -> Principal:
    """The principal whose password this is."""
    return Principal(password.issuer, password.subject, password.kind)


def test_each_revokes_their_own(folder: Path) -> None:
    """Of others' nobody learns that there are any; who may revoke all does it once, with a record."""

    def refuses(_: object) -> None:
        raise JournalUnwritable("disk full")

    async def run() -> None:
        async with Store(folder) as s:
            password, _ = await s.given(DANA)
            for password_id, by in ((password.id, replace(DANA, issuer="https://other.test")), ("0" * 12, None)):
                with pytest.raises(AccessRefused) as refused:
                    await s.passwords.revoke(password_id, by, unseen)
                assert (refused.value.code, str(refused.value)) == (
                    Refused.UNKNOWN_PASSWORD,
                    f"no password of yours has the id {password_id}",
                )
            with pytest.raises(JournalUnwritable):
                await s.passwords.revoke(password.id, DANA, refuses)
            assert (await s.passwords.list(DANA))[0][1] is TokenState.VALID
            revoked, now = await s.passwords.revoke(password.id, DANA, unseen)
            assert now
            assert replace(revoked, revoked_at=None) == password
            assert await s.passwords.revoke(password.id, None, refuses) == (revoked, False)
            assert await s.passwords.list(DANA) == ((revoked, TokenState.REVOKED),)
            with pytest.raises(JournalUnwritable):
                await s.passwords.issue(module.PasswordWanted(), DANA, refuses)
            assert len(await s.passwords.list(None)) == 1

    asyncio.run(run())


def test_what_ends_whom_ends_a_password(folder: Path) -> None:
    """Time, its revocation, a freeze of who asked or whom that acts for, and the end of the token it was had with; from
    then on also of a session that it opened."""

    async def run() -> None:
        async with Store(folder) as s:
            token = await s.issued("crm-bot", ALICE)
            of_bot, _ = await s.given(bot(token))
            of_dana, _ = await s.given(DANA)
            known = AccessList.open(s.path)
            clock = [time.time()]
            found = proving(s, known, lambda: clock[0])
            opened = [found.principal(p.user, "::1") for p in (of_bot, of_dana)]

            def now() -> list[Why | None]:
                known.look()
                again = [why(lambda p=p: found.principal(p.user, "::1")) for p in (of_bot, of_dana)]  # type: ignore[misc]
                assert again == [why(lambda o=o: check(o, known, clock[0])) for o in opened]  # type: ignore[misc]
                return again

            assert now() == [None, None]
            await s.frozen("ALICE", IDP)
            assert now() == [Why.FROZEN, None]
            await s.access.unfreeze("ALICE", IDP, unseen)
            await s.frozen("dana")
            assert now() == [None, Why.FROZEN]
            await s.access.unfreeze("dana", None, unseen)
            await s.passwords.revoke(of_dana.id, None, unseen)
            assert now() == [None, Why.REVOKED]
            await s.access.revoke(token.id, unseen)
            assert now() == [Why.REVOKED, Why.REVOKED]
            assert [its for _, its in await s.passwords.list(None)] == [TokenState.REVOKED] * 2
            clock[0] = of_bot.expires_at
            assert now() == [Why.EXPIRED, Why.EXPIRED]
            known.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("user", "asked"),
    [
        ("hp-0123456789ab", True),
        ("hp-000000000000", True),
        ("0123456789ab", False),
        ("hp-0123456789a", False),
        ("hp-0123456789abc", False),
        ("hp-0123456789aB", False),
        ("hp-0123456789a\u0664", False),
        ("hp-hp-456789ab", False),
        ("HP-0123456789ab", False),
        ("postgres", False),
        ("", False),
    ],
)
def test_names_that_passwords_go_with(user: str, asked: bool) -> None:
    """Each of them has a verifier, the same one each time, which nothing proves where no password goes with it; others
    are let in by token."""
    nobody = Proving(Register({}, ()), SECRET, lambda *_: True, time.time)
    found = nobody.verifier(user)
    assert found == (Verifier.mock(user, SECRET) if asked else None)
    if asked:
        assert found is not None
        assert found.doomed
        with pytest.raises(IdentityRefused):
            nobody.principal(user, "::1")


def login(found: Proving, user: str, password: str, *, secure: bool) -> list[Command]:
    """All that a gateway answers to a client that logs in, from its first byte."""
    greeting, seen = Greeting("the-server's", tls=False, secure=secure), []
    client = ScramClient(password.encode(), "the-client's", None, plus=False)

    def say(data: bytes) -> list[Command]:
        commands = greeting.feed(data)
        for command in commands:
            seen.append(command)
            if isinstance(command, FindVerifier):
                commands += greeting.verifier_found(found.verifier(command.user))
            if isinstance(command, NeedIdentity):
                found.principal(command.opening.user, "192.0.2.1")
                commands += greeting.identified()
        return commands

    say(StartupMessage(PROTOCOL_3_0, (("user", user), ("database", "crm"))).encode())
    *_, told = say(SASLInitialResponse(PLAIN, client.first()).encode())
    assert isinstance(told, Tell)
    # Behind the message's kind, its length and its number.
    say(SASLResponse(client.final(told.data[9:])).encode())
    return seen


@pytest.mark.parametrize("secure", [False, True])
def test_nobody_learns_which_names_there_are(folder: Path, secure: bool) -> None:
    """A name that a password goes with, one with a password that was revoked or has ended, one that nobody has: who
    has not the password gets the same from all, but for the salt, which is each name's own."""

    async def run() -> None:
        async with Store(folder) as s:
            (valid, text), (revoked, _), (ended, _) = [await s.given(DANA) for _ in range(3)]
            await s.passwords.revoke(revoked.id, None, unseen)
            known = AccessList.open(s.path)
            clock = [time.time()]
            found = proving(s, known, lambda: clock[0])
            assert isinstance(login(found, valid.user, text, secure=secure)[-1], Ready)
            clock[0] = ended.expires_at
            users = [valid.user, revoked.user, ended.user, "hp-000000000000"]
            answers = [login(found, user, "wrong", secure=secure) for user in users]
            known.close()
            assert len({(type(a[-1]), a[-1]) for a in answers}) == 1
            assert isinstance(answers[0][-1], Rejected)
            assert len({tuple(type(c) for c in a) for a in answers}) == 1
            assert len({tuple(len(c.data) for c in a if isinstance(c, Tell)) for a in answers}) == 1
            salts = {c.data for a in answers for c in a if isinstance(c, Tell) and b",s=" in c.data}
            assert len(salts) == len(users)

    asyncio.run(run())


class Lost:
    """A Standing that can't be read."""

    def _lost(self, _: object) -> Any:
        raise AccessUnavailable("gone")

    token = password = frozen = _lost


def test_nobody_is_let_in_when_it_can_not_be_told() -> None:
    """Neither asked for a password nor believed."""
    lost = Proving(Lost(), SECRET, lambda *_: True, time.time)
    assert why(lambda: lost.verifier("hp-0123456789ab")) is Why.UNAVAILABLE
    assert why(lambda: lost.principal("hp-0123456789ab", "::1")) is Why.UNAVAILABLE
    assert lost.verifier("anybody") is None


def test_a_client_is_told_when_it_can_not_be_told() -> None:
    """It is the gateway's fault, not the password's; and nothing is asked of it."""
    greeting = Greeting("the-server's", tls=False, secure=False)
    startup = StartupMessage(PROTOCOL_3_0, (("user", "hp-0123456789ab"),)).encode()
    assert isinstance(greeting.feed(startup)[-1], FindVerifier)
    (told,) = greeting.unidentified("identity-unavailable", "which passwords count can't be told now")
    assert isinstance(told, Rejected)
    assert (told.code, told.message) == ("identity-unavailable", "which passwords count can't be told now")


def test_a_database_without_passwords_is_brought_up(folder: Path) -> None:
    """An earlier release's; who was frozen stays so, and passwords can be issued."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
        with sqlite3.connect(s.path) as db:
            db.execute("DROP TABLE passwords")
            db.execute("PRAGMA user_version = 2")
        db.close()
        async with Store(folder) as s:
            password, _ = await s.given(DANA)
            assert await s.passwords.list(None) == ((password, TokenState.VALID),)
            assert [f.subject for f in await s.access.freezes()] == ["eve"]

    asyncio.run(run())


COLUMNS = {
    "issuer": "https://other.test",
    "subject": "root",
    "kind": "service",
    "groups": json.dumps(["admins"]),
    "acts_for": "somebody",
    "credential": "jwt:2",
    "targets": json.dumps(["llm"]),
    "networks": json.dumps(["0.0.0.0/0"]),
    "note": "another",
    "verifier": Verifier.of(b"known to a thief", bytes(16)).text(),
    "issued_at": NOW - 10,
    "expires_at": NOW + 10**6,
    "seal": bytes(64),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_that_was_changed_is_nobodys(folder: Path, column: str) -> None:
    """Whoever can write to the file, but has not the gateway's key, makes nobody of it and widens nothing."""

    async def run() -> None:
        async with Store(folder) as s:
            password, _ = await s.given(DANA, targets=("crm",))
            with sqlite3.connect(s.path) as db:
                db.execute(f"UPDATE passwords SET {column} = ?", (COLUMNS[column],))  # noqa: S608
            db.close()
            known = AccessList.open(s.path)
            assert why(lambda: proving(s, known).principal(password.user, "::1")) is Why.INVALID
            known.close()

    asyncio.run(run())


def test_another_gateways_passwords_are_nobodys_here(folder: Path, tmp_path: Path) -> None:
    """Its key is another."""
    ensure_token_keys(tmp_path)

    async def run() -> None:
        async with Store(folder) as s:
            password, _ = await s.given(DANA)
            known = AccessList.open(s.path)
            other = Proving(known, SECRET, read_genuine(tmp_path), time.time)
            assert why(lambda: other.principal(password.user, "::1")) is Why.INVALID
            known.close()

    asyncio.run(run())


def test_whose_password_it_is_counts_for_holds_and_freezes() -> None:
    """Who issued the agent token that it was had with does not answer for it, and is frozen with it."""
    asked = _password(credential="agent-token:" + "0" * 16)
    token = replace(TOKEN, issued_by=(IDP, "mallory"))
    register = Register({token.id: token}, [Freeze(*ALICE, "root", "", 0.0)], {asked.id: asked})
    user = Principal(asked.issuer, asked.subject, asked.kind, credential=f"password:{asked.id}")
    assert register.frozen(user) is not None
    mallory, dana = Principal(IDP, "mallory", Kind.HUMAN), Principal(IDP, "dana", Kind.HUMAN)
    assert unfit(user, mallory, register) == "nobody answers a hold of a token that they issued"
    assert unfit(user, dana, register) is None
    assert "does not know the password" in str(unfit(replace(user, credential="password:1"), dana, register))


def _password(**changes: Any) -> Password:
    made = Password(
        "0123456789ab",
        ROOT.issuer,
        "x",
        Kind.AGENT,
        (),
        None,
        "jwt:1",
        None,
        None,
        "",
        Verifier.of(b"x", bytes(16)),
        0,
        1,
    )
    return replace(made, **changes)


def test_what_is_sealed_is_all_but_the_end() -> None:
    """A revocation does not break the seal; nothing else leaves it whole."""
    made = _password()
    assert replace(made, revoked_at=1.0, seal=b"x").sealed() == made.sealed()
    names = ("id", "issuer", "subject", "acts_for", "credential", "note", "targets", "networks", "groups")
    changes: list[dict[str, Any]] = [{name: "y"} for name in names]
    others = [replace(made, **change) for change in changes]
    assert len({made.sealed(), *(o.sealed() for o in others)}) == len(others) + 1
    assert not hmac.compare_digest(made.sealed(), replace(made, acts_for="").sealed())
