"""One segment, from some frame of it to its end: every CRC, number and hash. Made to be fast, and run beside others.

How the payload of a record that is where it belongs ends is known: `","prev":"<hash>","seq":<n>,"stream":"<name>"}`.
Only what ends otherwise is read as JSON, to say what is wrong with it, and the few kinds that tell of other records.
What comes after a fault is checked too, from the next frame that is whole.
"""

import os
import re
import time
import zlib
from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from extproc.audit.frame import (
    FORMAT,
    HEAD,
    LENGTH,
    MAX_PAYLOAD,
    ZERO,
    Erased,
    FrameError,
    Record,
    chain,
    decode,
    split,
)
from extproc.audit.frame import Fault as FrameFault
from extproc.audit.reader import origin_of
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.sift import NAMING, Row, Sift

BLOCK = 4 << 20
RETRIES = 3
"""How often a torn end is looked at again: a live writer finishes its frame in microseconds."""
MOST_FAULTS = 50
_KIND = b',"kind":"'
_LONGEST_KIND = 40
_START = re.compile(rb'\{"(?:at|digest)":"')
_LAST_KIND = re.compile(rb',"kind":"([^"\\]*)","prev":"[0-9a-f]{64}","seq":\d+,"stream":"')


@dataclass(frozen=True, slots=True)
class Vouched:
    """That record `seq` has this hash, says somebody; `offset` is the byte of the stream after it, -1 where that was
    not said. `how` is "signed", "witnessed" or "shipped"."""

    seq: int
    hash: str
    offset: int
    how: str
    who: str


@dataclass(frozen=True, slots=True)
class Task:
    """Which segment to look at, from byte `start` of the stream on, and what is wanted of it. `seq` and `prev` are what
    the record there must have, where that is known. Of a `thorough` one every record is read: nobody has vouched for
    the end of a segment that is still written."""

    path: Path
    stream: str
    base: int
    start: int
    sift: Sift
    seq: int | None = None
    prev: str | None = None
    thorough: bool = False


@dataclass(slots=True)
class Result:
    """What was found. `first` is the number of the first record and `prev` the hash that it names; `seq`, `head`, `at`
    and `kind` are the last one's, and `end` is the byte of the stream after it. `origin` and `genesis` are what the
    segment says of its stream. `prev` is empty where a fault hides it. `vouched` has the last record of each `how` that
    is what was said: its number, its time, and by whom."""

    task: Task
    end: int
    records: int = 0
    first: int | None = None
    prev: str = ZERO
    seq: int = -1
    head: str = ZERO
    at: str = ""
    kind: str = ""
    origin: str = ""
    genesis: str = ""
    faults: list[Fault] = field(default_factory=list)
    more_faults: int = 0
    rows: list[Row] = field(default_factory=list)
    vouched: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def fault(self, wrong: Wrong, message: str, offset: int, seq: int | None) -> None:
        """Note a fault at a byte of the stream."""
        if len(self.faults) < MOST_FAULTS:
            task = self.task
            self.faults.append(Fault(wrong, message, task.stream, task.path, offset - task.base, seq))
        else:
            self.more_faults += 1


def check(
    task: Task,
    vouched: Callable[[int], Iterable[Vouched]] = lambda first: (),
    progress: Callable[[int], None] = lambda done: None,
    wait: Callable[[], None] = lambda: time.sleep(0.05),
) -> Result:
    """Look at one segment. `vouched` gives what is said of a record and those after it, by number, ascending;
    `progress` is told bytes as they are done; `wait` gives a live writer time to finish its last frame. Raises
    FileNotFoundError; whatever else is wrong is a fault."""
    return _Check(task, vouched, progress, wait).run()


class _Seeds(dict[int, int]):
    """The CRC of each length, which every payload's CRC begins with."""

    def __missing__(self, length: int) -> int:
        self[length] = crc = zlib.crc32(LENGTH.pack(length))
        return crc


