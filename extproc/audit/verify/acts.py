"""What was announced and vouched for: the checkpoints, erasures, retirements and deletions that are in the journal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from extproc.audit.checkpoint import FIRST, STREAM, BadCheckpoint, Checkpoint, check, digest_of, read
from extproc.audit.keys import PublicKeys
from extproc.audit.segments import Folder
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report
from extproc.audit.verify.segment import Result, Task
from extproc.audit.verify.segment import check as check_segment
from extproc.audit.verify.sift import Sift

STREAMS = (STREAM, "operator")
"""The streams that such acts are written to."""


class Acts:
    """Reads them, and goes on where it stopped when asked again. Faults of frames and chains are not told here: those
    streams are checked as all others are."""

    def __init__(self, state: Path, facts: Facts, keys: PublicKeys | None, report: Report) -> None:
        self._state, self._facts, self._keys, self._report = state, facts, keys, report
        self._ends: dict[str, int] = {}
        self._last: Checkpoint | None = None

    def read(self) -> None:
        """Take in what was written since the last time."""
        for stream in STREAMS:
            for result in self._results(stream):
                plain = []
                for row in result.rows:
                    if row[0] == "checkpoint":
                        self._checkpoint(result.task, *row[1:])
                    elif row[0] != "erased":
                        plain.append(row)
                self._facts.add(plain)

    def _results(self, stream: str) -> Iterator[Result]:
        path = self._state / "journal" / stream
        try:
            with Folder(path) as folder:
                bases = folder.bases()
        except FileNotFoundError:
            return
        end = self._ends.get(stream, 0)
        for base, following in zip(bases, [*bases[1:], None], strict=False):
            if following is None or following > end:
                with Folder(path) as folder:
                    task = Task(folder.file(base), stream, base, max(base, end), Sift(acts=True))
                try:
                    result = check_segment(task)
                except FileNotFoundError:
                    continue
                end = self._ends[stream] = max(end, result.end)
                yield result

    def _checkpoint(self, task: Task, stream: str, seq: int, offset: int, at: str, document: dict[str, Any]) -> None:
        """One checkpoint of the journal: signed, and the next of its chain."""
        report, last = self._report, self._last
        # A document that is too long for a record says so by a member of its own; then its signature does not hold.
        document.pop("shortened", None)

        def wrong(message: str) -> None:
            report.faults.add(Fault(Wrong.BAD_CHECKPOINT, message, stream, task.path, offset - task.base, seq))

        if stream != STREAM:
            return wrong(f"a checkpoint outside of stream {STREAM}")
        try:
            found = read(document) if self._keys is None else check(document, self._keys)
        except BadCheckpoint as error:
            return wrong(str(error))
        if last is not None and (found.number, found.previous) != (last.number + 1, last.digest):
            wrong(f"checkpoint {found.number} comes after checkpoint {last.number} and does not follow from it")
        elif last is None and task.base == 0 and (found.number, found.previous) != (0, FIRST):
            wrong(f"checkpoint {found.number} is the first one there is")
        self._last = found
        report.checkpoints += 1
        self._facts.add([("made", found.number, digest_of(document), found.at, found.every)])
        if self._keys is not None:
            who = f"checkpoint {found.number} (key {found.key})"
            self._facts.vouch(found.streams, "signed", who, found.at)
        return None
