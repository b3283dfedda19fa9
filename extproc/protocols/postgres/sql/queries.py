"""SELECT, VALUES, set operations and WITH: their facts, and their columns. See "Queries" and "SELECT"."""

from abc import abstractmethod
from typing import Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.draft import DECIDING, Draft, union
from extproc.protocols.postgres.sql.facts import TOO_COMPLEX, Unparsable
from extproc.protocols.postgres.sql.names import texts
from extproc.protocols.postgres.sql.recursion import combined, provisional, settled
from extproc.protocols.postgres.sql.scope import ANYTHING, Cte, Ctes, Scope, renamed
from extproc.protocols.postgres.sql.script import Origins, Output
from extproc.protocols.postgres.sql.tables import Tables, is_star, labelled, star
from extproc.protocols.postgres.sql.tree import Node
from extproc.protocols.postgres.sql.truth import where

_DEEPEST: Final = 60
"""Queries inside one another: each takes a few calls of Python's stack."""
_WIDEST: Final = 20_000
"""Columns beyond which `*` of `*` is not told apart: PostgreSQL itself takes 1664."""
_OWN: Final = frozenset({"withClause", "sortClause", "limitCount", "limitOffset", "lockingClause"})
_WEAKER: Final = ("none", "always", "some")


class Named:
    """The output columns of a query, to be found by label and by number."""

    __slots__ = ("_behind", "_outputs", "_plain", "labels", "unlabelled")

    def __init__(self, outputs: tuple[Output, ...]) -> None:
        self._outputs = outputs
        self._plain = next((place for place, output in enumerate(outputs) if output.star), len(outputs))
        self.labels = {one.label: one for one in reversed(outputs) if not one.star and one.label is not None}
        self.unlabelled = union(one.origins for one in outputs if not one.star and one.label is None)
        behind = outputs[self._plain :]
        self._behind = Output(None, union(one.origins for one in behind), star=True) if behind else None

    def at(self, number: int) -> Output | None:
        """The column of this number, from 1; behind the first star, any from there on."""
        place = number - 1
        if place < self._plain:
            return self._outputs[place] if place >= 0 else None
        return self._behind


