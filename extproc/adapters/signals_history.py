"""What policy reads of the past: the watcher's figures, and exact counts where a rule reads them."""

from collections.abc import Callable
from functools import lru_cache

from extproc.adapters.counters import Counters
from extproc.adapters.signals_reader import SignalsReader
from extproc.audit.signals.facts import network
from extproc.domain.decision import Mode
from extproc.domain.json import Document
from extproc.domain.ports import HistoryUnavailable
from extproc.domain.principal import Principal


class PolicyHistory:
    """The History of one worker."""

    def __init__(self, signals: SignalsReader, counters: Counters, wanted: Callable[[], Mode | None]) -> None:
        self._signals, self._counters, self._wanted = signals, counters, wanted

    async def of(self, principal: Principal, target: str, verb: str, source: str) -> Document:
        """See domain.ports.History. Where only shadow rules read the counts and they can't be had, `used` is absent.

        The watcher is a moment behind, and a copied credential needs one request; so where this one comes from counts
        already."""
        found = _here(self._signals.of(principal, target), source)
        wanted = self._wanted()
        if wanted is None:
            return found
        try:
            used = await self._counters.reserve(principal.key, target, verb)
        except HistoryUnavailable:
            if wanted is Mode.ENFORCE:
                raise
            return found
        return {**found, "used": used}


def _here(found: Document, source: str) -> Document:
    """The figures, with the network of this very request among those of its credential."""
    credential, here = found.get("credential"), _network(source)
    if here is None or not isinstance(credential, dict):
        return found
    networks = credential["networks"]
    return found if here in networks else {**found, "credential": {**credential, "networks": [*networks, here]}}


_network = lru_cache(4096)(network)
