"""A real PostgreSQL server for tests, in a folder of its own: `with Server(...) as server`.

The system's PostgreSQL (`system_binaries`) or the newer major that `deploy/tools/fetch postgres` gets
(`newer_binaries`). PostgreSQL refuses to run as root; for root it runs as `postgres` or `nobody`.
"""

import csv
import io
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from tests.support.envoy_tls import Authority
from tests.support.gateway import free_port
from tests.support.postgres_binaries import (
    clean_environment,
    literal,
    owner,
    program,
    reachable_copy,
    reachable_folder,
    system_binaries,
)
from tests.support.postgres_process import Log, Process

ADMIN, ADMIN_PASSWORD = "admin", "admin-password"


@dataclass(frozen=True, slots=True)
class Role:
    """A role and the lines of pg_hba.conf that let it in over TCP. `method` is pg_hba.conf's: scram-sha-256, md5,
    password, cert or trust; with `tls` only over TLS. `options` are CREATE ROLE's."""

    name: str
    password: str = ""
    method: str = "scram-sha-256"
    tls: bool = False
    options: str = ""

    @property
    def rule(self) -> str:
        """Its line of pg_hba.conf."""
        kind = "hostssl" if self.tls or self.method == "cert" else "host"
        return f'{kind} all "{self.name}" 127.0.0.1/32 {self.method}'

    @property
    def statements(self) -> str:
        """What creates it. The password is kept as its method needs it (PostgreSQL's "Password Authentication")."""
        kept = "md5" if self.method == "md5" else "scram-sha-256"
        password = f" PASSWORD {literal(self.password)}" if self.password else ""
        return f"SET password_encryption = '{kept}';\nCREATE ROLE \"{self.name}\" LOGIN {self.options}{password};\n"


READER = Role("reader", "reader-password")
WRITER = Role("writer", "writer-password")
BY_MD5 = Role("by_md5", "md5-password", "md5", options="IN ROLE reader")
IN_CLEAR = Role("in_clear", "clear-password", "password", options="IN ROLE reader")
BY_CERTIFICATE = Role("by_certificate", method="cert", options="IN ROLE reader")
CRM = Path(__file__).with_name("postgres_crm.sql")


