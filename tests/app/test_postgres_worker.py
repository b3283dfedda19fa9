"""The program that serves databases, put together as it runs, with something simple in the place of the protocol."""

import asyncio
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import uvloop

from extproc.adapters.access import prepare as prepare_access
from extproc.app.deciding import Deciding
from extproc.app.fingerprints import Credentials
from extproc.app.layout import Layout
from extproc.app.masking_rules import MaskingRules
from extproc.app.postgres_worker import main_of
from extproc.app.program import Beat
from extproc.app.snapshot import active, publish, snapshot
from extproc.config import Settings
from extproc.domain.target import Protocol
from extproc.protocols.handover import ALIVE, UNIQUE_ID
from extproc.server.caps import Limits
from extproc.server.live import Exchanges
from extproc.server.terminator.databases import Databases
from extproc.server.terminator.proxy_v2 import SIGNATURE, Announced
from tests.live.making import CRM, settings

ENDS = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 50_000, 5432)
BODY = ENDS + struct.pack("!BH", UNIQUE_ID, 1) + b"n"
HEAD = SIGNATURE + b"\x21\x11" + struct.pack("!H", len(BODY)) + BODY
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
MORE = 'listen: {postgres: 127.0.0.1:5433}\naudit: {otlp: null}\npolicy: {engine: "unix:///nowhere.sock"}'
LOGINS = "logins: [{{user: a, password: token}}]"
DB = f"{{name}}: {{{{protocol: postgres, upstream: postgres://127.0.0.1:5440/crm, tls: off, {LOGINS}}}}}"


class Told(asyncio.Protocol):
    """A connection: told which database a name means, as long as it asks."""

    def __init__(self, terminator: "Directory", announced: Announced) -> None:
        self._terminator, self._announced = terminator, announced
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is here."""
        self._transport = cast(asyncio.Transport, transport)
        self._terminator.open.add(self._transport)

    def data_received(self, data: bytes) -> None:
        """A name came."""
        assert self._transport is not None
        found = self._terminator.databases.named(data.decode().strip())
        name = "nothing" if found is None else f"{found.name} for {self._announced.source}"
        self._transport.write(name.encode() + b"\n")


class Directory:
    """A terminator that knows what databases there are."""

    def __init__(self, settings: Settings, deciding: Deciding, databases: Databases) -> None:
        self.settings, self.deciding, self.databases = settings, deciding, databases
        self.open: set[asyncio.Transport] = set()
        self.drained: list[float] = []

    def accept(self, announced: Announced) -> asyncio.Protocol:
        """Serve one more."""
        return Told(self, announced)

    async def drain(self, seconds: float) -> None:
        """End all."""
        self.drained.append(seconds)
        for transport in self.open:
            transport.close()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path, as unix sockets want one; what the program sets of the process is taken back."""
    before = os.umask(0o077)
    folder = Path(tempfile.mkdtemp(prefix="hp-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    os.umask(before)


def prepared(home: Path, *targets: str) -> Settings:
    """A state folder as `up` has it before it starts a program."""
    given = settings(home, CRM, *targets, more=MORE)
    layout = Layout(given.state)
    layout.prepare()
    prepare_access(layout.access, layout.keys)
    Credentials(given, layout).look()
    MaskingRules(given, layout).start()
    publish(snapshot(given), active(layout))
    return given


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_the_program(home: Path, runner: Callable[..., None]) -> None:
    """It says its version once it serves, serves on its own socket, follows the configuration, and when told to stop
    takes no more and ends what is open."""
    given = prepared(home)
    layout, made = Layout(given.state), list[Directory]()

    def make(settings: Settings, deciding: Deciding, databases: Databases) -> Directory:
        made.append(Directory(settings, deciding, databases))
        return made[-1]

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)

    async def use() -> None:
        stop, beat = asyncio.Event(), Beat(layout.beat("postgres-0"))
        running = asyncio.create_task(main_of(given, 0, make)(stop, beat))
        socket = layout.postgres_socket(0)
        await until(lambda: running.done() or socket.is_socket())
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(HEAD + b"crm-db\n")
        assert await reader.readline() == b"nothing\n"
        before = beat.version()
        publish(snapshot(settings(home, CRM, DB.format(name="crm-db"), more=MORE)), active(layout))
        await until(lambda: beat.version() != before)
        writer.write(b"crm-db\n")
        assert await reader.readline() == b"crm for Endpoint(host='192.0.2.7', port=50000)\n"
        asking, asks = await asyncio.open_unix_connection(str(socket))
        asks.write(LOCAL)
        assert await asking.read() == ALIVE
        asks.close()
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        (directory,) = made
        deciding = directory.deciding
        assert isinstance(deciding.exchanges, Exchanges)
        assert deciding.caps.limits == Limits(64, 64 << 20).share(2)
        database = directory.databases.named("crm-db")
        assert database is not None
        assert database.target.protocol is Protocol.POSTGRES
        stop.set()
        assert await reader.read() == b""
        writer.close()
        await running
        assert directory.drained == [5.0]

    runner(use())
    assert (layout.journal / "postgres-0").is_dir()
