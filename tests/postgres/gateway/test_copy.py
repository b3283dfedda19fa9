"""COPY TO STDOUT in binary and in another encoding, as drivers ask for it, with masks and without."""

import struct
from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.backend import ErrorResponse
from extproc.protocols.postgres.wire.common import CopyData
from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Sync
from tests.postgres.gateway.talking import Client, error, ready, rows, status
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import IN_CLEAR, Server
from tests.support.sql_clients import script

MASKED = """
findings contains {
	"code": "masked", "effect": "mask", "message": "Addresses and cards are masked.",
	"mask": {"kinds": ["email", "card"], "operator": "redact", "lanes": ["response"]},
} if input.action.verb
"""
BINARY = "COPY (%s) TO STDOUT (FORMAT binary)"
VALUES = "SELECT id, email, card, 4111111111111111::bigint AS long, NULL::int AS none FROM customers WHERE id = 1"
WAYS = ["simple", "at once", "prepared"]
PROGRAM = """
import asyncio, io, json, struct, sys, asyncpg, psycopg
dsn, sql = sys.argv[1:]
with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
    with cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "text", "int8", "int4"])
        first = list(copy.rows())
async def second():
    connection, out = await asyncpg.connect(dsn), io.BytesIO()
    await connection.copy_from_query(sql, output=out, format="binary")
    await connection.close()
    return out.getvalue().hex()
print(json.dumps([first, asyncio.run(second())]))
"""


@pytest.fixture(scope="module")
def masking(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """Allows everything, and masks two kinds of values."""
    with database_gateway(either_postgres, allowing=True, more=MASKED) as made:
        yield made


@pytest.fixture(scope="module")
def allowing(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """Allows everything, and masks nothing."""
    with database_gateway(either_postgres, allowing=True) as made:
        yield made


def asked(client: Client, sql: str, way: str = "simple") -> list[object]:
    """All that answers a text in one of the ways to ask."""
    if way == "simple":
        return client.query(sql)
    prepared = Parse("", sql), Describe(Of.STATEMENT, "")
    if way == "prepared":
        client.send(*prepared, Sync())
        client.until(ready)
    client.send(*([] if way == "prepared" else prepared), Bind("", ""), Execute(""), Sync())
    return client.until(ready)


def copied(said: list[object]) -> bytes:
    """The data of a COPY."""
    assert not any(isinstance(message, ErrorResponse) for message in said), said
    return b"".join(message.data for message in said if isinstance(message, CopyData))


def values(data: bytes) -> list[bytes | None]:
    """Those of the only row of a binary COPY."""
    (count,), at, found = struct.unpack_from(">h", data, 19), 21, list[bytes | None]()
    for _ in range(count):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        found.append(None if size < 0 else data[at : at + size])
        at += max(size, 0)
    assert data[at:] == b"\xff\xff"
    return found


@pytest.mark.parametrize("way", WAYS)
def test_a_binary_copy_of_a_query_is_masked(masking: DatabaseGateway, way: str) -> None:
    """Values are masked as binary rows are: a number as a number, and what has nothing in it keeps its bytes."""
    with Client(masking.dsn()) as client:
        assert values(copied(asked(client, BINARY % "SELECT 1", way))) == [struct.pack(">i", 1)]
        found = values(copied(asked(client, f"/* \u00e4 */ {BINARY % VALUES}", way)))
        assert found == [struct.pack(">i", 1), b"[masked:email]", b"[masked:card]", None, None]
        assert rows(client.query("SELECT 1")) == [("1",)]


def test_drivers_copy_in_binary(masking: DatabaseGateway) -> None:
    """As psycopg and asyncpg do it."""
    wanted = [1, "[masked:email]", "[masked:card]", None, None]
    first, second = script(PROGRAM, masking.dsn(), VALUES)
    assert first == [wanted]
    assert values(bytes.fromhex(second)) == [struct.pack(">i", 1), b"[masked:email]", b"[masked:card]", None, None]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("opened", [False, True])
def test_errors_are_the_server_s_own(masking: DatabaseGateway, either_postgres: Server, way: str, opened: bool) -> None:
    """At the place where they are in the text, and with what they leave a transaction in."""
    for sql in (BINARY % "SELECT nobody FROM customers", BINARY % "SELECT 1/0", BINARY % "SELECT $1"):
        found = []
        for dsn in (either_postgres.dsn(IN_CLEAR.name, "crm"), masking.dsn()):
            with Client(dsn) as client:
                if opened:
                    client.query("BEGIN")
                answer = asked(client, sql, way)
                told = error(answer)
                found.append(({name: told.get(name) for name in "VCMDHP"}, status(answer)))
                if not opened:
                    assert rows(client.query("SELECT 1")) == [("1",)]
        assert found[0] == found[1], sql


def test_what_can_t_be_masked_is_an_error(masking: DatabaseGateway) -> None:
    """With a word of what can be done; nothing of it passes, and the session goes on."""
    binary = BINARY % "SELECT email FROM customers"
    with Client(masking.dsn()) as client:
        for sql in (
            f"{binary}; SELECT 1",
            f"SELECT 1; {binary}",
            "SELECT 1; COPY customers TO STDOUT (ENCODING 'sql_ascii'); SELECT 1",
        ):
            answer = client.query(sql)
            assert (error(answer)["C"], status(answer)) == ("0A000", "I"), sql
            assert not any(isinstance(message, CopyData) for message in answer)
            assert error(answer)["H"]
        client.query("CREATE TEMP TABLE mine AS SELECT 'ada@example.com' AS email")
        client.query("BEGIN; ALTER TABLE mine ADD more text")
        answer = client.query("COPY mine TO STDOUT (FORMAT binary)")
        assert (error(answer)["C"], status(answer)) == ("0A000", "T")


@pytest.mark.parametrize("sql", [BINARY % "SELECT * FROM customers", "COPY customers TO STDOUT (ENCODING 'sql_ascii')"])
@pytest.mark.parametrize("way", WAYS)
def test_what_nothing_masks_passes(allowing: DatabaseGateway, either_postgres: Server, sql: str, way: str) -> None:
    """As it is at the server."""
    with (
        Client(either_postgres.dsn(IN_CLEAR.name, "crm")) as direct,
        Client(allowing.dsn()) as through,
    ):
        wanted = copied(asked(direct, sql, way))
        assert copied(asked(through, sql, way)) == wanted != b""