class Server:
    """One PostgreSQL on 127.0.0.1 and on a unix socket, on which everybody who can reach the folder is ADMIN.

    `databases` are databases to create and the SQL to load into each, by ADMIN; `settings` are postgresql.conf's; `hba`
    are lines of pg_hba.conf before those of the `roles`. With `tls` it offers TLS with a certificate for `localhost`
    and 127.0.0.1 by `authority`, which client certificates (method cert) come from, too.
    """

    def __init__(
        self,
        *,
        roles: Sequence[Role] = (READER, WRITER),
        databases: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        hba: Sequence[str] = (),
        tls: bool = False,
        binaries: Path | None = None,
    ) -> None:
        self.roles = {role.name: role for role in (Role(ADMIN, ADMIN_PASSWORD), *roles)}
        self.folder = reachable_folder()
        self.sockets, self.data = self.folder / "s", self.folder / "data"
        self.port = free_port()
        self._process: Process | None = None
        self._log = Log()
        self._loaded = False
        self._databases = dict(databases or {})
        try:
            self.authority = Authority(self.folder / "tls", "the tests' PostgreSQL") if tls else None
            self._binaries = reachable_copy(binaries or system_binaries(), self.folder)
            self._create(settings or {}, hba)
        except BaseException:
            self._remove()
            raise

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it and, the first time, load what it was made for; returns when it accepts connections."""
        before = self._log.length
        self._process = Process([str(self._binaries / "postgres"), "-D", str(self.data)], self.folder, self._log)
        self.wait_for_log("database system is ready to accept connections", after=before)
        if not self._loaded:
            self._loaded = True
            self.sql("".join(role.statements for role in self.roles.values() if role.name != ADMIN))
            self.sql(f"ALTER ROLE {ADMIN} PASSWORD {literal(ADMIN_PASSWORD)}")
            for name, statements in self._databases.items():
                self.sql(f'CREATE DATABASE "{name}"')
                self.sql(statements, name)
        return self

    def stop(self) -> None:
        """Let it end its sessions and write what it has ("fast shutdown"); it can be started again."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it in the middle of whatever it does; it can be started again, and recovers."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The first process, which the others are children of."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._end(signal.SIGQUIT)
        self._remove()

    # -- use -----------------------------------------------------------------------------------------------------------

    def dsn(self, role: str = READER.name, database: str = "postgres", *, port: int = 0, **options: str) -> str:
        """The URL of a database for this role, as libpq, asyncpg and SQLAlchemy take it; with another port it leads
        through something else. `options` are libpq's: sslmode="verify-full" ...; without one there is no TLS."""
        chosen = self.roles[role]
        password = f":{quote(chosen.password, safe='')}" if chosen.password else ""
        words = {"sslmode": "disable"} | options
        if words["sslmode"].startswith("verify"):
            words = {"sslrootcert": str(self.ca)} | words
        host = "localhost" if words["sslmode"] == "verify-full" else "127.0.0.1"
        return f"postgresql://{quote(role)}{password}@{host}:{port or self.port}/{quote(database)}?{urlencode(words)}"

    @property
    def ca(self) -> Path:
        """The certificate that the server's comes from."""
        assert self.authority is not None, "it has no TLS"
        return self.authority.folder / "ca.pem"

    def client_certificate(self, name: str) -> Path:
        """A file with a new certificate of this common name and its key, as libpq takes it for sslcert and sslkey."""
        assert self.authority is not None, "it has no TLS"
        self.authority.issue(name)
        made = self.authority.folder / f"{name}.pem"
        made.chmod(0o600)
        return made

    @property
    def major(self) -> int:
        """15, 18 ..."""
        return int((self.data / "PG_VERSION").read_text())

    def sql(self, statements: str, database: str = "postgres") -> list[list[str]]:
        """Run SQL as ADMIN, past all rules, and return the rows of all its results. Raises AssertionError."""
        command = [program("psql"), "-XqtA", "--csv", "-v", "ON_ERROR_STOP=1", "-h", str(self.sockets)]
        done = subprocess.run(
            [*command, "-p", str(self.port), "-U", ADMIN, "-d", database, "-f", "-"],
            input=statements,
            capture_output=True,
            text=True,
            env=clean_environment() | {"PGCLIENTENCODING": "UTF8"},
        )
        assert done.returncode == 0, done.stderr
        return list(csv.reader(io.StringIO(done.stdout)))

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.text

    def wait_for_log(self, text: str, *, after: int = 0) -> None:
        """Return when a line with this text is in the log, from line number `after` on. Raises AssertionError when the
        server ends first or time runs out."""
        self._log.wait_for(text, after=after)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _create(self, settings: Mapping[str, str], hba: Sequence[str]) -> None:
        """Make its files, and give them to whom it runs as."""
        self.sockets.mkdir()
        usual = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "max_connections": "60",
            "shared_buffers": "16MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # Nothing here has to outlive the machine.
            "fsync": "off",
        }
        if self.authority is not None:
            self.authority.issue("server", hosts=("localhost", "127.0.0.1"))
            files = {"ssl_cert_file": "server.pem", "ssl_key_file": "server.pem", "ssl_ca_file": "ca.pem"}
            usual |= {"ssl": "on"} | {name: str(self.authority.folder / file) for name, file in files.items()}
            (self.authority.folder / "server.pem").chmod(0o600)
            owner().give(self.authority.folder)
        owner().give(self.sockets)
        said, words = Log(), ["--username", ADMIN, "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
        made = Process([str(self._binaries / "initdb"), "-D", str(self.data), *words], self.folder, said)
        assert made.wait() == 0, said.text
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {literal(value)}\n" for name, value in (usual | dict(settings)).items())
        rules = [f"local all {ADMIN} trust", *hba, *(role.rule for role in self.roles.values())]
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(number)
            self._process = None

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def crm_server(binaries: Path) -> Server:
    """A server with TLS, the database `crm` and a role for each way to log in, which logs what it is asked; not
    started."""
    roles = (READER, WRITER, BY_MD5, IN_CLEAR, BY_CERTIFICATE)
    return Server(
        roles=roles, databases={"crm": CRM.read_text()}, tls=True, binaries=binaries, settings={"log_statement": "all"}
    )
