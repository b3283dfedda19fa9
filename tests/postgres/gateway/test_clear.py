"""A server without TLS, whose target does not say that it has none."""

from collections.abc import Iterator

import pytest

from tests.postgres.gateway.talking import Psql
from tests.support.databases import DatabaseGateway
from tests.support.postgres import READER, Server


@pytest.fixture(scope="module")
def gateway() -> Iterator[DatabaseGateway]:
    """Before such a server."""
    with Server(roles=(READER,)) as server:
        made = DatabaseGateway(server, policy="deadline: 5s")
        config = made.gateway.config
        config.write_text(config.read_text().replace("tls: off, ", ""))
        try:
            made.gateway.start()
            yield made
        finally:
            made.gateway.stop()


def test_the_client_is_told_the_setting(gateway: DatabaseGateway) -> None:
    """As psql shows it."""
    with Psql(gateway.dsn(), "SELECT 1") as psql:
        assert psql.end() == ""
        assert "The database offers no TLS; its target has to say `tls: off` for that." in psql.said
