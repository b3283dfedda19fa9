"""What a text is about without naming it: the tables, columns and functions behind the views that it names, the tables
that a partition is one of, and the columns that a star or a whole row stands for. Only the catalogue tells."""

from collections.abc import Iterable
from dataclasses import fields, replace

from extproc.protocols.postgres.masks.catalogue import SYSTEM, Catalogue, Table
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.sql import Column, Columns, Function, Member, Relation, Script, Statement, whole

_MOST_VIEWS = 64
_MOST_KEPT = 256
_PLACES = tuple(place.name for place in fields(Columns))
_PARTS = "parts"
_VALUES = frozenset({"read", _PARTS})
_NAMED_IN = frozenset({"read", "written"})
"""Places in which a document is what its members are called."""
_STAR = "*"
_TABLES = frozenset({"table", "foreign_table", "view", "materialized_view"})
"""Types of objects that ALTER TABLE is about, by either name."""


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
            if relation.schema in SYSTEM:
                continue
            if not catalogue.asked(relation.name):
                names.add(relation.name)
            for table in catalogue.tables(relation.schema, relation.name):
                if table.oid not in found and table.schema not in SYSTEM and len(found) < _MOST_VIEWS:
                    found[table.oid] = table
                    script = catalogue.query(table)
                    todo += _named(script.statements) if script is not None else ()
        return names, list(found.values()), {one.name for one in todo if one.schema not in SYSTEM}

    def _statement(self, statement: Statement) -> Statement:
        relations = _named((statement,))
        if not relations:
            return statement
        names, tables, _ = self._views(relations)
        reads, writes = dict.fromkeys(statement.reads), dict.fromkeys(statement.writes)
        functions: dict[Function, None] = dict.fromkeys(statement.functions)
        unknown = dict.fromkeys(statement.unknown)
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
                    unknown |= dict.fromkeys(one.unknown)
            for so, called in places:
                if not called.isdisjoint(table.called):
                    so.update(dict.fromkeys(more))
                    called |= _names(more)
        columns = self._columns(statement, relations)
        if "drop_expression" in statement.action:
            kept = self._kept(statement, relations)
            unsure = unsure or kept is None
            columns = replace(columns, read=tuple(dict.fromkeys((*columns.read, *(kept or ())))))
        if unsure:
            unknown["definition"] = None
        found = replace(
            statement,
            reads=tuple(reads),
            writes=tuple(writes),
            functions=tuple(functions),
            columns=columns,
            unknown=tuple(unknown),
        )
        return statement if found == statement else found

    def _columns(self, statement: Statement, relations: tuple[Relation, ...]) -> Columns:
        named = {relation.name for relation in relations}
        places: dict[str, dict[Column, None]] = {}
        for place in _PLACES:
            given: tuple[Column, ...] = getattr(statement.columns, place)
            # Values come from what is read alone; conditions are on what is changed, too.
            of = statement.reads if place in _VALUES else relations
            found = places[place] = dict.fromkeys(given)
            for column in given:
                found |= dict.fromkeys(self._meant(column, relations, named, of))
            if place not in _NAMED_IN:
                # Whoever compares a document, or reads it as text, looks at all that is in it.
                looked_at = map(whole, found) if place == _PARTS else (one for one in found if type(one) is Column)
                # Parents are not asked about by name; their columns have the types of those that are.
                asked = self._catalogue.asked
                told = (one for one in looked_at if one in given or one.table is None or asked(one.table))
                within = dict.fromkeys(self._within(told, relations))
                places["read" if place == _PARTS else place] |= within
        return Columns(**{place: tuple(found) for place, found in places.items()})

    def _within(self, columns: Iterable[Column], relations: Iterable[Relation]) -> list[Column]:
        """Any member of those columns that are documents."""
        return [
            Member(one.schema, one.table, _STAR, one.name)
            for one in columns
            if one.name != _STAR and self._catalogue.holds_members(one, relations)
        ]

    def _meant(
        self, column: Column, relations: tuple[Relation, ...], named: set[str], of: Iterable[Relation]
    ) -> Iterable[Column]:
        """The columns that one is made of, and each that a star, of that table or else of `of`, stands for."""
        found = {column: None}
        todo = [column]
        for one in todo:  # grows as it goes
            own = named if one.table is None else {one.table}
            behind = map(_plain, self._catalogue.committed(one, relations) or ())
            more = [each for each in behind if each.name != one.name or each.table not in own]
            if one.is_star:
                more += self._each(of if one.table is None else (Relation(one.schema, one.table),))
            for each in more:
                if each not in found:
                    found[each] = None
                    if each.table is not None:
                        todo.append(each)
        return found

    def _each(self, relations: Iterable[Relation]) -> list[Column]:
        """All columns of these, under the names that the text has for the tables."""
        return [
            Column(relation.schema, relation.name, name)
            for relation in relations
            for table in self._catalogue.tables(relation.schema, relation.name)
            if table.schema not in SYSTEM
            for name in table.columns.values()
        ]

    def _kept(self, statement: Statement, relations: tuple[Relation, ...]) -> list[Column] | None:
        """What generated columns are made of that an ALTER makes plain ones, with the values that they have; None where
        nobody can tell."""
        found: list[Column] = []
        for relation in relations:
            prefix = f"{relation.name}."
            for one in statement.objects:
                if one.type != "column" or one.schema != relation.schema or not one.name.startswith(prefix):
                    continue
                column = Column(relation.schema, relation.name, one.name.removeprefix(prefix))
                behind = self._catalogue.committed(column, relations)
                if not behind:
                    return None
                found += behind
        return found


def _plain(column: Column) -> Column:
    """What was made of a row, or of a column that is no document, is those columns to policy."""
    return whole(column) if column.is_star or column.name == "" else column


def _names(relations: Iterable[Relation]) -> set[tuple[str | None, str]]:
    return {(relation.schema, relation.name) for relation in relations}


def _named(statements: Iterable[Statement]) -> tuple[Relation, ...]:
    return tuple(dict.fromkeys(one for part in statements for one in (*part.reads, *part.writes, *_altered(part))))


def _altered(statement: Statement) -> Iterable[Relation]:
    """The tables whose columns ALTER or a trigger may copy: it neither reads nor writes them, as far as a text
    tells."""
    copies = statement.kind == "alter" or any(one.type == "trigger" for one in statement.objects)
    if not copies or not (statement.columns.read or "drop_expression" in statement.action):
        return ()
    return [Relation(one.schema, one.name) for one in statement.objects if one.type in _TABLES]
