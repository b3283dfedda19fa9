"""Short-lived passwords through a whole gateway: on plain TCP, from this machine and as if from another."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import sql_clients
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.flows import until
from tests.support.postgres import Server
from tests.support.postgres_binaries import clean_environment, program
from tests.support.sql_cases import CASES

SLEEP = "SELECT pg_sleep(120)"
WRONG = "FATAL:  the password is wrong"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Without TLS, on all addresses of this machine."""
    with database_gateway(postgres, allowing=True, host="0.0.0.0") as made:
        yield made


def own_address() -> str:
    """An address of this machine that is not of its loopback: a gateway takes whoever comes from it for somebody else's
    machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback's")
        return str(probe.getsockname()[0])


def person(gateway: DatabaseGateway, subject: str = "bob", *groups: str, **wanted: Any) -> dict[str, Any]:
    """A password for a person, by their own token."""
    with gateway.gateway.person(*groups, subject=subject) as client:
        return dict(client.post("/passwords", json=wanted).raise_for_status().json())


def agent(gateway: DatabaseGateway, token: str, **wanted: Any) -> dict[str, Any]:
    """A password for an agent, by its token."""
    with gateway.gateway.control({"authorization": f"Bearer {token}"}) as client:
        return dict(client.post("/passwords", json=wanted).raise_for_status().json())


def dsn(gateway: DatabaseGateway, made: dict[str, Any], host: str = "127.0.0.1", more: str = "") -> str:
    """The URL of the target for whoever has this password."""
    return f"postgresql://{made['user']}:{made['password']}@{host}:{gateway.port}/crm-db?sslmode=disable{more}"


def psql(dsn: str, sql: str = "SELECT name FROM customers WHERE id = 1") -> tuple[int, str]:
    """Exit code, and what psql said: rows, or errors without the address."""
    done = subprocess.run(
        [program("psql"), "-X", "-A", "-t", "-d", dsn, "-c", sql],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    return done.returncode, (done.stdout + done.stderr.rpartition("failed: ")[2]).strip()


def asleep(gateway: DatabaseGateway, made: dict[str, Any]) -> "subprocess.Popen[str]":
    """A client in the middle of a long statement."""
    before = sleepers(gateway)
    running = subprocess.Popen(
        [program("psql"), "-X", "-d", dsn(gateway, made), "-c", SLEEP],
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    until(lambda: sleepers(gateway) > before, "a session that sleeps")
    return running


def sleepers(gateway: DatabaseGateway) -> int:
    """How many sessions sleep at the server."""
    where = "state = 'active' AND query = 'SELECT pg_sleep(120)'"
    return int(gateway.server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {where}")[0][0])  # noqa: S608


def last_words(running: "subprocess.Popen[str]") -> str:
    """What a client says when it ends, long before its statement would."""
    _, said = running.communicate(timeout=30)
    return said


def test_a_person_works_with_a_password(gateway: DatabaseGateway) -> None:
    """What `holdpoint passwords issue` prints for a shell is all that psql needs; the records say who it was, and by
    which password, and never more of that."""
    issued = gateway.gateway.holdpoint("passwords", "issue", "--target", "crm-db", "--format", "env", subject="dana")
    assert issued.returncode == 0, issued.stderr
    words = dict(line.removeprefix("export ").split("=") for line in issued.stdout.splitlines())
    # It listens on all addresses, none of which is the one to connect to.
    assert "PGHOST" not in words
    environment = clean_environment() | words | {"PGHOST": "127.0.0.1", "PGSSLMODE": "disable"}
    done = subprocess.run(
        [program("psql"), "-X", "-A", "-t", "-c", "SELECT name FROM customers WHERE id = 1"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (done.stdout, done.stderr) == ("Ada Lovelace\n", "")
    password_id = words["PGUSER"].removeprefix("hp-")
    principals = [r["principal"] for r in gateway.gateway.records("decision")]
    (who,) = {json.dumps(p) for p in principals if p["subject"] == "dana"}
    assert json.loads(who) == {
        "acts_for": None,
        "credential": f"password:{password_id}",
        "groups": [],
        "issuer": gateway.gateway.people.issuer,
        "kind": "human",
        "subject": "dana",
    }
    (record,) = [r for r in gateway.gateway.records("password") if r["id"] == password_id]
    assert (record["what"], record["by"]["subject"]) == ("issued", "dana")
    kept = {f.name: f.read_bytes() for f in gateway.gateway.state.rglob("*") if f.is_file()}
    kept["log"] = json.dumps(gateway.gateway.log).encode()
    assert [name for name, data in kept.items() if words["PGPASSWORD"].encode() in data] == []


@pytest.mark.parametrize("client", ["psql", "psycopg", "asyncpg"])
def test_clients_prove_themselves_by_scram(gateway: DatabaseGateway, client: str) -> None:
    """An agent's, by its own token; where the client can say so, it takes nothing else than SCRAM."""
    made = agent(gateway, gateway.gateway.agents.token("agent-7"))
    more = "&require_auth=scram-sha-256" if client == "psycopg" else ""
    cases = {name: CASES[name] for name in ("simple", "tables", "an-error-in-a-transaction")}
    found = sql_clients.run(client, dsn(gateway, made, more=more), cases)
    different = {name: CASES[name].differences(results) for name, results in found.items()}
    assert {name: lines for name, lines in different.items() if lines} == {}


