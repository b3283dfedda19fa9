"""Members of documents: `doc->'a'->>'b'`, `doc['a']`, `doc @> '{"a": 1}'`. A key that is a constant is a name.

PostgreSQL's documentation: "JSON Functions and Operators", "JSON Types" (containment, subscripting), "hstore".
"""

import json
import re
from dataclasses import replace
from typing import Any, Final, NamedTuple

from extproc.protocols.postgres.sql.compare import only
from extproc.protocols.postgres.sql.facts import OPENING, Column, Member, is_scalar_value, whole
from extproc.protocols.postgres.sql.names import parts
from extproc.protocols.postgres.sql.scope import Back
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins
from extproc.protocols.postgres.sql.tree import Node

_STEP: Final = frozenset({"->", "->>"})
_PATH: Final = frozenset({"#>", "#>>"})
_EXISTS: Final = frozenset({"?", "?|", "?&"})
READS_MEMBERS: Final = _STEP | _PATH
ASKS_FOR_MEMBERS: Final = _EXISTS | {"@>"}
"""Operators that read a member of a document, and that ask which it has."""
EXTRACTS_MEMBERS: Final = frozenset(
    {"json_extract_path", "json_extract_path_text", "jsonb_extract_path", "jsonb_extract_path_text"}
)
"""Functions that read one."""
MEMBER_TAGS: Final = frozenset({"A_Expr", "FuncCall", "A_Indirection"})
"""Nodes that may read one."""
_SCALARS: Final = frozenset(
    {
        *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "money", "uuid", "inet", "cidr", "macaddr"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "oid"),
    }
)
"""Types of which no value is written as a document is: a cast of one to these is an error, whatever it holds."""
_ARRAY: Final = re.compile(r'\{(?:[^{}",\\]*|"[^"\\{}]*")(?:,(?:[^{}",\\]*|"[^"\\{}]*"))*\}')
_WILD: Final = ("%", "_", "\\")
_DOCUMENTS: Final = frozenset({"json", "jsonb"})
_PLAIN: Final = frozenset({"text", "varchar"})
_CUTTING: Final = frozenset({"typmods", "arrayBounds", "setof", "pct_type"})
_MOST: Final = 64
"""Keys of one constant that are named one by one, and steps of one path."""


class Access(NamedTuple):
    """A member of a document: the expression of the document, and the names on the way, [] for elements of an array.
    `steps` are the nodes that read it."""

    document: Node
    keys: list[str]
    steps: list[Node]


def access(node: Node) -> Access | None:
    """What a node reads of which document; None for anything else, and where a key is no constant."""
    keys: list[list[str]] = []
    steps: list[Node] = []
    while True:
        tag, body = only(node)
        step: tuple[Node, list[str] | None] | None = None
        if tag == "A_Expr" and body["kind"] == "AEXPR_OP" and "lexpr" in body:
            step = _operator(body)
        elif tag == "FuncCall":
            step = _function(body)
        elif tag == "A_Indirection":
            step = body["arg"], _subscripts(body["indirection"])
        elif tag == "TypeCast" and keys and is_document(body["typeName"]):
            step = body["arg"], []
        if step is None:
            return Access(node, [one for each in reversed(keys) for one in each], steps) if keys else None
        steps.append(node)
        node, found = step
        if found is None or len(keys) > _MOST:
            return None
        keys.append(found)


def _operator(body: Node) -> tuple[Node, list[str] | None] | None:
    schema, name = parts(body["name"])
    if schema not in (None, "pg_catalog"):
        return None
    if name in _STEP:
        return body["lexpr"], _key(body["rexpr"])
    return (body["lexpr"], _keys(body["rexpr"])) if name in _PATH else None


def _function(body: Node) -> tuple[Node, list[str] | None] | None:
    schema, name = parts(body["funcname"])
    args = body.get("args", [])
    if name not in EXTRACTS_MEMBERS or schema not in (None, "pg_catalog") or not args or "func_variadic" in body:
        return None
    found = [_key(one) for one in args[1:]]
    return args[0], None if None in found else [key for one in found for key in one or ()]


def _subscripts(indirection: list[Node]) -> list[str] | None:
    found: list[str] = []
    for one in indirection:
        tag, body = only(one)
        key = _constant(body["uidx"]) if tag == "A_Indices" and "is_slice" not in body and "uidx" in body else None
        if key is None:
            return None
        found.append(key)
    return found


def _key(node: Node) -> list[str] | None:
    """A name, or no name for the number of an element; None for what is no constant."""
    tag, body = only(node)
    if tag == "A_Const" and "ival" in body:
        return []
    name = _constant(node)
    return None if name is None else [name]


