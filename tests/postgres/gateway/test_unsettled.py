"""What a transaction has changed nobody else sees; all that it has not is still judged as what it is made of."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.gateway.governing import becomes, governing, shown
from tests.postgres.gateway.talking import Client, notice, noticed, ready, status
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

VIEWS = """
CREATE VIEW desk.contacts AS SELECT id, email AS contact FROM customers;
CREATE VIEW desk.mine AS SELECT id, email AS contact FROM customers;
ALTER VIEW desk.mine OWNER TO writer;
CREATE VIEW desk.names AS SELECT id, name AS label FROM customers;
"""
GUESS = "SELECT id FROM desk.{v} WHERE contact LIKE 'a%'"
HELD = "Held for approval: Filtering, sorting, grouping or joining by a governed column"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before these views."""
    with governing(postgres, VIEWS) as made:
        yield made


def approved(gateway: DatabaseGateway, client: Client, sql: str) -> None:
    """Run what a person of the operators lets through, if one is asked."""
    client.send(Query(sql))
    answer = client.until(lambda heard: ready(heard) or noticed(heard))
    if not ready(answer):
        hold = notice(answer)["D"].rpartition("Hold ")[2].rstrip(".")
        done = gateway.gateway.holdpoint("holds", "approve", hold, "--reason", "a test", groups=("operators",))
        assert done.returncode == 0, done.stderr
        answer = client.until(ready)
    assert status(answer) == "T", answer


@pytest.mark.parametrize(
    "before",
    [
        "SET CONSTRAINTS ALL DEFERRED",
        "SELECT email_of(1)",
        "CREATE TEMP TABLE t (a int)",
        "LOCK TABLE orders IN SHARE MODE",
    ],
)
def test_other_views_are_judged_as_ever(gateway: DatabaseGateway, before: str) -> None:
    """Whatever may have changed definitions."""
    with Client(gateway.dsn("one", groups=["writer"])) as client:
        client.query("BEGIN")
        approved(gateway, client, before)
        client.query("SAVEPOINT a")
        assert shown(client, "SELECT id FROM desk.names WHERE label LIKE 'A%'")
        assert becomes(client, GUESS.format(v="contacts")).startswith(HELD)


def test_a_view_that_it_changed_is_unknown(gateway: DatabaseGateway) -> None:
    """A person is asked, and the server does not wait for its own session."""
    with Client(gateway.dsn("two", groups=["writer"])) as client:
        client.query("BEGIN")
        approved(gateway, client, "CREATE OR REPLACE VIEW desk.mine AS SELECT id, name AS contact FROM customers")
        word = becomes(client, GUESS.format(v="mine"))
        assert word.startswith("Held for approval: A person has to read what this statement does.")
