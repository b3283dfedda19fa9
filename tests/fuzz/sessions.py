"""A PostgreSQL session driven by a list of doings, a server that answers as one does, and who checks what they get."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.mask import Mask, Operator
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Protocol, Target
from extproc.protocols.connection import (
    Ask,
    Close,
    Command,
    Conclude,
    Connect,
    Connected,
    Event,
    Learn,
    Tell,
    Withdraw,
)
from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.session import LoggedInAs, PostgresSession
from extproc.protocols.postgres.values import form_of, told
from extproc.protocols.postgres.wire import backend, common, frontend
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import Frame, Framer
from extproc.protocols.session import Abort, Decide, Decided, Received, Send
from tests.fuzz.plans import SMALL
from tests.postgres.session.playbook import LOOKED, SETTINGS, allowed, blocked, looks, row, text

NO: Final = "forbidden"
"""What says so, in its text or its values, is refused."""

LATER: Final = "later"
"""What says so is decided when a doing says so."""

PLANTED: Final = "4111 1111 1111 1111"
_ME = Principal("https://issuer.test", "alice", Kind.AGENT)
_TARGET = Target("crm-db", Protocol.POSTGRES, "production")
_KEY = backend.BackendKeyData(7, b"\1\2\3\4")
_MASKS = (Mask("p", ("*",), (), Operator.REDACT), Mask("p", (), ("note",), Operator.REDACT))
_OURS = "holdpoint refused this"
_BESIDE = "holdpoint beside"
_TYPES = "holdpoint copy"
_SHOWN = {"SHOW search_path": "public", "SHOW role": "none", "SHOW session_authorization": "app"}
_COPIES = (common.CopyData, common.CopyDone, frontend.CopyFail)
_ANYWHERE = (frontend.Describe, frontend.Close, frontend.Sync, frontend.Flush, frontend.Terminate)


class Checked:
    """One session, whose commands are carried out one after the other as its driver does it, and checked. `masks` says
    how many of the masks are in each decision."""

    def __init__(self, masks: int) -> None:
        scene = Scene(_ME, _TARGET, "crm", "", "", None, application="test")
        self.session = PostgresSession(scene, (), lambda: SMALL, b"k" * 32, _KEY.secret, 1 << 20)
        self.masks = _MASKS[: masks % 3]
        self.to_client, self.to_server = bytearray(), bytearray()
        self.grants: dict[Grant, Action] = {}
        self.connection: Grant | None = None
        self.open: dict[int, Action] = {}
        self.questions: deque[object] = deque()
        self.server = Server()
        self.ended: str | None = None
        self._events: deque[Event] = deque()
        self._framer = Framer(1 << 30)
        self._carry(self.session.start())
        self._drain()
        self.says(b"".join(message.encode() for message in LOOKED), Lane.RESPONSE)  # type: ignore[attr-defined]
        self.server.unanswered.clear()

    def says(self, data: bytes, lane: Lane) -> None:
        """Somebody sends this."""
        self.event(Received(lane, data, False))

    def event(self, event: Event) -> None:
        """Something happens."""
        self._events.append(event)
        self._drain()

    def decide(self, granted: bool) -> None:
        """The oldest open question is answered, unless it has ended: then nobody is heard any more."""
        for ask in [*self.open][: self.ended is None]:
            self.event(Decided(ask, self._outcome(self.open.pop(ask), granted)))

    def _drain(self) -> None:
        while self._events:
            commands = self.session.handle(self._events.popleft())
            assert not (self.ended and commands), "something is done behind the end"
            self._carry(commands)

    def _carry(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(Lane.REQUEST, data, under):
                    self._sent(data, under)
                case Send(_, data, under):
                    assert under in self.grants, "the client is sent something under no grant"
                    self.to_client += data
                case Tell(data):
                    self.to_client += data
                case Ask(data, under):
                    assert under in self.grants, "the server is asked something under no grant"
                    self._asked(data)
                case Decide(ask, action):
                    self._decide(ask, action)
                case Withdraw(ask):
                    del self.open[ask]
                case Connect(under):
                    self.connection = under
                    self._events.append(Connected(LoggedInAs(SETTINGS, "app")))
                case Conclude(under):
                    del self.grants[under]  # once
                case Learn(question):
                    self.questions.append(question)
                case Abort(why):
                    self.ended = why
                case Close():
                    self.ended = "closed"
                case _:
                    pass

    def _decide(self, ask: int, action: Action) -> None:
        said = f"{action.facts.get('text')} {action.facts.get('values')}"
        if LATER in said:
            self.open[ask] = action
        else:
            self._events.appendleft(Decided(ask, self._outcome(action, True)))

    def _outcome(self, action: Action, granted: bool) -> Grant | Refusal:
        said = f"{action.facts.get('text')} {action.facts.get('values')}"
        if NO in said or not granted:
            return blocked()
        ruled: Decision = allowed(*self.masks)
        grant = Grant(ruled, frozenset(Lane))
        self.grants[grant] = action
        return grant

    def _frames(self, data: bytes) -> Iterator[tuple[object, bytes]]:
        frames: list[Frame] = self._framer.feed(data)
        assert not self._framer.pending, "half a message is sent"
        for frame in frames:
            yield frontend.decode_frontend(frame.kind, frame.body), frame.data

    def _asked(self, data: bytes) -> None:
        """The gateway's own words have nothing of the client's, but for the name of a portal that it described, and the
        query of a COPY that was decided on, which is only described."""
        self.to_server += data
        texts = [str(action.facts.get("text")) for action in self.grants.values()]
        for message, _ in self._frames(data):
            match message:
                case frontend.Parse(name, said) if name == _TYPES:
                    assert any(said.strip() in text for text in texts), "a query that was not granted"
                case frontend.Query(said) | frontend.Parse(_, said):
                    assert looks(message) or said.startswith((_OURS, "SHOW ")), "words that are nobody's"
                case frontend.Close(_, name) if name == _TYPES:
                    pass
                case frontend.Bind(name) | frontend.Execute(name) | frontend.Close(_, name):
                    assert name == _BESIDE, "something of the client's that nobody decided on"
                case _:
                    assert isinstance(message, frontend.Describe | frontend.Flush | frontend.Sync)
            self.server.hear(message)

    def _sent(self, data: bytes, under: Grant) -> None:
        """What the client sent goes on only as what was decided on."""
        assert under in self.grants, "the server is sent something under no grant"
        facts = self.grants[under].facts
        self.to_server += data
        for message, _ in self._frames(data):
            match message:
                case frontend.Query(said) | frontend.Parse(_, said):
                    assert facts.get("text") == said, "a text that was not granted"
                case frontend.Bind(_, _, formats, bound):
                    wanted, given = facts.get("values"), [told(v, form_of(formats, i), 0) for i, v in enumerate(bound)]
                    assert isinstance(wanted, list), "values that were not granted"
                    assert len(wanted) == len(given), "values that were not granted"
                    assert all(w == g or isinstance(g, dict) for w, g in zip(wanted, given, strict=True))
                case frontend.Execute() | common.CopyData() | common.CopyDone() | frontend.CopyFail():
                    assert under is not self.connection, "something runs that nobody decided on"
                    assert facts.get("phase") == "execute", "what was only to be prepared runs"
                case _:
                    assert isinstance(message, _ANYWHERE), "a message that no client may send here"
            self.server.hear(message)


class Server:
    """Answers as a server does. `unanswered` are the messages that it has not answered."""

    def __init__(self) -> None:
        self.unanswered: deque[object] = deque()
        self._skipping = False
        self._copying: object | None = None
        self._shown = ""

    def hear(self, message: object) -> None:
        """It gets this."""
        self.unanswered.append(message)

    def answers(self, how: int) -> bytes:
        """What it says to the oldest message; `how` says how well that goes."""
        while self.unanswered:
            message = self.unanswered.popleft()
            if self._skipping and not isinstance(message, frontend.Sync):
                continue
            said = b"".join(one.encode() for one in self._answer(message, how))  # type: ignore[attr-defined]
            if said:
                return said
        return b""

    def _answer(self, message: object, how: int) -> Iterator[object]:
        status = backend.ReadyForQuery((backend.Transaction.IDLE, backend.Transaction.OPEN)[how >> 4 & 1])
        refused = _OURS in getattr(message, "text", "")
        failed = refused or (how & 7 == 7 and not looks(message))
        if looks(message):
            yield from LOOKED
        elif _BESIDE in [getattr(message, name, "") for name in ("statement", "portal", "name")]:
            yield from self._beside(message)
        elif isinstance(message, frontend.Sync):
            self._skipping = False
            yield status
        elif isinstance(message, _COPIES):
            if self._copying is not None and not isinstance(message, common.CopyData):
                simple, self._copying = isinstance(self._copying, frontend.Query), None
                yield backend.CommandComplete("COPY 1")
                if simple:
                    yield status
        elif failed and not isinstance(message, frontend.Flush | frontend.Terminate):
            yield backend.ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42601"), ("M", f"no {PLANTED}")))
            self._skipping = not isinstance(message, frontend.Query)
            if not self._skipping:
                yield status
        elif how & 8 and isinstance(message, frontend.Query | frontend.Execute):
            self._copying = message
            yield backend.CopyInResponse(0, (0, 0))
        else:
            yield from self._well(message, how)
            if isinstance(message, frontend.Query):
                yield status

    def _beside(self, message: object) -> Iterator[object]:
        match message:
            case frontend.Parse(_, said):
                self._shown = said
                yield backend.ParseComplete()
            case frontend.Bind():
                yield backend.BindComplete()
            case frontend.Close():
                yield backend.CloseComplete()
            case frontend.Execute():
                yield row(_SHOWN.get(self._shown, ""))
                yield backend.CommandComplete("SHOW")

    def _well(self, message: object, how: int) -> Iterator[object]:
        described = backend.RowDescription((text("id"), text("note"), text("mail", 7, 2)))
        result = (row("1", PLANTED, None), row("2", "x", f"to {PLANTED}"))
        match message:
            case frontend.Parse():
                yield backend.ParseComplete()
            case frontend.Bind():
                yield backend.BindComplete()
            case frontend.Close():
                yield backend.CloseComplete()
            case frontend.Describe(of):
                if of is frontend.Of.STATEMENT:
                    yield backend.ParameterDescription((25,))
                yield described if how & 1 else backend.NoData()
            case frontend.Query() | frontend.Execute():
                if how & 1:
                    yield from (described,) if isinstance(message, frontend.Query) else ()
                    yield from result
                if how & 2:
                    yield backend.NoticeResponse((("S", "NOTICE"), ("C", "00000"), ("M", f"see {PLANTED}")))
                if how & 7 == 4 and isinstance(message, frontend.Query):
                    yield backend.CopyOutResponse(0, (0, 0))
                    yield common.CopyData(f"1\t{PLANTED}\n".encode())
                    yield common.CopyDone()
                if how & 7 == 6 and isinstance(message, frontend.Execute):
                    yield backend.PortalSuspended()
                else:
                    yield backend.CommandComplete("SELECT 2")


def read_client(data: bytes) -> list[object]:
    """The whole messages that a client gets, where they can be read."""
    found: list[object] = []
    for frame in Framer(1 << 30).feed(data):
        try:
            found.append(backend.decode_backend(frame.kind, frame.body))
        except Malformed:
            found.append(frame)
    return found
