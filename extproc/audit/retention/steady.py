"""Whether the clock can be believed: one that leaps ahead, by mistake or by somebody's doing, makes all old at once.

After a leap nothing goes for a day, so that people have time to look; a gateway that was off for longer than a day
waits likewise. What passed is told by a clock that nobody sets, and by when the last pass began, which is kept.
"""

import time
from collections.abc import Callable

from extproc.audit.retention.announce import Announcer
from extproc.audit.retention.rules import rfc3339
from extproc.audit.retention.store import RetentionStore

LEAP_SECONDS = 86400.0
"""The clock may be ahead by so much of what has passed."""
WAIT_SECONDS = 86400.0


class Steady:
    """Looks at the clock. `clock` gives seconds since the epoch, `ticks` monotonic ones."""

    def __init__(
        self,
        store: RetentionStore,
        announcer: Announcer,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._announcer, self._clock, self._ticks = store, announcer, clock, ticks
        self._seen, self._at = store.seen(), ticks()
        self._leapt: float | None = None

    def wrong(self) -> str | None:
        """Why nothing is to go, if so; that is an alarm, once. Raises JournalUnwritable and sqlite3.Error."""
        now, at = self._clock(), self._ticks()
        if self._seen is not None and now > self._seen + at - self._at + LEAP_SECONDS:
            before = rfc3339(self._seen + at - self._at)
            why = f"the clock leapt from {before} to {rfc3339(now)}, or nothing ran between"
            if self._leapt is None:
                self._announcer.say("alarm", {"at": rfc3339(now), "code": "clock-leapt", "message": why})
                self._leapt = at
            if at < self._leapt + WAIT_SECONDS:
                return f"{why}; what is old goes when it has been so for a day"
        self._store.see(now)
        self._seen, self._at, self._leapt = now, at, None
        return None
