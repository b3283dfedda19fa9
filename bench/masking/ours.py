"""Our engine as the evaluation and the speed bench use it: every shipped rule on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.masking.score import Found
from extproc import masking
from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build, warm
from extproc.masking.engine.engine import Detector, Engine
from extproc.masking.rules import pattern
from extproc.masking.rules.model import CERTAIN, Family
from extproc.masking.shipped import knowledge
from extproc.masking.stage import Stage

NAME = "holdpoint"
_EVERYTHING = Mask("bench", kinds=("*",), keys=(), operator=Operator.REDACT)


def find(texts: Sequence[str], detector: Detector | None = None) -> list[list[Found]]:
    """What is found in each of the texts, offsets in characters; with every shipped rule as it is, or by a detector."""
    return [
        [Found(span.kind, span.start, span.end, span.score) for span in masking.find(text, detector)] for text in texts
    ]


def bare(score: float) -> Detector:
    """One that finds personal data without context, too, where its rule is at least so sure of it."""
    rules = knowledge().engine.rules
    eager = [rule.family is not Family.SECRET and score <= rule.score < CERTAIN for rule in rules]
    changed = [replace(rule, score=CERTAIN) if e else rule for rule, e in zip(rules, eager, strict=True)]
    return Engine(changed).detector()


def families() -> Mapping[str, str]:
    """The family of every kind there is."""
    return {kind: str(family) for kind, family in knowledge().engine.families.items()}


def rules() -> int:
    """How many rules are on."""
    return len(knowledge().engine.rules)


def prepare() -> None:
    """Compile what is compiled when it is first needed, as a worker does before its first request."""
    warm(knowledge())


def detector() -> Detector:
    """What finds every kind."""
    return knowledge().engine.detector()


def stage(content_type: str) -> Stage:
    """What a response of this type passes through where policy masks everything. Raises ValueError for none."""
    built = build([_EVERYTHING], "response", content_type, knowledge())
    if built is None:
        raise ValueError("no stage for a mask of everything")
    return built


def expressions() -> list[str]:
    """Every rule's pattern as a regular expression for Python's `re`, without boundaries, context and validators."""
    return [pattern.full(rule.pattern) for rule in knowledge().engine.rules]


def as_json(text: str) -> bytes:
    """A text as an API would answer with it: one member for each of its lines."""
    return json.dumps({"items": [{"n": n, "text": line} for n, line in enumerate(text.splitlines())]}).encode()
