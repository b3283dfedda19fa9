"""Deletes bodies that are noted as going: announced first, then gone from disk, object store and index.

What is noted stays noted until it is gone, so that a crash at any moment leaves something to be done again. It is then
announced again too: that a record names a body twice says nothing wrong.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from extproc.audit.keys import Signer
from extproc.audit.retention.announce import ADDRESSES, Announcer
from extproc.audit.retention.receipt import receipt
from extproc.audit.retention.rules import rfc3339
from extproc.audit.retention.store import Purge, RetentionStore
from extproc.domain.json import JSON, Document


class Bodies(Protocol):
    """Where bodies are, in the state folder and wherever they were moved. Raises OSError and what the store raises."""

    def exists(self, address: str) -> bool:
        """Whether there is such a body."""
        ...

    def delete(self, address: str, unless_since: float | None = None) -> bool:
        """Remove it wherever it is, but for one that was recorded again at `unless_since` or later; whether it was
        removed."""
        ...


class Forgetful(Protocol):
    """What knows of records and bodies, and has to forget them: the index. Raises OSError and sqlite3.Error."""

    def forget(
        self,
        records: Iterable[tuple[str, int]] = (),
        addresses: Iterable[str] = (),
        ranges: Iterable[tuple[str, int, int]] = (),
    ) -> None:
        """Forget records (stream, offset), bodies, and whatever begins in byte ranges (stream, from, to)."""
        ...


class Deletion:
    """Does what the store has noted, a piece at a time; used by one thread. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        store: RetentionStore,
        announcer: Announcer,
        bodies: Bodies,
        index: Forgetful,
        signer: Signer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._announcer, self._bodies, self._index = store, announcer, bodies, index
        self._signer, self._clock = signer, clock

    def step(self) -> bool:
        """Delete some bodies, those of purges first; True while there are more. Raises OSError, sqlite3.Error,
        JournalUnwritable, and whatever the bodies' store raises."""
        for purge in self._store.purges(open_only=True):
            self._purge(purge)
            return True
        going = self._store.going("", ADDRESSES)
        if going:
            self._announcer.say("body-deleted", self._body("retention", [address for address, _ in going]))
            self._delete(going)
        return bool(going)

    def _purge(self, purge: Purge) -> None:
        """The next piece of a purge. Its own record comes first, and its receipt last."""
        places = list(purge.places)
        if not places:
            places.append(self._announcer.place("purge", _record(purge)))
            self._announcer.sync()
            self._store.note(purge.id, places)
        going = self._store.going(purge.id, ADDRESSES)
        if going:
            body = self._body("purge", [address for address, _ in going]) | {"purge": purge.id}
            places.append(self._announcer.place("body-deleted", body))
            self._announcer.sync()
            self._store.note(purge.id, places)
            self._delete(going)
            return
        uses = self._store.purged(purge.id)
        document = receipt(purge, places, uses, rfc3339(self._clock()), self._signer)
        self._store.done(purge.id, document)

    def _delete(self, going: Sequence[tuple[str, float | None]]) -> None:
        self._announcer.sync()
        gone = [a for a, since in going if self._bodies.delete(a, since) or not self._bodies.exists(a)]
        self._index.forget(addresses=gone)
        self._store.gone(address for address, _ in going)

    def _body(self, why: str, addresses: Sequence[str]) -> dict[str, JSON]:
        return {"at": rfc3339(self._clock()), "addresses": list(addresses), "why": why}


def _record(purge: Purge) -> Document:
    return {
        "at": purge.at,
        "id": purge.id,
        "by": dict(purge.by),
        "reason": purge.reason,
        "query": purge.query,
        "decisions": purge.decisions,
        "bodies": purge.bodies,
        "kept": purge.kept,
    }
