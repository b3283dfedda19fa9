"""How well values are found: recall and precision on labelled cases, false alarms on clean text; ours beside others."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.masking import corpora, kinds, ours
from bench.masking.cases import Case, Label
from bench.masking.children import Peer
from bench.masking.score import Found, Tally, judge, judge_line
from extproc.masking.engine.engine import Detector

PRESIDIO, SURE, SECRETS, FILES = "presidio", "presidio from 0.5", "detect-secrets", "detect-secrets, files"
CERTAIN = 0.5
WEIGHTY = frozenset({"financial", "identity", "health"})
"""Families whose values are nowhere in clean text."""

_FILLER = re.compile(r"x{8}")
_PIECE = 4096
_SAMPLES = 12
_AROUND = 30

Say = Callable[[str], None]
Findings = Sequence[Sequence[Found]]


@dataclass(slots=True)
class Row:
    """One entity of a source: a tally for each engine, and examples of what ours missed and of its false alarms."""

    entity: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def values(self) -> int:
        """How many values there are."""
        return self.tallies[ours.NAME].values

    def at_least(self, other: str) -> bool:
        """Whether ours has at least the other's recall, and a precision that is not lower."""
        mine, its = self.tallies[ours.NAME], self.tallies[other]
        return (mine.recall or 0.0) >= (its.recall or 0.0) and _or(mine.precision, 1.0) >= _or(its.precision, 0.0)


@dataclass(slots=True)
class Alarms:
    """Findings in a clean text of so many bytes: how many by kind for each engine, and samples of each."""

    corpus: str
    bytes: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def per_mb(self, engine: str, wanted: Iterable[str]) -> float:
        """Findings of these kinds for each MB."""
        return sum(self.counts[engine].get(kind, 0) for kind in wanted) / (self.bytes / corpora.MB)


@dataclass(frozen=True, slots=True)
class Quality:
    """A whole evaluation. `tables` by title; `versions` of the other engines."""

    tables: Mapping[str, list[Row]]
    alarms: Sequence[Alarms]
    versions: Sequence[str]
    bare: Sequence["Bare"] = ()
    unfilled: Row | None = None


@dataclass(frozen=True, slots=True)
class Bare:
    """What finding personal data without context would give and cost: `rows` of the cases that have none, and findings
    of weight per MB of each clean text, where rules of this score do without; None is how it is."""

    score: float | None
    rows: Sequence[Row]
    alarms: Mapping[str, float]


def entities(cases: Sequence[Case], presidio: Peer | None, detector: Detector | None = None) -> list[Row]:
    """A row for each entity that is compared, over all the cases whose source looked for it. `detector`: see
    `ours.find`."""
    cases = [case for case in cases if not case.entities.isdisjoint(kinds.ENTITIES)]
    texts = [case.text for case in cases]
    found: dict[str, Findings] = {ours.NAME: ours.find(texts, detector)}
    if presidio is not None:
        found[PRESIDIO] = presidio.find(texts, "all")
        found[SURE] = [[f for f in each if f.score >= CERTAIN] for each in found[PRESIDIO]]
    rows = [_entity(name, cases, found) for name in kinds.ENTITIES if any(name in case.entities for case in cases)]
    return [row for row in rows if row.values or row.tallies[ours.NAME].findings]


def _entity(name: str, cases: Sequence[Case], found: Mapping[str, Findings]) -> Row:
    entity = kinds.ENTITIES[name]
    row = Row(name)
    for engine, findings in found.items():
        names = frozenset(entity.kinds) if engine == ours.NAME else frozenset((name, *entity.more))
        total = row.tallies[engine] = Tally()
        for case, each in zip(cases, findings, strict=True):
            if name not in case.entities:
                continue
            tally = judge(case, name, names, each)
            total += tally
            if engine == ours.NAME:
                _note(row, case, tally)
    return row


def bare(score: float | None, cases: Sequence[Case], size: int, presidio: Peer | None, say: Say) -> Bare:
    """The cases and `size` characters of each clean text, with a detector that wants less context."""
    say("without context" + ("" if score is None else f", from {score} on"))
    detector = None if score is None else ours.bare(score)
    families = ours.families()
    counted = {}
    for name, text in corpora.clean(size).items():
        found = ours.find(corpora.pieces(text[:size], _PIECE), detector)
        weighty = sum(families.get(f.kind) in WEIGHTY for each in found for f in each)
        counted[name] = weighty / (len(text[:size].encode()) / corpora.MB)
    return Bare(score, entities(cases, presidio, detector), counted)


