"""Does the trail still say what was written? Every stream, every seal and checkpoint, what witnesses keep, the bodies,
and Envoy's access log. Reads files only, in memory that does not grow with them."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from extproc.audit.checkpoint import Head
from extproc.audit.keys import PublicKeys
from extproc.audit.objects import ObjectStore
from extproc.audit.reader import streams as folders
from extproc.audit.store import Store
from extproc.audit.verify import bodies, gaps, witness
from extproc.audit.verify.acts import Acts
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Faults, Wrong
from extproc.audit.verify.report import Report, StreamReport, Upto
from extproc.audit.verify.requests import Requests
from extproc.audit.verify.sift import Sift
from extproc.audit.verify.streams import Linker, Stream, cores, plan, results
from extproc.audit.verify.witness import Kept, KeptInFile, KeptInStore

__all__ = [
    "Fault", "Faults", "Kept", "KeptInFile", "KeptInStore", "Report", "StreamReport", "Upto", "Wrong", "verify"
]  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Told what is being looked at ("journal", in bytes, or "bodies"), how much of it is done, and how much there is."""


def verify(
    state: Path,
    *,
    keys: PublicKeys | None,
    witnesses: Sequence[Kept] = (),
    heads: Sequence[tuple[str, int, str]] = (),
    since: str = "",
    store: ObjectStore | None = None,
    processes: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Look at all of a state folder. `keys` check seals and checkpoints; `witnesses` keep checkpoints, `heads` are
    records (stream, number, hash) that somebody noted; with `since` (RFC 3339) only what comes after the last signed
    head before that time is looked at; `store` is where bodies may have been moved to; `processes` is how many work at
    a time (default: one a core). Raises OSError, ObjectStoreError and sqlite3.Error for what can't be read; whatever is
    wrong with what can be is in the report."""
    with tempfile.TemporaryDirectory(prefix="holdpoint-verify-") as folder:
        facts = Facts(Path(folder) / "facts.db")
        try:
            return _Verification(state, keys, facts, since, progress).run(
                witnesses, heads, store, cores() if processes is None else processes
            )
        finally:
            facts.close()


class _Verification:
    def __init__(self, state: Path, keys: PublicKeys | None, facts: Facts, since: str, progress: Progress) -> None:
        self._state, self._keys, self._facts, self._since, self._progress = state, keys, facts, since, progress
        self._report = Report(keys=sorted(keys.ids) if keys is not None else [])

    def run(
        self,
        witnesses: Sequence[Kept],
        heads: Sequence[tuple[str, int, str]],
        store: ObjectStore | None,
        processes: int,
    ) -> Report:
        # What vouches comes before what it vouches for: in between, a gateway that runs writes more of the latter.
        state, facts, report = self._state, self._facts, self._report
        requests = Requests(state, facts, self._since)
        bodies.note_stored(state, facts)
        self._vouch(witnesses, heads)
        acts = Acts(state, facts, self._keys, report)
        acts.read()
        linker = Linker(facts, self._keys, report)
        streams = self._journal(linker, requests.earliest, processes)
        # Whatever was erased, retired or deleted meanwhile was announced meanwhile.
        acts.read()
        for stream in streams:
            linker.finish(stream)
        self._missing({stream.name for stream in streams})
        self._erased()
        witness.compare(facts, report, state / "journal" / "archivist")
        gaps.find(streams, facts, report, self._since)
        bodies.check(state, store, facts, report, lambda done, total: self._progress("bodies", done, total))
        requests.compare(report)
        self._notes(linker.unread_seals)
        return report

    def _vouch(self, witnesses: Sequence[Kept], heads: Sequence[tuple[str, int, str]]) -> None:
        for kept in witnesses:
            if self._keys is None:
                message = f"{kept.name}: no public key to check its checkpoints with"
                self._report.faults.add(Fault(Wrong.NO_KEY, message))
            else:
                witness.take_in(kept, self._keys, self._facts, self._report)
        for stream, seq, digest in heads:
            self._facts.vouch({stream: Head("", seq, digest, -1)}, "witnessed", "whoever noted it (--head)")
        path = self._state / "shipper.db"
        if path.exists():
            shipped = Store(path, readonly=True)
            try:
                sent: Mapping[str, Head] = {
                    c.stream: Head("", c.seq, c.hash, c.offset) for c in shipped.cursors().values() if c.seq >= 0
                }
            finally:
                shipped.close()
            self._facts.vouch(sent, "shipped", "the shipper, which sent it")

    def _journal(self, linker: Linker, asked_since: str, processes: int) -> list[Stream]:
        sift = Sift(seals=True, bodies=True, log=True, decisions=asked_since)
        streams = [plan(path, sift, self._since, self._facts) for path in folders(self._state)]
        total, done = sum(stream.bytes for stream in streams), 0

        def more(size: int) -> None:
            nonlocal done
            done += size
            self._progress("journal", done, max(total, done))

        for stream, result in results(streams, self._facts.path, processes, more):
            linker.take(stream, result)
        self._report.streams = [stream.report for stream in streams]
        return streams

    def _missing(self, there: set[str]) -> None:
        rows = list(self._facts.ask("SELECT stream, who, max(seq) FROM head GROUP BY stream"))
        for stream, who, seq in rows:
            if stream not in there:
                path = self._state / "journal" / stream
                message = f"record {seq}, which {who} vouches for, and the whole stream are gone"
                self._report.faults.add(Fault(Wrong.MISSING, message, stream, path, 0, seq))
                self._report.streams.append(StreamReport(stream))

    def _erased(self) -> None:
        query = """
            SELECT stream, seq, offset, file FROM erased e WHERE NOT EXISTS
                (SELECT 1 FROM announced a WHERE a.stream = e.stream AND a.first <= e.seq AND a.last >= e.seq)
            ORDER BY stream, seq
        """
        self._facts.db.execute("CREATE INDEX announced_stream ON announced (stream, first)")
        for stream, seq, offset, file in self._facts.ask(query):
            path = self._state / "journal" / stream / file
            message = "the record was erased, and no record announces it"
            self._report.faults.add(Fault(Wrong.ERASED_UNANNOUNCED, message, stream, path, offset, seq))

    def _notes(self, unread_seals: int) -> None:
        report, skipped = self._report, [s for s in self._report.streams if s.skipped]
        if self._keys is None and (unread_seals or report.checkpoints):
            message = f"{unread_seals} seals and {report.checkpoints} checkpoints, and no public key to check them with"
            report.faults.add(Fault(Wrong.NO_KEY, message))
        elif not report.checkpoints:
            report.notes.append("no checkpoint in the journal: only seals sign it, and nobody else can vouch for it")
        for stream in skipped:
            report.notes.append(f"{stream.stream}: its first {stream.skipped} bytes were not looked at (--since)")
        if self._since:
            report.notes.append("bodies that no record names were not looked for: older records may name them")
        else:
            bodies.note_unnamed(self._state, self._facts, report)
