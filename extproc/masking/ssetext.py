"""Text across server-sent events: a value may begin in one event and end in a later one.

The end and the start of an event are boundaries if that makes a value, and are not if that makes one: `4111 1111` and
`1111 1111` are a card though `bye` follows, and a key that fills an event is one whatever word came before. So what
waits is looked at once from each event's start. An event waits whole, and only while a value may still be unfinished
in it.
"""

from dataclasses import dataclass

from extproc.masking.detect import Detector, Scanner, Span, tally
from extproc.masking.ssewire import EVENT, Event
from extproc.masking.stage import MaskError
from extproc.masking.text import mask_text


@dataclass(slots=True)
class _Waiting:
    event: Event
    text: bytes

    def follow(self, ends: bytes) -> None:
        self.event = Event(self.event.lines, self.event.close + ends, self.event.bom)

    @property
    def raw(self) -> bytes:
        return (self.event if self.text == self.event.data else self.event.with_data(self.text)).raw


class TextRun:
    """Consecutive events with text, of which at most `bound` bytes wait. `counts` is shared with its owner."""

    __slots__ = ("_detector", "_counts", "_most", "_queue", "_size", "_open")

    def __init__(self, detector: Detector, counts: dict[str, int], bound: int = EVENT) -> None:
        self._detector = detector
        self._counts = counts
        self._most = bound
        self._queue: list[_Waiting] = []
        self._size = 0
        self._open: Scanner | None = None  # the last event ended inside a value's tail

    @property
    def waiting(self) -> bool:
        """Whether events wait."""
        return bool(self._queue)

    def follow(self, ends: bytes) -> None:
        """More line ends, which mean nothing, followed the last event, which waits. Raises MaskError as `add` does."""
        self._queue[-1].follow(ends)
        self._size += len(ends)
        self._bound()

    def add(self, event: Event, payload: bytes) -> bytes:
        """Take an event, give those that are final. Raises MaskError when too much waits."""
        text = self._continued(payload)
        self._queue.append(_Waiting(event, text))
        self._size += len(event.raw)
        if self._detector.gate(b"".join(item.text for item in self._queue)):
            for first in range(len(self._queue)):
                if self._queue[first].text:
                    self._mask(first)
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

    def _mask(self, first: int) -> None:
        """Mask what is a value when reading starts at this event and ends with the last."""
        waiting = self._queue[first:]
        joined = b"".join(item.text for item in waiting)
        if not self._detector.gate(joined):
            return
        scanner = Scanner(self._detector)
        spans = scanner.feed(joined, final=True)
        if scanner.inside:
            self._open = scanner
        at = 0
        for item in waiting if spans else ():
            start, at = at, at + len(item.text)
            item.text = self._without(item.text, start, spans)

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

    def _unfinished(self) -> int:
        """How many of the last events have to wait."""
        held = 0
        for first in range(len(self._queue)):
            texts = [item.text for item in self._queue[first:]]
            framed = b"\n\n" + b"".join(texts)
            hold = self._detector.hold(framed, 2, len(framed)) - 2
            at = 0
            for index, text in enumerate(texts):
                at += len(text)
                if at > hold:
                    held = max(held, len(texts) - index)
                    break
        return held

    def _release(self, count: int) -> bytes:
        ready, self._queue = self._queue[:count], self._queue[count:]
        self._size -= sum(len(item.event.raw) for item in ready)
        return b"".join(item.raw for item in ready)
