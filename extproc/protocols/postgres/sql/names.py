"""Names in the tree: of relations, of functions, and what PostgreSQL calls a column that nobody named."""

from typing import Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.tree import Node

_LABELS: Final = {
    "A_ArrayExpr": "array",
    "CoalesceExpr": "coalesce",
    "GroupingFunc": "grouping",
    "RowExpr": "row",
    "XmlSerialize": "xmlserialize",
    "MergeSupportFunc": "merge_action",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg",
    "JsonArrayAgg": "json_arrayagg",
}


def parts(names: list[Node]) -> tuple[str | None, str]:
    """Schema and name of a list of String nodes; what is in front of the schema is the database's."""
    said = [text(one) for one in names]
    return (said[-2] if len(said) > 1 else None), (said[-1] if said else "")


def relation_name(node: Node) -> tuple[str | None, str]:
    """Schema and name of a RangeVar, without its tag."""
    return node.get("schemaname"), node.get("relname", "")


def texts(nodes: list[Node]) -> list[str]:
    """What String nodes say."""
    return [text(one) for one in nodes]


def alias_of(node: Node) -> tuple[str | None, list[str]]:
    """The name and the column names of a FROM item's alias."""
    alias = node.get("alias")
    return (None, []) if alias is None else (alias.get("aliasname"), texts(alias.get("colnames", ())))


def label(node: Node) -> str | None:
    """The name of an output column without AS, as FigureColname of PostgreSQL's parse_target.c has it; None where
    that is not told here."""
    fallback: str | None = None
    while True:
        tag, body = only(node)
        if tag == "ColumnRef":
            return text(body["fields"][-1]) or fallback
        if tag == "A_Indirection":
            names = [text(one) for one in body["indirection"] if "String" in one]
            if names:
                return names[-1]
            node = body["arg"]
        elif tag == "CollateClause":
            node = body["arg"]
        elif tag == "TypeCast":
            fallback = fallback or parts(body["typeName"]["names"])[1]
            node = body["arg"]
        elif tag == "CaseExpr":
            fallback = fallback or "case"
            if "defresult" not in body:
                return fallback
            node = body["defresult"]
        elif tag == "FuncCall":
            return parts(body["funcname"])[1]
        elif tag == "MinMaxExpr":
            return "greatest" if body["op"] == "IS_GREATEST" else "least"
        elif tag in ("A_Const", "ParamRef", "BoolExpr", "NullTest", "BooleanTest"):
            return fallback or "?column?"
        elif tag == "A_Expr":
            return "nullif" if body["kind"] == "AEXPR_NULLIF" else fallback or "?column?"
        elif tag == "SubLink":
            return {"EXISTS_SUBLINK": "exists", "ARRAY_SUBLINK": "array"}.get(body["subLinkType"])
        else:
            return _LABELS.get(tag)