def named(cases: Iterable[Case]) -> list[Case]:
    """The cases of one entity each once more, after what a field with such a value is called: `IBAN: …`."""
    made = []
    for case in cases:
        wanted = [name for name in sorted(case.entities) if name in kinds.ENTITIES]
        if len(wanted) == 1 and case.text:
            lead = kinds.ENTITIES[wanted[0]].name + ": "
            labels = tuple(Label(x.entity, x.start + len(lead), x.end + len(lead)) for x in case.labels)
            made.append(replace(case, text=lead + case.text, labels=labels))
    return made


def plugins(cases: Sequence[Case], peer: Peer | None) -> list[Row]:
    """A row for each plugin of detect-secrets that is compared."""
    cases = [case for case in cases if not case.entities.isdisjoint(kinds.PLUGINS)]
    texts = [case.text for case in cases]
    found: dict[str, Findings] = {ours.NAME: ours.find(texts)}
    if peer is not None:
        found[SECRETS] = peer.find(texts, "line")
    secret = frozenset(kind for kind, family in ours.families().items() if family == "secret")
    rows = []
    for name, (own, theirs) in kinds.PLUGINS.items():
        row = Row(name)
        for engine, findings in found.items():
            total = row.tallies[engine] = Tally()
            for case, each in zip(cases, findings, strict=True):
                if name not in case.entities:
                    continue
                if engine == ours.NAME:
                    tally = judge_line(case, frozenset(own), secret, each)
                    _note(row, case, tally)
                else:
                    tally = judge_line(case, frozenset((theirs,)), frozenset(f.kind for f in each), each)
                total += tally
        if row.values:
            rows.append(row)
    return rows


def unfilled(cases: Iterable[Case]) -> list[Case]:
    """Without those whose secret is a prefix and a row of one letter, as docs and templates have in its place."""
    return [case for case in cases if not _FILLER.search(case.text)]


def total(name: str, rows: Iterable[Row]) -> Row:
    """The sum of rows."""
    row = Row(name)
    for each in rows:
        for engine, tally in each.tallies.items():
            row.tallies.setdefault(engine, Tally()).__iadd__(tally)
    return row


def alarms(size: int, presidio: Peer | None, peer: Peer | None, say: Say) -> list[Alarms]:
    """What is found in each clean corpus, of `size` characters."""
    made = []
    for (name, text), suffix in zip(corpora.clean(size).items(), (".py", ".log", ".json"), strict=True):
        text = text[:size]
        cut = corpora.pieces(text, _PIECE)
        result = Alarms(name, len(text.encode()))
        say(f"{name}: {len(text):,} characters")
        _count(result, ours.NAME, cut, ours.find(cut))
        if peer is not None:
            say(f"{name}: {peer.version}")
            _count(result, SECRETS, cut, peer.find(cut, "line"))
            _count(result, FILES, cut, peer.find(cut, "file" + suffix))
        if presidio is not None:
            say(f"{name}: {presidio.version}")
            found = presidio.find(cut, "all")
            _count(result, PRESIDIO, cut, found)
            _count(result, SURE, cut, [[f for f in each if f.score >= CERTAIN] for each in found])
        made.append(result)
    return made


def _count(result: Alarms, engine: str, texts: Sequence[str], findings: Findings) -> None:
    counts = result.counts[engine] = {}
    samples = result.samples[engine] = {}
    for text, each in zip(texts, findings, strict=True):
        for found in each:
            counts[found.kind] = counts.get(found.kind, 0) + 1
            kept = samples.setdefault(found.kind, [])
            if len(kept) < _SAMPLES:
                kept.append(_around(text, found.start, found.end))


def _note(row: Row, case: Case, tally: Tally) -> None:
    if tally.found < tally.values and len(row.missed) < _SAMPLES:
        row.missed.append(_short(case.text))
    if tally.right < tally.findings and len(row.wrong) < _SAMPLES:
        row.wrong.append(_short(case.text))


def _around(text: str, start: int, end: int) -> str:
    before, value, after = text[max(0, start - _AROUND) : start], text[start:end], text[end : end + _AROUND]
    return f"{before}⟦{value[:80]}⟧{after}".replace("\n", "⏎")


def _short(text: str) -> str:
    return (text if len(text) <= 160 else text[:160] + "…").replace("\n", "⏎")


def _or(share: float | None, default: float) -> float:
    return default if share is None else share
