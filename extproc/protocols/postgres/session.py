"""A client's connection to a PostgreSQL server as a sans-io session.

Each statement is an action of its own and goes on under a Grant of its own; so does the connection. What is refused is
replaced by a statement that fails, so that the server itself raises an error at that very place: the transaction, what
is skipped until a Sync, and the answer after it are the server's in any case, and the client is told the gateway's
words in place of the server's. So what the client believes of its transaction and what is true can't differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.hold import Hold
from extproc.masking.plan import Knowledge
from extproc.protocols.connection import (
    CancelAsked,
    Command,
    Connect,
    Connected,
    ConnectFailed,
    Drawn,
    Event,
    Learned,
    Overdue,
)
from extproc.protocols.postgres import errors
from extproc.protocols.postgres.action import Scene, connecting
from extproc.protocols.postgres.answering import Answering
from extproc.protocols.postgres.asking import Asking
from extproc.protocols.postgres.definitions import Definitions, Unbelieved
from extproc.protocols.postgres.link import Link
from extproc.protocols.postgres.look import LOOK
from extproc.protocols.postgres.masks.defined import Defined
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.pinned import Pins
from extproc.protocols.postgres.sql import Reader
from extproc.protocols.postgres.sql.tree import MAJOR
from extproc.protocols.postgres.tag import SETTING, Tag, kept
from extproc.protocols.postgres.wire import backend
from extproc.protocols.session import Cause, Decide, Decided, Lost, Pending, Received, Stopped

_CONNECT = 0
_TEXTS = 128
"""Statements whose meaning one session remembers."""

_STOPPED = {
    Cause.LIMIT: errors.LIMIT_EXCEEDED,
    Cause.IDENTITY: errors.ADMIN_SHUTDOWN,
    Cause.TARGET: errors.ADMIN_SHUTDOWN,
    Cause.UNAVAILABLE: errors.OPERATOR_INTERVENTION,
}


Settings = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LoggedInAs:
    """What the server said when the gateway logged in: its settings, as whom, what was chosen for the session, and what
    the server calls its process (`pid`)."""

    settings: Mapping[str, str]
    user: str
    role: str | None = None
    read_only: bool = False
    pid: int = 0


class PostgresSession:
    """protocols.connection.Connection for one client, who wants these `settings` from the start. `secret` is what it
    can be cancelled by; `key` keys digests; `limit` is the longest message of a client (bytes) that is read; `known`
    gives the rules and credentials in force; `tag` gave the server the name that it was to call the session.
    `definitions` says for how long what was learnt of tables may be believed."""

    def __init__(
        self,
        scene: Scene,
        settings: Settings,
        known: Callable[[], Knowledge],
        key: bytes,
        secret: bytes,
        limit: int,
        tag: Tag | None = None,
        *,
        definitions: Definitions | None = None,
    ) -> None:
        # One of its own: steps of several sessions may run at the same time, in threads.
        reader = Reader(_TEXTS)
        self._link = Link(scene, known, reader, tag or Tag(), definitions or Unbelieved())
        self._asking = Asking(self._link, key, limit)
        self._answering = Answering(self._link)
        self._settings = settings
        self._link.own_settings.update(name for name, _ in settings if "." in name)
        self._key = key
        self._secret = secret
        self._ready = False

    def start(self) -> list[Command]:
        """The first commands: the connection itself is decided."""
        scene = self._link.scene
        return [Decide(_CONNECT, connecting(scene, self._settings, self._key), scene.target.wait_seconds)]

    @property
    def scene(self) -> Scene:
        """Where statements run now, as far as it is known."""
        return self._link.scene

    def heavy(self, lane: Lane) -> bool:
        """See protocols.connection.Connection: statements are parsed, and rows that are masked are more work than rows
        that pass."""
        if lane is Lane.REQUEST:
            return self._link.copying is None
        first = self._link.pipeline.first
        return first is not None and first.work is not None and first.work.mask is not None

    @property
    def load(self) -> int:
        """See protocols.connection.Connection: a short message may ask for a long text that was prepared."""
        return self._asking.load

    def credit(self, lane: Lane) -> bool:
        """See protocols.connection.Connection."""
        return not (self._asking.full if lane is Lane.REQUEST else self._answering.full)

    def handle(self, event: Event) -> list[Command]:
        """See protocols.connection.Connection."""
        link = self._link
        if not link.ended:
            self._step(event)
            if self._ready and not link.ended:
                self._asking.go_on()
        return link.take()

    def _step(self, event: Event) -> None:
        link = self._link
        match event:
            case Received(Lane.REQUEST, data, end):
                if self._ready:
                    self._asking.receive(data)
                elif data:
                    # Nobody may speak before it is told that the connection is ready.
                    link.broken("Something was sent before the connection was ready.")
                if end:
                    link.end("client-left")
            case Received(Lane.RESPONSE, data, end):
                self._answering.receive(data)
                if end:
                    link.end("upstream-ended", errors.fatal(errors.ADMIN_SHUTDOWN, "The server ended the connection."))
            case Decided(ask, outcome):
                self._decided(ask, outcome)
            case Pending(_, hold):
                self._held(hold)
            case Connected(LoggedInAs() as login):
                self._connected(login)
            case ConnectFailed(code, message):
                link.end(code, errors.fatal("08006", message))
            case Learned(Question() as question, answer):
                rows = answer if isinstance(answer, list) else None
                if not self._asking.learned(question, rows):
                    self._answering.learned(question, rows)
            case Learned(Defined() as question, answer):
                self._asking.defined(question, answer if isinstance(answer, list) else None)
            case Drawn(_, enough):
                self._answering.drawn(enough)
            case Overdue(under):
                self._answering.overdue(under)
            case CancelAsked():
                self._asking.cancel()
            case Stopped(cause, code, message):
                link.end(code, errors.fatal(_STOPPED[cause], message, f"Code {code}."))
            case Lost(why):
                link.end(why)
            case _:
                link.end("unexpected-event")

    def _decided(self, ask: int, outcome: Grant | Refusal) -> None:
        link = self._link
        if ask != _CONNECT or link.grant is not None:
            self._asking.decided(ask, outcome)
        elif isinstance(outcome, Grant):
            link.grant = outcome
            link.do(Connect(outcome))
        else:
            link.end(f"refused:{outcome.kind.value}", errors.refused(outcome, errors.fatal))

    def _held(self, hold: Hold) -> None:
        link = self._link
        until = datetime.fromtimestamp(hold.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wait = link.scene.target.wait_seconds
        link.tell(errors.held(hold, wait, until, link.scene.transaction == backend.Transaction.OPEN))

    def _connected(self, login: LoggedInAs) -> None:
        """Tell the client what a server tells, and find out where its statements run before it may send any."""
        link = self._link
        settings = dict(login.settings)
        if SETTING in settings:
            # A name that is too long, or no ASCII, is told as a server keeps it.
            own = kept(link.scene.application, settings.get("server_version", "")) if link.tag else None
            settings[SETTING] = link.tag.heard(settings[SETTING], own)
        application = settings.get(SETTING, link.scene.application)
        link.scene = replace(link.scene, user=login.user, role=login.role or login.user, application=application)
        link.pins = Pins(login.role, login.read_only)
        link.alike = settings.get("server_version", str(MAJOR)).partition(".")[0] == str(MAJOR)
        said = [backend.ParameterStatus(name, value).encode() for name, value in settings.items()]
        link.tell(b"".join(said) + backend.BackendKeyData(login.pid, self._secret).encode())
        link.stale = True
        link.look(LOOK, opening=True)
        self._ready = True
