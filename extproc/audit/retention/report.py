"""What retention keeps, and what would go next: numbers and times, of one state of the index. Nothing is deleted."""

from dataclasses import dataclass
from pathlib import Path

from extproc.audit.retention.rules import Rules, rfc3339
from extproc.audit.retention.store import RetentionStore
from extproc.audit.retention.uses import IndexBehind, Uses, ends
from extproc.domain.json import JSON


@dataclass(frozen=True, slots=True)
class Line:
    """One target ("" for what has none): how many of something there are, how many of them are over their time, and
    when the oldest is over it (RFC 3339), or None where there is none."""

    target: str
    seconds: float
    count: int
    over: int
    next: str | None

    def document(self) -> dict[str, JSON]:
        """As people are shown it."""
        return {
            "target": self.target,
            "keep_seconds": self.seconds,
            "count": self.count,
            "over": self.over,
            "next": self.next,
        }


def report(state: Path, store: RetentionStore, rules: Rules, now: float) -> dict[str, JSON]:
    """`actions` and `bodies` by target, how many legal holds there are and how many purges are under way; `behind` says
    why the numbers are not all of it, if so. Raises IndexBehind without an index, JournalFault, OSError and
    sqlite3.Error."""
    rules = Rules(rules.general, store.targets(rules.targets))
    behind = None
    try:
        with Uses(state).reading(ends(state)):
            pass
    except IndexBehind as error:
        behind = str(error)
    with Uses(state).reading({}) as index:
        names = sorted({*rules.targets, *index.targets()})
        actions = [_line(n, k := rules.of(n).records, now, index.actions(n, now - k)) for n in names]
        bodies = [_line(n, k := rules.of(n).bodies, now, index.kept(n, now - k)) for n in names]
    _, holds = store.holds()
    return {
        "actions": [line.document() for line in actions],
        "bodies": [line.document() for line in bodies],
        "legal_holds": len(holds),
        "purges": len(store.purges(open_only=True)),
        "behind": behind,
    }


def _line(target: str, seconds: float, now: float, counted: tuple[int, int, float | None]) -> Line:
    count, over, oldest = counted
    return Line(target, seconds, count, over, None if oldest is None else rfc3339(max(oldest + seconds, now)))
