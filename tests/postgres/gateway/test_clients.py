"""Every client through the gateway, under a policy that allows: what it gets is what it gets without one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import Server
from tests.support.sql_cases import CASES
from tests.support.sql_clients import CLIENTS, run
from tests.support.sql_work import Result

Found = dict[str, dict[str, list[Result]]]


@pytest.fixture(scope="module")
def gateway(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """Before this machine's PostgreSQL, and before a newer one."""
    with database_gateway(either_postgres, allowing=True) as made:
        yield made


@pytest.fixture(scope="module")
def found(gateway: DatabaseGateway) -> Found:
    """What comes of all work, in all clients, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        running = {
            client: pool.submit(run, client, gateway.dsn(), CASES) for client in sorted(CLIENTS, key="jdbc".__ne__)
        }
        return {client: future.result() for client, future in running.items()}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_does_its_work(client: str, found: Found) -> None:
    """The same table of work as at the server itself; but that of a syntax error it is told by which version it is one,
    where that is not the server's."""
    different = {
        name: CASES[name].differences([_plain(one) for one in results]) for name, results in found[client].items()
    }
    assert {name: lines for name, lines in different.items() if lines} == {}


def _plain(result: Result) -> Result:
    told = result.get("error", {})
    read = told.get("code") == "42601" and "The gateway reads statements as PostgreSQL" in (told.get("hint") or "")
    return {"error": {**told, "hint": None}} if read else result


def test_nothing_was_done_without_a_record(gateway: DatabaseGateway, found: Found) -> None:
    """Each delivery names a decision that is there, and each decision was delivered."""
    assert found
    decided = {r["decision"]["id"] for r in gateway.gateway.records("decision") if r["outcome"] == "granted"}
    delivered = {r["decision"] for r in gateway.gateway.records("delivery")}
    assert decided
    assert decided == delivered
