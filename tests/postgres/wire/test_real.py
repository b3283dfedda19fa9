"""Real servers and clients: all that they say is read, and written as they said it, wherever their streams are cut."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from extproc.protocols.postgres.wire.authentication import PasswordMessage
from extproc.protocols.postgres.wire.backend import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationSASL,
    Backend,
    BackendKeyData,
    CommandComplete,
    DataRow,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    RowDescription,
    decode_backend,
)
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.fields import message
from extproc.protocols.postgres.wire.frame import Framer, Part
from extproc.protocols.postgres.wire.frontend import (
    Bind,
    Close,
    CopyFail,
    Describe,
    Execute,
    Flush,
    Frontend,
    Of,
    Parse,
    Query,
    Sync,
    Terminate,
    decode_frontend,
)
from extproc.protocols.postgres.wire.startup import (
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    CancelRequest,
    StartupMessage,
    read_startup,
)
from tests.support.postgres import BY_MD5, IN_CLEAR, READER, Server
from tests.support.postgres_binaries import clean_environment, program

BULK = frozenset(b"dD")
LIMIT = 1 << 20


@pytest.fixture(params=["postgres", "postgres_newer"])
def server(request: pytest.FixtureRequest) -> Server:
    """The machine's PostgreSQL, and a newer major."""
    found: Server = request.getfixturevalue(request.param)
    return found


class Client:
    """Talks to a server, and keeps all that it says."""

    def __init__(self, server: Server, role: str, version: int) -> None:
        self.said = bytearray()
        self._framer = Framer(LIMIT)
        self._heard: list[Backend] = []
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self._socket.sendall(StartupMessage(version, (("user", role), ("database", "crm"))).encode())

    def ask(self, *messages: Frontend | PasswordMessage, until: type[Backend] = ReadyForQuery) -> list[Backend]:
        """Send these and return what the server says, up to and with one of this type."""
        self._socket.sendall(b"".join(each.encode() for each in messages))
        return self.hear(until)

    def ask_raw(self, *messages: bytes) -> list[Backend]:
        """The same with what we would not write."""
        self._socket.sendall(b"".join(messages))
        return self.hear(ReadyForQuery)

    def hear(self, until: type[Backend]) -> list[Backend]:
        """What the server says up to and with one of this type."""
        while not any(isinstance(each, until) for each in self._heard):
            data = self._socket.recv(1 << 16)
            assert data, "the server ended the connection"
            self.said += data
            self._heard += [decode_backend(frame.kind, frame.body) for frame in self._framer.feed(data)]
        last = next(at for at, each in enumerate(self._heard) if isinstance(each, until))
        heard, self._heard = self._heard[: last + 1], self._heard[last + 1 :]
        return heard

    def leave(self) -> None:
        """End the session."""
        self._socket.sendall(Terminate().encode())
        assert self._socket.recv(1) == b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._socket.close()


@contextmanager
def _logged_in(server: Server, version: int = PROTOCOL_3_0) -> Iterator[tuple[Client, list[Backend]]]:
    """A client that has come in with its password, and what it heard; the server lets it go at the end."""
    with Client(server, IN_CLEAR.name, version) as client:
        yield client, client.ask(PasswordMessage(IN_CLEAR.password))
        client.leave()


def _names(messages: list[Backend]) -> list[str]:
    return [type(each).__name__ for each in messages]


def test_logging_in(server: Server) -> None:
    """Each way to ask for a proof, the settings, and a key as long as its version's."""
    asked: dict[str, type[Backend]] = {
        IN_CLEAR.name: AuthenticationCleartextPassword,
        BY_MD5.name: AuthenticationMD5Password,
        READER.name: AuthenticationSASL,
    }
    for role, of in asked.items():
        with Client(server, role, PROTOCOL_3_0) as client:
            assert _names(client.hear(of)) == [of.__name__]
    for version, size in ((PROTOCOL_3_0, 4), (PROTOCOL_3_2, 32 if server.major >= 18 else 4)):
        older = version == PROTOCOL_3_2 and server.major < 18
        with Client(server, IN_CLEAR.name, version) as client:
            first = client.hear(AuthenticationCleartextPassword)
            assert first[:-1] == ([NegotiateProtocolVersion(PROTOCOL_3_0)] if older else [])
            heard = client.ask(PasswordMessage(IN_CLEAR.password))
            assert [len(each.secret) for each in heard if isinstance(each, BackendKeyData)] == [size]
            assert ParameterStatus("standard_conforming_strings", "on") in heard
            client.leave()


