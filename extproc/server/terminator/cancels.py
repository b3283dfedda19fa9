"""Cancel keys: which connection of which worker a CancelRequest means ("Canceling Requests in Progress").

The process id that a client is given names the worker, so that whichever worker a CancelRequest comes to knows where to
take it. Whether it may be obeyed is for the secret to say.
"""

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

from extproc.protocols.postgres.wire.backend import BackendKeyData
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, CancelRequest
from extproc.server.terminator.proxy_v2 import SIGNATURE

_BITS = 22
"""Of the id that count connections; those above name the worker. Clients take it for a positive 32-bit number."""

_SECRET_BYTES = 32
_RELAYED = SIGNATURE + b"\x21\x31" + (2 * 108).to_bytes(2) + bytes(2 * 108)
"""A PROXY head that names no client: whoever has none is one of us, for what comes from Envoy has an address."""

_ROUTE_SECONDS = 3.0


class Cancels:
    """The connections of one worker that can be cancelled. `index` is the worker's; `route` sends bytes to another."""

    def __init__(self, index: int, route: "Route") -> None:
        self._index, self._route = index, route
        self._next = count(1)
        self._known: dict[int, tuple[bytes, Callable[[], Awaitable[None]]]] = {}

    @contextmanager
    def known(self, version: int, cancel: Callable[[], Awaitable[None]]) -> Iterator[BackendKeyData]:
        """For as long as a connection lasts: what its client is told, so that it can be cancelled by that."""
        while (pid := self._index << _BITS | next(self._next) & ((1 << _BITS) - 1)) in self._known:
            pass
        secret = secrets.token_bytes(4 if version == PROTOCOL_3_0 else _SECRET_BYTES)
        self._known[pid] = secret, cancel
        try:
            yield BackendKeyData(pid, secret)
        finally:
            del self._known[pid]

    async def asked(self, request: CancelRequest, relayed: bool) -> None:
        """Somebody wants a connection cancelled. One that another worker has goes there, once. When it returns the
        server has done what it does for it: whoever waits for that can't have their next statement struck."""
        worker = request.pid >> _BITS
        if worker != self._index:
            if not relayed:
                await self._route(worker, request.encode())
            return
        found = self._known.get(request.pid)
        if found is not None and hmac.compare_digest(found[0], request.secret):
            await found[1]()


class Route:
    """The way to the other workers; `paths` are their sockets."""

    def __init__(self, paths: Callable[[int], str]) -> None:
        self._paths = paths

    async def __call__(self, worker: int, message: bytes) -> None:
        """Hand a message over and wait until it was taken. A worker that is not there has nothing to cancel."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ROUTE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._paths(worker))
                try:
                    writer.write(_RELAYED + message)
                    await reader.read()
                finally:
                    writer.close()
