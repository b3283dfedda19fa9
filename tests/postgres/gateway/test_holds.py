"""Holds, as those who wait see them: the shipped policies hold a write in production until a person decides."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from tests.postgres.gateway.talking import Client, Psql, error, notice, noticed, ready, rows, status, tags
from tests.support.databases import DatabaseGateway
from tests.support.envoy import until
from tests.support.postgres import Server

GROUPS = ["writer"]
UPDATED = "UPDATE orders SET total = $1 WHERE id = 1"
UPDATE = "UPDATE orders SET total = total + 1 WHERE id = 1"


@pytest.fixture(scope="module")
def started(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """With the shipped policies, before a server in production; `short-db` is the same with less patience."""
    made = DatabaseGateway(either_postgres, policy="deadline: 5s")
    written = made.gateway.config.read_text()
    (target,) = [line for line in written.splitlines() if line.startswith("  crm-db:")]
    other = target.replace("crm-db", "short-db").replace("wait: 20s", "wait: 1s")
    made.gateway.config.write_text(written.replace(target, f"{target}\n{other}"))
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


@pytest.fixture
def gateway(started: DatabaseGateway, either_postgres: Server) -> Iterator[DatabaseGateway]:
    """The module's, and the order as it was before."""
    before = total(either_postgres)
    yield started
    either_postgres.sql(UPDATED.replace("$1", before), "crm")


def total(server: Server) -> str:
    """What every test here wants to change."""
    return server.sql("SELECT total FROM orders WHERE id = 1", "crm")[0][0]


def executions(server: Server, wanted: str = UPDATE) -> int:
    """How often the server was asked for it."""
    return server.log.count(wanted)


def decide(gateway: DatabaseGateway, verdict: str, hold: str) -> None:
    """A person of the operators decides."""
    done = gateway.gateway.holdpoint("holds", verdict, hold, "--reason", "a test", groups=("operators",))
    assert done.returncode == 0, done.stderr


def state(gateway: DatabaseGateway, hold: str) -> list[str]:
    """The states of a hold, in order."""
    return [r["state"] for r in gateway.gateway.records("hold") if r["hold"] == hold]


def wait_state(gateway: DatabaseGateway, hold: str, wanted: str) -> None:
    """Until a hold came to this."""
    until(lambda: wanted in state(gateway, hold), f"the hold to be {wanted}")


