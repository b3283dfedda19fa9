"""What a segment that is complete holds, as far as retention cares: records by their targets, and how old they are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from extproc.audit.frame import Erased, Record
from extproc.audit.index.rows import session_key
from extproc.audit.placement import principal_key
from extproc.audit.reader import follow
from extproc.audit.retention.rules import LegalHold, Rules, Subject
from extproc.audit.segments import Folder

STRUCTURE = frozenset({"genesis", "segment", "seal", "journal-opened", "journal-repaired"})
"""Kinds that say how the stream is made; they go with their segment and don't keep it."""

ANNOUNCING = frozenset({"erased", "retired", "body-deleted", "legal-hold"})
"""Kinds that others depend on: they are never erased, and said again before their segment goes."""

LASTING = STRUCTURE | ANNOUNCING | {"checkpoint", "purge"}
"""Kinds that are not erased. Nothing in them is a client's."""


@dataclass(slots=True)
class Summary:
    """`targets` has, of each target ("" for none), when the newest record was (RFC 3339) that is not erased; `held` are
    those of which legal holds kept some. `lasting` is when the newest record was that can't be erased and keeps the
    segment. `seq` and `hash` are of the last record, `start` and `until` the times of first and last, `records` their
    number."""

    targets: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    lasting: str = ""
    seq: int = -1
    hash: str = ""
    start: str = ""
    until: str = ""
    records: int = 0

    def document(self) -> dict[str, Any]:
        """To be noted."""
        return {name: getattr(self, name) for name in self.__slots__}

    def over(self, rules: Rules, before: Callable[[float], str]) -> set[str]:
        """The targets whose records may all go. `before(seconds)` is the time that many seconds ago."""
        return {target for target, at in self.targets.items() if at < before(rules.of(target).records)}

    def may_go(self, rules: Rules, before: Callable[[float], str]) -> bool:
        """Whether the whole segment may."""
        return len(self.over(rules, before)) == len(self.targets) and self.lasting < before(rules.general.records)


def summarize(folder: Folder, base: int, end: int) -> Summary:
    """Look at the segment from byte `base` to `end`. Raises JournalFault."""
    found = Summary()
    for entry in follow(folder, base, end):
        found.seq, found.hash = entry.seq, entry.hash
        found.records += 1
        if isinstance(entry, Erased):
            continue
        found.start, found.until = found.start or entry.at, entry.at
        if entry.kind in STRUCTURE:
            continue
        if entry.kind in LASTING:
            found.lasting = max(found.lasting, entry.at)
        else:
            name = target_of(entry)
            found.targets[name] = max(found.targets.get(name, ""), entry.at)
    return found


def erasable(folder: Folder, base: int, end: int, targets: Iterable[str]) -> Iterator[Record]:
    """The records of a segment that belong to some targets and can be erased. Raises JournalFault."""
    wanted = frozenset(targets)
    for entry in follow(folder, base, end):
        if isinstance(entry, Record) and entry.kind not in LASTING and target_of(entry) in wanted:
            yield entry


def announced(folder: Folder, base: int, end: int) -> Iterator[Record]:
    """The records of a segment that others depend on. Raises JournalFault."""
    return (e for e in follow(folder, base, end) if isinstance(e, Record) and e.kind in ANNOUNCING)


def target_of(record: Record) -> str:
    """The name of the target that a record belongs to, "" for none: what administrators did to one belongs to none."""
    target = record.body.get("target")
    name = target.get("name") if isinstance(target, dict) else None
    return name if isinstance(name, str) else ""


def keeper(holds: Iterable[LegalHold], about: Callable[[str], Subject | None]) -> Callable[[Record], bool]:
    """Whether a legal hold keeps a record. `about` says what is known of a decision, for records that name only
    that; one of which nothing is known is kept by any hold."""
    placed = [hold.selects for hold in holds]
    known: dict[str, Subject | None] = {}

    def kept(record: Record) -> bool:
        subject = Subject(target_of(record), principal_key(record.body), session_key(record.body), record.at)
        decision = record.body.get("decision")
        if not subject.principal and isinstance(decision, str):
            if decision not in known:
                known[decision] = about(decision)
            found = known[decision]
            return found is None or any(selects.fits(found) for selects in placed)
        return any(selects.fits(subject) for selects in placed)

    return kept if placed else lambda record: False
