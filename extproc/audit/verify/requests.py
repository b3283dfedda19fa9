"""Envoy's access log against the journal: each request that Envoy saw has its decision there, or its refusal; and each
connection that it handed over."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import orjson

from extproc.audit.accesslog import LONGEST_LINE
from extproc.audit.codes import HANDED_OVER, judge
from extproc.audit.crowd import kind_of
from extproc.audit.store import LogPosition, Store
from extproc.audit.verify import connections
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report
from extproc.audit.verify.sift import Row

_BATCH = 5000


class Requests:
    """The lines that are there now; their decisions are older than they. Raises OSError and sqlite3.Error."""

    def __init__(self, state: Path, facts: Facts, since: str) -> None:
        self._facts, self._since = facts, since
        self._files = _rotation(state / "envoy" / "access.log")
        self._position = _position(state / "shipper.db")
        self.count = self.behind = self.forgotten = 0
        self.earliest = ""
        self._begun = datetime.now(UTC)
        behind = self._position is None or self._position.file not in map(_identity, self._files)
        for path in self._files:
            behind = self._take(path, behind)

    def compare(self, report: Report) -> None:
        """Name each line that has nothing in the journal. Once the journal is read."""
        facts = self._facts
        facts.db.execute("CREATE INDEX decision_id ON decision (id)")
        # What was asked before the newest record that is erased or retired may have been decided by one of those.
        gone = (facts.one("SELECT max(at) FROM gone") or ("",))[0] or ""
        query = """
            SELECT id, path, line, offset, at FROM asked WHERE NOT EXISTS
                (SELECT 1 FROM decision WHERE decision.id = asked.id)
        """
        for decision, path, line, offset, at in facts.ask(query):
            if at <= gone:
                self.forgotten += 1
                continue
            message = f"line {line}: a request with decision {decision!r}, which is not in the journal"
            report.faults.add(Fault(Wrong.REQUEST_UNDECIDED, message, "", Path(path), offset))
        facts.db.execute("CREATE INDEX told_file ON told (file, kind, first)")
        query = """
            SELECT path, line, offset FROM refused r WHERE NOT EXISTS
                (SELECT 1 FROM told t WHERE t.file = r.file AND t.kind = '' AND t.first = r.offset)
            AND NOT (r.kind <> '' AND EXISTS (SELECT 1 FROM told t WHERE t.file = r.file AND t.kind IN (r.kind, r.rest)
                AND t.first <= r.offset AND t.last >= r.offset))
        """
        for path, line, offset in facts.ask(query):
            message = f"line {line}: a request without decision, which is not in stream gateway"
            report.faults.add(Fault(Wrong.REQUEST_UNRECORDED, message, "", Path(path), offset))
        connections.compare(facts, report, gone, self._begun)
        report.requests = self.count
        if self.forgotten:
            report.notes.append(f"{self.forgotten} requests are older than records that were erased: not compared")
        if self._position is None and self._files:
            report.notes.append("shipper.db says nothing of the access log: lines without decision were not compared")
        elif self.behind:
            report.notes.append(f"{self.behind} lines of the access log are newer than what the shipper has read of it")

    def _take(self, path: Path, behind: bool) -> bool:
        """One file's lines; `behind` and what is given back: whether the shipper has not come so far."""
        rows: list[Row] = []
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            name = _identity(path)
            ours = self._position is not None and self._position.file == name
            number = offset = 0
            while offset < size:
                data = last = file.readline(LONGEST_LINE)
                while last and not last.endswith(b"\n"):
                    last = file.readline(LONGEST_LINE)
                if not last:
                    break
                number += 1
                if ours and self._position is not None and offset >= self._position.offset:
                    behind = True
                rows += self._rows(data, behind, (str(path), number, offset), name)
                offset = file.tell()
                if len(rows) >= _BATCH:
                    self._facts.add(rows)
                    rows.clear()
        self._facts.add(rows)
        return behind or ours

    def _rows(self, line: bytes, behind: bool, place: tuple[str, int, int], file: str) -> Iterator[Row]:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        entry = entry if isinstance(entry, dict) else {}
        time = entry.get("time")
        if isinstance(time, str):
            if time < self._since:
                return
            self.earliest = min(self.earliest or time, time)
        self.count += 1
        decision = entry.get("decision")
        if isinstance(decision, str) and decision not in ("", "-"):
            yield ("asked", decision, time if isinstance(time, str) else "", *place)
        found = judge(line)
        if found is None:
            if isinstance(via := entry.get("via"), str) and via in HANDED_OVER:
                yield connections.row(entry, place)
            return
        if behind:
            self.behind += 1
            return
        kind = kind_of(found.kind, found.body)
        rest = "" if kind is None else "\n".join((kind[0], "", ""))
        yield ("refused", file, place[2], "\n".join(kind) if kind else "", rest, place[0], place[1])


def _rotation(log: Path) -> list[Path]:
    """The log and its rotated files, in the order in which they were written."""
    found = [path for path in log.parent.glob(log.name + "*") if path.is_file() and path.stat().st_size]
    return sorted(found, key=lambda path: (path == log, path.stat().st_mtime_ns))


def _identity(path: Path) -> str:
    """What the gateway stream knows a file by."""
    with path.open("rb") as file:
        first = file.readline(LONGEST_LINE)
        return f"{os.fstat(file.fileno()).st_ino}-{sha256(first).hexdigest()[:16]}"


def _position(path: Path) -> LogPosition | None:
    if not path.exists():
        return None
    store = Store(path, readonly=True)
    try:
        return store.log_position()
    finally:
        store.close()
