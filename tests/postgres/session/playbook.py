"""A PostgreSQL session as a transcript: what client and server say, what is decided, what each of them gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from extproc.domain.action import Action
from extproc.domain.decision import Decision, Effect, Mode, Reason, Severity
from extproc.domain.grant import Grant, Lane, Refusal, RefusalKind
from extproc.domain.limits import UNLIMITED, Limits
from extproc.domain.mask import Mask
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Protocol, Target
from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Knowledge
from extproc.protocols.connection import (
    Ask,
    Cancel,
    Close,
    Command,
    Conclude,
    Connect,
    Connected,
    Deadline,
    Draw,
    Event,
    Learn,
    Learned,
    Refuse,
    Tell,
    Withdraw,
)
from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.definitions import Definitions
from extproc.protocols.postgres.masks.catalogue import Answer
from extproc.protocols.postgres.masks.defined import Defined
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.session import LoggedInAs, PostgresSession
from extproc.protocols.postgres.tag import Tag
from extproc.protocols.postgres.wire.backend import (
    BackendKeyData,
    BindComplete,
    CloseComplete,
    CommandComplete,
    DataRow,
    Field,
    ParseComplete,
    ReadyForQuery,
    RowDescription,
    Transaction,
    decode_backend,
)
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Query, decode_frontend
from extproc.protocols.session import Abort, Decide, Decided, Received, Send

ALICE = Principal("https://issuer.test", "alice", Kind.AGENT)
DATABASE = Target("crm-db", Protocol.POSTGRES, "production")
KEY = BackendKeyData(7, b"\1\2\3\4")
SETTINGS = {"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"}
Rule = Callable[[Action], Decision | Refusal | None]


def allowed(*masks: Mask, limits: Limits = UNLIMITED) -> Decision:
    """A decision that lets an action on."""
    reason = Reason("test.allow", "ok", "Allowed", Severity.LOW, Mode.ENFORCE, Effect.ALLOW)
    return Decision("d" * 24, Effect.ALLOW, "r1", (reason,), masks, limits=limits)


def blocked(message: str = "Not that") -> Refusal:
    """A refusal by policy."""
    reason = Reason("test.block", "no", message, Severity.HIGH, Mode.ENFORCE, Effect.BLOCK)
    return Refusal(Decision("b" * 24, Effect.BLOCK, "r1", (reason,)), RefusalKind.BLOCKED)


def unsettled(action: Action) -> Decision | Refusal | None:
    """A rule that holds everything, as a gate does it: what is not settled is to be; then the question stays open."""
    if action.settled is False:
        return Refusal(blocked().decision, RefusalKind.UNSETTLED)
    return allowed() if action.verb == "CONNECT" else None


def text(name: str, table: int = 0, column: int = 0, kind: int = 25, binary: bool = False) -> Field:
    """A column of a result."""
    return Field(name, table, column, kind, -1, -1, int(binary))


def row(*values: str | None) -> DataRow:
    """A row of texts."""
    return DataRow(tuple(None if value is None else value.encode() for value in values))


IDLE = ReadyForQuery(Transaction.IDLE)


def looked(
    path: str = '"$user", public', role: str = "none", user: str = "app", status: ReadyForQuery = IDLE
) -> tuple[object, ...]:
    """What a server answers to the gateway's own question."""
    answers = zip(("search_path", "role", "session_authorization"), (path, role, user), strict=True)
    rows = [(RowDescription((text(name),)), row(value), CommandComplete("SHOW")) for name, value in answers]
    return (*(message for each in rows for message in each), status)


LOOKED = looked()


def looked_beside(path: str = '"$user", public', role: str = "none", user: str = "app") -> tuple[object, ...]:
    """The same where it was asked beside what the client has unnamed."""
    closed = (CloseComplete(), CloseComplete())
    answers = [
        (*closed, ParseComplete(), BindComplete(), row(one), CommandComplete("SHOW")) for one in (path, role, user)
    ]
    return (*(message for each in answers for message in each), *closed, IDLE)


def told_around(
    date_style: str = "ISO, MDY",
    customs: str | None = None,
    temporary: str | None = None,
    fingerprint: str = "f" * 64,
    *,
    path: str = '"$user", public',
    sync: bool = True,
    status: ReadyForQuery = IDLE,
) -> tuple[object, ...]:
    """What a server answers to the question about surroundings, and to the DISCARD PLANS before it."""
    closed = (CloseComplete(), CloseComplete())
    discarded = (*closed, ParseComplete(), BindComplete(), CommandComplete("DISCARD PLANS"))
    settings = f'[["DateStyle", "{date_style}"]]'
    answer = row(path, "none", "app", settings, customs, temporary, fingerprint)
    end = (status,) if sync else ()
    return (*discarded, *closed, ParseComplete(), BindComplete(), answer, CommandComplete("SELECT 1"), *closed, *end)


