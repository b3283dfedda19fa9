"""What records leave out of a statement: values of columns by their names, and nothing else of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.sql.hiding import Covered, cover


def pin(name: str) -> bool:
    """The name that is governed here."""
    return name.lower() == "pin"


CASES = [
    ("SELECT * FROM t WHERE pin = '1' AND id = 7", "SELECT * FROM t WHERE pin = # AND id = 7", set()),
    ("SELECT * FROM t WHERE t.pin IN ('1', $2) OR id = $1", "SELECT * FROM t WHERE t.pin IN (#, $2) OR id = $1", {2}),
    ("SELECT * FROM t WHERE NOT (id = 7 AND pin <> -5)", "SELECT * FROM t WHERE NOT (id = 7 AND pin <> -#)", set()),
    ("SELECT * FROM t WHERE crypt('1', \"PIN\") = 'x'", 'SELECT * FROM t WHERE crypt(#, "PIN") = #', set()),
    ("SELECT pin, 'x' FROM t LIMIT 3", "SELECT pin, 'x' FROM t LIMIT 3", set()),
    ("SELECT 1 FROM a JOIN b ON a.pin = '1' AND a.id = 2", "SELECT 1 FROM a JOIN b ON a.pin = # AND a.id = 2", set()),
    (
        "SELECT 1 FROM t WHERE id IN (SELECT id FROM u WHERE pin = $1) AND id < $2",
        "SELECT 1 FROM t WHERE id IN (SELECT id FROM u WHERE pin = $1) AND id < $2",
        {1},
    ),
    ("INSERT INTO t (id, pin) VALUES (1, '2'), ($1, $2)", "INSERT INTO t (id, pin) VALUES (1, #), ($1, $2)", {2}),
    ("INSERT INTO t (id, pin) SELECT 1, 'x' WHERE 3 = 3", "INSERT INTO t (id, pin) SELECT 1, # WHERE 3 = 3", set()),
    (
        "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET pin = '2', id = 3",
        "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET pin = #, id = 3",
        set(),
    ),
    ("UPDATE t SET pin = $1, id = $2 WHERE id = 3", "UPDATE t SET pin = $1, id = $2 WHERE id = 3", {1}),
    ("UPDATE t SET (id, pin) = (1, 'x') WHERE id = 3", "UPDATE t SET (id, pin) = (#, #) WHERE id = 3", set()),
    (
        "WITH w AS (UPDATE t SET pin = 'q' RETURNING id) SELECT * FROM w WHERE id = 3",
        "WITH w AS (UPDATE t SET pin = # RETURNING id) SELECT * FROM w WHERE id = 3",
        set(),
    ),
    (
        "MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT (id, pin) VALUES (2, 'z')",
        "MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT (id, pin) VALUES (2, #)",
        set(),
    ),
    (
        "MERGE INTO t USING s ON t.id = 1 WHEN MATCHED THEN UPDATE SET pin = 'y', id = 2",
        "MERGE INTO t USING s ON t.id = 1 WHEN MATCHED THEN UPDATE SET pin = #, id = 2",
        set(),
    ),
    ("PREPARE p AS DELETE FROM t WHERE pin = $1", "PREPARE p AS DELETE FROM t WHERE pin = $1", {1}),
    ("SET app.pin = 'x'", "SET app.pin = #", set()),
    ("SET app.other = 'x'", "SET app.other = 'x'", set()),
    ("SELECT 'ü', 'é' FROM t WHERE pin = 'ö' AND ü = 'ä'", "SELECT 'ü', 'é' FROM t WHERE pin = # AND ü = 'ä'", set()),
    ("SELECT 1; DELETE FROM t WHERE pin = $q$x$q$; SELECT 2", "SELECT 1; DELETE FROM t WHERE pin = #; SELECT 2", set()),
]


@pytest.mark.parametrize(("sql", "text", "parameters"), CASES)
def test_values_of_named_columns_are_covered(sql: str, text: str, parameters: set[int]) -> None:
    """Where they are stored, and where they stand in one expression with the column."""
    assert cover(sql, pin, "#") == Covered(text, frozenset(parameters))


@pytest.mark.parametrize("sql", ["CREATE ROLE r LOGIN PASSWORD 'x'", "ALTER USER r WITH ENCRYPTED PASSWORD 'x'"])
def test_options_have_names_too(sql: str) -> None:
    """A role's password is one."""
    assert cover(sql, "password".__eq__, "#").text == sql.replace("'x'", "#")


@pytest.mark.parametrize(
    ("sql", "text"), [("SELEC 'x' FROM t WHERE pin = 1", "SELEC # FROM t WHERE pin = #"), ("SELECT 'x", "#")]
)
def test_what_cannot_be_parsed_shows_no_constant(sql: str, text: str) -> None:
    """Nobody knows what they would be."""
    assert cover(sql, pin, "#") == Covered(text, None)


@given(st.lists(st.sampled_from(["pin", "id", "=", "'x'", "$1", "(", ")", "SELECT", "FROM", "t", "WHERE", ",", "7"])))
def test_any_text_is_covered(words: list[str]) -> None:
    """No exception; without the name nothing is hidden of what can be parsed."""
    sql = " ".join(words)
    covered = cover(sql, lambda name: False, "#")
    assert covered.parameters is None or covered.text == sql
    cover(sql, pin, "#")
