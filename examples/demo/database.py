"""The demo's database: a real PostgreSQL of this run's own, with customers. It logs what it is asked."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo import records
from examples.demo.agent_runtime import Runtime
from examples.demo.customer_api import CUSTOMERS
from examples.demo.gateway import free_addresses
from examples.demo.processes import Child, DemoFailed, Owner, Processes
from examples.demo.workplace import COMPANY, Workplace
from examples.demo.workplace import DATABASE_LOGIN as LOGIN
from examples.demo.workplace import DATABASE_NAME as NAME

PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin", "opt/homebrew/opt/postgresql*/bin")
INSTALL = "to see the agent at a database, install a server (Debian's `postgresql`) or Maven and Java, which get one"
PATIENCE_SECONDS = 60.0
ADMIN = "admin"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "30",
    "shared_buffers": "16MB",
    "fsync": "off",  # nothing here outlives the demo
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_statement": "all",
    "log_line_prefix": "%m [%p] %q%u: ",
}
FILL = "INSERT INTO customers SELECT * FROM json_populate_recordset(null::customers, %s::json)"
FOUND = """
SELECT (SELECT count(*) FROM customers) AS customers, (SELECT state FROM refunds) AS state,
    (SELECT bookings FROM refunds) AS counted, (SELECT json_agg(at ORDER BY at) FROM bookings) AS booked,
    has_table_privilege(%s, 'customers', 'DELETE') AS may_delete,
    has_function_privilege(%s, 'pg_read_file(text)', 'EXECUTE') AS may_read_files
"""
NOTES = {
    "1042": "charged twice",
    "1043": f"{records.NUMBER} paid with {records.CARD_IN_GROUPS}",
}
_LOGGED = re.compile(rf"^\S+ \S+ UTC \[\d+\] {LOGIN}: LOG:  (?:statement|execute [^:]*): (.*)")


@dataclass(frozen=True, slots=True)
class Found:
    """What the server has, as its administrator sees it, past the gateway.

    customers: how many; state, counted: of the refund, and how often it was booked as its row says; booked: when, as a
    trigger noted it, RFC 3339; may_delete, may_read_files: what the gateway's login is allowed; ran: the texts that
    the server got from that login, on one line each, oldest first.
    """

    customers: int
    state: str
    counted: int
    booked: Sequence[str]
    may_delete: bool
    may_read_files: bool
    ran: Sequence[str]


def installed() -> Path | None:
    """The folder of this machine's newest PostgreSQL server, or None."""
    found = [folder for place in PLACES for folder in Path("/").glob(place) if os.access(folder / "initdb", os.X_OK)]
    if found:
        return max(found, key=lambda folder: [int(number) for number in re.findall(r"\d+", str(folder))])
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def psql_folder(binaries: Path) -> Path | None:
    """Where the agent's shell finds psql: beside the server, or where commands are; None: nowhere. Debian's command is
    a program that looks for the one beside the server."""
    if os.access(binaries / "psql", os.X_OK) and _reachable(binaries):
        return binaries
    found = shutil.which("psql", path=os.defpath)
    return Path(found).parent if found else None


