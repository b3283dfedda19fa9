"""Recorded bodies as exports read them: wherever they lie, whole or not at all."""

from collections.abc import Callable, Iterator
from hashlib import sha256

from extproc.audit.bodies.address import address_of, name, place
from extproc.audit.bodies.coding import Decoding, Malformed
from extproc.audit.bodies.folder import BodyUnreadable
from extproc.audit.bodies.places import PREFIX, Bodies
from extproc.audit.export.exchange import BodyGone
from extproc.audit.objects import ObjectStoreError

_PIECE = 64 << 10


class Recorded:
    """See exchange.Bodies. A body that is damaged is gone, with what is wrong as the reason."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def content(self, address: str) -> Iterator[bytes]:
        """What was kept, in pieces."""
        try:
            yield from self._bodies.open(address)
        except (BodyUnreadable, ObjectStoreError, OSError, ValueError) as error:
            raise BodyGone(str(error)) from error

    def salt(self, address: str) -> bytes:
        """The salt, after the whole body was held against its address."""
        try:
            decoding, digest = Decoding(_reader(self._raw(address))), sha256()
            for piece in decoding.content():
                digest.update(piece)
        except (BodyUnreadable, ObjectStoreError, OSError, ValueError, Malformed) as error:
            raise BodyGone("not there any more" if isinstance(error, FileNotFoundError) else str(error)) from error
        salt = decoding.salt or b""
        if address_of(salt, digest.digest()) != address:
            raise BodyGone("damaged: its content is another's")
        return salt

    def _raw(self, address: str) -> Iterator[bytes]:
        """The file's own bytes."""
        store = self._bodies.store
        if store is not None and not self._bodies.folder.exists(address) and store.exists(PREFIX + name(address)):
            yield from store.get(PREFIX + name(address))
        else:
            with place(self._bodies.folder.path, address).open("rb") as file:
                yield from iter(lambda: file.read(_PIECE), b"")


def _reader(pieces: Iterator[bytes]) -> Callable[[int], bytes]:
    """Gives pieces of at most the size asked for, and none at the end."""
    rest = b""

    def read(size: int) -> bytes:
        nonlocal rest
        rest = rest or next(pieces, b"")
        given, rest = rest[:size], rest[size:]
        return given

    return read
