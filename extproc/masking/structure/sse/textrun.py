"""Text across server-sent events: a value may begin in one event and end in a later one.

The end and the start of an event are boundaries if that makes a value, and are not if that makes one: `4111 1111` and
`1111 1111` are a card though `bye` follows, and a key that fills an event is one whatever word came before. So what
waits is looked at once from each event's start where that may find something. An event waits whole, and only while a
value may still be unfinished in it.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from extproc.masking.engine.detect import Detector, Scanner, Span, tally
from extproc.masking.stage import MaskError
from extproc.masking.structure.sse.ends import Due, ends
from extproc.masking.structure.sse.wire import EVENT, Event
from extproc.masking.text import mask_text

_START = b"\n\n"


@dataclass(slots=True)
class _Waiting:
    """An event with text. `after` is what follows it and has none: line ends, and events that are empty or emptied."""

    event: Event
    text: bytes
    size: int
    after: list[bytes] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        event = self.event if self.text == self.event.data else self.event.with_data(self.text)
        return event.raw + b"".join(self.after)


class TextRun:
    """Consecutive events with text, of which at most `bound` bytes wait. `counts` is shared with its owner.

    Time is linear in the events, whatever they are: what waits has no more events with text than a value has bytes."""

    __slots__ = (
        "_detector",
        "_counts",
        "_most",
        "_queue",
        "_size",
        "_open",
        "_ends",
        "_due",
        "_text",
        "_edges",
    )

    def __init__(self, detector: Detector, counts: dict[str, int], bound: int = EVENT) -> None:
        self._detector = detector
        self._counts = counts
        self._most = bound
        self._queue: list[_Waiting] = []
        self._size = 0
        self._open: Scanner | None = None  # the last event ended inside a value's tail
        self._ends = ends(detector)
        self._due = Due(detector)
        self._text = bytearray()  # of all that waits
        self._edges: list[int] = [0]  # where each of them begins in the run's text, and where the last ends

    @property
    def waiting(self) -> bool:
        """Whether events wait."""
        return bool(self._queue)

    def follow(self, raw: bytes) -> None:
        """More bytes without text (line ends, which mean nothing) followed the last event, which waits. Raises
        MaskError as `add` does."""
        self._queue[-1].after.append(raw)
        self._queue[-1].size += len(raw)
        self._size += len(raw)
        self._bound()

    def add(self, event: Event, payload: bytes) -> bytes:
        """Take an event, give those that are final. Raises MaskError when too much waits."""
        text = self._continued(payload)
        raw = event.raw
        if not text:
            raw = raw if text == payload else event.with_data(text).raw
            if not self._queue:
                return raw
            self.follow(raw)
            return b""
        self._queue.append(_Waiting(event, text, len(raw)))
        self._size += len(raw)
        self._text += text
        self._edges.append(self._edges[-1] + len(text))
        self._look(len(text))
        held = 0 if self._open is not None else self._unfinished()
        out = self._release(len(self._queue) - held)
        self._bound()
        return out

    def end(self) -> bytes:
        """The run is over: give what waits."""
        self._open = None
        return self._release(len(self._queue))

    def _bound(self) -> None:
        if self._size > self._most:
            raise MaskError(f"more than {self._most} bytes of events wait for one value to end")

    def _continued(self, payload: bytes) -> bytes:
        """What is left of a payload after the tail of a value that an earlier event began."""
        if self._open is None:
            return payload
        base = at = self._open.settled
        for span in self._open.feed(payload, final=True):
            if span.first or span.start != at:
                break
            tally(self._counts, span)
            at = span.end
        if not self._open.inside or at - base < len(payload):
            self._open = None
        return payload[at - base :]

    def _look(self, new: int) -> None:
        """Mask what is a value and ends in the last bytes, which are new, when reading starts at any event."""
        base = self._edges[0]
        near = max(0, len(self._text) - new - self._ends.reach - 2)
        data = bytes(self._text[near:])
        found = self._detector.gate(data)
        if not found:
            return
        todo = {0} if len(self._queue) == 1 else self._readings(found, data, new, base + near - 2)
        if not todo:
            return
        while todo:
            first = min(todo)
            todo.discard(first)
            todo |= self._mask(first)
        self._settle()

    def _readings(self, found: list[int], data: bytes, new: int, shift: int) -> set[int]:
        """From which events reading finds something that ends in the last bytes: the first, which stands for all that
        needs no start of its own, and those that are one. None if nothing ends there."""
        rules = [index for index in found if index < len(self._detector.finders)]
        at, data = len(data) - new + 2, _START + data + _START
        wanted = {bisect_right(self._edges, e) - 1 for e in self._ends.starts(rules, data, at, self._edges[:-1], shift)}
        if wanted or self._ends.whole(rules, data, at):
            return wanted | {0}
        credentials = len(rules) < len(found) and self._due.check(self._text, self._edges[0])
        return {0} if credentials else set()

    def _mask(self, first: int) -> set[int]:
        """Mask what is a value when reading starts at this event and ends with the last. Gives the events from which
        to read on, for what this uncovered."""
        waiting = self._queue[first:]
        joined = b"".join(item.text for item in waiting)
        if not self._detector.gate(joined):
            return set()
        scanner = Scanner(self._detector)
        spans = scanner.feed(joined, final=True)
        if scanner.inside:
            self._open = scanner
        again: set[int] = set()
        edges = [0, *accumulate(len(item.text) for item in waiting)] if spans else []
        before = 0
        for span in spans:
            again |= {first + index for index in self._uncovered(joined[: span.start], before, edges)}
            before = span.end
        for index, item in enumerate(waiting if spans else ()):
            text = self._without(item.text, edges[index], spans)
            if text != item.text:
                item.text = text
                if text:
                    again.add(first + index)
        return again

    def _uncovered(self, joined: bytes, before: int, edges: list[int]) -> set[int]:
        """From which events on a value ends with the text, now that what followed it is masked, as was what came
        `before`."""
        near = max(before, len(joined) - self._ends.reach - 2)
        data = joined[near:]
        rules = [index for index in self._detector.gate(data) if index < len(self._detector.finders)]
        if not rules:
            return set()
        data = _START + data + _START
        at = len(data) - 3
        starts = self._ends.starts(rules, data, at, list(dict.fromkeys(edges[:-1])), near - 2)
        found = {bisect_right(edges, edge) - 1 for edge in starts}
        return found | {0} if self._ends.whole(rules, data, at) else found

    def _without(self, text: bytes, start: int, spans: list[Span]) -> bytes:
        out: list[bytes] = []
        at, end = start, start + len(text)
        for span in spans:
            if span.end <= start or span.start >= end:
                continue
            out.append(text[at - start : max(span.start, at) - start])
            if span.start >= start:
                tally(self._counts, span)
                out.append(mask_text(span.kind).encode())
            at = min(span.end, end)
        out.append(text[at - start :])
        return b"".join(out)

    def _settle(self) -> None:
        """Texts have changed: those that are empty now belong to the event before."""
        queue: list[_Waiting] = []
        for item in self._queue:
            if item.text or not queue:
                queue.append(item)
            else:
                queue[-1].after.append(item.raw)
                queue[-1].size += item.size
        self._queue = queue
        self._text = bytearray(b"".join(item.text for item in queue))
        at = self._edges[0]
        self._edges = [at]
        for item in queue:
            at += len(item.text)
            self._edges.append(at)
        self._due.restart(self._edges[0])

    def _unfinished(self) -> int:
        """How many of the last events have to wait."""
        held, count, end = 0, len(self._queue), self._edges[-1]
        base = self._edges[0]
        for first in range(count):
            if held >= count - first:
                break  # what begins here or later can't make more of them wait
            begin = max(self._edges[first], end - self._ends.reach)
            before = _START if begin == self._edges[first] else bytes(self._text[begin - 1 - base : begin - base])
            framed = before + self._text[begin - base :]
            hold = begin + self._detector.hold(framed, len(before), len(framed)) - len(before)
            if hold < end:
                held = max(held, count - bisect_right(self._edges, hold) + 1)
        return held

    def _release(self, count: int) -> bytes:
        if not count:
            return b""
        ready, self._queue = self._queue[:count], self._queue[count:]
        self._size -= sum(item.size for item in ready)
        del self._text[: self._edges[count] - self._edges[0]]
        del self._edges[:count]
        return b"".join(item.raw for item in ready)
