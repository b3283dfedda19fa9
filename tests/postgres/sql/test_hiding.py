"""What records leave out of a statement: values of columns by their names, and nothing else of it."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pglast.parser import ParseError, scan

from extproc.protocols.postgres.sql.hiding import Covered, cover
from extproc.protocols.postgres.sql.tree import tokens


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


STRICT = [
    ("INSERT INTO t VALUES (1, 'x'), ($1, $2)", "INSERT INTO t VALUES (#, #), ($1, $2)", {1, 2}),
    ("INSERT INTO t SELECT 1, a, $1 FROM u WHERE b = 7", "INSERT INTO t SELECT #, a, $1 FROM u WHERE b = 7", {1}),
    ("INSERT INTO t (pin) SELECT 'x' UNION SELECT $1", "INSERT INTO t (pin) SELECT # UNION SELECT $1", {1}),
    (
        "INSERT INTO t (pin) SELECT v FROM (VALUES ('x'), ($1)) AS q(v) WHERE 3 = 3",
        "INSERT INTO t (pin) SELECT v FROM (VALUES (#), ($1)) AS q(v) WHERE 3 = 3",
        {1},
    ),
    (
        "WITH w AS (SELECT 'x' AS v) INSERT INTO t (id, pin) SELECT 1, v FROM w",
        "WITH w AS (SELECT # AS v) INSERT INTO t (id, pin) SELECT 1, v FROM w",
        set(),
    ),
    ("INSERT INTO t (id) SELECT 5 FROM u WHERE a = $1", "INSERT INTO t (id) SELECT 5 FROM u WHERE a = $1", set()),
    (
        "UPDATE t SET pin = v.a FROM (VALUES ('x', $1)) v(a, b) WHERE t.id = 3",
        "UPDATE t SET pin = v.a FROM (VALUES (#, $1)) v(a, b) WHERE t.id = 3",
        {1},
    ),
    ("UPDATE t SET id = 1 WHERE id = $1", "UPDATE t SET id = 1 WHERE id = $1", set()),
    (
        "MERGE INTO t USING (VALUES ('x', $1)) v(a, b) ON t.id = 2 WHEN NOT MATCHED THEN INSERT VALUES (1, v.a)",
        "MERGE INTO t USING (VALUES (#, $1)) v(a, b) ON t.id = 2 WHEN NOT MATCHED THEN INSERT VALUES (#, v.a)",
        {1},
    ),
    (
        "MERGE INTO t USING (VALUES ('x')) v(a) ON t.id = 2 WHEN MATCHED THEN UPDATE SET pin = v.a, id = 7",
        "MERGE INTO t USING (VALUES (#)) v(a) ON t.id = 2 WHEN MATCHED THEN UPDATE SET pin = v.a, id = 7",
        set(),
    ),
    (
        "MERGE INTO t USING s ON t.id = 2 WHEN MATCHED THEN UPDATE SET id = 7",
        "MERGE INTO t USING s ON t.id = 2 WHEN MATCHED THEN UPDATE SET id = 7",
        set(),
    ),
    ("SELECT pg_read_file('/etc/pin'), f('a/b-pin.d/x')", "SELECT pg_read_file('/etc/pin'), f('a/b-pin.d/x')", set()),
    ("SELECT f('/a/pin x', 1), g('/a?pin=x')", "SELECT f(#, #), g(#)", set()),
    ("EXECUTE s(1, 'x')", "EXECUTE s(#, #)", set()),
    ("CALL p('x', $1)", "CALL p(#, $1)", {1}),
    ("SELECT f(pin => 'x', b => 1), g('y')", "SELECT f(pin => #, b => #), g('y')", set()),
    ("DO $$BEGIN UPDATE t SET pin = 'x'; END$$", "DO #", set()),
    ("DO $$BEGIN PERFORM 1; END$$", "DO $$BEGIN PERFORM 1; END$$", set()),
    ("SELECT 1 FROM (SELECT pin AS p FROM t) q WHERE p = 'x' AND id = 1",
     "SELECT 1 FROM (SELECT pin AS p FROM t) q WHERE p = # AND id = 1", set()),
    ("WITH c(p) AS (TABLE t) SELECT 1 FROM c WHERE p = 'x' AND id = 1",
     "WITH c(p) AS (TABLE t) SELECT 1 FROM c WHERE p = # AND id = 1", set()),
    ("SELECT 1 FROM t AS c(a, b) WHERE b = $1 AND id = 1", "SELECT 1 FROM t AS c(a, b) WHERE b = $1 AND id = 1", {1}),
    ("SELECT 1 FROM t WHERE t = ROW(1, 'x') AND id = 5", "SELECT 1 FROM t WHERE t = ROW(#, #) AND id = 5", set()),
    ("SELECT 1 FROM t c WHERE ROW(c.*) = ROW($1) AND c.id = 5",
     "SELECT 1 FROM t c WHERE ROW(c.*) = ROW($1) AND c.id = 5", {1}),
    ("SELECT 1 FROM t WHERE doc->>'pin' = $1 AND id = 1", "SELECT 1 FROM t WHERE doc->># = $1 AND id = 1", {1}),
    ("INSERT INTO d (doc) VALUES ('{\"pin\": 1}')", "INSERT INTO d (doc) VALUES (#)", set()),
    ("CREATE TABLE c AS SELECT 'x' AS pin, 1 AS id", "CREATE TABLE c AS SELECT # AS pin, 1 AS id", set()),
    ("ALTER TABLE t ALTER pin SET DEFAULT 'x'", "ALTER TABLE t ALTER pin SET DEFAULT #", set()),
    ("CREATE TABLE t (pin varchar(9) DEFAULT 'x', id int DEFAULT 1)",
     "CREATE TABLE t (pin varchar(9) DEFAULT #, id int DEFAULT 1)", set()),
    ("COPY t TO STDOUT (FORCE_QUOTE (pin), DELIMITER ';')",
     "COPY t TO STDOUT (FORCE_QUOTE (pin), DELIMITER ';')", set()),
    ("SELECT id FROM t WHERE id = 7 AND note = 'x' LIMIT 2",
     "SELECT id FROM t WHERE id = 7 AND note = 'x' LIMIT 2", set()),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "text", "parameters"), [*CASES, *STRICT])
def test_what_may_be_such_a_value_is_covered_where_it_is_asked_for(sql: str, text: str, parameters: set[int]) -> None:
    """Where nobody can tell which column a value is for, and where the column goes under another name; not more."""
    assert cover(sql, pin, "#", strict=True) == Covered(text, frozenset(parameters))


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
    cover(sql, pin, "#", strict=True)


def test_many_values_are_covered() -> None:
    """Long is no more work for each value."""
    rows = ["('é', 1)"] * 50_000
    sql = "INSERT INTO t (pin, id) VALUES " + ", ".join(rows)
    assert cover(sql, pin, "#").text == sql.replace("'é'", "#")


def test_what_is_too_long_to_be_looked_through_is_covered() -> None:
    """All of it, and all parameters."""
    sql = f"SELECT $é${'é ' * 5000}$é$ FROM t WHERE pin = '1'"
    assert cover(sql, pin, "#") == Covered("#", None)


_PIECES = [
    *(
        "é",
        "日",
        "😀",
        "\u00a0",
        "$",
        "$é$",
        "$q$",
        "$ü",
        "1",
        "0x",
        "1e",
        "$1",
        "e'",
        "E'",
        "b'",
        "x'",
        "u&'",
        "n'",
        "'",
    ),
    *('"', "\\", "\\x", "_", "--", "/*", "*/", "\n", " ", ".", "set", "tru", "=", "(", ",", "\ud800"),
]


@given(st.lists(st.sampled_from(_PIECES), max_size=20))
def test_tokens_beyond_ascii(pieces: list[str]) -> None:
    """They are those of the parser's own scanner, which takes the square of their number."""
    sql = "".join(pieces)
    try:
        found = [(start, end + 1, name) for start, end, name, _ in scan(sql)]
    except (ParseError, UnicodeEncodeError):
        found = []
    assert tokens(sql) == found
