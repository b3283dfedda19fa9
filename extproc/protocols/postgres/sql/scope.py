"""Which table a column's name means, as far as the text tells: FROM items, their aliases, and the queries around.

PostgreSQL's rules are in "Value Expressions", "Table Expressions" and "WITH Queries" of its documentation.
"""

from dataclasses import dataclass
from typing import Any, Final

from extproc.protocols.postgres.sql.builtin import TAKES_ROWS
from extproc.protocols.postgres.sql.draft import union
from extproc.protocols.postgres.sql.facts import Column
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins, Output

_SAME: Final = 8
"""FROM items of one name, of several schemas, beyond which they are not told apart."""
ANYTHING: Final = Output(None, UNKNOWN, star=True)
"""Any number of columns that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Back(Column):
    """Column `place` of the recursive CTE that is being read: what it is made of is known when all of it is."""

    cte: int
    place: int
    part: bool = False
    """Whether what came round is not taken as it is."""


def relation(schema: str | None, name: str) -> tuple[Output, ...]:
    """The columns of a table, which only the catalogue knows."""
    return (Output(None, (Column(schema, name, "*"),), star=True),)


def renamed(outputs: tuple[Output, ...], names: list[str]) -> tuple[Output, ...]:
    """The columns under the names of an alias `AS x (a, b)`; behind a star nobody knows which one is meant."""
    if not names:
        return outputs
    front = next((place for place, output in enumerate(outputs) if output.star), len(outputs))
    plain = [Output(name, output.origins) for name, output in zip(names, outputs[:front], strict=False)]
    if len(names) <= front:
        return (*plain, *outputs[len(names) :])
    whole = union(output.origins for output in outputs)
    return (*plain, *(Output(name, whole) for name in names[front:]), Output(None, whole, star=True))


class Source:
    """One FROM item: a name and columns."""

    __slots__ = ("alias", "named", "of_function", "open", "outputs", "qualified", "schema")

    def __init__(
        self, alias: str | None, outputs: tuple[Output, ...], schema: str | None = None, qualified: bool = False
    ) -> None:
        """`schema` is that of a table without alias. With `qualified` its columns have to be named with the alias.
        `of_function`: of a function in FROM, whose row may be a value of any type, the names that are columns of it."""
        self.alias = alias
        self.schema = schema
        self.outputs = outputs
        self.qualified = qualified
        self.of_function: frozenset[str] | None = None
        self.named: dict[str, Origins] = {}
        self.open: Output | None = None
        for output in outputs:
            if output.star or output.label is None:
                self.open = widened(self.open, output if output.star else ANYTHING)
            elif output.label in self.named:
                self.named[output.label] = union((self.named[output.label], output.origins))
            else:
                self.named[output.label] = output.origins

    def column(self, name: str) -> Origins:
        """What a column of it is made of."""
        if name in self.named:
            return self.named[name]
        return self.open.named(name) if self.open is not None else UNKNOWN

    def whole(self) -> Origins:
        """What a row of it is made of."""
        return union(output.origins for output in self.outputs)

    def calls(self, name: str) -> bool:
        """Whether `t.name` is, or may be, no column but a function that is given a row: `t.f` is `f(t)` where t has no
        column f. Of a table it has, as far as the text tells, any but the names of functions that take every row."""
        return name not in self.named and (self.open is None or name in TAKES_ROWS)

    def attribute(self, name: str) -> Origins:
        """What `t.name` is made of."""
        if not self.calls(name):
            return self.column(name)
        return union((self.whole(), () if self.open is None else self.column(name)))


def widened(one: Output | None, other: Output) -> Output:
    """Two stars that a name could be a column of: of which of two tables is not known."""
    if one is None or one.origins == other.origins:
        return other
    if one.origins is UNKNOWN or other.origins is UNKNOWN:
        return ANYTHING
    every = (*one.origins, *other.origins)
    fixed = tuple(column for column in every if not column.is_star)
    return Output(None, union((fixed, (Column(None, None, "*"),))), star=True)


class Scope:
    """The FROM items of one query, and the scope of the query around it."""

    __slots__ = ("ctes", "items", "named", "open", "parent", "sources", "star", "_found", "_whole")

    def __init__(self, parent: "Scope | None", ctes: "Ctes | None") -> None:
        self.parent = parent
        self.ctes = ctes
        self.sources: list[Source] = []
        self.star: tuple[Output, ...] = ()
        self.items: dict[str, list[Source]] = {}
        self.named: dict[str, Origins] = {}
        self.open: Output | None = None
        self._found: dict[str, Origins] = {}
        self._whole: list[Origins] | None = None

    def add(self, source: Source) -> None:
        """One more FROM item."""
        self.sources.append(source)
        if source.alias is not None:
            self.items.setdefault(source.alias, []).append(source)
        if not source.qualified:
            for name, origins in source.named.items():
                self.named[name] = union((self.named[name], origins)) if name in self.named else origins
            if source.open is not None:
                self.open = widened(self.open, source.open)
        self._found.clear()
        self._whole = None

    def column(self, name: str) -> Origins:
        """A name without a table: a column of these, else of the scopes around, else a whole row."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Origins:
        found: list[Origins] = []
        rows: list[Origins] = []
        scope: Scope | None = self
        while scope is not None:
            if name in scope.named:
                found.append(scope.named[name])
                break
            if name in scope.items:
                rows += [source.whole() for source in scope.items[name]]
            if scope.open is not None:
                found.append(scope.open.named(name))
            elif name in scope.items:
                break
            scope = scope.parent
        if rows:
            # A whole row already says "any column of that table".
            covered = {(row.schema, row.table) for origins in rows for row in origins or () if row.is_star}
            found = [one for one in found if one is UNKNOWN or {(each.schema, each.table) for each in one} - covered]
        if not found and not rows:
            return UNKNOWN
        if len(found) > 1:
            found = [_either(found, name)]
        return union((*found, *rows))

    def is_row(self, name: str) -> bool:
        """True when a name without a table can only be a FROM item's: a whole row."""
        return name in self.items and name not in self.named

    def before_row(self, name: str) -> Origins:
        """The column that a name without a table, which a FROM item has too, may be of this query or of one around it:
        a column goes before a row."""
        found = self.column(name)
        own = self.open.named(name) if self.open is not None and self.open.origins is not UNKNOWN else ()
        return own if found is UNKNOWN else union((tuple(one for one in found if not one.is_star), own))

    def whole(self) -> Origins:
        """What a row of all FROM items is made of."""
        if self._whole is None:
            self._whole = [union(source.whole() for source in self.sources if not source.qualified)]
        return self._whole[0]

    def qualified(self, schema: str | None, table: str, name: str) -> Origins:
        """`table.column` or `schema.table.column`; the column may be `*`."""
        sources = self.sources_of(schema, table)
        if len(sources) > _SAME:
            return UNKNOWN
        if not sources:
            return UNKNOWN
        return union(source.whole() if name == "*" else source.attribute(name) for source in sources)

    def calls(self, schema: str | None, table: str, name: str) -> bool:
        """Whether that is, or may be, no column but a function of a row."""
        return name != "*" and any(source.calls(name) for source in self.sources_of(schema, table))

    def is_value(self, schema: str | None, table: str, name: str) -> bool:
        """Whether `table.name` may be a function of a value that is no row: of what a function in FROM gives."""
        sources = self.sources_of(schema, table)
        return any(one.of_function is not None and name not in one.of_function for one in sources)

    def sources_of(self, schema: str | None, table: str) -> list[Source]:
        """The FROM items of this name in the nearest scope that has one."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.items.get(table, [])
            if schema is not None:
                found = [source for source in found if source.schema in (None, schema)]
            if found:
                return found
            scope = scope.parent
        return []


def _either(found: list[Origins], name: str) -> Origins:
    """A column of one of several scopes: where all have it from a table, nobody knows of which."""
    merged = union(found)
    if merged is UNKNOWN:
        return UNKNOWN
    others = tuple(column for column in merged if column.name != name or type(column) is not Column)
    return merged if len(others) == len(merged) else (*others, Column(None, None, name))


class Cte:
    """One common table expression, read when its columns are first asked for. `scope` is the one around its WITH."""

    __slots__ = ("body", "busy", "outputs", "scope")

    def __init__(self, body: dict[str, Any], scope: Scope | None) -> None:
        self.body = body
        self.scope = scope
        self.outputs: tuple[Output, ...] | None = None
        self.busy = False


class Ctes:
    """The names that WITH gives, over those of the statement around it."""

    __slots__ = ("names", "parent")

    def __init__(self, parent: "Ctes | None") -> None:
        self.parent = parent
        self.names: dict[str, Cte] = {}

    def find(self, name: str) -> "tuple[Cte, Ctes] | None":
        """The nearest of the name, and the WITH that it is of."""
        ctes: Ctes | None = self
        while ctes is not None:
            if name in ctes.names:
                return ctes.names[name], ctes
            ctes = ctes.parent
        return None
