"""Streams: which segments there are, in parallel over cores, and whether each goes on from the one before."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from extproc.audit.frame import FrameError, Record, decode, seal_text
from extproc.audit.keys import BadSignature, PublicKeys
from extproc.audit.reader import origin_of
from extproc.audit.segments import Folder
from extproc.audit.verify.facts import Facts, vouched
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report, StreamReport, Upto
from extproc.audit.verify.segment import Result, Task, check
from extproc.audit.verify.sift import Row, Sift

WORTH_PROCESSES = 128 << 20
"""Bytes; less is done before other processes have started."""
Progress = Callable[[int], None]


@dataclass(slots=True)
class Stream:
    """One stream's segments, to be looked at in order. `origin` is the id in its first record that is there."""

    path: Path
    origin: str
    tasks: list[Task]
    bytes: int
    report: StreamReport
    last: Result | None = None
    begins: Result | None = None

    @property
    def name(self) -> str:
        """Of the stream."""
        return self.path.name


def plan(path: Path, sift: Sift, since: str, facts: Facts) -> Stream:
    """What there is to look at in one stream: all of it, or what comes after the last head that was signed before
    `since`, or after the last segment that begins before it. Raises OSError."""
    with Folder(path) as folder:
        bases = folder.bases()
        files = {base: folder.file(base) for base in bases}
        origin = _origin(folder)
        end = folder.end()
    begin, seq, prev = (bases[0] if bases else 0), None, None
    if since:
        query = """
            SELECT offset, seq, hash FROM head WHERE stream = ? AND id = ? AND how = 'signed' AND at < ? AND offset <= ?
            ORDER BY seq DESC LIMIT 1
        """
        found = facts.one(query, path.name, origin, since, end)
        if found is not None and found[0] >= begin:
            begin, seq, prev = found[0], found[1] + 1, found[2]
        else:
            begin = max((base for base in bases if _begins(files[base]) < since), default=begin)
    tasks = [
        Task(files[base], path.name, base, max(base, begin), sift, thorough=following is None)
        for base, following in zip(bases, [*bases[1:], None], strict=False)
        if following is None or following > begin
    ]
    if tasks and seq is not None:
        tasks[0] = replace(tasks[0], seq=seq, prev=prev)
    report = StreamReport(path.name, segments=len(tasks), skipped=begin - bases[0] if bases else 0)
    return Stream(path, origin, tasks, max(0, end - begin), report)


def _origin(folder: Folder) -> str:
    try:
        first = next((decode(payload, at) for at, payload in folder.frames()), None)
    except FrameError:
        return ""
    known = origin_of(first) if isinstance(first, Record) else None
    return known.id if known is not None else ""


def _begins(path: Path) -> str:
    """When the first record of a segment was written; late where that can't be read."""
    with path.open("rb") as file:
        found = file.read(64)[8:]
    return found[7:34].decode("ascii", "replace") if found.startswith(b'{"at":"') else "~"


def results(streams: list[Stream], facts: Path, processes: int, progress: Progress) -> Iterator[tuple[Stream, Result]]:
    """Each segment's result, those of a stream in order. At most a few are waited for, so that memory stays small."""
    work = [(stream, task) for stream in streams for task in stream.tasks]
    if processes < 2 or len(work) < 2 or sum(stream.bytes for stream in streams) < WORTH_PROCESSES:
        for stream, task in work:
            result = _one(task, facts, stream.origin, progress)
            if result is not None:
                yield stream, result
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_quiet) as pool:
        waiting: deque[tuple[Stream, Task, Future[Result | None]]] = deque()
        try:
            for stream, task in work:
                waiting.append((stream, task, pool.submit(_one, task, facts, stream.origin, _nobody)))
                if len(waiting) > 2 * processes:
                    yield from _finished(*waiting.popleft(), progress)
            while waiting:
                yield from _finished(*waiting.popleft(), progress)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finished(
    stream: Stream, task: Task, future: "Future[Result | None]", progress: Progress
) -> Iterator[tuple[Stream, Result]]:
    result = future.result()
    if result is not None:
        progress(result.end - task.start)
        yield stream, result


def _one(task: Task, facts: Path, origin: str, progress: Progress) -> Result | None:
    try:
        return check(task, partial(vouched, facts, task.stream, origin), progress)
    except FileNotFoundError:
        # Retired since its name was read; whether it was to be is seen from what comes first now.
        return None


def _nobody(done: int) -> None:
    """Progress that nobody looks at."""


