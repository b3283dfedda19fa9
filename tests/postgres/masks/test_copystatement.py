"""What the columns of a COPY are."""

import pytest

from extproc.protocols.postgres.masks import Catalogue, Question, copy_columns, named_in
from extproc.protocols.postgres.sql import Column, Member, Origins, read
from tests.postgres.masks.test_origins import row

ID, EMAIL, OTHER = (
    Column("public", "customers", "id"),
    Column("public", "customers", "email"),
    Column("work", "customers", "email"),
)
PERSON, SHOWN, MAIL = (Column("public", "people", name) for name in ("id", "shown", "email"))
COLUMNS: list[tuple[str, int, list[tuple[str, int]], list[Origins]]] = [
    ("COPY public.customers TO STDOUT", 2, [("id", 25), ("email", 25)], [(ID,), (EMAIL,)]),
    ("COPY public.customers (email) TO STDOUT", 1, [("email", 25)], [(EMAIL,)]),
    ("COPY customers TO STDOUT", 2, [("", 0)] * 2, [None, None]),
    ("COPY customers (email) TO STDOUT", 1, [("email", 0)], [(EMAIL, OTHER)]),
    ("COPY public.customers TO STDOUT", 3, [("", 0)] * 3, [None] * 3),
    (
        "COPY (SELECT lower(email) e, 1 FROM public.customers) TO STDOUT",
        2,
        [("e", 0), ("?column?", 0)],
        [(Member("public", "customers", "", "email"),), ()],
    ),
    ("COPY (SELECT * FROM public.customers) TO STDOUT", 2, [("id", 25), ("email", 25)], [(ID,), (EMAIL,)]),
    ("COPY people TO STDOUT", 2, [("id", 25), ("email", 25)], [(PERSON,), (MAIL,)]),
    ("COPY people TO STDOUT", 3, [("", 0)] * 3, [None] * 3),
    (
        "COPY (SELECT * FROM people) TO STDOUT",
        3,
        [("id", 25), ("shown", 25), ("email", 25)],
        [(PERSON,), (SHOWN, MAIL), (MAIL,)],
    ),
    ("COPY (SELECT * FROM nothing) TO STDOUT", 2, [("", 0)] * 2, [None, None]),
    ("COPY (SELECT secret()) TO STDOUT", 1, [("secret", 0)], [None]),
]


@pytest.mark.parametrize(("sql", "count", "columns", "origins"), COLUMNS)
def test_columns_are_the_tables_or_the_querys(
    sql: str, count: int, columns: list[tuple[str, int]], origins: list[Origins]
) -> None:
    """Unknown where they are not as many as the server says."""
    script = read(sql)
    (result,) = script.results
    relations = named_in(script)
    catalogue = Catalogue(read)
    rows = [row(1, "customers", ["id", "email"]), row(2, "customers", ["email"], schema="work")]
    rows.append(row(3, "people", ["id", "shown", "email"], made={"shown": ["email"]}))
    while question := catalogue.missing_of([one.origins for one in result or ()], relations):
        catalogue.learn(question, [one for one in rows if one[2] in question.names])
    assert copy_columns(script, 0, count, catalogue) == (columns, origins)


def test_a_copy_of_nobody_knows_what_is_unknown() -> None:
    """Each of its columns."""
    unknown = ([("", 0)] * 2, [None, None])
    assert copy_columns(read("SELECT 1; BEGIN"), 1, 2, Catalogue(read)) == unknown
    assert copy_columns(read("COPY t TO STDOUT"), 1, 2, Catalogue(read)) == unknown
    assert Catalogue(read).missing_of([(EMAIL,)]) == Question((), ("customers",))
