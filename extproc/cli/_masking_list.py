"""What `holdpoint masking list` shows: rules as a table, and as the YAML that they are written in."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml

from extproc.cli._terminal import fit, width, widths_of
from extproc.domain.display import visible
from extproc.masking.checks import describe
from extproc.masking.explain import written
from extproc.masking.rules.model import WORD, Family, Rule
from extproc.masking.rules.pattern import Alt, Lit
from extproc.masking.rules.reading import expand

_HEAD = ("RULE", "KIND", "FAMILY", "SCORE", "ABOUT")
_WIDE = 118
_LEAST_FOLDED = 8
_LONGEST_UNIT = 8
_QUOTED = {"pattern", "before", "after"}
_REPEATING = re.compile(rf"(.{{1,{_LONGEST_UNIT}}}?)\1+", re.DOTALL)


def table(rules: Sequence[Rule], columns: int) -> Iterator[str]:
    """One line a rule, in so many columns."""
    rows = [_HEAD, *map(_row, rules)]
    widths = widths_of(rows, {4: (18, 200), 1: (12, 60), 0: (24, 60)}, columns)
    for row in rows:
        yield "  ".join(fit(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
    kinds = len({rule.kind for rule in rules})
    yield f"{len(rules)} rule{'s' * (len(rules) != 1)}, {kinds} kind{'s' * (kinds != 1)}"


def _row(rule: Rule) -> tuple[str, ...]:
    alone = "-" if rule.contextual else f"{rule.score:.2f}"
    near = f"/{rule.context_score:.2f}" if rule.context or rule.keys else ""
    return rule.id, rule.kind, rule.family.value, alone + near, visible(rule.about)


def document(rule: Rule) -> dict[str, Any]:
    """A rule, or a list of words, as it is written in YAML."""
    told: dict[str, Any] = {"id": rule.id, "kind": rule.kind, "family": rule.family.value}
    told |= {name: text for name, text in (("about", rule.about), ("source", rule.source)) if text}
    words = _words(rule)
    told |= words or _shape(rule)
    if rule.context:
        told["context"] = [written(word) for word in rule.context]
    if rule.keys:
        told["keys"] = sorted(rule.keys)
    if rule.score != 1.0 or not words:
        told["score"] = rule.score
    if rule.context or rule.keys:
        told["score_in_context"] = rule.context_score
    return told | {
        name: [folded(case) if rule.family is Family.SECRET else case for case in cases]
        for name, cases in (("positive", rule.positive), ("negative", rule.negative))
        if cases
    }


def is_words(rule: Rule) -> bool:
    """Whether it is a list of words, and no rule with a pattern."""
    return not rule.text


def _shape(rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {"pattern": rule.text}
    if rule.before != WORD:
        told["before"] = rule.before
    if rule.tail is None and rule.after != WORD:
        told["after"] = rule.after
    if rule.tail is not None and rule.tail.block:
        told["tail"] = "pem"
    if rule.checks:
        checks = rule.checks.split(", ")
        told["check"] = checks if len(checks) > 1 else checks[0]
    return told


def _words(rule: Rule) -> dict[str, Any]:
    (first, *_) = rule.value
    if not is_words(rule) or not isinstance(first, Alt):
        return {}
    parts = [[atom for atom in choice if isinstance(atom, Lit)] for choice in first.choices]
    told: dict[str, Any] = {"words": [written("".join(atom.text for atom in of)) for of in parts]}
    if not any(atom.fold for of in parts for atom in of):
        told["fold"] = False
    return told


def folded(case: str) -> str:
    """A case with its long repetitions as `{{ab*3}}`, so that no scanner takes it for a secret."""
    if "{{" in case or "}}" in case:
        return case

    def fold(found: re.Match[str]) -> str:
        text, unit = found[0], found[1]
        return f"{{{{{unit}*{len(text) // len(unit)}}}}}" if len(text) >= _LEAST_FOLDED else text

    short = _REPEATING.sub(fold, case)
    return short if expand(short) == case else case


def as_yaml(rules: Iterable[Rule]) -> Iterator[str]:
    """The rules as a file of rules, which gives the same ones when it is read."""
    told = list(rules)
    for title, of in (
        ("rules", [rule for rule in told if not is_words(rule)]),
        ("words", [rule for rule in told if is_words(rule)]),
    ):
        if of:
            yield f"{title}:"
        for rule in of:
            for index, (name, value) in enumerate(document(rule).items()):
                mark = "    " if index else "  - "
                if not isinstance(value, list):
                    yield f"{mark}{name}: {_scalar(value, name in _QUOTED)}"
                else:
                    yield from _items(f"{mark}{name}: ", [_item(item) for item in value])


def _items(head: str, items: list[str]) -> Iterator[str]:
    """A list in brackets, in lines that people can read."""
    line = f"{head}["
    for index, item in enumerate(items):
        text = item + ("," if index + 1 < len(items) else "]")
        if line.strip() and width(line) + 1 + width(text) > _WIDE:
            yield line.rstrip()
            line = " " * 6
        line += text if line.endswith("[") or not line.strip() else f" {text}"
    yield line


def _scalar(value: str | float | bool, quoted: bool) -> str:
    style = None if not isinstance(value, str) else '"' if not value.isprintable() else "'" if quoted else None
    text = yaml.safe_dump(value, default_style=style, width=1 << 20, allow_unicode=True)
    return str(text).removesuffix("...\n").strip()


def _item(value: str) -> str:
    """An item of a list in brackets: what has a comma is quoted."""
    style = None if value.isprintable() else '"'
    text = yaml.safe_dump([value], default_flow_style=True, default_style=style, width=1 << 20, allow_unicode=True)
    return str(text).strip()[1:-1]


def checks(columns: int) -> Iterator[str]:
    """What a rule may name as its check, in so many columns."""
    told = describe()
    longest = max(map(len, told))
    for name, about in told.items():
        yield textwrap.fill(
            f"{name.ljust(longest)}  {about}", columns, subsequent_indent=" " * min(longest + 2, columns // 2)
        )
