"""Knows approvers by their tokens, which are checked here because no Envoy stands before the console."""

import time
from collections.abc import Callable, Sequence

from extproc.access.check import check
from extproc.access.ports import Standing
from extproc.adapters.identity import claims as reading
from extproc.adapters.identity.agent_tokens import AUDIENCE
from extproc.adapters.identity.claims import LEEWAY_SECONDS
from extproc.adapters.identity.verify import Provider, Tokens
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind, Principal


class Approvers:
    """The Verifier over JSON Web Tokens (approvals.ports). Whatever kind a provider names, these are people."""

    def __init__(
        self,
        providers: Sequence[Provider],
        agent_audiences: Sequence[str],
        standing: Standing | None = None,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `standing`, who is frozen is refused. Clocks as in Tokens. Raises ValueError when an approvers' audience
        is also one of the agents': an agent's token would vote."""
        self._agents = frozenset({*agent_audiences, AUDIENCE})
        self._standing = standing
        self._clock = clock
        self._tokens = Tokens(providers, where="identity.approvers", clock=clock, ticks=ticks)
        for provider in providers:
            if provider.audience in self._agents:
                raise ValueError(f"approvers of {provider.issuer}: audience {provider.audience} is the agents' too")

    async def verify(self, token: str) -> Principal:
        """The person that a token proves. Raises IdentityRefused."""
        if reading.audiences(reading.peek(token)[1]) & self._agents:
            why = "the token is an agent's (its audience is the gateway's); approvers have their own"
            raise IdentityRefused(why, Why.WRONG_AUDIENCE)
        provider, claims, _ = await self._tokens.verified(token)
        now = self._clock()
        expires, subject = reading.ends(claims, now) + LEEWAY_SECONDS, reading.subject(claims)
        if "act" in claims:
            # RFC 8693: someone else acts as this person. An agent that holds such a token must not vote with it.
            raise IdentityRefused("the token is delegated (act); people vote with a token of their own")
        if reading.bound_to(claims) is not None:
            raise IdentityRefused("the token is bound to a client certificate (cnf), which can't be shown here")
        groups = reading.claim(claims, provider.groups_claim)
        if groups is None:
            groups = []
        if not isinstance(groups, list) or not all(isinstance(g, str) for g in groups):
            raise IdentityRefused(f"the token's claim {provider.groups_claim} is not a list of group names")
        named = reading.credential(claims, token, provider.issuer)
        person = Principal(provider.issuer, subject, Kind.HUMAN, tuple(groups), None, expires, named)
        if self._standing is not None:
            check(person, self._standing, now)
        return person
