"""Records that come before a deletion: on the disk, and known by their places, before anything goes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from extproc.audit import acts
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer
from extproc.audit.reader import records
from extproc.domain.json import JSON, Document

ADDRESSES = 100
RANGES = 200
"""How many of them a record names: with so many it is written as it is (see bound.ROOMY_BYTES)."""
Item = TypeVar("Item")


class Announcer:
    """Writes to a journal whose folder is `folder`; nobody else appends to it meanwhile. `signer` signs what counts
    only so (see acts). Raises JournalUnwritable and JournalFault."""

    def __init__(self, journal: FileJournal, folder: Path, signer: Signer) -> None:
        self._journal, self._folder, self._signer = journal, folder, signer

    @property
    def stream(self) -> str:
        """The name of the stream that is written."""
        return self._folder.name

    def say(self, kind: str, body: Document) -> None:
        """Write one record."""
        self._journal.append(kind, self._signed(kind, body))

    def place(self, kind: str, body: Document) -> dict[str, JSON]:
        """Write one record; where it is in the chain: stream, seq and hash."""
        before = self._journal.offset
        seq = self._journal.append(kind, self._signed(kind, body))
        record = next(record for record in records(self._folder, before) if record.seq == seq)
        return {"stream": record.stream, "seq": record.seq, "hash": record.hash}

    def sync(self) -> None:
        """Have what was written on the disk."""
        self._journal.sync()

    def _signed(self, kind: str, body: Document) -> Document:
        # What is said again keeps the signature that it had: one that does not hold is not made good by us.
        return acts.sign(kind, body, self._signer) if kind in acts.KINDS and "signature" not in body else body


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs: the first and the last of each."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def parts(items: Iterable[Item], most: int) -> Iterator[Sequence[Item]]:
    """The items, at most so many at a time."""
    rest = iter(items)
    while part := list(islice(rest, most)):
        yield part
