"""Exchanges under way, and ending those whose principal may not be here any more."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.protocols.session import Cause, Stopped

_LOOK_SECONDS = 0.5


class Endable(Protocol):
    """An exchange that can be ended from outside."""

    def end(self, why: Stopped) -> None:
        """End it: answered where nothing has gone on yet, broken off where it has."""
        ...


class Exchanges:
    """Everything under way in this worker. Belongs to one event loop.

    `check` raises IdentityRefused for a principal that may not go on. `has` says whether a target is as it was: of one
    that is not, tunnels end, while requests that were let on may finish."""

    def __init__(self, check: Callable[[Principal, float], None], has: Callable[[Target], bool]) -> None:
        self._check = check
        self._has = has
        self._under_way: dict[Endable, tuple[Principal, Target | None]] = {}

    @contextmanager
    def under_way(self, exchange: Endable, principal: Principal, tunnel: Target | None = None) -> Iterator[None]:
        """For as long as the exchange lasts. `tunnel` is the target that it is a tunnel to."""
        self._under_way[exchange] = principal, tunnel
        try:
            yield
        finally:
            del self._under_way[exchange]

    def review(self) -> None:
        """End whatever may not go on now. Called when somebody was frozen or revoked, when the configuration changed,
        and as time goes by."""
        now = time.time()
        verdicts: dict[Principal, Stopped | None] = {}
        for exchange, (principal, tunnel) in list(self._under_way.items()):
            if principal not in verdicts:
                verdicts[principal] = self._verdict(principal, now)
            why = verdicts[principal]
            if why is None and tunnel is not None and not self._has(tunnel):
                why = Stopped(Cause.TARGET, "target-changed", "This target is no more, or is another now.")
            if why is not None:
                exchange.end(why)

    async def watch(self) -> None:
        """Review twice a second, until cancelled: credentials expire without anybody saying so."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.review()

    def _verdict(self, principal: Principal, now: float) -> Stopped | None:
        try:
            self._check(principal, now)
        except IdentityRefused as error:
            cause = Cause.UNAVAILABLE if error.why is Why.UNAVAILABLE else Cause.IDENTITY
            return Stopped(cause, error.why.value, f"{error}.")
        return None