def test_psql_is_told_waits_and_goes_on_once(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """What, why, for whom and until when comes at once; the approved statement runs, and its second run asks anew."""
    before, times = float(total(either_postgres)), executions(either_postgres)
    with Psql(gateway.dsn(groups=GROUPS), UPDATE) as psql:
        hold = psql.hold
        for word in ("NOTICE", "approval", "operators", "until 20", "Waiting"):
            assert word in psql.said, psql.said
        assert "transaction" not in psql.said
        assert (float(total(either_postgres)), executions(either_postgres)) == (before, times)
        decide(gateway, "approve", hold)
        assert psql.end() == "UPDATE 1\n"
    assert (float(total(either_postgres)), executions(either_postgres)) == (before + 1, times + 1)
    with Psql(gateway.dsn(groups=GROUPS), UPDATE) as again:
        assert again.hold != hold
        decide(gateway, "deny", again.hold)
        assert again.end() == ""
        assert "42501" in again.said
    assert (float(total(either_postgres)), executions(either_postgres)) == (before + 1, times + 1)


def test_a_transaction_is_warned_of_what_it_keeps_locked(gateway: DatabaseGateway) -> None:
    """And fails when a person says no, as after any error; the session goes on."""
    with Client(gateway.dsn(groups=GROUPS)) as client:
        assert status(client.query("BEGIN")) == "T"
        client.send(Query(UPDATE))
        said = notice(client.until(noticed))
        assert "transaction" in said["H"]
        decide(gateway, "deny", said["D"].rpartition("Hold ")[2].rstrip("."))
        answer = client.until(ready)
        assert (error(answer)["C"], status(answer)) == ("42501", "E")
        assert error(client.query("SELECT 1"))["C"] == "25P02"
        assert status(client.query("ROLLBACK")) == "I"
        assert rows(client.query("SELECT 1")) == [("1",)]


def test_an_approval_that_comes_late_is_claimed_by_the_same_statement(
    gateway: DatabaseGateway, either_postgres: Server
) -> None:
    """Who gave up waiting runs it again and goes straight on, once."""
    before = float(total(either_postgres))
    with Client(gateway.dsn("late", groups=GROUPS, database="short-db")) as client:
        client.send(Query(UPDATE))
        hold = notice(client.until(noticed))["D"].rpartition("Hold ")[2].rstrip(".")
        refused = error(client.until(ready))
        assert (refused["C"], hold in refused["D"], "same statement" in refused["H"]) == ("42501", True, True)
        decide(gateway, "approve", hold)
        answer = client.query(UPDATE)
        assert (tags(answer), noticed(answer)) == (["UPDATE 1"], False)
        assert float(total(either_postgres)) == before + 1
        client.send(Query(UPDATE))
        assert hold not in notice(client.until(noticed))["D"]


def test_control_c_gives_up(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """psql's statement ends as a cancelled one does, and its hold with it."""
    times = executions(either_postgres)
    with Psql(gateway.dsn("hasty", groups=GROUPS), UPDATE) as psql:
        hold = psql.hold
        psql.process.send_signal(signal.SIGINT)
        psql.end()
        assert "57014" in psql.said
    wait_state(gateway, hold, "cancelled")
    assert executions(either_postgres) == times


def test_who_gave_up_goes_on(gateway: DatabaseGateway) -> None:
    """A cancelled wait is an error of the statement: a transaction fails with it, and can be rolled back."""
    with Client(gateway.dsn("hasty", groups=GROUPS)) as client:
        client.query("BEGIN")
        client.send(Query(UPDATE))
        hold = notice(client.until(noticed))["D"].rpartition("Hold ")[2].rstrip(".")
        client.cancel()
        answer = client.until(ready)
        assert (error(answer)["C"], status(answer)) == ("57014", "E")
        assert status(client.query("ROLLBACK")) == "I"
        assert rows(client.query("SELECT 1")) == [("1",)]
        wait_state(gateway, hold, "cancelled")


def test_who_leaves_waits_for_nothing(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """The hold of a client that is gone is cancelled, and the server has no session of it left."""
    with Psql(gateway.dsn("leaver", groups=GROUPS), UPDATE) as psql:
        hold = psql.hold
    wait_state(gateway, hold, "cancelled")
    until(lambda: sessions(either_postgres) == 0, "the server's session to end")
    late = gateway.gateway.holdpoint("holds", "approve", hold, "--reason", "late", groups=("operators",))
    assert late.returncode != 0


def sessions(server: Server) -> int:
    """How many are connected as the writer."""
    return int(server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'writer'")[0][0])


SAME = {"subject": "binder", "groups": GROUPS, "database": "short-db/crm"}
OTHERS: dict[str, tuple[dict[str, Any], str, str, bytes]] = {
    "statement": ({}, "", UPDATED + " ", b"5"),
    "values": ({}, "", UPDATED, b"6"),
    "search_path": ({}, "SET search_path = public, pg_catalog", UPDATED, b"5"),
    "transaction": ({}, "BEGIN", UPDATED, b"5"),
    "role": ({"groups": ["by_md5"]}, "", UPDATED, b"5"),
    "database": ({"database": "short-db/postgres"}, "", UPDATED, b"5"),
    "principal": ({"subject": "somebody"}, "", UPDATED, b"5"),
}


def asked(gateway: DatabaseGateway, claims: dict[str, Any], first: str, sql: str, value: bytes) -> str:
    """The hold that this leads to, after it was waited for in vain."""
    with Client(gateway.dsn(**{**SAME, **claims})) as client:
        if first:
            assert tags(client.query(first)) == [first.split()[0]]
        client.send(Parse("", sql, (1700,)), Bind("", "", (), (value,)), Execute(""), Sync())
        said = client.until(ready)
        assert error(said)["C"] == "42501"
        return notice(said)["D"].rpartition("Hold ")[2]


def test_an_approval_is_for_what_was_shown(gateway: DatabaseGateway) -> None:
    """Another statement, other values, another role, place, or principal: each is asked about anew."""
    usual = asked(gateway, {}, "", UPDATED, b"5")
    assert asked(gateway, {}, "", UPDATED, b"5") == usual
    with ThreadPoolExecutor(len(OTHERS)) as pool:
        asking = {change: pool.submit(asked, gateway, *other) for change, other in OTHERS.items()}
    found = {change: future.result() for change, future in asking.items()}
    assert len({usual, *found.values()}) == 1 + len(OTHERS), found


HIDING = "UPDATE orders SET total = total WHERE id=4/*password=*/or/**/id>1"


def test_code_that_looks_like_a_value_is_shown(gateway: DatabaseGateway) -> None:
    """To who approves it, and in the records: a rule takes all behind `password=` for one, but that is what runs."""
    with Psql(gateway.dsn("hider", groups=GROUPS), HIDING) as psql:
        hold = psql.hold
        shown = gateway.gateway.holdpoint("holds", "show", hold, groups=("operators",))
        decide(gateway, "deny", hold)
        psql.end()
    assert shown.returncode == 0, shown.stderr
    assert HIDING in shown.stdout
    assert "[masked:" not in shown.stdout
    (decided,) = [r for r in gateway.gateway.records("decision") if r["hold"] == hold]
    assert decided["action"]["summary"]["statement"] == HIDING
    told = gateway.gateway.administer("audit", "show", decided["decision"]["id"])
    assert "or/**/id>1" in told.stdout
