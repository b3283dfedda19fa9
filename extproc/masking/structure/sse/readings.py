"""Values in text that comes in events, in all the ways in which it may be meant.

The end and the start of an event are boundaries if that makes a value, and are not if that makes one: `4111 1111` and
`1111 1111` are a card though `bye` follows, and a key that fills an event is one whatever word came before. So the
events of a run are read as one text; and, where two of them touch each other without a blank, as a text that ends with
the one, and as a text that begins with the other. What is found does not depend on how many events come at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from extproc.masking.engine.context import WINDOW
from extproc.masking.engine.engine import Detector
from extproc.masking.engine.scanner import SLICE, Scanner, scan
from extproc.masking.engine.span import Span

NEIGHBOURS = 4
"""Events, at most, over which a value is found that touches a word before or after it, in another event."""

_NEAR = 256
"""Bytes of them that are read as a text that ends with the last."""

_SIDE = 2
"""Bytes before a value that matter to it."""

_PAST = 1024
"""Bytes of the run's text that are kept."""

RUN = -1

_BLANK = b" \t\r\n"


@dataclass(slots=True)
class Piece:
    """An event's text, which begins at `start` in the run's."""

    text: bytes
    start: int

    @property
    def end(self) -> int:
        """Where it ends in the run's text."""
        return self.start + len(self.text)


@dataclass(slots=True)
class Found:
    """A value, or more of one, in a text that begins at `reading` in the run's: RUN is that text itself, in all others
    it is found because events touch."""

    span: Span
    reading: int


@dataclass(slots=True)
class _Ahead:
    """A text that begins with an event."""

    scanner: Scanner
    start: int
    end: int = 0
    events: int = 0

    @property
    def settled(self) -> int:
        """The offset up to which everything is decided that begins with the event."""
        return self.start + self.scanner.settled

    @property
    def inside(self) -> bool:
        """Whether it ends inside a value."""
        rest = self.scanner.unsettled
        return self.scanner.inside and (rest is None or self.start + rest.end >= self.end)

    @property
    def goes_on(self) -> bool:
        """Whether a value may go on in the next event."""
        return self.inside or (self.settled < self.end and self.events < NEIGHBOURS)

    def take(self, piece: Piece) -> Iterator[Found]:
        """The next event."""
        self.events += 1
        self.end = piece.end
        yield from _moved(_feed(self.scanner, piece.text), self.start)

    def finish(self) -> Iterator[Found]:
        """No other event belongs to it."""
        return _moved(self.scanner.feed(b"", final=True), self.start)


class Readings:
    """Over one run of events. `settled` is the offset up to which everything is decided."""

    __slots__ = ("_detector", "_run", "_past", "_starts", "_ahead")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._run = Scanner(detector)
        self._past = b""  # the last of the text
        self._starts: list[int] = []  # of the last events
        self._ahead: list[_Ahead] = []

    @property
    def settled(self) -> int:
        """The offset up to which everything is decided."""
        return min([self._run.settled, *(ahead.settled for ahead in self._ahead)])

    def take(self, pieces: list[Piece]) -> list[Found]:
        """The next events; gives what is decided now. It may say again what it said of events that are settled."""
        joined = b"".join(piece.text for piece in pieces)
        found = [Found(span, RUN) for span in self._read(pieces, joined)]
        window = self._past + joined
        base = pieces[-1].end - len(window)
        starts = [*self._starts, *(piece.start for piece in pieces)]
        known = len(self._starts)
        texts: dict[int, tuple[int, bytes, bytes]] = {}
        for index, piece in enumerate(pieces):
            at = piece.start - base
            if at and window[at - 1] not in _BLANK and window[at] not in _BLANK:
                first = max(starts[max(0, known + index - NEIGHBOURS)], piece.start - _NEAR)
                begin = max(0, first - _SIDE)
                after = pieces[min(index + NEIGHBOURS, len(pieces)) - 1].end - base
                texts[index] = begin, window[begin - base : at], window[at:after]
        if texts and not self._detector.opens(b"\n".join(text for _, *both in texts.values() for text in both)):
            # There is nothing in any of them; only those that go on matter.
            texts = {i: both for i, both in texts.items() if i + NEIGHBOURS > len(pieces)}
        first = 0 if self._ahead else min(texts, default=len(pieces))
        for index in range(first, len(pieces)):
            open_ended = index + NEIGHBOURS > len(pieces)
            found += self._alone(pieces[index], texts.get(index), open_ended)
        self._past = window[-_PAST:]
        self._starts = starts[-NEIGHBOURS:]
        return found

    def _read(self, pieces: list[Piece], joined: bytes) -> Iterator[Span]:
        """What is in the run's text. Where a word may be context for what a rule finds only so, event by event: what it
        is context for cannot begin before it, but a value might seem to, and events would wait in vain."""
        finders, near = self._detector.finders, self._past[-WINDOW:] + joined
        if any(i < len(finders) and finders[i].rule.contextual for i in self._detector.opens(near)):
            for piece in pieces:
                yield from _feed(self._run, piece.text)
        else:
            yield from _feed(self._run, joined)

    def end(self) -> list[Found]:
        """The run has ended: gives the rest."""
        found = [Found(span, RUN) for span in self._run.feed(b"", final=True)]
        for ahead in self._ahead:
            found += ahead.finish()
        return found

    def _alone(self, piece: Piece, texts: tuple[int, bytes, bytes] | None, open_ended: bool) -> Iterator[Found]:
        """Read the texts that go on with an event, and those that end before it or begin with it, if it touches the one
        before. With `open_ended`, not all that may follow is known."""
        covered = False
        for ahead in self._ahead:
            yield from ahead.take(piece)
            covered = covered or ahead.inside
            if ahead.events >= NEIGHBOURS and not ahead.inside:
                yield from ahead.finish()
        self._ahead = [ahead for ahead in self._ahead if ahead.goes_on]
        if texts is None:
            return
        begin, before, after = texts
        for span in scan(self._detector, before):
            # Where the text was cut off nothing begins, but at the run's beginning.
            if span.end == len(before) and (span.start >= _SIDE or not begin):
                yield from _moved([span], begin)
        if covered or not (open_ended or self._detector.opens(after)):
            return
        yield from _moved(scan(self._detector, piece.text), piece.start)
        ahead = _Ahead(Scanner(self._detector), piece.start)
        yield from ahead.take(piece)
        if ahead.goes_on:
            self._ahead.append(ahead)


def _moved(spans: Iterable[Span], start: int) -> Iterator[Found]:
    return (Found(replace(span, start=span.start + start, end=span.end + start), start) for span in spans)


def _feed(scanner: Scanner, text: bytes) -> Iterator[Span]:
    for at in range(0, len(text), SLICE):
        yield from scanner.feed(text[at : at + SLICE])
