"""What an exchange shows of who it is, and what is made of it. Verification itself is an adapter's."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from extproc.domain.principal import Principal

CARRIERS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Headers in which clients carry a credential for the gateway. The first two carry nothing else and never go on; the
others go on where what they hold is not for us."""


class Why(StrEnum):
    """Why nobody was identified; the code of the refusal's record."""

    MISSING = "identity-missing"
    INVALID = "identity-invalid"
    EXPIRED = "identity-expired"
    REVOKED = "identity-revoked"
    FROZEN = "identity-frozen"
    WRONG_AUDIENCE = "identity-wrong-audience"
    WRONG_NETWORK = "identity-wrong-network"
    CONFLICT = "identity-conflict"
    UNAVAILABLE = "identity-unavailable"
    TOO_MANY = "identity-too-many-failures"


class IdentityRefused(Exception):
    """Nobody is let in. The message is for whoever showed it: what is wrong, and what would be right. It never quotes
    a credential, and tells nothing that only the owner of a valid one may know."""

    def __init__(self, message: str, why: Why = Why.INVALID, principal: Principal | None = None) -> None:
        """`principal` is who it would have been, for the record, where that is certain."""
        super().__init__(message)
        self.why = why
        self.principal = principal


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate that the listener verified. `digest` is its SHA-256 in lower-case hex."""

    digest: str
    uri: str
    dns: str
    subject: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What one exchange shows. `headers` are those that can carry a credential, lower-case names, in the order in which
    they came. `source` is the peer's address without its port."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    certificate: Certificate | None = None
    source: str = ""


def neighbourhood(address: str) -> str:
    """Whom a stranger at this address is counted as: the address or, for IPv6, its /64, of which one host has all. What
    is no address is counted as itself."""
    try:
        found = ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or f"{IPv6Address(int(found) >> 64 << 64)}/64")


@dataclass(frozen=True, slots=True)
class Identified:
    """Who it is, and the headers that said so, which must not go on."""

    principal: Principal
    used: frozenset[str] = frozenset()


class Identities(Protocol):
    """Knows principals by what they show."""

    def remembered(self, shown: Shown) -> Identified | None:
        """Who showed just this before, where that still counts; costs microseconds. Raises IdentityRefused."""
        ...

    def ours(self, shown: Shown) -> frozenset[str]:
        """The headers whose tokens are for us by what they say of themselves, valid or not: none of them may go on."""
        ...

    def unproven(self, shown: Shown) -> bool:
        """Whether to identify this takes a check of a signature that was not found good before. No input or output."""
        ...

    async def identify(self, shown: Shown) -> Identified:
        """Who it is, from scratch: keys may have to be fetched. Raises IdentityRefused."""
        ...
