"""Whatever breaks, and whatever a client sends: nothing undecided comes to the server, and the gateway lives."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from extproc.audit.segments import name_of
from extproc.protocols.postgres.wire.common import CopyData
from extproc.protocols.postgres.wire.frontend import Bind, Execute, FunctionCall, Parse, Query, Sync
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, SSLRequest, StartupMessage
from tests.postgres.gateway.talking import Client, error, ready, rows, status
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import Server

MARKED = "SELECT 'nobody decided this'"


@pytest.fixture(scope="module")
def started(postgres: Server) -> Iterator[DatabaseGateway]:
    """With the shipped policies, which look at each text anew."""
    with database_gateway(postgres) as made:
        yield made


@pytest.fixture
def gateway(started: DatabaseGateway, postgres: Server) -> Iterator[DatabaseGateway]:
    """The module's; what is sent as MARKED never comes to the server, and the gateway serves others afterwards."""
    before = postgres.log.count("nobody decided this")
    yield started
    assert postgres.log.count("nobody decided this") == before
    until(lambda: serves(started), "the gateway to serve")


def serves(gateway: DatabaseGateway) -> bool:
    """Whether a statement passes now."""
    with Client(gateway.dsn()) as client:
        return not client.over and rows(client.query("SELECT 1")) == [("1",)]


def test_an_engine_that_hangs_and_is_gone(gateway: DatabaseGateway) -> None:
    """The statement fails and says why, its transaction with it; the session goes on when there is an engine again."""
    engine = gateway.gateway.pid("opa")
    with Client(gateway.dsn()) as client:
        assert status(client.query("BEGIN")) == "T"
        os.kill(engine, signal.SIGSTOP)
        answer = client.query(MARKED)
        # An engine that hung for long enough has been ended by now.
        with suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
        assert (error(answer)["C"], status(answer)) == ("57000", "E")
        assert "policy-" in error(answer)["D"]
        gateway.gateway.wait_ready_again("opa")
        until(lambda: status(client.query("ROLLBACK")) == "I", "the engine to decide again")
        assert rows(client.query("SELECT 1")) == [("1",)]


def test_no_engine_no_connection(gateway: DatabaseGateway) -> None:
    """Who connects meanwhile is turned away with the reason."""
    engine = gateway.gateway.pid("opa")
    os.kill(engine, signal.SIGSTOP)
    try:
        # What was asked before may be remembered.
        with Client(gateway.dsn("stranger")) as client:
            said = error(client.greeting)
            assert (client.over, said["S"], said["C"]) == (True, "FATAL", "57000")
    finally:
        with suppress(ProcessLookupError):
            os.kill(engine, signal.SIGCONT)


def test_a_journal_that_can_not_be_written(gateway: DatabaseGateway) -> None:
    """What can't be recorded does not happen; it comes back when there is room."""
    worker = gateway.gateway.pid("postgres-0")
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    with Client(gateway.dsn()) as client:
        assert rows(client.query("SELECT 1")) == [("1",)]
        file = gateway.gateway.state / "journal" / "postgres-0" / name_of(0)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
        try:
            answer = client.query(MARKED)
        finally:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        assert (error(answer)["C"], status(answer)) == ("57000", "I")
        assert "journal-unwritable" in error(answer)["D"]
        assert rows(client.query("SELECT 2")) == [("2",)]
    assert gateway.gateway.verify()["faults"] == []


def test_a_recording_that_can_not_go_on(gateway: DatabaseGateway) -> None:
    """What passes under a decision is recorded before it passes: where that fails the session ends, with a word."""
    worker = gateway.gateway.pid("postgres-0")
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    with Client(gateway.dsn()) as client:
        client.send(Query("SELECT repeat('x', 1000), g FROM generate_series(1, 100000) g"))
        client.receive()
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            said = client.ended()
        finally:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        assert (said.get("S"), said.get("C")) == ("FATAL", "57000")
        assert "recording-failed" in said["D"]


