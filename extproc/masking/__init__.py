"""Detecting and masking of sensitive values, as streaming stages. Pure.

`find` is for whoever wants to know what is in a text; what bodies pass through is made by `build.build`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.masking.engine.engine import Detector


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text are a value of this kind. `score` (0 to 1) says how sure that is, `rule` what
    found it."""

    start: int
    end: int
    kind: str
    score: float
    rule: str


def find(text: str, detector: "Detector | None" = None) -> list[Span]:
    """The sensitive values in a text, in order, not overlapping, as the shipped rules find them, or this detector."""
    from extproc.masking.engine.scanner import scan, whole
    from extproc.masking.shipped import knowledge

    found = whole(scan(detector or knowledge().detector(), text))
    if text.isascii():
        return [Span(s.start, s.end, s.kind, s.score, s.rule) for s in found]
    data, spans, at, characters = text.encode("utf-8", "surrogatepass"), list[Span](), 0, 0
    for s in found:
        start = characters + len(data[at : s.start].decode("utf-8", "surrogatepass"))
        end = start + len(data[s.start : s.end].decode("utf-8", "surrogatepass"))
        spans.append(Span(start, end, s.kind, s.score, s.rule))
        at, characters = s.end, end
    return spans