@dataclass
class Play:
    """One session. `rule` decides; None leaves a question open. `catalogue` answers questions about tables; without it
    they stay open. `calls` and `defined` answer what else the database has. What client and server got so far is in
    `client` and `server` as messages, what else the session did in `done`; `take` gives all of it and forgets it."""

    rule: Rule = lambda _: allowed()
    known: Knowledge = field(default_factory=lambda: Knowledge(Engine(())))
    cut: Callable[[bytes], list[bytes]] = lambda data: [data]
    calls: frozenset[str] = frozenset()
    defined: list[list[str | None]] | None = field(default_factory=list)
    role: str | None = None
    read_only: bool = False
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS)
    tag: Tag = field(default_factory=Tag)
    definitions: Definitions | None = None
    catalogue: Callable[[Question], Answer | None] | None = lambda _: []
    actions: list[Action] = field(default_factory=list)
    done: list[Command] = field(default_factory=list)
    open: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        scene = Scene(ALICE, DATABASE, "crm", "", "", None, application="test")
        self.session = PostgresSession(
            scene, (), lambda: self.known, b"k" * 32, KEY.secret, 1 << 20, self.tag, definitions=self.definitions
        )
        self.to_client, self.to_server = bytearray(), bytearray()
        self.asked: list[Decide] = []
        self.grants: set[Grant] = set()
        self._carry(self.session.start())

    def opened(self) -> "Play":
        """Up to the moment in which the client may speak."""
        self.server_says(*LOOKED)
        self.take()
        return self

    def says(self, *messages: object) -> "Play":
        """The client sends these."""
        return self._received(Lane.REQUEST, messages)

    def server_says(self, *messages: object) -> "Play":
        """The server sends these."""
        return self._received(Lane.RESPONSE, messages)

    def event(self, event: Event) -> "Play":
        """Something else happens."""
        self._carry(self.session.handle(event))
        return self

    def decide(self, outcome: Decision | Refusal) -> "Play":
        """The oldest open question is answered."""
        return self.event(Decided(self.open.pop(0), self._outcome(outcome)))

    def take(self) -> tuple[list[object], list[object]]:
        """What the client, and what the server was sent since the last time, as messages."""
        client = [decode_backend(f.kind, f.body) for f in Framer(1 << 30).feed(bytes(self.to_client))]
        server = [decode_frontend(f.kind, f.body) for f in Framer(1 << 30).feed(bytes(self.to_server))]
        self.to_client.clear()
        self.to_server.clear()
        return list(client), list(server)

    @property
    def refused(self) -> list[Refuse]:
        """What was refused before there was anything to decide."""
        return [command for command in self.done if isinstance(command, Refuse)]

    def concluded(self) -> list[tuple[str, object]]:
        """Outcome and tags of what was concluded, in order."""
        return [(c.outcome, c.facts.get("tags")) for c in self.done if isinstance(c, Conclude)]

    def _received(self, lane: Lane, messages: tuple[object, ...]) -> "Play":
        data = b"".join(m if isinstance(m, bytes) else m.encode() for m in messages)  # type: ignore[attr-defined]
        for piece in self.cut(data):
            self._carry(self.session.handle(Received(lane, piece, False)))
        return self

    def _outcome(self, ruled: Decision | Refusal) -> Grant | Refusal:
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
                    (self.to_client if lane is Lane.RESPONSE else self.to_server).extend(data)
                case Ask(data, under):
                    assert under in self.grants
                    self.to_server.extend(data)
                case Tell(data):
                    self.to_client.extend(data)
                case Decide(ask, action):
                    self.asked.append(command)
                    self.actions.append(action)
                    ruled = self.rule(action)
                    if ruled is None:
                        self.open.append(ask)
                    else:
                        self._carry(self.session.handle(Decided(ask, self._outcome(ruled))))
                case Connect():
                    told = LoggedInAs(self.settings, "app", self.role, self.read_only, KEY.pid)
                    self._carry(self.session.handle(Connected(told)))
                case Conclude(under):
                    assert under in self.grants, "concluded twice"
                    self.grants.remove(under)
                    self.done.append(command)
                case Learn(Defined() as asked):
                    calls = [["c", "public", name, None, None] for name in sorted(self.calls)]
                    rows = None if self.defined is None else [*calls, *self.defined]
                    self._carry(self.session.handle(Learned(asked, rows)))
                case Learn(Question() as question) if self.catalogue is not None:
                    self.done.append(command)
                    self._carry(self.session.handle(Learned(question, self.catalogue(question))))
                case Abort() | Close() | Cancel() | Withdraw() | Learn() | Refuse() | Deadline() | Draw():
                    self.done.append(command)


def looks(message: object) -> bool:
    """Whether this is the gateway's own question to the server."""
    return isinstance(message, Query) and "SHOW search_path" in message.text