LATE = Query(MARKED).encode()
HOSTILE = {
    "an unknown kind": b"\x01\0\0\0\4",
    "a backend's kind": b"Z\0\0\0\5I",
    "a length below its own": b"Q\0\0\0\3",
    "a negative length": b"Q\xff\xff\xff\xff",
    "a length without an end": b"Q\x7f\xff\xff\xff",
    "a text that does not end": b"Q\0\0\0\6ab",
    "a text with more behind it": b"Q\0\0\0\7a\0b",
    "a text that is not UTF-8": b"Q\0\0\0\7\xff\xfe\0",
    "a Parse without its types": b"P\0\0\0\x0aa\0b\0\0\7",
    "a Bind of too many values": b"B\0\0\0\x0c\0\0\0\0\x7f\xff\0\0",
    "a Describe of neither": b"D\0\0\0\6Xa\0"[:7] + b"\0",
    "a password": b"p\0\0\0\6a\0",
    "a startup message": StartupMessage(PROTOCOL_3_0, (("user", "x"),)).encode() + bytes(1 << 16),
    "a request for TLS": SSLRequest().encode() + bytes(1 << 16),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_message_ends_the_session(gateway: DatabaseGateway, name: str) -> None:
    """With 08P01, and what follows it in the same breath goes nowhere."""
    with Client(gateway.dsn()) as client:
        client.send(HOSTILE[name] + LATE)
        said = client.ended()
        assert (said.get("S"), said.get("C")) == ("FATAL", "08P01"), said


def test_a_fast_path_call_is_refused(gateway: DatabaseGateway) -> None:
    """It says what to do instead; nothing else ends."""
    with Client(gateway.dsn()) as client:
        client.send(FunctionCall(2000, (), (), 0))
        answer = client.until(ready)
        assert (error(answer)["C"], status(answer)) == ("0A000", "I")
        assert rows(client.query("SELECT 1")) == [("1",)]


def test_data_of_no_copy_is_nobodys(gateway: DatabaseGateway) -> None:
    """As at any server."""
    with Client(gateway.dsn()) as client:
        client.send(CopyData(b"x" * 100_000), CopyData(b"\n"), Query("SELECT 1"))
        assert rows(client.until(ready)) == [("1",)]


def test_a_broken_beginning(gateway: DatabaseGateway) -> None:
    """Before anybody is known the same holds: an answer if it can be told, and an end."""
    beginnings = [
        b"\0\0\0\4", b"\0\0\0\x08\0\0\0\0", b"\x7f\xff\xff\xff" + bytes(100), b"GET / HTTP/1.1\r\n\r\n" + bytes(100),
        SSLRequest().encode() * 2, b"\x16\x03\x01\x02\0" + bytes(512), bytes(12_000),
    ]  # fmt: skip
    for beginning in beginnings:
        with socket.create_connection(("127.0.0.1", gateway.port), 20) as line, suppress(ConnectionError):
            line.sendall(beginning)
            while line.recv(1 << 16):
                pass


def test_a_client_that_leaves_in_the_middle(gateway: DatabaseGateway, postgres: Server) -> None:
    """Half a message, half a pipeline, half a COPY: nothing of it is done, and no session is left."""
    halves = [
        Query(MARKED).encode()[:-4],
        Parse("", MARKED).encode(),
        Parse("", "SELECT 1").encode() + Bind("", "").encode()[:5],
        Query("BEGIN").encode() + Query("COPY customers TO STDOUT").encode() + b"P\0\0",
        Parse("", "SELECT count(*) FROM generate_series(1, 100000000)").encode()
        + Bind("", "").encode()
        + Execute("").encode()
        + Sync().encode(),
    ]
    for half in halves:
        with Client(gateway.dsn()) as client:
            client.send(half)
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'"
    until(lambda: postgres.sql(count) == [["0"]], "the server's sessions to end")
