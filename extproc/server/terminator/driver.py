"""The driver of a terminated connection: two peers, one session, and a Grant for whatever goes on.

As the driver of HTTP exchanges it alone holds Grants, and checks each one that the session shows: bytes under a Grant
that was not given to this very connection, or was concluded already, end it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial

from extproc.audit.bodies.recorder import Recording
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.grant import Grant, Lane
from extproc.domain.hold import Hold
from extproc.domain.json import JSON, Document
from extproc.domain.limits import Limits
from extproc.protocols.connection import (
    Ask,
    Cancel,
    CancelAsked,
    Close,
    Command,
    Conclude,
    Connect,
    Connected,
    ConnectFailed,
    Connection,
    Deadline,
    Draw,
    Drawn,
    Event,
    Learn,
    Learned,
    Overdue,
    Refuse,
    Tell,
    Withdraw,
)
from extproc.protocols.session import Abort, Cause, Decide, Decided, Pending, Received, Send, Stopped
from extproc.server.caps import Account
from extproc.server.gate import Gate
from extproc.server.records import Asker
from extproc.server.terminator.outbox import Outbox
from extproc.server.terminator.peer import Peer

# A larger step over rows that are masked leaves the event loop, so that others' statements don't wait for it.
_INLINE_BYTES = 4 << 10
_CANCEL_SECONDS = 3.0
_WORDS = {
    "stopped": (Cause.TARGET, "The gateway is shutting down."),
    "recording-failed": (Cause.UNAVAILABLE, "What passes can't be recorded now."),
}
"""Ends that the session does not choose itself, by their code."""

_log = logging.getLogger("holdpoint.terminator")


class NotConnected(Exception):
    """The target can't be had. The message is for the client, `code` for the trail."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Upstream:
    """How a protocol gets its upstream. Subclassed by each."""

    async def connect(self, limits: Limits) -> tuple[Peer, object]:
        """A connection that is logged in, and what the session is told of it; `limits` are those of the connection.
        Raises NotConnected."""
        raise NotImplementedError

    async def cancel(self) -> None:
        """Ask the upstream to end what it does now; nobody waits for whether it does."""
        raise NotImplementedError

    async def learn(self, question: object) -> object | None:
        """Find something out; None where it can't be."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing more is to be found out."""
        raise NotImplementedError


@dataclass(slots=True)
class _Given:
    """A Grant of this connection, who it was given to, and what is kept of what passes under it."""

    asker: Asker
    recording: Recording
    started: int = field(default_factory=time.perf_counter_ns)


