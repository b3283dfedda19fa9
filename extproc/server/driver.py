"""The driver: reads a stream, feeds its session, executes the session's commands.

It alone holds Grants, through the Gate, and checks each one that a session shows: bytes under a grant that was not
given to this very exchange end the exchange.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Executor
from typing import Any, Protocol

from extproc.audit.bodies.recorder import Recording
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.hold import Hold
from extproc.domain.json import JSON
from extproc.domain.target import Inspect
from extproc.domain.target import Protocol as Speaks
from extproc.protocols.session import (
    Abort,
    Answer,
    Cause,
    Command,
    Decide,
    Decided,
    Event,
    Head,
    HeadReceived,
    Lost,
    Pending,
    Received,
    Send,
    SendHead,
    SendTrailers,
    Session,
    Stopped,
    TimedOut,
    TrailersReceived,
)
from extproc.server.caps import Account, Capped
from extproc.server.gate import Gate
from extproc.server.records import Asker
from extproc.server.turns import Turn

# A larger step of work leaves the event loop, so that others' requests don't wait for it.
INLINE_BYTES = 4 * 1024
# A recording's write is this large at most before others have their turn: about half a millisecond.
_RECORDED_AT_ONCE = 256 * 1024
# How much of a peer's input is read ahead while people decide, only to notice its leaving.
_READ_AHEAD = 16


class Wire(Protocol):
    """One exchange's stream, as the driver sees it."""

    async def read(self) -> Event | None:
        """The next event; None when the peer has ended its side."""
        ...

    async def write(self, command: SendHead | Send | SendTrailers) -> None:
        """Put bytes on the wire; waits while the peer does not take them."""
        ...

    async def answer(self, command: Answer, decision_id: str) -> None:
        """Answer the client instead of letting anything on."""
        ...

    async def keep_waiting(self, lane: Lane) -> None:
        """Tell the peer that the answer due on this lane takes longer than it expects."""
        ...


class Aborted(Exception):
    """The exchange ends with an error; the message is a short code for the trail."""


class _Ended(Exception):
    """The exchange was ended from outside while it wrote."""


