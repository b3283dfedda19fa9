"""Looking through many small texts at once: of what one look costs, nearly all is the same for many."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from extproc.masking.engine.scanner import START, Scanner, scan
from extproc.masking.engine.span import Span
from extproc.masking.plan import Plan
from extproc.masking.structure.delimiters import absorbing

BETWEEN = b"\n"
"""What stands between two texts."""

_UNNAMED: frozenset[int] = frozenset()

LONG = 1 << 10
"""Bytes of a text from which on it costs as much by itself."""

ALONE = bytes(bytearray(b"\0alone"))
"""In place of a text: it has to be looked at by other means."""


class Together:
    """Finds values in texts that have nothing to do with each other. Between two of them stands what stands around a
    whole text, so whatever is found in one alone is found there among the others; but by rules that may take that for
    a part of a value (`absorbing`): where one of these has anything to look at, texts are looked at one by one."""

    __slots__ = ("_detector", "_loose")

    def __init__(self, plan: Plan) -> None:
        self._detector = plan.detector
        self._loose = absorbing(plan.detector, BETWEEN)

    def any(self, joined: bytes) -> bool:
        """Whether one of many texts, joined by BETWEEN, may have values; by rules that no name is context for."""
        active = self._detector.opens(joined)
        if not self._loose.isdisjoint(active):
            return True
        return bool(active and Scanner(self._detector, _UNNAMED).feed(joined, True, active))

    def suspects(self, texts: Sequence[bytes | None], named: frozenset[int]) -> list[int]:
        """Which of the texts may have values; None and empty ones have none. They are context for each other here, so
        that in some nothing will be found."""
        joined = BETWEEN.join(filter(None, texts))
        active = self._detector.opens(joined) if joined else []
        alone = ALONE in texts
        if not (active or named or alone):
            return []
        if not self._loose.isdisjoint(named.union(active)):
            return [at for at, text in enumerate(texts) if text]
        spans = Scanner(self._detector, named).feed(joined, True, active) if joined and (active or named) else []
        found = {at for at, text in enumerate(texts) if text is ALONE} if alone else set[int]()
        if spans:
            places = [at for at, text in enumerate(texts) if text]
            starts = list(accumulate((len(texts[at] or b"") + 1 for at in places), initial=0))
            for span in spans:
                first, last = (bisect_right(starts, offset) - 1 for offset in (span.start, span.end))
                found.update(places[first : last + 1])
        return sorted(found)

    def spans(self, texts: Sequence[bytes], named: frozenset[int]) -> list[list[Span]]:
        """The values in each of the texts, as if it was alone: what is context ends where the one before does."""
        if len(texts) > 1:
            joined = START.join(texts)
            active = self._detector.opens(joined)
            if self._loose.isdisjoint(named.union(active)):
                found = Scanner(self._detector, named).feed(joined, True, active) if active or named else []
                return _apart(texts, found)
        return [scan(self._detector, text, named) for text in texts]


def _apart(texts: Sequence[bytes], spans: list[Span]) -> list[list[Span]]:
    """Spans of texts that were joined, by text."""
    starts = list(accumulate((len(text) + len(START) for text in texts), initial=0))
    apart: list[list[Span]] = [[] for _ in texts]
    for span in spans:
        at = bisect_right(starts, span.start) - 1
        start = starts[at]
        apart[at].append(
            Span(span.kind, span.start - start, span.end - start, span.first, span.more, span.score, span.rule)
        )
    return apart
