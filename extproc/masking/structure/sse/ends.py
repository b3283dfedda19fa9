"""Whether a value ends in the text that has just arrived, for readings from the start of every event that waits.

To read everything again from each of them would cost the product of their number and their length for each event. So
only what may end in the new bytes is looked at, and of those readings only the ones that would find something are done.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.detect import Detector
from extproc.masking.rules import pattern

_START = b"\n\n"


@dataclass(frozen=True, slots=True)
class Shape:
    """One rule: its pattern without boundaries, the most bytes that it matches, and the run that it begins with where a
    match may begin anywhere in that run and is a value, or none, wherever it does."""

    pattern: Pattern
    longest: int
    run: re.Pattern[bytes] | None


class Ends:
    """Shared by all streams (it has no state). `reach` is how many bytes a value's beginning may lie back."""

    __slots__ = ("_detector", "shapes", "reach")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.shapes: list[Shape] = []
        for rule in detector.rules:
            head = rule.pattern[0]
            run = None
            if isinstance(head, pattern.Chars) and head.members == rule.before:
                run = re.compile(f"[{head.members}]*".encode("latin-1"))
            self.shapes.append(Shape(Pattern(pattern.full(rule.pattern)), pattern.longest(rule.pattern), run))
        known = detector.needles.longest if detector.needles is not None else 0
        self.reach = max([1, known, *(shape.longest for shape in self.shapes)])

    def whole(self, indexes: Iterable[int], data: bytes, at: int) -> bool:
        """Whether a value of these rules is in `data`, with its context, and may end beyond `at`. The text stands
        between two bytes of context (or _START) and _START."""
        end = len(data) - 2
        for index in indexes:
            low = max(2, at - self.shapes[index].longest + 1)
            if self._detector.finders[index].next(data, low, end, end + 1) is not None:
                return True
        return False

    def starts(self, indexes: Iterable[int], data: bytes, at: int, edges: Sequence[int], shift: int) -> Iterator[int]:
        """The edges (starts of events, ascending, `shift` more than offsets in `data`) at which a value of these rules
        begins that ends beyond `at`, if nothing stands before that edge; of several in one run the first."""
        end = len(data) - 2
        for index in indexes:
            finder, shape = self._detector.finders[index], self.shapes[index]
            low = max(2, at - shape.longest + 1)
            while finder.rule.before and (hit := shape.pattern.search(data, low, end)):
                begin, stop = hit
                # A validator looks at two bytes before a match, so one a byte after an edge is worth a look too.
                place = bisect_left(edges, begin - 1 + shift)
                if place == len(edges) or edges[place] - shift >= end:
                    break
                if edges[place] - shift > begin:
                    low = edges[place] - shift
                    continue
                low = begin + 1
                first = begin
                for edge in edges[place : place + 2] if stop > at else ():
                    first = edge - shift
                    piece = _START + data[first : first + shape.longest + 3]
                    if first <= begin and finder.next(piece, 2, 4, min(len(piece), end - first + 3)) is not None:
                        yield edge
                    if first >= begin:
                        break
                if first == begin and shape.run is not None and (run := shape.run.match(data, begin, end)):
                    low = max(low, run.end())


@lru_cache(maxsize=64)
def ends(detector: Detector) -> Ends:
    """A shared Ends."""
    return Ends(detector)


class Due:
    """When each credential that may have begun would be whole. Each byte of the text is looked at once, and each place
    where a credential may begin once for each length. Offsets are the text's."""

    __slots__ = ("_detector", "_seen", "_due")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._seen = 0
        self._due: list[tuple[int, int]] = []

    def restart(self, at: int) -> None:
        """The text from here on is another one."""
        self._seen = at
        self._due = []

    def check(self, text: bytearray, base: int) -> bool:
        """Whether a credential ends in what came since the last call. The text is what waits, from offset `base`."""
        needles = self._detector.needles
        if needles is None:
            return False
        end = base + len(text)
        at = max(base, self._seen - needles.longest)
        data = bytes(text[at - base :])
        whole: list[int] = []
        while self._due and self._due[0][0] <= end:
            whole.append(heappop(self._due)[1])
        for begin, length in needles.begun(data, max(0, self._seen - at)):
            if begin + at + length > end:
                heappush(self._due, (begin + at + length, begin + at))
            elif not whole or whole[-1] != begin + at:
                whole.append(begin + at)
        self._seen = end
        return any(s >= at and next(needles.find(data, s - at, s - at + 1, len(data)), None) for s in whole)
