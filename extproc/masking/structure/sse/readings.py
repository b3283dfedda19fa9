"""Values in text that comes in events, in all the ways in which it may be meant.

The end and the start of an event are boundaries if that makes a value, and are not if that makes one: `4111 1111` and
`1111 1111` are a card though `bye` follows, and a key that fills an event is one whatever word came before. So the
events of a run are read as one text; and, where two of them touch each other without a blank, as a text that ends with
the one, and as texts that begin with the other. What is found does not depend on how many events come at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from extproc.masking.engine.context import WINDOW
from extproc.masking.engine.engine import Detector
from extproc.masking.engine.finder import Track
from extproc.masking.engine.scanner import SLICE, Scanner
from extproc.masking.engine.span import Span

NEIGHBOURS = 4
"""Events, at most, over which a value is found that touches a word before or after it, in another event."""

_NEAR = 256
"""Bytes of them, at least: more than what a rule has to see of a value before it is one."""

_SIDE = 2
"""Bytes before a value that matter to it."""

_PAST = 1024
"""Bytes of the run's text that are kept."""

_TOGETHER = 4
"""Events that one look tells to be quiet, or not."""

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
    """A value, or more of one (see Span), in a text that begins at `reading` in the run's: RUN is that text itself, in
    all others it is found because events touch."""

    kind: str
    start: int
    end: int
    first: bool
    more: tuple[str, ...]
    reading: int


@dataclass(slots=True)
class _Ahead:
    """A text that begins with an event; it ends with another as soon as it is long enough."""

    start: int
    text: bytes = b""
    ends: list[int] = field(default_factory=list)
    settled: int = 0

    def take(self, pieces: Iterable[Piece]) -> bool:
        """The next events; says whether it has ended."""
        for piece in pieces:
            self.text += piece.text
            self.ends.append(len(self.text))
            if len(self.ends) == NEIGHBOURS or len(self.text) >= _NEAR:
                return True
        return False


@dataclass(slots=True)
class _Edge:
    """Where an event touches the one before: the text that ends there, and begins at `begin`, and the one that begins
    there, and has `ended` or not."""

    begin: int
    before: bytes
    ahead: _Ahead
    ended: bool


@dataclass(slots=True)
class _Tail:
    """A value that such a text ends in, and that goes on behind it."""

    track: Track
    reading: int
    end: int
    events: int = 0

    def take(self, piece: Piece) -> Iterator[Found]:
        """What of the next event belongs to it."""
        if self.end == piece.start:
            self.events += 1
            self.end = piece.start + self.track.swallow(piece.text, len(piece.text), piece.start - self.reading)
            yield Found(self.track.finder.kind, piece.start, self.end, False, (), self.reading)


class _Whole(Scanner):
    """Over one whole text."""

    __slots__ = ()

    @property
    def tails(self) -> list[Track]:
        """Of the values that it ends in, those that might go on."""
        return [track for track in self._tracks.values() if track.open]


