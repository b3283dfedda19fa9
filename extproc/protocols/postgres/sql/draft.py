"""The facts of one statement while they are gathered."""

from collections.abc import Iterable
from typing import Final

from extproc.protocols.postgres.sql.facts import (
    Column,
    Columns,
    Copy,
    Function,
    Member,
    Object,
    Privileges,
    Relation,
    Setting,
    Statement,
    whole,
)
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins

PLACES: Final = ("read", "written", "filtered", "sorted", "grouped", "joined", "parts")
"""The fields of `Columns`."""
TEXT: Final = "text"
"""The place of what is read as text, or joined to other text."""
DECIDING: Final = "deciding"
"""The place of what is read, and decides what is returned, how many rows, or whether there is an error."""
COMPARED: Final = "compared"
"""The place of what is read, decides, and is compared with that of other rows."""
SCALAR: Final = "scalar"
"""The place of what is read and decides, of a document's member only by what is no document itself."""
_MEANT: Final = {
    TEXT: ("read", "parts"),
    DECIDING: ("read", "filtered", "parts"),
    COMPARED: ("read", "filtered", "grouped", "parts"),
    SCALAR: ("read", "filtered"),
}

_TELLING: Final = frozenset({"filtered", "sorted", "grouped", "joined"})
"""Places where a column shows by what it decides, whatever masks do to values."""
_NAMED: Final = (Column, Member)


class Draft:
    """What is known so far. Sets keep the order in which they were filled."""

    __slots__ = (
        "action",
        "columns",
        "copy",
        "functions",
        "kind",
        "limit",
        "locks",
        "name",
        "objects",
        "privileges",
        "reads",
        "scalars",
        "settings",
        "unknown",
        "where",
        "within",
        "writes",
    )

    def __init__(self, kind: str, within: str | None = None) -> None:
        self.kind = kind
        self.within = within
        self.reads: dict[Relation, None] = {}
        self.writes: dict[Relation, None] = {}
        self.columns: dict[str, dict[Column, None]] = {place: {} for place in PLACES}
        self.functions: dict[Function, None] = {}
        self.where: str | None = None
        self.limit: int | None = None
        self.locks = False
        self.objects: dict[Object, None] = {}
        self.action: dict[str, None] = {}
        self.copy: Copy | None = None
        self.settings: list[Setting] = []
        self.privileges: Privileges | None = None
        self.name: str | None = None
        self.unknown: dict[str, None] = {}
        self.scalars: dict[int, None] = {}

    def add(self, place: str, origins: Origins, name: str) -> None:
        """Columns at a place; `name` is what the text says where it does not tell which they are."""
        columns = (Column(None, None, name),) if origins is UNKNOWN else origins
        # What came round in a recursive CTE is no column yet.
        named = dict.fromkeys(one if one.name != "*" else whole(one) for one in columns if type(one) in _NAMED)
        for one in _MEANT.get(place, (place,)):
            self.columns[one].update(named)
            if origins is UNKNOWN and one in _TELLING:
                # It may be any column of what the statement reads, under whatever name.
                self.columns[one][Column(None, None, "*")] = None
        if place == "read":
            self.columns["parts"].update((whole(one), None) for one in columns if _is_part(one))

    def about(self, type_: str, schema: str | None, name: str) -> None:
        """An object that the statement is about."""
        self.objects[Object(type_, schema, name)] = None

    def doubt(self, *words: str) -> None:
        """Words of UNKNOWNS."""
        self.unknown.update(dict.fromkeys(words))

    def absorb(self, inner: "Draft") -> None:
        """What a query reads is what the statement around it reads."""
        self.reads.update(inner.reads)
        for place in PLACES:
            self.columns[place].update(inner.columns[place])
        self.functions.update(inner.functions)
        self.unknown.update(inner.unknown)
        self.settings += inner.settings
        self.scalars.update(inner.scalars)
        self.locks = self.locks or inner.locks

    @classmethod
    def of(cls, statement: Statement, within: str | None) -> "Draft":
        """The facts of a statement that was read before."""
        draft = cls(statement.kind, within)
        draft.reads = dict.fromkeys(statement.reads)
        draft.writes = dict.fromkeys(statement.writes)
        draft.columns = {place: dict.fromkeys(getattr(statement.columns, place)) for place in PLACES}
        draft.functions = dict.fromkeys(statement.functions)
        draft.objects = dict.fromkeys(statement.objects)
        draft.action = dict.fromkeys(statement.action)
        draft.unknown = dict.fromkeys(statement.unknown)
        draft.settings = list(statement.settings)
        draft.scalars = dict.fromkeys(statement.scalars)
        draft.where, draft.limit, draft.locks = statement.where, statement.limit, statement.locks
        draft.copy, draft.privileges, draft.name = statement.copy, statement.privileges, statement.name
        return draft

    def finish(self, within: str | None) -> Statement:
        """The facts."""
        return Statement(
            kind=self.kind,
            within=within,
            reads=tuple(self.reads),
            writes=tuple(self.writes),
            columns=Columns(*(tuple(self.columns[place]) for place in PLACES)),
            functions=tuple(self.functions),
            where=self.where,
            limit=self.limit,
            locks=self.locks,
            objects=tuple(self.objects),
            action=tuple(self.action),
            copy=self.copy,
            settings=tuple(self.settings),
            privileges=self.privileges,
            name=self.name,
            unknown=tuple(self.unknown),
            scalars=tuple(self.scalars),
        )


def _is_part(column: Column) -> bool:
    return isinstance(column, Member) and column.name == "*"


def union(many: Iterable[Origins], most: int = 64) -> Origins:
    """The columns of all; UNKNOWN where one is, or where they are too many to be worth naming one by one."""
    found: dict[Column, None] = {}
    for origins in many:
        if origins is UNKNOWN:
            return UNKNOWN
        found.update(dict.fromkeys(origins))
        if len(found) > most:
            return UNKNOWN
    return tuple(found)