def _everything(client: Client) -> None:
    """Make the server say what it can say."""
    rows = client.ask(Query("SELECT 1 AS a, NULL, 'ß'; SELECT 2; "))
    assert [each.values for each in rows if isinstance(each, DataRow)] == [(b"1", None, "ß".encode()), (b"2",)]
    assert _names(client.ask(Query(""))) == ["EmptyQueryResponse", "ReadyForQuery"]
    assert _names(client.ask(Query("SELECT 1/0"))) == ["ErrorResponse", "ReadyForQuery"]
    assert _names(client.ask(Query("DO $$ BEGIN RAISE NOTICE 'ä'; END $$")))[0] == "NoticeResponse"
    assert _names(client.ask(Query("LISTEN c; NOTIFY c, 'p'")))[2:] == ["NotificationResponse", "ReadyForQuery"]
    numbers = "SELECT n, n::text FROM generate_series(1, $1) n"
    flushed = client.ask(Parse("s", numbers, (23,)), Describe(Of.STATEMENT, "s"), Flush(), until=RowDescription)
    assert _names(flushed) == ["ParseComplete", "ParameterDescription", "RowDescription"]
    heard = client.ask(
        Bind("p", "s", (1,), (b"\0\0\0\x03",), (1, 0)),
        Describe(Of.PORTAL, "p"),
        Execute("p", 2),
        Execute("p"),
        Close(Of.PORTAL, "p"),
        Parse("", "SET search_path = public"),
        Describe(Of.STATEMENT, ""),
        Sync(),
    )
    bound = ["BindComplete", "RowDescription", "DataRow", "DataRow", "PortalSuspended", "DataRow", "CommandComplete"]
    assert _names(heard[:7]) == bound
    parsed = ["CloseComplete", "ParseComplete", "ParameterDescription", "NoData", "ReadyForQuery"]
    assert _names(heard[7:]) == parsed
    assert heard[5] == DataRow((b"\0\0\0\x03", b"3"))
    client.ask(Query("CREATE TEMP TABLE t (a int, b text)"))
    begun = client.ask(Query("COPY t FROM STDIN"), CopyData(b"1\tx\n2"), CopyData(b"\ty\n"), CopyDone())
    assert _names(begun) == ["CopyInResponse", "CommandComplete", "ReadyForQuery"]
    failed = client.ask(Query("COPY t FROM STDIN BINARY"), CopyFail("no"))
    assert _names(failed) == ["CopyInResponse", "ErrorResponse", "ReadyForQuery"]
    for words in ("", "BINARY"):
        assert "CopyOutResponse" in _names(client.ask(Query(f"COPY t TO STDOUT {words}")))


def test_a_servers_stream_at_every_cut(server: Server) -> None:
    """Everything that the server says is framed the same wherever it is cut, and written as the server wrote it."""
    with _logged_in(server, PROTOCOL_3_2) as (client, _):
        _everything(client)
    said = bytes(client.said)
    whole = Framer(LIMIT).feed(said)
    assert [decode_backend(frame.kind, frame.body).encode() for frame in whole] == [frame.data for frame in whole]
    assert b"".join(frame.data for frame in whole) == said
    for cut in range(len(said)):
        framer = Framer(LIMIT, BULK)
        frames = framer.feed(said[:cut]) + framer.feed(said[cut:])
        assert b"".join(frame.data for frame in frames) == said
        assert (sum(frame.count for frame in frames), framer.between) == (len(whole), True)


def test_a_long_row_comes_in_parts(server: Server) -> None:
    """A server's row of a megabyte goes through in parts."""
    with _logged_in(server) as (client, _):
        before = len(client.said)
        client.ask(Query("SELECT repeat('x', 1000000)"))
    framer = Framer(LIMIT, BULK)
    frames = framer.feed(bytes(client.said[before:]))
    parts = [frame.part for frame in frames if frame.kind == ord("D")]
    assert (parts[0], set(parts[1:-1]), parts[-1], framer.between) == (Part.FIRST, {Part.MIDDLE}, Part.LAST, True)


