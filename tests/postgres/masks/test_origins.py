"""Where columns come from: the server's word, the statement's text, and the catalogue."""

import json
from collections.abc import Mapping, Sequence

import pytest

from extproc.protocols.postgres.masks import Catalogue, CatalogueError, Question, origins
from extproc.protocols.postgres.sql import Column, Origins, Output, Relation, Script, Statement, Unparsable
from extproc.protocols.postgres.wire.results import Field

Row = Sequence[str | None]


def column(name: str, table: str | None = None, schema: str | None = None) -> Column:
    """A column of a table."""
    return Column(schema, table, name)


def script(*found: Origins, star: bool = False) -> Script:
    """What a view's query is read as, whose columns come from these."""
    return Script((Statement("select"),), (tuple(Output(None, one, star) for one in found),))


QUERIES = {
    "buyers": script((column("email", "customers"),), (column("total", "orders"), column("name", "customers"))),
    "outer": script((column("mail", "buyers"),), None),
    "loop": script((column("x", "loop2"),)),
    "loop2": script((column("x", "loop"),)),
    "faces": script((column("shown", "people"),)),
    "star": script((column("*", "customers"),), star=True),
}


def read(sql: str) -> Script:
    """The queries of the views here are their names."""
    if sql not in QUERIES:
        raise Unparsable("no")
    return QUERIES[sql]


def row(
    oid: int,
    name: str,
    columns: Sequence[str],
    kind: str = "r",
    schema: str = "public",
    made: Mapping[str, Sequence[str]] | None = None,
    **more: str,
) -> Row:
    """What the server answers of a relation."""
    listed = [[number, label, 25, (made or {}).get(label), False] for number, label in enumerate(columns, 1)]
    return [str(oid), schema, name, kind, json.dumps(listed), more.get("parents"), more.get("definition")]


ROWS = [
    row(1, "customers", ["id", "name", "email"]),
    row(2, "orders", ["id", "total"]),
    row(3, "buyers", ["mail", "about"], "v", definition="buyers"),
    row(4, "outer", ["m", "n"], "m", definition="outer"),
    row(5, "customers", ["email"], schema="work"),
    row(6, "customers_eu", ["id", "email"], parents='[["public", "customers"]]'),
    row(7, "loop", ["x"], "v", definition="loop"),
    row(8, "loop2", ["x"], "v", definition="loop2"),
    row(9, "hidden", ["x"], "v"),
    row(10, "odd", ["x"], "v", definition="not SQL"),
    row(11, "star", ["x"], "v", definition="star"),
    row(12, "people", ["mail", "shown", "age"], made={"shown": ["mail", "age"]}),
    row(13, "people_eu", ["mail", "shown", "age"], made={"shown": ["mail"]}, parents='[["public", "people"]]'),
    row(14, "faces", ["face"], "v", definition="faces"),
]


def field(table: int = 0, number: int = 0, name: str = "c") -> Field:
    """A column of a result."""
    return Field(name, table, number, 25, -1, -1, 0)


def answer(question: Question) -> list[Row]:
    """As the server answers."""
    return [row for row in ROWS if int(row[0] or 0) in question.oids or row[2] in question.names]


RELATIONS = (Relation(None, "customers"), Relation(None, "buyers"), Relation("public", "orders"))


def resolved(fields: Sequence[Field], lineage: Sequence[Origins]) -> tuple[Origins, ...]:
    """The origins when all has been asked that there was to ask."""
    catalogue = Catalogue(read)
    for _ in range(9):
        question = catalogue.missing(fields, lineage, RELATIONS)
        if question is None:
            return origins(fields, lineage, catalogue, RELATIONS)
        catalogue.learn(question, answer(question))
    raise AssertionError("it never ends")


CUSTOMERS = column("email", "customers", "public")
WORK = column("email", "customers", "work")
CASES: list[tuple[str, Field, Origins, Origins]] = [
    ("the server's own word", field(1, 3), None, (CUSTOMERS,)),
    ("counts more than the text", field(1, 3), (column("id", "orders"),), (CUSTOMERS,)),
    ("a system column", field(1, -1), None, (column("ctid", "customers", "public"),)),
    ("a column that nobody knows", field(1, 9), None, None),
    ("a table that nobody knows", field(99, 1), None, None),
    ("a partition", field(6, 2), None, (column("email", "customers_eu", "public"), CUSTOMERS)),
    ("a view", field(3, 1), None, (column("mail", "buyers", "public"), CUSTOMERS, WORK)),
    (
        "a view of a view",
        field(4, 1),
        None,
        (column("m", "outer", "public"), column("mail", "buyers", "public"), CUSTOMERS, WORK),
    ),
    ("what a view computes", field(4, 2), None, None),
    ("views in a circle", field(7, 1), None, None),
    ("a view whose query is hidden", field(9, 1), None, None),
    ("a view whose query can't be read", field(10, 1), None, None),
    ("a generated column", field(12, 2), None, tuple(column(n, "people", "public") for n in ("shown", "mail", "age"))),
    (
        "one of a partition",
        field(13, 2),
        None,
        tuple(column(n, t, "public") for n in ("shown", "mail") for t in ("people_eu", "people")),
    ),
    (
        "one behind a view",
        field(14, 1),
        None,
        (
            column("face", "faces", "public"),
            *(column(n, "people", "public") for n in ("shown", "mail", "age")),
        ),
    ),
    ("a view with a star", field(11, 1), None, None),
    ("an expression", field(), (column("email", "customers"),), (CUSTOMERS, WORK)),
    ("with a schema", field(), (column("email", "customers", "work"),), (WORK,)),
    ("on a view", field(), (column("mail", "buyers"),), (column("mail", "buyers", "public"), CUSTOMERS, WORK)),
    ("on a column that a view has not", field(), (column("x", "buyers"),), None),
    ("on what is no table", field(), (column("x", "nothing"),), None),
    ("on what the table has not", field(), (column("x", "customers"),), None),
    ("in another schema", field(), (column("email", "customers", "evil"),), None),
    ("of any table", field(), (column("email"),), (column("email"), CUSTOMERS, WORK)),
    ("of any view", field(), (column("mail"),), (column("mail"), column("mail", "buyers", "public"), CUSTOMERS, WORK)),
    ("of what is no table", field(), (column("i"),), (column("i"),)),
    ("a constant", field(), (), ()),
    ("nobody knows", field(), None, None),
]


