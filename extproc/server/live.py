"""Exchanges under way, and ending those whose principal may not be here any more."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from extproc.domain.identity import IdentityRefused
from extproc.domain.principal import Principal

_LOOK_SECONDS = 0.5


class Endable(Protocol):
    """An exchange that can be ended from outside."""

    def end(self, error: IdentityRefused) -> None:
        """End it: answered where nothing has gone on yet, broken off where it has."""
        ...


class Exchanges:
    """Everything under way in this worker. Belongs to one event loop.

    `check` raises IdentityRefused for a principal that may not go on."""

    def __init__(self, check: Callable[[Principal, float], None]) -> None:
        self._check = check
        self._under_way: dict[Endable, Principal] = {}

    @contextmanager
    def under_way(self, exchange: Endable, principal: Principal) -> Iterator[None]:
        """For as long as the exchange lasts."""
        self._under_way[exchange] = principal
        try:
            yield
        finally:
            del self._under_way[exchange]

    def review(self) -> None:
        """End whatever may not go on now. Called when somebody was frozen or revoked, and as time goes by."""
        now = time.time()
        verdicts: dict[Principal, IdentityRefused | None] = {}
        for exchange, principal in list(self._under_way.items()):
            if principal not in verdicts:
                verdicts[principal] = self._verdict(principal, now)
            error = verdicts[principal]
            if error is not None:
                exchange.end(error)

    async def watch(self) -> None:
        """Review twice a second, until cancelled: credentials expire without anybody saying so."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.review()

    def _verdict(self, principal: Principal, now: float) -> IdentityRefused | None:
        try:
            self._check(principal, now)
        except IdentityRefused as error:
            return error
        return None