class Queries(Tables):
    """Reads queries into the facts of the statement that they are in."""

    def __init__(self) -> None:
        self._depth = 0
        self._recursive = 0

    @abstractmethod
    def change(self, tag: str, body: Node, within: str, ctes: Ctes | None) -> tuple[Output, ...] | None:
        """Reads INSERT, UPDATE, DELETE or MERGE as an item of its own, and gives the columns that it returns."""

    def query(
        self, draft: Draft, node: Node, scope: Scope | None, ctes: Ctes | None, top: bool = False
    ) -> tuple[Output, ...]:
        """Reads a SelectStmt without its tag. `scope` is the one around; with `top` its WHERE and LIMIT are the
        statement's."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unparsable("nested too deeply", state=TOO_COMPLEX)
        if "withClause" in node:
            ctes = self.bind(draft, node["withClause"], scope, ctes)
        inner = Scope(scope, ctes)
        if node.get("op", "SETOP_NONE") != "SETOP_NONE":
            outputs, condition = self._combine(draft, node, scope, ctes)
        elif "valuesLists" in node:
            outputs, condition = self._rows(draft, inner, node["valuesLists"]), None
        else:
            outputs, condition = self._select(draft, inner, node)
        self._tail(draft, inner, node, outputs)
        if top:
            draft.where = condition
            draft.limit = _limit(node)
        self._depth -= 1
        return outputs

    def _select(self, draft: Draft, scope: Scope, node: Node) -> tuple[tuple[Output, ...], str | None]:
        self.source(draft, scope, node.get("fromClause", []))
        outputs = self.targets(draft, scope, node.get("targetList", []))
        for clause in ("whereClause", "havingClause"):
            if clause in node:
                self.value(draft, scope, node[clause], "filtered")
        named = Named(outputs)
        for item in node.get("groupClause", []):
            self._group(draft, scope, item, named)
        for item in node.get("distinctClause", []):
            if item:
                self._order(draft, scope, item, named, "grouped")
            else:
                _compare(draft, outputs)
        for window in node.get("windowClause", []):
            _, body = only(window)
            self.value(draft, scope, body.get("partitionClause", []), "grouped")
            self.value(draft, scope, body.get("orderClause", []), "sorted")
            self.value(draft, scope, [body.get("startOffset", []), body.get("endOffset", [])], DECIDING)
        return outputs, where(node.get("whereClause"))

    def targets(self, draft: Draft, scope: Scope, targets: list[Node]) -> tuple[Output, ...]:
        """The columns of a list of targets: of SELECT, and of RETURNING."""
        outputs: list[Output] = []
        for target in targets:
            _, body = only(target)
            origins = self.value(draft, scope, body["val"])
            if is_star(body["val"]):
                outputs += star(scope, body["val"]) if len(outputs) <= _WIDEST else ()
            else:
                outputs.append(labelled(body, origins))
        return tuple(outputs) if len(outputs) <= _WIDEST else (ANYTHING,)

    def _rows(self, draft: Draft, scope: Scope, rows: list[Node]) -> tuple[Output, ...]:
        """VALUES: each column is made of what stands at its place in any row."""
        columns: list[list[Origins]] = []
        for row in rows:
            for place, item in enumerate(only(row)[1].get("items", ())):
                if place == len(columns):
                    columns.append([])
                if "A_Const" not in item:
                    origins = self.value(draft, scope, item)
                    if origins != ():
                        columns[place].append(origins)
        return tuple(Output(f"column{place + 1}", union(column)) for place, column in enumerate(columns))

    def _combine(
        self, draft: Draft, node: Node, scope: Scope | None, ctes: Ctes | None
    ) -> tuple[tuple[Output, ...], str | None]:
        """Set operations: each column is made of those at its place. Long chains are walked without recursion."""
        todo, leaves = [node["rarg"], node["larg"]], []
        compares = _compares(node)
        while todo:
            one = todo.pop()
            if one.get("op", "SETOP_NONE") != "SETOP_NONE" and not _OWN & one.keys():
                compares = compares or _compares(one)
                todo += [one["rarg"], one["larg"]]
            else:
                leaves.append(one)
        outputs: tuple[Output, ...] | None = None
        conditions: set[str | None] = set()
        for leaf in leaves:
            own = Draft("")
            more = self.query(own, leaf, scope, ctes, top=True)
            draft.absorb(own)
            outputs = more if outputs is None else combined(outputs, more)
            conditions.add(own.where)
        if compares:
            _compare(draft, outputs or ())
        return outputs or (), next((word for word in _WEAKER if word in conditions), None)

    def _tail(self, draft: Draft, scope: Scope, node: Node, outputs: tuple[Output, ...]) -> None:
        if "sortClause" in node:
            named = Named(outputs)
            for item in node["sortClause"]:
                _, body = only(item)
                if "useOp" in body:
                    self.operates(draft, body["useOp"])
                self._order(draft, scope, body["node"], named, "sorted")
        self.value(draft, scope, [node.get("limitCount", []), node.get("limitOffset", [])], DECIDING)
        if "lockingClause" in node:
            draft.locks = True

    def _order(self, draft: Draft, scope: Scope, item: Node, outputs: Named, place: str) -> None:
        """ORDER BY and DISTINCT ON: the number or the name of an output column, or an expression."""
        tag, body = only(item)
        found = None
        if tag == "A_Const" and "ival" in body:
            found = outputs.at(body["ival"].get("ival", 0))
        elif tag == "ColumnRef" and len(body["fields"]) == 1:
            name = text(body["fields"][0])
            found = outputs.labels.get(name)
            if found is None and outputs.unlabelled != ():
                # What PostgreSQL calls them the text does not tell.
                draft.add(place, outputs.unlabelled, name)
        if found is None:
            self.value(draft, scope, item, place)
        else:
            draft.add(place, found.origins, found.label or "*")

    def _group(self, draft: Draft, scope: Scope, item: Node, outputs: Named) -> None:
        """GROUP BY: as ORDER BY, but a column of a table goes before an output column of its name."""
        tag, body = only(item)
        if tag == "A_Const":
            self._order(draft, scope, item, outputs, "grouped")
            return
        self.value(draft, scope, item, "grouped")
        if tag == "ColumnRef" and len(body["fields"]) == 1 and text(body["fields"][0]) not in scope.named:
            self._order(draft, scope, item, outputs, "grouped")

    def bind(self, draft: Draft, clause: Node, scope: Scope | None, around: Ctes | None) -> Ctes:
        """WITH: the names that it gives. Without RECURSIVE one sees those in front of it, with it all see all."""
        ctes = Ctes(around)
        bodies = [only(one)[1] for one in clause["ctes"]]
        recursive = "recursive" in clause
        if recursive:
            ctes.names.update((body["ctename"], Cte(body, scope)) for body in bodies)
        for body in bodies:
            cte = ctes.names[body["ctename"]] if recursive else Cte(body, scope)
            self.common(draft, cte, ctes, body["ctename"])
            ctes.names[body["ctename"]] = cte
        return ctes

    def common(self, draft: Draft, cte: Cte, ctes: Ctes, name: str) -> tuple[Output, ...]:
        """The columns of a common table expression, which is read when it is first needed."""
        if cte.outputs is not None:
            return cte.outputs
        if cte.busy:
            return (ANYTHING,)
        cte.busy = True
        tag, node = only(cte.body["ctequery"])
        names = texts(cte.body.get("aliascolnames", []))
        if tag != "SelectStmt":
            outputs: tuple[Output, ...] = self.change(tag, node, "cte", ctes) or ()
        elif name in ctes.names and node.get("op") == "SETOP_UNION":
            outputs = self._again(draft, cte, node, ctes, names)
        else:
            outputs = self.query(draft, node, cte.scope, ctes)
        extra = [
            cte.body.get(clause, {}).get(column)
            for clause, column in (
                ("search_clause", "search_seq_column"),
                ("cycle_clause", "cycle_mark_column"),
                ("cycle_clause", "cycle_path_column"),
            )
        ]
        found = renamed(outputs, names)
        if "cycle_clause" in cte.body:
            _compare(draft, found)
        made = union(one.origins for one in found)
        cte.outputs = (*found, *(Output(one, made) for one in extra if one))
        return cte.outputs

    def _again(self, draft: Draft, cte: Cte, node: Node, ctes: Ctes, names: list[str]) -> tuple[Output, ...]:
        """A recursive one: what its second part reads of itself is what both parts are made of."""
        self._recursive += 1
        mark = self._recursive
        inner = self.bind(draft, node["withClause"], cte.scope, ctes) if "withClause" in node else ctes
        first = self.query(draft, node["larg"], cte.scope, inner)
        cte.outputs = provisional(renamed(first, names), mark)
        outputs = settled(combined(first, self.query(draft, node["rarg"], cte.scope, inner)), mark)
        if _compares(node):
            _compare(draft, outputs)
        self._tail(draft, Scope(cte.scope, inner), node, outputs)
        return outputs


def _compares(node: Node) -> bool:
    """Whether a set operation compares rows: all but UNION ALL do."""
    return node["op"] != "SETOP_UNION" or "all" not in node


def _compare(draft: Draft, outputs: tuple[Output, ...]) -> None:
    """These rows are compared as a whole."""
    for output in outputs:
        draft.add("grouped", output.origins, "*")


def _limit(node: Node) -> int | None:
    """A constant LIMIT or FETCH FIRST; WITH TIES may give more rows than that."""
    count = node.get("limitCount")
    if count is None or node.get("limitOption") == "LIMIT_OPTION_WITH_TIES":
        return None
    tag, body = only(count)
    while tag == "TypeCast":
        tag, body = only(body["arg"])
    if tag == "A_Const" and "ival" in body:
        return int(body["ival"].get("ival", 0))
    return None
