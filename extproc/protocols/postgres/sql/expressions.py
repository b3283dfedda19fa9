"""Expressions: which columns and functions they name, and which columns their value is made of.

A short list of forms carries a value to where the expression stands without deciding anything by it: a column, a member
of a document, a cast to text, concatenation, the results of CASE, a subquery of one value. Whatever else is done with
a column may show in the result, in the number of rows or as an error, so the column is one that decides (`filtered`).

Only a query in a query is a depth of calls; their number is bounded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from extproc.protocols.postgres.sql.builtin import JOINS_TEXT, RUNS_TEXT, computes
from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.documents import EQUAL, Documents
from extproc.protocols.postgres.sql.draft import COMPARED, DECIDING, Draft, union
from extproc.protocols.postgres.sql.facts import Column, Function, Setting
from extproc.protocols.postgres.sql.members import (
    ASKS_FOR_MEMBERS,
    EXTRACTS_MEMBERS,
    MEMBER_TAGS,
    READS_MEMBERS,
    access,
    asked,
    inside,
    is_document,
    is_scalar,
    members,
    scalars,
)
from extproc.protocols.postgres.sql.names import parts, texts
from extproc.protocols.postgres.sql.scope import Scope
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins, Output
from extproc.protocols.postgres.sql.tree import Node
from extproc.protocols.postgres.sql.unary import TYPES
from extproc.protocols.postgres.sql.walk import Walk, as_text, deciding

_CARRYING: Final = frozenset({"CollateClause", "List", "ResTarget"})
"""Nodes whose value is that of their part."""
_DECIDING_TAGS: Final = """
A_ArrayExpr A_Indices A_Star BitString Boolean BooleanTest CoalesceExpr CollateExpr ColumnDef Constraint DefElem Float
FunctionParameter GroupingFunc GroupingSet IndexElem Integer JsonAggConstructor JsonArgument JsonArrayAgg
JsonArrayConstructor JsonBehavior JsonFormat JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput
JsonReturning JsonScalarExpr JsonSerializeExpr JsonTableColumn JsonTablePathSpec JsonValueExpr MergeSupportFunc
MinMaxExpr MultiAssignRef NamedArgExpr ObjectWithArgs ParamRef PartitionBoundSpec PartitionElem PartitionRangeDatum
PartitionSpec RangeTableFuncCol RoleSpec RowExpr SQLValueFunction SetToDefault StatsElem String WindowDef
"""
_DECIDES: Final = frozenset(_DECIDING_TAGS.split())
"""Nodes that make something else of their parts."""
_MEANINGLESS: Final = frozenset({"A_Const", "CurrentOfExpr", "TypeName", "typeName"})
"""Names no column, and calls no function."""
_TYPED: Final = frozenset({"TypeName", "typeName"})
_SCALARS: Final = (str, int, float, type(None))
_TEXTS: Final = frozenset({"text", "varchar", "bpchar"})
"""Types that any value can be cast to; with a length they cut it."""


class Expressions(Documents, ABC):
    """Reads expressions into the facts of the statement that they are in."""

    @abstractmethod
    def query(self, draft: Draft, node: Node, scope: Scope | None, ctes: Any) -> tuple[Output, ...]:
        """Reads a query in an expression, and gives its columns."""

    def value(self, draft: Draft, scope: Scope, tree: Any, place: str = "read") -> Origins:
        """Walks an expression, or a list of them, and gives what its value is made of."""
        walk = Walk(draft, scope, [(tree, place, True)])
        while walk.todo:
            node, place, flows = walk.todo.pop()
            if type(node) is list:
                walk.todo += [(one, place, flows) for one in reversed(node)]
                continue
            for name, body in reversed(node.items()):
                if isinstance(body, _SCALARS) or name in _MEANINGLESS:
                    if name in _TYPED and self.converts(walk.draft, body):
                        walk.known = walk.known and not flows
                    continue
                special = self._SPECIAL.get(name)
                if special is not None:
                    special(self, walk, body, place, flows)
                else:
                    if name[:1].isupper() and name not in _CARRYING:
                        place_of = deciding(place)
                        if name not in _DECIDES:
                            draft.doubt("node")
                            walk.known = False
                    else:
                        place_of = place
                    walk.todo.append((body, place_of, flows))
        return tuple(walk.found) if walk.known else UNKNOWN

    def _column(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        names = [text(one) if "String" in one else "*" for one in body["fields"]]
        if len(names) > 1:
            self._attribute(walk, names[-3] if len(names) > 2 else None, names[-2], names[-1], place, flows)
            return
        origins = walk.scope.column(names[0]) if "String" in body["fields"][0] else walk.scope.whole()
        walk.draft.add(place, origins, names[0])
        if flows:
            walk.flow(origins, place)

    def _attribute(self, walk: Walk, schema: str | None, table: str, name: str, place: str, flows: bool) -> None:
        """`t.name` and `(t).name`: a column of that table, or all of them for `*`."""
        origins = walk.scope.qualified(schema, table, name)
        if walk.scope.is_value(schema, table, name) and self._applies(walk, name, flows):
            place = deciding(place)
        called = walk.scope.calls(schema, table, name)
        if called:
            walk.draft.functions[Function(None, name)] = None
            if self.own(walk.draft, self.custom.function(None, name)) or not computes(None, name):
                walk.draft.doubt("function")
                walk.known = walk.known and not flows
        walk.draft.add(place, origins, "*" if called else name)
        if flows:
            walk.flow(origins, place)

    def _operator(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        names = body["name"]
        if self.operates(walk.draft, names):
            walk.known = walk.known and not flows
            place = deciding(place)
            walk.todo += [(body[side], place, flows) for side in ("rexpr", "lexpr") if side in body]
            return
        name = text(names[-1])
        if name in READS_MEMBERS:
            found = access({"A_Expr": body})
            if found is not None and self.member(walk, found, place, flows):
                return
        elif name in ASKS_FOR_MEMBERS:
            found = asked(body)
            if found is not None and self.member(walk, found, deciding(place), flows, scalar=True):
                return
        if name == "||" and body["kind"] == "AEXPR_OP":
            place = as_text(place)
        else:
            place = deciding(place)
            if not MEMBER_TAGS.isdisjoint(body.get("lexpr", ())):
                compared = scalars(body)
                if compared is not None and self.scalar(walk, body["lexpr"], place, flows):
                    walk.draft.scalars.update(dict.fromkeys(compared))
                    return
        walk.todo += [(body[side], place, flows) for side in ("rexpr", "lexpr") if side in body]

    def _null_test(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        place = deciding(place)
        if not self.scalar(walk, body["arg"], place, flows):
            walk.todo.append((body["arg"], place, flows))

    def _cast(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        of = body["typeName"]
        own = self.converts(walk.draft, of)
        if own:
            walk.known = walk.known and not flows
        elif is_scalar(of) and self.scalar(walk, body["arg"], deciding(place), flows):
            return
        elif is_document(of) and place == "read" and (found := self.document(walk, body["arg"])) is not None:
            # It may be an error, but what it gives has the same members.
            walk.draft.add(DECIDING, found[0], "*")
            if flows:
                walk.flow(found[0])
            return
        plain = parts(of["names"])[1] in _TEXTS and "arrayBounds" not in of and "typmods" not in of
        walk.todo.append((body["arg"], as_text(place) if plain and not own else deciding(place), flows))

    def _failing(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        """What is no document, or none of that type, is an error."""
        parts_of = [one for one in body.values() if not isinstance(one, _SCALARS)]
        walk.todo += [(one, deciding(place), flows) for one in reversed(parts_of)]

    def _guard(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        """AND, OR, NOT, CASE and WHEN: their conditions decide whether something else is computed, and fails."""
        if "arg" in body:
            self.operates(walk.draft, EQUAL)
        for part, one in reversed(body.items()):
            if not isinstance(one, _SCALARS):
                guards = "boolop" in body or part in ("arg", "expr")
                walk.todo.append((one, deciding(place) if guards else place, flows))

    def _call(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        schema, name = parts(body["funcname"])
        args = body.get("args", [])
        walk.draft.functions[Function(schema, name)] = None
        if name == "set_config" and schema in (None, "pg_catalog"):
            self._set_config(walk.draft, args)
        elif name in RUNS_TEXT:
            walk.draft.doubt("dynamic-sql")
            walk.known = walk.known and not flows
        elif not computes(schema, name):
            walk.draft.doubt("function")
            walk.known = walk.known and not flows
        own = self.own(walk.draft, self.custom.function(schema, name))
        if own or (schema is None and not self.custom.settled):
            walk.known = walk.known and not flows
        found = access({"FuncCall": body}) if name in EXTRACTS_MEMBERS and not own else None
        if found is not None and self.member(walk, found, place, flows):
            args = []
        given = deciding(place)
        if name in JOINS_TEXT and schema in (None, "pg_catalog") and "func_variadic" not in body and not own:
            given = as_text(place)
        elif place == "read" and "agg_distinct" in body:
            given = COMPARED
        over = body.get("over", {})
        walk.todo += [
            (over.get("startOffset", []), deciding(place), False),
            (over.get("endOffset", []), deciding(place), False),
            (over.get("orderClause", []), "sorted", False),
            (over.get("partitionClause", []), "grouped", False),
            (body.get("agg_filter", []), "filtered", False),
            (body.get("agg_order", []), "sorted", flows and "agg_within_group" in body),
            (args, given, flows),
        ]

    def _set_config(self, draft: Draft, args: list[Node]) -> None:
        said = [_literal(only(arg)[1]) if only(arg)[0] == "A_Const" else None for arg in args]
        name, value, local = (*said, None, None, None)[:3]
        if len(said) != 3 or not isinstance(name, str) or not all(map(_given, args)):
            draft.doubt("setting")
        draft.settings.append(
            Setting(
                name.lower() if isinstance(name, str) else None,
                value if isinstance(value, str) else None,
                local in (True, "t", "true", "on", "1", "y", "yes"),
            )
        )

    def _sublink(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        _, inner = only(body["subselect"])
        outputs = self.query(walk.draft, inner, walk.scope, walk.scope.ctes)
        if "testexpr" in body and self.operates(walk.draft, body.get("operName", EQUAL)):
            walk.known = walk.known and not flows
        if body["subLinkType"] != "EXPR_SUBLINK":
            place = deciding(place)
        if body["subLinkType"] != "EXISTS_SUBLINK":
            self._given_by(walk, outputs, place, flows)
        walk.todo.append((body.get("testexpr", []), place, flows))

    def _given_by(self, walk: Walk, outputs: tuple[Output, ...], place: str, flows: bool) -> None:
        """What a query gives is compared, sorted by, … here, whatever it is called inside."""
        made = union(output.origins for output in outputs)
        if flows:
            walk.flow(made, place)
        if place != "read":
            walk.draft.add(place, made, "*")

    def _sort(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        if "useOp" in body:
            self.operates(walk.draft, body["useOp"])
        walk.todo.append((body["node"], place, flows))

    def _field(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        """`(c).email` of a row is its column; of anything else it is a part of that."""
        tag, inner = only(body["arg"])
        first = body["indirection"][0]
        if tag == "ColumnRef" and "String" in first and "String" in inner["fields"][-1]:
            names = texts(inner["fields"])
            schema = names[-2] if len(names) > 1 else None
            if walk.scope.sources_of(schema, names[-1]) and (len(names) > 1 or walk.scope.is_row(names[-1])):
                before = walk.scope.before_row(names[0]) if len(names) == 1 else ()
                if before != ():
                    called = self._applies(walk, text(first), flows)
                    own = inside(before) if called else members(before, [text(first)])
                    walk.draft.add(deciding(place) if called else place, own, text(first))
                    if flows:
                        walk.flow(own)
                if self._applies_any(walk, body["indirection"][1:], flows):
                    place = deciding(place)
                self._attribute(walk, schema, names[-1], text(first), place, flows)
                walk.todo.append((body["indirection"][1:], place, flows))
                return
        applied = self._applies_any(walk, body["indirection"], flows)
        found = access({"A_Indirection": body})
        if found is not None and self.member(walk, found, place, flows):
            return
        # A row of whatever table: a parameter's, or what a function gives.
        for one in body["indirection"]:
            if "String" in one:
                walk.draft.add(place, (Column(None, None, text(one)),), text(one))
        names = [text(one) for one in body["indirection"] if "String" in one]
        column = self.document(walk, body["arg"])
        if column is not None and len(names) == len(body["indirection"]):
            # A column of a composite type: its attributes are members.
            reached = members(column[0], names)
            walk.draft.add(place, reached, names[0])
            if flows:
                walk.flow(reached, place)
            if not applied:
                return
        place = place if not applied and len(names) == len(body["indirection"]) else deciding(place)
        walk.todo += [(body["indirection"], place, flows), (body["arg"], place, flows)]

    def _applies_any(self, walk: Walk, indirection: list[Node], flows: bool) -> bool:
        found = [self._applies(walk, text(one), flows) for one in indirection if "String" in one]
        return True in found

    def _applies(self, walk: Walk, name: str, flows: bool) -> bool:
        """Whether `(x).name` may be `name(x)`, of whatever x is: a call, which is among the facts then, or a cast."""
        if name in TYPES or self.converts(walk.draft, {"names": [{"String": {"sval": name}}]}):
            return True
        known = computes(None, name)
        if not known and not self.custom.applies(name):
            return False
        walk.draft.functions[Function(None, name)] = None
        if self.own(walk.draft, self.custom.function(None, name)) or not known:
            walk.draft.doubt("function")
            walk.known = walk.known and not flows
        return True

    def _json_query(self, walk: Walk, body: Node, place: str, flows: bool) -> None:
        outputs = self.query(walk.draft, only(body["query"])[1], walk.scope, walk.scope.ctes)
        self._given_by(walk, outputs, deciding(place), flows)

    _SPECIAL: Final[dict[str, Callable[["Expressions", Walk, Any, str, bool], None]]] = {
        "ColumnRef": _column,
        "A_Expr": _operator,
        "BoolExpr": _guard,
        "CaseExpr": _guard,
        "CaseWhen": _guard,
        "TypeCast": _cast,
        "NullTest": _null_test,
        "JsonFuncExpr": _failing,
        "JsonParseExpr": _failing,
        "XmlExpr": _failing,
        "XmlSerialize": _failing,
        "FuncCall": _call,
        "SubLink": _sublink,
        "SortBy": _sort,
        "A_Indirection": _field,
        "JsonArrayQueryConstructor": _json_query,
    }


def _literal(body: Node) -> str | bool | None:
    if "boolval" in body:
        return bool(body["boolval"].get("boolval"))
    return str(body["sval"].get("sval", "")) if "sval" in body else None


def _given(argument: Node) -> bool:
    """Whether it is a constant or a parameter, whatever type that is read as."""
    tag, body = only(argument)
    while tag == "TypeCast":
        tag, body = only(body["arg"])
    return tag in ("A_Const", "ParamRef")
