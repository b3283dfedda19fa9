"""What a segment says that is still needed without it, and so is said again before it goes."""

from collections.abc import Callable, Iterator
from pathlib import Path

from extproc.audit.reader import follow, streams
from extproc.audit.retention.rules import LegalHold
from extproc.audit.retention.segments import announced
from extproc.audit.segments import Folder
from extproc.domain.json import Document

Said = tuple[str, Document]
"""A record's kind and body."""


class Left:
    """What is left of every stream once one is cut at byte `end`: where each begins, and its first record's number;
    `oldest` is the time of the first of all. Raises OSError and JournalFault."""

    def __init__(self, state: Path, stream: str, end: int) -> None:
        self.first: dict[str, tuple[int, int]] = {}
        self.oldest = ""
        for path in streams(state):
            with Folder(path) as folder:
                entry = next(follow(folder, end if path.name == stream else 0), None)
            if entry is not None:
                self.first[path.name] = (entry.offset, entry.seq)
                # A segment begins with a record that is never erased.
                at = getattr(entry, "at", "")
                self.oldest = min(self.oldest or at, at)


def needed(
    folder: Folder, base: int, end: int, left: Left, holds: list[LegalHold], exists: Callable[[str], bool]
) -> Iterator[Said]:
    """The records to say again, as they were signed, of the segment from byte `base` to `end`. `exists` says whether a
    body is there: one that was deleted and recorded anew is not missing. Raises JournalFault and whatever `exists`
    raises."""
    placed, seen = {hold.id for hold in holds}, set[tuple[object, object]]()
    for record in announced(folder, base, end):
        body, stream = record.body, record.body.get("stream")
        begins, seq = left.first.get(str(stream), (None, 0))
        match record.kind:
            case "erased" if begins is not None:
                if any(isinstance(r, list) and r[-1] >= seq for r in _list(body.get("ranges"))):
                    yield record.kind, body
            case "retired" if begins is not None and stream != folder.path.name and body.get("base", 0) >= begins:
                if (stream, body.get("base")) not in seen:
                    seen.add((stream, body.get("base")))
                    yield record.kind, body
            case "body-deleted" if str(body.get("at")) >= left.oldest:
                if any(isinstance(a, str) and not exists(a) for a in _list(body.get("addresses"))):
                    yield record.kind, body
            case "legal-hold" if body.get("id") in placed or (
                body.get("what") == "lifted" and str(body.get("at")) >= left.oldest
            ):
                yield record.kind, body


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
