"""What policy is told about SQL, as frozen values. Nothing here knows the parser.

The words come from PostgreSQL's grammar, names are as the server would look them up: folded to lower case unless they
were quoted, with escapes resolved.
"""

from dataclasses import dataclass
from typing import Final

from extproc.domain.json import JSON

TOO_COMPLEX = "54001"
"""The SQLSTATE of what is more work than a text may be."""


class Unparsable(ValueError):
    """PostgreSQL's parser, or a bound on work, refuses the text. `message` is the parser's own; `position` counts
    characters from 0, and is None where there is none. `state` is the SQLSTATE, None for that of syntax errors."""

    def __init__(
        self, message: str, position: int | None = None, state: str | None = None, detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.state = state
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or sequence, as it is written. `schema` is None where the search path decides."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a relation. `table` is None where the text can't tell; `name` is `*` for all, or any, of them."""

    schema: str | None
    table: str | None
    name: str

    @property
    def is_star(self) -> bool:
        """True for a whole row, or any column of it."""
        return self.name == "*"


@dataclass(frozen=True, slots=True)
class Member(Column):
    """A member of what is in the column `document`: of JSON, hstore or a composite type. `name` is its key; `*` for any
    of them, and "" for what has no key (elements of an array)."""

    document: str

    @property
    def is_star(self) -> bool:
        """True for something of a whole row."""
        return self.document == "*"


def whole(column: Column) -> Column:
    """The column that a member is in; any other column itself."""
    return Column(column.schema, column.table, column.document) if isinstance(column, Member) else column


OPENING: Final = ("{", "[")
"""What the text of a document begins with."""


def is_scalar_value(value: JSON) -> bool:
    """True for the text of what is no document, and for NULL."""
    return value is None or (isinstance(value, str) and not value.lstrip().startswith(OPENING))


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns by the place where they are named; one that is both selected and filtered on is in both.

    `read`: in what is returned, stored or computed; `written`: assigned; `filtered`: WHERE, HAVING, FILTER, MERGE's
    WHEN; `sorted`: ORDER BY; `grouped`: GROUP BY, PARTITION BY, DISTINCT, UNION (but not ALL), INTERSECT, EXCEPT;
    `joined`: ON, USING, NATURAL. `filtered` are also those on which it depends what is returned, how many rows, or
    whether there is an error: LIMIT, OFFSET, TABLESAMPLE, a window's frame, arguments of functions in FROM, conditions
    of CASE, AND, OR and NOT, and whatever an expression is given. Only these carry a value without deciding by it: the
    column itself, renamed, a member of a document by a constant key, a cast to text without a length, `||`, concat(),
    concat_ws(), the results of CASE, and a subquery of one value.

    `parts` are those of `read` that are not read as they are: as text, joined to other text, or changed. Policy is not
    told of them; where one is a document, each of its members is read.
    """

    read: tuple[Column, ...] = ()
    written: tuple[Column, ...] = ()
    filtered: tuple[Column, ...] = ()
    sorted: tuple[Column, ...] = ()
    grouped: tuple[Column, ...] = ()
    joined: tuple[Column, ...] = ()
    parts: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure that is called, or may be: `t.to_json` is to_json(t) where t has no such column. `schema`
    is `pg_catalog` for SQL's own syntax (EXTRACT, TRIM, …). Also what a definition names to be called later, and by
    its name an operator that is not PostgreSQL's own, or a type whose casts or checks call functions."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Object:
    """What DDL, GRANT, COMMENT, LOCK, VACUUM, … is about. `type` is a word: table, index, function, role, …; a column's
    name is `table.column`."""

    type: str
    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Of COPY: `direction` in (FROM) or out (TO); `place` client, file or program; `name`: its path, or the command.
    `options` are names and values as they are written, `true` for one without a value; what is no plain value is None.
    Policy is not told of them."""

    direction: str
    place: str
    name: str | None
    options: tuple[tuple[str, str | None], ...] = ()

    @property
    def answers(self) -> bool:
        """Whether its rows come to the client."""
        return self.direction == "out" and self.place == "client"


@dataclass(frozen=True, slots=True)
class Setting:
    """Of SET, RESET and set_config(): what changes in this session. `name` is in lower case, `all` for RESET ALL and
    DISCARD ALL, None where it is no constant; `value` is None for DEFAULT, RESET and what is no constant; `local`: for
    this transaction."""

    name: str | None
    value: str | None
    local: bool


@dataclass(frozen=True, slots=True)
class Privileges:
    """Of GRANT and REVOKE. `names` are privileges in lower case (`all`), or with `roles` the roles given; `to` are
    roles (`public`, `current_user`, …); `grant_option`: WITH GRANT or ADMIN OPTION."""

    names: tuple[str, ...]
    to: tuple[str, ...]
    grant_option: bool
    roles: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """The facts of one statement; of one inside another, too.

    A subquery and a CTE that only reads belong to the statement around them. One that changes data, and what EXPLAIN,
    PREPARE, EXECUTE, DECLARE, COPY, INSERT, CREATE … AS, a rule or a function's body contain, is an item of its own;
    `within` names what it is directly inside of. INSERT, COPY, DECLARE and CREATE … AS name what their query reads,
    too. What a statement changes is among `reads` where values of it are returned or stored.

    `unknown` holds words of `UNKNOWNS`: it is empty when all of this can be told from the text. `scalars` are the
    numbers of parameters that members of documents are compared with, and that are taken for no documents themselves;
    policy is not told of them.
    """

    kind: str
    within: str | None = None
    reads: tuple[Relation, ...] = ()
    writes: tuple[Relation, ...] = ()
    columns: Columns = Columns()
    functions: tuple[Function, ...] = ()
    where: str | None = None
    limit: int | None = None
    locks: bool = False
    objects: tuple[Object, ...] = ()
    action: tuple[str, ...] = ()
    copy: Copy | None = None
    settings: tuple[Setting, ...] = ()
    privileges: Privileges | None = None
    name: str | None = None
    unknown: tuple[str, ...] = ()
    scalars: tuple[int, ...] = ()

    @property
    def names(self) -> int:
        """How many relations, columns, functions, objects and settings there are; a column counts wherever it is."""
        columns = self.columns
        places = (columns.read, columns.written, columns.filtered, columns.sorted, columns.grouped, columns.joined)
        return sum(map(len, (self.reads, self.writes, self.functions, self.objects, self.settings, *places)))

    def document(self) -> dict[str, JSON]:
        """The statement as policy reads it: one item of `action.facts.statements`."""
        columns, copy, privileges = self.columns, self.copy, self.privileges
        return {
            "kind": self.kind,
            "within": self.within,
            "reads": [{"schema": one.schema, "name": one.name} for one in self.reads],
            "writes": [{"schema": one.schema, "name": one.name} for one in self.writes],
            "columns": {
                "read": _columns(columns.read),
                "written": _columns(columns.written),
                "filtered": _columns(columns.filtered),
                "sorted": _columns(columns.sorted),
                "grouped": _columns(columns.grouped),
                "joined": _columns(columns.joined),
            },
            "functions": [{"schema": one.schema, "name": one.name} for one in self.functions],
            "where": self.where,
            "limit": self.limit,
            "locks": self.locks,
            "objects": [{"type": one.type, "schema": one.schema, "name": one.name} for one in self.objects],
            "action": list(self.action),
            "copy": None if copy is None else {"direction": copy.direction, "place": copy.place, "name": copy.name},
            "settings": [{"name": one.name, "value": one.value, "local": one.local} for one in self.settings],
            "privileges": None
            if privileges is None
            else {
                "names": list(privileges.names),
                "to": list(privileges.to),
                "grant_option": privileges.grant_option,
                "roles": privileges.roles,
            },
            "name": self.name,
            "unknown": list(self.unknown),
        }


CURSOR_POSITION: Final = "cursor-position"

UNKNOWNS: Final = {
    "dynamic-sql": "text is run as SQL: DO, query_to_xml(), …",
    "function": "a function is called that is not one of PostgreSQL's own that only compute",
    "function-body": "a body in another language than SQL, or a procedure's",
    "prepared-statement": "EXECUTE of a name that is not known",
    "cursor": "FETCH from a name that is not known, or WHERE CURRENT OF one",
    CURSOR_POSITION: "which row WHERE CURRENT OF is about depends on how far its cursor was fetched",
    "setting": "set_config() with a name that is no constant, or with a value that is computed",
    "catalogue": "which objects it is about is only in the catalogue: ALL TABLES IN SCHEMA, CASCADE, OWNED BY, …",
    "definition": "what stands behind a relation that it names could not be had from the catalogue",
    "node": "a piece of syntax that is not read here",
}
"""The closed vocabulary of `Statement.unknown`, and what each means."""


def _columns(columns: tuple[Column, ...]) -> list[JSON]:
    return [
        {"schema": one.schema, "table": one.table, "name": one.name}
        | ({"document": one.document} if isinstance(one, Member) else {})
        for one in columns
    ]
