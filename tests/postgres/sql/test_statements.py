"""Statements and their facts: what each does to what, however it is written."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

from typing import Any

import pytest

from extproc.protocols.postgres.sql import UNKNOWNS, Script, Unparsable, read


def names(relations: Any) -> list[str]:
    """Relations and functions as `schema.name`."""
    return [f"{one.schema}.{one.name}" if one.schema else one.name for one in relations]


def facts(script: Script) -> list[str]:
    """Each statement in short: within, kind, what it reads and writes, WHERE, and what is not known."""
    return [
        " ".join(
            word
            for word in (
                f"{one.within}:" if one.within else "",
                one.kind,
                *(f"<{name}" for name in names(one.reads)),
                *(f">{name}" for name in names(one.writes)),
                one.where or "",
                *(f"?{word}" for word in one.unknown),
            )
            if word
        )
        for one in script.statements
    ]


TABLE = [
    ("SELECT 1", ["select none"]),
    ("", ["empty"]),
    (";; -- nothing", ["empty"]),
    ("/* x */ DELETE  /* y */\n FROM -- z\n  customers", ["delete >customers none"]),
    ("select email from public.customers where id = 7", ["select <public.customers some"]),
    ('DELETE FROM "Customers"', ["delete >Customers none"]),
    ('DELETE FROM U&"\\0063ustomers"', ["delete >customers none"]),
    ("SELECT 'DELETE FROM customers'", ["select none"]),
    ("SELECT $x$ DROP TABLE customers $x$", ["select none"]),
    ("SELECT 1; DROP TABLE customers", ["select none", "drop"]),
    ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", ["select none", "cte: delete <t >t none"]),
    ("WITH t AS (SELECT * FROM u) SELECT * FROM t", ["select <u none"]),
    ("WITH t AS (SELECT * FROM t) SELECT * FROM t", ["select <t none"]),
    ("WITH t AS (SELECT 1) SELECT * FROM public.t", ["select <public.t none"]),
    ("WITH t AS (SELECT 1) DELETE FROM t", ["delete >t none"]),
    ("WITH RECURSIVE r AS (SELECT 1 UNION SELECT * FROM r, t) TABLE r", ["select <t none"]),
    ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM (WITH a AS (SELECT * FROM c) TABLE a) z", None),
    ("EXPLAIN DELETE FROM t", ["explain", "explain: delete >t none"]),
    ("EXPLAIN ANALYZE DELETE FROM t", ["explain", "explain_analyze: delete >t none"]),
    ("EXPLAIN (ANALYZE false, COSTS) DELETE FROM t", ["explain", "explain: delete >t none"]),
    ("EXPLAIN (ANALYZE 1) DELETE FROM t", ["explain", "explain_analyze: delete >t none"]),
    ("COPY t TO STDOUT", ["copy <t"]),
    ("COPY (SELECT * FROM t) TO STDOUT", ["copy <t", "copy: select <t none"]),
    ("COPY (DELETE FROM t RETURNING *) TO STDOUT", ["copy", "copy: delete <t >t none"]),
    ("COPY t FROM PROGRAM 'id'", ["copy >t"]),
    ("INSERT INTO a SELECT * FROM b", ["insert <b >a", "insert: select <b none"]),
    ("INSERT INTO a VALUES ((SELECT x FROM b))", ["insert <b >a"]),
    ("UPDATE a SET x = 1 FROM b WHERE a.id = b.id", ["update <b >a some"]),
    ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", ["merge <s >t always"]),
    ("TRUNCATE t CASCADE", ["truncate ?catalogue"]),
    ("SELECT * INTO x FROM t", ["create <t", "create: select <t none"]),
    ("CREATE TABLE x AS SELECT * FROM t", ["create <t", "create: select <t none"]),
    ("CREATE VIEW v AS SELECT * FROM t", ["create", "view: select <t none"]),
    ("CREATE RULE r AS ON INSERT TO t DO INSTEAD DELETE FROM u", ["create", "rule: delete >u none"]),
    ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM t'", ["create", "function: delete >t none"]),
    ("CREATE FUNCTION f() RETURNS int RETURN 1", ["create", "function: select"]),
    (
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM t; SELECT 1; END",
        ["create", "function: delete >t none", "function: select none"],
    ),
    ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN END'", ["create ?function-body"]),
    ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'no sql'", ["create ?function-body"]),
    ("DO $$ BEGIN DELETE FROM t; END $$", ["do ?dynamic-sql"]),
    ("CALL p(1)", ["call ?function-body"]),
    ("EXECUTE p", ["execute ?prepared-statement"]),
    ("FETCH ALL FROM c", ["fetch ?cursor"]),
    ("PREPARE p AS DELETE FROM t", ["prepare", "prepare: delete >t none"]),
    ("PREPARE p AS DELETE FROM t; EXECUTE p", None),
    ("DECLARE c CURSOR FOR SELECT * FROM t", ["declare <t", "declare: select <t none"]),
    ("SELECT query_to_xml('TABLE t', true, true, '')", ["select none ?dynamic-sql"]),
    ("SELECT dblink_exec('DROP TABLE t')", ["select none ?dynamic-sql"]),
    ("SELECT pg_read_file('/etc/passwd'), mine()", ["select none ?function"]),
    ("SELECT lower(x), count(*) FROM t", ["select <t none"]),
    ("SELECT EXISTS (SELECT 1 FROM a), (SELECT x FROM b), ARRAY(SELECT y FROM c)", ["select <a <b <c none"]),
    ("SELECT 1 FROM t GROUP BY (SELECT a FROM u) HAVING EXISTS (TABLE v) ORDER BY (SELECT 1 FROM w)", None),
    ("DROP SCHEMA s CASCADE", ["drop ?catalogue"]),
    ("DROP OWNED BY x", ["drop ?catalogue"]),
    ("VACUUM", ["vacuum ?catalogue"]),
    ("ANALYZE t", ["analyze"]),
    ("LISTEN c", ["listen"]),
    ("PREPARE TRANSACTION 'x'", ["other"]),
    ("VALUES (1)", ["select"]),
]


@pytest.mark.parametrize(("sql", "expected"), [row for row in TABLE if row[1] is not None])
def test_what_a_statement_does(sql: str, expected: list[str]) -> None:
    """Kinds, relations and doubts of each statement, and of those in it."""
    assert facts(read(sql)) == expected


@pytest.mark.parametrize("sql", [row[0] for row in TABLE])
def test_what_is_not_known_is_said_in_known_words(sql: str) -> None:
    """The vocabulary is closed, and a document has its shape."""
    for statement in read(sql).statements:
        assert set(statement.unknown) <= set(UNKNOWNS)
        assert list(statement.document()["columns"]) == [  # type: ignore[arg-type]
            *("read", "written", "filtered", "sorted", "grouped", "joined"),
        ]


def test_a_prepared_statement_is_what_it_was_prepared_as() -> None:
    """In one text, and with what the session kept from another."""
    script = read("PREPARE p AS DELETE FROM t")
    assert facts(read("EXECUTE p", prepared=script.prepared)) == ["execute", "execute: delete >t none"]
    assert facts(read("PREPARE p AS TABLE t; DEALLOCATE p; EXECUTE p", script.prepared))[-1].endswith("statement")
    assert facts(read("DISCARD ALL; EXECUTE p", script.prepared))[-1] == "execute ?prepared-statement"


def test_a_cursor_gives_what_its_query_reads() -> None:
    """FETCH names the columns that DECLARE read."""
    script = read("DECLARE c CURSOR FOR SELECT email FROM customers")
    fetched = read("FETCH 10 FROM c", cursors=script.cursors)
    assert facts(fetched) == ["fetch <customers"]
    assert fetched.statements[0].limit == 10
    [origins] = fetched.lineage(["email"])
    assert origins is not None
    assert [(one.table, one.name) for one in origins] == [("customers", "email")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SET search_path TO a, 'B c'", ("search_path", 'a, "B c"', False)),
        ("SET LOCAL Role = 'x'", ("role", "x", True)),
        ("SET SESSION AUTHORIZATION DEFAULT", ("session_authorization", None, False)),
        ("RESET ALL", ("all", None, False)),
        ("SET NAMES 'LATIN1'", ("client_encoding", "LATIN1", False)),
        ("SELECT set_config('Search_Path', 'x', true)", ("search_path", "x", True)),
        ("SELECT pg_catalog.set_config('a.b', 'x', false)", ("a.b", "x", False)),
        ("SELECT set_config(x, 'y', false) FROM t", (None, "y", False)),
        ("DISCARD ALL", ("all", None, False)),
    ],
)
def test_settings(sql: str, expected: tuple[str | None, str | None, bool]) -> None:
    """What changes in the session, by SET or by a function."""
    [setting] = read(sql).statements[0].settings
    assert (setting.name, setting.value, setting.local) == expected


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        ("'jit', 'off', false", ()),
        ("'jit', $1, $2", ()),
        ("'jit', $1::text, 't'::bool", ()),
        ("'jit', NULL, false", ()),
        ("$1, 'off', false", ("setting",)),
        ("lower('JIT'), 'off', false", ("setting",)),
        ("'application_name', email, false", ("setting",)),
        ("'application_name', (SELECT email FROM t), false", ("setting",)),
        ("'jit', 'off', email LIKE 'a%'", ("setting",)),
        ("'jit', 'off'", ("setting",)),
    ],
)
def test_set_config_is_told_what_it_sets(arguments: str, unknown: tuple[str, ...]) -> None:
    """A name in the text, and nothing that is computed of what the database has."""
    assert read(f"SELECT set_config({arguments}) FROM t").statements[0].unknown == unknown


@pytest.mark.parametrize(
    ("sql", "functions", "unknown"),
    [
        ("SELECT c.to_json FROM customers c", ["to_json"], ()),
        ("SELECT (c).json_agg FROM customers c", ["json_agg"], ()),
        ("SELECT s.to_json, s.a FROM (SELECT 1 AS a) s", ["to_json"], ()),
        ("SELECT s.mine FROM (SELECT 1 AS a) s", ["mine"], ("function",)),
        ("WITH s AS (SELECT 1 AS a) SELECT (s).mine FROM s", ["mine"], ("function",)),
        ("SELECT s.to_json FROM (SELECT 1 AS to_json) s", [], ()),
        ("SELECT c.mine, c.name, c.count, c.* FROM customers c", [], ()),
    ],
)
def test_functions_in_the_notation_of_columns(sql: str, functions: list[str], unknown: tuple[str, ...]) -> None:
    """`t.f` is f(t) where t surely has no such column, or where f takes any row."""
    statement = read(sql).statements[0]
    assert ([one.name for one in statement.functions], statement.unknown) == (functions, unknown)


@pytest.mark.parametrize(
    ("sql", "objects", "action"),
    [
        ("DROP TABLE a.b, c", ["table a.b", "table c"], []),
        ("DROP TRIGGER x ON a.t", ["trigger a.x", "table a.t"], []),
        ("ALTER TABLE t DROP COLUMN x", ["table t", "column t.x"], ["drop_column"]),
        ("ALTER TABLE t RENAME COLUMN a TO b", ["column t.a", "table t"], ["rename_column"]),
        ("ALTER TABLE t DISABLE ROW LEVEL SECURITY", ["table t"], ["disable_row_security"]),
        ("ALTER ROLE x SUPERUSER NOLOGIN", ["role x"], ["superuser", "nologin"]),
        ("ALTER SYSTEM SET work_mem = 1", ["parameter work_mem"], ["set"]),
        ("CREATE INDEX i ON t (lower(a))", ["index i", "table t"], []),
        ("GRANT SELECT ON s.t TO bob", ["table s.t"], []),
        ("COMMENT ON COLUMN a.b.c IS 'x'", ["column a.b.c"], []),
        ("DROP FUNCTION f(int)", ["function f"], []),
        ("LOCK TABLE t", ["table t"], []),
        ("REFRESH MATERIALIZED VIEW v", ["materialized_view v"], []),
    ],
)
def test_objects(sql: str, objects: list[str], action: list[str]) -> None:
    """What DDL is about, and what ALTER does to it."""
    [statement] = read(sql).statements
    found = [
        f"{one.type} {one.schema}.{one.name}" if one.schema else f"{one.type} {one.name}" for one in statement.objects
    ]
    assert found == objects
    assert list(statement.action) == action


def test_privileges() -> None:
    """GRANT and REVOKE, of privileges and of roles."""
    script = read("GRANT SELECT, UPDATE ON t TO bob, PUBLIC WITH GRANT OPTION; REVOKE ALL ON t FROM x; GRANT a TO b")
    found = [one.privileges for one in script.statements]
    assert [(one.names, one.to, one.grant_option, one.roles) for one in found if one is not None] == [
        (("select", "update"), ("bob", "public"), True, False),
        (("all",), ("x",), False, False),
        (("a",), ("b",), False, True),
    ]


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT 1 \0; DROP TABLE t", "SELECT '\ud800'", "SELECT (", "DELETE FROM", "SELECT 'a"]
)
def test_what_the_parser_refuses_is_unparsable(sql: str) -> None:
    """And nothing else comes out."""
    with pytest.raises(Unparsable) as refused:
        read(sql)
    assert refused.value.message
