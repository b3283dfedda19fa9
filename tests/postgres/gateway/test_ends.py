"""What ends a session, and that nothing is left of it: at the client, at the server, in the record."""

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.gateway.talking import Client, error, ready, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import Server, crm_server
from tests.support.postgres_binaries import clean_environment, program, system_binaries
from tests.support.sql_load import PIPELINE, READS, Mode, pgbench
from tests.support.trail import metric

SLEEP = "SELECT pg_sleep(600)"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of its own, for it is killed."""
    with crm_server(system_binaries()) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(server: Server) -> Iterator[DatabaseGateway]:
    """Before it, with a policy that allows everything."""
    with database_gateway(server, allowing=True) as made:
        yield made


def sessions(server: Server) -> int:
    """How many sessions of clients the server has."""
    return int(server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'")[0][0])


def nothing_left(server: Server) -> None:
    """Wait until the server has no session of a client's."""
    until(lambda: sessions(server) == 0, "the server's sessions to end")


def outcome(gateway: DatabaseGateway, subject: str) -> list[str]:
    """How everything of a principal ended."""
    return [r["outcome"] for r in gateway.gateway.records("delivery") if r["principal"]["subject"] == subject]


def asleep(server: Server) -> bool:
    """Whether a statement sleeps there."""
    return server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")[0][0] != "0"


@pytest.mark.parametrize("busy", [False, True])
def test_a_freeze_ends_what_is_open(gateway: DatabaseGateway, server: Server, busy: bool) -> None:
    """An idle session, and one whose statement runs: the client is told why, the server runs nothing any more, and
    others go on."""
    subject = f"rogue-{busy}"
    with Client(gateway.dsn(subject)) as client, Client(gateway.dsn("bystander")) as other:
        if busy:
            client.send(Query(SLEEP))
            until(lambda: asleep(server), "it to sleep")
        gateway.gateway.freeze(subject)
        said = client.ended()
        assert (said["S"], said["C"], "identity-frozen" in said["D"]) == ("FATAL", "57P01", True)
        until(lambda: not asleep(server), "it to be cancelled")
        assert rows(other.query("SELECT 1")) == [("1",)]
    assert set(outcome(gateway, subject)) == {"aborted:identity-frozen"}
    nothing_left(server)
    with Client(gateway.dsn(subject)) as again:
        assert again.over
    assert gateway.gateway.administer("unfreeze", subject).returncode == 0


def test_a_token_that_ends_takes_its_session_along(gateway: DatabaseGateway, server: Server) -> None:
    """Nobody has to say so. A token counts for 30 seconds beyond its end, for clocks differ."""
    with Client(gateway.dsn("brief", expires_in=-27)) as client:
        assert "identity-expired" in client.ended()["D"]
    nothing_left(server)


def test_a_revoked_token_ends_its_sessions(gateway: DatabaseGateway, server: Server) -> None:
    """At once, and it opens no other."""
    number, token = gateway.gateway.issue("bot")
    dsn = re.sub(r"//[^@]*@", f"//bot:{token}@", gateway.dsn())
    with Client(dsn) as client:
        assert rows(client.query("SELECT 1")) == [("1",)]
        assert gateway.gateway.administer("tokens", "revoke", number).returncode == 0
        assert client.ended()["S"] == "FATAL"
    with Client(dsn) as again:
        assert again.over
    nothing_left(server)


def test_a_target_that_is_another_now_ends_its_sessions(gateway: DatabaseGateway, server: Server) -> None:
    """Those who connect anew get what it is now; when it is gone, they are told so."""
    config = gateway.gateway.config
    before = config.read_text()
    try:
        with Client(gateway.dsn()) as client:
            config.write_text(before.replace("environment: production, wait: 20s", "environment: staging, wait: 20s"))
            gateway.gateway.signal_reload()
            said = client.ended()
            assert ("target-changed" in said["D"], said["S"]) == (True, "FATAL")
        with Client(gateway.dsn()) as client:
            assert rows(client.query("SELECT 1")) == [("1",)]
            config.write_text(re.sub(r"(?m)^  crm-db:.*\n", "", before))
            gateway.gateway.signal_reload()
            assert "target-changed" in client.ended()["D"]
        with Client(gateway.dsn()) as client:
            assert client.over
            assert error(client.greeting)["C"] == "3D000"
    finally:
        config.write_text(before)
        gateway.gateway.signal_reload()
    nothing_left(server)


def test_a_client_that_vanishes_leaves_nothing_running(gateway: DatabaseGateway, server: Server) -> None:
    """What ran for it is cancelled, what its transaction did is gone, and the record says what became of it."""
    with Client(gateway.dsn("gone")) as client:
        client.query("BEGIN")
        client.send(Query(SLEEP))
        until(lambda: asleep(server), "it to sleep")
    until(lambda: not asleep(server), "it to be cancelled")
    nothing_left(server)
    until(lambda: "aborted:client-left" in outcome(gateway, "gone"), "the record")


