"""Bodies that passed in many small pieces, event streams mostly, written anew as few frames."""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path

from extproc.audit.bodies.address import address_of, is_address, place
from extproc.audit.bodies.coding import FRAME_BYTES, Coder, Decoding, Malformed, salt_frame
from extproc.audit.bodies.folder import changing
from extproc.audit.bodies.recorder import LOOSE

_AT_ONCE = 16


class Tidy:
    """A chore: rewrites what recorders marked as loose. Content and address stay; a body that does not verify is left
    as it is, for whoever verifies the trail to name."""

    name = "recordings"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._coder = Coder()

    def step(self) -> bool:
        """Rewrite some; True while there are more. Raises OSError."""
        marks = list(islice(self._marks(), _AT_ONCE + 1))
        for address in marks[:_AT_ONCE]:
            self._rewrite(address)
            (self._folder / LOOSE / address).unlink(missing_ok=True)
        return len(marks) > _AT_ONCE

    def close(self) -> None:
        """Nothing is held."""

    def _marks(self) -> Iterator[str]:
        with suppress(FileNotFoundError), os.scandir(self._folder / LOOSE) as entries:
            for entry in entries:
                if is_address(entry.name):
                    yield entry.name

    def _rewrite(self, address: str) -> None:
        where = place(self._folder, address)
        fresh = self._folder / LOOSE / f"{address}.new"
        try:
            opened = where.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with opened, fresh.open("wb") as out:
            decoding, digest = Decoding(opened.read), sha256()
            try:
                for piece in _filled(decoding.content()):
                    digest.update(piece)
                    out.write(self._coder.frame(piece))
            except Malformed:
                fresh.unlink()
                return
            salt = decoding.salt or b""
            out.write(salt_frame(salt))
            out.flush()
            os.fdatasync(out.fileno())
        with changing(self._folder):
            if address_of(salt, digest.digest()) == address and where.exists():
                os.rename(fresh, where)
            else:
                fresh.unlink()


def _filled(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= FRAME_BYTES:
            yield bytes(held[:FRAME_BYTES])
            del held[:FRAME_BYTES]
    if held:
        yield bytes(held)