class Driver:
    """Drives one exchange from its first event to its end."""

    def __init__(
        self,
        wire: Wire,
        session: Session,
        gate: Gate,
        asker: Asker,
        account: Account,
        pool: Executor,
        asked: tuple[str, str],
        turn: Turn,
    ) -> None:
        """`asked` is the verb and the resource as a record has them where the session never comes to an action."""
        self._account = account
        self._turn = turn
        self._held = 0
        self._task: asyncio.Task[object] | None = None
        self._ended: Stopped | None = None
        self._wire = wire
        self._session = session
        self._gate = gate
        self._asker = asker
        self._pool = pool
        self._grant: Grant | None = None
        self._recording: Recording | None = None
        self._heads: dict[Lane, HeadReceived] = {}
        self._decision_id: str | None = None
        self._refused: str | None = None
        self._waiting: set[Lane] = set()
        self._completed = False
        self._verb, self._resource = asked
        self._ahead: asyncio.Queue[Event | None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._deciding: asyncio.Task[object] | None = None
        self._left = False
        self._stepping = False
        self._writing = False
        self._started = time.perf_counter_ns()

    async def run(self, first: Event) -> None:
        """Drive to the end. Returns once the peer has ended its side; raises Aborted if the exchange may not go on.

        The delivery record is written however it ends."""
        why = "peer-left"
        self._task = asyncio.current_task()
        try:
            try:
                await self._run(first)
            except _Ended:
                await self._stop()
            except asyncio.CancelledError:
                if self._ended is None or self._task is None:
                    raise
                self._task.uncancel()
                await self._stop()
        except Aborted as error:
            why, self._completed = str(error), False
            raise
        finally:
            self._task = None
            self._account.hold(-self._held)
            if self._reader is not None:
                self._reader.cancel()
            self._conclude(why)

    async def _run(self, first: Event) -> None:
        event: Event | None = first
        while event is not None:
            await self._handle(event)
            self._turn.give_back()
            event = await self._next()
        if not self._completed and self._refused is None:
            raise Aborted("peer-ended-early")

    def end(self, why: Stopped) -> None:
        """See live.Endable. Wherever the exchange is, it ends now.

        Not in the middle of a write: a message that is cut in two is no message, and what follows it none either. A
        client that does not read gets what Envoy has of its answer by then, and no more."""
        if self._task is not None and self._ended is None and self._refused is None:
            self._ended = why
            if not self._writing:
                self._task.cancel()

    async def _stop(self) -> None:
        """Answer where nothing has gone on, else break off. A session whose step runs in a thread is left to it."""
        why = self._ended
        if why is None:
            return
        if self._stepping:
            raise Aborted(why.code)
        await self._execute_all(self._session.handle(why))
        self._turn.give_back()
        # Envoy ends the stream once it has the answer; ending it first would be an end it takes for a fault.
        while await self._next() is not None:
            pass

    async def _next(self) -> Event | None:
        patience = self._session.patience_seconds
        try:
            async with asyncio.timeout(patience):
                return await self._ahead.get() if self._ahead is not None else await self._wire.read()
        except TimeoutError:
            return TimedOut()

    async def _handle(self, event: Event) -> None:
        if isinstance(event, HeadReceived):
            self._heads[event.lane] = event
        for index, part in enumerate(self._bites(event)):
            if index:
                await asyncio.sleep(0)  # a bite is as much as others may have to wait for
            commands = await self._step(part)
            if not commands and isinstance(event, HeadReceived):
                # The head's answer is withheld until more of the message is here.
                await self._keep_waiting(event.lane)
            await self._execute_all(commands)

    def _bites(self, event: Event) -> Iterator[Event]:
        """The event, or the parts in which the session takes it: each one goes on before the next is read."""
        size = self._session.bite_bytes
        if not isinstance(event, Received) or len(event.data) <= size:
            yield event
            return
        for at in range(0, len(event.data), size):
            last = at + size >= len(event.data)
            yield Received(event.lane, event.data[at : at + size], event.end and last)

    async def _step(self, event: Event) -> list[Command]:
        try:
            self._hold(len(event.data) if isinstance(event, Received) else 0)
            work = self._session.held_bytes + self._work(event)
            if work > INLINE_BYTES:
                async with self._account.turn, self._turn.heavy(work):
                    self._stepping = True
                    commands = await asyncio.get_running_loop().run_in_executor(self._pool, self._session.handle, event)
                    self._stepping = False
            else:
                commands = self._session.handle(event)
            # More than came, where what came has to be decoded.
            self._hold(self._session.held_bytes - self._held)
        except Capped as error:
            commands = self._session.handle(Stopped(Cause.LIMIT, error.code, str(error)))
            # Released now, not when the stream ends: until then the principal's other exchanges would be refused too.
            self._hold(self._session.held_bytes - self._held)
        return commands

    def _work(self, event: Event) -> int:
        """Bytes that the session looks at for an event. A decision has it read the request's head once more, for what
        the masks change there."""
        match event:
            case Received(_, data):
                return len(data)
            case HeadReceived(_, head) | TrailersReceived(_, head):
                return _size(head)
            case Decided() if (request := self._heads.get(Lane.REQUEST)) is not None:
                return _size(request.head)
        return 0

    def _hold(self, change: int) -> None:
        self._account.hold(change)
        self._held += change

    async def _execute_all(self, commands: list[Command]) -> None:
        await self._record(commands)
        for position, command in enumerate(commands, 1):
            # Envoy ends the stream as soon as it has the last bytes, which may be before their write returns.
            self._completed = position == len(commands) and self._session.completed
            await self._execute(command)

    async def _record(self, commands: list[Command]) -> None:
        """Record what is about to go on, all of it before any of it: a head without its body is half a message.

        Raises Aborted where it can't be, and then nothing more of the exchange passes."""
        if self._recording is None:
            return
        try:
            for command in commands:
                if isinstance(command, Send) and command.under is self._grant:
                    for at in range(0, len(command.data), _RECORDED_AT_ONCE):
                        if at:
                            await asyncio.sleep(0)
                        self._recording.write(command.lane.value, command.data[at : at + _RECORDED_AT_ONCE])
                elif isinstance(command, SendHead) and (received := self._heads.get(command.lane)) is not None:
                    self._recording.head(command.lane.value, received.head.headers, command.set, command.remove)
        except RecordingFailed as error:
            self._gate.metrics.unwritable.inc()
            raise Aborted("recording-failed") from error

    async def _execute(self, command: Command) -> None:
        match command:
            case Decide():
                await self._decide(command)
            case SendHead() | Send() | SendTrailers():
                if command.under is not self._grant or command.lane not in command.under.lanes:
                    raise Aborted("grant-not-ours")
                await self._whole(self._wire.write(command))
            case Answer():
                if self._decision_id is None:
                    self._decision_id = self._gate.records.refused(
                        self._asker, self._verb, self._resource, command.why, f"Refused: {command.why}"
                    )
                self._refused = command.why
                await self._whole(self._wire.answer(command, self._decision_id))
            case Abort(why):
                raise Aborted(why)

    async def _decide(self, command: Decide) -> None:
        self._deciding = asyncio.current_task()
        try:
            await self._turn.take(lambda: self._keep_waiting(Lane.REQUEST))
            outcome = await self._gate.decide(self._asker, command.action, command.wait_seconds, self._pend)
        except asyncio.CancelledError:
            if self._left and self._ended is None:
                raise Aborted("peer-left") from None
            raise
        finally:
            self._deciding = None
        self._decision_id = outcome.decision.id
        if isinstance(outcome, Grant):
            self._grant = outcome
            target = self._asker.target
            if command.action.protocol is Speaks.HTTP and target.inspect is not Inspect.HEADERS:
                # Elsewhere no body comes here.
                self._recording = self._gate.recording(self._asker, outcome.decision)
        elif isinstance(outcome, Refusal):
            self._refused = outcome.kind.value
        await self._execute_all(await self._step(Decided(command.ask, outcome)))

    async def _pend(self, hold: Hold) -> None:
        """People are asked: tell the peer, and notice when it leaves."""
        self._turn.give_back()
        self._session.handle(Pending(0, hold))
        await self._keep_waiting(Lane.REQUEST)
        if self._ahead is None:
            self._ahead = asyncio.Queue(_READ_AHEAD)
            self._reader = asyncio.create_task(self._read_ahead(self._ahead))

    async def _read_ahead(self, queue: "asyncio.Queue[Event | None]") -> None:
        event: Event | None = Lost("unread")
        while event is not None:
            try:
                event = await self._wire.read()
            except Aborted as error:
                event = Lost(str(error))
            if event is None and self._deciding is not None:
                self._left = True
                self._deciding.cancel()
            await queue.put(event)

    async def _keep_waiting(self, lane: Lane) -> None:
        if lane not in self._waiting:
            self._waiting.add(lane)
            await self._whole(self._wire.keep_waiting(lane))

    async def _whole(self, write: Coroutine[Any, Any, None]) -> None:
        """Write without being ended in the middle of it."""
        self._writing = True
        await write
        self._writing = False
        if self._ended is not None and self._refused is None:
            raise _Ended

    def _conclude(self, why: str) -> None:
        try:
            facts: dict[str, JSON] = self._session.delivery()
        except (TypeError, ValueError):
            # The record is written whatever a session makes of hostile bytes.
            facts = {"fault": "delivery-unknown"}
        if self._refused is not None:
            outcome = f"refused:{self._refused}"
        else:
            outcome = "completed" if self._completed else f"aborted:{why}"
        facts["outcome"] = outcome
        facts["duration_us"] = (time.perf_counter_ns() - self._started) // 1000
        masked = facts.get("masked")
        if isinstance(masked, dict):
            for lane, counts in masked.items():
                self._gate.metrics.masked(self._asker.target.name, lane, counts)
        self._gate.records.delivered(self._asker, self._decision_id, facts, self._recording)


def _size(head: Head) -> int:
    """Characters of a head's names and values."""
    return sum(len(name) + len(value) for name, value in head.headers)
