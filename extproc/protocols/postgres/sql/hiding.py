"""Which constants and parameters of a text are values of columns with certain names: records leave them out.

A value is one of a column's where it is stored in it, or stands in one expression with it: `SET pin = $1`, `pin = '1'`,
`VALUES (…)` by the list of columns, `crypt('x', pin)`. Where the text alone does not tell to which column one belongs
(an INSERT without a list of columns, EXECUTE, CALL, a text that has the name in it) it is covered if `strict` is asked
for.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from extproc.protocols.postgres.sql.facts import Unparsable
from extproc.protocols.postgres.sql.renaming import Named, Names, speaks
from extproc.protocols.postgres.sql.tree import parse, tokens

_LITERALS: Final = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"})
_CONSTANTS: Final = _LITERALS | {"TRUE_P", "FALSE_P"}
_EXPRESSIONS: Final = frozenset(
    {
        *("A_Expr", "FuncCall", "CaseExpr", "SubLink", "NullTest", "CoalesceExpr", "MinMaxExpr", "RowExpr"),
        *("A_ArrayExpr", "TypeCast", "A_Indirection", "BooleanTest", "CollateClause", "XmlExpr"),
    }
)


_OUTPUTS: Final = ("targetList", "valuesLists")
_CALLS: Final = frozenset({"ExecuteStmt", "CallStmt"})
_DEFINING: Final = {"ResTarget": "name", "ColumnDef": "colname", "AlterTableCmd": "name"}
"""Nodes of which a part says what another is a value of, and the part."""


class _In(Enum):
    """Where a node stands: nowhere that is known yet; in a query whose rows go to where one of the names is; in an
    expression with one of the names."""

    UNKNOWN = auto()
    FLOWING = auto()
    NAMED = auto()


@dataclass(frozen=True, slots=True)
class Covered:
    """A text with `instead` in the place of what is hidden, and the numbers of hidden parameters; None is all."""

    text: str
    parameters: frozenset[int] | None


def cover(sql: str, named: Named, instead: str, *, strict: bool = False) -> Covered:
    """Cover the values of columns whose name is `named`; with `strict` those, too, that may be such by what the text
    tells. Of a text that can't be parsed every constant is covered; of one that can't be scanned either, all."""
    try:
        nodes = parse(sql)
    except Unparsable:
        scanned = tokens(sql)
        constants = [(start, end) for start, end, kind in scanned if kind in _LITERALS]
        return Covered(_replaced(sql, constants, instead) if scanned else instead, None)
    walk = _Walk(named, Names(named, nodes) if strict else None)
    walk.take(nodes)
    if not walk.offsets:
        return Covered(sql, frozenset(walk.parameters))
    scanned = tokens(sql)
    if not scanned:
        return Covered(instead, None)
    constants = [(start, end) for start, end, kind in scanned if kind in _CONSTANTS]
    spans: dict[int, int] = {}
    for offset in _characters(sql, sorted(walk.offsets)):
        # A constant begins with its sign; a DefElem's is somewhere behind its name.
        at = bisect_left(constants, (offset, 0))
        spans.update(constants[at : at + 1])
    return Covered(_replaced(sql, sorted(spans.items()), instead), frozenset(walk.parameters))


class _Walk:
    """Goes through a tree once. `offsets` (bytes) are where hidden constants stand, or the names of their options. With
    `names` it is strict."""

    def __init__(self, named: Named, names: Names | None) -> None:
        self._named = named
        self._names = names
        self.offsets: set[int] = set()
        self.parameters: set[int] = set()
        self._todo: list[tuple[Any, _In]] = []

    def take(self, nodes: list[Any]) -> None:
        """Go through these."""
        self._todo.append((nodes, _In.UNKNOWN))
        while self._todo:
            node, place = self._todo.pop()
            if isinstance(node, list):
                self._todo += [(one, place) for one in node]
            elif isinstance(node, dict):
                self._node(node, place)

    def _node(self, node: dict[str, Any], place: _In) -> None:
        for tag, body in node.items():
            if not isinstance(body, dict):
                self._todo.append((body, _In.NAMED if place is _In.FLOWING and tag in _OUTPUTS else place))
            elif tag in _EXPRESSIONS and place is not _In.NAMED:
                if self._mentions(body):
                    self._todo.append((body, _In.NAMED))
            elif tag == "A_Const":
                if place is _In.NAMED or (self._names is not None and self._names.spoken(body)):
                    self.offsets.add(body.get("location", 0))
            elif tag == "ParamRef":
                if place is _In.NAMED:
                    self.parameters.add(body.get("number", 0))
            elif (own := _OWN.get(tag)) is not None:
                own(self, body)
            elif tag != "typeName":
                self._todo.append((body, self._inside(tag, body, place)))

    def _inside(self, tag: str, body: dict[str, Any], place: _In) -> _In:
        """Where what is in a node stands, which stands there itself."""
        if self._names is None or place is _In.NAMED:
            return place
        if tag in _CALLS:
            return _In.NAMED
        part = _DEFINING.get(tag)
        return place if part is None or self._of(body.get(part)) is not _In.NAMED else _In.NAMED

    def _of(self, name: object) -> _In:
        return _In.NAMED if isinstance(name, str) and self._named(name) else _In.UNKNOWN

    def insert(self, body: dict[str, Any]) -> None:
        """INSERT: values have the columns' places."""
        columns = [self._of(one["ResTarget"].get("name")) for one in body.get("cols", ())]
        beyond = _In.NAMED if self._names is not None and not columns else _In.UNKNOWN
        flows = _In.FLOWING if self._names is not None and _In.NAMED in (*columns, beyond) else _In.UNKNOWN
        todo = [body.get("selectStmt", {}).get("SelectStmt", {})]
        while todo:
            select = todo.pop()
            # The sides of a UNION have the same places.
            todo += [select[side] for side in ("larg", "rarg") if side in select]
            for items in [one["List"].get("items", []) for one in select.get("valuesLists", ())]:
                self._todo += _placed(items, columns, beyond)
            self._todo += _placed(select.get("targetList", []), columns, beyond)
            rest = [value for name, value in select.items() if name not in (*_OUTPUTS, "larg", "rarg")]
            self._todo.append((rest, flows))
        if (conflict := body.get("onConflictClause")) is not None:
            self.update(conflict)
        self._todo += [(body.get("returningList"), _In.UNKNOWN), (body.get("withClause"), flows)]

    def update(self, body: dict[str, Any]) -> None:
        """UPDATE, and INSERT's ON CONFLICT DO UPDATE: each value is its column's."""
        flows = _In.UNKNOWN
        for one in body.get("targetList", ()):
            target = one.get("ResTarget", {})
            place = self._of(target.get("name"))
            self._todo.append((target.get("val"), place))
            flows = _In.FLOWING if self._names is not None and place is _In.NAMED else flows
        self._todo.append(([value for name, value in body.items() if name != "targetList"], flows))

    def merge(self, body: dict[str, Any]) -> None:
        """MERGE. Where a WHEN stores what is named, or nobody knows what, the rows of its source may be it."""
        whens = [one.get("MergeWhenClause", {}) for one in body.get("mergeWhenClauses", ())]
        stored = [one.get("ResTarget", {}).get("name") for when in whens for one in when.get("targetList", ())]
        blind = any("values" in when and "targetList" not in when for when in whens)
        flows = self._names is not None and (blind or any(self._of(name) is _In.NAMED for name in stored))
        self._todo.append(([*body.values()], _In.FLOWING if flows else _In.UNKNOWN))

    def when(self, body: dict[str, Any]) -> None:
        """One WHEN of MERGE: values by place for an INSERT, by name for an UPDATE."""
        columns = [self._of(one.get("ResTarget", {}).get("name")) for one in body.get("targetList", ())]
        beyond = _In.NAMED if self._names is not None and not columns else _In.UNKNOWN
        self._todo += _placed(body.get("values", []), columns, beyond)
        self.update({name: value for name, value in body.items() if name != "values"})

    def option(self, body: dict[str, Any]) -> None:
        """An option by its name, as the password of a role."""
        name = body.get("defname")
        if self._of(name) is _In.NAMED or (self._names is not None and name == "as" and self._speaks(body.get("arg"))):
            self.offsets.add(body.get("location", 0))
        else:
            self._todo.append((body.get("arg"), _In.UNKNOWN))

    def setting(self, body: dict[str, Any]) -> None:
        """SET of a setting whose last part is the name."""
        self._todo.append((body.get("args"), self._of(str(body.get("name", "")).rpartition(".")[2])))

    def _speaks(self, node: Any) -> bool:
        """Whether it is a text, or some, with one of the names in it: a function's body."""
        texts = [*node.get("List", {}).get("items", ()), node] if isinstance(node, dict) else []
        return any(speaks(str(one.get("String", {}).get("sval", "")), self._named) for one in texts)

    def _is_named(self, node: dict[str, Any]) -> bool:
        parts = node.get("ColumnRef", {}).get("fields", ())
        return any(self._named(str(part.get("String", {}).get("sval", ""))) for part in parts)

    def _mentions(self, body: dict[str, Any]) -> bool:
        """Whether a column with one of the names is anywhere in here."""
        todo: list[Any] = [body]
        while todo:
            node = todo.pop()
            if isinstance(node, list):
                todo += node
            elif isinstance(node, dict):
                if self._names.mentioned(node) if self._names is not None else self._is_named(node):
                    return True
                todo += node.values()
        return False


_OWN: Final[dict[str, Callable[[_Walk, dict[str, Any]], None]]] = {
    "InsertStmt": _Walk.insert,
    "UpdateStmt": _Walk.update,
    "MergeStmt": _Walk.merge,
    "MergeWhenClause": _Walk.when,
    "DefElem": _Walk.option,
    "VariableSetStmt": _Walk.setting,
}
"""Nodes that say of which column, or option, a value is."""


def _placed(items: list[Any], columns: list[_In], beyond: _In) -> Iterator[tuple[Any, _In]]:
    for number, item in enumerate(items):
        yield item, columns[number] if number < len(columns) else beyond


def _characters(sql: str, offsets: list[int]) -> Iterator[int]:
    """Offsets in bytes, in order, as such in characters."""
    if sql.isascii():
        yield from offsets
        return
    raw, at, characters = sql.encode(), 0, 0
    for offset in offsets:
        characters += len(raw[at:offset].decode("utf-8", "ignore"))
        at = offset
        yield characters


def _replaced(sql: str, spans: list[tuple[int, int]], instead: str) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        pieces += (sql[at:start], instead)
        at = end
    return "".join([*pieces, sql[at:]])