class _Check:
    """`_seq` is the number that the next record must have and `_prev` the hash that it must name, in hex: -1 and empty
    where that is not known, at the beginning and after a fault."""

    def __init__(
        self,
        task: Task,
        vouched: Callable[[int], Iterable[Vouched]],
        progress: Callable[[int], None],
        wait: Callable[[], None],
    ) -> None:
        self._task, self._progress, self._wait = task, progress, wait
        self._result = Result(task, task.start)
        self._kinds = frozenset(kind.encode() for kind in task.sift.kinds)
        self._vouched_from = vouched
        self._vouched: Iterator[Vouched] = iter(())
        self._due: Vouched | None = None
        self._seq = -1 if task.seq is None else task.seq
        self._prev = b"" if task.prev is None else task.prev.encode()
        self._seeds = _Seeds()

    def run(self) -> Result:
        fd = os.open(self._task.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._run(fd)
        except OSError as error:
            self._result.fault(Wrong.UNREADABLE, error.strerror or "can't be read", self._result.end, None)
        finally:
            os.close(fd)
        return self._result

    def _run(self, fd: int) -> None:
        at, looks = self._task.start - self._task.base, 0
        while data := os.pread(fd, BLOCK, at):
            used = self._block(data, self._task.base + at)
            self._progress(used)
            at, looks = at + used, 0 if used else looks
            if used == len(data):
                continue
            error = _broken(data, used)
            if error is None and (len(data) == BLOCK or looks < RETRIES):
                if len(data) < BLOCK:
                    looks += 1
                    self._wait()
                continue
            after = _next(fd, at)
            if error is None:
                rest = f"{len(data) - used} bytes after the last whole record"
                error = FrameError(FrameFault.TORN, 0, f"{rest}; after a crash, the next writer cuts them")
                if after is not None:
                    error = FrameError(FrameFault.BAD_LENGTH, 0, "its length leads past the end of the file")
            self._gap(fd, error, at, after)
            if after is None:
                return
            self._progress(after - at)
            at = after

    def _block(self, data: bytes, origin: int) -> int:
        """Check what is whole in a block that begins at byte `origin` of the stream; gives its length."""
        unpack, crc32, seeds, kinds, size = HEAD.unpack_from, zlib.crc32, self._seeds, self._kinds, len(data)
        stream, thorough = self._task.stream.encode(), self._task.thorough
        due = -1 if self._due is None else self._due.seq
        seq, prev, at, count, last = self._seq, self._prev, 0, 0, b""
        while at + 8 <= size:
            length, crc = unpack(data, at)
            end = at + 8 + length
            if end > size or not 0 < length <= MAX_PAYLOAD:
                break
            payload = data[at + 8 : end]
            if crc32(payload, seeds[length]) != crc:
                break
            tail = b'","prev":"%b","seq":%d,"stream":"%b"}' % (prev, seq, stream)
            cut = length - len(tail)
            named = payload.rfind(_KIND, cut - _LONGEST_KIND, cut) if payload.endswith(tail) else -1
            if named < 0 or thorough or not count:
                self._seq, self._prev = seq, prev
                self._read(payload, origin + at)
                seq, prev = self._seq, self._prev
                due = -1 if self._due is None else self._due.seq
            else:
                kind = payload[named + 9 : cut]
                if kind in kinds:
                    self._sift(kind, payload, origin + at, seq)
                prev = hexlify(sha256(unhexlify(prev) + sha256(payload).digest()).digest())
                if seq == due:
                    self._vouch(seq, prev, origin + end, payload)
                    due = -1 if self._due is None else self._due.seq
                seq += 1
            at, last, count = end, payload, count + 1
        self._seq, self._prev = seq, prev
        if count:
            self._progressed(last, origin + at, count)
        return at

    def _progressed(self, last: bytes, end: int, count: int) -> None:
        result = self._result
        result.records, result.end, result.seq = result.records + count, end, self._seq - 1
        result.head = self._prev.decode()
        kind = _LAST_KIND.search(last, max(0, len(last) - 512))
        result.kind, result.at = (kind[1].decode(), last[7:34].decode("ascii", "replace")) if kind else ("", result.at)

    def _read(self, payload: bytes, offset: int) -> None:
        """A record that is read as JSON: whatever is wrong with it or with its place is said."""
        task, result = self._task, self._result
        expected, prev = self._seq, self._prev.decode()
        try:
            entry = decode(payload, offset, prev or ZERO)
        except FrameError as error:
            result.fault(Wrong(error.fault.value), str(error), offset, None if expected < 0 else expected)
            self._seq = expected + 1 if expected >= 0 else -1
            self._prev = chain(prev, sha256(payload).digest()).encode() if prev else b""
            return
        wrong = self._misplaced(entry, expected, prev)
        if wrong is not None:
            result.fault(*wrong, offset, entry.seq)
        if result.first is None:
            self._begin(entry.seq)
            result.prev = entry.prev if isinstance(entry, Record) else prev
            if offset == task.base:
                self._heads_a_segment(entry)
        self._seq = entry.seq + 1
        if isinstance(entry, Record):
            self._prev = entry.hash.encode()
            if entry.kind.encode() in self._kinds:
                self._sift(entry.kind.encode(), payload, offset, entry.seq)
        else:
            self._prev = entry.hash.encode() if prev else b""
            result.rows.append(("erased", task.stream, entry.seq, offset - task.base, task.path.name))
        if self._due is not None and self._due.seq <= entry.seq and self._prev:
            self._vouch(entry.seq, self._prev, entry.end, payload)

    def _begin(self, first: int) -> None:
        self._result.first = first
        self._vouched = iter(self._vouched_from(first))
        self._due = next(self._vouched, None)

    def _misplaced(self, entry: Record | Erased, expected: int, prev: str) -> tuple[Wrong, str] | None:
        """Why this is not the next record of the chain, or None."""
        if isinstance(entry, Record) and entry.stream != self._task.stream:
            return Wrong.BAD_STREAM, f"a record of stream {entry.stream[:64]!r}"
        if expected >= 0 and entry.seq > expected:
            which = f"record {expected}" if entry.seq == expected + 1 else f"records {expected} to {entry.seq - 1}"
            return Wrong.REMOVED, f"{which} missing before record {entry.seq}"
        if 0 <= entry.seq < expected:
            return Wrong.OUT_OF_ORDER, f"record {entry.seq} where record {expected} belongs: moved, repeated or put in"
        if isinstance(entry, Record) and prev and entry.prev != prev:
            return Wrong.BAD_CHAIN, f"it does not name the hash of record {entry.seq - 1}: that one or this was changed"
        return None

    def _heads_a_segment(self, entry: Record | Erased) -> None:
        """The first record of a segment says which stream it is of."""
        task, result = self._task, self._result
        known = origin_of(entry) if isinstance(entry, Record) else None
        body = entry.body if isinstance(entry, Record) else {}
        right = known is not None and body.get("format") == FORMAT
        if task.base == 0:
            right = right and (entry.seq, result.prev, body.get("stream")) == (0, ZERO, task.stream)
        else:
            right = right and body.get("base") == task.base and entry.seq > 0
        if known is None or not right:
            what = "genesis" if task.base == 0 else "record that heads a segment"
            result.fault(
                Wrong.BAD_GENESIS, f"no {what} of stream {task.stream!r} in format {FORMAT}", task.base, entry.seq
            )
        else:
            result.origin, result.genesis = known.id, known.hash

    def _sift(self, kind: bytes, payload: bytes, offset: int, seq: int) -> None:
        if kind in NAMING:
            self._result.rows += Sift.bodies_of(payload, self._task.stream, seq, offset)
        elif self._task.sift.may(kind.decode(), payload):
            try:
                record = decode(payload, offset)
            except FrameError as error:
                self._result.fault(Wrong.BAD_RECORD, str(error), offset, None)
                return
            assert isinstance(record, Record)
            self._result.rows += self._task.sift.rows(record)

    def _vouch(self, seq: int, head: bytes, end: int, payload: bytes) -> None:
        """Hold a record against what is said of it, and of those that should have come before it."""
        due = self._due
        while due is not None and due.seq <= seq:
            said = f"record {due.seq}, which {due.who} vouches for,"
            if due.seq < seq:
                self._result.fault(Wrong.BEHIND_WITNESS, f"{said} is not there", end - 8 - len(payload), due.seq)
            elif due.hash != head.decode() or due.offset not in (end, -1):
                message = f"{said} is another than this one"
                self._result.fault(Wrong.BEHIND_WITNESS, message, end - 8 - len(payload), seq)
            else:
                self._result.vouched[due.how] = (seq, payload[7:34].decode("ascii", "replace"), due.who)
            due = self._due = next(self._vouched, None)

    def _gap(self, fd: int, error: FrameError, at: int, after: int | None) -> None:
        """A frame that is not whole, and where the next one is: what is between is unknown, and so is the hash."""
        base, seq, message = self._task.base, self._seq, str(error)
        self._seq, self._prev = -1, b""
        if after is not None:
            payload = os.pread(fd, HEAD.unpack(os.pread(fd, HEAD.size, after))[0], after + HEAD.size)
            try:
                self._seq = decode(payload, base + after, ZERO).seq
                message += f"; the next whole one is record {self._seq}, at byte {after}"
            except FrameError:
                message += f"; the next whole one is at byte {after}"
        self._result.fault(Wrong(error.fault.value), message, base + at, None if seq < 0 else seq)
        if self._result.first is None and self._seq >= 0:
            self._begin(self._seq)
            self._result.prev = ""


def _broken(data: bytes, at: int) -> FrameError | None:
    """What is wrong with the frame there; None where the data ends before it does."""
    try:
        split(memoryview(data), at)
    except FrameError as error:
        return error
    return None


def _next(fd: int, at: int) -> int | None:
    """Where the next whole frame begins in a file, after the byte `at`."""
    at += 1
    while data := os.pread(fd, BLOCK, at):
        found = _START.search(data, HEAD.size)
        while found is not None:
            begin = found.start() - HEAD.size
            view = data[begin:]
            if len(view) < HEAD.size + MAX_PAYLOAD:
                view = os.pread(fd, HEAD.size + MAX_PAYLOAD, at + begin)
            try:
                if split(memoryview(view), 0) is not None:
                    return at + begin
            except FrameError:
                pass
            found = _START.search(data, found.start() + 1)
        if len(data) < BLOCK:
            return None
        at += len(data) - 32
    return None
