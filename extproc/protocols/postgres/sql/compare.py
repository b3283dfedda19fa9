"""Trees of expressions side by side: whether two are the same, and what constants say to each other."""

import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from extproc.protocols.postgres.sql.tree import Node

_LARGE: Final = 200
"""Nodes beyond which an expression has no key."""
_PLACES: Final = frozenset({"location", "arg_location", "list_start", "list_end"})
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def only(node: Node) -> tuple[str, Node]:
    """The tag of a node and its fields."""
    for tag, body in node.items():
        return tag, body
    return "", {}


def text(node: Node) -> str:
    """What a String node says."""
    said: str = node.get("String", {}).get("sval", "")
    return said


def depends(tree: object, parameters: bool = True) -> bool:
    """True when a column decides what it is, of this row or of one around; or a parameter, with `parameters`."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            for name, value in one.items():
                if name == "ColumnRef":
                    if "A_Star" not in value["fields"][0]:
                        return True
                elif name == "CurrentOfExpr" or (parameters and name == "ParamRef"):
                    return True
                elif isinstance(value, dict | list):
                    todo.append(value)
    return False


def same(one: object, other: object) -> bool:
    """True when both say the same. In `id = customers.id` both are one column: PostgreSQL refuses a name that could be
    two."""
    todo = [(one, other)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if "ColumnRef" in left and "ColumnRef" in right:
                if not _same_column(left["ColumnRef"]["fields"], right["ColumnRef"]["fields"]):
                    return False
                continue
            names = left.keys() - _PLACES
            if names != right.keys() - _PLACES:
                return False
            todo += [(left[name], right[name]) for name in names]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            todo += zip(left, right, strict=True)
        elif left != right:
            return False
    return True


def _same_column(one: list[Node], other: list[Node]) -> bool:
    short, long = sorted((one, other), key=len)
    return long[-len(short) :] == short


def key(tree: object) -> object | None:
    """The same for trees that say the same; None for a large one."""
    found: list[object] = []
    todo = [tree]
    left = _LARGE
    while todo:
        one = todo.pop()
        left -= 1
        if left < 0:
            return None
        if isinstance(one, dict):
            names = sorted(one.keys() - _PLACES)
            found.append(tuple(names))
            todo += [one[name] for name in names]
        elif isinstance(one, list):
            found.append(len(one))
            todo += one
        else:
            found.append((type(one), one))
    return tuple(found)


def ask(name: str, one: Node, other: Node) -> bool | None:
    """What an operator says of two constants of one type; None where it is not known here."""
    left, right = _constant(one), _constant(other)
    if name not in _OPERATORS or left is None or right is None or type(left) is not type(right):
        return None
    # The order of texts is the collation's.
    return None if isinstance(left, str) and name not in ("=", "<>") else _OPERATORS[name](left, right)


def _constant(node: Node) -> Decimal | str | bool | None:
    tag, body = only(node)
    if tag != "A_Const" or body.get("isnull"):
        return None
    if "ival" in body:
        return Decimal(body["ival"].get("ival", 0))
    if "boolval" in body:
        return bool(body["boolval"].get("boolval"))
    if "sval" in body:
        return str(body["sval"].get("sval", ""))
    try:
        # Written as 1_000 or 0x1F it is a number, too, but not to Decimal.
        return Decimal(body["fval"]["fval"]) if "fval" in body else None
    except InvalidOperation:
        return None