def test_cancelling(server: Server) -> None:
    """The key that the server gave cancels, in both versions."""
    for version in (PROTOCOL_3_0, PROTOCOL_3_2):
        with _logged_in(server, version) as (client, heard):
            key = next(each for each in heard if isinstance(each, BackendKeyData))
            client.ask(Query("DO $$ BEGIN RAISE NOTICE 'on'; PERFORM pg_sleep(60); END $$"), until=NoticeResponse)
            with socket.create_connection(("127.0.0.1", server.port)) as other:
                other.sendall(CancelRequest(key.pid, key.secret).encode())
                assert other.recv(1) == b""
            errors = [each.get("C") for each in client.hear(ReadyForQuery) if isinstance(each, ErrorResponse)]
            assert errors == ["57014"]


def test_why_long_names_are_refused(server: Server) -> None:
    """A server runs, under one name of 64 bytes, what was prepared under another that only differs at the end."""
    one, other = b"n" * 63 + b"1\0", b"n" * 63 + b"2\0"
    first = message(ord("P"), one, b"SELECT 'one'\0\0\0")
    second = message(ord("C"), b"S", other) + message(ord("P"), other, b"SELECT 'other'\0\0\0")
    bound = message(ord("B"), b"\0", one, bytes(6))
    with _logged_in(server) as (client, _):
        heard = client.ask_raw(first, second, bound, Execute("").encode(), Sync().encode())
    assert heard[-3:-1] == [DataRow((b"other",)), CommandComplete("SELECT 1")]


@contextmanager
def _between(server: Server, said: list[bytearray]) -> Iterator[int]:
    """A port that leads to the server; what each connection's client says is put into `said`."""
    threads: list[threading.Thread] = []

    def copy(source: socket.socket, place: socket.socket, kept: bytearray) -> None:
        while data := source.recv(1 << 16):
            kept += data
            place.sendall(data)
        place.shutdown(socket.SHUT_WR)

    def carry(client: socket.socket, kept: bytearray) -> None:
        with client, socket.create_connection(("127.0.0.1", server.port)) as upstream:
            back = threading.Thread(target=copy, args=(upstream, client, bytearray()))
            back.start()
            copy(client, upstream, kept)
            back.join(60)

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:  # it was shut down
                return
            said.append(bytearray())
            threads.append(threading.Thread(target=carry, args=(client, said[-1])))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=serve)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(60)


def test_clients_streams(server: Server, tmp_path: Path) -> None:
    """Everything that psql and pgbench say is read, and written as they wrote it."""
    script = tmp_path / "script.sql"
    script.write_text("\\set n random(1, 3)\nSELECT name FROM customers WHERE id = :n;\n")
    said: list[bytearray] = []
    with _between(server, said) as port:
        dsn = server.dsn(IN_CLEAR.name, "crm", port=port)
        statements = [
            "SELECT 'ß'",
            "CREATE TEMP TABLE t (a int); COPY t FROM STDIN",
            "\\copy t TO STDOUT",
            "SELECT 1/0",
        ]
        psql = [program("psql"), "-Xq", dsn, *(word for each in statements for word in ("-c", each))]
        subprocess.run(psql, input="1\n2\n", text=True, capture_output=True, env=clean_environment(), timeout=60)
        for mode in ("simple", "extended", "prepared"):
            pgbench = [program("pgbench"), "-n", "-M", mode, "-f", str(script), "-c", "2", "-t", "3", dsn]
            subprocess.run(pgbench, check=True, capture_output=True, env=clean_environment(), timeout=60)
    kinds = set()
    for stream in said:
        found = read_startup(stream)
        assert found is not None
        assert found[0].encode() == stream[: found[1]]
        framer = Framer(LIMIT)
        frames = framer.feed(bytes(stream[found[1] :]))
        assert [decode_frontend(frame.kind, frame.body).encode() for frame in frames] == [each.data for each in frames]
        assert framer.between
        kinds |= {type(decode_frontend(frame.kind, frame.body)) for frame in frames}
    assert kinds >= {Query, CopyData, CopyDone, Parse, Bind, Describe, Execute, Sync, Terminate}
