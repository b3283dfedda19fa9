"""Names to addresses, through c-ares: /etc/hosts first, then DNS. `localhost` never goes to a DNS server."""

import asyncio
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import aiodns
import aiodns.error as dns

_SECONDS = 2.0
_TRIES = 2
# An answer that says that there is nothing, from a server that knows; everything else may pass.
_NOTHING = frozenset({dns.ARES_ENOTFOUND, dns.ARES_ENODATA, dns.ARES_EBADNAME})
_MOST = 32


class Unresolved(Exception):
    """A name has no address now. `final` says that a server which knows said so; otherwise none could be asked, or it
    failed, and it may be different in a moment. The message is for the operator."""

    def __init__(self, message: str, final: bool) -> None:
        super().__init__(message)
        self.final = final


class Resolver:
    """Asks for addresses. Belongs to one event loop. `servers` are addresses and ports; none means the system's."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        named = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in servers]
        self._asked = aiodns.DNSResolver(nameservers=named or None, timeout=_SECONDS, tries=_TRIES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._asked.close()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a name, IPv4 first, in a fixed order, 32 at most. Raises Unresolved."""
        if host == "localhost":
            return ("127.0.0.1", "::1")
        try:
            async with asyncio.timeout(_SECONDS * _TRIES * 2):
                answer = await self._asked.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise Unresolved(f"{host}: the DNS servers did not answer in time", final=False) from None
        except dns.DNSError as error:
            code, text = (*error.args, "")[:2]
            raise Unresolved(f"{host}: {text or 'not resolved'}", final=code in _NOTHING) from None
        found = {_text(node.addr[0]) for node in answer.nodes}
        if not found:
            raise Unresolved(f"{host}: has no address", final=True)
        return tuple(sorted(found, key=lambda a: (":" in a, a))[:_MOST])


def _text(address: bytes | str) -> str:
    return address.decode("ascii") if isinstance(address, bytes) else address
