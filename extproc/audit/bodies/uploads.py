"""Bodies that are moved to an object store once they are whole."""

from collections.abc import Callable, Iterator
from time import time

from extproc.audit.bodies.address import name, place
from extproc.audit.bodies.folder import BodyDamaged, BodyFolder, BodyMissing, BodyUnreadable
from extproc.audit.bodies.places import PREFIX, stored
from extproc.audit.bodies.recorder import LOOSE
from extproc.audit.objects import ObjectStore, ObjectStoreError

_AT_ONCE = 32


class Uploads:
    """A chore: puts bodies into the store, and removes them here once they are `grace_seconds` old and what the store
    has was read back and is what was recorded. A body that does not verify stays here, for verification to name.

    Nothing is remembered but in memory: a new start asks the store what it has. While it is away bodies stay here, and
    the disk fills up; nothing is lost. Rounds of all bodies here begin `round_seconds` apart. `clock` gives
    seconds since the epoch."""

    name = "uploads"

    def __init__(
        self,
        folder: BodyFolder,
        store: ObjectStore,
        grace_seconds: float = 3600.0,
        round_seconds: float = 10.0,
        clock: Callable[[], float] = time,
    ) -> None:
        self._folder, self._store, self._clock = folder, store, clock
        self._grace, self._every, self._next = grace_seconds, round_seconds, 0.0
        self._there: set[str] = set()
        self._round: Iterator[str] | None = None

    def step(self) -> bool:
        """Move some; True while this round has more. Raises OSError and ObjectStoreError."""
        if self._round is None:
            if self._clock() < self._next:
                return False
            self._round, self._next = self._folder.list(), self._clock() + self._every
        for _ in range(_AT_ONCE):
            address = next(self._round, None)
            if address is None:
                self._round = None
                return False
            try:
                self._move(address)
            except BodyUnreadable:
                # Deleted meanwhile, and a later round does not find it; or damaged.
                self._there.discard(address)
            except ObjectStoreError:
                # Perhaps it lost this one: the next round asks again.
                self._there.discard(address)
                raise
        return True

    def close(self) -> None:
        """Nothing is held."""

    def _move(self, address: str) -> None:
        key = PREFIX + name(address)
        if address not in self._there:
            if (self._folder.path / LOOSE / address).exists():
                # About to be written anew, and smaller.
                return
            if not self._store.exists(key):
                self._put(address, key)
            self._there.add(address)
        if self._clock() - self._folder.recorded(address) < self._grace:
            return
        if self._is_there(address):
            self._folder.delete(address)
            self._there.discard(address)
        else:
            self._put(address, key)

    def _put(self, address: str, key: str) -> None:
        for _ in self._folder.open(address):
            pass
        try:
            self._store.put(key, place(self._folder.path, address))
        except FileNotFoundError:
            raise BodyMissing(f"body {address}: deleted before it was uploaded") from None
        if not self._folder.exists(address):
            # Deleted while it was on its way: whoever did that looked here first and in the store then, and may have
            # looked before it was there.
            self._store.delete(key)
            raise BodyMissing(f"body {address}: deleted while it was uploaded")

    def _is_there(self, address: str) -> bool:
        try:
            for _ in stored(self._store, address):
                pass
        except BodyDamaged:
            return False
        return True
