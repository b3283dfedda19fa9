"""Text across server-sent events: a value may begin in one event and end in a later one. An event waits whole, and
only while a value may still be unfinished in it."""

from collections import deque
from dataclasses import dataclass, field

from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.sse.readings import RUN, Found, Piece, Readings
from extproc.masking.structure.sse.wire import EVENT, Event


@dataclass(slots=True)
class _Waiting:
    """An event with text. `after` is what follows it and has none: line ends, and events that are empty."""

    event: Event
    piece: Piece
    size: int
    after: list[bytes] = field(default_factory=list)


class TextRun:
    """Consecutive events with text, of which at most `bound` bytes wait. `counts` is shared with its owner."""

    __slots__ = ("_plan", "_counts", "_most", "_queue", "_new", "_size", "_end", "_readings", "_found", "_last")

    def __init__(self, plan: Plan, counts: dict[str, int], bound: int = EVENT) -> None:
        self._plan = plan
        self._counts = counts
        self._most = bound
        self._queue: list[_Waiting] = []
        self._size = 0
        self._begin()

    def _begin(self) -> None:
        self._new = 0  # how many of the events that wait were looked at
        self._end = 0  # of the run's text
        self._readings = Readings(self._plan.detector)
        self._found: list[Found] = []  # in events that wait
        self._last: dict[int, Found] = {}  # the last in each reading

    @property
    def waiting(self) -> bool:
        """Whether events wait."""
        return bool(self._queue)

    def follow(self, raw: bytes) -> None:
        """More bytes without text (line ends, which mean nothing) followed the last event, which waits. Raises
        MaskError as `settle` does."""
        self._queue[-1].after.append(raw)
        self._queue[-1].size += len(raw)
        self._size += len(raw)
        self._bound()

    def add(self, event: Event, text: bytes) -> bytes:
        """Take an event. Gives it where it has no text and no other waits."""
        if not text:
            if not self._queue:
                return event.raw
            self.follow(event.raw)
            return b""
        self._queue.append(_Waiting(event, Piece(text, self._end), len(event.raw)))
        self._end += len(text)
        self._size += len(event.raw)
        return b""

    def settle(self) -> bytes:
        """Look at the events that came since the last time, give those that are final. What they are does not depend on
        when this is called. Raises MaskError when too much waits."""
        if self._new == len(self._queue):
            return b""
        self._take(self._readings.take([item.piece for item in self._queue[self._new :]]))
        out = self._release(self._readings.settled)
        self._new = len(self._queue)
        self._bound()
        return out

    def end(self) -> bytes:
        """The run is over: give what waits."""
        out = self.settle()
        if self._end:
            self._take(self._readings.end())
            out += self._release(self._end)
            self._begin()
        return out

    def _bound(self) -> None:
        if self._size > self._most:
            raise MaskError(f"more than {self._most} bytes of events wait for one value to end")

    def _take(self, found: list[Found]) -> None:
        waits = self._queue[0].piece.start if self._queue else self._end
        for item in found:
            last = self._last.get(item.reading)
            if item.reading == RUN:
                for kind in (item.kind, *item.more) if item.first else item.more:
                    self._counts[kind] = self._counts.get(kind, 0) + 1
            if not item.first and last is not None and last.end == item.start > waits:
                last.end = item.end
            elif item.end > waits:
                self._found.append(item)
                self._last[item.reading] = item

    def _release(self, upto: int) -> bytes:
        """The events that end there or before, with their values masked."""
        count = 0
        for item in self._queue:
            if item.piece.end > upto:
                break
            count += 1
        ready, self._queue = self._queue[:count], self._queue[count:]
        found = deque(sorted(self._found, key=_place))
        out: list[bytes] = []
        for item in ready:
            text = self._masked(item.piece, found) if found else item.piece.text
            self._size -= item.size
            out += (item.event.with_data(text).raw, *item.after)
        self._found = [*found]
        self._last = {item.reading: item for item in found}
        return b"".join(out)

    def _masked(self, piece: Piece, found: deque[Found]) -> bytes:
        """An event's text, with a mask for what begins in it and nothing for what began before. Takes what is found in
        it, and puts back what reaches into the next one."""
        out: list[bytes] = []
        later: list[Found] = []
        at = piece.start
        while found and found[0].start < piece.end:
            item = found.popleft()
            start, end, first = item.start, item.end, item.first
            if end > piece.end:
                item.start, item.first = piece.end, False
                later.append(item)
            if start > at:
                out.append(piece.text[at - piece.start : start - piece.start])
            if first and start >= at:
                cover = self._plan.cover(item.kind)
                out += (cover.feed(piece.text[start - piece.start : min(end, piece.end) - piece.start]), cover.end())
                if item.reading != RUN:
                    self._counts[item.kind] = self._counts.get(item.kind, 0) + 1
            at = max(at, min(end, piece.end))
        out.append(piece.text[at - piece.start :])
        found.extendleft(reversed(later))
        return b"".join(out)


def _place(found: Found) -> tuple[int, bool, bool, int]:
    """What goes on from the event before comes first, then what is in the run's text, then what is longest."""
    return found.start, found.first, found.reading != RUN, -found.end
