"""A pooler between the gateway and the server: it passes few settings on, and none that the gateway itself wants."""

from collections.abc import Iterator

import pytest

from tests.postgres.gateway.talking import Client, error, rows, status
from tests.support.databases import DatabaseGateway
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


def test_a_setting_that_nobody_can_have_is_refused(gateway: DatabaseGateway) -> None:
    """With a word of whose it is."""
    with Client(gateway.dsn(), jit="off") as client:
        assert client.over
        assert "setting" in error(client.greeting)["M"]
