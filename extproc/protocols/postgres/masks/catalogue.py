"""What a server's catalogue says of tables and views, as far as it was asked: pure, whoever asks has the connection.

PostgreSQL's documentation: "System Catalogs" (pg_class, pg_attribute, pg_inherits, pg_type, pg_depend), "System Catalog
Information Functions" (pg_get_viewdef).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from extproc.protocols.postgres.masks.question import MOST, Question
from extproc.protocols.postgres.sql import UNKNOWN, Column, Member, Origins, Relation, Script, Unparsable, whole
from extproc.protocols.postgres.wire.results import Field

SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})
"""Schemas whose views are what they are called, and whose columns have no members."""

_VIEWS = ("v", "m")
_DEEPEST = 16
"""Views behind views that are followed."""

_SYSTEM = {-1: "ctid", -2: "xmin", -3: "cmin", -4: "xmax", -5: "cmax", -6: "tableoid"}

_MANY = 64
"""Views that one result is followed through."""

_MOST = 4096
"""Relations that are remembered; when there are more, all are forgotten."""


@dataclass(frozen=True, slots=True)
class Table:
    """A relation. `kind` is pg_class.relkind; `columns` are names by attribute number, `types` the columns' types (of a
    domain its base type). `parents` are the tables that it is a partition of or inherits from, as (schema, name), also
    indirectly. `definition` is a view's query; `made` are the columns that each generated column is made of, by name,
    also where only a child or partition makes it of them. `documents` are the columns whose values have members: JSON,
    XML, hstore, composite types, and arrays of these.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: dict[int, str]
    types: dict[str, int]
    parents: tuple[tuple[str, str], ...] = ()
    definition: str | None = None
    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    documents: frozenset[str] = frozenset()

    @property
    def is_view(self) -> bool:
        """Whether it is a view, materialized or not."""
        return self.kind in _VIEWS

    @property
    def called(self) -> frozenset[tuple[str | None, str]]:
        """What a text may call it, as (schema, name). Which schema is a session's own for temporary ones only that
        session can tell."""
        schemas = (None, self.schema, *(["pg_temp"] if self.schema.startswith("pg_temp_") else []))
        return frozenset((schema, self.name) for schema in schemas)


Answer = Sequence[Sequence[str | None]]
"""Rows, in text."""


class CatalogueError(Exception):
    """What came is no answer to the question. The text is ours: nothing of the answer is in it."""


