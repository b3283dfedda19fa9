"""One principal's statements that are expensive to decide on are not another's refusals."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.postgres.gateway.talking import Client, error, rows
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

PARALLEL = 8
STATEMENTS = 30


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Two workers, the shipped policies and the default deadline."""
    made = DatabaseGateway(postgres, workers=2)
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


def cube(columns: int) -> str:
    """A statement that groups by so many columns."""
    return f"SELECT 1 FROM bills GROUP BY CUBE ({', '.join(f'c{i}' for i in range(columns))})"  # noqa: S608 (numbers)


ATTACKS = {
    "cube of 7,000 columns": cube(7000),
    "cube of as many as may be": cube(4990),
    "functions": "SELECT " + ", ".join(f"f{i}(1)" for i in range(4990)),
    "statements": "SELECT a, b FROM bills WHERE c = 1;" * 900,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_anothers_statements_all_pass(gateway: DatabaseGateway, attack: str) -> None:
    """Eight sessions of one principal ask again and again; every small statement, and every small request, of another's
    is answered."""
    over, begun = threading.Event(), threading.Semaphore(0)

    def flood() -> None:
        while not over.is_set():
            with Client(gateway.dsn("eager")) as client:
                begun.release()
                with suppress(TimeoutError):  # Its own turn may take as long as it likes to.
                    client.query(attack)

    with ThreadPoolExecutor(PARALLEL) as pool:
        floods = [pool.submit(flood) for _ in range(PARALLEL)]
        try:
            for _ in range(2 * PARALLEL):
                begun.acquire(timeout=60)
            with Client(gateway.dsn("patient")) as client, gateway.gateway.client("patient") as agent:
                answers = [client.query(f"SELECT {n}") for n in range(STATEMENTS)]
                statuses = [agent.get(f"/customers/{n}").status_code for n in range(STATEMENTS)]
        finally:
            over.set()
        for each in floods:
            each.result()
    assert [error(one) for one in answers if not rows(one)] == []
    assert statuses == [200] * STATEMENTS
    decided = [d for d in gateway.gateway.records("decision") if d["principal"]["subject"] == "patient"]
    assert {d["outcome"] for d in decided} == {"granted"}


def test_a_text_with_too_many_names_is_refused_whole(gateway: DatabaseGateway) -> None:
    """It says how many there are and how many may be, it is on record, and the session goes on."""
    with Client(gateway.dsn("lengthy")) as client:
        refused = error(client.query(cube(7000)))
        assert refused["C"] == "54000"
        assert "7001 relations" in refused["M"]
        assert "At most 5000" in refused["H"]
        assert len(rows(client.query("SELECT 1"))) == 1
    decided = [d for d in gateway.gateway.records("decision") if d["principal"]["subject"] == "lengthy"]
    reasons = [reason["code"] for d in decided if d["outcome"] == "refused" for reason in d["decision"]["reasons"]]
    assert reasons == ["too-many-names"]
