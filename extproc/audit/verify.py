"""Does every stream still say what was written? Frames, sequence, chain, and what the trace store was told."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extproc.audit.frame import FORMAT, ZERO, Fault, Record
from extproc.audit.reader import JournalFault, journals, records

RETRIES = 3
"""How often a torn end is looked at again: a live writer finishes its frame in microseconds."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A record that somebody outside the file vouches for: the shipper sent it, or a person noted it."""

    stream: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one stream. `fault` is None where all is well; `offset`, `seq` and `message` say where and
    what the first fault is. `head` is the hash of the last good record: note it elsewhere to have a witness."""

    stream: str
    path: Path
    records: int
    bytes: int
    head: str | None
    fault: Fault | None = None
    offset: int | None = None
    seq: int | None = None
    message: str | None = None


def verify(
    state: Path,
    witnesses: tuple[Witness, ...] = (),
    progress: Callable[[str, int, int], None] = lambda stream, done, size: None,
) -> list[Verdict]:
    """Check all streams of a state directory, and that each witness's record is there. `progress` is told stream,
    bytes done and bytes in all. Never raises for what a file holds."""
    paths = {path.stem: path for path in journals(state)}
    verdicts = [verify_file(path, tuple(w for w in witnesses if w.stream == s), progress) for s, path in paths.items()]
    for witness in witnesses:
        if witness.stream not in paths:
            paths[witness.stream] = state / "journal" / f"{witness.stream}.journal"
            verdicts.append(
                Verdict(
                    witness.stream, paths[witness.stream], 0, 0, None, Fault.MISSING, 0, 0,
                    f"record {witness.seq} was vouched for; the file is gone",
                )
            )  # fmt: skip
    return verdicts


def verify_file(
    path: Path,
    witnesses: tuple[Witness, ...] = (),
    progress: Callable[[str, int, int], None] = lambda stream, done, size: None,
    wait: Callable[[], None] = lambda: time.sleep(0.05),
) -> Verdict:
    """Check one file from its first byte to its last. `wait` gives a live writer time to finish its last frame."""
    stream, due = path.stem, {w.seq: w.hash for w in witnesses}
    count, offset, prev, size = 0, 0, ZERO, 0

    def faulty(fault: Fault, message: str) -> Verdict:
        return Verdict(stream, path, count, offset, prev if count else None, fault, offset, count, message)

    for attempt in range(RETRIES + 1):
        try:
            size = path.stat().st_size
            for record in records(path, offset):
                problem = _link(record, stream, count, prev)
                if problem is not None:
                    return faulty(*problem)
                if due.pop(record.seq, record.hash) != record.hash:
                    return faulty(Fault.BEHIND_WITNESS, "not the record that was vouched for")
                count, offset, prev = count + 1, record.end, record.hash
                if count % 10_000 == 0:
                    progress(stream, offset, size)
        except JournalFault as error:
            return faulty(error.fault, error.detail)
        except OSError as error:
            return faulty(Fault.UNREADABLE, error.strerror or "can't be read")
        if offset >= size:
            break
        if attempt < RETRIES:
            wait()
    progress(stream, offset, max(size, offset))
    if offset < size:
        rest = f"{size - offset} bytes after the last whole record"
        return faulty(Fault.TORN, f"{rest}; after a crash, the writer cuts them when it starts")
    if count == 0:
        return faulty(Fault.EMPTY, "no record at all, not even the first")
    if due:
        return faulty(Fault.BEHIND_WITNESS, f"ends before record {max(due)}, which was vouched for")
    return Verdict(stream, path, count, offset, prev)


def _link(record: Record, stream: str, count: int, prev: str) -> tuple[Fault, str] | None:
    """Why this record is not the next of its chain, or None."""
    if record.stream != stream:
        return Fault.BAD_STREAM, f"a record of stream {record.stream!r}"
    if record.seq != count:
        return Fault.BAD_SEQ, f"record number {record.seq}, expected {count}"
    if record.prev != prev:
        return Fault.BAD_CHAIN, "it does not name the hash of the record before it"
    if (count == 0) != (record.kind == "genesis"):
        return Fault.BAD_GENESIS, "the first record, and only the first, is the genesis"
    body = record.body
    if count == 0 and (body.get("stream") != stream or body.get("format") != FORMAT or not body.get("id")):
        return Fault.BAD_GENESIS, f"the genesis is not one of stream {stream!r} in format {FORMAT}"
    return None
