"""Whether a WHERE holds for every row, as far as its constants tell.

Conditions are folded over five values: the three of SQL, FIXED for what does not depend on the row but is not computed
here (`now() > '2000-01-01'`: then it is every row or none), and SOME for what depends on the row or on a parameter.
`x = x` counts as true: it is not only where x is null.
"""

from typing import Final

from extproc.protocols.postgres.sql.compare import ask, depends, key, only, same, text
from extproc.protocols.postgres.sql.tree import Node

TRUE, FALSE, NULL, FIXED, SOME = "true", "false", "null", "fixed", "some"
_NEGATED: Final = {TRUE: FALSE, FALSE: TRUE, NULL: NULL, FIXED: FIXED, SOME: SOME}
_OPPOSITE: Final = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "IS_NULL": "IS_NOT_NULL"}
_OF_ITSELF: Final = {
    **dict.fromkeys(("=", "<=", ">=", "~~", "~~*", "@>", "<@", "~=", "&&"), TRUE),
    **dict.fromkeys(("<>", "<", ">", "!~~", "!~~*"), FALSE),
}
"""What an operator between two equals is."""
_MATCHES_ALL: Final = {
    **dict.fromkeys(("~~", "~~*"), ("%", "%%")),
    **dict.fromkeys(("~", "~*"), ("", ".*", "^", "$", "^.*", ".*$", "^.*$")),
}
"""Patterns that every text matches, by operator."""
_WORDS: Final = {
    **dict.fromkeys(("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"), TRUE),
    **dict.fromkeys(("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"), FALSE),
}
_TESTS: Final = {
    "IS_TRUE": (TRUE,),
    "IS_NOT_TRUE": (FALSE, NULL),
    "IS_FALSE": (FALSE,),
    "IS_NOT_FALSE": (TRUE, NULL),
    "IS_UNKNOWN": (NULL,),
    "IS_NOT_UNKNOWN": (TRUE, FALSE),
}
_CONDITIONS: Final = frozenset(
    {"BoolExpr", "BooleanTest", "NullTest", "A_Expr", "TypeCast", "CaseExpr", "CoalesceExpr"}
)


def where(condition: Node | None) -> str:
    """`none`, `always` or `some`: the fact of a statement with this WHERE."""
    if condition is None:
        return "none"
    value = _fold(condition)
    if value in (TRUE, FIXED):
        return "always"
    # Parameters alone choose every row or none.
    return "always" if value == SOME and not depends(condition, parameters=False) else "some"


def _fold(condition: Node) -> str:
    """Without recursion: conditions are folded before what they are parts of."""
    values: dict[int, str] = {}
    todo: list[tuple[Node, list[Node] | None]] = [(condition, None)]
    while todo:
        node, parts = todo.pop()
        if parts is None:
            parts = _parts(node)
            if parts:
                todo.append((node, parts))
                todo += [(part, None) for part in parts]
                continue
        values[id(node)] = _value(node, {id(part): values[id(part)] for part in parts})
    return values[id(condition)]


def _parts(node: Node) -> list[Node]:
    """The conditions that a condition is made of."""
    tag, body = only(node)
    if tag in ("BoolExpr", "CoalesceExpr"):
        return list(body["args"])
    if tag in ("BooleanTest", "CollateClause") or (tag == "TypeCast" and _to_boolean(body)):
        return [body["arg"]]
    if tag == "CaseExpr":
        branches = [only(branch)[1] for branch in body["args"]]
        tests = [] if "arg" in body else [branch["expr"] for branch in branches]
        return [
            *tests,
            *(branch["result"] for branch in branches),
            *([body["defresult"]] if "defresult" in body else ()),
        ]
    if tag == "A_Expr" and body["kind"] in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
        return [
            side for side in (body.get("lexpr"), body["rexpr"]) if side is not None and only(side)[0] in _CONDITIONS
        ]
    return []


def _to_boolean(body: Node) -> bool:
    names = body["typeName"].get("names", [])
    return bool(names) and text(names[-1]) in ("bool", "boolean")


def _value(node: Node, parts: dict[int, str]) -> str:
    tag, body = only(node)
    values = list(parts.values())
    if tag == "BoolExpr":
        return _boolean(body, [parts[id(arg)] for arg in body["args"]])
    if tag == "A_Const":
        return _literal(body)
    if tag in ("CollateClause", "TypeCast") and values:
        literal = only(body["arg"])[1] if only(body["arg"])[0] == "A_Const" else {}
        return _WORDS.get(literal["sval"].get("sval", "").strip().lower(), FIXED) if "sval" in literal else values[0]
    if tag == "NullTest":
        return _null_test(body)
    if tag == "BooleanTest":
        value = values[0]
        return value if value in (FIXED, SOME) else (TRUE if value in _TESTS[body["booltesttype"]] else FALSE)
    if tag == "CoalesceExpr":
        return next((value for value in (parts[id(arg)] for arg in body["args"]) if value != NULL), NULL)
    if tag == "CaseExpr":
        return _case(body, parts)
    if tag == "SubLink" and body["subLinkType"] == "EXISTS_SUBLINK":
        inner = only(body["subselect"])[1]
        if "targetList" in inner and not {"fromClause", "whereClause", "limitCount", "limitOffset"} & inner.keys():
            return TRUE
    if tag == "A_Expr":
        return _compared(body, parts)
    return SOME if depends(node) else FIXED


def _literal(body: Node) -> str:
    if body.get("isnull"):
        return NULL
    if "boolval" in body:
        return TRUE if body["boolval"].get("boolval") else FALSE
    return _WORDS.get(body["sval"].get("sval", "").strip().lower(), FIXED) if "sval" in body else FIXED


