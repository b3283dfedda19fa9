"""kill -9 at random, under load: nothing is forwarded without its record, nobody hangs, and nothing is left open.

The order is a seed's, which is printed; $HOLDPOINT_TEST_SEED has it again.
"""

import logging
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.postgres.gateway.crowd import MARK, TABLE, Agent, Benches
from tests.postgres.gateway.talking import Client, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import CRM, READER, Server
from tests.support.postgres_binaries import system_binaries
from tests.support.trail import metric

AGENTS = 4
WORKERS = ("postgres-0", "postgres-1")
KILLED = (*WORKERS, "envoy", "opa", "backend", "server", "agent", "pgbench")
BETWEEN = 12
"""Pieces of work that come to their end between one kill and the next."""

# The engine is asked anew about each COPY, and what it decided about all else is remembered.
ANEW = """
findings contains {"code": "night", "effect": "allow", "message": "Never."} if {
	some statement in input.action.facts.statements
	statement.kind == "copy"
	input.context.time == ""
}
"""

_log = logging.getLogger(__name__)


@pytest.fixture
def server() -> Iterator[Server]:
    """One that says all that it is asked: what it executes before it does so, and what it parses and binds."""
    settings = {"log_statement": "all", "log_min_duration_statement": "0"}
    granted = f"{TABLE}; GRANT ALL ON marks TO {READER.name};"
    with Server(databases={"crm": CRM.read_text() + granted}, settings=settings, binaries=system_binaries()) as made:
        yield made


@pytest.fixture
def gateway(server: Server) -> Iterator[DatabaseGateway]:
    """With two workers, and a policy that allows everything."""
    with database_gateway(server, allowing=True, more=ANEW, workers=len(WORKERS)) as made:
        yield made


class Killer:
    """Kills what it is told to. A program of the gateway's is killed only when it is back from the last time, so that
    no other process has its number."""

    def __init__(self, gateway: DatabaseGateway, agents: list[Agent], benches: Benches, chance: random.Random) -> None:
        self._gateway = gateway
        self._agents = agents
        self._benches = benches
        self._chance = chance
        self._starts = Counter(dict.fromkeys(KILLED, 1))
        self.last: dict[str, str] = {}

    def kill(self, victim: str) -> None:
        """Kill it, and have it again where nobody else brings it back."""
        server = self._gateway.server
        match victim:
            case "agent":
                self._chance.choice(self._agents).kill()
            case "pgbench":
                self._benches.kill()
            case "server":
                server.kill()
                server.start()
            case "backend":
                lines = server.log.count("\n")
                found = server.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'reader'")
                # It may just have ended by itself: then there is nothing that the server would have to recover from.
                if found:
                    os.kill(int(self._chance.choice(found)[0]), signal.SIGKILL)
                    server.wait_for_log("database system is ready to accept connections", after=lines)
            case _:
                self.back(victim)
                self._starts[victim] += 1
                os.kill(self._gateway.gateway.pid(victim), signal.SIGKILL)
                self.last[victim] = datetime.now(UTC).isoformat()

    def back(self, name: str) -> None:
        """Wait until a program is there."""
        until(lambda: self._told(name) >= self._starts[name], f"{name} to be back", 60)

    def _told(self, name: str) -> int:
        return sum(entry.get("message") == f"{name} is ready" for entry in list(self._gateway.gateway.log))


def test_whatever_is_killed(server: Server, gateway: DatabaseGateway) -> None:
    """Workers, Envoy, the engine, a backend (and with it all others), the server, clients: each at least once, in the
    middle of simple and extended queries, pipelines, transactions and COPY."""
    seed = int(os.environ.get("HOLDPOINT_TEST_SEED") or secrets.randbits(32))
    _log.warning("seed %d", seed)
    chance = random.Random(seed)
    victims = [*KILLED, chance.choice(WORKERS), chance.choice(KILLED)]
    chance.shuffle(victims)
    agents = [Agent(gateway.dsn(f"agent-{number}"), number, seed) for number in range(AGENTS)]
    benches = Benches(gateway.dsn("bench"))
    killer = Killer(gateway, agents, benches, chance)
    try:
        for victim in victims:
            work_goes_on(agents, f"work before the end of {victim}")
            killer.kill(victim)
            _log.warning("%s was killed after %d pieces of work", victim, done(agents))
        for program in ("envoy", "opa", *WORKERS):
            killer.back(program)
        work_goes_on(agents, "work at the end")
    finally:
        for agent in agents:
            agent.stop()
        benches.stop()
        for agent in agents:
            agent.join()
    _log.warning("%s", [(dict(agent.ways), dict(agent.errors)) for agent in agents])
    assert [fault for agent in agents for fault in agent.faults] == []

    # Nothing is left open, at the server or in the gateway, and it serves.
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'"
    until(lambda: server.sql(count) == [["0"]], "the server's sessions to end")
    until(lambda: metric(gateway.gateway, "holdpoint_exchanges") == 0, "the gateway to have none open")
    with Client(gateway.dsn()) as client:
        assert rows(client.query("SELECT 1")) == [("1",)]

    # Whatever came to the server has a record that allows it, and so has whatever is in the table.
    allowed = granted(gateway)
    came = set(MARK.findall(server.log))
    _log.warning("%d marks came to the server, %d were granted", len(came), len(allowed))
    assert len(came) > BETWEEN * len(victims)
    assert came - allowed == set()
    # What agents were told is written is there, all of it and once; what they were not told may be, but not in parts.
    found = {str(mark): (int(lines), int(parts)) for mark, lines, parts in server.sql(WRITTEN, "crm")}
    assert found.keys() - allowed == set()
    told = {mark: (lines, lines) for agent in agents for mark, lines in agent.told.items()}
    assert {mark: found.get(mark) for mark in told} == told
    assert {found[mark] for mark in found.keys() - told.keys()} <= {(1, 1), (20, 20)}

    until(lambda: not undelivered(gateway, killer.last), "each end to be recorded")
    assert gateway.gateway.end() == 0
    assert gateway.gateway.verify()["faults"] == []


WRITTEN = "SELECT mark, count(*), count(DISTINCT part) FROM marks GROUP BY mark"


def work_goes_on(agents: list[Agent], what: str) -> None:
    """Wait until agents have done some more, or saw what they should never see."""
    wanted = done(agents) + BETWEEN
    until(lambda: done(agents) >= wanted or any(agent.faults for agent in agents), what, 60)


def done(agents: list[Agent]) -> int:
    """How many pieces of work came to their end."""
    return sum(agent.answers for agent in agents)


def granted(gateway: DatabaseGateway) -> set[str]:
    """The marks of all that a record allows."""
    found: set[str] = set()
    for record in gateway.gateway.records("decision"):
        if record["outcome"] == "granted":
            summary = record["action"]["summary"]
            found |= set(MARK.findall(str(summary.get("statement"))))
            found |= {value for value in summary.get("values", []) if MARK.fullmatch(f"'{value}'")}
    return found


def undelivered(gateway: DatabaseGateway, killed: dict[str, str]) -> list[dict[str, Any]]:
    """What was granted and has no end in the record, but for what a worker had under way when it was killed."""
    ends = {record["decision"] for record in gateway.gateway.records("delivery")}
    return [
        record
        for record in gateway.gateway.records("decision")
        if record["outcome"] == "granted"
        and record["decision"]["id"] not in ends
        and record["at"].replace("Z", "+00:00") > killed.get(record["stream"], "")
    ]
