"""Why something in a text is a value, and why something else is not: what each rule saw, for rule authors.

Slow: for people, not for traffic.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from extproc.masking.checks import named as check_named
from extproc.masking.engine._re2 import Groups, Pattern
from extproc.masking.engine.context import Context
from extproc.masking.engine.engine import Detector
from extproc.masking.engine.finder import Finder
from extproc.masking.engine.scanner import NOTHING, START, scan, whole
from extproc.masking.engine.span import Span
from extproc.masking.rules import pattern
from extproc.masking.rules.model import CERTAIN, CONTEXT, Family, Rule

MOST = 1000
"""Candidates of one rule that are told, at most."""

_WORDS = 8


class Verdict(StrEnum):
    """What became of a candidate."""

    FOUND = "found"
    NO_CONTEXT = "no context"
    REFUSED = "check refused it"
    NEITHER = "no context, and check refused it"
    TOUCHED = "touches its neighbour"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Bytes [start, end) have the shape of a rule's value. `why` says what became of it, in words; `detail` is what it
    turned on: the context word, the check that refused, the neighbour."""

    rule: Rule
    start: int
    end: int
    verdict: Verdict
    score: float
    why: str
    detail: str = ""


def explain(detector: Detector, data: bytes, name: str = "") -> list[Candidate]:
    """What every rule that is looked for makes of a whole text, by offset; `name` is that of the field it stands in."""
    named = detector.named(name) if name else NOTHING
    won = {(span.rule, span.start) for span in spans(detector, data, name)}
    wanted = {rule.id for rule in detector.rules}
    told = [
        candidate
        for index, finder in enumerate(detector.finders)
        if index >= len(detector.engine.rules) or finder.rule.id in wanted
        for candidate in _of(finder, data, index in named)
    ]
    told.sort(key=lambda c: (c.start, (c.rule.id, c.start) not in won, c.verdict is not Verdict.FOUND, -c.end))
    return told


def spans(detector: Detector, data: bytes, name: str = "") -> list[Span]:
    """What is masked in a whole text: the values of all rules, merged. Offsets are bytes."""
    return whole(scan(detector, data, detector.named(name) if name else NOTHING))


def beginning(rule: Rule, data: bytes) -> tuple[int, int]:
    """Where the longest beginning of the rule's shape stands in a text: bytes [start, end), empty if there is none."""
    closure = _pattern(pattern.prefixes(rule.pattern))
    ends = ((closure.match_end(data, start, len(data)), start) for start in range(len(data)))
    end, start = max(ends, key=lambda found: (found[0] - found[1], -found[1]), default=(0, 0))
    return start, max(start, end)


def written(word: str) -> str:
    """A context word as its author wrote it: rules have the bytes of its UTF-8 as characters."""
    return word.encode("latin-1").decode("utf-8", "replace")


def _of(finder: Finder, data: bytes, named: bool) -> Iterator[Candidate]:
    """The candidates of one rule: what it finds, and what else has its shape."""
    rule = finder.rule
    buffer = START + data + b"\n\n"
    at, end = len(START), len(START) + len(data)
    found: list[tuple[int, int]] = []
    while len(found) < MOST and (value := finder.next(buffer, at, end, end + 1 if rule.after else end, named)):
        at = finder.extent(buffer, value.head, end)
        found.append((value.begin, at))
        yield _found(finder, buffer, value.begin, (value.start, at), value.score, named)
    shape = _pattern(pattern.full(rule.pattern))
    apart = _pattern(_beside(rule.before) + pattern.full(rule.pattern) + _beside(rule.after))
    at = last = len(START)
    for _ in range(MOST):
        hit = shape.search(buffer, at, end)
        if hit is None:
            return
        begin, stop = hit
        at = begin + 1
        if inside := next((over for start, over in found if start <= begin < over), 0):
            at = last = inside
        elif stop > last:  # no end of a longer candidate
            last = stop
            bounded = apart.match_end(buffer, begin - bool(rule.before), end + 1)
            if bounded < 0:
                yield _touched(rule, buffer, begin, stop)
            else:
                yield _refused(finder, buffer, begin, bounded - bool(rule.after), named)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


def _beside(members: str) -> str:
    return f"[^{members}]" if members else ""


def _told(
    rule: Rule, start: int, end: int, verdict: Verdict, why: str, detail: str = "", score: float = 0.0
) -> Candidate:
    return Candidate(rule, start - len(START), end - len(START), verdict, score, why, detail)


def _found(finder: Finder, buffer: bytes, begin: int, place: tuple[int, int], score: float, named: bool) -> Candidate:
    rule = finder.rule
    word = next((written(word) for word in rule.context if _word(word).near(buffer, begin)), "")
    if named:
        why = "the name of its field is context"
    elif word:
        why = f"`{word}` stands before it"
    else:
        why = "its shape is enough" if not rule.checks else "its shape"
    if rule.checks:
        why += f", and `{rule.checks}` accepts it"
    return _told(rule, *place, Verdict.FOUND, why, word, score)


def _refused(finder: Finder, buffer: bytes, begin: int, stop: int, named: bool) -> Candidate:
    """A candidate that lacks context, or fails its check, or both."""
    rule, start = finder.rule, begin
    if rule.lead:
        groups = Groups(f"({pattern.full(rule.lead)}){pattern.full(rule.value)}")
        start = groups.first(buffer, begin, stop)
    check = _refuser(rule, buffer, start, stop)
    if named or rule.score >= CERTAIN or finder.context.near(buffer, begin):
        return _told(rule, start, stop, Verdict.REFUSED, f"it has the shape, and `{check}` refuses it", check)
    if check:
        why = f"{needs(rule)}; nor would that be enough, for `{check}` refuses it"
        return _told(rule, start, stop, Verdict.NEITHER, why, check)
    return _told(rule, start, stop, Verdict.NO_CONTEXT, needs(rule))


def _refuser(rule: Rule, buffer: bytes, start: int, stop: int) -> str:
    """The first of the rule's checks that accepts nothing; empty where all do."""
    for name in rule.checks.split(", ") if rule.checks else ():
        stop = check_named(name)(buffer, start, stop)
        if not stop:
            return name
    return ""


def _touched(rule: Rule, buffer: bytes, begin: int, stop: int) -> Candidate:
    side, members, at = "left", rule.before, begin - 1
    if not members or _pattern(f"[^{members}]").search(buffer, at, begin):
        side, members, at = "right", rule.after, stop
    neighbour = buffer[at : at + 1].decode("latin-1")
    why = f"{neighbour!r} stands on its {side}, which may not be of [{members}]"
    return _told(rule, begin, stop, Verdict.TOUCHED, why, f"{neighbour!r} on its {side}")


def needs(rule: Rule) -> str:
    """What context a rule asks for."""
    said = []
    if rule.context:
        said.append(f"a word in the {CONTEXT} bytes before it: {_some(map(written, rule.context))}")
    if rule.keys:
        said.append(f"a field of the name {_some(sorted(rule.keys))}")
    return f"it needs {', or '.join(said)}"


def _some(words: Iterable[str]) -> str:
    told = list(words)
    return ", ".join(told if len(told) <= _WORDS else [*told[:_WORDS], "…"])


@lru_cache(maxsize=4096)
def _word(word: str) -> Context:
    """Context of this word alone."""
    return Context(Rule(id="", kind="", family=Family.SECRET, value=(), context=(word,)))
