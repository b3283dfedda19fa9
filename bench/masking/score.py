"""Recall and precision from labels and findings, by overlap of spans. Pure.

A label is found where findings of its entity's kinds cover at least half of it; `exact` where one of them has the same
bounds; `covered` where findings of any kind cover at least half, for a mask does not ask what a value is called. A
finding is right where at least half of it lies in labels of its entity, or it covers at least half of one. Where a
source tells only how many values a text has, so many findings are taken for right.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from bench.masking.cases import Case

HALF = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """A finding: characters [start, end) of the text, what its engine calls it, and how sure it is (0 to 1)."""

    kind: str
    start: int
    end: int
    score: float = 1.0


@dataclass(slots=True)
class Tally:
    """How many values there were, how many of them were found, exactly, and covered by findings of whatever kind; how
    many findings there were, and how many of them are right."""

    values: int = 0
    found: int = 0
    exact: int = 0
    covered: int = 0
    findings: int = 0
    right: int = 0

    @property
    def recall(self) -> float | None:
        """The share of values that were found; None where there were none."""
        return self.found / self.values if self.values else None

    @property
    def precision(self) -> float | None:
        """The share of findings that are right; None where there were none."""
        return self.right / self.findings if self.findings else None

    def __iadd__(self, other: "Tally") -> Self:
        self.values += other.values
        self.found += other.found
        self.exact += other.exact
        self.covered += other.covered
        self.findings += other.findings
        self.right += other.right
        return self


def overlap(start: int, end: int, spans: Iterable[tuple[int, int]]) -> float:
    """The share of [start, end) that the spans cover together, 0 to 1."""
    if end <= start:
        return 0.0
    covered, at = 0, start
    for low, high in sorted(spans):
        low, high = max(low, at), min(high, end)
        if high > low:
            covered += high - low
            at = high
    return covered / (end - start)


def judge(case: Case, entity: str, kinds: frozenset[str], findings: Sequence[Found]) -> Tally:
    """How an engine did on one entity of a case: `kinds` are those of its kinds that stand for the entity."""
    mine = [f for f in findings if f.kind in kinds]
    if case.count is not None:
        hits = min(len(mine), case.count)
        return Tally(case.count, hits, hits, min(len(findings), case.count), len(mine), hits)
    labels = [(label.start, label.end) for label in case.labels if label.entity == entity]
    spans = [(f.start, f.end) for f in mine]
    everything = [(f.start, f.end) for f in findings]
    return Tally(
        values=len(labels),
        found=sum(overlap(*label, spans) >= HALF for label in labels),
        exact=sum(label in spans for label in labels),
        covered=sum(overlap(*label, everything) >= HALF for label in labels),
        findings=len(spans),
        right=sum(
            overlap(*span, labels) >= HALF or any(overlap(*label, [span]) >= HALF for label in labels) for span in spans
        ),
    )


def judge_line(case: Case, kinds: frozenset[str], secrets: frozenset[str], findings: Sequence[Found]) -> Tally:
    """How an engine did on a line of which it is known whether it has a secret. One with a secret is found by a finding
    of any kind in `secrets` (where its place is known, one that covers half of it). In one without, what counts as a
    false alarm is a finding of the `kinds` that its source meant: it may well have a secret of another kind."""
    covering = [(f.start, f.end) for f in findings if f.kind in secrets]
    if case.labels:
        label = (case.labels[0].start, case.labels[0].end)
        hit = overlap(*label, covering) >= HALF
        return Tally(1, int(hit), int(label in covering), int(hit), int(hit), int(hit))
    if case.count:
        hit = bool(covering)
        return Tally(1, int(hit), int(hit), int(bool(findings)), int(hit), int(hit))
    return Tally(findings=int(any(f.kind in kinds for f in findings)))
