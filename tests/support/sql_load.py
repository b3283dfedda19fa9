"""Clients that bring many transactions or many connections: pgbench and pgbouncer."""

import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.support.gateway import free_port
from tests.support.postgres_binaries import clean_environment, owner, program, reachable_folder
from tests.support.postgres_process import Log, Process
from tests.support.sql_work import Result

SECONDS = 120.0
# For pgbench's scripts, on the database of tests/support/postgres_crm.sql.
READS = """\\set id random(1, 3)
SELECT name, card FROM customers WHERE id = :id;
BEGIN;
SELECT sum(total) FROM orders WHERE customer = :id;
COMMIT;
"""
PIPELINE = """\\set id random(1, 3)
\\startpipeline
SELECT name FROM customers WHERE id = :id;
SELECT sum(total) FROM orders WHERE customer = :id;
\\endpipeline
"""
WRITES = "INSERT INTO orders (customer, total) VALUES (1, 0.01);\n"
# What pgbench has built in ("Builtin Scripts"), in pipelines, on the tables that `prepare` makes.
TPCB_PIPELINE = """\\set aid random(1, 100000)
\\set tid random(1, 10)
\\set delta random(-5000, 5000)
\\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, 1, :aid, :delta, CURRENT_TIMESTAMP);
END;
\\endpipeline
"""

Mode = Literal["simple", "extended", "prepared"]
Builtin = Literal["tpcb-like", "select-only"]


def pgbench(dsn: str, script: str, mode: Mode, *, clients: int = 2, transactions: int = 20) -> Result:
    """A script, so many times by so many clients: {"done", "failed"}, or {"broken"} with pgbench's last words."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        return _benched("-f", file.name, "-M", mode, "-c", str(clients), "-t", str(transactions), dsn)


def pgbench_builtin(dsn: str, script: Builtin, mode: Mode, *, clients: int = 2, transactions: int = 20) -> Result:
    """The same with one of pgbench's own scripts, on the tables that `prepare` makes."""
    return _benched("-b", script, "-M", mode, "-c", str(clients), "-t", str(transactions), dsn)


def prepare(dsn: str) -> None:
    """Make pgbench's tables, at scale 1. Raises AssertionError."""
    words = [program("pgbench"), "-i", "-q", "-n", dsn]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, env=clean_environment())
    assert done.returncode == 0, done.stderr


def _benched(*words: str) -> Result:
    done = subprocess.run(
        [program("pgbench"), "-n", *words], capture_output=True, text=True, timeout=SECONDS, env=clean_environment()
    )
    counts = dict(re.findall(r"number of (transactions actually processed|failed transactions): (\d+)", done.stdout))
    if done.returncode or len(counts) != 2:
        return {"broken": done.stderr[-1000:]}
    return {"done": int(counts["transactions actually processed"]), "failed": int(counts["failed transactions"])}


class PgBouncer:
    """pgbouncer in front of a database: `with PgBouncer(dsn) as pool`, and `pool.dsn` leads through it. `mode` is its
    pool_mode: session or transaction. It logs in with what the dsn says, and its clients with a password of its own."""

    def __init__(self, dsn: str, *, mode: str = "transaction", size: int = 2) -> None:
        url = urlsplit(dsn)
        words = dict(parse_qsl(url.query))
        self.folder, self.port, self._log = reachable_folder(), free_port(), Log()
        self.password = secrets.token_hex(8)
        self.database = unquote(url.path[1:])
        self.dsn = f"postgresql://anybody:{self.password}@127.0.0.1:{self.port}/{quote(self.database)}?sslmode=disable"
        tls = [f"server_tls_sslmode = {words.get('sslmode', 'disable')}"]
        if "sslrootcert" in words:
            tls.append(f"server_tls_ca_file = {words['sslrootcert']}")
        (self.folder / "users.txt").write_text(f'"anybody" "{self.password}"\n')
        user, password = unquote(url.username or ""), unquote(url.password or "")
        target = f"host={url.hostname} port={url.port} dbname={self.database} user={user} password={password}"
        lines = [
            "[databases]",
            f"{self.database} = {target}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = scram-sha-256",
            f"auth_file = {self.folder / 'users.txt'}",
            f"pool_mode = {mode}",
            f"default_pool_size = {size}",
            "ignore_startup_parameters = extra_float_digits",  # JDBC sends it
            *tls,
        ]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        for file in self.folder.iterdir():
            owner().give(file)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.text

    def __enter__(self) -> Self:
        self._process = Process([program("pgbouncer"), str(self.folder / "pgbouncer.ini")], self.folder, self._log)
        self._log.wait_for("process up")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
