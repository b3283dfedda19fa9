"""Delimiters beside rules: which rules could read two fields that are searched together as one value.

Rules and the bytes that their values may contain are compared once for each detector and delimiter, since either takes
the engine's hundreds of patterns.
"""

from collections.abc import Iterable
from functools import lru_cache, reduce
from operator import or_

from extproc.masking.engine.engine import Detector, Engine
from extproc.masking.rules.pattern import bits, bits_of, members, writable


@lru_cache(maxsize=256)
def absorbing(detector: Detector, delimiters: bytes) -> frozenset[int]:
    """Indexes of the rules whose values may contain one of these delimiters: between two fields, such a rule may match
    too long a value, reject it, and never see the short one. Credentials count too, since they may be written in
    lines."""
    credentials = frozenset([detector.credentials] if detector.search is not None else [])
    wanted, contents = bits_of(delimiters), _contents(detector.engine)
    return credentials | frozenset(index for index in _indexes(detector) if contents[index] & wanted)


@lru_cache(maxsize=256)
def prefilter(
    detector: Detector, beside: bytes, inside: bytes, letters: bytes = b""
) -> tuple[Detector, frozenset[int]] | None:
    """Prefilter: the rules that do not match next to one of `beside`, or whose values may contain one of `inside`, as a
    detector and by index; None where there are none. With `letters`, only those whose values may consist of nothing
    else."""
    contents, touching, wanted = _contents(detector.engine), bits_of(beside), bits_of(inside)
    found = frozenset(
        index
        for index in _indexes(detector)
        if (contents[index] & wanted or _forbidden(detector.engine)[index] & touching)
        and (not letters or writable(detector.engine.rules[index].pattern, letters))
    )
    return (detector.engine.detector(frozenset(map(detector.kind, found))), found) if found else None


def _indexes(detector: Detector) -> Iterable[int]:
    return (index for index, rule in enumerate(detector.engine.rules) if rule.kind in detector.kinds)


@lru_cache(maxsize=4)
def _contents(engine: Engine) -> tuple[int, ...]:
    """For each rule, the bytes that its values may contain, as bits."""
    return tuple(
        _union(members(rule.pattern) | ({rule.tail.members} if rule.tail is not None else set()))
        for rule in engine.rules
    )


@lru_cache(maxsize=4)
def _forbidden(engine: Engine) -> tuple[int, ...]:
    """For each rule, the bytes that may not touch its values, as bits."""
    return tuple(_union({rule.before, rule.after} - {""}) for rule in engine.rules)


def _union(classes: Iterable[str]) -> int:
    return reduce(or_, map(bits, classes), 0)


def forget() -> None:
    """Let go of engines that are replaced."""
    for remembered in (absorbing, prefilter, _contents, _forbidden):
        remembered.cache_clear()