def _boolean(body: Node, values: list[str]) -> str:
    if body["boolop"] == "NOT_EXPR":
        return _NEGATED[values[0]]
    if body["boolop"] == "AND_EXPR":
        return next(value for value in (FALSE, SOME, NULL, FIXED, TRUE) if value in values)
    if _exhausts(body["args"]):
        return TRUE
    return next(value for value in (TRUE, FIXED, SOME, NULL, FALSE) if value in values)


def _exhausts(args: list[Node]) -> bool:
    """`p OR NOT p`, `x IS NULL OR x IS NOT NULL`, `x < 1 OR x >= 1`: one is the opposite of another."""
    marks = {_mark(arg) for arg in args}
    if "NOT_EXPR" not in marks and not any(_OPPOSITE.get(mark) in marks for mark in marks):
        return False
    seen: set[object] = set()
    for arg in args:
        mine = key(arg)
        if mine is None:
            continue
        tag, body = only(arg)
        opposites = [key({"BoolExpr": {"boolop": "NOT_EXPR", "args": [arg]}})]
        if tag == "BoolExpr" and body["boolop"] == "NOT_EXPR":
            opposites.append(key(body["args"][0]))
        elif tag == "NullTest":
            other = "IS_NOT_NULL" if body["nulltesttype"] == "IS_NULL" else "IS_NULL"
            opposites.append(key({tag: {**body, "nulltesttype": other}}))
        elif tag == "A_Expr" and body["kind"] == "AEXPR_OP" and text(body["name"][-1]) in _OPPOSITE:
            opposite = {"String": {"sval": _OPPOSITE[text(body["name"][-1])]}}
            opposites.append(key({tag: {**body, "name": [*body["name"][:-1], opposite]}}))
        if not seen.isdisjoint(opposites):
            return True
        seen.add(mine)
    return False


def _mark(node: Node) -> str:
    """What could have an opposite: an operator, or a word."""
    tag, body = only(node)
    if tag == "A_Expr":
        return text(body["name"][-1]) if body["kind"] == "AEXPR_OP" else ""
    return str(body.get("boolop") or body.get("nulltesttype") or "")


def _null_test(body: Node) -> str:
    tag, inner = only(body["arg"])
    if tag == "A_Const":
        is_null = bool(inner.get("isnull"))
    elif tag in ("NullTest", "BooleanTest"):
        is_null = False
    else:
        return SOME if depends(body["arg"]) else FIXED
    return TRUE if is_null == (body["nulltesttype"] == "IS_NULL") else FALSE


def _case(body: Node, parts: dict[int, str]) -> str:
    """The results that it can have: all of them alike, or nobody knows."""
    tests, results = [], []
    for branch in body["args"]:
        one = only(branch)[1]
        tests.append(SOME if "arg" in body else parts[id(one["expr"])])
        if tests[-1] in (FALSE, NULL):
            continue
        results.append(parts[id(one["result"])])
        if tests[-1] == TRUE:
            break
    else:
        results.append(parts[id(body["defresult"])] if "defresult" in body else NULL)
    if len(set(results)) == 1:
        return results[0]
    asked = [body["arg"], *(only(branch)[1]["expr"] for branch in body["args"])] if "arg" in body else []
    return SOME if SOME in results or (any(map(depends, asked)) if asked else SOME in tests) else FIXED


def _compared(body: Node, parts: dict[int, str]) -> str:
    """One operator: of constants, of two equals, of a pattern that all match."""
    kind, operator = body["kind"], text(body["name"][-1])
    left, right = body.get("lexpr"), body["rexpr"]
    if left is None:
        return _open(right)
    if kind == "AEXPR_IN" or (kind == "AEXPR_OP_ANY" and only(right)[0] == "A_ArrayExpr"):
        items = only(right)[1].get("items" if kind == "AEXPR_IN" else "elements", [])
        found = {_certain("=", left, item) for item in items} if operator in ("=", "<>") else {None}
        value = TRUE if TRUE in found else _open(left, right) if None in found else FALSE
        return value if operator == "=" else _NEGATED[value]
    if kind.endswith(("BETWEEN", "BETWEEN_SYM")):
        low, high = only(right)[1]["items"]
        both = {_certain(">=", left, low), _certain("<=", left, high)}
        value = FALSE if FALSE in both else TRUE if both == {TRUE} else _open(left, right)
        return _NEGATED[value] if kind.startswith("AEXPR_NOT") else value
    if kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
        operator = "=" if kind == "AEXPR_NOT_DISTINCT" else "<>"
        if same(left, right):
            return _OF_ITSELF[operator]
    if parts and operator in ("=", "<>"):
        values = [parts.get(id(side)) or (_value(side, {}) if _is_truth(side) else None) for side in (left, right)]
        if set(values) <= {TRUE, FALSE}:
            return TRUE if (values[0] == values[1]) == (operator == "=") else FALSE
    told = _certain(operator, left, right)
    if told is not None:
        return told
    sides = [side for side in (left, right) if id(side) not in parts]
    return SOME if SOME in parts.values() or any(map(depends, sides)) else FIXED


def _open(*sides: Node) -> str:
    return SOME if any(map(depends, sides)) else FIXED


def _is_truth(node: Node) -> bool:
    return only(node)[0] == "A_Const" and "boolval" in only(node)[1]


def _certain(operator: str, left: Node, right: Node) -> str | None:
    asked = ask(operator, left, right)
    if asked is not None:
        return TRUE if asked else FALSE
    if any(only(side)[0] == "A_Const" and only(side)[1].get("isnull") for side in (left, right)):
        return NULL
    if operator in _OF_ITSELF and same(left, right):
        return _OF_ITSELF[operator]
    tag, body = only(right)
    if tag == "A_Const" and "sval" in body and body["sval"].get("sval", "") in _MATCHES_ALL.get(operator, ()):
        return TRUE
    return None
