"""What a text is about without naming it: the tables, columns and functions behind the views that it names, and the
tables that a partition is one of. Only the catalogue tells."""

from collections.abc import Iterable
from dataclasses import fields, replace

from extproc.protocols.postgres.masks.catalogue import Catalogue, Table
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.sql import Column, Columns, Function, Relation, Script, Statement

_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})
"""Schemas whose views are what they are called."""

_MOST_VIEWS = 64
_MOST_KEPT = 256
_PLACES = tuple(place.name for place in fields(Columns))


class Behind:
    """Adds it to the facts of a text, as far as a catalogue knows it; what can't be told is `unknown` of the statement
    (`definition`)."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seen: list[Table] | None = None
        self._known_at = -1
        self._known: dict[Script, Script] = {}

    def missing(self, script: Script) -> Question | None:
        """What the catalogue has to be asked before `facts` can tell all that it ever can."""
        catalogue = self._catalogue
        if script in self._fresh():
            return None
        names, found, asked = self._views(_named(script.statements))
        if not names and catalogue.doubted and found != self._seen:
            names, self._seen = asked, found
        return Question(names=tuple(sorted(names)), hurried=catalogue.unsettled) if names else None

    def facts(self, script: Script) -> Script:
        """The text with what is behind it; itself where nothing is. What this very transaction has changed
        nobody can ask for: of that it is judged by what it names."""
        self._seen = None
        known = self._fresh()
        found = known.get(script)
        if found is None:
            statements = tuple(map(self._statement, script.statements))
            same = all(new is old for new, old in zip(statements, script.statements, strict=True))
            found = script if same else replace(script, statements=statements)
            if len(known) >= _MOST_KEPT:
                known.clear()
            known[script] = found
        return found

    def _fresh(self) -> dict[Script, Script]:
        """What was found out since the catalogue learnt or forgot something."""
        if self._known_at != self._catalogue.generation:
            self._known.clear()
            self._known_at = self._catalogue.generation
        return self._known

    def _views(self, relations: Iterable[Relation]) -> tuple[set[str], list[Table], set[str]]:
        """The names that the catalogue was not asked for yet, the tables and views that may be meant by these or
        stand behind them, and the names of all."""
        catalogue, names, found = self._catalogue, set[str](), dict[int, Table]()
        todo = list(relations)
        for relation in todo:  # grows as it goes
            if relation.schema in _SYSTEM:
                continue
            if not catalogue.asked(relation.name):
                names.add(relation.name)
            for table in catalogue.tables(relation.schema, relation.name):
                if table.oid not in found and table.schema not in _SYSTEM and len(found) < _MOST_VIEWS:
                    found[table.oid] = table
                    script = catalogue.query(table)
                    todo += _named(script.statements) if script is not None else ()
        return names, list(found.values()), {one.name for one in todo if one.schema not in _SYSTEM}

    def _statement(self, statement: Statement) -> Statement:
        relations = _named((statement,))
        if not relations:
            return statement
        names, tables, _ = self._views(relations)
        reads, writes = dict.fromkeys(statement.reads), dict.fromkeys(statement.writes)
        functions: dict[Function, None] = dict.fromkeys(statement.functions)
        unsure = bool(names) or len(tables) >= _MOST_VIEWS
        # What stands behind one that is read is read, and to write to a view is to write to what is behind it.
        places = [(reads, _names(statement.reads)), (writes, _names(statement.writes))]
        for table in tables:
            more = [Relation(schema, parent) for schema, parent in table.parents]
            if table.is_view:
                script = self._catalogue.query(table)
                unsure = unsure or script is None
                for one in script.statements if script is not None else ():
                    more += one.reads
                    functions |= dict.fromkeys(one.functions)
            for so, called in places:
                if not called.isdisjoint(table.called):
                    so.update(dict.fromkeys(more))
                    called |= _names(more)
        columns = self._columns(statement, relations)
        unknown = (*statement.unknown, "definition") if unsure and "definition" not in statement.unknown else None
        if (len(reads), len(writes), len(functions), columns, unknown) == (
            *(len(statement.reads), len(statement.writes), len(statement.functions)),
            *(statement.columns, None),
        ):
            return statement
        return replace(
            statement,
            reads=tuple(reads),
            writes=tuple(writes),
            functions=tuple(functions),
            columns=columns,
            unknown=unknown or statement.unknown,
        )

    def _columns(self, statement: Statement, relations: tuple[Relation, ...]) -> Columns:
        named = {relation.name for relation in relations}
        places = {}
        for place in _PLACES:
            given: tuple[Column, ...] = getattr(statement.columns, place)
            found = dict.fromkeys(given)
            for column in given:
                own = named if column.table is None else {column.table}
                behind = self._catalogue.committed(column, relations) or ()
                found |= dict.fromkeys(one for one in behind if one.name != column.name or one.table not in own)
            places[place] = tuple(found)
        more = any(len(places[place]) > len(getattr(statement.columns, place)) for place in _PLACES)
        return Columns(**places) if more else statement.columns


def _names(relations: Iterable[Relation]) -> set[tuple[str | None, str]]:
    return {(relation.schema, relation.name) for relation in relations}


def _named(statements: Iterable[Statement]) -> tuple[Relation, ...]:
    return tuple(dict.fromkeys(one for part in statements for one in (*part.reads, *part.writes)))
