"""A worker's steps, one by one, as bench.stages measures them."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from bench.cases import Payload, request_body
from extproc.adapters.access import AccessList
from extproc.adapters.counters import Counters, Wanted
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.opa.slots import Slots
from extproc.adapters.signals_history import PolicyHistory
from extproc.adapters.signals_reader import SignalsReader
from extproc.app.deciding import may_go_on
from extproc.app.engine import engine
from extproc.app.identities import Doorkeeper
from extproc.app.knowledge import Known
from extproc.app.layout import Layout
from extproc.app.redaction import redact_record
from extproc.approvals.service import Holds
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.audit.journal import FileJournal
from extproc.config import Settings, load
from extproc.domain.decision import Decision, parse
from extproc.domain.grant import Grant, Lane
from extproc.domain.identity import Shown
from extproc.domain.json import JSON, Document
from extproc.domain.ports import Journal, PolicyEngine
from extproc.masking.build import found_in, warm
from extproc.masking.plan import Knowledge
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Command, Decide, Decided, Event, HeadReceived, Send, SendHead
from extproc.protocols.shown import excerpt
from extproc.server.arrival import arrival_of
from extproc.server.gate import Gate
from extproc.server.metrics import Metrics
from extproc.server.records import Asker
from extproc.server.wire import translate
from extproc.server.wire.ext_proc_pb2 import ProcessingRequest

Work = Callable[[], Awaitable[object] | object]

WITHIN = "– of which "
"""How the name of a step begins that is part of the one before it."""

_KEY = b"k" * 32


@dataclass(frozen=True, slots=True)
class Step:
    """Some work; what it costs is what `work` costs beyond `base`."""

    name: str
    work: Work
    base: Work | None = None


class _Canned:
    """A policy engine that has its answer ready."""

    answer: object = None

    async def evaluate(self, document: Document, principal: str) -> object:
        return self.answer


class _Nowhere:
    """A journal that keeps nothing."""

    def append(self, kind: str, body: Document) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Gates:
    """The same gate over different ports, so that a port's cost is a difference."""

    real: Gate
    canned: Gate
    unredacted: Gate
    unrecorded: Gate


