"""Reading from a peer one piece after the other, before somebody drives its connection."""

import asyncio

from extproc.server.terminator.peer import Peer

_MOST = 256 << 10


class Left(Exception):
    """The peer ended the connection, or sends more than anybody asked for."""


class Inbox:
    """peer.Owner for a conversation: bytes wait until they are read."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._over = False
        self._some = asyncio.Event()
        self._peer: Peer | None = None

    async def read(self) -> bytes:
        """What came since the last time, at least a byte. Raises Left where nothing more comes."""
        await self._some.wait()
        if not self._bytes:
            raise Left
        data = bytes(self._bytes)
        self._bytes.clear()
        if not self._over:
            self._some.clear()
        return data

    def release(self) -> None:
        """Nobody reads here any more: what comes from now on waits in the peer for its next owner."""
        if self._peer is not None:
            self._peer.keep(bytes(self._bytes))
            self._bytes.clear()

    def received(self, peer: Peer, data: bytes) -> None:
        """See peer.Owner."""
        self._peer = peer
        self._bytes += data
        self._some.set()
        if len(self._bytes) > _MOST:
            self._over = True
            peer.abort()

    def ended(self, peer: Peer) -> None:
        """See peer.Owner."""
        self._over = True
        self._some.set()

    def drained(self, peer: Peer) -> None:
        """See peer.Owner."""
