"""`(x).name`: PostgreSQL reads it as a call or a cast where the type of x has no attribute of that name."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

from dataclasses import replace

import pytest

from extproc.protocols.postgres.masks.defined import Defined, custom
from extproc.protocols.postgres.sql import Column, Function, read
from extproc.protocols.postgres.sql.builtin import COMPUTES
from extproc.protocols.postgres.sql.custom import PLAIN, UNTOLD, Custom
from extproc.protocols.postgres.sql.unary import TYPES, is_unary
from tests.support.postgres import Server

OWN = replace(PLAIN, unary=frozenset({"wipe"}))
CALLS = [
    ("SELECT ('f'::text).pg_read_file", "pg_read_file"),
    ("SELECT (1).lo_unlink FROM t", "lo_unlink"),
    ("SELECT ($1::text).wipe", "wipe"),
    ("SELECT (id).wipe FROM t", "wipe"),
    ("SELECT (t.id).wipe FROM t", "wipe"),
    ("SELECT ((t).id).wipe FROM t", "wipe"),
    ("SELECT (t).id.wipe FROM t", "wipe"),
    ("SELECT ((SELECT id FROM t)).wipe", "wipe"),
    ("SELECT (tags)[1].wipe FROM t", "wipe"),
    ("SELECT g.wipe FROM generate_series(1, 2) g", "wipe"),
    ("SELECT (g).wipe FROM generate_series(1, 2) AS g (n)", "wipe"),
    ("SELECT 1 FROM t WHERE (id).wipe = 1", "wipe"),
    ("UPDATE t SET a = (a).wipe", "wipe"),
]
COLUMNS = [
    "SELECT g.wipe FROM generate_series(1, 2) AS g (wipe)",
    "SELECT wipe.wipe FROM generate_series(1, 2) AS wipe",
    "SELECT x.wipe FROM jsonb_to_recordset($1) AS x (wipe int)",
    "SELECT x.wipe FROM ROWS FROM (jsonb_to_recordset($1) AS (wipe int)) AS x",
    "SELECT g.ordinality FROM generate_series(1, 2) WITH ORDINALITY g",
    "SELECT (payment).amount, (t.payment).city.zip FROM t",
]


@pytest.mark.parametrize(("sql", "name"), CALLS)
def test_an_attribute_may_be_a_call(sql: str, name: str) -> None:
    """Of what is not known to compute, so a doubt, as where it is written as a call."""
    (statement,) = read(sql, custom=OWN).statements
    assert Function(None, name) in statement.functions
    assert "function" in statement.unknown


@pytest.mark.parametrize("sql", COLUMNS)
def test_a_column_of_a_function_in_from_is_none(sql: str) -> None:
    """Nor is an attribute that no function is called as."""
    (statement,) = read(sql, custom=OWN).statements
    assert not statement.unknown


def test_nobody_knows_what_an_attribute_is_while_the_server_has_not_told() -> None:
    """Of any name but those of PostgreSQL's own."""
    (statement,) = read("SELECT (payment).amount FROM t", custom=UNTOLD).statements
    assert "function" in statement.unknown


def test_a_function_that_was_just_made_is_one() -> None:
    """In the same text."""
    made = "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    (*_, statement) = read(f"{made}; SELECT (1).f").statements
    assert Function(None, "f") in statement.functions


@pytest.mark.parametrize(
    "expression", ["(doc).jsonb_each", "(t.doc).jsonb_send", "(doc).text", "(doc).tsvector", "((t).doc).length"]
)
def test_what_is_made_of_a_column_by_an_attribute_decides(expression: str) -> None:
    """As by a call."""
    (statement,) = read(f"SELECT {expression} FROM t").statements
    assert Column(None, "t", "doc") in statement.columns.filtered


def test_a_column_goes_before_a_row_of_its_name() -> None:
    """So an alias can't make the one of the other."""
    (statement,) = read("SELECT (email).text FROM customers email").statements
    assert Column(None, "customers", "email") in statement.columns.filtered
    (statement,) = read("SELECT (SELECT (email).text FROM notes email) FROM customers").statements
    assert Column(None, "customers", "email") in statement.columns.filtered


def test_nothing_is_read_twice_for_it() -> None:
    """However deep they stand in each other."""
    sql = "(" * 200 + "a" + ").text" * 200
    assert read(f"SELECT {sql} FROM t").statements


def test_the_names_of_postgresql_s_own(either_postgres: Server) -> None:
    """Functions that one value is enough for, and types that a value can be cast to as by a function."""
    functions = either_postgres.sql(
        "SELECT DISTINCT p.proname FROM pg_proc p WHERE p.oid < 16384 AND p.pronargs >= 1 "
        "AND p.pronargs - p.pronargdefaults <= 1 AND p.proargtypes[0] NOT IN ('internal'::regtype, 'cstring'::regtype)"
        "AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype)"
    )
    assert [name for (name,) in functions if name not in COMPUTES and not is_unary(str(name))] == []
    types = either_postgres.sql(
        "SELECT typname FROM pg_type WHERE oid < 16384 AND typrelid = 0 AND typname !~ '^_' AND typtype <> 'p'"
    )
    assert {name for (name,) in types} <= COMPUTES | TYPES


def test_a_database_tells_its_own(either_postgres: Server) -> None:
    """In whatever schema, and whatever else they may be given."""
    either_postgres.sql(
        "CREATE FUNCTION public.wipe(text, int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'", "crm"
    )
    try:
        found: Custom = custom(either_postgres.sql(Defined().sql(), "crm"))
    finally:
        either_postgres.sql("DROP FUNCTION public.wipe", "crm")
    assert "wipe" in found.unary
