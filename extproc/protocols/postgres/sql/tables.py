"""FROM: tables, functions, subqueries and joins become the sources of a scope. See "Table Expressions"."""

from abc import abstractmethod
from typing import Any, Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.documents import EQUAL
from extproc.protocols.postgres.sql.draft import DECIDING, Draft, union
from extproc.protocols.postgres.sql.expressions import Expressions
from extproc.protocols.postgres.sql.facts import Column, Relation
from extproc.protocols.postgres.sql.names import alias_of, label, parts, relation_name, texts
from extproc.protocols.postgres.sql.scope import ANYTHING, Cte, Ctes, Scope, Source, relation, renamed
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins, Output
from extproc.protocols.postgres.sql.tree import Node

_SPREAD: Final = frozenset({"RangeTableFunc", "JsonTable"})

Joined = tuple[list[Source], tuple[Output, ...]]
"""What a FROM item adds to the scope, and what `*` means of it."""


class Tables(Expressions):
    """Reads FROM clauses."""

    @abstractmethod
    def common(self, draft: Draft, cte: Cte, ctes: Ctes, name: str) -> tuple[Output, ...]:
        """The columns of a common table expression."""

    def source(self, draft: Draft, scope: Scope, items: list[Node]) -> None:
        """Adds FROM items to a scope, and what they read to the facts."""
        for item in items:
            sources, outputs = self._item(draft, scope, item)
            for source in sources:
                scope.add(source)
            scope.star += outputs

    def target(self, draft: Draft, node: Node) -> Source:
        """The table that a statement changes, a RangeVar without its tag. It is never a common table expression."""
        schema, name = relation_name(node)
        draft.writes[Relation(schema, name)] = None
        self.own(draft, self.custom.relation(name))
        alias, _ = alias_of(node)
        return Source(alias or name, relation(schema, name), None if alias else schema)

    def _item(self, draft: Draft, scope: Scope, item: Node) -> Joined:
        """Joins without recursion: what is joined comes before the join itself."""
        todo: list[tuple[Node, bool]] = [(item, False)]
        found: list[Joined] = []
        while todo:
            node, ready = todo.pop()
            tag, body = only(node)
            if tag != "JoinExpr":
                source = self._one(draft, scope, found, tag, body)
                found.append(([source], source.outputs))
            elif not ready:
                todo += [(node, True), (body["rarg"], False), (body["larg"], False)]
            else:
                right, left = found.pop(), found.pop()
                found.append(self._join(draft, scope, body, left, right))
        return found[0]

    def _one(self, draft: Draft, scope: Scope, beside: list[Joined], tag: str, body: Node) -> Source:
        alias, names = alias_of(body)
        if tag == "RangeVar":
            return self._relation(draft, scope, body)
        if tag == "RangeSubselect":
            around = self._lateral(scope, beside) if "lateral" in body else scope.parent
            outputs = self.query(draft, only(body["subquery"])[1], around, scope.ctes)
            return Source(alias, renamed(outputs, names))
        if tag == "RangeFunction":
            return self._functions(draft, self._lateral(scope, beside), body, alias)
        if tag == "RangeTableSample":
            self.value(draft, scope, [body.get("args", []), body.get("repeatable", [])], DECIDING)
            inner, sampled = only(body["relation"])
            return self._one(draft, scope, beside, inner, sampled)
        if tag not in _SPREAD:
            draft.doubt("node")
        # XMLTABLE and JSON_TABLE: their columns are made of the document.
        document = self.value(draft, self._lateral(scope, beside), body, DECIDING)
        return Source(alias, (Output(None, document if tag in _SPREAD else UNKNOWN, star=True),))

    def _relation(self, draft: Draft, scope: Scope, body: Node) -> Source:
        schema, name = relation_name(body)
        alias, names = alias_of(body)
        found = scope.ctes.find(name) if schema is None and scope.ctes is not None else None
        if found is not None:
            return Source(alias or name, renamed(self.common(draft, *found, name), names))
        draft.reads[Relation(schema, name)] = None
        # Wherever one of its columns is used as one of another type, that may run code; what it gives nobody can tell.
        outputs = (ANYTHING,) if self.own(draft, self.custom.relation(name)) else relation(schema, name)
        return Source(alias or name, renamed(outputs, names), None if alias else schema)

    def _functions(self, draft: Draft, scope: Scope, body: Node, alias: str | None) -> Source:
        """The columns of a function are made of its arguments, where it only computes."""
        items = [only(one)[1]["items"] for one in body.get("functions", [])]
        calls = [item[0] for item in items]
        origins: Origins = union([self.value(draft, scope, call, DECIDING) for call in calls])
        self.value(draft, scope, [body.get("coldeflist", []), [item[1:] for item in items]])
        if alias is None and calls:
            alias = parts(only(calls[0])[1]["funcname"])[1] if only(calls[0])[0] == "FuncCall" else label(calls[0])
        # A function may be given rows of a table: `*` of that is any of its columns.
        if origins is not UNKNOWN and any(column.is_star for column in origins):
            origins = UNKNOWN
        source = Source(alias, (Output(None, origins, star=True),))
        listed = [*body.get("coldeflist", []), *(one for item in items for part in item[1:] for one in _listed(part))]
        columns = (only(one)[1].get("colname", "") for one in listed)
        source.of_function = frozenset((alias or "", "ordinality", *alias_of(body)[1], *columns))
        return source

    def _lateral(self, scope: Scope, beside: list[Joined]) -> Scope:
        """The scope of a FROM item that sees those in front of it."""
        if not beside:
            return scope
        inner = Scope(scope, scope.ctes)
        for sources, _ in beside:
            for source in sources:
                inner.add(source)
        return inner

    def _join(self, draft: Draft, scope: Scope, body: Node, left: Joined, right: Joined) -> Joined:
        joined = [*left[0], *right[0]]
        inner = Scope(scope.parent, scope.ctes)
        for source in joined:
            inner.add(source)
        if "quals" in body:
            self.value(draft, inner, body["quals"], "joined")
        using, natural = texts(body.get("usingClause", [])), "isNatural" in body
        if using or natural:
            self.operates(draft, EQUAL)
        for name in using:
            draft.add("joined", union([_side(left, name), _side(right, name)]), name)
        if natural:
            draft.add("joined", union(source.whole() for source in joined), "*")
        outputs = _merged(left[1], right[1], using, natural)
        alias, names = alias_of(body)
        if alias is not None:
            # It hides what it joins.
            source = Source(alias, renamed(outputs, names))
            return [source], source.outputs
        extra = body.get("join_using_alias")
        if extra is not None:
            columns = tuple(Output(name, union([_side(left, name), _side(right, name)])) for name in using)
            joined.append(Source(extra["aliasname"], columns, qualified=True))
        return joined, outputs


