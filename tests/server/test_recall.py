"""A decision that the gate remembers: no question, a record all the same, and nothing that it would not grant anew."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from prometheus_client import CollectorRegistry

from extproc.approvals.service import Holds
from extproc.domain.action import Action
from extproc.domain.decision import Recording
from extproc.domain.grant import Grant, Refusal
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable, PolicyUnavailable, Reach, Settled
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Inspect, Protocol, Target
from extproc.server.gate import Gate
from extproc.server.memory import Memory
from extproc.server.metrics import Metrics
from extproc.server.records import Asker
from tests.server.making import ISSUER, Checks, NoHistory, recorder

ALICE = Principal(ISSUER, "alice", Kind.AGENT)
REASON = {"policy": "p", "code": "ok", "message": "m", "severity": "low", "mode": "enforce", "effect": "allow"}


class Engine:
    """Allows, and says that it depends on nothing; counts what it was asked."""

    def __init__(self, mask: Sequence[Any] = (), settled: Settled | Exception | None = None) -> None:
        self.mask, self.answer = mask, settled
        self.asked = self.settling = 0

    async def evaluate(self, _: Document, principal: str) -> object:
        """The decision."""
        self.asked += 1
        duties = {"mask": list(self.mask), "approval": [], "record": "full"}
        return {"schema": 1, "effect": "allow", "revision": "r1", "reasons": [REASON], "obligations": duties}

    async def settled(self, document: Document, unknown: Sequence[str]) -> Settled | None:
        """What it was made to say, else that nothing depends on what is unknown."""
        self.settling += 1
        assert "history" not in document
        assert "history" in unknown
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or Settled("r1", [REASON])


class Paper:
    """A journal that can be full."""

    def __init__(self) -> None:
        self.full = False
        self.bodies: list[dict[str, Any]] = []

    def append(self, _: str, body: Document) -> int:
        """Keep the body."""
        if self.full:
            raise JournalUnwritable("full")
        self.bodies.append(dict(body))
        return len(self.bodies)


class Scene:
    """A gate that remembers, before an engine and a journal."""

    def __init__(self, folder: Path, engine: Engine, target: Target | None = None) -> None:
        self.engine, self.journal = engine, Paper()
        self.reach: Reach | None = Reach("r1", (("action", "verb"), ("principal", "subject"), ("history",)))
        self.memory = Memory(lambda: self.reach)
        self.registry = CollectorRegistry()
        self.gate = Gate(
            engine, cast(Holds, None), self.journal, Metrics(self.registry), NoHistory(), Checks(), recorder(folder),
            self.memory, engine,
        )  # fmt: skip
        self.target = target or Target("crm", Protocol.HTTP, "test", record=Recording.METADATA)

    def asker(self, who: Principal = ALICE) -> Asker:
        """Somebody, on the target."""
        return Asker(who, self.target, "s1", "r1", "127.0.0.1", {})

    async def decide(self, verb: str = "GET", who: Principal = ALICE) -> Grant | Refusal:
        """One action, and all that goes on behind it."""
        action = Action(Protocol.HTTP, verb, "/x", {}, {}, lambda _: "", "d1")
        outcome = await self.gate.decide(self.asker(who), action, 1.0, cast(Any, None))
        if self.gate._settling is not None:
            await self.gate._settling
        self.gate._rested = 0.0
        return outcome


def test_the_third_time_policy_is_not_asked(tmp_path: Path) -> None:
    """The second time the engine is asked what the decision depends on. Each has an id and a record of its own, and
    the record says that policy was not asked."""

    async def play() -> Scene:
        scene = Scene(tmp_path, Engine())
        outcomes = [await scene.decide() for _ in range(5)]
        assert all(isinstance(outcome, Grant) for outcome in outcomes)
        assert len({outcome.decision.id for outcome in outcomes}) == 5
        assert [body["decision"]["id"] for body in scene.journal.bodies] == [o.decision.id for o in outcomes]
        return scene

    scene = asyncio.run(play())
    assert (scene.engine.asked, scene.engine.settling) == (2, 1)
    assert [body.get("remembered", False) for body in scene.journal.bodies] == [False, False, True, True, True]
    assert scene.registry.get_sample_value("holdpoint_remembered_total", {"target": "crm"}) == 3
    assert scene.registry.get_sample_value("holdpoint_decisions_total", {"effect": "allow", "target": "crm"}) == 5


def test_others_and_other_things_are_asked_about(tmp_path: Path) -> None:
    """What one may is not remembered for another, nor one verb for another, nor anything under other policies."""

    async def play() -> Scene:
        scene = Scene(tmp_path, Engine())
        for _ in range(3):
            await scene.decide()
        await scene.decide("POST")
        await scene.decide(who=Principal(ISSUER, "bob", Kind.AGENT))
        scene.reach = None
        await scene.decide()
        scene.reach = Reach("r1", (("action", "verb"),))
        await scene.decide()
        return scene

    assert asyncio.run(play()).engine.asked == 6


def test_what_the_engine_can_t_say_is_asked_each_time(tmp_path: Path) -> None:
    """Nothing is remembered of what depends on the past, and while the engine can't say it is asked again later."""

    async def play(engine: Engine) -> Engine:
        scene = Scene(tmp_path, engine)
        for _ in range(4):
            assert isinstance(await scene.decide(), Grant)
        return engine

    for answer, settling in ((Settled("r2", [REASON]), 1), (PolicyUnavailable("policy-timeout", "late"), 3)):
        engine = asyncio.run(play(Engine(settled=answer)))
        assert (engine.asked, engine.settling) == (4, settling)


def test_without_a_record_nothing_is_granted(tmp_path: Path) -> None:
    """A journal that takes nothing refuses what is remembered, too."""

    async def play() -> Grant | Refusal:
        scene = Scene(tmp_path, Engine())
        for _ in range(3):
            await scene.decide()
        scene.journal.full = True
        return await scene.decide()

    assert isinstance(asyncio.run(play()), Refusal)


def test_a_duty_that_can_t_be_done_is_no_grant(tmp_path: Path) -> None:
    """A mask on a target whose bodies are not read is refused each time, and never from memory."""
    mask = {"policy": "p", "select": {"kinds": ["card"]}, "operator": "redact"}
    target = Target("crm", Protocol.HTTP, "test", inspect=Inspect.HEADERS, record=Recording.METADATA)

    async def play() -> Scene:
        scene = Scene(tmp_path, Engine([mask]), target)
        assert all([isinstance(await scene.decide(), Refusal) for _ in range(5)])
        return scene

    assert not [body for body in asyncio.run(play()).journal.bodies if "remembered" in body]
