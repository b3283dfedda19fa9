"""What was found: spans, and how many of which kind."""

from collections.abc import Iterable
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


def counted(spans: Iterable[Span]) -> dict[str, int]:
    """How many values of each kind these are."""
    counts: dict[str, int] = {}
    for span in spans:
        tally(counts, span)
    return counts
