"""What was nearly found: of all that rules saw in a text, what a person wants to know, place by place."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from extproc.masking.engine.span import Span
from extproc.masking.explain import Candidate, Verdict
from extproc.masking.rules.model import Rule
from extproc.masking.rules.pattern import Alt, Lit, Rep, Seq

_OWN = 2
"""Characters of a text that is a format's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes [start, end) of a text in which nothing is found, and what rules make of them, the likeliest first."""

    start: int
    end: int
    candidates: tuple[Candidate, ...]


def places(candidates: Iterable[Candidate], spans: Iterable[Span], size: int) -> list[Place]:
    """The places of a text of `size` bytes that have the shape of values, in order. What is found (`spans`) is none;
    of each rule only the longest candidates count. Left out are those that neither have context nor would pass their
    check, and those that are less than a whole word or number, unless they begin with a text of the format's own."""
    taken = [(span.start, span.end) for span in spans]
    told = [c for c in candidates if _telling(c, size) and not any(_overlap(c, *place) for place in taken)]
    return sorted(_grouped(_longest(told)), key=lambda place: place.start)


def _telling(candidate: Candidate, size: int) -> bool:
    rule = candidate.rule
    match candidate.verdict:
        case Verdict.NO_CONTEXT if not rule.context:
            return (candidate.start, candidate.end) == (0, size)  # only a whole field can be what its name says
        case Verdict.NO_CONTEXT | Verdict.REFUSED:
            return True
        case Verdict.TOUCHED:
            return _distinct(rule.pattern)
    return False


def _distinct(seq: Seq) -> bool:
    """Whether a pattern begins with a text of its own."""
    match seq[0]:
        case Lit(text):
            return len(text) >= _OWN
        case Alt(choices):
            return all(choice and _distinct(choice) for choice in choices)
        case Rep(body, low):
            return low > 0 and _distinct(body)
    return False


def _overlap(candidate: Candidate, start: int, end: int) -> bool:
    return candidate.start < end and start < candidate.end


def _longest(candidates: list[Candidate]) -> list[Candidate]:
    """Of those of one rule that overlap the longest, and one that touches its neighbour only if there is no other."""
    kept: dict[Rule, list[Candidate]] = {}
    for c in sorted(candidates, key=lambda c: (c.verdict is Verdict.TOUCHED, c.start - c.end, c.start)):
        of = kept.setdefault(c.rule, [])
        if not any(_overlap(c, other.start, other.end) for other in of):
            of.append(c)
    return [c for of in kept.values() for c in of]


def _grouped(candidates: list[Candidate]) -> Iterator[Place]:
    """Those that overlap are one place: that of the longest that lacks no context, or else where most of them are."""
    while candidates:
        shared = Counter((c.start, c.end) for c in candidates)
        sure = {(c.start, c.end) for c in candidates if c.verdict is not Verdict.NO_CONTEXT}
        start, end = max(sure, key=_length) if sure else max(shared, key=lambda p: (shared[p], _length(p)))
        here = [c for c in candidates if _overlap(c, start, end)]
        candidates = [c for c in candidates if not _overlap(c, start, end)]
        here.sort(
            key=lambda c: ((c.start, c.end) != (start, end), not c.rule.context, -c.rule.context_score, c.rule.id)
        )
        yield Place(start, end, tuple(here))


def _length(place: tuple[int, int]) -> tuple[int, int]:
    """How long a place is; of equal ones the first."""
    return place[1] - place[0], -place[0]
