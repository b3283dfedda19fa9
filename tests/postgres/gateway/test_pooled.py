"""A pooler between the gateway and the server: it passes few settings on, and none that the gateway itself wants."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.gateway.talking import Client, error, ready, rows, status
from tests.support.databases import DatabaseGateway
from tests.support.envoy import until
from tests.support.postgres import READER, Server
from tests.support.sql_load import PgBouncer


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before a pgbouncer before the server, with the shipped policies."""
    with PgBouncer(postgres.dsn(database="crm"), mode="session") as pool:
        made = DatabaseGateway(postgres, policy="deadline: 5s")
        config = made.gateway.config
        written = config.read_text().replace(f"127.0.0.1:{postgres.port}/crm", f"127.0.0.1:{pool.port}/{pool.database}")
        config.write_text(written.replace(f"user: {READER.name},", "user: anybody,"))
        (made.gateway.folder / "secrets" / READER.name).write_text(pool.password)
        try:
            made.gateway.start()
            yield made
        finally:
            made.gateway.stop()


def test_a_session_through_a_pooler(gateway: DatabaseGateway) -> None:
    """Statements, a refusal, and a transaction."""
    with Client(gateway.dsn()) as client:
        assert not client.over, client.greeting
        assert rows(client.query("SELECT current_database()")) == [("crm",)]
        assert error(client.query("DELETE FROM orders"))["C"] == "42501"
        assert status(client.query("BEGIN")) == "T"
        assert error(client.query("DELETE FROM orders"))["C"] == "42501"
        assert status(client.query("ROLLBACK")) == "I"


def test_cancelling_through_a_pooler(gateway: DatabaseGateway, postgres: Server) -> None:
    """The process that the client is told is what the pooler calls it, by which the pooler knows what to cancel."""
    with Client(gateway.dsn(), application_name="pooled") as client:
        counting = "SELECT count(*) FROM generate_series(1, 1000000000)"
        client.send(Query(counting))
        active = "SELECT query FROM pg_stat_activity WHERE state = 'active'"
        until(lambda: [counting] in postgres.sql(active), "it to run")
        client.cancel()
        assert error(client.until(ready))["C"] == "57014"


def test_a_setting_that_nobody_can_have_is_refused(gateway: DatabaseGateway) -> None:
    """With a word of whose it is."""
    with Client(gateway.dsn(), jit="off") as client:
        assert client.over
        assert "setting" in error(client.greeting)["M"]
