"""Which constants and parameters of a text are values of columns with certain names: records leave them out.

A value is one of a column's where it is stored in it, or stands in one expression with it: `SET pin = $1`, `pin = '1'`,
`VALUES (…)` by the list of columns, `crypt('x', pin)`. What belongs to no column by the text alone (an INSERT without a
list of columns, EXECUTE) is not found here.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from extproc.protocols.postgres.sql.facts import Unparsable
from extproc.protocols.postgres.sql.tree import parse, tokens

Named = Callable[[str], bool]

_CONSTANTS: Final = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST", "TRUE_P", "FALSE_P"})
_EXPRESSIONS: Final = frozenset(
    {
        *("A_Expr", "FuncCall", "CaseExpr", "SubLink", "NullTest", "CoalesceExpr", "MinMaxExpr", "RowExpr"),
        *("A_ArrayExpr", "TypeCast", "A_Indirection", "BooleanTest", "CollateClause", "XmlExpr"),
    }
)


class _In(Enum):
    """Where a node stands: nowhere that is known yet, in an expression without the names, or with one of them."""

    UNKNOWN = auto()
    OTHER = auto()
    NAMED = auto()


@dataclass(frozen=True, slots=True)
class Covered:
    """A text with `instead` in the place of what is hidden, and the numbers of hidden parameters; None is all."""

    text: str
    parameters: frozenset[int] | None


def cover(sql: str, named: Named, instead: str) -> Covered:
    """Cover the values of columns whose name is `named`. Of a text that can't be parsed every constant is covered; of
    one that can't be scanned either, all."""
    try:
        nodes = parse(sql)
    except Unparsable:
        constants = [(start, end) for start, end, kind in tokens(sql) if kind in _CONSTANTS]
        return Covered(_replaced(sql, constants, instead) if constants else instead, None)
    walk = _Walk(named)
    walk.take(nodes)
    if not walk.offsets:
        return Covered(sql, frozenset(walk.parameters))
    scanned = tokens(sql)
    spans: dict[int, int] = {}
    starts = [start for start, _, _ in scanned]
    for offset in _characters(sql, sorted(walk.offsets)):
        # A constant begins with its sign; a DefElem's is somewhere behind its name.
        found = next((t for t in scanned[bisect_left(starts, offset) :] if t[2] in _CONSTANTS), None)
        if found is not None:
            spans[found[0]] = found[1]
    return Covered(_replaced(sql, sorted(spans.items()), instead), frozenset(walk.parameters))


class _Walk:
    """Goes through a tree once. `offsets` (bytes) are where hidden constants stand, or the names of their options."""

    def __init__(self, named: Named) -> None:
        self._named = named
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
                self._todo.append((body, place))
            elif tag in _EXPRESSIONS and place is _In.UNKNOWN:
                if self._mentions(body):
                    self._todo.append((body, _In.NAMED))
            elif tag == "A_Const":
                if place is _In.NAMED:
                    self.offsets.add(body.get("location", 0))
            elif tag == "ParamRef":
                if place is _In.NAMED:
                    self.parameters.add(body.get("number", 0))
            elif (own := _OWN.get(tag)) is not None:
                own(self, body)
            else:
                self._todo.append((body, place))

    def _of(self, name: object) -> _In:
        return _In.NAMED if isinstance(name, str) and self._named(name) else _In.UNKNOWN

    def insert(self, body: dict[str, Any]) -> None:
        """INSERT: values have the columns' places."""
        columns = [self._of(one["ResTarget"].get("name")) for one in body.get("cols", ())]
        select = body.get("selectStmt", {}).get("SelectStmt", {})
        for items in [one["List"].get("items", []) for one in select.get("valuesLists", ())]:
            self._todo += _placed(items, columns)
        if columns and not select.get("valuesLists"):
            self._todo += _placed(select.get("targetList", []), columns)
            select = {name: value for name, value in select.items() if name != "targetList"}
        rest = {name: value for name, value in select.items() if name != "valuesLists"}
        self._todo.append((list(rest.values()), _In.UNKNOWN))
        if (conflict := body.get("onConflictClause")) is not None:
            self.update(conflict)
        self._todo.append(([body.get("returningList"), body.get("withClause")], _In.UNKNOWN))

    def update(self, body: dict[str, Any]) -> None:
        """UPDATE, and INSERT's ON CONFLICT DO UPDATE: each value is its column's."""
        for one in body.get("targetList", ()):
            target = one.get("ResTarget", {})
            self._todo.append((target.get("val"), self._of(target.get("name"))))
        self._todo.append(([value for name, value in body.items() if name != "targetList"], _In.UNKNOWN))

    def merge(self, body: dict[str, Any]) -> None:
        """One WHEN of MERGE: values by place for an INSERT, by name for an UPDATE."""
        columns = [self._of(one.get("ResTarget", {}).get("name")) for one in body.get("targetList", ())]
        self._todo += _placed(body.get("values", []), columns)
        self.update({name: value for name, value in body.items() if name != "values"})

    def option(self, body: dict[str, Any]) -> None:
        """An option by its name, as the password of a role."""
        if self._of(body.get("defname")) is _In.NAMED:
            self.offsets.add(body.get("location", 0))
        else:
            self._todo.append((body.get("arg"), _In.UNKNOWN))

    def setting(self, body: dict[str, Any]) -> None:
        """SET of a setting whose last part is the name."""
        self._todo.append((body.get("args"), self._of(str(body.get("name", "")).rpartition(".")[2])))

    def _mentions(self, body: dict[str, Any]) -> bool:
        """Whether a column with one of the names is anywhere in here."""
        todo: list[Any] = [body]
        while todo:
            node = todo.pop()
            if isinstance(node, list):
                todo += node
            elif isinstance(node, dict):
                for part in node.get("ColumnRef", {}).get("fields", ()):
                    if self._named(str(part.get("String", {}).get("sval", ""))):
                        return True
                todo += node.values()
        return False


_OWN: Final[dict[str, Callable[[_Walk, dict[str, Any]], None]]] = {
    "InsertStmt": _Walk.insert,
    "UpdateStmt": _Walk.update,
    "MergeWhenClause": _Walk.merge,
    "DefElem": _Walk.option,
    "VariableSetStmt": _Walk.setting,
}
"""Nodes that say of which column, or option, a value is."""


def _placed(items: list[Any], columns: list[_In]) -> Iterator[tuple[Any, _In]]:
    for number, item in enumerate(items):
        yield item, columns[number] if number < len(columns) else _In.UNKNOWN


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
