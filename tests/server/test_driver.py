"""The driver on its own, with a wire and a session that a test scripts."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from extproc.adapters.opa.slots import Slots
from extproc.approvals.service import Holds
from extproc.domain.action import Action
from extproc.domain.grant import Grant, Lane
from extproc.domain.json import JSON, Document
from extproc.domain.ports import JournalUnwritable
from extproc.domain.target import Protocol
from extproc.protocols.session import (
    Answer,
    Command,
    Decide,
    Decided,
    Event,
    Head,
    HeadReceived,
    Received,
    Send,
    SendHead,
    Stopped,
    TrailersReceived,
)
from extproc.server.caps import Account, Limits
from extproc.server.driver import Aborted, Driver
from extproc.server.gate import Gate
from extproc.server.metrics import Metrics
from extproc.server.records import Asker
from extproc.server.turns import Turns
from tests.http.playbook import ALICE, grant, target
from tests.server.making import Checks, NoHistory, recorder
from tests.server.test_ext_proc import ALLOW

FIRST = HeadReceived(Lane.REQUEST, Head(((":method", "GET"), (":path", "/x"))), True)
ACTION = Action(Protocol.HTTP, "GET", "/x", {}, {}, lambda masks: "", "d" * 64)


class Wire:
    """Takes what is written; the peer ends its side after these events."""

    def __init__(self, *events: Event) -> None:
        self.written: list[object] = []
        self._events = iter(events)

    async def read(self) -> Event | None:
        """The next event, and then the end."""
        return next(self._events, None)

    async def write(self, command: object) -> None:
        """Keep it."""
        self.written.append(command)

    async def answer(self, command: Answer, _: str) -> None:
        """Keep it."""
        self.written.append(command)

    async def keep_waiting(self, _: Lane) -> None:
        """Nothing to do."""


class Scripted:
    """Asks once, then gives the commands of a test."""

    patience_seconds, held_bytes, bite_bytes, completed = None, 0, 1 << 20, False

    def __init__(self, *commands: Command | type[Grant]) -> None:
        self.commands = commands

    def handle(self, event: Event) -> list[Command]:
        """The question, then the script; the type Grant stands for the grant that was given."""
        if isinstance(event, Decided):
            given = cast(Grant, event.outcome)
            return [SendHead(Lane.REQUEST, given) if c is Grant else cast(Command, c) for c in self.commands]
        return [Decide(1, ACTION, 0.0)]

    def delivery(self) -> dict[str, JSON]:
        """Nothing went on."""
        return {}


class Biting(Scripted):
    """Takes four bytes at once, and keeps them."""

    bite_bytes = 4

    def __init__(self) -> None:
        super().__init__(Grant)
        self.taken: list[Received] = []

    def handle(self, event: Event) -> list[Command]:
        """Each part of a body, beside the script."""
        if isinstance(event, Received):
            self.taken.append(event)
            return []
        return super().handle(event)


class Allow:
    """An engine that allows everything."""

    async def evaluate(self, _: Document, principal: str) -> object:
        """The decision."""
        return ALLOW


class Paper:
    """A journal that can be full."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.kinds: list[str] = []

    def append(self, kind: str, _: Document) -> int:
        """Keep the kind."""
        if self.full:
            raise JournalUnwritable("full")
        self.kinds.append(kind)
        return len(self.kinds)


def drive(session: Scripted, journal: Paper, folder: Path, *events: Event, first: HeadReceived = FIRST) -> Wire:
    """Drive one exchange that the driver ends, recorded below `folder`."""
    wire = Wire(*events)
    with pytest.raises(Aborted):
        run(wire, session, journal, folder, Account(Limits(1, 1000)), first)
    return wire


def run(wire: Wire, session: Scripted, journal: Paper, folder: Path, account: Account, first: HeadReceived) -> None:
    """Run the driver; raises what it raises."""
    metrics = Metrics(CollectorRegistry())
    gate = Gate(Allow(), cast(Holds, None), journal, metrics, NoHistory(), Checks(), recorder(folder))
    asker = Asker(ALICE, target(), "s1", "r1", "127.0.0.1", {})
    turn = Turns(Slots(None)).turn(ALICE.key)
    with ThreadPoolExecutor(1) as pool:
        asyncio.run(Driver(wire, session, gate, asker, account, pool, ("GET", "/x"), turn).run(first))


