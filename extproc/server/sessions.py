"""When a session, one connection of one principal, begins and ends, as this worker sees it.

Envoy tells no processor that a connection was closed, so a session of which nothing is under way has ended when nothing
came for a while. Each worker that serves some of a session tells of its own part. Of a connection that ends at a worker
it is known.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

from extproc.domain.json import Document
from extproc.domain.ports import Journal, JournalUnwritable
from extproc.domain.principal import Principal

IDLE_SECONDS = 60.0
MOST = 10_000
"""Sessions that are remembered at one time; beyond that, those idle for longest are told to have ended."""


@dataclass(slots=True)
class _Open:
    principal: Principal
    session: str
    opened: str
    exchanges: int = 0
    under_way: int = 0
    since: float = 0.0


class Sessions:
    """The sessions of one worker. Belongs to its event loop; call `sweep` now and then, and `close` at the end."""

    def __init__(
        self,
        journal: Journal,
        now: Callable[[], str],
        unwritable: Callable[[], None],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` gives the time as records have it, `ticks` monotonic seconds; `unwritable` hears of each record that
        could not be written."""
        self._journal, self._now, self._unwritable, self._ticks = journal, now, unwritable, ticks
        # Oldest visit first: a session is put at the end when something of it begins or ends.
        self._open: dict[tuple[str, str], _Open] = {}

    @contextmanager
    def visit(
        self, principal: Principal, session: str, common: Callable[[], Document], *, whole: bool = False
    ) -> Iterator[None]:
        """For as long as an exchange of this session lasts, or the `whole` of it. `common` gives what its records have
        in common."""
        key = (principal.key, session)
        known = self._open.pop(key, None)
        if known is None:
            known = _Open(principal, session, self._now())
            if not self._append({**common(), "what": "opened"}):
                # Its next exchange tells of it. What passes is for the decision's record to say, which can't be written
                # either as long as this lasts.
                yield
                return
            if len(self._open) >= MOST:
                self._forget()
        known.exchanges += 1
        known.under_way += 1
        known.since = self._ticks()
        self._open[key] = known
        try:
            yield
        finally:
            known.under_way -= 1
            known.since = self._ticks()
            if self._open.get(key) is known:
                self._open[key] = self._open.pop(key)
                if whole:
                    self._end(key, "ended")

    def sweep(self) -> None:
        """Tell of those that have ended."""
        before = self._ticks() - IDLE_SECONDS
        idle = list(takewhile(lambda item: item[1].since <= before, self._open.items()))
        for key, known in idle:
            if known.under_way == 0:
                self._end(key, "idle")

    def close(self) -> None:
        """Tell of all of them: this worker serves nobody any more."""
        for key in list(self._open):
            self._end(key, "stopped")

    def _forget(self) -> None:
        idle = next((key for key, known in self._open.items() if known.under_way == 0), None)
        if idle is not None:
            self._end(idle, "crowded")

    def _end(self, key: tuple[str, str], why: str) -> None:
        known = self._open.pop(key)
        self._append(
            {
                "at": self._now(),
                "what": "closed",
                "session": known.session,
                "principal": known.principal.document(),
                "opened": known.opened,
                "exchanges": known.exchanges,
                "why": why,
            }
        )

    def _append(self, body: Document) -> bool:
        try:
            self._journal.append("session", body)
        except JournalUnwritable:
            self._unwritable()
            return False
        return True
