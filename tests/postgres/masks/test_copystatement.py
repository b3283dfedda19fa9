"""What a COPY's statement says of its rows."""

import pytest

from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import Catalogue, CopyOptions, Question, copy_columns, copy_options, named_in
from extproc.protocols.postgres.sql import Column, Origins, read
from tests.postgres.masks.test_origins import row

OPTIONS: list[tuple[str, CopyOptions]] = [
    ("COPY t TO STDOUT", CopyOptions()),
    ("COPY t TO STDOUT (FORMAT csv, HEADER, DELIMITER ';', NULL '', FORCE_QUOTE *)", CopyOptions("csv", ";", "", header=True)),
    ("COPY t TO STDOUT WITH CSV HEADER QUOTE '''' ESCAPE '\\' NULL AS 'x'", CopyOptions("csv", "", "x", "'", "\\", True)),
    ("COPY BINARY t TO STDOUT", CopyOptions("binary")),
    ("COPY (SELECT 1) TO STDOUT (HEADER false, FORMAT 'text', ENCODING 'UTF8')", CopyOptions()),
    ("COPY t TO STDOUT (HEADER 1, DELIMITER '|')", CopyOptions("text", "|", header=True)),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "wanted"), OPTIONS)
def test_options_are_the_statements(sql: str, wanted: CopyOptions) -> None:
    """In the old spelling and the new one; of the right one of several statements."""
    assert copy_options(sql) == wanted
    assert copy_options(f"SELECT 1; {sql}", 1) == wanted


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "COPY t TO STDOUT (ENCODING 'sjis')",
        "COPY t TO STDOUT (FORMAT json)",
        "COPY t TO STDOUT (HEADER match)",
        "COPY t TO STDOUT (COMPRESSION 'x')",
        "COPY t TO STDOUT (DELIMITER '')",
        "COPY t TO STDOUT (DELIMITER (a, b))",
    ],
)
def test_what_is_not_known_is_refused(sql: str) -> None:
    """Its rows could be read in another way than they are meant."""
    with pytest.raises(MaskError):
        copy_options(sql)


ID, EMAIL, OTHER = (
    Column("public", "customers", "id"),
    Column("public", "customers", "email"),
    Column("work", "customers", "email"),
)
COLUMNS: list[tuple[str, int, list[tuple[str, int]], list[Origins]]] = [
    ("COPY public.customers TO STDOUT", 2, [("id", 25), ("email", 25)], [(ID,), (EMAIL,)]),
    ("COPY public.customers (email) TO STDOUT", 1, [("email", 0)], [(EMAIL,)]),
    ("COPY customers TO STDOUT", 2, [("", 0)] * 2, [None, None]),
    ("COPY customers (email) TO STDOUT", 1, [("email", 0)], [(EMAIL, OTHER)]),
    ("COPY public.customers TO STDOUT", 3, [("", 0)] * 3, [None] * 3),
    ("COPY (SELECT lower(email) AS e, 1 FROM public.customers) TO STDOUT", 2, [("e", 0), ("", 0)], [(EMAIL,), ()]),
    ("COPY (SELECT * FROM public.customers) TO STDOUT", 2, [("id", 25), ("email", 25)], [(ID,), (EMAIL,)]),
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
    while question := catalogue.missing_of([one.origins for one in result or ()], relations):
        catalogue.learn(question, rows if "customers" in question.names else [])
    found = copy_columns(result, count, catalogue, relations)
    assert found == (columns, origins) or (columns[-1:] == [("", 0)] and found[1] == origins)


def test_a_copy_of_nobody_knows_what_is_unknown() -> None:
    """Each of its columns."""
    assert copy_columns(None, 2, Catalogue(read)) == ([("", 0)] * 2, [None, None])
    assert Catalogue(read).missing_of([(EMAIL,)]) == Question((), ("customers",))
