"""What a principal is given within an hour, over all its sessions and all workers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from extproc.protocols.postgres.wire.backend import CopyData
from tests.postgres.gateway.talking import Client, error, rows, tags
from tests.support.databases import ALLOWING, DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import Server

SAID = 'This test allows everything."'
LIMITED = ALLOWING.replace(SAID, f'{SAID}, "limit": {{"rows_per_hour": 1000, "bytes_per_hour": 100000}}')


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Two workers, and a policy that lets everybody have a thousand rows, and 100 kB, an hour."""
    with database_gateway(postgres, allowing=True, workers=2) as made:
        folder = made.gateway.folder / "policies" / "postgres" / "everything"
        (folder / "everything.rego").write_text(LIMITED)
        until(lambda: limited(made), "the policy to be in force")
        yield made


def limited(gateway: DatabaseGateway) -> bool:
    """Whether what is allowed is limited."""
    with Client(gateway.dsn("first")) as client:
        client.query("SELECT 1")
    found = [r for r in gateway.gateway.records("decision") if r["principal"]["subject"] == "first"]
    return "limit" in found[-1]["decision"]["obligations"]


def series(count: int) -> str:
    """A statement that gives so many rows."""
    return f"SELECT n FROM generate_series(1, {count}) AS n"  # noqa: S608 (a number)


def test_an_hours_rows_are_one_principals(gateway: DatabaseGateway) -> None:
    """Over statements and sessions, to the last row; another has its own."""
    with Client(gateway.dsn("one")) as client:
        assert len(rows(client.query(series(600)))) == 600
    with Client(gateway.dsn("one")) as client:
        assert len(rows(client.query(series(400)))) == 400
        for sql in ("SELECT 1", "COPY (SELECT 1) TO STDOUT"):
            answer = client.query(sql)
            assert (error(answer)["C"], rows(answer), tags(answer)) == ("53400", [], [])
            assert not any(isinstance(message, CopyData) for message in answer)
            assert "within an hour" in error(answer)["M"]
        assert tags(client.query("SET work_mem = '1MB'")) == ["SET"]
    with Client(gateway.dsn("another")) as client:
        assert len(rows(client.query(series(3)))) == 3


def test_bytes_count_as_well(gateway: DatabaseGateway) -> None:
    """Whichever is used up first."""
    with Client(gateway.dsn("bytes")) as client:
        assert len(rows(client.query("SELECT repeat('x', 60000)"))) == 1
        assert error(client.query("SELECT repeat('x', 60000)"))["C"] == "53400"
        assert len(rows(client.query("SELECT repeat('x', 30000)"))) == 1


def test_no_more_is_given_at_the_same_time(gateway: DatabaseGateway) -> None:
    """Eight sessions of one principal, at both workers: less than one statement's is left."""

    def read(_: int) -> int:
        with Client(gateway.dsn("crowd")) as client:
            return sum(len(rows(client.query(series(7)))) for _ in range(25))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(read, range(8))) in range(994, 1001)


def test_where_nobody_counts_nothing_is_given(gateway: DatabaseGateway) -> None:
    """A file of counters that is gone, or another one, is no reason to give more."""
    counters = next(gateway.gateway.folder.rglob("counters.db"))
    aside = counters.with_suffix(".aside")
    with Client(gateway.dsn("uncounted")) as client:
        assert len(rows(client.query(series(3)))) == 3
        counters.rename(aside)
        try:
            said = error(client.query(series(3)))
            assert (said["C"], "can't be told" in said["M"]) == ("53400", True)
        finally:
            aside.rename(counters)
        assert len(rows(client.query(series(3)))) == 3