def _quiet() -> None:
    """Whoever interrupts is answered by the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Linker:
    """Takes the segments' results and holds each against the one before."""

    def __init__(self, facts: Facts, keys: PublicKeys | None, report: Report) -> None:
        self._facts, self._keys, self._report = facts, keys, report
        self.unread_seals = 0

    def take(self, stream: Stream, result: Result) -> None:
        """One more segment."""
        told, last = stream.report, stream.last
        for fault in result.faults:
            self._report.faults.add(fault)
        if result.more_faults:
            message = f"{result.more_faults} more faults in this segment"
            self._report.faults.add(replace(result.faults[-1], message=message), result.more_faults)
        if result.records or result.faults or last is None:
            if last is None:
                stream.begins = result
            else:
                self._link(stream, last, result)
        told.records += result.records
        told.bytes += result.end - result.task.start
        erased = sum(row[0] == "erased" for row in result.rows)
        told.erased += erased
        self._facts.add(row for row in result.rows if row[0] != "seal")
        if erased:
            self._facts.add([("gone", result.at)])
        for row in result.rows:
            if row[0] == "seal":
                self._seal(stream, result, row)
        for how, upto in result.vouched.items():
            self._vouched(told, how, Upto(*upto))
        if result.records:
            told.seq, told.at, told.head = result.seq, result.at or told.at, result.head
            stream.last = result
        elif last is not None:
            stream.last = replace(last, end=max(last.end, result.end))

    def finish(self, stream: Stream) -> None:
        """What can be said once the last segment is known."""
        told, path = stream.report, stream.path
        if not told.records and not self._report.faults.of(stream.name) and not told.skipped:
            self._add(Wrong.EMPTY, "no record at all, not even the first", stream.name, path)
        query = (
            "SELECT seq, who, count(*) OVER () FROM head WHERE stream = ? AND seq > ? AND id IN ('', ?) ORDER BY seq"
        )
        gone = self._facts.one(query, stream.name, told.seq, stream.origin)
        if gone is not None and told.records:
            seq, who, count = gone
            more = f" (and {count - 1} more heads after it)" if count > 1 else ""
            message = f"ends at record {told.seq}; record {seq}, which {who} vouches for, is gone{more}"
            last = stream.last
            at = (last.task.path, last.end - last.task.base) if last is not None else (path, 0)
            self._report.faults.add(Fault(Wrong.BEHIND_WITNESS, message, stream.name, *at, told.seq))
        query = "SELECT who FROM head WHERE stream = ? AND id NOT IN ('', ?) ORDER BY seq LIMIT 1"
        other = self._facts.one(query, stream.name, stream.origin) if stream.origin else None
        if other is not None:
            message = f"another journal stands in place of the one that {other[0]} vouches for"
            self._add(Wrong.BAD_GENESIS, message, stream.name, path)
        begins = stream.begins
        if begins is not None and begins.task.base > 0 and not told.skipped:
            self._began(stream, begins)

    def _began(self, stream: Stream, begins: Result) -> None:
        query = "SELECT 1 FROM retired WHERE stream = ? AND base = ? AND seq = ? AND head = ?"
        base = begins.task.base
        if self._facts.one(query, stream.name, base, begins.first, begins.prev) is None:
            message = f"the stream begins at byte {base}, record {begins.first}: what was before is gone unannounced"
            self._add(Wrong.MISSING_SEGMENT, message, stream.name, begins.task.path, begins.first)

    def _link(self, stream: Stream, last: Result, result: Result) -> None:
        task = result.task
        if last.end < task.base:
            size = last.task.path.stat().st_size if last.task.path.exists() else 0
            if last.task.base + size <= last.end:
                message = f"bytes {last.end} to {task.base} of the stream are missing before this segment"
                self._add(Wrong.MISSING_SEGMENT, message, stream.name, task.path, last.seq + 1)
        elif last.end > task.base:
            message = f"the segment before it goes on to byte {last.end} of the stream"
            self._add(Wrong.BAD_LENGTH, message, stream.name, task.path, result.first)
        elif result.first is not None and last.head:
            if result.first != last.seq + 1:
                later = result.first > last.seq
                message = f"begins with record {result.first}, expected {last.seq + 1}"
                self._add(Wrong.REMOVED if later else Wrong.OUT_OF_ORDER, message, stream.name, task.path, result.first)
            elif result.prev and result.prev != last.head:
                message = f"it does not name the hash of record {last.seq}, the last one of the segment before"
                self._add(Wrong.BAD_CHAIN, message, stream.name, task.path, result.first)
        if result.origin and last.origin and (result.origin, result.genesis) != (last.origin, last.genesis):
            self._add(Wrong.BAD_GENESIS, "of another stream than the segment before", stream.name, task.path)
        if self._keys is not None and last.kind != "seal" and last.records and last.head:
            message = f"the segment ends with a record of kind {last.kind or 'unknown'}, expected its seal"
            offset = last.end - last.task.base
            self._report.faults.add(Fault(Wrong.UNSEALED, message, stream.name, last.task.path, offset, last.seq))

    def _seal(self, stream: Stream, result: Result, row: Row) -> None:
        _, _, seq, offset, at, prev, body = row
        if self._keys is None:
            self.unread_seals += 1
            return
        task, first = result.task, result.first
        right = {"base": task.base, "head": prev}
        if task.start == task.base and first is not None:
            right |= {"first": first, "records": seq - first}
        different = [name for name, value in right.items() if body.get(name) != value]
        try:
            if different:
                name = different[0]
                raise BadSignature(f"its {name} is {body.get(name)!r}, expected {right[name]!r}")
            text = seal_text(stream.name, result.origin or stream.origin, seq, prev)
            self._keys.verify(str(body.get("key")), text, str(body.get("signature")))
        except BadSignature as error:
            message = f"the seal does not hold: {error}"
            fault = Fault(Wrong.BAD_SEAL, message, stream.name, task.path, offset - task.base, seq)
            self._report.faults.add(fault)
        else:
            self._vouched(stream.report, "signed", Upto(seq, at, f"key {body['key']}"))

    @staticmethod
    def _vouched(told: StreamReport, how: str, upto: Upto) -> None:
        if how == "signed":
            if told.signed is None or told.signed.seq <= upto.seq:
                told.signed = upto
        elif how == "shipped":
            told.shipped = upto
        elif told.witnessed is None or told.witnessed.seq <= upto.seq:
            told.witnessed = upto

    def _add(self, wrong: Wrong, message: str, stream: str, path: Path, seq: int | None = None) -> None:
        self._report.faults.add(Fault(wrong, message, stream, path, 0, seq))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))