def test_from_elsewhere_without_tls(gateway: DatabaseGateway) -> None:
    """That is what they are for: a token is not asked for where others can read along, and nobody is told which names
    there are."""
    made, token = person(gateway), gateway.gateway.agents.token("agent-1")
    host = own_address()
    assert psql(dsn(gateway, made, host)) == (0, "Ada Lovelace")
    wrong = psql(dsn(gateway, made | {"password": "x" * 32}, host))
    unknown = psql(dsn(gateway, {"user": "hp-0123456789ab", "password": made["password"]}, host))
    assert wrong == unknown
    assert wrong[1].startswith(WRONG)
    code, said = psql(dsn(gateway, {"user": "agent-1", "password": token}, host))
    assert (code, "no token is asked for without" in said) == (2, True)
    assert "wrong-password" in {r["code"] for r in gateway.gateway.records("refusal")}


def test_only_for_what_its_token_was_good_for(gateway: DatabaseGateway) -> None:
    """Targets and networks of an agent token are its passwords' too."""
    _, elsewhere = gateway.gateway.issue("other-bot", "--target", "crm")
    code, said = psql(dsn(gateway, agent(gateway, elsewhere)))
    assert (code, "This credential is good for crm only." in said) == (2, True)
    _, here = gateway.gateway.issue("near-bot", "--network", "127.0.0.0/8")
    made = agent(gateway, here)
    assert psql(dsn(gateway, made))[0] == 0
    code, said = psql(dsn(gateway, made, own_address()))
    assert (code, "does not count from this network" in said) == (2, True)


def revoke(gateway: DatabaseGateway, made: dict[str, Any], _: str) -> None:
    """By whom it is."""
    gone = gateway.gateway.administer("passwords", "revoke", made["user"])
    assert gone.returncode == 0, gone.stderr


def revoke_token(gateway: DatabaseGateway, _: dict[str, Any], token_id: str) -> None:
    """The agent token that it was had with."""
    gone = gateway.gateway.administer("tokens", "revoke", token_id)
    assert gone.returncode == 0, gone.stderr


def freeze(gateway: DatabaseGateway, made: dict[str, Any], _: str) -> None:
    """The agent."""
    gateway.gateway.freeze(made["subject"])


@pytest.mark.parametrize(
    ("name", "end", "words"),
    [
        ("first", revoke, "this password was revoked"),
        ("second", revoke_token, "this agent token was revoked"),
        ("third", freeze, "this principal is frozen"),
    ],
)
def test_what_it_opened_ends_with_it(
    gateway: DatabaseGateway, name: str, end: Callable[[DatabaseGateway, dict[str, Any], str], None], words: str
) -> None:
    """In the middle of a statement, which ends at the server, too; and nobody is let in by it again."""
    token_id, token = gateway.gateway.issue(f"{name}-bot")
    made = agent(gateway, token)
    running = asleep(gateway, made)
    end(gateway, made, token_id)
    assert words in last_words(running)
    code, again = psql(dsn(gateway, made))
    assert (code, words in again) == (2, True)
    assert psql(dsn(gateway, made | {"password": "x"}))[1].startswith(WRONG)
    until(lambda: sleepers(gateway) == 0, "the end of the statement")
    refused = [r for r in gateway.gateway.records("refusal") if (r["principal"] or {}).get("subject") == f"{name}-bot"]
    assert [r["principal"]["credential"] for r in refused] == [f"password:{made['id']}"]


def test_it_ends_with_the_token_that_it_was_had_with(gateway: DatabaseGateway) -> None:
    """Which here has seconds left: tokens count for half a minute longer than they say."""
    made = agent(gateway, gateway.gateway.agents.token("late", exp=int(time.time()) - 23))
    assert "this identity has expired" in last_words(asleep(gateway, made))
    code, again = psql(dsn(gateway, made))
    assert (code, "this identity has expired" in again) == (2, True)