class Worker:
    """One exchange, opened so that each of its steps can be repeated by itself."""

    def __init__(
        self,
        settings: Settings,
        payload: Payload,
        messages: list[bytes],
        gates: Gates,
        metrics: Metrics,
        raw: _Canned,
        doorkeeper: Doorkeeper,
        known: Knowledge,
    ) -> None:
        self._messages, self._gates, self._metrics, self._raw = messages, gates, metrics, raw
        self._target = next(t.target for t in settings.targets if t.name == payload)
        self._doorkeeper, self._known = doorkeeper, known
        self._body = request_body() if payload is Payload.BODIES else b""
        self._first = ProcessingRequest.FromString(messages[0])
        self._events = self._read()
        self._asker = self._who()
        self._action = self._asked()[1].action
        self._decision: Decision | None = None
        self.history: Document = {"known": False}
        self.past: PolicyHistory | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, config: Path, payload: Payload, messages: list[bytes]) -> AsyncIterator["Worker"]:
        """A worker beside the running gateway: its OPA, and a journal and a store of its own. Raises OSError."""
        settings = load(config)
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=settings.state)))
            store = await SqliteHolds.open(folder / "holds.db")
            stack.push_async_callback(store.close)
            every, layout = settings.audit.sync_seconds, Layout(settings.state)
            known = Known(layout).now
            journal = FileJournal(folder / "a", "a", sync_seconds=every, redact=lambda body: redact_record(body, known))
            stack.callback(journal.close)
            unredacted = FileJournal(folder / "b", "b", sync_seconds=every)
            stack.callback(unredacted.close)
            slots = Slots(layout.run)
            stack.callback(slots.close)
            policy = engine(settings, slots)
            stack.callback(policy.close)
            metrics, raw = _metrics(), _Canned()

            standing = AccessList.open(layout.access)
            stack.callback(standing.close)
            signals = SignalsReader(layout.signals)
            signals.start()
            stack.callback(signals.close)
            counters = Counters(folder / "counters.db")
            stack.push_async_callback(counters.close)
            past = PolicyHistory(signals, counters, Wanted(layout.policy_reads))
            doorkeeper = Doorkeeper(settings, standing)

            recorder = Recorder(Shelf(folder / "bodies", bytes(32)), "bench", lambda kind, body: None)

            def gate(policy: PolicyEngine, journal: Journal) -> Gate:
                check = partial(may_go_on, standing, doorkeeper)
                return Gate(policy, Holds(store), journal, metrics, past, check, recorder)

            gates = Gates(gate(policy, journal), gate(raw, journal), gate(policy, unredacted), gate(raw, _Nowhere()))
            await doorkeeper.identify(shown(messages[0]))
            worker = cls(settings, payload, messages, gates, metrics, raw, doorkeeper, known)
            worker.history = await past.of(worker._asker.principal, payload, "GET", "127.0.0.1")
            worker.past = past
            warm(known)
            raw.answer = await policy.evaluate(worker._document())
            worker._decision = parse("0" * 24, raw.answer)
            yield worker

    def steps(self) -> Iterator[Step]:
        """The steps in the order of the path."""
        yield Step("messages in: protobuf to events", self._read)
        yield Step("who asks: attributes, a remembered credential", self._who)
        yield Step("session up to the question: parse, facts, digest, summary", self._asked)
        yield Step(WITHIN + "detectors over address, headers and body", self._detect)
        yield Step(WITHIN + "the excerpt for the record", self._excerpt)
        yield Step("what the principal did before", self._remember)
        yield Step("policy input, reading the decision", self._evaluate_canned)
        yield Step("asking OPA: encode, write, await, decode", self.ask, self._evaluate_canned)
        yield Step("both records: build, count", lambda: self._record(self._gates.unrecorded))
        yield Step(
            "both records: encode, chain, write, sync",
            lambda: self._record(self._gates.unredacted),
            lambda: self._record(self._gates.unrecorded),
        )
        yield Step(
            "both records: redact",
            lambda: self._record(self._gates.real),
            lambda: self._record(self._gates.unredacted),
        )
        yield Step("timings and gauges for Prometheus", self._figures)
        yield Step("session after the answer: masks, events to protobuf", self._finished, self._asked)

    async def ask(self) -> Decision:
        """One decision of OPA's, as the gate gets it."""
        return await self._gates.real.evaluate(self._asker, self._action, [], self.history)

    async def _remember(self) -> Document:
        if self.past is None:
            raise ValueError("no history yet")
        return await self.past.of(self._asker.principal, self._target.name, "GET", self._asker.source)

    async def _evaluate_canned(self) -> Decision:
        return await self._gates.canned.evaluate(self._asker, self._action, [], self.history)

    def _read(self) -> list[Event]:
        return [translate.event_of(ProcessingRequest.FromString(message)) for message in self._messages]

    def _who(self) -> Asker:
        head = translate.event_of(self._first)
        if not isinstance(head, HeadReceived):
            raise ValueError("the exchange does not begin with a head")
        arrival = arrival_of(self._first, head)
        found = self._doorkeeper.remembered(arrival.shown)
        if found is None:
            raise ValueError("the agent was not identified before")
        self._events[0] = arrival.for_session(found.used)
        context: dict[str, JSON] = {"trace": arrival.trace}
        return Asker(found.principal, self._target, "5" * 32, arrival.request, arrival.shown.source, context)

    def _asked(self) -> tuple[HttpSession, Decide, list[Event]]:
        """A session that waits for its decision, its question, and the events that are still to come."""
        session = HttpSession(self._target, self._asker.principal, "", _KEY, self._known)
        for i, event in enumerate(self._events):
            for command in session.handle(event):
                if isinstance(command, Decide):
                    return session, command, self._events[i + 1 :]
        raise ValueError("the exchange never came to its question")

    def _finished(self) -> int:
        """The bytes that go back to Envoy, counted."""
        session, question, events = self._asked()
        if self._decision is None:
            raise ValueError("no decision yet")
        grant = Grant(self._decision, frozenset(Lane))
        size = self._written(session.handle(Decided(question.ask, grant)))
        for event in events:
            size += self._written(session.handle(event))
        if not session.completed:
            raise ValueError("the exchange did not come to its end")
        session.delivery()
        return size

    def _written(self, commands: list[Command]) -> int:
        size = 0
        for command in commands:
            if isinstance(command, SendHead):
                size += len(translate.send_head(command).SerializeToString())
            elif isinstance(command, Send):
                size += sum(len(message.SerializeToString()) for message in translate.send(command))
            else:
                raise ValueError(f"the exchange went wrong: {command}")
        return size

    def _detect(self) -> None:
        if self._body:
            found_in(self._body, "application/json", self._known)
        found_in(b"/customers/7\nbench\n*/*", "text/plain", self._known)

    def _excerpt(self) -> str:
        return excerpt(self._body.decode(), self._known) if self._body else ""

    def _record(self, gate: Gate) -> None:
        if self._decision is None:
            raise ValueError("no decision yet")
        gate.records.decided(self._asker, self._action, self._decision, None, {"policy": 1000}, "granted")
        facts: dict[str, JSON] = {
            "status": 200,
            "bytes": {"request": len(self._body), "response": 4096},
            "masked": {"response": {"card": 1, "ssn": 1, "iban": 1}} if self._body else {},
            "outcome": "completed",
            "duration_us": 2000,
        }
        gate.records.delivered(self._asker, self._decision.id, facts)

    def _figures(self) -> None:
        with self._metrics.exchanges.track_inprogress():
            self._metrics.stage("policy", 0.001)
            self._metrics.stage("journal", 0.0001)
            if self._body:
                self._metrics.masked("crm", "response", {"card": 1, "ssn": 1, "iban": 1})

    def _document(self) -> Document:
        return {
            "schema": 1,
            "principal": self._asker.principal.document(),
            "target": self._asker.target.document(),
            "session": {"id": self._asker.session},
            "action": self._action.document(),
            "context": {"time": "2026-01-01T00:00:00Z", "source": {"address": self._asker.source}},
            "approvals": [],
            "history": self.history,
        }


def shown(message: bytes) -> Shown:
    """What the first message of an exchange shows of who asks. Raises ValueError."""
    first = ProcessingRequest.FromString(message)
    head = translate.event_of(first)
    if not isinstance(head, HeadReceived):
        raise ValueError("the exchange does not begin with a head")
    return arrival_of(first, head).shown


@cache
def _metrics() -> Metrics:
    # Names of metrics are taken once in a process.
    return Metrics()
