"""Agents that work without a pause, in all of the protocol's ways, whatever is killed meanwhile.

Each statement and each row says which it is, by a mark of its own as a constant or a value, so that what came to the
server can be held against what was recorded, and what is in the table against what agents were told.
"""

import os
import random
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR

from extproc.protocols.postgres.wire.backend import CommandComplete, ErrorResponse
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from extproc.protocols.postgres.wire.results import CopyInResponse
from tests.postgres.gateway.talking import Client, ready, rows, tags
from tests.support.postgres_binaries import clean_environment, program

TABLE = "CREATE TABLE marks (mark text, part integer)"
MARK = re.compile(r"'([nb]\d+/(?:\d+/)+)'")
"""A mark, wherever it is written: a constant, a comment, a value in the server's log."""

PARTS = 20
"""Rows of a COPY."""

_INSERT = "INSERT INTO marks VALUES"
_LINES = 300
_READ = "SELECT 'MARK', repeat('x', 500) FROM generate_series(1, 300)"
_SCRIPT = f"\\set n :n + 1\n{_INSERT} ('b:run/:client_id/:n/', 0);\n"


class Agent:
    """One that does what chance says, on a new connection when one breaks. `told` are the marks of what it was told is
    written, with how many rows; `faults` is what it should never see; `errors` counts SQLSTATEs."""

    def __init__(self, dsn: str, number: int, seed: int) -> None:
        self._dsn = dsn
        self._number = number
        self._chance = random.Random(f"{seed}:{number}")
        self._count = 0
        self._stop = threading.Event()
        self._client: Client | None = None
        self.told: dict[str, int] = {}
        self.errors: Counter[str] = Counter()
        self.ways: Counter[str] = Counter()
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def answers(self) -> int:
        """How many pieces of work came to their end."""
        return self.ways.total()

    def kill(self) -> None:
        """Its connection is gone in the middle of whatever it does, as when its process is killed."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.socket.shutdown(SHUT_RDWR)

    def stop(self) -> None:
        """No more work after this one."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the end of what it does. Raises AssertionError where it hangs."""
        self._thread.join(30)
        assert not self._thread.is_alive(), f"agent {self._number} hangs"

    def _run(self) -> None:
        ways: list[Callable[[Client], dict[str, int]]] = [
            self._simple, self._transaction, self._extended, self._named, self._pipeline, self._copy_in,
            self._copy_out, self._rows,
        ]  # fmt: skip
        while not self._stop.is_set():
            try:
                with Client(self._dsn) as client:
                    self._client = client
                    self._greeted(client)
                    while not client.over and not self._stop.is_set():
                        way = self._chance.choice(ways)
                        told = way(client)
                        if not client.over:
                            self.told |= told
                            self.ways[way.__name__] += 1
            except ConnectionError:
                self._stop.wait(0.02)  # nobody listens now
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")

    def _greeted(self, client: Client) -> None:
        for message in client.greeting:
            if isinstance(message, ErrorResponse):
                self.errors[dict(message.fields)["C"]] += 1
        if client.over:
            self._stop.wait(0.02)

    def _mark(self) -> str:
        self._count += 1
        return f"n{self._number}/{self._count}/"

    def _heard(self, said: list[object], wanted: list[str]) -> bool:
        """Whether this is what it was told, rather than an error."""
        for message in said:
            if isinstance(message, ErrorResponse):
                self.errors[dict(message.fields)["C"]] += 1
        return ready(said) and tags(said) == wanted

    # -- ways to work: what each was told is written ---------------------------------------------------------------

    def _simple(self, client: Client) -> dict[str, int]:
        mark = self._mark()
        return {mark: 1} if self._heard(client.query(f"{_INSERT} ('{mark}', 0)"), ["INSERT 0 1"]) else {}

    def _transaction(self, client: Client) -> dict[str, int]:
        mark = self._mark()
        for sql, tag in (("BEGIN", "BEGIN"), (f"{_INSERT} ('{mark}', 0)", "INSERT 0 1"), ("COMMIT", "COMMIT")):
            if not self._heard(client.query(sql), [tag]):
                client.query("ROLLBACK")
                return {}
        return {mark: 1}

    def _extended(self, client: Client) -> dict[str, int]:
        mark = self._mark()
        client.send(Parse("", f"{_INSERT} ($1, 0)"), Bind("", "", (), (mark.encode(),)), Execute(""), Sync())
        return {mark: 1} if self._heard(client.until(ready), ["INSERT 0 1"]) else {}

    def _named(self, client: Client) -> dict[str, int]:
        name = self._mark()
        client.send(Parse(name, f"/* '{name}' */ {_INSERT} ($1, 0)"), Sync())
        if not self._heard(client.until(ready), []):
            return {}
        told = {}
        for mark in (self._mark(), self._mark()):
            client.send(Bind("", name, (), (mark.encode(),)), Execute(""), Sync())
            if self._heard(client.until(ready), ["INSERT 0 1"]):
                told[mark] = 1
        return told

    def _pipeline(self, client: Client) -> dict[str, int]:
        """All of it is one transaction."""
        marks = [self._mark() for _ in range(4)]
        for mark in marks:
            client.send(Parse("", f"{_INSERT} ('{mark}', $1)"), Bind("", "", (), (b"0",)), Execute(""))
        client.send(Sync())
        return dict.fromkeys(marks, 1) if self._heard(client.until(ready), ["INSERT 0 1"] * 4) else {}

    def _copy_in(self, client: Client) -> dict[str, int]:
        mark = self._mark()
        client.send(Query(f"COPY marks FROM STDIN -- '{mark}'"))
        said = client.until(lambda heard: ready(heard) or isinstance(heard[-1] if heard else None, CopyInResponse))
        if not ready(said) and not client.over:
            for part in range(PARTS):
                client.send(CopyData(f"{mark}\t{part}\n".encode()))
            client.send(CopyDone())
            said += client.until(ready)
        return {mark: PARTS} if self._heard(said, [f"COPY {PARTS}"]) else {}

    def _copy_out(self, client: Client) -> dict[str, int]:
        said = client.query(f"COPY ({_READ.replace('MARK', self._mark())}) TO STDOUT")
        self._whole(said, sum(isinstance(message, CopyData) for message in said))
        return {}

    def _rows(self, client: Client) -> dict[str, int]:
        said = client.query(_READ.replace("MARK", self._mark()))
        self._whole(said, len(rows(said)))
        return {}

    def _whole(self, said: list[object], lines: int) -> None:
        """Who is told that all came has all."""
        self._heard(said, [])
        if any(isinstance(message, CommandComplete) for message in said) and lines != _LINES:
            self.faults.append(f"{lines} of {_LINES} lines, and told that this is all")


class Benches:
    """pgbench, a process of its own, again and again: it ends when a connection of its does, or when it is killed."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def kill(self) -> None:
        """The process ends without a word."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """No more of them."""
        self._stop.set()
        self.kill()
        self._thread.join(30)
        assert not self._thread.is_alive(), "pgbench hangs"

    def _run(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(_SCRIPT)
            file.flush()
            run = 0
            while not self._stop.is_set():
                run += 1
                words = ["-n", "-c", "2", "-T", "600", "-D", f"run={run}", "-D", "n=0", "-f", file.name, self._dsn]
                with subprocess.Popen(
                    [program("pgbench"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=clean_environment(), cwd=os.sep,
                ) as self._process:  # fmt: skip
                    if self._stop.is_set():
                        self._process.kill()
                    self._process.wait()
                self._stop.wait(0.05)
