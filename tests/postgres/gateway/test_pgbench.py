"""pgbench through the gateway, in each of the protocol's ways: all is done, once, and adds up as it does direct."""

from collections.abc import Iterator

import pytest

from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import ADMIN, Server
from tests.support.sql_load import TPCB_PIPELINE, Mode, pgbench, pgbench_builtin, prepare

CLIENTS, EACH = 4, 15
ALL = {"done": CLIENTS * EACH, "failed": 0}
MODES: list[Mode] = ["simple", "extended", "prepared"]
SUMS = """SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
  (SELECT sum(bbalance) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"""


@pytest.fixture(scope="module")
def bank(either_postgres: Server) -> Iterator[Server]:
    """With pgbench's tables in a database of their own."""
    either_postgres.sql("CREATE DATABASE bank")
    try:
        prepare(either_postgres.dsn(ADMIN, "bank"))
        either_postgres.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer", "bank")
        yield either_postgres
    finally:
        either_postgres.sql("DROP DATABASE bank WITH (FORCE)")


@pytest.fixture(scope="module")
def gateway(bank: Server) -> Iterator[DatabaseGateway]:
    """Before it, with a policy that allows everything."""
    with database_gateway(bank, allowing=True) as made:
        yield made


@pytest.fixture
def dsns(bank: Server, gateway: DatabaseGateway) -> list[str]:
    """The way to the server, and that through the gateway."""
    return [bank.dsn("writer", "bank"), gateway.dsn(groups=["writer"], database="crm-db/bank")]


def booked(server: Server) -> int:
    """How many transactions are in the books, which all have to say the same."""
    (sums,) = server.sql(SUMS, "bank")
    assert len(set(sums)) == 1, sums
    return int(server.sql("SELECT count(*) FROM pgbench_history", "bank")[0][0])


@pytest.mark.parametrize("mode", MODES)
def test_each_transaction_is_done_once(bank: Server, dsns: list[str], mode: Mode) -> None:
    """What TPC-B books in four places is the same in all of them, with several clients at the same rows."""
    for dsn in dsns:
        before = booked(bank)
        assert pgbench_builtin(dsn, "tpcb-like", mode, clients=CLIENTS, transactions=EACH) == ALL
        assert booked(bank) == before + CLIENTS * EACH


@pytest.mark.parametrize("mode", MODES)
def test_reading_alone(dsns: list[str], mode: Mode) -> None:
    """The shortest of transactions."""
    for dsn in dsns:
        assert pgbench_builtin(dsn, "select-only", mode, clients=CLIENTS, transactions=EACH) == ALL


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_pipelines(bank: Server, dsns: list[str], mode: Mode) -> None:
    """A whole transaction is sent before its first answer is read."""
    for dsn in dsns:
        before = booked(bank)
        assert pgbench(dsn, TPCB_PIPELINE, mode, clients=CLIENTS, transactions=EACH) == ALL
        assert booked(bank) == before + CLIENTS * EACH


def test_what_was_done_is_what_was_recorded(bank: Server, gateway: DatabaseGateway) -> None:
    """Each statement of each transaction is a decision and a delivery, with what the server said of it."""
    before = len(gateway.gateway.records("delivery"))
    dsn = gateway.dsn("bookkeeper", groups=["writer"], database="crm-db/bank")
    assert pgbench_builtin(dsn, "tpcb-like", "prepared", clients=2, transactions=5) == {"done": 10, "failed": 0}
    records = [r for r in gateway.gateway.records("delivery")[before:] if r["principal"]["subject"] == "bookkeeper"]
    tags = [tag for r in records for tag in r.get("tags", [])]
    # Not the SELECTs: pgbench first asks some questions of its own.
    wanted = {"BEGIN": 10, "UPDATE 1": 30, "INSERT 0 1": 10, "COMMIT": 10}
    assert {tag: tags.count(tag) for tag in wanted} == wanted
