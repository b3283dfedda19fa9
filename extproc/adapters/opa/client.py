"""Asks OPA for decisions: HTTP/1.1 over kept-alive connections to a unix socket or a TCP address.

Small on purpose: a general client costs more than the decision does (docs/adr/0003-policy-bundle.md has figures).
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import cast

import orjson

from extproc.adapters.opa import settling
from extproc.adapters.opa.http1 import Nonsense, Response, ResponseReader
from extproc.adapters.opa.places import Places
from extproc.adapters.opa.slots import Slots
from extproc.domain.json import Document
from extproc.domain.ports import PolicyUnavailable, Settled

# A builtin that fails makes its expression undefined, and a rule that refuses silent. Strict makes it an error instead.
DECISION_PATH = "/v1/data/holdpoint/main/decision?strict-builtin-errors=true"
SETTLE_PATH = "/v1/compile"
# Nobody waits for it, and it takes twenty times what a decision takes.
_SETTLE_SECONDS = 2.0
_SETTLING = "settling"
"""Whose slot that takes: nobody's in particular."""

LIGHT = 320
"""The weight up to which an evaluation is light: that takes the engine a few milliseconds at most."""

_BYTES_PER_VALUE = 64
"""Bytes that cost the engine about as much as one value does."""

_PATIENCE = 10
"""Longest wait of a heavy evaluation for its slot, in multiples of the deadline."""

_RETRIED_WITHIN = 2
"""A light evaluation that is late is asked once more if no more time has passed, in multiples of the deadline. With the
wait for its place that stays within the second that Envoy gives a worker."""