def test_bytes_go_on_under_the_grant_that_was_given(tmp_path: Path) -> None:
    """The decision is in the journal before the head is on the wire."""
    journal = Paper()
    wire = drive(Scripted(Grant), journal, tmp_path)
    assert [type(c) for c in wire.written] == [SendHead]
    assert journal.kinds == ["decision", "delivery"]


@pytest.mark.parametrize(
    "forged",
    [
        SendHead(Lane.REQUEST, grant()),
        Send(Lane.REQUEST, b"x", grant(), True),
        Send(Lane.RESPONSE, b"x", Grant(grant().decision, frozenset()), True),
    ],
    ids=["a head", "a body", "a lane"],
)
def test_a_grant_of_ones_own_making_sends_nothing(forged: Command, tmp_path: Path) -> None:
    """An equal grant is not the grant: only the gate makes them."""
    assert drive(Scripted(forged), Paper(), tmp_path).written == []


def test_without_a_record_there_is_no_grant(tmp_path: Path) -> None:
    """A full journal turns an allow into a refusal, which the session must answer; sending ends the exchange."""
    assert drive(Scripted(Grant), Paper(full=True), tmp_path).written == []


@pytest.mark.parametrize(
    ("data", "parts"), [(b"", [b""]), (b"1234", [b"1234"]), (b"123456789", [b"1234", b"5678", b"9"])]
)
def test_a_session_takes_a_body_in_bites(data: bytes, parts: list[bytes], tmp_path: Path) -> None:
    """As large as it says; the last one carries the end."""
    session = Biting()
    drive(session, Paper(), tmp_path, Received(Lane.RESPONSE, data, True))
    ends = [False] * (len(parts) - 1) + [True]
    assert [(r.data, r.end) for r in session.taken] == list(zip(parts, ends, strict=True))


class Threaded(Scripted):
    """Notes which events it handles in the thread of the event loop."""

    def __init__(self) -> None:
        super().__init__(Grant)
        self.inline: list[type[Event]] = []
        self.handled: list[type[Event]] = []

    def handle(self, event: Event) -> list[Command]:
        """The script for the request, nothing for the response."""
        self.handled.append(type(event))
        if threading.current_thread() is threading.main_thread():
            self.inline.append(type(event))
        of_response = isinstance(event, HeadReceived | TrailersReceived) and event.lane is Lane.RESPONSE
        return [] if of_response else super().handle(event)


@pytest.mark.parametrize("large", [False, True])
def test_long_heads_are_read_beside_the_event_loop(large: bool, tmp_path: Path) -> None:
    """A principal's long heads and trailers, and a decision on one, keep no other exchange waiting."""
    head = Head(((":method", "GET"), (":path", "/x"), *((f"x-{n}", "v" * 80) for n in range(60 if large else 1))))
    session = Threaded()
    events = HeadReceived(Lane.RESPONSE, head, False), TrailersReceived(Lane.RESPONSE, head)
    drive(session, Paper(), tmp_path, *events, first=HeadReceived(Lane.REQUEST, head, True))
    assert session.handled == [HeadReceived, Decided, HeadReceived, TrailersReceived]
    assert session.inline == ([] if large else session.handled)


class Holding(Scripted):
    """Holds a body, and lets go of it when it is refused."""

    held_bytes = 0

    def handle(self, event: Event) -> list[Command]:
        """Nothing goes on."""
        if isinstance(event, Stopped):
            self.held_bytes = 0
            return [Answer(429, (), b"", event.code)]
        self.held_bytes += len(event.data) if isinstance(event, Received) else 0
        return []


def test_a_body_that_is_refused_counts_no_longer(tmp_path: Path) -> None:
    """From then on, not when its stream ends: the principal's other exchanges have the room."""
    account = Account(Limits(2, 1000))
    first = HeadReceived(Lane.REQUEST, FIRST.head, False)

    class Observed(Wire):
        async def answer(self, command: Answer, _: str) -> None:
            assert account.held == 0
            await super().answer(command, _)

    wire = Observed(*(Received(Lane.REQUEST, b"x" * 400, False) for _ in range(3)))
    run(wire, Holding(), Paper(), tmp_path, account, first)
    assert [c.why for c in wire.written if isinstance(c, Answer)] == ["too-many-bytes"]
