"""Two ways to a real server: straight, and through a session that refuses. Without Envoy, and without an event loop.

Both log in on the server's unix socket as its ADMIN, so that there is nothing in between but the session.
"""

import os
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Grant, Lane, Refusal
from extproc.protocols.connection import (
    Ask,
    Cancel,
    CancelAsked,
    Command,
    Conclude,
    Connect,
    Connected,
    Learn,
    Learned,
    Tell,
)
from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.session import LoggedInAs, PostgresSession
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Query
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, CancelRequest, StartupMessage
from extproc.protocols.session import Abort, Decide, Decided, Received, Send
from tests.postgres.masks.answers import KNOWN
from tests.postgres.session.playbook import ALICE, DATABASE, KEY
from tests.support.postgres import ADMIN, Server

SECONDS = 20.0
_MOST = 1 << 16
Rule = Callable[[Action], Decision | Refusal]
Settings = Sequence[tuple[str, str]]


class Straight:
    """A connection of its own. `said` are the server's messages since the last time that they were taken."""

    def __init__(self, server: Server, database: str, settings: Settings = ()) -> None:
        self._path = str(server.sockets / f".s.PGSQL.{server.port}")
        self.socket = self._connected()
        self._framer = Framer(1 << 24)
        self.said: list[object] = []
        words = (("user", ADMIN), ("database", database), ("client_encoding", "UTF8"), *settings)
        self.socket.sendall(StartupMessage(PROTOCOL_3_0, words).encode())
        self.settings: dict[str, str] = {}
        while not isinstance(self.said[-1] if self.said else None, backend.ReadyForQuery):
            self.receive()
        for message in self.said:
            if isinstance(message, backend.ParameterStatus):
                self.settings[message.name] = message.value
            elif isinstance(message, backend.BackendKeyData):
                self.key = message
        self.said = []

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def receive(self) -> None:
        """Wait for more of what the server says."""
        self.hear(self.socket.recv(_MOST))

    def hear(self, data: bytes) -> None:
        """The client hears this."""
        assert data, ("the server ended the connection", self.said)
        self.said += [backend.decode_backend(frame.kind, frame.body) for frame in self._framer.feed(data)]

    def until(self, done: Callable[[list[object]], bool]) -> list[object]:
        """Go on until the client has heard what it waits for; gives all that it heard."""
        while not done(self.said):
            self.receive()
        said, self.said = self.said, []
        return said

    def cancel(self) -> None:
        """Have what runs there cancelled; returns when the server has taken notice."""
        with self._connected() as line:
            line.sendall(CancelRequest(self.key.pid, self.key.secret).encode())
            line.recv(1)

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows of one statement, as text."""
        self.send(Query(sql).encode())
        said = self.until(lambda heard: isinstance(heard[-1] if heard else None, backend.ReadyForQuery))
        assert not any(isinstance(message, backend.ErrorResponse) for message in said), said
        return [row(message) for message in said if isinstance(message, backend.DataRow)]

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _connected(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(SECONDS)
        line.connect(self._path)
        return line


def row(message: backend.DataRow) -> tuple[str | None, ...]:
    """A row as text."""
    return tuple(None if value is None else value.decode() for value in message.values)


@dataclass(frozen=True, slots=True)
class _Open:
    ask: int
    action: Action


class Through:
    """The same through a session, as its driver would do it. `rule` decides; with `late` each decision comes only after
    the server has said what it has to say. `actions` are all that was asked."""

    def __init__(self, server: Server, database: str, rule: Rule, settings: Settings = ()) -> None:
        self.server = Straight(server, database, settings)
        self.client = Framer(1 << 24)
        self.rule, self.late = rule, False
        self.said: list[object] = []
        self.actions: list[Action] = []
        self.grants: set[Grant] = set()
        self.ended: str | None = None
        self._open: list[_Open] = []
        scene = Scene(ALICE, DATABASE, database, "", "", None, application="test")
        self.session = PostgresSession(scene, settings, lambda: KNOWN, b"k" * 32, KEY.secret, 1 << 20)
        self._carry(self.session.start())
        self.until(lambda heard: isinstance(heard[-1] if heard else None, backend.ReadyForQuery))

    def send(self, pieces: Sequence[bytes]) -> None:
        """The client sends these, as fast as the session takes them."""
        for piece in pieces:
            while not self.session.credit(Lane.REQUEST):
                self._go_on()
            self._carry(self.session.handle(Received(Lane.REQUEST, piece, False)))
            if not self.late:
                self._decide()

    def until(self, done: Callable[[list[object]], bool]) -> list[object]:
        """As of Straight."""
        while not done(self.said):
            assert self.ended is None, (self.ended, self.said)
            self._go_on()
        said, self.said = self.said, []
        return said

    def cancel(self) -> None:
        """The client wants what it waits for to end."""
        self._carry(self.session.handle(CancelAsked()))

    def close(self) -> None:
        """Leave."""
        self.server.close()

    def attend(self) -> None:
        """Do what can be done now, without waiting for anybody."""
        while self._open or self._readable(0):
            self._go_on()

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self.server.socket], [], [], seconds)[0])

    def _go_on(self) -> None:
        """What the server says already comes first, then what was to be decided; or wait for the server."""
        if self._readable(0 if self._open else SECONDS):
            data = os.read(self.server.socket.fileno(), _MOST)
            self._carry(self.session.handle(Received(Lane.RESPONSE, data, not data)))
        else:
            assert self._open, ("neither side has anything to say", self.said)
            self._decide()

    def _decide(self) -> None:
        while self._open:
            asked = self._open.pop(0)
            self._carry(self.session.handle(Decided(asked.ask, self._outcome(asked.action))))

    def _outcome(self, action: Action) -> Grant | Refusal:
        ruled = self.rule(action)
        if isinstance(ruled, Refusal):
            return ruled
        grant = Grant(ruled, frozenset(Lane))
        self.grants.add(grant)
        return grant

    def _carry(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(lane, data, under):
                    assert under in self.grants, "sent under a grant that is not there, or was concluded"
                    self._hear(data) if lane is Lane.RESPONSE else self.server.send(data)
                case Ask(data, under):
                    assert under in self.grants
                    self.server.send(data)
                case Tell(data):
                    self._hear(data)
                case Decide(ask, action):
                    self.actions.append(action)
                    self._open.append(_Open(ask, action))
                case Connect():
                    told = LoggedInAs(self.server.settings, ADMIN)
                    self._carry(self.session.handle(Connected(told)))
                case Conclude(under):
                    assert under in self.grants, "concluded twice"
                    self.grants.remove(under)
                case Cancel():
                    self.server.cancel()
                case Learn(question):
                    self._carry(self.session.handle(Learned(question, None)))
                case Abort(why):
                    self.ended = why
                case _:
                    pass

    def _hear(self, data: bytes) -> None:
        self.said += [backend.decode_backend(frame.kind, frame.body) for frame in self.client.feed(data)]
