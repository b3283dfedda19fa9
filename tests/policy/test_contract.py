"""The decision's contract: what policy may ask of masks, read and written."""

import json
from typing import Any

import jsonschema
import pytest

from extproc import resources
from extproc.domain.decision import MalformedDecision, parse
from extproc.domain.mask import Mask, Operator

SCHEMA = json.loads((resources.policies() / "schemas" / "decision.json").read_text())
SELECT = {"kinds": ["card"], "keys": []}


def _decision(mask: dict[str, Any]) -> dict[str, Any]:
    """A decision with this mask."""
    reason = {"policy": "p", "code": "c", "message": "m", "severity": "low", "mode": "enforce", "effect": "allow"}
    return {
        "schema": 1,
        "effect": "allow",
        "revision": "r",
        "reasons": [reason],
        "obligations": {
            "mask": [{"policy": "p", "select": SELECT, "operator": "redact", **mask}],
            "approval": [],
            "record": "full",
        },
    }


ANY = ("request", "response")
MASKS: list[tuple[dict[str, Any], Mask]] = [
    ({}, Mask("p", ("card",), (), Operator.REDACT)),
    *(({"operator": o.value}, Mask("p", ("card",), (), o)) for o in Operator),
    ({"malformed": "text"}, Mask("p", ("card",), (), Operator.REDACT, lenient=True)),
    ({"malformed": "block", "lanes": ["response"]}, Mask("p", ("card",), (), Operator.REDACT, ("response",))),
    (
        {"select": {"kinds": ["pii"], "keys": ["pin"], "except": ["contact"]}, "operator": "hash"},
        Mask("p", ("pii",), ("pin",), Operator.HASH, ANY, False, ("contact",)),
    ),
]


@pytest.mark.parametrize(("written", "mask"), MASKS, ids=str)
def test_a_mask_is_read_and_written_back(written: dict[str, Any], mask: Mask) -> None:
    """What a record says of a mask reads back as that mask, and fits the schema."""
    decision = parse("d", _decision(written))
    assert decision.masks == (mask,)
    document = decision.document()
    assert parse("d", document) == decision
    jsonschema.validate({k: v for k, v in document.items() if k != "id"}, SCHEMA)
    jsonschema.validate(_decision(written), SCHEMA)


def test_what_is_usual_is_not_written() -> None:
    """Decisions are many, and holds are compared by their masks: former ones said nothing of this."""
    (mask,) = parse("d", _decision({"malformed": "block"})).masks
    assert mask.document() == {"policy": "p", "select": SELECT, "operator": "redact", "lanes": list(ANY)}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"operator": "encrypt"}, r"mask\[0\]\.operator: expected one of \['partial', 'hash', 'length', 'redact'"),
        ({"operator": None}, "operator: expected one of"),
        ({"malformed": "pass"}, r"malformed: expected one of \['block', 'text'\], found 'pass'"),
        ({"malformed": True}, "malformed: expected one of"),
        ({"malformd": "text"}, r"unknown \['malformd'\]"),
        ({"select": {"kinds": ["card"], "keys": [], "except": "jwt"}}, "select.except: expected a list, found str"),
        ({"select": {"kinds": ["card"], "keys": [], "but": []}}, r"unknown \['but'\]"),
        ({"select": {"kinds": [], "keys": [], "except": ["jwt"]}}, "select: empty"),
        ({"lanes": ["upwards"]}, "lanes: expected some of"),
    ],
)
def test_what_the_contract_does_not_name_is_no_decision(mask: dict[str, Any], words: str) -> None:
    """Nor does it fit the schema, but for a selection of nothing."""
    with pytest.raises(MalformedDecision, match=words):
        parse("d", _decision(mask))
    if words != "select: empty":
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(_decision(mask), SCHEMA)


@pytest.mark.parametrize(
    ("kinds", "excepted", "expected"),
    [
        (("card",), (), {"card"}),
        (("secret",), (), {"jwt", "password"}),
        (("secret",), ("password",), {"jwt"}),
        (("pii",), (), {"card", "email"}),
        (("pii",), ("contact",), {"card"}),
        (("*",), ("pii",), {"jwt", "password"}),
        (("*",), ("*",), set()),
        ((), (), set()),
    ],
)
def test_a_mask_selects_by_kind_and_family(
    kinds: tuple[str, ...], excepted: tuple[str, ...], expected: set[str]
) -> None:
    """`pii` is every family but secrets; what is excepted wins."""
    families = {"card": "financial", "email": "contact", "jwt": "secret", "password": "secret"}
    mask = Mask("p", kinds, (), Operator.REDACT, excepted=excepted)
    assert {kind for kind, family in families.items() if mask.selects(kind, family)} == expected


def test_the_strictest_operator_wins() -> None:
    """Whichever leaves less of the value, in either order."""
    order = ["partial", "hash", "length", "redact", "null", "drop"]
    assert [o.value for o in Operator] == order
    for i, mild in enumerate(Operator):
        for strict in list(Operator)[i:]:
            assert mild.strictest(strict) is strict.strictest(mild) is strict


def _limited(limit: Any) -> dict[str, Any]:
    """A decision with this limit."""
    decision = _decision({})
    decision["obligations"]["limit"] = limit
    return decision


@pytest.mark.parametrize("limit", [{}, {"rows": 1}, {"bytes": 2, "seconds": 3}, {"read_only": True}])
def test_a_limit_is_read_and_written_back(limit: dict[str, Any]) -> None:
    """What a record says of it reads back as that limit, and fits the schema; none is not written."""
    decision = parse("d", _limited(limit))
    assert decision.limits.document() == limit
    document = decision.document()
    assert parse("d", document) == decision
    assert ("limit" in document["obligations"]) == bool(limit)  # type: ignore[operator]
    jsonschema.validate({k: v for k, v in document.items() if k != "id"}, SCHEMA)
    jsonschema.validate(_limited(limit), SCHEMA)


@pytest.mark.parametrize("limit", [{"rows": 0}, {"rows": True}, {"row": 1}, {"read_only": 1}, {"seconds": 0.5}, None])
def test_a_limit_that_is_none(limit: Any) -> None:
    """It is no decision, and does not fit the schema."""
    with pytest.raises(MalformedDecision, match=r"obligations\.limit"):
        parse("d", _limited(limit))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_limited(limit), SCHEMA)
