"""What both halves of a session share: what was sent, what names stand for, and what is to be done next."""

from collections.abc import Callable, Iterator, Mapping

from extproc.domain.grant import Grant, Lane
from extproc.masking.plan import Knowledge
from extproc.protocols.connection import Ask, Cancel, Close, Command, Conclude, Deadline, Tell
from extproc.protocols.postgres import errors
from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.behind import Behind
from extproc.protocols.postgres.customs import Customs
from extproc.protocols.postgres.definitions import Definitions
from extproc.protocols.postgres.masks.catalogue import Catalogue
from extproc.protocols.postgres.pinned import Pins
from extproc.protocols.postgres.pipeline import Names, Pipeline, Sent, Step
from extproc.protocols.postgres.shelf import Shelf
from extproc.protocols.postgres.sql import Reader, Script, Statement
from extproc.protocols.postgres.surroundings import Settling
from extproc.protocols.postgres.tag import Tag
from extproc.protocols.postgres.wire import backend, frontend
from extproc.protocols.postgres.work import Portal, Prepared, Work
from extproc.protocols.session import Abort, Send

_OURS = "holdpoint"
"""Name of the statement that is never prepared: what stands in for a refused one is no SQL."""


_NOTHING_DONE = frozenset({"42P05", "42P03", "26000", "34000", "25P02"})
"""What a statement that names something fails with before it does: there is one of that name, or none, or the
transaction failed."""


BY_NAME = frozenset({"execute", "fetch", "update", "delete"})
"""Kinds of statements that mean what a name stands for; `name` of the last two is that of their cursor."""


_CHANGING = frozenset({"update", "delete"})
_RUNS = frozenset({"do", "call"})


class _Scripts(Mapping[str, Script]):
    """What prepared statements mean, by name: SQL can execute those of the protocol too."""

    def __init__(self, statements: Names[Prepared], current: Callable[[Prepared], Script]) -> None:
        self._statements = statements
        self._current = current

    def __getitem__(self, name: str) -> Script:
        prepared = self._statements.get(name)
        if prepared is None:
            raise KeyError(name)
        return self._current(prepared)

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