@pytest.mark.parametrize(("what", "one", "lineage", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_column_is_traced_to_what_it_is_made_of(what: str, one: Field, lineage: Origins, wanted: Origins) -> None:
    """Through views and to parents; unknown where one step is."""
    assert resolved([one], [lineage]) == (wanted,)


def test_a_table_that_is_not_there_may_have_any_column() -> None:
    """One of the text's own, that whoever asked does not see: it was made in the transaction that is under way."""
    catalogue = Catalogue(read)
    asked = Question((), ("customers", "mine"))
    catalogue.learn(asked, answer(asked))
    relations = (Relation(None, "customers"), Relation(None, "mine"))
    assert origins([field()], [(column("x"),)], catalogue, relations) == (None,)
    assert origins([field()], [(column("x"),)], catalogue, relations[:1]) == ((column("x"),),)


def test_what_a_transaction_defines_is_unknown_before_it_ends() -> None:
    """Views, and whatever only has a name, may be others by now."""
    catalogue = Catalogue(read)
    fields, lineage = [field(1, 3), field(3, 1), field(), field()], [None, None, (column("email", "customers"),), ()]
    while question := catalogue.missing(fields, lineage):
        catalogue.learn(question, answer(question))
    assert None not in origins(fields, lineage, catalogue)
    catalogue.unsettled = True
    assert origins(fields, lineage, catalogue) == ((CUSTOMERS,), None, None, ())
    catalogue.forget()
    assert catalogue.missing(fields, lineage) == Question((1, 3))
    catalogue.learn(Question((1, 3)), answer(Question((1, 3))))
    assert catalogue.missing(fields, lineage) is None
    assert origins(fields, lineage, catalogue) == ((CUSTOMERS,), None, None, ())


def test_what_was_not_asked_for_is_unknown() -> None:
    """Nobody assumes anything."""
    catalogue = Catalogue(read)
    lineage: list[Origins] = [None, (column("email", "customers"),), (column("email"),), ()]
    fields = [field(1, 3), field(), field(), field()]
    assert origins(fields, lineage, catalogue, RELATIONS) == (None, None, None, ())
    assert origins(fields, lineage, catalogue) == (None, None, None, ())


def test_what_can_not_be_asked_for_is_unknown() -> None:
    """And not asked for again."""
    catalogue = Catalogue(read)
    fields, lineage = [field(1, 3), field()], [None, (column("email", "customers"),)]
    for asked in (Question((1,)), Question((), ("customers",))):
        assert catalogue.missing(fields, lineage) == asked
        catalogue.learn(asked, None)
    assert catalogue.missing(fields, lineage) is None
    assert origins(fields, lineage, catalogue) == (None, None)


def test_too_many_of_one_name_are_unknown() -> None:
    """The one that is meant may be among those that did not come."""
    catalogue = Catalogue(read)
    catalogue.learn(Question((), ("customers",)), [row(n, "customers", ["email"]) for n in range(1, 1002)])
    assert origins([field()], [(column("email", "customers"),)], catalogue) == (None,)


def test_what_may_have_changed_is_asked_for_again() -> None:
    """When it is forgotten."""
    catalogue = Catalogue(read)
    question = Question((1,), ("customers",))
    catalogue.learn(question, answer(question))
    assert [table.schema for table in catalogue.tables(None, "customers")] == ["public", "work"]
    assert [table.oid for table in catalogue.tables("work", "customers")] == [5]
    whole: list[Origins] = [(column("*", "customers"),)]
    assert catalogue.missing_of(whole) is None
    catalogue.forget()
    assert catalogue.missing_of(whole) == Question((), ("customers",))


MALFORMED: list[Row] = [
    [],
    ["1", "public", "t", "r", "[]", None],
    ["x", "public", "t", "r", "[]", None, None],
    ["1", None, "t", "r", "[]", None, None],
    ["1", "public", "t", "r", "[1]", None, None],
    ["1", "public", "t", "r", '[[1, "a", 25]]', None, None],
    ["1", "public", "t", "r", '[[1, "a", 25, null]]', None, None],
    ["1", "public", "t", "r", '[[1, "a", 25, [2], false]]', None, None],
    ["1", "public", "t", "r", '[[1, "a", 25, 1, false]]', None, None],
    ["1", "public", "t", "r", "[" * 9999, None, None],
    ["1", "public", "t", "r", "[]", "[1]", None],
]


@pytest.mark.parametrize("wrong", MALFORMED)
def test_what_is_no_answer_is_refused(wrong: Row) -> None:
    """Whatever it is."""
    with pytest.raises(CatalogueError):
        Catalogue(read).learn(Question((1,)), [wrong])


def test_names_are_only_names() -> None:
    """In whatever a client may write."""
    sql = Question((4294967295,), ("it's", "a\\", "x{y}")).sql()
    assert "ARRAY['it''s', 'a\\', 'x{y}']::pg_catalog.name[]" in sql
    assert "'{4294967295}'::pg_catalog.oid[]" in sql
