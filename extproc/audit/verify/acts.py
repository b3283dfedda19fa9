"""What was announced and vouched for: the checkpoints, erasures, retirements and deletions that are in the journal."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from extproc.audit import acts
from extproc.audit.checkpoint import FIRST, STREAM, BadCheckpoint, Checkpoint, check, digest_of, read
from extproc.audit.keys import BadSignature, PublicKeys
from extproc.audit.reader import JournalFault, origin, streams
from extproc.audit.segments import Folder
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report
from extproc.audit.verify.segment import Result, Task
from extproc.audit.verify.segment import check as check_segment
from extproc.audit.verify.sift import Row, Sift

STREAMS = (STREAM, "operator")
"""The streams that such acts are written to."""


class Acts:
    """Reads them, and goes on where it stopped when asked again. Faults of frames and chains are not told here: those
    streams are checked as all others are."""

    def __init__(self, state: Path, facts: Facts, keys: PublicKeys | None, report: Report) -> None:
        self._state, self._facts, self._keys, self._report = state, facts, keys, report
        self._ends: dict[str, int] = {}
        self._origins: dict[str, str | None] = {}
        self._last: Checkpoint | None = None

    def read(self) -> None:
        """Take in what was written since the last time."""
        for stream in STREAMS:
            for result in self._results(stream):
                plain: list[Row] = []
                for row in result.rows:
                    if row[0] == "checkpoint":
                        self._checkpoint(result.task, *row[1:])
                    elif row[0] == "act":
                        plain += self._act(result.task, *row[1:])
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

    def _act(
        self, task: Task, stream: str, seq: int, offset: int, kind: str, body: dict[str, Any], rows: tuple[Row, ...]
    ) -> tuple[Row, ...]:
        """What an announcement excuses: nothing where somebody else wrote it."""
        if self._keys is not None:
            try:
                acts.check(kind, body, self._keys)
            except BadSignature as error:
                message = f"a record of kind {kind} that excuses nothing: {error}"
                fault = Fault(Wrong.BAD_ANNOUNCEMENT, message, stream, task.path, offset - task.base, seq)
                self._report.faults.add(fault)
                return ()
        if kind == "erased" and body.get("id") != self._origin(str(body.get("stream"))):
            # Of a stream that was here before; that it is another one now is told elsewhere.
            return ()
        return rows

    def _origin(self, stream: str) -> str | None:
        """The id of the stream that has this name now."""
        if stream not in self._origins:
            path = self._state / "journal" / stream
            with suppress(JournalFault):
                found = origin(path) if path in streams(self._state) else None
                self._origins[stream] = found.id if found is not None else None
        return self._origins.get(stream)

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
