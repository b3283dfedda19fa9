"""The unix socket on which Envoy hands connections over, and what it says of each before its first byte."""

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from extproc.protocols.handover import ALIVE
from extproc.server.gate import Gate
from extproc.server.live import Exchanges
from extproc.server.terminator.proxy_v2 import Announced, NotAnnounced, read_announced
from extproc.server.upkeep import DRAIN_SECONDS, kept_up

_HEAD_SECONDS = 10.0
_BACKLOG = 1024
_log = logging.getLogger("holdpoint.terminator")

Accept = Callable[[Announced], asyncio.Protocol]
"""Who serves a connection of which this was said. Its `connection_made` follows at once, and then what came after the
head."""


class Terminator(Protocol):
    """Serves the connections of one protocol."""

    def accept(self, announced: Announced) -> asyncio.Protocol:
        """Serve one more; see Accept. `announced` is never a local one."""
        ...

    async def drain(self, seconds: float) -> None:
        """No more will be accepted: let what is under way finish for at most so long, then end all that is open. When
        it returns there is nothing left that could write a record."""
        ...


class Front(asyncio.Protocol):
    """A connection whose head is not read yet. What does not begin with one in time is nobody's, and is cut off."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._late = asyncio.get_running_loop().call_later(_HEAD_SECONDS, self._refuse, "no head came in time")

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._data += data
        try:
            found = read_announced(self._data)
        except NotAnnounced as error:
            self._refuse(str(error))
            return
        if found is None:
            return
        announced, used = found
        self._settle()
        if announced.local:
            transport.write(ALIVE)
            transport.close()
            return
        serving = self._accept(announced)
        transport.set_protocol(serving)
        serving.connection_made(transport)
        if rest := self._data[used:]:
            serving.data_received(rest)

    def eof_received(self) -> bool:
        """See asyncio: nobody who has said nothing yet is waited for."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self._settle()

    def _refuse(self, why: str) -> None:
        self._settle()
        if self._transport is not None and not self._transport.is_closing():
            _log.error("connection refused", extra={"why": why})
            self._transport.abort()

    def _settle(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


async def serve(terminator: Terminator, gate: Gate, exchanges: Exchanges, socket: Path, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain. The socket's folder keeps others out, and so does its mode: whoever can
    connect to it is believed to be Envoy. Raises OSError where nobody can listen there."""
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - before there is anything to wait for
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(partial(Front, terminator.accept), str(socket), backlog=_BACKLOG)
    os.chmod(socket, 0o600)
    async with kept_up(gate, exchanges):
        try:
            _log.info("ready", extra={"socket": socket.name})
            await stop.wait()
        finally:
            server.close()
        await terminator.drain(DRAIN_SECONDS)
    gate.records.close()
