"""Rules tried on their own cases."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from extproc.masking.engine.engine import Detector, Engine
from extproc.masking.engine.scanner import NOTHING, scan, whole
from extproc.masking.explain import Verdict, explain
from extproc.masking.rules.model import Rule

OPEN, CLOSE = "⟦", "⟧"
"""What stands round the exact value in a positive case, where it is not obvious."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that a rule does not keep, and why."""

    rule: str
    case: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A case as a stream has it: a text, and the name of the field that it stands in, if any. `wanted` is the place of
    the marked value, in bytes; None where none is marked."""

    text: str
    name: str = ""
    wanted: tuple[int, int] | None = None

    def found(self, detector: Detector) -> list[tuple[int, int]]:
        """Where values are, in bytes."""
        named = detector.named(self.name) if self.name else NOTHING
        return [(span.start, span.end) for span in whole(scan(detector, self.text, named))]


def readings(rule: Rule, case: str) -> tuple[Reading, ...]:
    """How a case of the rule is read. A JSON object of one member is a text, and that member. A rule that is found by
    the names of fields alone sees a text as what stands in such a field."""
    by_name = rule.contextual and not rule.context
    member = _member(case)
    if member is None:
        return (_marked(case, min(rule.keys) if by_name else ""),)
    name, value = member
    return (_marked(value, name),) if by_name else (_marked(case, ""), _marked(value, name))


def tried(rules: Iterable[Rule]) -> Iterator[Failure]:
    """What is wrong with these rules by their own cases, each rule alone."""
    for rule in rules:
        detector = Engine([rule]).detector()
        for case in rule.positive:
            whys = [_missed(detector, reading) for reading in readings(rule, case)]
            if all(whys):
                yield Failure(rule.id, case, whys[-1])
        for case in rule.negative:
            if why := next(filter(None, (_alarm(detector, reading) for reading in readings(rule, case))), ""):
                yield Failure(rule.id, case, why)


def _member(case: str) -> tuple[str, str] | None:
    """The name and value of a JSON object with one member; None for anything else."""
    if not case.startswith("{"):
        return None
    try:
        document = json.loads(case)
    except ValueError:
        return None
    if not isinstance(document, dict) or len(document) != 1:
        return None
    ((name, value),) = document.items()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return name, str(value)


def _marked(case: str, name: str) -> Reading:
    before, opened, rest = case.partition(OPEN)
    if not opened:
        return Reading(case, name)
    value, _, after = rest.partition(CLOSE)
    return Reading(before + value + after, name, (len(before.encode()), len((before + value).encode())))


def _missed(detector: Detector, reading: Reading) -> str:
    """Why a positive case is not kept; empty where it is."""
    spans = reading.found(detector)
    if not spans:
        candidates = explain(detector, reading.text.encode(), reading.name)
        why = next((c.why for c in candidates if c.verdict is not Verdict.FOUND), "nothing in it has the shape")
        return f"a positive case, and nothing is found in it: {why}"
    if reading.wanted is not None and reading.wanted not in spans:
        return f"found {_quoted(reading, spans)}, and not exactly what is marked"
    return ""


def _alarm(detector: Detector, reading: Reading) -> str:
    """Why a negative case is not kept; empty where it is."""
    spans = reading.found(detector)
    return f"a negative case, and {_quoted(reading, spans)} is found in it" if spans else ""


def _quoted(reading: Reading, spans: list[tuple[int, int]]) -> str:
    data = reading.text.encode()
    return ", ".join(repr(data[start:end].decode("utf-8", "replace")) for start, end in spans)