class Link:
    """One connection's state. `grant` is the connection's own; it covers what belongs to no statement."""

    def __init__(
        self, scene: Scene, known: Callable[[], Knowledge], reader: Reader, tag: Tag, definitions: Definitions
    ) -> None:
        self.scene = scene
        self.reader = reader
        self._known = known
        self.known = known()
        self.catalogue = Catalogue(reader.read)
        self.behind = Behind(self.catalogue)
        self.customs = Customs(reader, definitions, self._forget_meanings)
        self.tag = tag
        self.tagging = False
        """Whether the server is being told what the session is called."""
        self._definitions = definitions
        self._mark: object | None = None
        self._defining = False
        self.grant: Grant | None = None
        self.pipeline = Pipeline()
        self.statements: Names[Prepared] = Names(lambda prepared: len(prepared.sql))
        self.scripts = _Scripts(self.statements, self.current)
        self.portals: Names[Portal] = Names()
        self.shelf = Shelf()
        self.cursors: dict[str, Script] = {}
        self._declared: dict[str, tuple[str, int]] = {}
        self._lasting: set[str] = set()
        """Cursors that were declared WITH HOLD: others end with their transaction."""
        self.copying: Work | None = None
        """The COPY that the client sends data for."""
        self.entering: Work | None = None
        """What was sent and will ask the client for data: until it does, nobody knows what the next message means."""
        self.pins = Pins()
        self.alike = True
        """Whether the server's version is that of the parser."""
        self.stale = False
        """Whether role or search_path may be others by now than the scene says."""
        self.moved = False
        """Whether they were changed in this transaction, whose end may change them back."""
        self.strayed = False
        """Whether the role that was chosen may not be the role any more, as far as texts tell."""
        self.unsettled = False
        """Whether what was executed last may have changed what names mean, or the place that they are looked up in:
        what comes behind it in the same pipeline has no meaning before it is answered."""
        self.looking = False
        """Whether the server is being asked which they are."""
        self.settling: Settling | None = None
        """What the server is being asked for that an approval binds."""
        self.changes = 0
        """Counts possible changes of settings and of what names stand for, as statements' texts and the server's
        reports tell."""
        self.own_settings: set[str] = set()
        """Settings of the application's own that a text of this session named to set."""
        self.opening = False
        """Whether the client waits for that, for it was never told that it may send statements."""
        self.ended = False
        self._under_way: dict[Work, None] = {}
        self._commands: list[Command] = []
        self._pieces: list[bytes] = []
        self._lane = Lane.REQUEST
        self._under: Grant | None = None

    @property
    def granted(self) -> Grant:
        """The connection's Grant. Only what was connected sends."""
        if self.grant is None:
            raise RuntimeError("nothing is sent before the connection was granted")
        return self.grant

    def send(self, lane: Lane, data: bytes, under: Grant) -> None:
        """Let bytes go on; neighbours under one Grant go together."""
        if lane is not self._lane or under is not self._under:
            self._gather()
            self._lane, self._under = lane, under
        self._pieces.append(data)

    def tell(self, data: bytes) -> None:
        """Words of our own for the client."""
        self.do(Tell(data))

    def do(self, command: Command) -> None:
        """One more command, after those before it."""
        self._gather()
        self._commands.append(command)

    def take(self) -> list[Command]:
        """The commands so far."""
        self._gather()
        commands, self._commands = self._commands, []
        return commands

    def ask(self, message: bytes, sent: Sent) -> None:
        """Words of our own for the server, which it answers."""
        self.do(Ask(message, self.granted))
        self.pipeline.push(sent)

    def under(self, work: Work | None) -> Grant:
        """What an answer goes on under: the Grant of what it is about, as long as that is under way."""
        return work.grant if work is not None and work in self._under_way else self.granted

    def refuse(self, step: Step, instead: bytes, name: str = "") -> None:
        """Have the server raise an error where a message was refused, and tell the client this one instead. What
        transaction it is in, what it skips and when it is ready again stay the server's own to say so. `name` goes into
        its log."""
        text = f"{_OURS} refused this {name}".strip()
        if step is Step.QUERY:
            self.ask(frontend.Query(text).encode(), Sent(step, instead=instead))
        else:
            self.ask(frontend.Parse(_OURS, text).encode(), Sent(Step.PARSE, instead=instead))
            self.pipeline.skipping = True

    def look(self, query: bytes, opening: bool = False) -> None:
        """Ask the server what only it knows."""
        self.looking, self.opening = True, opening
        self.ask(query, Sent(Step.QUERY, silent=True))

    def retag(self) -> None:
        """Have the server call the session what it is, where it was made to call it something else. Only between
        transactions, or in one that is open, and with nothing on its way."""
        state = self.scene.transaction
        if state != backend.Transaction.FAILED and (query := self.tag.again(state == backend.Transaction.OPEN)):
            self.looking = self.tagging = True
            self.ask(query, Sent(Step.QUERY, silent=True))

    def flush(self, message: bytes) -> None:
        """Have the server send the answers that it has."""
        self.pipeline.flushed = True
        self.send(Lane.REQUEST, message, self.granted)

    def begin(self, work: Work) -> Work:
        """This is under way from now on."""
        if not self._defining and work.script.effects.defines:
            self._defining = True
            self._definitions.begin()
        named = (setting.name for one in work.script.statements for setting in one.settings)
        self.own_settings.update(name for name in named if name is not None and "." in name)
        self.customs.begin(work.script)
        self._under_way[work] = None
        if work.limits.seconds is not None:
            self.do(Deadline(work.grant, work.limits.seconds))
        return work

    def believe(self) -> None:
        """Forget what was learnt of tables, unless they surely are what they were. Whoever asks of columns that the
        server has just described says so first: what was changed before that was begun to be changed before that."""
        mark = self._definitions.mark()
        if mark is None or mark != self._mark:
            self._forget_meanings()
        known = self._known()
        if known is not self.known:
            # Rules and credentials change while a session lasts.
            self.known = known
            self.shelf.clear()
        self._mark, self.catalogue.doubted = mark, mark is None

    def current(self, prepared: Prepared) -> Script:
        """What it means by what the database defines now."""
        if prepared.custom is not self.reader.custom:
            prepared.custom = self.reader.custom
            script = self.reader.read(prepared.sql, self.scripts, self.cursors)
            prepared.script = script if prepared.name is None else script.prepared.get(prepared.name, prepared.script)
        return prepared.script

    def _forget_meanings(self) -> None:
        self.catalogue.forget()
        self.shelf.clear()

    def _defined(self) -> None:
        """No transaction of this session's is open any more."""
        if self._defining:
            self._defining = self.catalogue.unsettled = False
            self._definitions.end()
            self.customs.idle()

    def done_under(self, grant: Grant) -> Work | None:
        """What is done under this Grant, if it is not concluded."""
        return next((work for work in self._under_way if work.grant is grant), None)

    def is_under_way(self, work: Work) -> bool:
        """Whether it was begun, and not concluded."""
        return work in self._under_way

    def conclude(self, work: Work, outcome: str = "completed") -> None:
        """This is done, or never will be. Once is enough."""
        if work in self._under_way:
            del self._under_way[work]
            self.do(Conclude(work.grant, outcome, work.facts()))

    def conclude_all(self, outcome: str) -> None:
        """Nothing that is under way goes on."""
        for work in list(self._under_way):
            self.conclude(work, outcome)

    def ran(self, work: Work) -> None:
        """One statement of it is done, and has changed what it changes."""
        script, number = work.script, work.statement
        work.statement += 1
        if script.effects.defines:
            # Whoever asks about tables does so on another connection, and sees none of it until it is committed.
            self.catalogue.unsettled = True
        self.moves(script)
        if self.moved and script.effects.ends:
            self.stale = True
        if number < len(script.outer):
            self._rename(work, script.outer[number])

    def runs(self, script: Script) -> None:
        """It goes to the server."""
        if script.effects.sets or script.effects.defines:
            self.changes += 1

    def moves(self, script: Script) -> None:
        """Some of it ran, if not all."""
        if script.effects.moves:
            self.stale = self.moved = True
            if any(statement.unknown or statement.kind in _RUNS for statement in script.statements):
                # It may have closed a cursor, and opened another one of its name; but not the one that runs it.
                kept = {statement.name for statement in script.statements if statement.kind == "fetch"}
                self.cursors = {name: one for name, one in self.cursors.items() if name in kept}
            self.strayed = self.pins.role is not None
        elif self.pins.role is not None and script.effects.hides:
            self.stale = True

    def bound(self, script: Script) -> None:
        """It is planned, and what depends on nothing but itself is computed."""
        if self.pins.role is not None and script.effects.hides:
            self.stale = True

    def failed(self, work: Work, state: str | None) -> None:
        """One statement of it failed, with this SQLSTATE."""
        script, number = work.script, work.statement
        self.moves(script)
        if number < len(script.outer) and state not in _NOTHING_DONE:
            # What fails as it is committed was done before, and names are not part of what is undone then.
            self._forget(script.outer[number])

    def _forget(self, statement: Statement) -> None:
        """What it names may stand for anything now."""
        if statement.name is not None:
            if statement.kind not in _CHANGING:
                self.statements.drop(statement.name)
                self.cursors.pop(statement.name, None)
        elif statement.kind in ("deallocate", "discard"):
            self.statements.clear()

    def named(self, script: Script) -> tuple[str, ...]:
        """The texts of the statements and cursors that a script only names, by which it means what they are now."""
        return tuple(text for text, _ in self._named(script).values())

    def is_current(self, script: Script) -> bool:
        """Whether no setting or definition can have changed since a cursor that a script names was declared: it is what
        they were then. A prepared statement is analysed again before people are asked."""
        return all(changes == self.changes for _, changes in self._named(script).values())

    def _named(self, script: Script) -> dict[tuple[bool, str], tuple[str, int]]:
        """Of what a script names: the text, and `changes` as it was when that was declared, or now."""
        found: dict[tuple[bool, str], tuple[str, int]] = {}
        todo = [script]
        while todo:
            for statement in todo.pop().statements:
                if statement.name is None or statement.kind not in BY_NAME:
                    continue
                key = statement.kind == "execute", statement.name
                if key in found:
                    continue
                prepared = self.statements.get(statement.name) if key[0] else None
                if prepared is not None:
                    found[key] = f"{prepared.sql}\n-- types {prepared.types}", self.changes
                    todo.append(prepared.script)
                else:
                    declared = statement.name in self.cursors and not key[0]
                    found[key] = self._declared[statement.name] if declared else ("", self.changes)
        return found

    def _rename(self, work: Work, statement: Statement) -> None:
        """SQL has names for statements and cursors too; those of statements are the protocol's own."""
        script, kind, name = work.script, statement.kind, statement.name
        if name is not None and kind in ("prepare", "declare") and _often(script, statement):
            # A text that fails in its middle leaves the former one behind: which it is nobody knows here.
            self._forget(statement)
        elif name is not None and kind == "prepare" and name in script.prepared:
            # A parameter in it is its own, whatever PREPARE itself was bound to.
            prepared = Prepared(work.sql, script.prepared[name], (), self.reader.custom, name)
            self.statements.put(name, prepared)
        elif name is not None and kind == "declare" and name in script.cursors:
            self.cursors[name], self._declared[name] = script.cursors[name], (_whole(work), self.changes)
            (self._lasting.add if "hold" in statement.action else self._lasting.discard)(name)
        elif name is not None and kind == "deallocate":
            self.statements.drop(name)
        elif kind in ("deallocate", "discard"):
            self.statements.clear()
            if "all" in statement.action:
                self.cursors.clear()
        elif kind == "close" and name is None:
            self.cursors.clear()
            for portal in list(self.portals):
                held = self.portals.get(portal)
                if held is not None and held.work is not work:
                    # The one that runs stays.
                    self.portals.drop(portal)
        if name is not None and kind in ("declare", "close"):
            # Portals and cursors share their names as well.
            self.portals.drop(name)
        if name is not None and kind == "close":
            self.cursors.pop(name, None)

    def idle(self) -> None:
        """The transaction is over, and with it every portal."""
        self.stale, self.moved = self.stale or self.moved, False
        self._defined()
        self.cursors = {name: one for name, one in self.cursors.items() if name in self._lasting}
        self.portals.clear()
        self.conclude_all("completed")

    def end(self, why: str, said: bytes = b"") -> None:
        """The connection ends: with these words for the client, and for this reason in the trail."""
        if self.ended:
            return
        self.ended = True
        self._defined()
        if said:
            self.tell(said)
        if self.pipeline:
            self.do(Cancel())
        self.conclude_all(f"aborted:{why}")
        self.do(Abort(why))

    def close(self) -> None:
        """The connection ends as it should."""
        if not self.ended:
            self.ended = True
            self._defined()
            self.conclude_all("completed")
            self.do(Close())

    def broken(self, why: str) -> None:
        """What the client sent is no message of the protocol, or not one that may come here."""
        self.end("malformed-request", errors.fatal(errors.PROTOCOL_VIOLATION, why))

    def _gather(self) -> None:
        if self._pieces and self._under is not None:
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._commands.append(Send(self._lane, data, self._under, False))
        self._pieces = []


def _whole(work: Work) -> str:
    """What was run, with the values that it was bound to as they came."""
    return f"{work.sql}\n-- bound {work.raw.hex()}" if work.raw else work.sql


def _often(script: Script, statement: Statement) -> bool:
    """Whether a text gives the same name to several."""
    return sum((one.kind, one.name) == (statement.kind, statement.name) for one in script.outer) > 1
