"""Cuts a stream of bytes into messages, fast enough for results and COPY to go through it.

"Frontend/Backend Protocol", "Message Formats": a byte for the kind, four for the length of everything but the kind.
Messages of bulk kinds that are whole come many in one Frame, as they came; they cost a few instructions each and no
object. What is longer than PART_BYTES comes in parts, so that a message of a gigabyte is never in memory; one that is
too long of a kind that may be skipped is read past.
"""

from dataclasses import dataclass
from enum import StrEnum

from extproc.protocols.postgres.wire.fields import HEAD, MAX_MESSAGE_BYTES, Malformed

PART_BYTES = 1 << 16
"""Bulk messages longer than this, kind and length included, come in parts of this size; the last part is the rest."""


class Part(StrEnum):
    """What of a message a Frame is: all of it, or of a long one the beginning, something between, the end; or nothing,
    where it was too long."""

    WHOLE = "whole"
    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of messages of one kind, as they came: with kinds and lengths, but for MIDDLE and LAST, which go on where
    the part before ended. `count` is how many messages begin in it: of a bulk kind 1 and more when WHOLE; 0 for MIDDLE
    and LAST; else 1. Of one that was SKIPPED there are no bytes."""

    kind: int
    data: bytes
    count: int = 1
    part: Part = Part.WHOLE

    @property
    def body(self) -> bytes:
        """The body of a frame that is one whole message."""
        return self.data[HEAD.size :]

    def bodies(self) -> list[bytes]:
        """The bodies of a WHOLE frame's messages, one by one."""
        data = self.data
        bodies = []
        at = 0
        for _ in range(self.count):
            start = at + HEAD.size
            at += 1 + HEAD.unpack_from(data, at)[1]
            bodies.append(data[start:at])
        return bodies

    def most(self, count: int, size: int) -> "Frame":
        """As many of its messages, from the first on, as are no more than `count` and `size` bytes together; itself
        where all are. A part of a message is not cut."""
        if self.count <= count and len(self.data) <= size:
            return self
        at = end = found = 0
        while self.part is Part.WHOLE and found < min(count, self.count):
            end += 1 + HEAD.unpack_from(self.data, end)[1]
            if end > size:
                break
            at, found = end, found + 1
        return Frame(self.kind, self.data[:at], found, self.part)


class Unframed(Malformed):
    """A message's length cannot be. `before` are the frames that were whole before it in the same input."""

    def __init__(self, why: str, before: tuple[Frame, ...]) -> None:
        super().__init__(why)
        self.before = before


class Framer:
    """One direction of a connection after its startup message. Never holds more than the longest message that it gives
    in one Frame: `limit` bytes, or PART_BYTES of a bulk kind."""

    def __init__(self, limit: int, bulk: frozenset[int] = frozenset(), skipped: frozenset[int] = frozenset()) -> None:
        """`limit` is the most bytes that a message of a kind not in `bulk` may have, kind and length included. A longer
        one of a kind in `skipped` is told of when it has come to its end."""
        self._limit = limit
        self._bulk = bulk
        self._skipped = skipped
        self._pending = bytearray()
        # How many pending bytes the next step needs: until then input is only added, which is what keeps a message that
        # comes byte by byte from costing its square.
        self._need = HEAD.size
        # Of a long message: its kind, how much of it is still to come, and what the next part is.
        self._long = 0
        self._left = 0
        self._part = Part.FIRST
        self._broken = ""

    @property
    def pending(self) -> int:
        """How many bytes are held, as what is to follow them is not there yet."""
        return len(self._pending)

    @property
    def between(self) -> bool:
        """True when all input so far is whole messages, so that the stream could end here."""
        return not self._pending and not self._left

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete, in order. Raises Unframed for a length that cannot be, or that is over
        the limit; from then on always."""
        if self._broken:
            raise Unframed(self._broken, ())
        if len(self._pending) + len(data) < self._need:
            self._pending += data
            return []
        if self._pending:
            data = b"".join((self._pending, data))
            self._pending.clear()
        return self._frames(data)

    def _frames(self, data: bytes) -> list[Frame]:
        """All frames of this input; what is left of it becomes pending."""
        frames: list[Frame] = []
        at = 0
        while True:
            if self._left:
                at = self._parts(data, at, frames)
                if self._left:
                    break
            self._need = HEAD.size
            if len(data) - at < HEAD.size:
                break
            kind, size = HEAD.unpack_from(data, at)
            bulk = kind in self._bulk
            if bulk:
                start = at
                at, count = _run(data, at, kind)
                if count:
                    frames.append(Frame(kind, data[start:at], count))
                    continue
            whole = 1 + size
            skip = kind in self._skipped and whole > self._limit
            self._check(size, bulk or skip, frames)
            if skip or (bulk and whole > PART_BYTES):
                self._long, self._left, self._part = kind, whole, Part.SKIPPED if skip else Part.FIRST
                continue
            if len(data) - at < whole:
                self._need = whole
                break
            frames.append(Frame(kind, data[at : at + whole]))
            at += whole
        self._pending += data[at:]
        return frames

    def _check(self, size: int, endless: bool, before: list[Frame]) -> None:
        """Raise Unframed if a message cannot have this length."""
        if size < 4:
            self._broken = "a message's length is less than that of the length itself"
        elif size > MAX_MESSAGE_BYTES:
            self._broken = "a message's length is more than any message has"
        elif 1 + size > self._limit and not endless:
            self._broken = "a message is longer than allowed"
        if self._broken:
            raise Unframed(self._broken, tuple(before))

    def _parts(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Add the parts of a long message that are there; gives where what follows them begins."""
        while self._left:
            if self._part is Part.SKIPPED:
                passed = min(self._left, len(data) - at)
                at, self._left, self._need = at + passed, self._left - passed, 0
                if self._left:
                    break
                frames.append(Frame(self._long, b"", 1, Part.SKIPPED))
                continue
            want = min(self._left, PART_BYTES)
            if len(data) - at < want:
                self._need = want
                break
            self._left -= want
            part = self._part if self._left else Part.LAST
            frames.append(Frame(self._long, data[at : at + want], int(part is Part.FIRST), part))
            self._part = Part.MIDDLE
            at += want
        return at


def _run(data: bytes, at: int, kind: int) -> tuple[int, int]:
    """Where the whole messages of this kind end that stand here one after another, and how many they are. Stops before
    one that is not all there, too long for one frame, or malformed: this loop is what a row costs."""
    head = HEAD.unpack_from
    end = len(data)
    last = end - HEAD.size
    longest = PART_BYTES
    count = 0
    while at <= last:
        found, size = head(data, at)
        after = at + size + 1
        if found != kind or after > end or not 4 <= size < longest:
            break
        at = after
        count += 1
    return at, count
