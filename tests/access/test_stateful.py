"""Any order of issuing, revoking, freezing and thawing by two processes, tokens and the passwords had with them: what a
worker knows is what was done."""

import asyncio
import tempfile
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from extproc.access.check import check
from extproc.access.model import AgentToken, Password
from extproc.access.service import AccessRefused
from extproc.adapters.access import AccessList
from extproc.domain.identity import IdentityRefused
from extproc.domain.principal import Kind, Principal
from tests.access.making import IDP, ROOT, Store, bot, unseen

T = TypeVar("T")
SUBJECTS = ["alice", "Alice", "bob", "crm-bot"]
PEOPLE = [Principal(IDP, s, Kind.HUMAN) for s in SUBJECTS]


class AccessMachine(RuleBasedStateMachine):
    """Two stores over one file, a worker's list, and a model of what was done."""

    tokens = Bundle("tokens")
    passwords = Bundle("passwords")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.stores = [Store(Path(self.folder.name)) for _ in range(2)]
        for store in self.stores:
            self.run(store.__aenter__())
        self.known = AccessList(self.stores[0].path, lambda: 0.0)
        self.issued: dict[str, AgentToken] = {}
        self.revoked: set[str] = set()
        self.given: dict[str, tuple[Password, str]] = {}
        self.frozen: set[tuple[str | None, str]] = set()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for a coroutine."""

        async def wait() -> T:
            return await awaitable

        return self.loop.run_until_complete(wait())

    sides = st.integers(0, 1)
    names = st.tuples(st.sampled_from([None, IDP, "https://other.test"]), st.sampled_from(SUBJECTS))

    @rule(target=tokens, side=sides, subject=st.sampled_from(SUBJECTS), owner=st.sampled_from(SUBJECTS))
    def issue(self, side: int, subject: str, owner: str) -> str:
        """Issue a token."""
        token = self.run(self.stores[side].issued(subject, (IDP, owner)))
        self.issued[token.id] = token
        return token.id

    @rule(side=sides, token=tokens)
    def revoke(self, side: int, token: str) -> None:
        """Revoke one, perhaps again."""
        _, now = self.run(self.stores[side].access.revoke(token, unseen))
        assert now == (token not in self.revoked)
        self.revoked.add(token)

    @rule(target=passwords, side=sides, token=tokens)
    def give(self, side: int, token: str) -> str | None:
        """Get a password with a token, if that may be."""
        by = bot(self.issued[token])
        barred = token in self.revoked or self.is_frozen(self.issued[token])
        try:
            password, _ = self.run(self.stores[side].given(by))
        except IdentityRefused:
            assert barred
            return None
        assert not barred
        self.given[password.id] = password, token
        return password.id

    @rule(side=sides, password=passwords)
    def end(self, side: int, password: str | None) -> None:
        """Revoke a password, perhaps again."""
        if password is not None:
            _, now = self.run(self.stores[side].passwords.revoke(password, None, unseen))
            assert now == (password not in self.revoked)
            self.revoked.add(password)

    def is_frozen(self, token: AgentToken) -> bool:
        """Whether a freeze meets a token's agent or its owner."""
        of_gateway = {s.lower() for i, s in self.frozen if i is None}
        of_people = {s.lower() for i, s in self.frozen if i in (None, IDP)}
        return token.subject.lower() in of_gateway or token.owner[1].lower() in of_people

    @rule(side=sides, name=names)
    def freeze(self, side: int, name: tuple[str | None, str]) -> None:
        """Freeze one, perhaps again."""
        issuer, subject = name
        _, now = self.run(self.stores[side].access.freeze(subject, issuer, ROOT, "why", unseen))
        assert now == (name not in self.frozen)
        self.frozen.add(name)

    @rule(side=sides, name=names)
    def unfreeze(self, side: int, name: tuple[str | None, str]) -> None:
        """Thaw one, frozen or not."""
        issuer, subject = name
        try:
            self.run(self.stores[side].access.unfreeze(subject, issuer, unseen))
            assert name in self.frozen
        except AccessRefused:
            assert name not in self.frozen
        self.frozen.discard(name)

    @invariant()
    def a_worker_knows_what_was_done(self) -> None:
        """After one look: revoked tokens and frozen people, whatever the case of their names, and nobody else."""
        self.known.look()
        subjects = {s.lower() for i, s in self.frozen if i in (None, IDP)}
        for token in self.issued.values():
            known = self.known.token(token.id)
            assert known is not None
            assert (known.revoked_at is not None) == (token.id in self.revoked)
            assert (self.known.frozen(bot(token)) is not None) == self.is_frozen(token)
        for password, of in self.given.values():
            barred = bool({password.id, of} & self.revoked) or self.is_frozen(self.issued[of])
            assert self.may_be_here(password) is not barred
        for person in PEOPLE:
            assert (self.known.frozen(person) is not None) == (person.subject.lower() in subjects)

    def may_be_here(self, password: Password) -> bool:
        """Whether a session that a password opened may go on."""
        token = self.issued[self.given[password.id][1]]
        try:
            check(replace(bot(token), credential=f"password:{password.id}"), self.known, 0.0)
        except IdentityRefused:
            return False
        return True

    def teardown(self) -> None:
        """Close the files."""
        self.known.close()
        for store in self.stores:
            self.run(store.__aexit__())
        self.loop.close()
        self.folder.cleanup()


class TestAccess(AccessMachine.TestCase):  # type: ignore[misc,valid-type]
    """Runs the machine."""

    settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
