"""Knows parties by JSON Web Tokens of configured issuers: one verifier for agents and for people."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc.adapters.identity import claims as reading
from extproc.adapters.identity.claims import LEEWAY_SECONDS, Claims
from extproc.adapters.identity.keys import ALGORITHMS, KeySet
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind, Principal


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose tokens are believed: `issuer` and `audience` as they stand in the token. `jwks` is a file's path, an
    http(s) address, or None for wherever the issuer's discovery document says. `groups_claim` names the claim with the
    groups (dots go into objects: `realm_access.roles`). `ca` is a PEM file that replaces the system's roots."""

    issuer: str
    audience: str
    jwks: Path | str | None = None
    groups_claim: str = "groups"
    ca: Path | None = None
    kind: Kind = Kind.AGENT


@dataclass(frozen=True, slots=True)
class Proven:
    """What a token proved, for as long as its keys are of this generation. `bound_to` is the digest of the certificate
    that has to be shown with it. `networks` (CIDR) are the only ones that it may come from; None for all."""

    principal: Principal
    keys: KeySet
    generation: int
    bound_to: str | None = None
    networks: tuple[str, ...] | None = None

    def stands(self) -> bool:
        """Whether nothing has to be verified again: the keys are those that verified it, and need no other look."""
        return self.generation == self.keys.generation and self.keys.settled()


class Tokens:
    """Verifies tokens of several issuers, or of one with several audiences. Belongs to one event loop."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        where: str = "identity.agents",
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`where` names the setting that lists the providers. `clock` gives seconds since the epoch, `ticks` monotonic
        ones, by which keys grow old."""
        self._where = where
        self._clock = clock
        self._providers = {(p.issuer, p.audience): p for p in providers}
        sets = {s: KeySet(*s, clock=ticks) for s in {_source(p) for p in providers}}
        self._keys = {p: sets[_source(p)] for p in providers}

    def ours(self, claims: Claims) -> bool:
        """Whether claims, unproven, are of one of these issuers and for one of its audiences."""
        issuer = claims.get("iss")
        return isinstance(issuer, str) and any((issuer, a) in self._providers for a in reading.audiences(claims))

    async def prove(self, token: str) -> Proven:
        """What a token of an agent or a service proves. Raises IdentityRefused."""
        provider, claims, keys = await self.verified(token)
        expires = reading.ends(claims, self._clock())
        subject, acting = reading.subject(claims), reading.actor(claims, provider.issuer)
        principal = Principal(
            provider.issuer,
            acting or subject,
            provider.kind,
            _texts(reading.claim(claims, provider.groups_claim)),
            subject if acting else None,
            # The moment from which it does not count here, so that everybody who asks later means the same one.
            expires + LEEWAY_SECONDS,
            reading.credential(claims, token, provider.issuer),
        )
        return Proven(principal, keys, keys.generation, reading.bound_to(claims))

    async def verified(self, token: str) -> tuple[Provider, Claims, KeySet]:
        """Whose token it is, and its claims under a good signature; times are not looked at. Raises IdentityRefused."""
        header, unproven = reading.peek(token)
        provider = self._provider(unproven)
        keys = self._keys[provider]
        return provider, await under(token, header, keys, provider.issuer), keys

    def _provider(self, claims: Claims) -> Provider:
        """Who the token says it is from and for; the signature is checked afterwards, against that issuer's keys."""
        of_issuer = [p for p in self._providers.values() if p.issuer == claims.get("iss")]
        if not of_issuer:
            raise IdentityRefused(f"the token's issuer is not one of {self._where}")
        named = reading.audiences(claims)
        found = [p for p in of_issuer if p.audience in named]
        if not found:
            wanted = " or ".join(p.audience for p in of_issuer)
            raise IdentityRefused(f"the token has the wrong audience; it needs {wanted}", Why.WRONG_AUDIENCE)
        if len({(p.kind, p.groups_claim, _source(p)) for p in found}) > 1:
            raise IdentityRefused("the token's audiences name several kinds of principal; it needs one of them")
        return found[0]


async def under(token: str, header: Mapping[str, Any], keys: KeySet, issuer: str) -> Claims:
    """A token's claims under a good signature by one of these keys. Raises IdentityRefused."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise IdentityRefused(f"the token's algorithm is not accepted; expected one of {', '.join(ALGORITHMS)}")
    if kid is not None and not isinstance(kid, str):
        raise IdentityRefused("the token's key id (kid) is not a text")
    return reading.signed(token, header, await keys.find(algorithm, kid), issuer)


def _source(provider: Provider) -> tuple[str, Path | str | None, Path | None]:
    return provider.issuer, provider.jwks, provider.ca


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
