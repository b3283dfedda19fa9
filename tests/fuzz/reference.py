"""Masking of JSON as one would write it who has the whole document: parse it, walk it, look at each text."""

import json
from dataclasses import dataclass
from typing import Any

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.operators import mask_text
from extproc.masking.plan import Plan
from extproc.masking.structure.jsonstage import whole_number
from extproc.masking.structure.names import names
from extproc.masking.text import paint


class Out:
    """Stands for what is left out."""


OUT = Out()


@dataclass(frozen=True)
class Number:
    """A number as it is spelt."""

    spelt: str


class Members(list[Any]):
    """An object: pairs, for a name may occur twice."""


def parsed(text: str) -> Any:
    """A document, nothing of it lost but spacing and escapes. Raises ValueError."""
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=Members)


def masked(plan: Plan, value: Any, named: frozenset[int] = NOTHING) -> Any:
    """What a JsonStage makes of a document, OUT for what a DropStage behind leaves out."""
    if isinstance(value, str):
        return _text(plan, value, named)
    if isinstance(value, Number):
        return _number(plan, value, named)
    if isinstance(value, Members):
        return Members(pair for pair in (_member(plan, *pair) for pair in value) if pair[1] is not OUT)
    if isinstance(value, list):
        return [item for item in (masked(plan, item, named) for item in value) if item is not OUT]
    return value


def _member(plan: Plan, name: str, value: Any) -> tuple[Any, Any]:
    kind = names(plan).selected(name)
    below = masked(plan, value, plan.detector.named(name)) if kind is None else _selected(plan, kind, value)
    shown = _painted(plan, name, NOTHING)[0]
    return shown, below


def _selected(plan: Plan, kind: str, value: Any) -> Any:
    operator = plan.operator(kind)
    if value is None:
        return None
    if operator is Operator.DROP:
        return OUT
    if operator is Operator.NULL or isinstance(value, Number | bool | float):
        return None
    if not isinstance(value, str):
        return mask_text(kind)
    cover = plan.cover(kind)
    return (cover.feed(value.encode("utf-8", "surrogatepass")) + cover.end()).decode()


def _painted(plan: Plan, text: str, named: frozenset[int]) -> tuple[str, str]:
    data = text.encode("utf-8", "surrogatepass")
    spans = scan(plan.detector, data, named)
    whole = bool(spans) and spans[0].start == 0 and spans[-1].end == len(data) and sum(s.first for s in spans) == 1
    return paint(plan, data, spans, {}).decode("utf-8", "surrogatepass"), spans[0].kind if whole else ""


def _text(plan: Plan, text: str, named: frozenset[int]) -> Any:
    shown, kind = _painted(plan, text, named)
    operator = plan.operator(kind) if kind else Operator.REDACT
    return OUT if operator is Operator.DROP else None if operator is Operator.NULL else shown


def _number(plan: Plan, number: Number, named: frozenset[int]) -> Any:
    spelt = number.spelt.encode()
    spans = scan(plan.detector, spelt, named) or scan(plan.detector, whole_number(spelt), named)
    if not spans:
        return number
    return OUT if plan.operator(spans[0].kind) is Operator.DROP else None
