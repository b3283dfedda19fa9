"""Any order of asking, voting, leaving, claiming and waiting, against SQLite: what must never happen doesn't."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from extproc.adapters.holds import SqliteHolds
from extproc.approvals.machine import LIVE, TRANSITIONS, HoldRefused
from extproc.approvals.service import PENDING_PER_PRINCIPAL, Holds
from extproc.domain.decision import Approval
from extproc.domain.hold import Hold, HoldState
from extproc.domain.principal import Principal
from tests.approvals.making import DBA, SECURITY, TWO_DBAS, Clock, action, agent, decision, person

S = HoldState
T = TypeVar("T")
ASKERS = [agent("bot"), agent("bot", acts_for="dana"), agent("bot2"), person("dana", "dba")]
VOTERS = [
    person("dana", "dba"),
    person("eve", "dba"),
    person("bo", "dba", "security"),
    person("zed", "sales"),
    agent("x"),
]
REQUIREMENTS: list[tuple[Approval, ...]] = [(DBA,), (TWO_DBAS,), (DBA, SECURITY)]


class HoldsMachine(RuleBasedStateMachine):
    """Two connections to one file, as two processes would have, and a model of what was seen."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        path = Path(self.folder.name, "holds.db")
        self.stores = [self.run(SqliteHolds.open(path, self.clock)) for _ in range(2)]
        self.sides = [Holds(store) for store in self.stores]
        self.seen: dict[str, S] = {}
        self.used: Counter[str] = Counter()
        self.yes: dict[str, list[Principal]] = {}

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for a coroutine."""

        async def wait() -> T:
            return await awaitable

        return self.loop.run_until_complete(wait())

    def attempt(self, awaitable: Awaitable[Hold]) -> Hold | None:
        """The hold, or None where a rule refused."""
        try:
            return self.run(awaitable)
        except HoldRefused:
            return None

    sides_drawn = st.integers(0, 1)

    @rule(
        target=holds,
        side=sides_drawn,
        asker=st.sampled_from(ASKERS),
        digest=st.sampled_from(["d1", "d2"]),
        requirements=st.sampled_from(REQUIREMENTS),
        detached=st.booleans(),
    )
    def ask(
        self, side: int, asker: Principal, digest: str, requirements: tuple[Approval, ...], detached: bool
    ) -> object:
        """Ask for approval."""
        asking = self.sides[side].open_or_join(asker, "crm", action(digest), decision(*requirements), detached)
        hold = self.attempt(asking)
        if hold is None:
            return multiple()
        assert (hold.principal, hold.digest) == (asker, digest)
        assert hold.state in LIVE | {S.DENIED}
        assert hold.state is S.DENIED or set(hold.requirements) == set(requirements)
        return hold.id

    @rule(side=sides_drawn, hold=holds, voter=st.sampled_from(VOTERS), approve=st.booleans())
    def vote(self, side: int, hold: str, voter: Principal, approve: bool) -> None:
        """Vote."""
        after = self.attempt(self.sides[side].vote(hold, voter, approve, "because", lambda before, after: None))
        if after is not None and approve:
            self.yes.setdefault(hold, []).append(voter)

    @rule(side=sides_drawn, hold=holds, claimer=st.sampled_from(ASKERS), digest=st.sampled_from(["d1", "d2"]))
    def claim(self, side: int, hold: str, claimer: Principal, digest: str) -> None:
        """Claim, rightly or not."""
        if (used := self.attempt(self.sides[side].claim(hold, digest, claimer))) is not None:
            assert (used.state, used.principal, used.digest) == (S.USED, claimer, digest)
            assert self.clock.now < used.expires_at
            self.used[hold] += 1

    @rule(side=sides_drawn, hold=consumes(holds))
    def leave(self, side: int, hold: str) -> None:
        """An asker leaves."""
        self.attempt(self.sides[side].cancel(hold))

    @rule(side=sides_drawn, hold=holds)
    def answer_202(self, side: int, hold: str) -> None:
        """An asker is answered 202."""
        self.attempt(self.sides[side].detach(hold))

    @rule(seconds=st.sampled_from([1.0, 59.0, 900.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds

    @rule(side=sides_drawn)
    def sweep(self, side: int) -> None:
        """The control process writes expiries down."""
        self.run(self.sides[side].expire_due(lambda expired: None))

    @invariant()
    def nothing_forbidden_has_happened(self) -> None:
        """Steps are of the table, approvals have their people, and one approval lets one action go on."""
        views = [self.run(side.find(None, limit=1000)).holds for side in self.sides]
        assert views[0] == views[1]
        live: Counter[tuple[Principal, str]] = Counter()
        pending: Counter[str] = Counter()
        for hold in views[0]:
            before = self.seen.get(hold.id, S.PENDING)
            assert before is hold.state or hold.state in reachable(before)
            self.seen[hold.id] = hold.state
            live[hold.principal, hold.digest] += hold.state in LIVE
            pending[hold.principal.key] += hold.state is S.PENDING
            assert self.used[hold.id] == (hold.state is S.USED)
            if hold.state in (S.APPROVED, S.USED):
                people = {(p.issuer, p.subject) for p in self.yes[hold.id]}
                assert len(people) >= sum(r.quorum for r in hold.requirements)
                assert hold.principal.subject not in {subject for _, subject in people}
                assert hold.principal.acts_for not in {subject for _, subject in people}
        assert all(n <= 1 for n in live.values())
        assert all(n <= PENDING_PER_PRINCIPAL for n in pending.values())

    def teardown(self) -> None:
        """Close the files."""
        for store in self.stores:
            self.run(store.close())
        self.loop.close()
        self.folder.cleanup()


def reachable(state: S) -> set[S]:
    """Where a hold may be after one or two steps, as one rule may take them (expire after approval)."""
    ways = set(TRANSITIONS[state])
    return ways | {further for way in ways for further in TRANSITIONS[way]}


class TestHolds(HoldsMachine.TestCase):  # type: ignore[misc,valid-type]
    """Runs the machine."""

    settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
