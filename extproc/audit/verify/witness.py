"""Checkpoints that were kept outside: read back, checked, and held against the journal's own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from extproc.audit.checkpoint import BadCheckpoint, Head, check
from extproc.audit.keys import PublicKeys
from extproc.audit.objects import ObjectStore
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report

MOST_BYTES = 4 << 20


class Kept(Protocol):
    """What a witness has."""

    @property
    def name(self) -> str:
        """What people know it by."""
        ...

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """Each document with the place where it is. Raises OSError and ObjectStoreError."""
        ...


@dataclass(frozen=True, slots=True)
class KeptInFile:
    """A file of one document a line, or a folder of such files and of documents."""

    path: Path

    @property
    def name(self) -> str:
        """See Kept."""
        return str(self.path)

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """See Kept."""
        paths = sorted(path for path in self.path.iterdir() if path.is_file()) if self.path.is_dir() else [self.path]
        for path in paths:
            with path.open("rb") as file:
                number = 0
                while line := file.readline(MOST_BYTES):
                    number += 1
                    yield f"{path}: line {number}", line


@dataclass(frozen=True, slots=True)
class KeptInStore:
    """A bucket with an object for each."""

    store: ObjectStore
    name: str
    prefix: str = "checkpoints/"

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """See Kept."""
        for key in self.store.list(self.prefix):
            yield f"{self.name}: {key}", b"".join(self.store.get(key))[:MOST_BYTES]


def take_in(kept: Kept, keys: PublicKeys, facts: Facts, report: Report) -> None:
    """Note every head that a witness's checkpoints name. What is no checkpoint there is a fault: it proves nothing, and
    it should."""
    before, wrong = report.witness_checkpoints, 0
    for place, line in kept.documents():
        if not line.strip():
            continue
        try:
            found = check(json.loads(line), keys)
        except BadCheckpoint as error:
            wrong += 1
            report.faults.add(Fault(Wrong.BAD_WITNESS, f"{place}: {error}"))
        except ValueError:
            wrong += 1
            if line.endswith((b"\n", b"}")):
                report.faults.add(Fault(Wrong.BAD_WITNESS, f"{place}: not JSON"))
            else:
                report.notes.append(f"{place}: half a line, which the next checkpoint replaces")
        else:
            report.witness_checkpoints += 1
            facts.add([("kept", found.number, found.digest, kept.name)])
            facts.vouch(found.streams, "witnessed", f"checkpoint {found.number} kept by {kept.name}", found.at)
    if wrong > 1 and report.witness_checkpoints == before:
        report.notes.append(f"{kept.name}: has not one checkpoint; is it what a witness of this gateway kept?")


def compare(facts: Facts, report: Report, path: Path) -> None:
    """The journal has each checkpoint that a witness was given, and no other of that number."""
    first = facts.one("SELECT min(number) FROM made")
    least = first[0] if first is not None and first[0] is not None else 0
    query = """
        SELECT kept.number, kept.who, made.number FROM kept LEFT JOIN made ON made.number = kept.number
        WHERE kept.number >= ? AND made.digest IS NOT kept.digest ORDER BY kept.number
    """
    for number, who, made in facts.ask(query, least):
        what = "is not in the journal" if made is None else "is another than the journal's"
        message = f"checkpoint {number}, as {who} keeps it, {what}"
        report.faults.add(Fault(Wrong.BEHIND_WITNESS, message, "archivist", path))


def shipped(facts: Facts, heads: dict[str, Head]) -> None:
    """Note what the shipper sent last: the trace store has these hashes too."""
    facts.vouch(heads, "shipped", "the shipper")
