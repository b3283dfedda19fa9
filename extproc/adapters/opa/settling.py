"""Reading OPA's partial evaluation: what an action comes to whatever the unknown parts of its input are.

The entrypoint makes its decision of `outcomes` and data alone, so where every outcome is a value already, the decision
is one. What OPA could not evaluate without the unknowns it gives back as expressions, and then nothing is settled.
"""

from collections.abc import Mapping
from typing import Any

from extproc.domain.json import JSON
from extproc.domain.ports import Settled

SETTLE = "data.holdpoint.main.outcomes[o]; r = data.holdpoint.revision"
"""The one query that is partially evaluated."""


class _Open(Exception):
    """Not a value."""


def read(answer: Any) -> Settled | None:
    """From what /v1/compile answered to SETTLE (OPA, "REST API", "Compile API"). None where anything at all depends on
    what is unknown, and for an answer of any other shape."""
    try:
        result = answer["result"]
        if set(result) != {"queries"}:
            return None
        found = [_solution(query) for query in result["queries"]]
        revisions = {revision for _, revision in found}
        if len(revisions) != 1:
            return None
        return Settled(revisions.pop(), [outcome["reason"] for outcome, _ in found])
    except (_Open, LookupError, TypeError, ValueError):
        return None


def _solution(query: Any) -> tuple[Mapping[str, Any], str]:
    """One outcome and the revision, of a query that does nothing but name them: `o = {…}; r = "…"`."""
    bound: dict[str, Any] = {}
    for expression in query:
        if set(expression) != {"index", "terms"}:
            raise _Open
        operator, *sides = expression["terms"]
        if operator != {"type": "ref", "value": [{"type": "var", "value": "eq"}]} or len(sides) != 2:
            raise _Open
        name, value = sides if sides[0]["type"] == "var" else sides[::-1]
        if name["type"] != "var" or name["value"] in bound:
            raise _Open
        bound[name["value"]] = _value(value)
    outcome, revision = bound.pop("o"), bound.pop("r")
    if bound or not isinstance(outcome, dict) or not isinstance(revision, str):
        raise _Open
    return outcome, revision


def _value(term: Any) -> JSON:
    """A term that is a value through and through: no reference, call, variable or comprehension."""
    kind, value = term["type"], term.get("value")
    if kind in ("string", "number", "boolean", "null"):
        return value  # type: ignore[no-any-return]  # JSON of OPA's
    if kind in ("array", "set"):
        return [_value(item) for item in value]
    if kind == "object":
        named = [(_value(name), _value(item)) for name, item in value]
        if not all(isinstance(name, str) for name, _ in named):
            raise _Open
        return {str(name): item for name, item in named}
    raise _Open
