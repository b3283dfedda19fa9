"""Bodies wherever they are: in the state folder, or moved to an object store."""

from collections.abc import Iterator

from extproc.audit.bodies.address import name
from extproc.audit.bodies.folder import BodyFolder, BodyMissing, verified
from extproc.audit.objects import ObjectStore

PREFIX = "bodies/"


class Bodies:
    """Reads and deletes bodies in both places. Every method raises ValueError for what is no address, OSError and
    ObjectStoreError."""

    def __init__(self, folder: BodyFolder, store: ObjectStore | None = None) -> None:
        self.folder, self.store = folder, store

    def open(self, address: str) -> Iterator[bytes]:
        """The content in pieces. Raises BodyMissing with the first one, BodyDamaged at the end at the latest: what was
        given before is then not to be believed."""
        try:
            yield from self.folder.open(address)
        except BodyMissing:
            if self.store is None or not self.store.exists(PREFIX + name(address)):
                raise
            yield from stored(self.store, address)

    def exists(self, address: str) -> bool:
        """Whether it is in one of them."""
        here = self.folder.exists(address)
        return here or (self.store is not None and self.store.exists(PREFIX + name(address)))

    def delete(self, address: str, unless_since: float | None = None) -> bool:
        """Remove it from both, here first. False where it was in neither, or was recorded again since.

        `unless_since` (see BodyFolder.delete) is for what is recorded at this moment. Whether older records name the
        same body is for the caller to know."""
        found = self.folder.delete(address, unless_since)
        if not found and self.folder.exists(address):
            return False
        if self.store is not None and self.store.exists(PREFIX + name(address)):
            self.store.delete(PREFIX + name(address))
            found = True
        return found


def stored(store: ObjectStore, address: str) -> Iterator[bytes]:
    """The content of a body in the store, verified. Raises ObjectStoreError and BodyDamaged."""
    return verified(address, _Reading(store.get(PREFIX + name(address))).read)


class _Reading:
    """Pieces of any size, read in pieces of the size asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        given, self._rest = self._rest[:size], self._rest[size:]
        return bytes(given)
