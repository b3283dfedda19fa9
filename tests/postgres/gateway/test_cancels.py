"""Cancelling what runs, whichever worker hears of it, and only with the secret of the session that it is about."""

from collections.abc import Iterator
from itertools import count

import pytest

from extproc.protocols.postgres.wire.backend import BackendKeyData, BindComplete, ErrorResponse
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Flush, Parse, Query, Sync
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, PROTOCOL_3_2
from tests.postgres.gateway.talking import Client, error, ready, rows, status
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import Server
from tests.support.sql_clients import script

SLEEP = "SELECT pg_sleep(600)"


@pytest.fixture(scope="module")
def gateway(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """With two workers, and a policy that allows everything."""
    with database_gateway(either_postgres, allowing=True, workers=2) as made:
        yield made


def sleeping(server: Server, subject: str) -> bool:
    """Whether a statement of this client sleeps at the server."""
    found = server.sql("SELECT application_name FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    return any(name.endswith(subject) for (name,) in found)


def both(gateway: DatabaseGateway, version: int = PROTOCOL_3_0) -> Iterator[Client]:
    """A connection at each of the workers."""
    found: dict[str, Client] = {}
    numbers = count()

    def another() -> bool:
        application = f"sleeper-{next(numbers)}-{version}"
        client = Client(gateway.dsn(), version, application_name=application)
        if found.setdefault(gateway.worker(application), client) is not client:
            client.socket.close()
        return len(found) == 2

    until(another, "connections at both workers")
    yield from found.values()


def name_of(client: Client) -> str:
    """What the server calls it."""
    return str(rows(client.query("SHOW application_name"))[0][0])


@pytest.mark.parametrize("version", [PROTOCOL_3_0, PROTOCOL_3_2])
def test_what_runs_is_cancelled(gateway: DatabaseGateway, either_postgres: Server, version: int) -> None:
    """The request is a connection of its own and comes to any worker: one that has not the session hands it over. The
    statement fails as a cancelled one does, and the session goes on."""
    for client in both(gateway, version):
        with client:
            assert client.key is not None
            assert len(client.key.secret) == (4 if version == PROTOCOL_3_0 else 32)
            name = name_of(client)
            for messages in ([Query(SLEEP)], [Parse("", SLEEP), Bind("", ""), Execute(""), Sync()]):
                for _ in range(4):
                    client.send(*messages)
                    until(lambda name=name: sleeping(either_postgres, name), "it to sleep")  # type: ignore[misc]
                    client.cancel()
                    answer = client.until(ready)
                    assert (error(answer)["C"], status(answer)) == ("57014", "I")
            assert rows(client.query("SELECT 1")) == [("1",)]


@pytest.mark.parametrize("asked", [Sync(), Flush()])
def test_a_portal_is_cancelled_that_nobody_asked_about(
    gateway: DatabaseGateway, either_postgres: Server, asked: Sync | Flush
) -> None:
    """Who executes what was bound before, without a Describe, gets one of the gateway's own in front of it."""
    with Client(gateway.dsn(), application_name="undescribed") as client:
        client.query("BEGIN")
        client.send(Parse("", SLEEP), Bind("there", ""), asked)
        client.until(lambda said: any(isinstance(message, BindComplete) for message in said))
        client.send(Execute("there"), Sync())
        until(lambda: sleeping(either_postgres, "undescribed"), "it to sleep")
        client.cancel()
        answer = client.until(lambda said: ready(said) and any(isinstance(one, ErrorResponse) for one in said))
        assert (error(answer)["C"], status(answer)) == ("57014", "E")


def test_only_the_secret_counts(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """Another secret, another number: nothing happens, and nobody is told whether there was anything to cancel."""
    with Client(gateway.dsn(), application_name="private") as client:
        assert client.key is not None
        pid, secret = client.key.pid, client.key.secret
        client.send(Query(SLEEP))
        until(lambda: sleeping(either_postgres, "private"), "it to sleep")
        wrong = [bytes(4), secret[::-1] + b"x", secret + b"\0", secret[:3] + bytes([secret[3] ^ 1])]
        for key in [*(BackendKeyData(pid, w) for w in wrong if len(w) >= 4), BackendKeyData(pid ^ 1, secret)]:
            client.cancel(key)
        assert sleeping(either_postgres, "private")
        assert client.said == []
        client.cancel()
        assert error(client.until(ready))["C"] == "57014"


def test_cancelling_nothing_does_nothing(gateway: DatabaseGateway) -> None:
    """A request that comes when all is done is forgotten; it does not strike the next statement."""
    with Client(gateway.dsn()) as client:
        client.cancel()
        assert rows(client.query("SELECT 1")) == [("1",)]


PROCESSES = """
import json, sys, psycopg
one, two = (psycopg.connect(sys.argv[1], autocommit=True) for _ in range(2))
told = [each.info.backend_pid for each in (one, two)]
own = [each.execute("SELECT pg_backend_pid()").fetchone()[0] for each in (one, two)]
two.execute("LISTEN here")
one.execute("NOTIFY here")
notified = [note.pid for note in two.notifies(timeout=20, stop_after=1)]
ended = two.execute("SELECT pg_terminate_backend(%s, 20000)", [told[0]]).fetchone()[0]
try:
    one.execute("SELECT 1")
    state = ""
except psycopg.Error as error:
    state = error.sqlstate
print(json.dumps({"told": told, "own": own, "notified": notified, "ended": ended, "state": state}))
"""


def test_the_process_is_the_server_s_own(gateway: DatabaseGateway) -> None:
    """By the number that a driver is told others find its session: as who sent a notification, and to end it."""
    found = script(PROCESSES, gateway.dsn())
    assert found["told"] == found["own"]
    assert found["notified"] == found["told"][:1]
    assert (found["ended"], found["state"]) == (True, "57P01")