class Readings:
    """Over one run of events. `settled` is the offset up to which everything is decided."""

    __slots__ = ("_detector", "_run", "_past", "_starts", "_ahead", "_tails")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._run = Scanner(detector)
        self._past = b""  # the last of the text
        self._starts: list[int] = []  # of the last events
        self._ahead: list[_Ahead] = []
        self._tails: list[_Tail] = []

    @property
    def settled(self) -> int:
        """The offset up to which everything is decided."""
        return min([self._run.settled, *(ahead.settled for ahead in self._ahead)])

    def take(self, pieces: list[Piece]) -> list[Found]:
        """The next events; gives what is decided now. It may say again what it said of events that are settled."""
        window = self._past + b"".join(piece.text for piece in pieces)
        base = pieces[-1].end - len(window)
        found = [*_found(self._read_run(pieces, window, base), 0, RUN)]
        starts = [*self._starts, *(piece.start for piece in pieces)]
        known = len(self._starts)
        waiting, self._ahead = self._ahead, []
        for ahead in waiting:
            found += self._read(ahead, ahead.take(pieces))
        edges: dict[int, _Edge] = {}
        for index, piece in enumerate(pieces):
            at = piece.start - base
            if at and window[at - 1] not in _BLANK and window[at] not in _BLANK:
                ahead = _Ahead(piece.start)
                first = max(starts[max(0, known + index - NEIGHBOURS)], piece.start - _NEAR)
                begin = max(0, first - _SIDE)
                ended = ahead.take(pieces[index : index + NEIGHBOURS])
                edges[index] = _Edge(begin, window[begin - base : at], ahead, ended)
        loud = self._loud(edges)
        for index, piece in enumerate(pieces):
            covered = bool(self._tails) and self._covered(piece, found)
            edge = edges.get(index)
            if edge is None:
                continue
            if index in loud:
                found += self._before(edge.before, edge.begin)
            if index in loud and not covered:
                found += _found(self._whole(piece.text)[0], piece.start, piece.start)
            if not covered:
                found += self._read(edge.ahead, edge.ended, index in loud)
        self._past = window[-_PAST:]
        self._starts = starts[-NEIGHBOURS:]
        return found

    def end(self) -> list[Found]:
        """The run has ended: gives the rest."""
        found = [*_found(self._run.feed(b"", final=True), 0, RUN)]
        for ahead in self._ahead:
            found += _found(self._whole(ahead.text)[0], ahead.start, ahead.start)
        return found

    def _read_run(self, pieces: list[Piece], window: bytes, base: int) -> Iterator[Span]:
        """What is in the run's text. A value that needs context might seem to begin before the word that is it, and how
        much is settled would depend on how many events come at a time: so only those are read together that have the
        same words near them."""
        if not self._words(window, self._run.settled - base, len(window)):
            yield from _feed(self._run, window[pieces[0].start - base :])
            return
        for words, some in groupby(pieces, lambda piece: self._words(window, piece.start - base, piece.end - base)):
            group = [*some]
            while group:
                # What is held may have others.
                same = self._words(window, self._run.settled - base, group[-1].end - base) == words
                end = group[-1 if same else 0].end
                yield from _feed(self._run, window[group[0].start - base : end - base])
                group = [piece for piece in group if piece.start >= end]

    def _words(self, window: bytes, at: int, end: int) -> frozenset[int]:
        """Which rules that need context have a word near a text that goes from there to there."""
        finders = self._detector.finders
        found = self._detector.opens(b"Z" * (at > WINDOW) + window[max(0, at - WINDOW) : end])
        return frozenset(i for i in found if i < len(finders) and finders[i].rule.contextual)

    def _loud(self, edges: Mapping[int, _Edge]) -> set[int]:
        """At which events there may be something in a text; mostly there is nothing in any of them."""
        indexes, loud = [*edges], set[int]()
        for at in range(0, len(indexes), _TOGETHER):
            some = indexes[at : at + _TOGETHER]
            if self._detector.opens(b"\n".join(t for i in some for t in (edges[i].before, edges[i].ahead.text))):
                loud.update(some)
        return loud

    def _covered(self, piece: Piece, found: list[Found]) -> bool:
        """Whether all of an event belongs to a value that went on for several before: were texts to begin with each of
        those, there would be ever more of them."""
        for tail in self._tails:
            found += tail.take(piece)
        covered = any(tail.end == piece.end and tail.events > NEIGHBOURS for tail in self._tails)
        self._tails = [tail for tail in self._tails if tail.track.open]
        return covered

    def _before(self, text: bytes, begin: int) -> Iterator[Found]:
        """What ends with a text. Where that was cut off nothing begins, but at the run's beginning."""
        ending = [span for span in self._whole(text)[0] if span.end == len(text)]
        return _found((span for span in ending if span.start >= _SIDE or not begin), begin, begin)

    def _read(self, ahead: _Ahead, ended: bool, loud: bool = True) -> Iterator[Found]:
        """Read a text that begins with an event; where it is not `loud`, there is no whole value in it."""
        spans: list[Span] = []
        if not ended:
            scanner = Scanner(self._detector)
            for begin, stop in pairwise([0, *ahead.ends]):  # one by one, as the run's text
                spans += scanner.feed(ahead.text[begin:stop])
            ahead.settled = ahead.start + scanner.settled
            self._ahead.append(ahead)
        elif loud:
            spans, tails = self._whole(ahead.text)
            end = ahead.start + len(ahead.text)
            self._tails += [_Tail(track, ahead.start, end) for track in tails]
        return _found(spans, ahead.start, ahead.start)

    def _whole(self, text: bytes) -> tuple[list[Span], list[Track]]:
        """What is in a whole text, and what of it might go on behind it."""
        scanner = _Whole(self._detector)
        if len(text) <= SLICE:
            return scanner.feed(text, final=True), scanner.tails
        return [*_feed(scanner, text), *scanner.feed(b"", final=True)], scanner.tails


def _found(spans: Iterable[Span], start: int, reading: int) -> Iterator[Found]:
    """What is in a text that begins there."""
    return (Found(s.kind, s.start + start, s.end + start, s.first, s.more, reading) for s in spans)


def _feed(scanner: Scanner, text: bytes) -> Iterator[Span]:
    for at in range(0, len(text), SLICE):
        yield from scanner.feed(text[at : at + SLICE])
