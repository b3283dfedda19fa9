"""The clients at the real servers, without a gateway: what the same work through it is compared with."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.postgres import WRITER, Server
from tests.support.sql_cases import CASES, WITHOUT_SESSION
from tests.support.sql_clients import CLIENTS, run
from tests.support.sql_load import PIPELINE, READS, WRITES, Mode, PgBouncer, pgbench
from tests.support.sql_work import Case, Result, case, query, rows

# Expectations that are wrong: whoever finds these met compares nothing.
WRONG = {
    "wrong-value": case((query("SELECT name FROM customers WHERE id = 1"), rows("name", ("Somebody Else",)))),
    "wrong-error": case((query("SELECT * FROM nobody"), rows("name"))),
}
# What the statements are called that each client keeps on the server.
NAMED = {
    "asyncpg": "execute __asyncpg_stmt_",
    "jdbc": "execute S_",
    "psql": "EXECUTE one (41)",
    "psycopg": "execute _pg3_",
}
Found = dict[str, dict[str, list[Result]]]


def work(dsn: str) -> Found:
    """What comes of all cases in all clients, which run two at a time."""
    with ThreadPoolExecutor(2) as pool:
        # The slowest to start comes first.
        running = {
            client: pool.submit(run, client, dsn, CASES | WRONG) for client in sorted(CLIENTS, key="jdbc".__ne__)
        }
        return {client: future.result() for client, future in running.items()}


def differences(cases: dict[str, Case], found: dict[str, list[Result]]) -> dict[str, list[str]]:
    """The cases that did not come out as they should."""
    different = {name: cases[name].differences(results) for name, results in found.items()}
    return {name: lines for name, lines in different.items() if lines}


@pytest.fixture(scope="module")
def without_tls(postgres: Server) -> Found:
    """The system's PostgreSQL, as plain text."""
    return work(postgres.dsn(database="crm"))


@pytest.fixture(scope="module")
def with_tls(postgres_newer: Server) -> Found:
    """The newer major, with TLS and everything about it checked."""
    return work(postgres_newer.dsn(database="crm", sslmode="verify-full"))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", ["without_tls", "with_tls"])
def test_each_client_does_its_work(way: str, client: str, request: pytest.FixtureRequest) -> None:
    """Everything comes out as it should, and what was expected wrongly is found out."""
    found: Found = request.getfixturevalue(way)
    able = {name for name, one in CASES.items() if client in one.clients}
    assert able | set(WRONG) == set(found[client])
    assert differences(CASES | WRONG, found[client]).keys() == WRONG.keys()


@pytest.mark.usefixtures("without_tls")
@pytest.mark.parametrize("client", NAMED)
def test_statements_are_kept_on_the_server(client: str, postgres: Server) -> None:
    """The protocol below is the one that is meant: each client prepares under names, as the server logged it."""
    assert NAMED[client] in postgres.log


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_reads(mode: Mode, postgres: Server) -> None:
    """All transactions go through, in each of the protocol's ways."""
    dsn = postgres.dsn(database="crm", sslmode="verify-full")
    assert pgbench(dsn, READS, mode) == {"done": 40, "failed": 0}


def test_pgbench_has_pipelines(postgres_newer: Server) -> None:
    """Several statements before the first answer is read."""
    assert pgbench(postgres_newer.dsn(database="crm"), PIPELINE, "prepared") == {"done": 40, "failed": 0}


def test_pgbench_tells_of_errors(postgres: Server) -> None:
    """Who may not write is told so; who may, writes that many rows."""
    assert "permission denied for table orders" in pgbench(postgres.dsn(database="crm"), WRITES, "simple")["broken"]
    take_back = "DELETE FROM orders WHERE total = 0.01 RETURNING 1"
    assert pgbench(postgres.dsn(WRITER.name, "crm"), WRITES, "simple", transactions=5) == {"done": 10, "failed": 0}
    assert len(postgres.sql(take_back, "crm")) == 10


@pytest.mark.parametrize(("mode", "cases"), [("session", CASES), ("transaction", WITHOUT_SESSION)])
def test_pgbouncer_passes_the_work_on(mode: str, cases: dict[str, Case], postgres: Server) -> None:
    """With a connection for each session everything works; with one for each transaction, what needs no session."""
    with PgBouncer(postgres.dsn(database="crm", sslmode="verify-full"), mode=mode) as pool:
        found = run("psql", pool.dsn, cases)
        assert found
        assert differences(cases, found) == {}
        assert f"db={pool.database} user=anybody" in pool.log
