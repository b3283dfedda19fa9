"""What a refused statement is to a client: an error like any other, that says by whom, why and what next."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Sync
from tests.postgres.gateway.talking import Client, error, ready, rows, status, tags
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import Server
from tests.support.sql_clients import CLIENTS, run
from tests.support.sql_work import ALL, DRIVERS, case, execute, query

DELETE = "DELETE FROM orders"
CASES = {
    "text": case((query(DELETE), None), (query("SELECT 1 AS alive"), None), clients=ALL),
    "values": case(
        (execute(f"{DELETE} WHERE true OR id = $1", ("int", "1")), None),
        (query("SELECT 1 AS alive"), None),
        clients=DRIVERS,
    ),
}


@pytest.fixture(scope="module")
def gateway(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """With the shipped policies, before a server in production."""
    with database_gateway(either_postgres) as made:
        yield made


def decisions(gateway: DatabaseGateway) -> dict[str, dict[str, Any]]:
    """The records of decisions, by their ids."""
    return {r["decision"]["id"]: r for r in gateway.gateway.records("decision")}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_hears_of_it(gateway: DatabaseGateway, client: str) -> None:
    """The code, the words, the policy and the decision, which is in the journal; and it goes on working."""
    found = run(client, gateway.dsn(groups=["writer"]), {n: c for n, c in CASES.items() if client in c.clients})
    assert found.keys() == {name for name, each in CASES.items() if client in each.clients}
    for name, results in found.items():
        refused, alive = results
        assert alive.get("rows") == [["1"]], (name, results)
        said = refused.get("error")
        assert said is not None, (name, results)
        assert said["code"] == "42501"
        assert "Blocked by policy" in said["message"], said
        assert said["hint"]
        decision = re.search(r"decision (\w+)", said["detail"])
        assert decision, said
        record = decisions(gateway)[decision.group(1)]
        assert record["outcome"] == "blocked"
        assert "postgres.unbounded_writes" in said["detail"]


def test_nothing_of_it_came_to_the_server(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """What stands in for it names the decision, in the server's own log."""
    with Client(gateway.dsn(groups=["writer"])) as client:
        refused = error(client.query(f"{DELETE} /* a mark of its own */"))
        decision = refused["D"].rpartition("decision ")[2].rstrip(".")
        assert refused["C"] == "42501"
        either_postgres.wait_for_log(f"holdpoint refused this decision {decision}")
    assert "a mark of its own" not in either_postgres.log


def test_a_pipeline_and_a_text_of_several_fail_as_one(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """What stands beside a refused statement is not done either; what follows is."""
    count = "SELECT count(*) FROM newsletters"
    either_postgres.sql("CREATE TABLE newsletters (id integer); GRANT ALL ON newsletters TO writer", "crm")
    try:
        with Client(gateway.dsn(groups=["writer"])) as client:
            answer = client.query(f"SELECT 1; {DELETE}; SELECT 2")
            assert (error(answer)["C"], tags(answer), status(answer)) == ("42501", [], "I")
            client.send(
                Parse("", "SELECT 1"), Bind("", ""), Execute(""),
                Parse("", DELETE), Bind("", ""), Execute(""),
                Parse("", "SELECT 2"), Bind("", ""), Execute(""), Sync(),
            )  # fmt: skip
            answer = client.until(ready)
            assert (error(answer)["C"], tags(answer), rows(answer)) == ("42501", ["SELECT 1"], [("1",)])
            assert rows(client.query(count)) == [("0",)]
    finally:
        either_postgres.sql("DROP TABLE newsletters", "crm")


def test_a_refused_connection_says_why(gateway: DatabaseGateway) -> None:
    """No target of this name; a credential that is not for this one."""
    with Client(gateway.dsn(database="crm-db/template1")) as client:
        said = error(client.greeting)
        assert (client.over, said["S"], said["C"], "`databases`" in said["H"]) == (True, "FATAL", "42501", True)
        assert re.search(r"decision (\w+)", said["D"]).group(1) in decisions(gateway)  # type: ignore[union-attr]
    with Client(gateway.dsn(database="nowhere")) as client:
        said = error(client.greeting)
        assert (client.over, said["S"], said["C"]) == (True, "FATAL", "3D000")
        assert re.search(r"decision (\w+)", said["D"]).group(1) in decisions(gateway)  # type: ignore[union-attr]
