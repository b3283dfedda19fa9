"""One end of a terminated connection, as asyncio has it."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

from extproc.server.terminator.hangup import Hangup

HIGH_WATER = 256 << 10
"""Bytes that wait for a peer that does not read, beyond which no more are made for it."""


_HANDSHAKE_SECONDS = 10.0


class Owner(Protocol):
    """Whoever reads what a peer sends."""

    def received(self, peer: "Peer", data: bytes) -> None:
        """Bytes came."""
        ...

    def ended(self, peer: "Peer") -> None:
        """No more will come: the peer closed its side, or the connection is lost."""
        ...

    def drained(self, peer: "Peer") -> None:
        """The peer takes bytes again, or takes none for now (`peer.full`)."""
        ...


@runtime_checkable
class _Buffered(Protocol):
    """asyncio.BufferedProtocol, whoever made it."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio."""
        ...

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        ...


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Give a transport's protocol bytes as if they came now."""
    protocol = transport.get_protocol()
    if not isinstance(protocol, _Buffered):
        # TLS is gone again: the connection was lost meanwhile.
        return
    while data:
        into = memoryview(protocol.get_buffer(len(data)))
        size = min(len(into), len(data))
        into[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


class Peer(asyncio.Protocol):
    """The client, or the server. Before it has an owner it keeps what comes, and reads no more."""

    def __init__(self, owner: Owner | None = None, made: Callable[["Peer"], None] | None = None) -> None:
        """`made` is called once there is a connection. Of one that was accepted, so, it is noticed that it is gone even
        while it is not read; of an upstream that is gone, what it sent before counts first."""
        self._owner = owner
        self._made = made
        self._hangup = Hangup(self._end) if made is not None else None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._tls = False
        self._early: list[bytes] = []
        self.full = False
        self.over = False
        """Whether nothing more will come."""

    @property
    def transport(self) -> asyncio.Transport:
        """The connection. Raises RuntimeError before there is one."""
        if self._transport is None:
            raise RuntimeError("not connected yet")
        return self._transport

    def give(self, owner: Owner) -> None:
        """From now on this one reads what comes, what came before first."""
        self._owner = owner
        early, self._early = self._early, []
        if early:
            owner.received(self, b"".join(early))
        self.read(True)
        if self.over:
            owner.ended(self)

    def keep(self, data: bytes) -> None:
        """Nobody reads what comes, until somebody is given; this came already."""
        self._owner = None
        self._early = [data] if data else []
        self.read(False)

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        early: bytes = b"",
    ) -> None:
        """Go on under TLS; `early` is what came of the handshake already. Raises ssl.SSLError, OSError and TimeoutError
        (a handshake takes ten seconds at most)."""
        loop = asyncio.get_running_loop()
        plain = self.transport
        self._tls = True
        starting = loop.create_task(
            loop.start_tls(
                plain,
                self,
                context,
                server_side=server_side,
                server_hostname=server_hostname,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        )
        if early:
            # By then it has begun: TLS is the protocol of the transport, and is told so before this callback.
            await asyncio.sleep(0)
            loop.call_soon(_feed, plain, early)
        transport = await starting
        if transport is None:
            raise ConnectionResetError("the peer left during the handshake")
        self._transport = transport
        self._paused = False
        transport.set_write_buffer_limits(HIGH_WATER)

    def write(self, data: bytes) -> None:
        """Send bytes; those for somebody who left are nobody's."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def read(self, wanted: bool) -> None:
        """Read, or read no more for now."""
        if self._transport is None or wanted is not self._paused or self._transport.is_closing():
            return
        self._paused = not wanted
        if wanted:
            self._transport.resume_reading()
            if self._hangup is not None:
                self._hangup.unwatch()
        else:
            self._transport.pause_reading()
            if self._hangup is not None:
                self._hangup.watch(self._transport.get_extra_info("socket"))

    def close(self) -> None:
        """End the connection; what was written still arrives."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio. Called again when the connection goes on under TLS."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        if self._made is not None:
            made, self._made = self._made, None
            made(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._owner is None:
            self._early.append(data)
        else:
            self._owner.received(self, data)

    def eof_received(self) -> bool:
        """See asyncio. The other direction stays open until the owner closes it; under TLS, which has no half, asyncio
        closes it whatever is said here, and complains of who asks for more."""
        self._end()
        return not self._tls

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        if self._hangup is not None:
            self._hangup.end()
        self._end()

    def pause_writing(self) -> None:
        """See asyncio."""
        self._fill(True)

    def resume_writing(self) -> None:
        """See asyncio."""
        self._fill(False)

    def _fill(self, full: bool) -> None:
        self.full = full
        if self._owner is not None:
            self._owner.drained(self)

    def _end(self) -> None:
        if not self.over:
            self.over = True
            if self._owner is not None:
                self._owner.ended(self)