@dataclass(slots=True, eq=False)
class Catalogue:
    """Tables and views of one database by object id and by name. `read` reads the views' queries, as `sql.read`."""

    read: Callable[[str], Script]
    unsettled: bool = False
    """Set while a transaction is under way that has changed definitions: whoever asks does not see what it did, so that
    views, and what only has a name, are unknown. Tables by object id are what they were."""
    doubted: bool = False
    """Set while somebody changes definitions: an answer that had to wait for that may be of before."""
    generation: int = 0
    """Another one each time that something was learnt or forgotten."""
    _tables: dict[int, Table] = field(default_factory=dict)
    _asked_oids: set[int] = field(default_factory=set)
    _by_name: dict[str, list[Table]] = field(default_factory=dict)  # those asked for by name; an empty list: none
    _views: dict[int, "_View"] = field(default_factory=dict)
    _traced: dict[tuple[int, str], Origins] = field(default_factory=dict)

    def missing(
        self, fields: Iterable[Field], lineage: Iterable[Origins], relations: Sequence[Relation] = ()
    ) -> Question | None:
        """What has to be asked before `column` and `named` can say all they ever can of these; None where nothing has.
        What one answer teaches may lead to another question: views behind views."""
        needs = _Needs()
        for one, origin in zip(fields, lineage, strict=True):
            if one.table:
                self._need_oid(one.table, needs)
            else:
                self._need_columns(origin, relations, needs)
        return needs.question

    def missing_of(self, lineage: Iterable[Origins], relations: Sequence[Relation] = ()) -> Question | None:
        """The same for columns of which the server says nothing (COPY)."""
        needs = _Needs()
        for origin in lineage:
            self._need_columns(origin, relations, needs)
        return needs.question

    def learn(self, question: Question, rows: Answer | None) -> None:
        """Take the answer: rows as `question.sql()` gives them, in text; None where there was none, so that what was
        asked for is unknown, as it is when there are more than an answer has. Raises CatalogueError for rows that are
        none of its."""
        if rows is not None and len(rows) > MOST:
            rows = None
        tables = [_table(row) for row in rows or ()]
        if len(self._tables) + len(self._by_name) > _MOST:
            self.forget()
        self.generation += 1
        self._views.clear()
        self._traced.clear()
        self._tables.update((table.oid, table) for table in tables)
        self._asked_oids.update(question.oids)
        for name in question.names:
            if rows is not None:
                self._by_name[name] = [table for table in tables if table.name == name]
            else:
                self._by_name[name] = [Table(0, "", name, "v", {}, {})]

    def forget(self) -> None:
        """Something may have changed: know nothing any more."""
        for known in (self._tables, self._asked_oids, self._by_name, self._views, self._traced):
            known.clear()
        self.generation += 1

    def asked(self, name: str) -> bool:
        """Whether it is known what has this name."""
        return name in self._by_name

    def tables(self, schema: str | None, name: str) -> list[Table]:
        """Tables and views with this name, of any schema where none is given."""
        return [one for one in self._by_name.get(name, ()) if not one.oid or (schema, name) in one.called]

    def query(self, table: Table) -> Script | None:
        """What a view's query says; None for what is no view, and for a query that can't be had or read."""
        return self._view(table).script if table.is_view else None

    def column(self, oid: int, number: int) -> Origins:
        """The column with this attribute number, and those behind it."""
        table = self._tables.get(oid)
        name = None if table is None else table.columns.get(number) or _SYSTEM.get(number)
        if table is None or name is None or (self.unsettled and table.kind in _VIEWS):
            return UNKNOWN
        return self._trace(table, name, 0)

    def named(self, column: Column, relations: Sequence[Relation], depth: int = 0) -> Origins:
        """A column that a text names, and those behind it. Which schema it is of the search path decides, so all are
        meant that have the name; without a table, all of the text's `relations` that have such a column. Unknown where
        there is no such table or column: whoever asked may not see it yet."""
        return UNKNOWN if self.unsettled else self.committed(column, relations, depth)

    def committed(self, column: Column, relations: Sequence[Relation], depth: int = 0) -> Origins:
        """The same as others see it, whatever this session's transaction has changed."""
        if isinstance(column, Member):
            return self._members(column, self.committed(whole(column), relations, depth), relations)
        if column.table is None:
            return self._of_any(column, relations, depth)
        found = self._in_tables(column, column.schema, column.table, depth)
        return found or UNKNOWN

    def _members(self, member: Member, behind: Origins, relations: Sequence[Relation]) -> Origins:
        """What a member of one of these columns is; where that is no document, something without a key."""
        if behind is UNKNOWN:
            return UNKNOWN
        found: dict[Column, None] = {}
        # Parents are not asked about by name; their columns have the types of those that are.
        told = [one for one in behind if one.table is None or self.asked(one.table)] or behind
        holds = any(self.holds_members(one, relations) for one in told)
        for one in behind:
            name = member.name if member.name != "*" or holds else ""
            found[Member(one.schema, one.table, name, whole(one).name)] = None
        return tuple(found)

    def holds_members(self, column: Column, relations: Iterable[Relation]) -> bool:
        """Whether a column's values may have members; also where nobody knows the column. Without a table it may be of
        any of `relations`."""
        if column.table is not None:
            relations = (Relation(column.schema, column.table),)
        asked = [one for one in relations if one.schema not in SYSTEM]
        tables = [table for one in asked for table in self.tables(one.schema, one.name)]
        name = whole(column).name
        if not tables or name == "*":
            return bool(asked)
        return any(not table.columns or name in table.documents for table in tables)

    def _in_tables(self, column: Column, schema: str | None, name: str, depth: int) -> Origins:
        """The column in all tables with this name that have it; () where none has, unknown where there is no table."""
        tables = self.tables(schema, name)
        found: dict[Column, None] = {}
        for table in tables:
            if table.columns and column.name not in (*table.columns.values(), *_SYSTEM.values(), "*"):
                continue
            behind = self._trace(table, column.name, depth)
            if behind is UNKNOWN:
                return UNKNOWN
            found.update(dict.fromkeys(behind))
        return tuple(found) if tables else UNKNOWN

    def _of_any(self, column: Column, relations: Sequence[Relation], depth: int) -> Origins:
        found: dict[Column, None] = {column: None}
        for relation in relations:
            behind = self._in_tables(column, relation.schema, relation.name, depth)
            if behind is UNKNOWN:
                return UNKNOWN
            found.update(dict.fromkeys(behind))
        return tuple(found) if relations else UNKNOWN

    def _need_columns(self, origin: Origins, relations: Sequence[Relation], needs: "_Needs") -> None:
        for column in origin or ():
            for name in (relation.name for relation in relations) if column.table is None else (column.table,):
                self._need_name(name, needs)

    def _need_oid(self, oid: int, needs: "_Needs") -> None:
        if (table := self._tables.get(oid)) is not None:
            self._need_behind(table, needs)
        elif oid not in self._asked_oids:
            needs.oids.add(oid)

    def _need_name(self, name: str, needs: "_Needs") -> None:
        if self.unsettled:
            return
        if name not in self._by_name:
            needs.names.add(name)
            return
        for table in self._by_name[name]:
            self._need_behind(table, needs)

    def _need_behind(self, table: Table, needs: "_Needs") -> None:
        if table.kind not in _VIEWS or table.oid in needs.seen or len(needs.seen) >= _MANY:
            return
        needs.seen.add(table.oid)
        view = self._view(table)
        for origin in view.lineage.values():
            self._need_columns(origin, view.relations, needs)

    def _trace(self, table: Table, name: str, depth: int) -> Origins:
        """A column of a table with those of its parents; a view's or a generated one with those that it is made of."""
        own = Column(table.schema, table.name, name)
        if table.kind not in _VIEWS:
            places = ((table.schema, table.name), *table.parents)
            found = [Column(*place, name) for place in places]
            for source in table.made.get(name, ()):
                # What it is made of is not in it as it is.
                document = source in table.documents
                found += [Member(*place, "*", source) if document else Column(*place, source) for place in places]
            return tuple(found)
        key = (table.oid, name)
        if key not in self._traced:
            self._traced[key] = UNKNOWN  # what it is made of can't be made of it
            self._traced[key] = self._behind(table, own, depth)
        return self._traced[key]

    def _behind(self, table: Table, own: Column, depth: int) -> Origins:
        if depth > _DEEPEST or not table.columns:
            return UNKNOWN
        view = self._view(table)
        wanted = list(view.lineage.values()) if own.name == "*" else [view.lineage.get(own.name, UNKNOWN)]
        found: dict[Column, None] = {own: None}
        for origin in wanted:
            if origin is UNKNOWN:
                return UNKNOWN
            for column in origin:
                behind = self.committed(column, view.relations, depth + 1)
                if behind is UNKNOWN:
                    return UNKNOWN
                found.update(dict.fromkeys(behind))
        return tuple(found)

    def _view(self, table: Table) -> "_View":
        """What a view's columns are made of, as its own query says."""
        if table.oid not in self._views:
            labels = [name for _, name in sorted(table.columns.items())]
            made: Sequence[Origins] = [UNKNOWN] * len(labels)
            relations: tuple[Relation, ...] = ()
            script: Script | None = None
            if table.definition is not None:
                with suppress(Unparsable):
                    script = self.read(table.definition)
                    made, relations = _by_place(script, len(labels)), named_in(script)
            self._views[table.oid] = _View(dict(zip(labels, made, strict=True)), relations, script)
        return self._views[table.oid]