def _listed(definitions: Node) -> list[Node]:
    """The column definitions of one function in ROWS FROM."""
    return [one for one in definitions.get("List", {}).get("items", []) if "ColumnDef" in one]


def _side(side: Joined, name: str) -> Origins:
    """A column of USING on one side of the join; where several tables could have it, it is any of them."""
    having = [one for one in side[0] if not one.qualified and (name in one.named or one.open is not None)]
    if all(name not in one.named for one in having) and len(having) != 1:
        return (Column(None, None, name),)
    return union(one.column(name) for one in having)


def _merged(left: tuple[Output, ...], right: tuple[Output, ...], using: list[str], natural: bool) -> tuple[Output, ...]:
    """The columns of a join: one of each name in USING in front, then all others."""
    outputs = (*left, *right)
    if not using and not natural:
        return outputs
    if natural or any(output.star for output in outputs):
        # Where which column stands is not told; of which table one of a star is, its name tells.
        return (Output(None, union(output.origins for output in outputs), star=True),)
    front = [Output(name, union(one.origins for one in outputs if one.label == name)) for name in using]
    return (*front, *(output for output in outputs if output.label not in using))


def labelled(node: Node, origins: Origins) -> Output:
    """One column of a list of targets, a ResTarget without its tag."""
    return Output(node.get("name") or label(node["val"]), origins)


def is_star(node: Any) -> bool:
    """True for `*`, `t.*` and `(row).*`."""
    tag, body = only(node)
    if tag == "ColumnRef":
        return "A_Star" in body["fields"][-1]
    return tag == "A_Indirection" and "A_Star" in body["indirection"][-1]


def star(scope: Scope, node: Node) -> tuple[Output, ...]:
    """What `*` and `t.*` stand for."""
    tag, body = only(node)
    if tag != "ColumnRef":
        return (ANYTHING,)
    names = [text(one) for one in body["fields"][:-1]]
    if not names:
        return scope.star
    sources = scope.sources_of(names[-2] if len(names) > 1 else None, names[-1])
    return sources[0].outputs if len(sources) == 1 else (ANYTHING,)
