"""A text that the parser refuses: what the client is told is what a server of the parser's version tells it."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Parse, Sync
from tests.postgres.gateway.talking import Client, Psql, error, ready, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import IN_CLEAR, Server

TOLD = "SVCMDHP"
BAD = [
    "SELEC 1",
    "SELECT 'ä' FROM t WHERE = 1",
    "SELECT 1 FROM",
    "SELECT 1 FROM /* ä */ ",
    "SELECT\n  1 +\n",
    "SELECT 1;\nSELECT (2",
    "SELECT 'abc",
    "SELECT E'\\u00'",
    "SELECT U&'\\00'",
    "SELECT 1 LIMIT 1, 2",
    "DROP OPERATOR + (int)",
    "CREATE PUBLICATION p FOR t, TABLE x",
    "CREATE ASSERTION a CHECK (true)",
    "CREATE TABLE t (a int REFERENCES x MATCH PARTIAL)",
    "CREATE TABLE t (CHECK (true) DEFERRABLE)",
    "CREATE AGGREGATE f(OUT int) (sfunc = x)",
    "CREATE SCHEMA IF NOT EXISTS s CREATE TABLE t (a int)",
    "CREATE RECURSIVE VIEW v (a) AS SELECT 1 WITH CHECK OPTION",
    "CREATE OR REPLACE CONSTRAINT TRIGGER t AFTER INSERT ON x FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE ROLE x UNENCRYPTED PASSWORD 'y'",
    "CREATE EXTENSION x FROM y",
    "ALTER TYPE t DROP VALUE 'x'",
]


@pytest.fixture(scope="module")
def newer(postgres_newer: Server) -> Iterator[DatabaseGateway]:
    """Before a server of the parser's version."""
    with database_gateway(postgres_newer, allowing=True) as made:
        yield made


@pytest.fixture(scope="module")
def older(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before an older one."""
    with database_gateway(postgres, allowing=True) as made:
        yield made


def told(client: Client, sql: str) -> list[dict[str, str | None]]:
    """What it is told of a text, by both protocols."""
    found = [error(client.query(sql))]
    client.send(Parse("", sql), Sync())
    return [{name: one.get(name) for name in TOLD} for one in (*found, error(client.until(ready)))]


def test_all_is_as_at_the_server(newer: DatabaseGateway, postgres_newer: Server) -> None:
    """State, words, detail, hint and place."""
    with Client(postgres_newer.dsn(IN_CLEAR.name, "crm")) as direct, Client(newer.dsn()) as through:
        for sql in BAD:
            wanted = told(direct, sql)
            assert told(through, sql) == wanted, sql
            assert wanted[0]["P"]
        assert rows(through.query("SELECT 1")) == [("1",)]


def test_psql_shows_the_line(newer: DatabaseGateway, postgres_newer: Server) -> None:
    """With a mark below the place."""
    said = []
    for dsn in (postgres_newer.dsn(IN_CLEAR.name, "crm"), newer.dsn()):
        with Psql(dsn, "SELECT 1 FROM", "SELECT 1 LIMIT 1, 2") as psql:
            psql.end()
            said.append([line for line in psql.complaints if not line.startswith("LOCATION")])
    assert said[0] == said[1]
    assert "LINE 1: SELECT 1 FROM\n" in said[0]


def test_another_version_is_said(older: DatabaseGateway) -> None:
    """Where the server might read it otherwise: who is told knows by whom."""
    with Client(older.dsn()) as client:
        first, second = told(client, "SELECT 1 FROM")
        assert first == second
        assert (first["P"], first["C"]) == ("14", "42601")
        assert "PostgreSQL 18" in str(first["H"])
        assert told(client, "SELECT 1 LIMIT 1, 2")[0]["H"] == "Use separate LIMIT and OFFSET clauses."