# An engine at an address whose machine is gone says nothing; seconds and probes until its connections count as lost.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket."""

    path: Path


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port, in clear."""

    host: str
    port: int


Address = UnixAddress | TcpAddress


class _Gone(Exception):
    """The connection ended before a whole response. `untouched` says that not one byte of it had come."""

    def __init__(self, untouched: bool) -> None:
        super().__init__()
        self.untouched = untouched


class _Connection(asyncio.Protocol):
    """One connection; carries one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._touched = False
        self._answer: asyncio.Future[Response] | None = None
        # Given up, but the engine may still work on what it was asked.
        self._leaving = False
        self._stopped: list[Callable[[], None]] = []
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Always a stream transport here; uvloop's own is no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True
        connected = transport.get_extra_info("socket")
        if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                connected.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            self._drop(data)
            return
        if self._reader is None or self._answer is None or self._answer.done():
            # Nobody asked: whatever this is, it is not an answer to the next question.
            self.close()
            return
        self._touched = True
        try:
            response = self._reader.feed(data)
        except Nonsense as error:
            self.close()
            self._answer.set_exception(error)
            return
        if response is not None:
            if not response.keep:
                self.close()
            self._answer.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = self._leaving = False
        stopped, self._stopped = self._stopped, []
        for each in stopped:
            each()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Gone(untouched=not self._touched))

    async def exchange(self, request: bytes) -> Response:
        """Send one request and await its response. Raises Nonsense or _Gone. Cancelled or failed, the connection is
        left, for what is still to come on it answers a question that nobody asks any more."""
        if self._transport is None or not self.usable:
            raise _Gone(untouched=True)
        self._reader, self._touched = ResponseReader(), False
        self._answer = asyncio.get_running_loop().create_future()
        whole = False
        try:
            self._transport.write(request)
            response = await self._answer
            whole = True
            return response
        finally:
            self._answer = None
            if whole:
                self._reader = None
            else:
                self._leave()

    def when_stopped(self, then: Callable[[], None]) -> None:
        """Call this once the engine does nothing any more for what it was asked here: now, or when it closes the
        connection that was left."""
        if self._leaving:
            self._stopped.append(then)
        else:
            then()

    def _leave(self) -> None:
        """Tell the engine that nobody waits for its answer. It ends the evaluation, and then the connection."""
        if self._transport is None or not self.usable:
            return
        self.usable = False
        if self._transport.get_write_buffer_size():
            # It does not have the whole question, so it does not work on it.
            self._transport.abort()
            return
        self._leaving = True
        self._transport.write_eof()

    def _drop(self, data: bytes) -> None:
        """Data on a connection that was given up. A complete answer also means that the engine has stopped."""
        try:
            whole = self._reader is None or self._reader.feed(data) is not None
        except Nonsense:
            whole = True
        if whole:
            self.close()

    def close(self) -> None:
        """Close at once, dropping what was not sent."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class _Within:
    """asyncio.timeout, but what has come in time counts, also where the loop was too busy to read it in time: an
    engine that kept the deadline is not made late by others' work here."""

    __slots__ = ("_cancelling", "_due", "_loop", "_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is a task's")
        self._task, self._cancelling, self._over = task, task.cancelling(), False
        self._due: asyncio.Handle = self._loop.call_later(self._seconds, self._look, 3)

    def _look(self, rounds: int) -> None:
        """Let the loop read what is there, and whoever waits for it go on, before it is over."""
        if rounds:
            self._due = self._loop.call_soon(self._look, rounds - 1)
        else:
            self._over = True
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._due.cancel()
        # As asyncio.timeout: whoever else cancels the task meanwhile is not kept from it.
        if self._over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class OpaClient:
    """A PolicyEngine and its Settler. Used from one event loop.

    `deadline_seconds` bounds an evaluation, which is light or heavy by the size of its input. Light ones take turns, by
    principal, at `connections` places, and wait for one a deadline at most; one that is late is asked once more. A
    heavy one waits for its principal's slot, `_PATIENCE` deadlines at most; without `slots` it has its own. Places and
    slots are given back when the engine has stopped, whoever waits for its answer.
    """

    def __init__(
        self,
        address: Address,
        token: str | None,
        *,
        deadline_seconds: float = 0.25,
        connections: int = 8,
        slots: Slots | None = None,
    ) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("the policy engine's token must be visible ASCII without spaces")
        self._address = address
        self._deadline = deadline_seconds
        # Half of the places are always left for others than the one who asks most.
        self._places = Places(connections, max(1, connections // 2))
        self._slots = slots if slots is not None else Slots(None)
        self._idle: list[_Connection] = []
        host = f"{address.host}:{address.port}" if isinstance(address, TcpAddress) else "localhost"
        authorization = f"Authorization: Bearer {token}\r\n" if token is not None else ""
        self._head, self._settle_head = (
            (
                f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}"
                "Content-Type: application/json\r\nContent-Length: "
            ).encode("ascii")
            for path in (DECISION_PATH, SETTLE_PATH)
        )

    async def evaluate(self, document: Document, principal: str = "") -> object:
        """See domain.ports.PolicyEngine. Raises PolicyUnavailable."""
        body = _encoded({"input": document})
        heavy, began = weight(body) > LIGHT, time.monotonic()
        try:
            return _decision(await self._post(self._head, body, self._deadline, principal, heavy))
        except PolicyUnavailable as error:
            late = time.monotonic() - began > _RETRIED_WITHIN * self._deadline
            if heavy or late or error.code != "policy-timeout":
                raise
        # Most often the machine was busy for a moment, as with many connections that open at once.
        return _decision(await self._post(self._head, body, self._deadline, principal, heavy))

    async def settled(self, document: Document, unknown: Sequence[str]) -> Settled | None:
        """See domain.ports.Settler. Only the managed engine is asked: what is pushed to another has no revision."""
        question: Document = {
            "query": settling.SETTLE,
            "input": document,
            "unknowns": [f"input.{member}" for member in unknown],
        }
        body = _encoded(question)
        if weight(body) > LIGHT:
            # It would take seconds, for what is hardly asked twice alike.
            return None
        response = await self._post(self._settle_head, body, _SETTLE_SECONDS, _SETTLING, heavy=True)
        try:
            return settling.read(orjson.loads(response.body)) if response.status == 200 else None
        except ValueError:
            return None

    async def _post(self, head: bytes, body: bytes, deadline: float, principal: str, heavy: bool) -> Response:
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        try:
            done = await self._turn(principal, deadline, heavy)
            async with _Within(deadline):
                return await self._ask(request, done)
        except TimeoutError as error:
            raise PolicyUnavailable("policy-timeout", f"no decision within {deadline * 1000:.0f} ms") from error
        except OSError as error:
            raise PolicyUnavailable("policy-unreachable", f"can't connect: {error.strerror or error}") from error
        except _Gone as error:
            raise PolicyUnavailable(
                "policy-unreachable", "the engine closed the connection without a decision"
            ) from error
        except Nonsense as error:
            raise PolicyUnavailable("policy-malformed", f"the engine's answer is not HTTP: {error}") from error

    async def _turn(self, principal: str, deadline: float, heavy: bool) -> Callable[[], None]:
        """Wait for a slot or a place; what it gives is called to give it back. Raises PolicyUnavailable."""
        seconds = _PATIENCE * deadline if heavy else deadline
        try:
            async with asyncio.timeout(seconds):
                if heavy:
                    return await self._slots.take(principal)
                await self._places.take(principal)
                return partial(self._places.give_back, principal)
        except TimeoutError as error:
            kind = "heavy" if heavy else "light"
            raise PolicyUnavailable("policy-busy", f"no turn for a {kind} evaluation within {seconds:.3g} s") from error

    def close(self) -> None:
        """Close the idle connections; those in use close with their evaluation."""
        while self._idle:
            self._idle.pop().close()

    async def _ask(self, request: bytes, done: Callable[[], None]) -> Response:
        connection = self._kept()
        try:
            if connection is not None:
                try:
                    return await connection.exchange(request)
                except _Gone as gone:
                    # The engine may close an idle connection as we write to it. Nothing was read, so ask once more.
                    if not gone.untouched:
                        raise
                connection = None
            connection = await self._connect()
            return await connection.exchange(request)
        finally:
            if connection is None:
                done()
            else:
                if connection.usable:
                    self._idle.append(connection)
                connection.when_stopped(done)

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        make: Callable[[], _Connection] = _Connection
        if isinstance(self._address, UnixAddress):
            _, connection = await loop.create_unix_connection(make, str(self._address.path))
        else:
            _, connection = await loop.create_connection(make, self._address.host, self._address.port)
        return connection


def weight(body: bytes) -> int:
    """Cost of an evaluation, estimated from its input: JSON values, and one more for each 64 bytes. An upper bound:
    a comma inside a string counts as a separator."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    return values + len(body) // _BYTES_PER_VALUE


def _encoded(question: Document) -> bytes:
    try:
        return orjson.dumps(question)
    except (TypeError, ValueError) as error:
        raise PolicyUnavailable("policy-malformed", "the policy input can't be written as JSON") from error


def _decision(response: Response) -> object:
    """The member `result`. The engine's own words are left out of messages: they may quote the input."""
    if response.status in (401, 403):
        raise PolicyUnavailable("policy-unreachable", f"the engine refuses our token (status {response.status})")
    if response.status != 200:
        raise PolicyUnavailable("policy-malformed", f"the engine failed to decide (status {response.status})")
    try:
        answer = orjson.loads(response.body)
    except ValueError as error:
        raise PolicyUnavailable("policy-malformed", "the engine's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise PolicyUnavailable("policy-malformed", "the engine's answer is not a JSON object")
    result: object = answer.get("result")
    if result is None:
        raise PolicyUnavailable("policy-undefined", "holdpoint.main.decision is undefined; is a bundle loaded?")
    return result
