"""Cancel keys: which connection of which worker a CancelRequest means ("Canceling Requests in Progress").

The process id that a client is given is the server's own, by which the server and other sessions call it, so it names
neither a worker nor one session of several servers. The secret is the gateway's: by it a session is found, and whether
it may be cancelled is decided. A worker that does not know it asks all the others.
"""

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, CancelRequest
from extproc.server.terminator.proxy_v2 import SIGNATURE

_SECRET_BYTES = 32
_RELAYED = SIGNATURE + b"\x21\x31" + (2 * 108).to_bytes(2) + bytes(2 * 108)
"""A PROXY head that names no client: whoever has none is one of us, for what comes from Envoy has an address."""

_ROUTE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class _Session:
    """What a session can be cancelled by, and how."""

    secret: bytes
    pid: Callable[[], int | None]
    cancel: Callable[[], Awaitable[None]]

    def means(self, request: CancelRequest) -> bool:
        """Whether a request is for this one. The secret is compared in constant time; process ids are no secret."""
        return hmac.compare_digest(self.secret, request.secret) and self.pid() == request.pid


class Cancels:
    """The connections of one worker that can be cancelled. `route` sends bytes to the other workers."""

    def __init__(self, route: "Route") -> None:
        self._route = route
        self._known: set[_Session] = set()

    @contextmanager
    def known(
        self, version: int, pid: Callable[[], int | None], cancel: Callable[[], Awaitable[None]]
    ) -> Iterator[bytes]:
        """For as long as a connection lasts: the secret that its client is told, so that it can be cancelled by that
        and by what `pid` gives then."""
        session = _Session(secrets.token_bytes(4 if version == PROTOCOL_3_0 else _SECRET_BYTES), pid, cancel)
        self._known.add(session)
        try:
            yield session.secret
        finally:
            self._known.remove(session)

    async def asked(self, request: CancelRequest, relayed: bool) -> None:
        """Somebody wants a connection cancelled. One that this worker has not is asked of all others, once. When it
        returns the server has done what it does for it: whoever waits for that can't have their next statement
        struck."""
        found = [session for session in self._known if session.means(request)]
        if len(found) == 1:
            await found[0].cancel()
        elif not found and not relayed:
            await self._route(request.encode())


class Route:
    """The way to the other workers; `paths` are their sockets."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    async def __call__(self, message: bytes) -> None:
        """Hand a message over to all, and wait until each has taken it. A worker that is not there has nothing to
        cancel."""
        await asyncio.gather(*(_hand_over(path, message) for path in self._paths))


async def _hand_over(path: str, message: bytes) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ROUTE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(_RELAYED + message)
                await reader.read()
            finally:
                writer.close()
