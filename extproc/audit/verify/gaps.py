"""Times in which records were written and no checkpoint was made: whoever stops the archivist buys time to rewrite."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from extproc.audit.checkpoint import STREAM
from extproc.audit.frame import FrameError
from extproc.audit.segments import Folder
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report
from extproc.audit.verify.streams import Stream

SLACK_SECONDS = 60.0
"""Beyond two periods: for a process that starts anew, and a machine that is busy."""
_NEVER = "9999"


def find(streams: list[Stream], facts: Facts, report: Report, since: str) -> None:
    """A fault for each stream and gap. Where all of the gateway stood still there is none: nothing was written."""
    for number, after, until, limit in _windows(facts, since):
        for stream in streams:
            if stream.name != STREAM:
                _look(stream, facts, report, (number, after, until, limit))


def _windows(facts: Facts, since: str) -> Iterator[tuple[int, str, str, float]]:
    """Checkpoints that had none after them for too long: number, time, until when another was owed, seconds. That is
    up to the next one, or to the start of the archivist that made it; what comes after is that start's doing."""
    query = """
        SELECT number, at, every, lead(at) OVER (ORDER BY number), (
            SELECT min(opened.at) FROM opened WHERE opened.stream = ? AND opened.at > made.at
        ) FROM made WHERE at >= ? ORDER BY number
    """
    for number, at, every, following, opened in list(facts.ask(query, STREAM, since)):
        limit = 2 * every + SLACK_SECONDS
        until = min(following or _NEVER, opened or _NEVER)
        if until == _NEVER or until > _later(at, limit):
            yield number, at, until, limit


def _look(stream: Stream, facts: Facts, report: Report, window: tuple[int, str, str, float]) -> None:
    number, after, until, limit = window
    query = "SELECT offset, seq FROM head WHERE stream = ? AND how = 'signed' AND at <= ? ORDER BY seq DESC LIMIT 1"
    head = facts.one(query, stream.name, after)
    offset, seq = head if head is not None else (0, -1)
    first = last = ""
    try:
        with Folder(stream.path) as folder:
            for at, payload in folder.frames(offset):
                seq += 1
                time = payload[7:34].decode("ascii", "replace") if payload.startswith(b'{"at":"') else ""
                if not time or time <= after:
                    continue
                if not first:
                    first, last = time, _later(time, limit)
                if time >= until:
                    return
                if time > last:
                    message = (
                        f"written {limit:.0f} seconds after a record that no checkpoint had named yet (the last was "
                        f"checkpoint {number} at {after}, then none until {until if until != _NEVER else 'now'})"
                    )
                    base = max(base for base in folder.bases() if base <= at)
                    report.faults.add(
                        Fault(Wrong.CHECKPOINT_GAP, message, stream.name, folder.file(base), at - base, seq)
                    )
                    return
    except (FrameError, OSError, ValueError, OverflowError):
        # Whatever is wrong with the stream itself is told by its own check.
        return


def _later(at: str, seconds: float) -> str:
    return (datetime.fromisoformat(at) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