def server_owner() -> Owner | None:
    """Whom the server runs as; None: us. It refuses root, and users that have no name. Raises DemoFailed."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_uid, entry.pw_gid)
    raise DemoFailed("PostgreSQL does not run as root, and this machine has no user `postgres` or `nobody`")


class Database:
    """The server. It starts to make its files at once; `start` waits for these."""

    def __init__(self, processes: Processes, place: Workplace, binaries: Path) -> None:
        self._processes, self._place, self._owner = processes, place, server_owner()
        self.address = free_addresses(1)[0]
        self.folder = place.database
        self.psql = psql_folder(binaries)
        (self.folder / "s").mkdir(mode=0o700)
        self._binaries = binaries if self._owner is None or _reachable(binaries) else self._copy(binaries)
        self._give(self.folder)
        self.data = self.folder / "data"
        words = ["--username", ADMIN, "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
        self._making = self._run("initdb", ["-D", str(self.data), *words])

    @property
    def login(self) -> dict[str, str]:
        """Whom the gateway logs in as, and where to, in libpq's words."""
        return {"user": LOGIN, "dbname": NAME}

    def start(self, runtime: Runtime) -> None:
        """Start it, and load what it has; with the agent's own client, as us. Raises DemoFailed."""
        process = self._making.process
        try:
            status = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        if status != 0:
            raise DemoFailed(f"initdb could not make a database. It said:\n{self._making.tail()}")
        self._processes.forget(self._making)
        port = self.address.rpartition(":")[2]
        settings = SETTINGS | {"port": port, "unix_socket_directories": str(self.folder / "s")}
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        rules = [f"local all {ADMIN} trust", f"host {NAME} {LOGIN} 127.0.0.1/32 scram-sha-256"]
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n", encoding="utf-8")
        # SIGINT: it ends its sessions; for SIGTERM it would wait until they end by themselves.
        child = self._run("postgres", ["-D", str(self.data)], signal.SIGINT)
        ready = "database system is ready to accept connections"
        self._processes.wait_for(child, lambda: ready in _text(child.log), PATIENCE_SECONDS, "PostgreSQL")
        self._load(runtime)

    def found(self, runtime: Runtime) -> Found:
        """What it has now. Raises DemoFailed."""
        row = self._ask(runtime, [[NAME, FOUND, [LOGIN, LOGIN]]])[0]
        return Found(**row | {"booked": row["booked"] or [], "ran": statements(_text(self._place.log("postgres")))})

    def _load(self, runtime: Runtime) -> None:
        rows = [
            {**{name: one[name] for name in ("name", "email", "card_number", "ssn")}}
            | {"id": int(one["id"]), "note": NOTES.get(one["id"])}
            for one in CUSTOMERS
        ]
        password = self._place.database_password
        self._ask(
            runtime,
            [
                # Neither password nor customers belong into the server's log.
                ["postgres", f"ALTER ROLE {ADMIN} SET log_statement = 'none'", None],
                ["postgres", f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{password}'", None],
                ["postgres", f"CREATE DATABASE {NAME}", None],
                [NAME, (COMPANY / "crm.sql").read_text("utf-8"), None],
                [NAME, FILL, [json.dumps(rows)]],
            ],
        )

    def _ask(self, runtime: Runtime, statements: Sequence[Any]) -> list[dict[str, Any]]:
        """Run [database, text, values] one after the other, over the socket that only its owner reaches; rows of the
        last. Raises DemoFailed."""
        where = {"host": str(self.folder / "s"), "port": self.address.rpartition(":")[2], "user": ADMIN}
        program = Path(__file__).with_name("database_client.py")
        done = subprocess.run(
            [str(runtime.python), "-I", str(program)],
            input=json.dumps({"where": where, "statements": statements}),
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DemoFailed(f"the database could not be asked: {done.stderr[-2000:]}")
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def _run(self, name: str, words: list[str], stop: signal.Signals = signal.SIGTERM) -> Child:
        argv = [str(self._binaries / name), *words]
        env = {"PATH": os.defpath, "LC_ALL": "C"}
        log = self._place.log(name)
        return self._processes.start(name, argv, log, env=env, cwd=self.folder, owner=self._owner, stop=stop)

    def _copy(self, binaries: Path) -> Path:
        """A copy below the folder: its owner may not enter root's cache."""
        shutil.copytree(binaries.parent, self.folder / "program", symlinks=True)
        return self.folder / "program" / binaries.name

    def _give(self, folder: Path) -> None:
        if self._owner is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._owner.uid, self._owner.gid, follow_symlinks=False)


def statements(log: str) -> list[str]:
    """The texts that the gateway's login had the server run, from its log; each on one line."""
    ran: list[str] = []
    open_text = False
    for line in log.splitlines():
        if match := _LOGGED.match(line):
            ran.append(match[1])
        elif open_text and line.startswith("\t"):
            ran[-1] += f" {line}"
        open_text = match is not None or (open_text and line.startswith("\t"))
    return [" ".join(text.split()) for text in ran]


def _reachable(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
