"""A client that says what it is told to, message by message, and hears all that there is to hear; and psql."""

import re
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.authentication import AuthenticationCleartextPassword, PasswordMessage
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Query
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, CancelRequest, StartupMessage
from tests.support.postgres_binaries import clean_environment, program

SECONDS = 20.0
Heard = Callable[[list[object]], bool]


class Client:
    """A connection to the database that a URL names, opened as far as its end or the first ReadyForQuery. `said` is all
    that it heard and nobody asked for yet; `key` is what it can be cancelled by."""

    def __init__(self, dsn: str, version: int = PROTOCOL_3_0, **settings: str) -> None:
        url = urlsplit(dsn)
        self.address = str(url.hostname), int(url.port or 0)
        self.socket = socket.create_connection(self.address, SECONDS)
        self._framer = Framer(1 << 24)
        self.said: list[object] = []
        self.over = False
        user, database = unquote(url.username or ""), unquote(url.path[1:])
        words = {"user": user, "database": database, **settings}
        words |= {name: value for name, value in parse_qsl(url.query) if name != "sslmode"}
        self.send(StartupMessage(version, tuple(words.items())).encode())
        while not self.over and not ready(self.said):
            self.receive()
            if isinstance(self.said[-1] if self.said else None, AuthenticationCleartextPassword):
                self.send(PasswordMessage(unquote(url.password or "")).encode())
        keys = [message for message in self.said if isinstance(message, backend.BackendKeyData)]
        self.key = keys[0] if keys else None
        self.greeting, self.said = self.said, []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *messages: object) -> None:
        """Send messages, or bytes as they are."""
        data = b"".join(m if isinstance(m, bytes) else m.encode() for m in messages)  # type: ignore[attr-defined]
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def receive(self) -> None:
        """Wait for more; `over` where there is none. Raises TimeoutError."""
        data = b""
        with suppress(ConnectionError):
            data = self.socket.recv(1 << 16)
        self.over = not data
        self.said += [backend.decode_backend(frame.kind, frame.body) for frame in self._framer.feed(data)]

    def until(self, heard: Heard) -> list[object]:
        """What came until it heard what it waits for, or the end."""
        while not self.over and not heard(self.said):
            self.receive()
        said, self.said = self.said, []
        return said

    def query(self, sql: str) -> list[object]:
        """All that answers a text."""
        self.send(Query(sql))
        return self.until(ready)

    def ended(self) -> dict[str, str]:
        """Wait for the end; the fields of the last error before it, none where there was none."""
        found = self.until(lambda _: False)
        last = [message for message in found if isinstance(message, backend.ErrorResponse)]
        return dict(last[-1].fields) if last else {}

    def cancel(self, key: backend.BackendKeyData | None = None) -> None:
        """Ask on a connection of its own for what runs to be cancelled; returns when that was taken notice of."""
        key = key or self.key
        assert key is not None, self.greeting
        with socket.create_connection(self.address, SECONDS) as line:
            line.sendall(CancelRequest(key.pid, key.secret).encode())
            assert line.recv(1) == b""


def ready(said: list[object]) -> bool:
    """Whether the last that came says that the server is ready."""
    return isinstance(said[-1] if said else None, backend.ReadyForQuery)


def noticed(said: list[object]) -> bool:
    """Whether a notice came."""
    return any(isinstance(message, backend.NoticeResponse) for message in said)


def error(said: list[object]) -> dict[str, str]:
    """The fields of the only error."""
    (found,) = [message for message in said if isinstance(message, backend.ErrorResponse)]
    return dict(found.fields)


def notice(said: list[object]) -> dict[str, str]:
    """The fields of the only notice."""
    (found,) = [message for message in said if isinstance(message, backend.NoticeResponse)]
    return dict(found.fields)


def rows(said: list[object]) -> list[tuple[str | None, ...]]:
    """All rows, as text."""
    found = [message for message in said if isinstance(message, backend.DataRow)]
    return [tuple(None if value is None else value.decode() for value in row.values) for row in found]


def tags(said: list[object]) -> list[str]:
    """The words for what was done."""
    return [message.tag for message in said if isinstance(message, backend.CommandComplete)]


def status(said: list[object]) -> str:
    """The state of the transaction that it ends with."""
    last = said[-1]
    assert isinstance(last, backend.ReadyForQuery), said
    return last.status


class Psql:
    """psql that runs a script. `hold` waits for the id of the hold that it was told of."""

    def __init__(self, dsn: str, *commands: str, **environment: str) -> None:
        words = [word for command in commands for word in ("-c", command)]
        self.process = subprocess.Popen(
            [program("psql"), "-X", "-At", "-v", "VERBOSITY=verbose", "-d", dsn, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment() | environment,
        )
        self.complaints: list[str] = []
        self._held = threading.Event()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.process.kill()
        self.end()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.complaints.append(line)
            if "Hold " in line:
                self._held.set()
        self._held.set()

    @property
    def said(self) -> str:
        """All that it complained about."""
        return "".join(self.complaints)

    @property
    def hold(self) -> str:
        """The hold that it waits for, once it was told."""
        assert self._held.wait(SECONDS), "no notice came"
        found = re.search(r"Hold (\w+)\.", self.said)
        assert found, self.said
        return found.group(1)

    def end(self) -> str:
        """Wait for its end; what it printed."""
        printed = self.process.stdout.read() if self.process.stdout else ""
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return printed
