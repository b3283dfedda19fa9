"""TLS to the gateway, as libpq asks for it: certificates of both sides, names, and what comes too early."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, SSLRequest, StartupMessage
from tests.support.databases import ALLOWING, TESTED, DatabaseGateway
from tests.support.envoy_tls import Authority
from tests.support.gateway import Gateway
from tests.support.postgres import Server
from tests.support.postgres_binaries import clean_environment, program
from tests.support.sql_clients import python_of_clients

IDENTITY = "certificates:\n  - {spiffe: test, kind: agent}"
NAME = "crm-db.holdpoint.internal"


class Secure(DatabaseGateway):
    """A gateway with a certificate for `localhost` and its targets, which takes those of its own authority."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, policy="deadline: 5s, path: policies")
        config = self.gateway.config
        tls = "tls: {certificate: server.pem, key: server.pem, client_ca: ours/ca.pem}"
        config.write_text(
            config.read_text()
            .replace(f"postgres: 127.0.0.1:{self.port}", f"postgres: 127.0.0.1:{self.port}, {tls}")
            .replace("targets:", "".join(f"  {line}\n" for line in IDENTITY.splitlines()) + "targets:", 1)
        )
        self.ours = Authority(self.gateway.folder / "ours", "ours")
        self.ours.issue("server", hosts=("localhost", "127.0.0.1", NAME))
        made = (self.ours.folder / "server.pem").read_bytes()
        file = self.gateway.folder / "server.pem"
        file.touch(0o600)
        file.write_bytes(made)
        self.ours.issue("alpha")
        (self.ours.folder / "alpha.pem").chmod(0o600)

    def words(self, mode: str, **options: str) -> str:
        """libpq's words for a connection with a token."""
        token = self.gateway.agents.token("agent-1")
        usual = {
            "host": "localhost", "hostaddr": "127.0.0.1", "port": str(self.port), "dbname": "crm-db", "user": "agent-1",
            "password": token, "sslmode": mode, "sslrootcert": str(self.ours.folder / "ca.pem"),
        }  # fmt: skip
        return " ".join(f"{name}='{value}'" for name, value in {**usual, **options}.items() if value)


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[Secure]:
    """With a policy that allows everything."""
    made = Secure(postgres)
    folder = made.gateway.folder / "policies" / "postgres" / "everything"
    folder.mkdir(parents=True)
    (folder / "everything.rego").write_text(ALLOWING)
    (folder / "everything_test.rego").write_text(TESTED)
    (folder.parents[1] / "library.yaml").write_text("include_shipped: []\n")
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


