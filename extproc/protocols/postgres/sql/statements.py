"""Statements by their node, and those with others in them: EXPLAIN, PREPARE, COPY, CREATE … AS, functions, …"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from extproc.protocols.postgres.sql.changes import CHANGES
from extproc.protocols.postgres.sql.commands import command
from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.custom import PLAIN, Custom
from extproc.protocols.postgres.sql.definitions import Definitions
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import CURSOR_POSITION, Column, Copy, Relation, Unparsable
from extproc.protocols.postgres.sql.names import parts, relation_name, texts
from extproc.protocols.postgres.sql.objects import about, is_on, type_of, words
from extproc.protocols.postgres.sql.scope import ANYTHING, Scope, Source, relation
from extproc.protocols.postgres.sql.script import UNKNOWN, Output, Script
from extproc.protocols.postgres.sql.tree import Node, parse

Outputs = tuple[Output, ...] | None
_NO_ORIGIN: Final = Output(None, (), star=True)
_DEEPEST_BODY: Final = 3
_ALL_ROWS: Final = 2**63 - 1
_WITH_HOLD: Final = 0x20
"""CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h."""


class Statements(Definitions):
    """Reads a script. `looked` is true once a prepared statement or a cursor of the session was asked for."""

    def __init__(self, prepared: Mapping[str, Script], cursors: Mapping[str, Script], custom: Custom = PLAIN) -> None:
        super().__init__()
        self.custom = custom
        self.looked = False
        self.new_prepared: dict[str, Script | None] = {}
        self.new_cursors: dict[str, Script | None] = {}
        self._prepared = prepared
        self._cursors = cursors
        self._bodies = 0

    def statement(self, node: Node, within: str | None = None) -> Outputs:
        """Reads one statement, a node with its tag, as items; gives the columns of its rows, None for none."""
        tag, body = only(node)
        if tag == "SelectStmt":
            return self._selected(body, within)
        if tag in CHANGES:
            return self.change(tag, body, within, None)
        special = self._CONTAINERS.get(tag)
        if special is not None:
            return special(self, body, within)
        draft = command(tag, body)
        if draft is not None:
            draft.within = within
            self.drafts.append(draft)
            self._forget(draft)
            return (_NO_ORIGIN,) if tag == "VariableShowStmt" else None
        if self.define(tag, body, within):
            return None
        self.begin("other", within).doubt("node")
        return (ANYTHING,)

    def _selected(self, body: Node, within: str | None) -> Outputs:
        first = body
        while "larg" in first:
            first = first["larg"]
        if "intoClause" in first:
            draft = self.begin("create", within)
            about(draft, "table", first["intoClause"]["rel"])
            inner = self.begin("select", "create")
            self.query(inner, body, None, None, top=True)
            draft.absorb(inner)
            return None
        return self.query(self.begin("select", within), body, None, None, top=True)

    def _inner(self, draft: Draft, node: Node, within: str) -> Outputs:
        """A query whose reading is the outer statement's, too."""
        start = len(self.drafts)
        outputs = self.statement(node, within)
        if self.drafts[start].kind == "select":
            draft.absorb(self.drafts[start])
        return outputs

    def _table_as(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("create", within)
        about(draft, type_of(body["objtype"]), body["into"]["rel"])
        self._inner(draft, body["query"], "create")
        return None

    def _explain(self, body: Node, within: str | None) -> Outputs:
        """The plan tells of constants, and so of what a function made of them."""
        self.begin("explain", within)
        start = len(self.drafts)
        self.statement(body["query"], "explain_analyze" if is_on(body.get("options", []), "analyze") else "explain")
        doubtful = any(draft.unknown for draft in self.drafts[start:])
        return (Output("QUERY PLAN", UNKNOWN if doubtful else ()),)

    def _prepare(self, body: Node, within: str | None) -> Outputs:
        self.begin("prepare", within).name = body["name"]
        self.new_prepared[body["name"]] = self._script(body["query"], "prepare")
        return None

    def _script(self, query: Node, within: str) -> Script:
        """A statement that is executed later."""
        start = len(self.drafts)
        outputs = self.statement(query, within)
        inner = [draft.finish(None if place == 0 else draft.within) for place, draft in enumerate(self.drafts[start:])]
        return Script(tuple(inner), (outputs,))

    def _execute(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("execute", within)
        draft.name = body["name"]
        self.value(draft, Scope(None, None), body.get("params", []))
        script = self._known(body["name"], self.new_prepared, self._prepared)
        if script is None:
            draft.doubt("prepared-statement")
            return (ANYTHING,)
        if any(CURSOR_POSITION in one.unknown for one in script.statements):
            # Its cursor may be another one by now.
            draft.doubt("cursor")
        for one in script.statements:
            self.drafts.append(Draft.of(one, one.within or "execute"))
        return script.results[0] if script.results else None

    def cursor(self, name: str) -> Script | None:
        return self._known(name, self.new_cursors, self._cursors)

    def _known(self, name: str, new: dict[str, Script | None], old: Mapping[str, Script]) -> Script | None:
        if name in new:
            return new[name]
        self.looked = True
        return None if "" in new else old.get(name)

    def _forget(self, draft: Draft) -> None:
        """DEALLOCATE, CLOSE, DISCARD: what had the name is no more; without a name all of them."""
        discards = draft.kind == "discard" and "all" in draft.action
        for kind, new in (("deallocate", self.new_prepared), ("close", self.new_cursors)):
            if discards or (draft.kind == kind and draft.name is None):
                new.clear()
                new[""] = None
            elif draft.kind == kind and draft.name is not None:
                new[draft.name] = None

    def _declare(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("declare", within)
        draft.name = body["portalname"]
        if body.get("options", 0) & _WITH_HOLD:
            draft.action["hold"] = None
        start = len(self.drafts)
        self.new_cursors[draft.name] = self._script(body["query"], "declare")
        draft.absorb(self.drafts[start])
        return None

    def _fetch(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("fetch", within)
        draft.name = body["portalname"]
        moves = "ismove" in body
        if moves:
            draft.action["move"] = None
        elif body["direction"] in ("FETCH_FORWARD", "FETCH_BACKWARD") and body.get("howMany", 0) < _ALL_ROWS:
            draft.limit = body.get("howMany", 0)
        script = self.cursor(draft.name)
        if script is None:
            draft.doubt("cursor")
            return None if moves else (ANYTHING,)
        draft.absorb(Draft.of(script.statements[0], None))
        return None if moves or not script.results else script.results[0]

    def _copy(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("copy", within)
        path = body.get("filename")
        place = "program" if "is_program" in body else "client" if path is None else "file"
        draft.copy = Copy("in" if "is_from" in body else "out", place, path, _options(body))
        if "query" in body:
            outputs = self._inner(draft, body["query"], "copy")
        else:
            outputs = self._copy_table(draft, body)
        return outputs if draft.copy.direction == "out" and place == "client" else None

    def _copy_table(self, draft: Draft, body: Node) -> tuple[Output, ...]:
        schema, name = relation_name(body["relation"])
        columns = [Column(schema, name, each) for each in texts(body.get("attlist", []))]
        moved = tuple(columns) or (Column(schema, name, "*"),)
        if "is_from" in body:
            draft.writes[Relation(schema, name)] = None
            draft.add("written", moved, "*")
        else:
            draft.reads[Relation(schema, name)] = None
            draft.add("read", moved, "*")
        if "whereClause" in body:
            scope = Scope(None, None)
            scope.add(Source(name, relation(schema, name), schema))
            self.value(draft, scope, body["whereClause"], "filtered")
        return tuple(Output(one.name, (one,)) for one in columns) or relation(schema, name)

    def _call_procedure(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("call", within)
        self.value(draft, Scope(None, None), {"FuncCall": body["funccall"]})
        draft.unknown.pop("function", None)
        draft.doubt("function-body")
        return (ANYTHING,)

    def _view(self, body: Node, within: str | None) -> Outputs:
        about(self.begin("create", within), "view", body["view"])
        self.statement(body["query"], "view")
        return None

    def _rule(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("create", within)
        draft.about("rule", None, body["rulename"])
        self.beside(
            draft, "rule", "RuleStmt", {name: body[name] for name in ("relation", "whereClause") if name in body}
        )
        for one in body.get("actions", []):
            self.statement(one, "rule")
        return None

    def _schema(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("create", within)
        if "schemaname" in body:
            draft.about("schema", None, body["schemaname"])
        if "authrole" in body:
            about(draft, "role", body["authrole"])
        for one in body.get("schemaElts", []):
            self.statement(one, "create")
        return None

    def _foreign_table(self, body: Node, within: str | None) -> Outputs:
        self.define("CreateStmt", body["base"], within)
        self.drafts[-1].objects.clear()
        about(self.drafts[-1], "foreign_table", body["base"]["relation"])
        self.drafts[-1].about("server", None, body["servername"])
        return None

    def _return(self, body: Node, within: str | None) -> Outputs:
        self.value(self.begin("select", within), Scope(None, None), body["returnval"])
        return None

    def _function(self, body: Node, within: str | None) -> Outputs:
        draft = self.begin("create", within)
        draft.about("procedure" if "is_procedure" in body else "function", *parts(body["funcname"]))
        options = body.get("options", [])
        draft.action.update(dict.fromkeys(one for one in words(options) if one not in ("as", "language")))
        parameters = body.get("parameters", [])
        self.beside(draft, "function", "CreateFunctionStmt", {"parameters": parameters, "options": options})
        said = {one["defname"]: one.get("arg", {}) for one in (only(option)[1] for option in options)}
        if "language" in said:
            draft.about("language", None, text(said["language"]).lower())
        if "sql_body" in body:
            self._body(body["sql_body"])
        elif text(said.get("language", {})).lower() != "sql" or not self._text(said.get("as", {})):
            draft.doubt("function-body")
        return None

    def _body(self, tree: Any) -> None:
        """BEGIN ATOMIC … END is a list in a list, RETURN a statement."""
        for one in only(tree)[1].get("items", [tree]):
            for each in only(one)[1].get("items", [one]):
                self.statement(each, "function")

    def _text(self, node: Node) -> bool:
        """The body of a function in SQL, as text. False where it can't be read."""
        items = texts(node.get("List", {}).get("items", []))
        if len(items) != 1 or self._bodies == _DEEPEST_BODY:
            return False
        start = len(self.drafts)
        self._bodies += 1
        try:
            for one in parse(items[0]):
                self.statement(one, "function")
        except Unparsable:
            del self.drafts[start:]
            return False
        finally:
            self._bodies -= 1
        return True

    _CONTAINERS: Final[dict[str, Callable[["Statements", Node, str | None], Outputs]]] = {
        "CreateTableAsStmt": _table_as,
        "ExplainStmt": _explain,
        "PrepareStmt": _prepare,
        "ExecuteStmt": _execute,
        "DeclareCursorStmt": _declare,
        "FetchStmt": _fetch,
        "CopyStmt": _copy,
        "CallStmt": _call_procedure,
        "ViewStmt": _view,
        "RuleStmt": _rule,
        "CreateSchemaStmt": _schema,
        "CreateForeignTableStmt": _foreign_table,
        "ReturnStmt": _return,
        "CreateFunctionStmt": _function,
    }


def _options(body: Node) -> tuple[tuple[str, str | None], ...]:
    """The options of a COPY."""
    return tuple((one["DefElem"]["defname"], _plain(one["DefElem"].get("arg"))) for one in body.get("options", []))


def _plain(argument: Node | None) -> str | None:
    """The text of an option's value."""
    match argument:
        case None:
            return "true"
        case {"String": {"sval": str(text)}}:
            return text
        case {"String": {}}:
            return ""
        case {"Boolean": body}:
            return "true" if body.get("boolval") else "false"
        case {"Integer": body}:
            return str(body.get("ival", 0))
    return None