class ConnectionDriver:
    """Drives one connection from its first decision to its end."""

    def __init__(
        self,
        client: Peer,
        session: Connection,
        upstream: Upstream,
        gate: Gate,
        asker: Asker,
        account: Account,
        pool: Executor,
    ) -> None:
        self._client = client
        self._session = session
        self._upstream = upstream
        self._gate = gate
        self._asker = asker
        self._account = account
        self._pool = pool
        self._server: Peer | None = None
        self._given: dict[Grant, _Given] = {}
        self._deciding: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelling: set[asyncio.Task[None]] = set()
        self._events: deque[Event] = deque()
        self._busy = False
        self._outbox = Outbox()
        self._over = asyncio.get_running_loop().create_future()
        self._outcome = "completed"

    async def run(self, first: list[Command], rest: bytes) -> None:
        """Drive to the end. `rest` is what the client sent already. Everything is concluded when it returns."""
        try:
            self._execute(first)
            if rest:
                self._events.append(Received(Lane.REQUEST, rest, False))
            self._go_on()
            self._client.give(self)
            await self._over
        finally:
            # Also when the worker stops: nothing that is under way stays without its end in the record.
            self._conclude_all()
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._client.close()
            if self._cancelling:
                # What the upstream does for nobody any more it is told to leave.
                await asyncio.wait(self._cancelling, timeout=_CANCEL_SECONDS)
            if self._server is not None:
                self._server.close()
            self._upstream.close()

    def end(self, why: Stopped) -> None:
        """See live.Endable."""
        self.take(why)

    async def cancel(self) -> None:
        """The client wants what it waits for to end. When it returns the upstream has been told."""
        self.take(CancelAsked())
        if self._cancelling:
            await asyncio.wait(self._cancelling)

    # -- peers ---------------------------------------------------------------------------------------------------------

    def received(self, peer: Peer, data: bytes) -> None:
        """See peer.Owner."""
        self.take(Received(self._lane(peer), data, False))

    def ended(self, peer: Peer) -> None:
        """See peer.Owner."""
        self.take(Received(self._lane(peer), b"", True))

    def drained(self, peer: Peer) -> None:
        """See peer.Owner."""
        self._flow()

    def _lane(self, peer: Peer) -> Lane:
        return Lane.REQUEST if peer is self._client else Lane.RESPONSE

    def _flow(self) -> None:
        """Read from each peer as long as somebody takes what it sends."""
        calm = len(self._events) < 2
        server = self._server
        self._client.read(calm and self._session.credit(Lane.REQUEST) and (server is None or not server.full))
        if server is not None:
            server.read(calm and self._session.credit(Lane.RESPONSE) and not self._client.full)

    # -- events and commands -------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """One more event, after those before it."""
        if self._over.done():
            return
        self._events.append(event)
        self._go_on()

    def _go_on(self) -> None:
        while self._events and not self._busy and not self._over.done():
            event = self._events.popleft()
            if self._is_large(event):
                self._busy = True
                self._spawn(self._apart(event))
            else:
                self._execute(self._session.handle(event))
        if not self._over.done():
            self._flow()

    def _is_large(self, event: Event) -> bool:
        """Whether a step may be more than others should wait for. What was asked about a long text is, too, when its
        answer comes, and so may be the message behind it."""
        if not isinstance(event, Received | Decided | Learned):
            return False
        load = self._session.load
        if load > _INLINE_BYTES:
            return True
        return (
            isinstance(event, Received) and load + len(event.data) > _INLINE_BYTES and self._session.heavy(event.lane)
        )

    async def _apart(self, event: Event) -> None:
        """A large step, in a thread: a session's steps never run beside one another."""
        async with self._account.turn:
            commands = await asyncio.get_running_loop().run_in_executor(self._pool, self._session.handle, event)
        self._busy = False
        self._execute(commands)
        self._go_on()

    def _execute(self, commands: list[Command]) -> None:
        ended: deque[tuple[Conclude, _Given]] = deque()
        try:
            for command in commands:
                if self._over.done():
                    break
                if not isinstance(command, Conclude):
                    self._do(command)
                elif (given := self._given.pop(command.under, None)) is not None:
                    ended.append((command, given))
            self._outbox.record()
            while ended:
                # Before it is sent: whoever is told that it is done finds that it was written.
                end, given = ended.popleft()
                self._write_end(end.under, given, end.outcome, dict(end.facts))
            self._outbox.send()
        except RecordingFailed:
            self._gate.metrics.unwritable.inc()
            self._finish("aborted:recording-failed")
        finally:
            # What was not ended as it should be ends with the connection.
            self._given.update((command.under, given) for command, given in ended)

    def _do(self, command: Command) -> None:
        match command:
            case Send(lane, data, under):
                given = self._given.get(under)
                if given is None or lane not in under.lanes:
                    self._finish("aborted:grant-not-ours")
                    return
                self._outbox.put(self._to(lane), lane, data, given.recording)
            case Ask(data, under):
                if under not in self._given:
                    self._finish("aborted:grant-not-ours")
                    return
                self._outbox.put(self._to(Lane.REQUEST), Lane.REQUEST, data)
            case Tell(data):
                self._outbox.put(self._client, Lane.RESPONSE, data)
            case Decide():
                asker = self._asking(command.trace)
                granted = self._gate.recall(asker, command.action)
                if granted is not None:
                    self._give(granted, asker)
                    # After the commands that stand beside this one, and before what came meanwhile.
                    self._events.appendleft(Decided(command.ask, granted))
                    return
                task = self._spawn(self._decide(command))
                self._deciding[command.ask] = task
            case Withdraw(ask):
                if (task_ := self._deciding.pop(ask, None)) is not None:
                    task_.cancel()
            case Refuse(verb, resource, code, title, summary, trace):
                self._gate.records.refused(self._asking(trace), verb, resource, code, title, summary)
            case Connect(under):
                self._spawn(self._connect(under.decision.limits))
            case Cancel():
                task = asyncio.ensure_future(_logged(self._upstream.cancel(), lambda _: None))
                self._cancelling.add(task)
                task.add_done_callback(self._cancelling.discard)
            case Deadline(under, seconds):
                asyncio.get_running_loop().call_later(seconds, self._remind, under)
            case Learn(question):
                self._spawn(self._learn(question))
            case Draw():
                self._spawn(self._draw(command))
            case Close():
                self._finish("completed")
            case Abort(why):
                self._finish(why if why.startswith("refused:") else f"aborted:{why}")

    def _to(self, lane: Lane) -> Peer:
        """Who gets what goes on this lane."""
        if lane is Lane.RESPONSE:
            return self._client
        if self._server is None:
            raise RuntimeError("nothing goes to an upstream before there is one")
        return self._server

    async def _decide(self, command: Decide) -> None:
        asker = self._asking(command.trace)
        outcome = await self._gate.decide(asker, command.action, command.wait_seconds, partial(self._pend, command.ask))
        if self._deciding.pop(command.ask, None) is None:
            # Taken back in the very moment in which it was decided: whoever asked has been told so.
            if isinstance(outcome, Grant):
                self._give(outcome, asker)
                self._conclude(outcome, "aborted:withdrawn", {})
            return
        if isinstance(outcome, Grant):
            self._give(outcome, asker)
        self.take(Decided(command.ask, outcome))

    def _give(self, grant: Grant, asker: Asker) -> None:
        self._given[grant] = _Given(asker, self._gate.recording(asker, grant.decision))

    def _asking(self, trace: Document | None) -> Asker:
        """Who asks; an action may claim another trace than its connection does."""
        return self._asker if trace is None else replace(self._asker, context={**self._asker.context, "trace": trace})

    async def _pend(self, ask: int, hold: Hold) -> None:
        self.take(Pending(ask, hold))

    async def _connect(self, limits: Limits) -> None:
        event: Event
        try:
            self._server, told = await self._upstream.connect(limits)
            event = Connected(told)
        except NotConnected as error:
            event = ConnectFailed(error.code, str(error))
        self.take(event)
        if self._server is not None:
            self._server.give(self)

    async def _draw(self, command: Draw) -> None:
        given = self._given.get(command.under)
        asker, limits = given.asker if given is not None else self._asker, command.under.decision.limits
        self.take(Drawn(command.under, await self._gate.draw(asker, limits, command.rows, command.size)))

    async def _learn(self, question: object) -> None:
        self.take(Learned(question, await self._upstream.learn(question)))

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _conclude(self, grant: Grant, outcome: str, facts: dict[str, JSON]) -> None:
        given = self._given.pop(grant, None)
        if given is not None:
            self._write_end(grant, given, outcome, facts)

    def _write_end(self, grant: Grant, given: _Given, outcome: str, facts: dict[str, JSON]) -> None:
        facts["outcome"] = outcome
        facts["duration_us"] = (time.perf_counter_ns() - given.started) // 1000
        masked = facts.get("masked")
        if isinstance(masked, dict):
            for lane, counts in masked.items():
                self._gate.metrics.masked(self._asker.target.name, lane, counts)
        self._gate.records.delivered(given.asker, grant.decision.id, facts, given.recording)

    def _conclude_all(self) -> None:
        if not self._over.done() or self._over.cancelled():
            self._outcome = "aborted:stopped"
        if not self._busy:
            for command in self._last_words():
                if isinstance(command, Conclude):
                    self._conclude(command.under, command.outcome, dict(command.facts))
                elif isinstance(command, Tell):
                    self._client.write(command.data)
                elif isinstance(command, Cancel):
                    self._do(command)
        for grant in list(self._given):
            self._conclude(grant, self._outcome, {"masked": {}})

    def _last_words(self) -> list[Command]:
        """What the session has to say to an end that it did not choose itself; nothing where it did."""
        code = self._outcome.removeprefix("aborted:")
        cause, why = _WORDS.get(code, (Cause.UNAVAILABLE, "A fault of the gateway ended this connection."))
        try:
            return self._session.handle(Stopped(cause, code, why))
        except Exception:
            # Most likely its own fault is what ended it.
            _log.exception("fault at the end of a connection")
            return []

    def _remind(self, grant: Grant) -> None:
        if grant in self._given:
            self.take(Overdue(grant))

    def _finish(self, outcome: str) -> None:
        if not self._over.done():
            self._outcome = outcome
            self._over.set_result(None)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(_logged(work, self._finish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _logged(work: Awaitable[None], fail: Callable[[str], None]) -> None:
    try:
        await work
    except Exception:
        # A fault of ours must never look like an end.
        _log.exception("fault in a connection")
        fail("aborted:internal")
