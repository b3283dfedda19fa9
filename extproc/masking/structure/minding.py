"""One look at many fields at once: for which rules it does not tell that none of them has a value."""

from collections.abc import Iterable
from functools import lru_cache

from extproc.masking.engine.engine import Detector
from extproc.masking.plan import Plan
from extproc.masking.rules.model import Rule
from extproc.masking.rules.pattern import has, members, writable


@lru_cache(maxsize=256)
def taking(plan: Plan, marks: bytes) -> frozenset[int]:
    """Indexes of the rules that may take one of these marks for part of a value: where they stand between two fields,
    such a rule may find too long a value, refuse it, and never see the short one. And that of credentials, which may be
    written in lines."""
    credentials = frozenset([plan.detector.credentials] if plan.detector.search is not None else [])
    return credentials | frozenset(index for index, rule in _rules(plan) if _any(_inside(rule), marks))


@lru_cache(maxsize=256)
def minding(plan: Plan, beside: bytes, inside: bytes, letters: bytes = b"") -> tuple[Detector, frozenset[int]] | None:
    """What finds the values of rules that mind one mark of `beside` next to a value, or may take one of `inside` for
    part of it, and the indexes of these rules; None where there are none. With `letters` only of those that may find
    values in nothing else."""
    found = frozenset(
        index
        for index, rule in _rules(plan)
        if (_any({rule.before, rule.after} - {""}, beside) or _any(_inside(rule), inside))
        and (not letters or writable(rule.pattern, letters))
    )
    kinds = frozenset(plan.detector.kind(index) for index in found)
    return (plan.detector.engine.detector(kinds), found) if found else None


def _rules(plan: Plan) -> Iterable[tuple[int, Rule]]:
    kinds = plan.detector.kinds
    return ((index, rule) for index, rule in enumerate(plan.detector.engine.rules) if rule.kind in kinds)


def _inside(rule: Rule) -> set[str]:
    return members(rule.pattern) | ({rule.tail.members} if rule.tail is not None else set())


def _any(classes: set[str], marks: bytes) -> bool:
    return any(has(inside, marks) for inside in classes)
