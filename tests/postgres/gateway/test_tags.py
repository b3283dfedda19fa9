"""Whose a session is, as the server itself tells it, whatever a client does about that."""

import contextlib
from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from tests.postgres.gateway.talking import Client, ready, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import Server

NAMED = "SELECT application_name FROM pg_stat_activity WHERE usename = 'reader' AND backend_type = 'client backend'"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """With a policy that allows everything."""
    with database_gateway(postgres, allowing=True) as made:
        yield made


def label(gateway: DatabaseGateway, subject: str) -> str:
    """What the last session of a principal is called, by the record of its decision."""
    found = [r for r in gateway.gateway.records("decision") if r["principal"]["subject"] == subject]
    return f"holdpoint:{found[-1]['session'][:12]}:{subject}"


def named(server: Server, name: str) -> bool:
    """Whether the server has a session of this name."""
    return [name] in server.sql(NAMED)


def told(said: list[object]) -> list[str]:
    """The names that the client was told it has now."""
    found = [message for message in said if isinstance(message, backend.ParameterStatus)]
    return [message.value for message in found if message.name == "application_name"]


STEPS = [
    ("SET application_name = 'one'", "one"),
    ("SET application_name TO DEFAULT", "psql"),
    ("SELECT set_config('application_name', 'two', false)", "two"),
    ("RESET application_name", "psql"),
    ("DO $$ BEGIN PERFORM set_config('application_' || 'name', 'three', false); END $$", "three"),
    ("RESET ALL", "psql"),
    ("SET SESSION application_name = 'it''s \\ here'", "it's \\ here"),
    ("BEGIN", None),
    ("SET LOCAL application_name = 'five'", "five"),
    ("COMMIT", "it's \\ here"),
    ("BEGIN", None),
    ("SET application_name = 'six'", "six"),
    ("SAVEPOINT s", None),
    ("SET application_name = 'seven'", "seven"),
    ("ROLLBACK TO s", "six"),
    ("COMMIT", None),
    ("SELECT 1", None),
    ("BEGIN", None),
    ("SET application_name = 'eight'", "eight"),
    ("ROLLBACK", "six"),
    ("BEGIN; SET application_name = 'nine'; SELECT 1/0", None),
    ("ROLLBACK", None),
    ("SET application_name = ''", ""),
    ("SET application_name = 'holdpoint:000000000000:somebody else'", "holdpoint:000000000000:somebody else"),
    ("DISCARD ALL", "psql"),
    ("ALTER ROLE CURRENT_USER SET application_name = 'ten'", None),
    ("ALTER ROLE CURRENT_USER RESET application_name", None),
]
"""Statements, in one session, and the name that the client is told after each."""


def test_whatever_a_client_calls_itself(gateway: DatabaseGateway, postgres: Server) -> None:
    """The server tells whose it is once each of these is done, and the client is told what it would be without a
    gateway."""
    with (
        Client(gateway.dsn("alice"), application_name="psql") as client,
        Client(postgres.dsn("in_clear", "crm"), application_name="psql") as direct,
    ):
        assert told(client.greeting) == told(direct.greeting) == ["psql"]
        said = label(gateway, "alice")
        assert named(postgres, f"{said} psql")
        current = "psql"
        for sql, name in STEPS:
            answer = client.query(sql)
            assert (told(answer), answer[-1]) == ([] if name is None else [name], direct.query(sql)[-1]), sql
            current = current if name is None else name
            wanted = f"{said} {current}"[:63].rstrip() if current else said
            until(lambda wanted=wanted: named(postgres, wanted), f"{sql} to be known as {wanted}")  # type: ignore[misc]


def test_each_says_the_same_as_without_a_gateway(gateway: DatabaseGateway, postgres: Server) -> None:
    """Step by step: what both clients are told of their names."""
    with (
        Client(gateway.dsn("bob"), application_name="psql") as client,
        Client(postgres.dsn("in_clear", "crm"), application_name="psql") as direct,
    ):
        assert [told(client.query(sql)) for sql, _ in STEPS] == [told(direct.query(sql)) for sql, _ in STEPS]


@pytest.mark.parametrize("name", ["", "psql", "é — ü", "x" * 90, "ä" * 40, " a "])
def test_the_greeting_is_the_servers_own(gateway: DatabaseGateway, postgres: Server, name: str) -> None:
    """However long a name is, and whatever stands in it."""
    with (
        Client(gateway.dsn(), application_name=name) as client,
        Client(postgres.dsn("in_clear"), application_name=name) as alone,
    ):
        assert told(client.greeting) == told(alone.greeting)
        for sql in ("SET application_name = 'other'", "RESET application_name"):
            assert told(client.query(sql)) == told(alone.query(sql))


def test_in_a_pipeline(gateway: DatabaseGateway, postgres: Server) -> None:
    """Where nothing of the gateway's own can come between, it comes right after; and what is unnamed stays."""
    with Client(gateway.dsn("carol"), application_name="pipe") as client:
        said = label(gateway, "carol")
        client.send(Parse("", "SELECT set_config('application_name', $1, false)"))
        for name in ("one", "two"):
            client.send(Bind("", "", values=(name.encode(),)), Execute(""), Sync())
            answer = client.until(ready)
            assert (rows(answer), told(answer)) == ([(name,)], [name])
            until(lambda name=name: named(postgres, f"{said} {name}"), "its name")  # type: ignore[misc]


def test_the_servers_log_says_it(gateway: DatabaseGateway, postgres: Server) -> None:
    """And it does from the first line on."""
    with Client(gateway.dsn("dave"), application_name="psql") as client:
        assert rows(client.query("SHOW application_name")) == [(f"{label(gateway, 'dave')} psql",)]
        client.send(Query("SELECT pg_sleep(0.2)"))
        assert named(postgres, f"{label(gateway, 'dave')} psql")
        client.until(ready)


def test_a_name_that_is_no_ascii(gateway: DatabaseGateway, postgres: Server) -> None:
    """A principal's, too, is cut and told in what a server keeps."""
    with Client(gateway.dsn("zoë " + "x" * 30), application_name="psql"):
        assert any(name.endswith(":zo??" + "x" * 20 + " psql") for (name,) in postgres.sql(NAMED))


@contextlib.contextmanager
def untagged(server: Server) -> Iterator[DatabaseGateway]:
    """A gateway with `tag: false`."""
    made = DatabaseGateway(server)
    config = made.gateway.config
    config.write_text(config.read_text().replace("wait: 20s,", "wait: 20s, tag: false,"))
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


def test_it_can_be_left_out(postgres: Server) -> None:
    """Then the name is the client's own."""
    with untagged(postgres) as gateway, Client(gateway.dsn(), application_name="mine") as client:
        assert told(client.greeting) == ["mine"]
        assert rows(client.query("SHOW application_name")) == [("mine",)]
        assert told(client.query("SET application_name = 'other'")) == ["other"]
        assert named(postgres, "other")
