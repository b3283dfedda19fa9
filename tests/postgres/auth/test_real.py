"""Login, SASLprep and verifiers against PostgreSQL itself."""

import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from extproc.protocols.postgres.auth.binding import server_end_point
from extproc.protocols.postgres.auth.failure import LoginFailed
from extproc.protocols.postgres.auth.scram import Verifier
from extproc.protocols.postgres.auth.upstream import LoggedIn, Login, Method, Secret
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Terminate
from extproc.protocols.postgres.wire.startup import SSLRequest
from tests.support.postgres import BY_CERTIFICATE, BY_MD5, IN_CLEAR, READER, Role, Server
from tests.support.postgres_binaries import literal

SECONDS = 30.0


@contextmanager
def connected(server: Server, tls: bool, certificate: Path | None = None) -> Iterator[socket.socket]:
    """A connection to the server, with TLS that verifies it or without."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as plain:
        if not tls:
            yield plain
            return
        plain.sendall(SSLRequest().encode())
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(server.ca))
        if certificate is not None:
            context.load_cert_chain(certificate)
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            yield secure


def peer(connection: socket.socket) -> bytes | None:
    """What to bind to."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return server_end_point(shown)


def run(connection: socket.socket, login: Login) -> LoggedIn | LoginFailed:
    """Do what the login says, until it is in or not."""
    connection.sendall(login.start())
    framer = Framer(1 << 16)
    while data := connection.recv(1 << 16):
        for frame in framer.feed(data):
            for outcome in login.feed(frame):
                if not isinstance(outcome, bytes):
                    connection.sendall(Terminate().encode())
                    return outcome
                connection.sendall(outcome)
    raise AssertionError("the server closed the connection")


def log_in(
    server: Server,
    role: Role,
    *,
    tls: bool = False,
    password: str | None = None,
    database: str = "crm",
    parameters: tuple[tuple[str, str], ...] = (),
    binding: bytes | None = None,
    certificate: Path | None = None,
) -> LoggedIn | LoginFailed:
    """One login, with the role's own password unless told otherwise."""
    with connected(server, tls, certificate) as connection:
        chosen = role.password if password is None else password
        login = Login(
            *(role.name, Secret(chosen.encode() or None), database, parameters),
            channel_binding=binding or peer(connection),
            allow_cleartext=tls,
            nonce="a-nonce-for-tests",
        )
        return run(connection, login)


@pytest.mark.parametrize(
    ("role", "tls", "method"),
    [
        (READER, False, Method.SCRAM),
        (READER, True, Method.SCRAM_PLUS),
        (BY_MD5, False, Method.MD5),
        (BY_MD5, True, Method.MD5),
        (IN_CLEAR, True, Method.CLEARTEXT),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
@pytest.mark.parametrize("fixture", ["postgres", "postgres_newer"])
def test_each_way_in(request: pytest.FixtureRequest, fixture: str, role: Role, tls: bool, method: Method) -> None:
    """With what is pinned in force and a key to cancel by; the wrong password does not get in."""
    server: Server = request.getfixturevalue(fixture)
    found = log_in(server, role, tls=tls, parameters=(("application_name", "ours"), ("TimeZone", "Europe/Berlin")))
    assert isinstance(found, LoggedIn)
    assert found.method is method
    expected = {
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "application_name": "ours",
        "TimeZone": "Europe/Berlin",
    }
    assert {name: found.statuses.get(name) for name in expected} == expected
    assert found.key is not None
    assert len(found.key.secret) == 4
    failed = log_in(server, role, tls=tls, password="guessed")
    assert isinstance(failed, LoginFailed)
    assert (failed.code, failed.sqlstate, failed.detail["sqlstate"]) == ("login-refused", "08004", "28P01")


def test_a_certificate_is_enough(postgres: Server) -> None:
    """The server asks for nothing more."""
    certificate = postgres.client_certificate(BY_CERTIFICATE.name)
    found = log_in(postgres, BY_CERTIFICATE, tls=True, certificate=certificate)
    assert isinstance(found, LoggedIn)
    assert found.method is Method.NONE


def test_a_password_is_not_given_away(postgres: Server) -> None:
    """A server that asks for it in the open, over a connection that is."""
    failed = log_in(postgres, IN_CLEAR)
    assert isinstance(failed, LoginFailed)
    assert failed.code == "cleartext-refused"


def test_somebody_between_is_seen(postgres: Server) -> None:
    """Bound to another certificate than the server's: the server says no."""
    failed = log_in(postgres, READER, tls=True, binding=bytes(32))
    assert isinstance(failed, LoginFailed)
    assert failed.detail["message"] == "SCRAM channel binding check failed"


@pytest.mark.parametrize(
    ("database", "parameters", "code", "sqlstate"),
    [
        ("nowhere", (), "server-refused", "3D000"),
        ("crm", (("TimeZone", "Mars/Olympus"),), "settings-refused", "22023"),
        ("crm", (("no_such_setting", "1"),), "settings-refused", "42704"),
        ("crm", (("log_statement", "none"),), "server-refused", "42501"),
        ("crm", (("shared_buffers", "1GB"),), "settings-refused", "55P02"),
    ],
)
def test_what_the_server_does_not_have(
    postgres: Server, database: str, parameters: tuple[tuple[str, str], ...], code: str, sqlstate: str
) -> None:
    """The client is told, in our words; the server's are kept."""
    failed = log_in(postgres, READER, database=database, parameters=parameters)
    assert isinstance(failed, LoginFailed)
    assert (failed.code, failed.sqlstate, failed.detail["sqlstate"]) == (code, sqlstate, sqlstate)


def passwords(count: int) -> list[str]:
    """Passwords of all sorts, the same ones each time: of what Unicode 3.2 knew and did not, and of what SASLprep looks
    for."""
    chosen = random.Random(4013)
    special = "\u00a0\u00ad\u200b\u200d\u2060\ufeff\u0340\u0627\u0628\u05d0\u0031 a\u00aa\u2168\u0301\u200f\ue000\ufb01"
    ranges = ((0x20, 0x7F), (0x80, 0x250), (0x300, 0x700), (0x2000, 0x2200), (0xF900, 0xFFFF), (0x1D100, 0x1F700))
    made = []
    for _ in range(count):
        size = chosen.randrange(1, 6)
        chars = [
            chosen.choice(special) if chosen.random() < 0.5 else chr(chosen.randrange(*chosen.choice(ranges)))
            for _ in range(size)
        ]
        made.append("".join(chars))
    return made


def test_verifiers_are_the_server_s(postgres: Server) -> None:
    """Whatever is in a password, PostgreSQL derives the same keys from it, so it prepares it the same way."""
    made = passwords(300)
    creating = [f"CREATE ROLE saslprep_{number} PASSWORD {literal(text)};\n" for number, text in enumerate(made)]
    try:
        postgres.sql("SET password_encryption = 'scram-sha-256';\n" + "".join(creating))
        rows = postgres.sql("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'saslprep%'")
    finally:
        postgres.sql("".join(f"DROP ROLE IF EXISTS saslprep_{number};\n" for number in range(len(made))))
    kept = {int(name.removeprefix("saslprep_")): Verifier.parse(text) for name, text in rows}
    assert len(kept) == len(made)
    other = [
        made[number]
        for number, verifier in kept.items()
        if Verifier.of(made[number].encode(), verifier.salt, verifier.iterations) != verifier
    ]
    assert other == []
