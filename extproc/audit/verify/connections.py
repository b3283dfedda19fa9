"""Connections that Envoy handed over to a worker whole: for each there is a record, of what was decided on it or that
nobody was let in; and of strangers who were counted together no more than were counted."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from extproc.audit.codes import HANDED_OVER
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report
from extproc.audit.verify.sift import Row

_FLUSHED = timedelta(seconds=5)
"""How long it may take until those that were counted are written."""

_RESTARTED = timedelta(seconds=60)
"""How long it may take until a worker that died is back, which says so in its stream."""

_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


def row(entry: dict[str, Any], place: tuple[str, int, int]) -> Row:
    """The row of a line of the access log."""
    began = entry.get("time") if isinstance(entry.get("time"), str) else ""
    worker = HANDED_OVER[entry["via"]].fullmatch(str(entry.get("upstream_host")))
    passed = sum(size for name in ("bytes_in", "bytes_out") if isinstance(size := entry.get(name), int))
    ended = _later(str(began), timedelta(milliseconds=_number(entry.get("duration_ms"))))
    return ("handed", str(entry.get("request_id")), began, ended, worker[1] if worker else "", passed, *place)


def compare(facts: Facts, report: Report, gone: str, begun: datetime) -> None:
    """Name the connections that are told of nowhere. What is as old as `gone` may have been told by a record that was
    erased; what ended just before verification had `begun` is still to be written. Of a worker that was killed nobody
    knows whom it was about to turn away."""
    counted = int((facts.one("SELECT total(more) FROM counted") or (0,))[0])
    since = (begun - _FLUSHED).strftime(_FORM)
    query = """
        SELECT at, ended, worker, path, line, offset FROM handed h WHERE at > ? AND ended < ?
        AND NOT EXISTS (SELECT 1 FROM joined WHERE joined.request = h.request)
        ORDER BY bytes
    """
    missing = [
        (path, line, offset)
        for at, ended, worker, path, line, offset in facts.ask(query, gone, since)
        if not _died(facts, worker, at, ended)
    ]
    # Strangers are those on whose connections least passed.
    for path, line, offset in missing[counted:]:
        message = f"line {line}: a connection that a worker took, of which the journal does not tell"
        report.faults.add(Fault(Wrong.CONNECTION_UNRECORDED, message, "", Path(path), offset))


def _died(facts: Facts, worker: str, at: str, ended: str) -> bool:
    query = "SELECT 1 FROM opened WHERE stream = ? AND at >= ? AND at <= ? LIMIT 1"
    return facts.one(query, worker, at, _later(ended, _RESTARTED)) is not None


def _later(at: str, by: timedelta) -> str:
    try:
        return (datetime.fromisoformat(at) + by).strftime(_FORM)
    except (ValueError, OverflowError):
        return at


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0
