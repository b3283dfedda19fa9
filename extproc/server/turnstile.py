"""Records of those who were turned away: all of them, yet not so many that knocking fills the journal.

The first of its kind (same peer, same reason, same target) is recorded at once. Those that follow within a second are
counted, and one record says how many they were. Only nobodies are counted together: whoever is known by name has a
record for each request.
"""

import time
from collections.abc import Callable

from extproc.domain.identity import neighbourhood
from extproc.domain.json import JSON
from extproc.domain.ports import Journal

SECONDS = 1.0
# Peers that are told apart within one second; an agent has a handful of addresses, an attacker with more is one kind.
_MOST = 1024

_Kind = tuple[str, str, str]


class Turnstile:
    """Belongs to one event loop; call `flush` about every SECONDS."""

    def __init__(self, journal: Journal, now: Callable[[], str]) -> None:
        """`now` gives the time as records have it."""
        self._journal = journal
        self._now = now
        self._seen: dict[_Kind, int] = {}
        self._body: dict[_Kind, dict[str, JSON]] = {}
        self._began = time.monotonic()

    def turn_away(self, code: str, peer: str, target: str, body: dict[str, JSON]) -> None:
        """Record one, or, where its `body` names no principal, count it with its like. Raises JournalUnwritable."""
        if body.get("principal") is not None:
            self._append(code, body)
            return
        if time.monotonic() - self._began >= SECONDS:
            self.flush()
        kind = (code, neighbourhood(peer), target)
        if kind not in self._seen and len(self._seen) >= _MOST:
            kind = (code, "", "")
        if kind in self._seen:
            self._seen[kind] += 1
            return
        self._seen[kind], self._body[kind] = 0, body
        self._append(code, body)

    def flush(self) -> None:
        """Write how many were counted since the last time. Raises JournalUnwritable."""
        counted = [(kind, n) for kind, n in self._seen.items() if n]
        bodies = self._body
        self._seen, self._body, self._began = {}, {}, time.monotonic()
        for kind, n in counted:
            like = {name: value for name, value in bodies[kind].items() if name not in ("id", "request")}
            self._append(kind[0], {**like, "more": n})

    def _append(self, code: str, body: dict[str, JSON]) -> None:
        self._journal.append("refusal", {"at": self._now(), "code": code, **body})