def _keys(node: Node) -> list[str] | None:
    """The names of a constant array: of a path, or of keys that are asked for."""
    tag, body = only(node)
    if tag == "A_ArrayExpr":
        found = [_constant(one) for one in body.get("elements", [])]
        return None if None in found else [one for one in found if one is not None]
    said = _constant(_element_wise(node))
    if said is None or _ARRAY.fullmatch(said) is None:
        return None
    return [one.strip().strip('"') for one in said[1:-1].split(",")]


def _constant(node: Node, types: frozenset[str] = _PLAIN) -> str | None:
    """The text of a constant. A cast to one of these types leaves it as it is; to any other, or with a length, it may
    be another text."""
    tag, body = only(node)
    while tag == "TypeCast":
        of = body["typeName"]
        schema, name = parts(of["names"])
        if schema not in (None, "pg_catalog") or name not in types or not of.keys().isdisjoint(_CUTTING):
            return None
        tag, body = only(body["arg"])
    return str(body["sval"].get("sval", "")) if tag == "A_Const" and "sval" in body else None


def _element_wise(node: Node) -> Node:
    """What is cast to an array of text."""
    tag, body = only(node)
    of = body.get("typeName", {})
    plain = tag == "TypeCast" and "arrayBounds" in of and parts(of["names"])[1] in _PLAIN and "typmods" not in of
    return body["arg"] if plain else node


def asked(body: Node) -> Access | None:
    """What `doc ? 'a'`, `doc ?| '{a,b}'` and `doc @> '{"a": 1}'` ask for: the names, in whatever depth."""
    schema, name = parts(body["name"])
    if body["kind"] != "AEXPR_OP" or schema not in (None, "pg_catalog") or "lexpr" not in body:
        return None
    found = None
    if name == "@>":
        found = _contained(_constant(body["rexpr"], _PLAIN | _DOCUMENTS))
    elif name in _EXISTS:
        one = _constant(body["rexpr"]) if name == "?" else None
        found = _keys(body["rexpr"]) if name != "?" else None if one is None else [one]
    if found is None or len(found) > _MOST:
        return None
    inner = access(body["lexpr"])
    if inner is None:
        return Access(body["lexpr"], found, [])
    return Access(inner.document, [*inner.keys, *found], inner.steps)


def _contained(said: str | None) -> list[str] | None:
    """The names in a document; None for none."""
    try:
        todo: list[Any] = [json.loads(said or "")]
    except (ValueError, RecursionError):
        return None
    found: dict[str, None] = {}
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            found.update(dict.fromkeys(one))
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return list(found)


def is_document(type_name: Node) -> bool:
    """True for json and jsonb."""
    return parts(type_name["names"])[1] in _DOCUMENTS and "arrayBounds" not in type_name


def is_scalar(type_name: Node) -> bool:
    """True for a type that no document can be cast to."""
    schema, name = parts(type_name["names"])
    return schema in (None, "pg_catalog") and name in _SCALARS and "arrayBounds" not in type_name


def scalars(body: Node) -> set[int] | None:
    """The parameters that the left side of a comparison is compared with; None where it may be compared with a
    document, or with a part of one."""
    schema, name = parts(body["name"])
    kind, right = body["kind"], body["rexpr"]
    if schema not in (None, "pg_catalog"):
        return None
    if kind in ("AEXPR_LIKE", "AEXPR_ILIKE"):
        pattern = _constant(right)
        return None if not pattern or pattern.startswith((*OPENING, *_WILD)) else set()
    if kind not in ("AEXPR_OP", "AEXPR_IN", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT") or name not in ("=", "<>"):
        return None
    found: set[int] = set()
    for one in only(right)[1].get("items", []) if kind == "AEXPR_IN" else [right]:
        tag, inner = only(one)
        if tag == "ParamRef":
            found.add(inner.get("number", 0))
        elif tag != "A_Const" or not is_scalar_value(inner["sval"].get("sval", "") if "sval" in inner else None):
            return None
    return found


def members(origins: Origins, keys: list[str]) -> Origins:
    """The members with these names of what is made of `origins`: a member of a member has both names."""
    if origins is UNKNOWN:
        return UNKNOWN
    found: dict[Column, None] = {}
    for one in origins:
        if isinstance(one, Member):
            found[one] = None
        if isinstance(one, Back) or one.is_star or (isinstance(one, Member) and one.name == "*"):
            found[one] = None
            continue
        document = one.document if isinstance(one, Member) else one.name
        found.update((Member(one.schema, one.table, key, document), None) for key in keys or [""])
    return tuple(found)


def inside(origins: Origins) -> Origins:
    """What is made of `origins`, but not as they are: of a document it may be any member."""
    if origins is UNKNOWN:
        return UNKNOWN
    return tuple(
        dict.fromkeys(
            replace(one, part=True) if isinstance(one, Back) else Member(one.schema, one.table, "*", whole(one).name)
            for one in origins
        )
    )
