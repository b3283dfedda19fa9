"""The greeting against libpq, which takes no server at its word."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth.binding import server_end_point
from extproc.protocols.postgres.auth.client import Greeting
from extproc.protocols.postgres.auth.commands import (
    AnswerTls,
    CancelAsked,
    Command,
    FindVerifier,
    NeedIdentity,
    Ready,
    Refused,
)
from extproc.protocols.postgres.auth.opening import Opening
from extproc.protocols.postgres.auth.scram import Verifier
from extproc.protocols.postgres.wire.backend import BackendKeyData, CommandComplete, ReadyForQuery, Transaction
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Query
from tests.support.envoy_tls import Authority
from tests.support.postgres_binaries import clean_environment, program

TOKEN, SHORT_LIVED = "header.payload.signature", "short-lived é"
SECONDS = 30.0


@dataclass
class Door:
    """A server that greets, and to any query answers who it was; `shown` is how that was shown."""

    context: ssl.SSLContext | None = None
    binding: bytes | None = None
    secure: bool = True
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    shown: list[NeedIdentity] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """One connection after another, until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(SECONDS)
            with ExitStack() as open_ones, suppress(OSError):
                self.greet(open_ones.enter_context(connection), open_ones)

    def greet(self, connection: socket.socket, open_ones: ExitStack) -> None:
        """From the first byte to the end of the session."""
        greeting = Greeting("the-server's-half", tls=self.context is not None, secure=self.secure)
        while data := connection.recv(1 << 16):
            commands = greeting.feed(data)
            while commands:
                match commands.pop(0):
                    case Tell(said):
                        connection.sendall(said)
                    case AnswerTls(True):
                        assert self.context is not None
                        connection.sendall(b"S")
                        secure = self.context.wrap_socket(connection, server_side=True)
                        connection = open_ones.enter_context(secure)
                        commands += greeting.tls_started(self.binding, certificate=bool(connection.getpeercert()))
                    case AnswerTls(False):
                        connection.sendall(b"N")
                    case FindVerifier(user):
                        found = (
                            Verifier.of(SHORT_LIVED.encode(), b"a salt for tests") if user.startswith("scram") else None
                        )
                        commands += greeting.verifier_found(found)
                    case NeedIdentity() as shown:
                        self.shown.append(shown)
                        commands += self.identify(greeting, shown)
                    case Ready() as ready:
                        self.session(connection, f"HELLO {ready.opening.user}")
                        return
                    case Refused(said):
                        connection.sendall(said)
                        connection.shutdown(socket.SHUT_WR)
                        return
                    case CancelAsked():
                        return

    def identify(self, greeting: Greeting, shown: NeedIdentity) -> list[Command]:
        """Who has the token, a proof or a certificate may be here."""
        if shown.password in (None, TOKEN):
            return greeting.identified()
        return greeting.unidentified("identity-invalid", "the token is not valid", "Get another.")

    def session(self, connection: socket.socket, said: str) -> None:
        """The same answer to each query."""
        idle = ReadyForQuery(Transaction.IDLE).encode()
        connection.sendall(BackendKeyData(1, b"abcd").encode() + idle)
        framer = Framer(1 << 16)
        while data := connection.recv(1 << 16):
            for frame in framer.feed(data):
                if frame.kind != Query.kind:
                    return
                connection.sendall(CommandComplete(said).encode() + idle)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom clients and the door trust."""
    return Authority(tmp_path_factory.mktemp("tls") / "ca", "the door")


def opened(door: Door) -> Iterator[Door]:
    thread = threading.Thread(target=door.serve)
    thread.start()
    yield door
    # A closed listener does not wake who waits in accept().
    door.listener.shutdown(socket.SHUT_RDWR)
    door.listener.close()
    thread.join()


@pytest.fixture
def door() -> Iterator[Door]:
    """Without TLS, for clients of the same machine."""
    yield from opened(Door())


@pytest.fixture
def tls_door(authority: Authority) -> Iterator[Door]:
    """With TLS, for clients of anywhere."""
    certificate = authority.issue("door", hosts=("localhost", "127.0.0.1"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "door.pem")
    context.load_verify_locations(authority.folder / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    yield from opened(Door(context, server_end_point(certificate.public_bytes(Encoding.DER)), secure=False))


def psql(door: Door, password: str = "", **options: str) -> tuple[int, str]:
    """What psql says to one query."""
    words = {"host": "127.0.0.1", "port": str(door.port), "user": "alice", "dbname": "crm", "gssencmode": "disable"}
    words |= {"application_name": "psql"} | options
    dsn = " ".join(f"{name}='{value}'" for name, value in words.items())
    done = subprocess.run(
        [program("psql"), "-XAtw", dsn, "-c", "anything"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment() | {"PGPASSWORD": password, "PGCLIENTENCODING": "UTF8", "HOME": os.devnull},
    )
    return done.returncode, (done.stdout or done.stderr).strip()


def test_by_token(door: Door) -> None:
    """In the open on the same machine; a wrong one is told apart, with a hint."""
    assert psql(door, TOKEN) == (0, "HELLO alice")
    assert psql(door, TOKEN, sslmode="prefer") == (0, "HELLO alice")
    status, said = psql(door, "other")
    assert (status, "FATAL:  the token is not valid\nHINT:  Get another." in said) == (2, True)
    status, said = psql(door)
    assert (status, "no password supplied" in said) == (2, True)


def test_by_scram(door: Door) -> None:
    """libpq checks our proof, too; with the wrong password it gets none."""
    assert psql(door, SHORT_LIVED, user="scram") == (0, "HELLO scram")
    status, said = psql(door, "other", user="scram")
    assert (status, "FATAL:  the password is wrong" in said, len(door.shown)) == (2, True, 1)


@pytest.mark.parametrize("user", ["alice", "scram"])
def test_over_tls(tls_door: Door, authority: Authority, user: str) -> None:
    """Both again; SCRAM bound to the channel, which libpq can be told to insist on."""
    words = {"sslmode": "verify-full", "host": "localhost", "hostaddr": "127.0.0.1", "user": user}
    words["sslrootcert"] = str(authority.folder / "ca.pem")
    if user == "scram":
        words["channel_binding"] = "require"
    assert psql(tls_door, SHORT_LIVED if user == "scram" else TOKEN, **words) == (0, f"HELLO {user}")
    assert tls_door.shown[0].secure


def test_another_certificate_is_not_bound_to(tls_door: Door) -> None:
    """Somebody between has another certificate than the one that we bind to."""
    tls_door.binding = bytes(32)
    status, said = psql(tls_door, SHORT_LIVED, sslmode="require", user="scram")
    assert (status, "channel binding does not match" in said) == (2, True)


def test_by_certificate(tls_door: Door, authority: Authority) -> None:
    """Nothing is asked for."""
    authority.issue("client")
    mine = authority.folder / "client.pem"
    mine.chmod(0o600)
    assert psql(tls_door, sslmode="require", sslcert=str(mine), sslkey=str(mine)) == (0, "HELLO alice")
    assert (tls_door.shown[0].certificate, tls_door.shown[0].password) == (True, None)


def test_no_token_in_the_open(tls_door: Door) -> None:
    """The hint says what to do; libpq never sent the token."""
    status, said = psql(tls_door, TOKEN, sslmode="disable")
    assert (status, "HINT:  Connect with TLS" in said, tls_door.shown) == (2, True, [])


def test_settings_of_a_client(door: Door) -> None:
    """They arrive as the server would read them; those that are pinned are refused, with a hint."""
    assert psql(door, TOKEN, options="-c search_path=a\\\\ b -c TimeZone=UTC") == (0, "HELLO alice")
    settings = (("search_path", "a b"), ("TimeZone", "UTC"), ("application_name", "psql"))
    assert door.shown[0].opening == Opening("alice", "crm", "psql", settings)
    status, said = psql(door, TOKEN, options="-c client-encoding=latin1")
    assert (status, "HINT:  Set client_encoding" in said) == (2, True)
    status, said = psql(door, TOKEN, replication="database")
    assert (status, "replication connections do not go through" in said) == (2, True)
