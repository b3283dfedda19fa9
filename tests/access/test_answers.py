"""Who issues a token does not answer for what it asks; and the store that knows who did, as an earlier release left
it."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.access.answers import unfit
from extproc.access.register import Register
from extproc.adapters.access import AccessList, prepare
from extproc.domain.principal import Kind, Principal
from tests.access.making import IDP, ROOT, Store, bot, signed, unseen, wanted
from tests.access.test_register import TOKEN

OWN = "nobody answers a hold of a token that they issued"


@pytest.mark.parametrize(
    ("issued_by", "approver", "expected"),
    [
        ((IDP, "mallory"), Principal(IDP, "mallory", Kind.HUMAN), OWN),
        ((IDP, "Mallory "), Principal("https://other.test", "mallory", Kind.HUMAN), OWN),
        (("unix:here", "mallory"), Principal(IDP, "mallory", Kind.HUMAN), OWN),
        ((IDP, "mallory"), Principal(IDP, "m", Kind.HUMAN, acts_for="mallory"), OWN),
        ((IDP, "mallory"), Principal(IDP, "dana", Kind.HUMAN), None),
        (None, Principal(IDP, "mallory", Kind.HUMAN), None),
    ],
)
def test_who_issued_a_token_does_not_answer(
    issued_by: tuple[str, str] | None, approver: Principal, expected: str | None
) -> None:
    """By subject alone, as with those whom it acts for."""
    token = replace(TOKEN, issued_by=issued_by)
    assert unfit(bot(token), approver, Register({token.id: token}, ())) == expected


def test_other_askers_are_not_its_matter_and_unknown_tokens_nobodys() -> None:
    """A token that the store does not know lets nothing go on, so nobody answers for it."""
    somebody = Principal(IDP, "dana", Kind.HUMAN)
    assert unfit(replace(bot(TOKEN), credential="jwt:1"), somebody, Register({}, ())) is None
    assert "does not know" in str(unfit(bot(TOKEN), somebody, Register({}, ())))


def test_a_database_of_version_1_is_brought_up(folder: Path) -> None:
    """Its tokens and freezes stay, and of those that come the issuer is known, also to workers."""

    async def run() -> None:
        async with Store(folder) as s:
            old = await s.issued()
            await s.frozen("eve")
        with sqlite3.connect(s.path) as db:
            for column in ("issued_by_issuer", "issued_by_subject"):
                db.execute(f"ALTER TABLE tokens DROP COLUMN {column}")
            db.execute("DROP TABLE passwords")
            db.execute("PRAGMA user_version = 1")
        db.close()
        prepare(s.path, s.keys)
        async with Store(folder) as s:
            new, _ = await s.access.issue(wanted("second"), ROOT, signed, unseen)
            assert {t.id: t.issued_by for t, _ in await s.access.tokens()} == {
                old.id: None,
                new.id: (ROOT.issuer, ROOT.subject),
            }
            assert [f.subject for f in await s.access.freezes()] == ["eve"]
            standing = AccessList.open(s.path)
            assert standing.token(new.id) == new
            standing.close()

    asyncio.run(run())
