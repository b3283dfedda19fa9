"""The server that is asked, and what stands before it that is not ours.

PostgreSQL refuses to run as root, and so does pgbouncer: for root they run as `postgres` or `nobody`.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import orjson

from bench.children import START_SECONDS, BenchFailed, Child
from bench.clock import Pids
from bench.net import free_port
from bench.postgres.cases import SCALE
from extproc import resources
from extproc.adapters.envoy.files import command as envoy_command

USER, DATABASE = "app", "bench"
_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")
_SECONDS = 300.0


def binary(name: str) -> str:
    """A program of PostgreSQL's, or pgbouncer. Raises BenchFailed."""
    named = os.environ.get("HOLDPOINT_POSTGRES")
    folders = [Path(named)] if named else [f for place in _PLACES for f in Path("/").glob(place)]
    newest = max(folders, key=lambda f: tuple(map(int, re.findall(r"\d+", str(f)))), default=None)
    if newest is not None and (newest / name).exists():
        return str(newest / name)
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise BenchFailed(f"no {name}: install Debian's `postgresql` and `pgbouncer`")
    return found


def environment() -> dict[str, str]:
    """Ours, without what changes how PostgreSQL's programs behave."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("PG", "LC_", "LANG"))} | {"LC_ALL": "C"}


def run(arguments: Sequence[str], *, as_owner: bool = False) -> str:
    """Run a program of PostgreSQL's to its end; what it says. Raises BenchFailed where it fails."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=environment(), timeout=_SECONDS, check=False, cwd="/",
        preexec_fn=_become(as_owner),
    )  # fmt: skip
    if done.returncode:
        raise BenchFailed(f"{Path(arguments[0]).name} failed: {done.stderr[-1000:]}")
    return done.stdout + done.stderr


class Server:
    """PostgreSQL with pgbench's tables, on a port of the loopback, asked for a password. Runs until `stop`."""

    def __init__(self) -> None:
        self._end = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="hp-pg-", dir="/tmp"))
        self._end.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.port, self.password = free_port(), secrets.token_hex(8)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        give(self.folder)
        data = self.folder / "data"
        run([binary("initdb"), "-D", str(data), "-U", "admin", "-A", "trust", "-N"], as_owner=True)
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.folder}'\n"
                "max_connections = 200\nfsync = off\nautovacuum = off\n"
            )
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        child = _owned([binary("postgres"), "-D", str(data)], self.folder)
        # Fast shutdown: it does not wait for clients.
        self._end.callback(_finish, child, signal.SIGINT)
        while b"ready to accept connections" not in child.line():
            pass
        self.pid = child.pid
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'", "postgres")
        self.sql(f"CREATE DATABASE {DATABASE}", "postgres")
        where = ["-h", str(self.folder), "-p", str(self.port), "-U", "admin"]
        run([binary("pgbench"), *where, "-i", "-q", "-s", str(SCALE), DATABASE])
        self.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}", DATABASE)

    def sql(self, text: str, database: str) -> None:
        """Run SQL as its superuser. Raises BenchFailed."""
        run([binary("psql"), "-X", "-q", "-h", str(self.folder), "-p", str(self.port), "-U", "admin", "-d", database,
             "-v", "ON_ERROR_STOP=1", "-c", text])  # fmt: skip

    @property
    def dsn(self) -> str:
        """Straight to it."""
        return dsn(self.port, USER, self.password, DATABASE)

    def stop(self) -> None:
        """End it; nothing is left."""
        self._end.close()


class PgBouncer:
    """pgbouncer before the server, one server connection for each client's. Runs until `stop`."""

    def __init__(self, server: Server) -> None:
        self.port, folder = free_port(), server.folder / "pgbouncer"
        folder.mkdir()
        (folder / "users.txt").write_text(f'"{USER}" "{server.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{DATABASE} = host=127.0.0.1 port={server.port} dbname={DATABASE} user={USER} "
            f"password={server.password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder / 'users.txt'}\n"
            "pool_mode = session\ndefault_pool_size = 64\n"
        )
        give(folder)
        self._child = _owned([binary("pgbouncer"), str(folder / "pgbouncer.ini")], folder)
        while b"process up" not in self._child.line():
            pass
        self.dsn = dsn(self.port, USER, server.password, DATABASE)
        self.pids: Pids = {"pgbouncer": [self._child.pid]}

    def stop(self) -> None:
        """End it."""
        _finish(self._child, signal.SIGINT)


class Relay:
    """A process in Python that does the same as Envoy here. Runs until `stop`."""

    def __init__(self, server: Server) -> None:
        self._child = Child([sys.executable, "-m", "bench.postgres.relay", str(server.port)])
        self.port = int(self._child.line())
        self.pids: Pids = {"databases": [self._child.pid]}

    def stop(self) -> None:
        """End it."""
        self._child.stop()


class Envoy:
    """An Envoy that does nothing but carry bytes, to the server or to what stands before it. Runs until `stop`."""

    def __init__(self, server: Server, folder: Path, relay: Relay | None = None) -> None:
        self.port = free_port()
        folder.mkdir()
        port = server.port if relay is None else relay.port
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        proxy = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "postgres",
            "cluster": "server",
        }
        listener = {
            "name": "postgres",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
            "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
        }
        endpoints = {"cluster_name": "server", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
        cluster = {"name": "server", "connect_timeout": "5s", "type": "STATIC", "load_assignment": endpoints}
        document = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        (folder / "envoy.json").write_bytes(orjson.dumps(document))
        program = envoy_command(str(resources.executable("envoy")))[0]
        arguments = ["-c", str(folder / "envoy.json"), "--use-dynamic-base-id", "--log-level", "info"]
        self._child = Child([program, *arguments], cwd=folder, read_errors=True)
        while b"starting main dispatch loop" not in self._child.line(START_SECONDS):
            pass
        self.dsn = dsn(self.port, USER, server.password, DATABASE)
        self.pids: Pids = {"envoy": [self._child.pid]}

    def stop(self) -> None:
        """End it."""
        self._child.stop()


def dsn(port: int, user: str, password: str, database: str) -> str:
    """A URL on the loopback, without TLS."""
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable"


def give(folder: Path) -> None:
    """Make a folder its owner's, with all that is in it."""
    owner = _owner()
    if owner is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *owner, follow_symlinks=False)


def _owner() -> tuple[int, int] | None:
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise BenchFailed("PostgreSQL does not run as root, and this machine has no user `postgres` or `nobody`")


def _become(owner: bool) -> Callable[[], None] | None:
    found = _owner() if owner else None
    if found is None:
        return None
    user, group = found

    def become() -> None:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)

    return become


def _owned(arguments: Sequence[str], folder: Path) -> Child:
    found = _owner()
    if found is not None:
        ids = [f"--reuid={found[0]}", f"--regid={found[1]}", "--clear-groups"]
        arguments = [shutil.which("setpriv") or "setpriv", *ids, *arguments]
    return Child(arguments, cwd=folder, env=environment(), read_errors=True)


def _finish(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        child.process.send_signal(number)
        child.process.wait(30)
    child.stop()
