"""What is said of rules that keep their cases and could still do better: too broad, slow, or hardly tested."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.context import Context
from extproc.masking.engine.engine import Engine
from extproc.masking.engine.scanner import scan, whole
from extproc.masking.explain import Verdict, explain, written
from extproc.masking.ordinary import TEXT
from extproc.masking.rules import pattern
from extproc.masking.rules.model import Rule
from extproc.masking.trial import readings

_OFTEN = 0.1
"""The part of the lines of ordinary text that may have a word of a rule's context."""

_BEGIN, _RARE = 6, 0.01
"""How often chance may write the first bytes of a rule's values."""

_QUOTED = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """What an author may want to do about a rule."""

    rule: str
    what: str


def advice(rules: Iterable[Rule]) -> Iterator[Advice]:
    """What there is to say of each, alone."""
    for rule in rules:
        engine = Engine([rule])
        for what in (_broad(engine), _slow(engine, rule), *_untested(engine, rule)):
            if what:
                yield Advice(rule.id, what)


def _broad(engine: Engine) -> str:
    data = TEXT.encode()
    found = whole(scan(engine.detector(), data))
    if not found:
        return ""
    shown = ", ".join(repr(data[span.start : span.end].decode("utf-8", "replace")) for span in found[:_QUOTED])
    return (
        f"too broad: in a page of ordinary text it finds {len(found)}, as {shown}; a `check`, or `context` and a score "
        "below 0.5, would tell them apart"
    )


def _slow(engine: Engine, rule: Rule) -> str:
    if not rule.contextual:
        if pattern.chance(pattern.beginning(rule.pattern, _BEGIN)) < _RARE:
            return ""
        return (
            "slow: much of any text could be its beginning, so that it is looked for everywhere; let its pattern begin "
            "with something of its own, or give it `context` and a score below 0.5"
        )
    lines = [b"\n" + line.encode() + b"\n" for line in TEXT.splitlines() if line]
    opened = sum(bool(engine.gate.opens(line)) for line in lines)
    if opened < _OFTEN * len(lines):
        return ""
    common = [written(word) for word in rule.context if _stands(rule, word, lines)]
    return (
        f"slow: a word of its context stands in {opened} of {len(lines)} lines of ordinary text "
        f"({', '.join(common[:_QUOTED])}); words that common are better `keys`"
    )


def _stands(rule: Rule, word: str, lines: list[bytes]) -> bool:
    context = Context(replace(rule, context=(word,)))
    return sum(context.near(line, len(line)) for line in lines) >= _OFTEN / 4 * len(lines)


def _untested(engine: Engine, rule: Rule) -> Iterator[str]:
    """What no negative case shows."""
    detector, verdicts, near = engine.detector(), set[Verdict](), False
    closure = Pattern(pattern.prefixes(rule.pattern))
    half = pattern.shortest(rule.pattern) / 2
    for case in rule.negative:
        for reading in readings(rule, case):
            data = reading.text.encode()
            verdicts |= {candidate.verdict for candidate in explain(detector, data, reading.name)}
            near = near or any(closure.match_end(data, at, len(data)) - at >= half for at in range(len(data)))
    if rule.checks and not verdicts & {Verdict.REFUSED, Verdict.NEITHER}:
        yield f"no negative case shows what `{rule.checks}` refuses: one with the shape that is none"
    if rule.contextual and rule.context and not verdicts & {Verdict.NO_CONTEXT, Verdict.NEITHER}:
        yield "no negative case shows that it takes context: the shape alone, or after another word"
    if rule.text and not near:
        yield "no negative case comes near: one character less, or inside a longer word"
