"""Messages that are longer than what is read: an error of the statement, which any driver shows."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.backend import ErrorResponse, ParseComplete
from extproc.protocols.postgres.wire.frontend import Bind, Execute, FunctionCall, Parse, Query, Sync
from tests.postgres.gateway.talking import Client, error, ready, rows, status
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import Server
from tests.support.sql_clients import script

LONG = "x" * (3 << 20)
ONE = Parse("", "SELECT 1"), Bind("", ""), Execute(""), Sync()
PROGRAM = """
import asyncio, json, sys, asyncpg, psycopg
dsn, found = sys.argv[1], []
async def first(say):
    connection = await asyncpg.connect(dsn)
    for size in (1 << 10, 3 << 20):
        try:
            say([await connection.fetchval("SELECT length($1)", "x" * size)])
        except asyncpg.PostgresError as error:
            say([error.sqlstate, error.hint])
    say([await connection.fetchval("SELECT 1")])
    await connection.close()
asyncio.run(first(found.append))
with psycopg.connect(dsn, autocommit=True) as connection:
    for size in (1 << 10, 3 << 20):
        try:
            found.append(list(connection.execute("SELECT length(%s)", ["x" * size]).fetchone()))
        except psycopg.Error as error:
            found.append([error.sqlstate, error.diag.message_hint])
    found.append(list(connection.execute("SELECT 1").fetchone()))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Allows everything."""
    with database_gateway(postgres, allowing=True) as made:
        yield made


def test_drivers_show_it(gateway: DatabaseGateway) -> None:
    """With a hint; and go on."""
    hint = "Send long values in pieces, or by COPY."
    assert script(PROGRAM, gateway.dsn()) == [[1 << 10], ["54000", hint], [1]] * 2


@pytest.mark.parametrize("message", [Query(LONG), FunctionCall(2000, (), (LONG.encode(),), 0)], ids=["text", "call"])
def test_a_long_text_fails_as_a_statement_does(gateway: DatabaseGateway, message: object) -> None:
    """In a transaction and outside of one, whose state is the server's."""
    with Client(gateway.dsn()) as client:
        client.send(message)
        answer = client.until(ready)
        assert (error(answer)["C"], status(answer)) == ("54000", "I")
        client.query("BEGIN")
        client.send(message)
        answer = client.until(ready)
        assert (error(answer)["C"], status(answer)) == ("54000", "E")
        client.query("ROLLBACK")
        assert rows(client.query("SELECT 1")) == [("1",)]
    refused = [record["decision"] for record in gateway.gateway.records("decision") if record["outcome"] == "refused"]
    assert "too-long" in str(refused)


@pytest.mark.parametrize(
    "messages",
    [
        [Parse("", LONG), Bind("", ""), Execute("")],
        [Parse("", "SELECT $1::text"), Bind("", "", (), (LONG.encode(),)), Execute("")],
        [Parse("", "SELECT 'nobody decided this'"), Bind("", "", (), (LONG.encode(),)), Parse("a", LONG), Execute("")],
    ],
    ids=["parse", "bind", "both"],
)
def test_what_follows_in_its_pipeline_is_skipped(
    gateway: DatabaseGateway, postgres: Server, messages: list[object]
) -> None:
    """Up to the Sync, as behind any error; what stood before it is done."""
    with Client(gateway.dsn()) as client:
        client.send(Parse("before", "SELECT 2"), *messages, Query("SELECT 'nobody decided this'"), Sync(), *ONE)
        answer = client.until(lambda said: len([one for one in said if ready([one])]) == 2)
        assert isinstance(answer[0], ParseComplete)
        assert (error(answer)["C"], status(answer)) == ("54000", "I")
        assert rows(answer) == [("1",)]
        client.send(Bind("", "before"), Execute(""), Sync())
        assert rows(client.until(ready)) == [("2",)]
    assert "nobody decided this" not in "".join(line for line in postgres.log.splitlines() if "execute" in line)


def test_within_a_copy_it_ends_the_session(gateway: DatabaseGateway) -> None:
    """As any other message does that is none of its data."""
    with Client(gateway.dsn()) as client:
        client.query("CREATE TEMP TABLE kept (long text)")
        client.send(Query("COPY kept FROM STDIN"), Query(LONG))
        found = client.ended()
        assert (found["S"], found["C"]) == ("FATAL", "08P01")


def test_the_error_says_how_long(gateway: DatabaseGateway) -> None:
    """In bytes, as the target's setting has it."""
    with Client(gateway.dsn()) as client:
        said = client.query(LONG)
        assert isinstance(said[0], ErrorResponse)
        assert str(1 << 20) in error(said)["M"]
