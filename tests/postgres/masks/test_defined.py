"""What a real server says it defines beside PostgreSQL's own operators, functions and casts."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.masks.defined import Defined, custom
from extproc.protocols.postgres.sql.custom import OPERATORS, Custom
from tests.support.postgres import Server

MADE = """
CREATE SCHEMA own AUTHORIZATION writer;
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION cube; CREATE EXTENSION earthdistance;
CREATE EXTENSION intarray; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm; CREATE EXTENSION isn;
CREATE EXTENSION seg; CREATE EXTENSION btree_gist; CREATE EXTENSION btree_gin;
SET ROLE writer; SET search_path = own, public;
CREATE FUNCTION never(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = oid, FUNCTION = never);
CREATE OPERATOR @~@ (LEFTARG = oid, RIGHTARG = bytea, FUNCTION = lo_from_bytea);
CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION first(pair) RETURNS int LANGUAGE sql AS 'SELECT $1.a';
CREATE CAST (pair AS int) WITH FUNCTION first(pair) AS IMPLICIT;
CREATE TABLE pairs (p pair[]);
CREATE DOMAIN plain AS int CHECK (value > 0);
CREATE DOMAIN checked AS int CHECK (own.lower(value) > '0');
CREATE DOMAIN again AS checked;
CREATE TYPE mood AS ENUM ('sad');
CREATE CAST (text AS mood) WITH INOUT AS IMPLICIT;
"""


@pytest.fixture(scope="module")
def server(either_postgres: Server) -> Iterator[Server]:
    """With a schema of somebody's own, and extensions."""
    either_postgres.sql("CREATE DATABASE defining")
    either_postgres.sql("GRANT CREATE ON SCHEMA public TO writer;" + MADE, "defining")
    yield either_postgres
    either_postgres.sql("DROP DATABASE defining")


def told(server: Server, path: str = "public") -> Custom:
    """What the server answers to somebody with this search path."""
    return custom(server.sql(f"SET search_path = {path};" + Defined().sql(), "defining"))


@pytest.mark.parametrize("path", ["public", "own, pg_catalog, public"])
def test_what_there_is_of_a_database_s_own(server: Server, path: str) -> None:
    """Whatever the search path; a cast by text, a check that only compares, and extensions that compute, are none."""
    found = told(server, path)
    assert found.operators == {"=": ("own",), "@~@": ("own",)}
    assert found.functions == {"lower": ("own",)}
    assert set(found.types) == {*("pair", "_pair", "pairs", "_pairs"), *("checked", "_checked", "again", "_again")}
    assert set(found.relations) == {"pair", "pairs"}
    assert "first" in found.calls
    assert {("public", "<%"), ("public", "="), ("public", "~"), ("public", "<@>")} <= found.harmless


def test_what_is_added_to_an_extension_does_not_count_as_it(server: Server) -> None:
    """Its owner can add whatever he likes."""
    server.sql(
        """CREATE FUNCTION own.twice(citext) RETURNS citext LANGUAGE sql AS 'SELECT $1';
        ALTER FUNCTION own.twice(citext) OWNER TO writer;
        CREATE OPERATOR own.!+ (RIGHTARG = citext, FUNCTION = own.twice);
        CREATE OPERATOR own.!- (RIGHTARG = float8, FUNCTION = pg_sleep);
        ALTER EXTENSION citext ADD FUNCTION own.twice(citext);
        ALTER EXTENSION citext ADD OPERATOR own.!+ (NONE, citext);
        ALTER EXTENSION citext ADD OPERATOR own.!- (NONE, float8);""",
        "defining",
    )
    assert {"!+", "!-"} <= told(server).operators.keys()


def test_the_names_of_postgresql_s_own(either_postgres: Server) -> None:
    """All operators, of which none calls a volatile function."""
    rows = either_postgres.sql(
        "SELECT o.oprname, bool_or(p.provolatile = 'v') FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode "
        "WHERE o.oid < 16384 GROUP BY 1"
    )
    assert {name for name, _ in rows} == OPERATORS
    assert {volatile for _, volatile in rows} == {"f"}
