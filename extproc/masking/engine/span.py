"""What was found: spans, and how many of which kind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of the text are a value of this kind. `first` is false for the rest of a value whose
    beginning was given before. `more` are the kinds of further values that begin inside it: a JWT after `Bearer`.
    `score` (0 to 1) is how sure the rule is, `rule` its id."""

    kind: str
    start: int
    end: int
    first: bool = True
    more: tuple[str, ...] = ()
    score: float = 1.0
    rule: str = ""


def tally(counts: dict[str, int], span: Span) -> None:
    """Add the values that begin in a span to the counts by kind."""
    for kind in (span.kind, *span.more) if span.first else span.more:
        counts[kind] = counts.get(kind, 0) + 1


def bounds(spans: Iterable[Span]) -> list[int]:
    """Where each begins and ends, one after the other."""
    return [offset for span in spans for offset in (span.start, span.end)]


def sole(spans: list[Span], length: int) -> str:
    """The kind of the one value that a text of this length is from end to end; "" where it is not one."""
    whole = spans[0].start == 0 and spans[-1].end == length and sum(span.first for span in spans) == 1
    return spans[0].kind if whole else ""


def add(counts: dict[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The counts, which now have these, too."""
    for kind, count in more.items():
        counts[kind] = counts.get(kind, 0) + count
    return counts


def counted(spans: Iterable[Span]) -> dict[str, int]:
    """How many values of each kind these are."""
    counts: dict[str, int] = {}
    for span in spans:
        tally(counts, span)
    return counts