def test_a_client_that_is_killed_under_load_leaves_nothing(gateway: DatabaseGateway, server: Server) -> None:
    """pgbench, in the middle of whatever its clients do."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(READS)
        file.flush()
        words = ["-n", "-M", "prepared", "-f", file.name, "-c", "4", "-T", "60", gateway.dsn("killed")]
        before = server.log.count("\n")
        with subprocess.Popen(
            [program("pgbench"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment()
        ) as clients:
            until(lambda: server.log.count("\n") > before + 200, "it to be busy")
            clients.kill()
    nothing_left(server)
    until(lambda: metric(gateway.gateway, "holdpoint_exchanges") == 0, "the gateway to have none open")
    granted = {r["decision"]["id"] for r in gateway.gateway.records("decision") if of(r, "killed", "granted")}
    until(
        lambda: granted == {r["decision"] for r in gateway.gateway.records("delivery") if of(r, "killed")}, "all ends"
    )


def of(record: dict[str, Any], subject: str, outcome: str = "") -> bool:
    """Whether a record is of this principal, and ended so."""
    return record["principal"]["subject"] == subject and outcome in (record["outcome"], "")


class Agents:
    """Clients that ask without a pause, on a new connection when one breaks; each statement says which it is."""

    def __init__(self, gateway: DatabaseGateway, count: int = 3) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.answered: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, agent: int) -> None:
        number = 0
        while not self._stop.is_set():
            with suppress(ConnectionError), Client(self._gateway.dsn(f"agent-{agent}")) as client:
                while not client.over and not self._stop.is_set():
                    number += 1
                    mark = f"n{agent}x{number}x"
                    said = client.query(f"TABLE orders -- '{mark}'")
                    if ready(said) and rows(said):
                        self.answered.append(mark)

    def wait(self, more: int) -> None:
        """Until so many more were answered."""
        wanted = len(self.answered) + more
        until(lambda: len(self.answered) >= wanted, f"{more} more answers", 60)

    def end(self) -> None:
        """Ask no more; fails where one of them hangs."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client hangs"


MARK = re.compile(r"'(n\d+x\d+x)'")


def undecided(gateway: DatabaseGateway, server: Server) -> set[str]:
    """The statements that came to the server and no record allows."""
    allowed: set[str] = set()
    for record in gateway.gateway.records("decision"):
        if record["outcome"] == "granted":
            allowed |= set(MARK.findall(str(record["action"]["summary"].get("statement"))))
    return set(MARK.findall(server.log)) - allowed


def test_a_killed_worker_takes_its_sessions_along(gateway: DatabaseGateway, server: Server) -> None:
    """Under load: clients hear of it and can connect again, the server has none of its sessions left, and whatever
    came to the server has a record that allows it."""
    with Client(gateway.dsn("left")) as left:
        left.send(Query(SLEEP))
        until(lambda: asleep(server), "it to sleep")
        agents = Agents(gateway)
        try:
            agents.wait(30)
            os.kill(gateway.gateway.pid("postgres-0"), signal.SIGKILL)
            left.ended()
            gateway.gateway.wait_ready_again("postgres-0")
            agents.wait(30)
        finally:
            agents.end()
    assert undecided(gateway, server) == set()
    nothing_left(server)


def test_a_worker_that_is_stopped_says_so(gateway: DatabaseGateway, server: Server) -> None:
    """As a server that shuts down does; what runs is cancelled."""
    with Client(gateway.dsn("idle")) as idle, Client(gateway.dsn("busy")) as busy:
        busy.send(Query(SLEEP))
        until(lambda: asleep(server), "it to sleep")
        os.kill(gateway.gateway.pid("postgres-0"), signal.SIGTERM)
        for client in (idle, busy):
            said = client.ended()
            assert (said["S"], said["C"]) == ("FATAL", "57P01")
    gateway.gateway.wait_ready_again("postgres-0")
    nothing_left(server)
    assert set(outcome(gateway, "busy")) == {"aborted:stopped"}


def test_a_server_that_dies_and_comes_back(gateway: DatabaseGateway, server: Server) -> None:
    """Its clients' sessions end with a word, nobody hangs, and all goes on when it is there again."""
    with Client(gateway.dsn()) as client:
        agents = Agents(gateway)
        try:
            agents.wait(10)
            server.kill()
            assert client.ended().get("S", "FATAL") == "FATAL"
            with Client(gateway.dsn()) as refused:
                assert refused.over
                assert error(refused.greeting)["C"] == "08006"
            server.start()
            agents.wait(10)
        finally:
            agents.end()
    nothing_left(server)
    assert undecided(gateway, server) == set()


def test_a_terminated_session_is_told_so(gateway: DatabaseGateway, server: Server) -> None:
    """What the server says at its end, the client hears."""
    with Client(gateway.dsn()) as client:
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
        said = client.ended()
        assert (said["S"], said["C"]) == ("FATAL", "57P01")


@pytest.mark.parametrize("mode", ["simple", "prepared"])
def test_a_load_leaves_nothing_behind(gateway: DatabaseGateway, server: Server, mode: Mode) -> None:
    """pgbench with several clients: all done, and neither server nor gateway has anything open afterwards."""
    done = pgbench(gateway.dsn(), READS, mode, clients=4, transactions=20)
    assert done == {"done": 80, "failed": 0}
    if mode == "prepared":
        assert pgbench(gateway.dsn(), PIPELINE, mode, clients=2, transactions=10) == {"done": 20, "failed": 0}
    nothing_left(server)
    until(lambda: metric(gateway.gateway, "holdpoint_exchanges") == 0, "the gateway to have none open")
