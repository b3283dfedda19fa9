"""INSERT, UPDATE, DELETE and MERGE: see their pages in PostgreSQL's documentation."""

from abc import abstractmethod
from typing import Final

from extproc.protocols.postgres.sql.compare import only
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import CURSOR_POSITION, Column, Relation
from extproc.protocols.postgres.sql.names import relation_name
from extproc.protocols.postgres.sql.queries import Queries
from extproc.protocols.postgres.sql.scope import ANYTHING, Ctes, Scope, Source
from extproc.protocols.postgres.sql.script import Output, Script
from extproc.protocols.postgres.sql.tree import Node
from extproc.protocols.postgres.sql.truth import where

CHANGES: Final = {"InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete", "MergeStmt": "merge"}
"""The kinds of the statements that are read here."""


class Changes(Queries):
    """Reads statements that change rows."""

    def __init__(self) -> None:
        super().__init__()
        self.drafts: list[Draft] = []

    @abstractmethod
    def cursor(self, name: str) -> Script | None:
        """The query of a cursor; None where it is not known."""

    def begin(self, kind: str, within: str | None) -> Draft:
        """A statement, or one in a statement, as an item of its own."""
        draft = Draft(kind, within)
        self.drafts.append(draft)
        return draft

    def change(self, tag: str, body: Node, within: str | None, ctes: Ctes | None) -> tuple[Output, ...] | None:
        """Reads one as an item, and gives the columns that RETURNING returns."""
        if tag not in CHANGES:
            self.begin("other", within).doubt("node")
            return (ANYTHING,)
        draft = self.begin(CHANGES[tag], within)
        scope = Scope(None, ctes)
        if "withClause" in body:
            scope.ctes = self.bind(draft, body["withClause"], None, ctes)
        target = self.target(draft, body["relation"])
        if tag == "InsertStmt":
            self._insert(draft, scope, target, body)
        elif tag == "MergeStmt":
            self._merge(draft, scope, target, body)
        else:
            scope.add(target)
            scope.star += target.outputs
            self.source(draft, scope, body.get("fromClause" if tag == "UpdateStmt" else "usingClause", []))
            self._assign(draft, scope, target, body.get("targetList", []))
            self._condition(draft, scope, body)
            draft.where = where(body.get("whereClause"))
            if "CurrentOfExpr" in body.get("whereClause", {}):
                self._current_of(draft, body["whereClause"]["CurrentOfExpr"])
        outputs = self._returning(draft, scope, target, body)
        schema, name = relation_name(body["relation"])
        if any(one.table is None or (one.schema, one.table) == (schema, name) for one in draft.columns["read"]):
            draft.reads[Relation(schema, name)] = None
        return outputs

    def _current_of(self, draft: Draft, body: Node) -> None:
        """The row that a cursor stands on: what its query reads decides which, and so does how far it was fetched."""
        draft.name = body.get("cursor_name")
        draft.doubt(CURSOR_POSITION)
        script = self.cursor(draft.name or "")
        if script is None:
            draft.doubt("cursor")
            return
        draft.absorb(Draft.of(script.statements[0], None))

    def _insert(self, draft: Draft, scope: Scope, target: Source, body: Node) -> None:
        names = [only(one)[1] for one in body.get("cols", [])]
        draft.add("written", _columns(target, names), "*")
        if "selectStmt" in body:
            _, select = only(body["selectStmt"])
            if "valuesLists" in select:
                self.query(draft, select, None, scope.ctes)
            else:
                inner = self.begin("select", "insert")
                self.query(inner, select, None, scope.ctes, top=True)
                draft.absorb(inner)
        scope.add(target)
        scope.star += target.outputs
        conflict = body.get("onConflictClause")
        if conflict is not None:
            infer = conflict.get("infer", {})
            keys = [only(one)[1] for one in infer.get("indexElems", [])]
            named = [one for one in keys if "name" in one]
            if named:
                draft.add("filtered", _columns(target, named), "*")
            self.value(draft, scope, [*(one["expr"] for one in keys if "expr" in one)], "filtered")
            self._condition(draft, scope, infer)
            scope.add(Source("excluded", target.outputs, qualified=True))
            self._assign(draft, scope, target, conflict.get("targetList", []))
            self._condition(draft, scope, conflict)

    def _merge(self, draft: Draft, scope: Scope, target: Source, body: Node) -> None:
        scope.add(target)
        self.source(draft, scope, [body["sourceRelation"]])
        # RETURNING * is the source's columns, then the target's.
        scope.star += target.outputs
        self.value(draft, scope, body["joinCondition"], "joined")
        draft.where = where(body["joinCondition"])
        for clause in body["mergeWhenClauses"]:
            _, when = only(clause)
            self.value(draft, scope, when.get("condition", []), "filtered")
            draft.action[_WHEN.get(when["commandType"], "nothing")] = None
            if when["commandType"] == "CMD_INSERT":
                draft.add("written", _columns(target, [only(one)[1] for one in when.get("targetList", [])]), "*")
                self.value(draft, scope, when.get("values", []))
            elif when["commandType"] == "CMD_UPDATE":
                self._assign(draft, scope, target, when.get("targetList", []))

    def _assign(self, draft: Draft, scope: Scope, target: Source, targets: list[Node]) -> None:
        """SET: what is assigned to, and what to it."""
        bodies = [only(one)[1] for one in targets]
        if bodies:
            draft.add("written", _columns(target, bodies), "*")
        for body in bodies:
            value = body["val"]
            if "MultiAssignRef" in value:
                # One source stands at each of its columns.
                if value["MultiAssignRef"]["colno"] > 1:
                    continue
                value = value["MultiAssignRef"]["source"]
            self.value(draft, scope, [value, body.get("indirection", [])])

    def _condition(self, draft: Draft, scope: Scope, body: Node) -> None:
        if "whereClause" in body:
            self.value(draft, scope, body["whereClause"], "filtered")

    def _returning(self, draft: Draft, scope: Scope, target: Source, body: Node) -> tuple[Output, ...] | None:
        clause = body.get("returningClause")
        if clause is None:
            return None
        said = [only(one)[1] for one in clause.get("options", [])]
        names = {one["option"]: one["value"] for one in said}
        for option, name in (("RETURNING_OPTION_OLD", "old"), ("RETURNING_OPTION_NEW", "new")):
            alias = names.get(option, name)
            if alias not in scope.items:
                scope.add(Source(alias, target.outputs, qualified=True))
        return self.targets(draft, scope, clause["exprs"])


_WHEN: Final = {"CMD_INSERT": "insert", "CMD_UPDATE": "update", "CMD_DELETE": "delete"}


def _columns(target: Source, bodies: list[Node]) -> tuple[Column, ...]:
    """Columns of the table that is changed; all where none is named."""
    assert target.open is not None
    assert target.open.origins is not None
    [whole] = target.open.origins
    return tuple(Column(whole.schema, whole.table, body["name"]) for body in bodies) if bodies else (whole,)