def psql(words: str, sql: str = "SELECT 'in', current_database()") -> tuple[str, str]:
    """What psql prints, and what it complains about."""
    command = [program("psql"), "-XAt", "-d", words, "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=30)
    return done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_libpq_is_satisfied(gateway: Secure, mode: str) -> None:
    """From whether there is any TLS to whether the gateway is who it says."""
    assert psql(gateway.words(mode)) == ("in|crm", "")


def test_another_authority_is_not_believed(gateway: Secure, postgres: Server) -> None:
    """libpq's business; the gateway lives on."""
    said = psql(gateway.words("verify-full", sslrootcert=str(postgres.ca)))[1]
    assert "certificate verify failed" in said
    assert psql(gateway.words("verify-full")) == ("in|crm", "")


def test_a_server_name_names_the_target(gateway: Secure) -> None:
    """Then the database is the server's own, or the target once more; another name says nothing, and the database
    names the target."""
    assert psql(gateway.words("verify-full", host=NAME, dbname="postgres")) == ("in|postgres", "")
    assert psql(gateway.words("verify-full", host=NAME)) == ("in|crm", "")
    assert "not for that database" in psql(gateway.words("verify-full", host=NAME, dbname="crm-dbs"))[1]
    assert psql(gateway.words("verify-full", dbname="crm-db/postgres")) == ("in|postgres", "")
    assert "target" in psql(gateway.words("verify-full", dbname="postgres"))[1]


def principals(gateway: Gateway) -> list[str]:
    """Who was decided about, in order."""
    return [str(r["principal"]["subject"]) for r in gateway.records("decision")]


def test_a_client_certificate_is_enough(gateway: Secure) -> None:
    """Who shows one needs no password; with the token of somebody else it is a conflict that nobody has to solve."""
    file = str(gateway.ours.folder / "alpha.pem")
    shown = {"sslcert": file, "sslkey": file}
    assert psql(gateway.words("verify-full", password="", user="anybody", **shown)) == ("in|crm", "")
    assert principals(gateway.gateway)[-1] == "spiffe://test/alpha"
    assert psql(gateway.words("verify-full")) == ("in|crm", "")
    assert principals(gateway.gateway)[-1] == "agent-1"


def test_nobody_without_either(gateway: Secure) -> None:
    """A wrong token, and none at all."""
    assert "FATAL" in psql(gateway.words("require", password="wrong"))[1]
    assert psql(gateway.words("require", password=""))[0] == ""


def test_without_tls_a_token_is_for_loopback_only(gateway: Secure) -> None:
    """Which this is; of others, see tests/postgres/auth."""
    assert psql(gateway.words("disable")) == ("in|crm", "")


def test_what_comes_before_tls_is_nobodys(gateway: Secure) -> None:
    """CVE-2021-23214: bytes behind the request, in clear, are never taken for what comes under TLS."""
    startup = StartupMessage(PROTOCOL_3_0, (("user", "x"), ("database", "crm-db"))).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as line:
        line.sendall(SSLRequest().encode() + startup)
        said = b""
        while data := line.recv(1 << 16):
            said += data
    assert said[:1] == b"E"
    assert b"08P01" in said
    assert b"unencrypted data" in said


def test_a_handshake_that_fails_is_an_end(gateway: Secure) -> None:
    """Of this connection and no other."""
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as line:
        line.sendall(SSLRequest().encode())
        assert line.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(gateway.ours.folder / "ca.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("NULL-SHA256:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(line, server_hostname="localhost")
    assert psql(gateway.words("require")) == ("in|crm", "")


PSYCOPG = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    print(*connection.execute("SELECT 'in', current_database()").fetchone(), sep="|")
"""


def test_channel_binding_is_none_for_a_token(gateway: Secure) -> None:
    """A client that demands one does not send its token in vain."""
    assert "channel binding" in psql(gateway.words("require", channel_binding="require"))[1]


def test_a_newer_libpq(gateway: Secure) -> None:
    """As psycopg has it, with the protocol's version 3.2 as well."""
    for version in ("3.0", "latest"):
        assert psycopg(gateway.words("verify-full", max_protocol_version=version)) == "in|crm"


def test_tls_from_the_first_byte(gateway: Secure) -> None:
    """`sslnegotiation=direct`: a round trip less, and names count as ever."""
    assert psycopg(gateway.words("verify-full", sslnegotiation="direct")) == "in|crm"
    file = str(gateway.ours.folder / "alpha.pem")
    words = {"sslcert": file, "sslkey": file, "host": NAME, "dbname": "postgres", "password": ""}
    assert psycopg(gateway.words("verify-full", sslnegotiation="direct", **words)) == "in|postgres"
    assert principals(gateway.gateway)[-1] == "spiffe://test/alpha"


@pytest.mark.parametrize("offered", [None, "http/1.1"])
def test_another_protocol_gets_no_session(gateway: Secure, offered: str | None) -> None:
    """Who begins with TLS has to say that PostgreSQL is spoken in it."""
    context = ssl.create_default_context(cafile=str(gateway.ours.folder / "ca.pem"))
    if offered is not None:
        context.set_alpn_protocols([offered])
    startup = StartupMessage(PROTOCOL_3_0, (("user", "x"), ("database", "crm-db"))).encode()
    with (
        socket.create_connection(("127.0.0.1", gateway.port), 20) as line,
        suppress(ssl.SSLError, ConnectionError),
        context.wrap_socket(line, server_hostname="localhost") as secure,
    ):
        secure.sendall(startup)
        assert secure.recv(1) == b""


def test_a_handshake_in_small_pieces(gateway: Secure) -> None:
    """However it is cut, it is one."""
    context = ssl.create_default_context(cafile=str(gateway.ours.folder / "ca.pem"))
    context.set_alpn_protocols(["postgresql"])
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = context.wrap_bio(into, out, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = False
        while not done:
            try:
                inner.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in out.read():
                line.sendall(bytes([byte]))
            if not done:
                into.write(line.recv(1 << 16))
        assert inner.selected_alpn_protocol() == "postgresql"


def psycopg(words: str) -> str:
    """What psycopg's libpq gets."""
    command = [str(python_of_clients()), "-c", PSYCOPG, words]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
