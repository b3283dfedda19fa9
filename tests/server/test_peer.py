"""One end of a connection: what happens when the other end says that no more will come."""

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from extproc.server.terminator.peer import Peer
from tests.support.envoy_tls import self_signed


class Ended:
    """An owner that knows only when there is no more; then it answers."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def received(self, peer: Peer, data: bytes) -> None:
        """See Owner."""

    def ended(self, peer: Peer) -> None:
        """See Owner."""
        self.over.set()
        peer.write(b"late")
        peer.close()

    def drained(self, peer: Peer) -> None:
        """See Owner."""


async def _served(context: ssl.SSLContext | None, trusted: Path) -> bytes:
    """What a client still gets that says that it is done: where it can, and else closes altogether."""
    owner = Ended()
    peers: list[Peer] = []
    accepted = asyncio.Event()

    def made(peer: Peer) -> None:
        peers.append(peer)
        accepted.set()

    server = await asyncio.get_running_loop().create_server(lambda: Peer(owner, made), "127.0.0.1", 0)
    async with server, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        await accepted.wait()
        if context is None:
            writer.write_eof()
        else:
            asked = ssl.create_default_context(cafile=str(trusted))
            await asyncio.gather(
                peers[0].start_tls(context, server_side=True), writer.start_tls(asked, server_hostname="localhost")
            )
            writer.close()
        await owner.over.wait()
        data = b"" if context is not None else await reader.read()
        writer.close()
    return data


@pytest.mark.parametrize("tls", [False, True])
def test_the_end_of_the_other_side(tmp_path: Path, caplog: pytest.LogCaptureFixture, tls: bool) -> None:
    """In clear there are two directions, and this one is still used; TLS has none, and asyncio has nothing to
    complain of."""
    certificate, key = self_signed(tmp_path, "gateway")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(_served(context if tls else None, certificate)) == (b"" if tls else b"late")
    assert caplog.messages == []
