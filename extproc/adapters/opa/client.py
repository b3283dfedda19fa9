"""Asks OPA for decisions: HTTP/1.1 over kept-alive connections to a unix socket or a TCP address.

Small on purpose: a general client costs more than the decision does (docs/adr/0003-policy-bundle.md has figures).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from extproc.adapters.opa import settling
from extproc.adapters.opa.http1 import Nonsense, Response, ResponseReader
from extproc.domain.json import Document
from extproc.domain.ports import PolicyUnavailable, Settled

# A builtin that fails makes its expression undefined, and a rule that refuses silent. Strict makes it an error instead.
DECISION_PATH = "/v1/data/holdpoint/main/decision?strict-builtin-errors=true"
SETTLE_PATH = "/v1/compile"
# Nobody waits for it, and it takes twenty times what a decision takes.
_SETTLE_SECONDS = 2.0


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
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Always a stream transport here; uvloop's own is no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
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
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Gone(untouched=not self._touched))

    async def exchange(self, request: bytes) -> Response:
        """Send one request and await its response. Raises Nonsense or _Gone. Cancelled or failed, the connection is
        closed, for what is still to come on it answers a question that nobody asks any more."""
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
            self._reader = self._answer = None
            if not whole:
                self.close()

    def close(self) -> None:
        """Close at once, dropping what was not sent."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class OpaClient:
    """A PolicyEngine and its Settler. `deadline_seconds` bounds an evaluation whole, waiting for a connection included;
    `connections` bounds how many are open. Used from one event loop."""

    def __init__(
        self, address: Address, token: str | None, *, deadline_seconds: float = 0.25, connections: int = 8
    ) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("the policy engine's token must be visible ASCII without spaces")
        self._address = address
        self._deadline = deadline_seconds
        self._places = asyncio.Semaphore(connections)
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

    async def evaluate(self, document: Document) -> object:
        """The raw decision for a policy input. Raises PolicyUnavailable."""
        return _decision(await self._post(self._head, {"input": document}, self._deadline))

    async def settled(self, document: Document, unknown: Sequence[str]) -> Settled | None:
        """See domain.ports.Settler. Only the managed engine is asked: what is pushed to another has no revision."""
        question: Document = {
            "query": settling.SETTLE,
            "input": document,
            "unknowns": [f"input.{member}" for member in unknown],
        }
        response = await self._post(self._settle_head, question, _SETTLE_SECONDS)
        try:
            return settling.read(orjson.loads(response.body)) if response.status == 200 else None
        except ValueError:
            return None

    async def _post(self, head: bytes, question: Document, deadline: float) -> Response:
        try:
            body = orjson.dumps(question)
        except (TypeError, ValueError) as error:
            raise PolicyUnavailable("policy-malformed", "the policy input can't be written as JSON") from error
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        try:
            async with asyncio.timeout(deadline), self._places:
                return await self._ask(request)
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

    def close(self) -> None:
        """Close the idle connections; those in use close with their evaluation."""
        while self._idle:
            self._idle.pop().close()

    async def _ask(self, request: bytes) -> Response:
        while self._idle:
            connection = self._idle.pop()
            if not connection.usable:
                continue
            try:
                return await self._exchange(connection, request)
            except _Gone as gone:
                # The engine may close an idle connection as we write to it. Nothing was read, so ask once more.
                if not gone.untouched:
                    raise
                break
        return await self._exchange(await self._connect(), request)

    async def _exchange(self, connection: _Connection, request: bytes) -> Response:
        response = await connection.exchange(request)
        if connection.usable:
            self._idle.append(connection)
        return response

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        make: Callable[[], _Connection] = _Connection
        if isinstance(self._address, UnixAddress):
            _, connection = await loop.create_unix_connection(make, str(self._address.path))
        else:
            _, connection = await loop.create_connection(make, self._address.host, self._address.port)
        return connection


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