@dataclass(slots=True)
class _Needs:
    """What has to be asked for, and the views that were looked at for that."""

    oids: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    @property
    def question(self) -> Question | None:
        """What asks for it; for names when no object ids are left, as there may be too many of one name to tell."""
        if self.oids:
            return Question(oids=tuple(sorted(self.oids)))
        return Question(names=tuple(sorted(self.names))) if self.names else None


@dataclass(frozen=True, slots=True)
class _View:
    """Of a view: what its columns are made of, what relations its query names, and the query, if it can be read."""

    lineage: dict[str, Origins]
    relations: tuple[Relation, ...]
    script: Script | None


def named_in(script: Script) -> tuple[Relation, ...]:
    """All relations that a text names."""
    return tuple(dict.fromkeys(one for part in script.statements for one in (*part.reads, *part.writes)))


def _by_place(script: Script, count: int) -> Sequence[Origins]:
    """A view's columns may have other names than its query's (CREATE VIEW v (a, b) AS ...), but stars are written out
    in what pg_get_viewdef gives."""
    outputs = script.outputs
    if outputs is None or len(outputs) != count or any(output.star for output in outputs):
        return [UNKNOWN] * count
    return [output.origins for output in outputs]


def _table(row: Sequence[str | None]) -> Table:
    try:
        oid, schema, name, kind, columns, parents, definition = row
        if oid is None or schema is None or name is None or kind is None:
            raise ValueError
        listed = [
            (int(number), str(label), int(oid), sources, bool(document))
            for number, label, oid, sources, document in json.loads(columns or "[]")
        ]
        above = tuple((str(one[0]), str(one[1])) for one in json.loads(parents or "[]"))
        named = {number: label for number, label, *_ in listed}
        types = {label: of for _, label, of, *_ in listed}
        made = {label: tuple(map(_name, sources)) for _, label, _, sources, _ in listed if sources is not None}
        documents = frozenset(label for _, label, _, _, document in listed if document)
        return Table(int(oid), schema, name, kind, named, types, above, definition, made, documents)
    except (ValueError, TypeError, LookupError, RecursionError):
        raise CatalogueError("the answer about tables is none") from None


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value
