"""The client's half of a session: its messages, in order, each under the Grant that it needs."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from extproc.domain.grant import Grant, Lane, Refusal
from extproc.protocols.connection import Cancel, Learn
from extproc.protocols.postgres import copytypes, errors, look, values
from extproc.protocols.postgres.action import Asked
from extproc.protocols.postgres.judging import Judging
from extproc.protocols.postgres.link import BY_NAME, Link
from extproc.protocols.postgres.masks.catalogue import Answer
from extproc.protocols.postgres.masks.defined import Defined
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.pipeline import Sent, Step
from extproc.protocols.postgres.results import UNREADABLE, unreadable
from extproc.protocols.postgres.sql import Script, Unparsable
from extproc.protocols.postgres.sql.tree import MAJOR
from extproc.protocols.postgres.summary import Told
from extproc.protocols.postgres.wire import common, frontend
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import Frame, Framer, Part, Unframed
from extproc.protocols.postgres.wire.frontend import Of
from extproc.protocols.postgres.work import Portal, Prepared, Work

_JUDGED = frozenset({frontend.Query.kind, frontend.Parse.kind, frontend.Bind.kind})
_COPY = frozenset({common.CopyData.kind, common.CopyDone.kind, frontend.CopyFail.kind})
_SKIPPED = {
    frontend.Query.kind: Step.QUERY,
    frontend.Parse.kind: Step.PARSE,
    frontend.Bind.kind: Step.BIND,
    frontend.FunctionCall.kind: Step.QUERY,
}
"""Messages that may be long in good faith: what is too long of them is an error, and not the end."""

_FLUSH = frontend.Flush().encode()
_ENOUGH = 256 << 10
"""Bytes of messages that wait for their turn, beyond which no more are read."""

_LONGEST = 256 << 10
"""Characters of a text of SQL: 1 MiB of the worst there is takes the parser five seconds."""
_HINT = f"At most {_LONGEST} characters are read. Give long values as parameters, or use COPY."

_OTHER = f"The gateway reads statements as PostgreSQL {MAJOR} does; the server is of another version."

_MOST_STATEMENTS = 1000
"""Statements in one text: policy is asked about all of them together, and takes seconds for ten thousand."""

_MOST_FACTS = 5000
"""Relations, columns, functions and settings in the facts of one text: policy looks at each, for some 20 µs."""
_FACTS_HINT = f"At most {_MOST_FACTS} of them are judged at once. Send several texts."

_MOST_UNANSWERED = 2000
"""Messages that the server has not answered; no driver pipelines as many."""

_MOST_NAMES = 5000
_MOST_TEXT = 16 << 20
"""What one session may have prepared and bound at one time, and characters of all its texts."""

_FRAME_BYTES = 200
"""What a message costs beside its bytes: a Sync has five."""


class Asking:
    """Reads what the client sends. `limit` is the longest message that may come at once (bytes), `key` keys digests."""

    def __init__(self, link: Link, key: bytes, limit: int) -> None:
        self._link = link
        self._reader = link.reader
        self._limit = limit
        self._framer = Framer(limit, frozenset({common.CopyData.kind}), frozenset(_SKIPPED))
        self._inbox: deque[Frame] = deque()
        self._bytes = 0
        self._longest = 0
        self._fault: str | None = None
        self._judging = Judging(link, key)
        self._defining: Defined | None = None
        self._steps: dict[int, Callable[[Frame], None]] = {
            frontend.Query.kind: self._query,
            frontend.Parse.kind: self._parse,
            frontend.Bind.kind: self._bind,
            frontend.Describe.kind: self._describe,
            frontend.Execute.kind: self._execute,
            frontend.Close.kind: self._close,
            frontend.Sync.kind: self._sync,
            frontend.Flush.kind: self._flush,
            frontend.FunctionCall.kind: self._function,
        }

    @property
    def full(self) -> bool:
        """Whether enough waits for its turn."""
        return self._bytes > _ENOUGH

    @property
    def load(self) -> int:
        """Bytes that wait to be whole or for their turn, and characters of the longest text that was read."""
        # A COPY's data pass as they come.
        pending = self._framer.pending if self._link.copying is None else 0
        return self._bytes + pending + self._longest

    def receive(self, data: bytes) -> None:
        """Bytes came."""
        try:
            frames = self._framer.feed(data)
        except Unframed as error:
            frames, self._fault = list(error.before), str(error)
        self._inbox += frames
        self._bytes += sum(map(_cost, frames))
        self.go_on()

    def go_on(self) -> None:
        """Take what can be taken now."""
        link = self._link
        while not link.ended:
            if self._judging.busy() or self._defining is not None:
                return
            if not self._inbox:
                if self._fault is not None:
                    link.broken(self._fault)
                return
            try:
                if not self._may(self._inbox[0]):
                    return
                frame = self._inbox.popleft()
                self._bytes -= _cost(frame)
                self._take(frame)
            except Malformed as error:
                link.broken(str(error))

    def decided(self, ask: int, outcome: Grant | Refusal) -> None:
        """The answer to a question."""
        if self._judging.decided(ask, outcome):
            self.go_on()

    def learned(self, question: Question, answer: Answer | None) -> bool:
        """What had to be found out is known, or can't be. Whether it was this that was asked here."""
        found = self._judging.learned(question, answer)
        if found:
            self.go_on()
        return found

    def defined(self, question: Defined, answer: Answer | None) -> None:
        """What the database defines itself is known, or can't be."""
        if question is self._defining:
            self._defining = None
            self._link.customs.learn(answer)
            self.go_on()

    def cancel(self) -> None:
        """The client gave up what it waits for: a decision, or the server."""
        link = self._link
        first = link.pipeline.first
        if self._judging.cancel():
            self.go_on()
        elif first is not None and (first.work is not None or not first.silent):
            # The server keeps the answer to a silent Describe to itself while it runs the Execute behind it. What is
            # silent and done for no statement is a question of the gateway's own.
            link.do(Cancel())

    def _may(self, frame: Frame) -> bool:
        """Whether this message can be taken now; what it waits for is set in motion."""
        link = self._link
        if frame.kind == frontend.Terminate.kind or link.copying is not None:
            return True
        if link.entering is not None or link.looking or link.pipeline.closed:
            # Whether what went before it failed, and so what names stand for, is known when that is answered.
            return False
        if len(link.pipeline) >= _MOST_UNANSWERED:
            self._drain()
            return False
        if link.pipeline.skipping or frame.kind in (frontend.Sync.kind, frontend.Flush.kind):
            return True
        if link.unsettled and link.pipeline:
            self._drain()
            return False
        link.unsettled = False
        whole = frame.part is Part.WHOLE
        if whole and frame.kind == frontend.Parse.kind and len(self._inbox) < 2 and self._fault is None:
            # What follows says whether it is to be executed at once. Nobody is answered before it does.
            return False
        if frame.kind not in _JUDGED and not (link.strayed and frame.kind == frontend.Execute.kind):
            return True
        if frame.kind == frontend.Query.kind and link.pipeline:
            self._drain()
            return False
        if not whole:
            return True
        if link.stale:
            # A Query would end the transaction that a pipeline without a Sync has open.
            if link.pipeline.between and link.scene.transaction != "E":
                link.look(look.LOOK if _forgets(frame) else look.LOOK_BESIDE)
                return False
            link.scene = look.unsure(link.scene)
        if frame.kind in _JUDGED and not link.customs.known(frame):
            self._defining = Defined()
            link.do(Learn(self._defining))
            return False
        return True

    def _take(self, frame: Frame) -> None:
        link, kind = self._link, frame.kind
        if kind == frontend.Terminate.kind:
            frontend.Terminate.decode(frame.body)
            link.send(Lane.REQUEST, frame.data, link.granted)
            link.close()
        elif link.copying is not None:
            self._copy(link.copying, frame)
        elif link.pipeline.skipping and kind != frontend.Sync.kind:
            return
        elif kind in _COPY:
            # Left over from a COPY that failed: a server takes no notice either ("COPY Operations").
            return
        elif frame.part is Part.SKIPPED:
            self._too_long(_SKIPPED[kind])
        elif kind in self._steps:
            self._steps[kind](frame)
        else:
            link.broken("This message may not come here.")

    def _drain(self) -> None:
        """Have the server answer what it has, which it may keep to itself until it is asked."""
        if not self._link.pipeline.flushed:
            self._link.flush(_FLUSH)

    def _read(self, sql: str, step: Step) -> Script | None:
        """What a text says; None where it was refused because nobody can tell."""
        link = self._link
        told = Told(link.scene.facts("execute" if step is Step.QUERY else "prepare"), link.known, sql)
        if len(sql) > _LONGEST:
            link.refuse(step, errors.error(errors.TOO_LARGE, "The statement is too long to be read.", hint=_HINT))
            self._judging.note("UNREADABLE", "too-long", "The statement is too long to be read", told)
            return None
        self._longest = max(self._longest, len(sql))
        try:
            script = self._reader.read(sql, link.scripts, link.cursors)
            if len(script.statements) > _MOST_STATEMENTS:
                said = errors.error(errors.TOO_LARGE, f"More than {_MOST_STATEMENTS} statements are in one text.")
                link.refuse(step, said)
                self._judging.note("UNREADABLE", "too-many", "More statements than are judged are in one text", told)
                return None
            if script.names > _MOST_FACTS:
                named = f"The text names {script.names} relations, columns, functions and settings."
                link.refuse(step, errors.error(errors.TOO_LARGE, named, hint=_FACTS_HINT))
                self._judging.note("UNREADABLE", "too-many-names", "More names than are judged are in one text", told)
                return None
            return script
        except Unparsable as error:
            # As the server would say it, for that would not have parsed it either; if it is of the same version.
            link.refuse(step, errors.unparsable(error, "" if link.alike else _OTHER))
            self._judging.note("UNREADABLE", "unparsable", "PostgreSQL's parser can't read the statement", told)
            return None

    def _query(self, frame: Frame) -> None:
        link = self._link
        sql = frontend.Query.decode(frame.body).text
        script = self._read(sql, Step.QUERY)
        if script is None:
            return

        def granted(grant: Grant) -> None:
            work = link.begin(Work(grant, sql, script))
            if self._unmaskable(work, Step.QUERY):
                return
            run = partial(self._run_query, frame, work)
            if copytypes.is_untyped(work) and copytypes.ask(link, work):
                link.ask(frontend.Sync().encode(), Sent(Step.SYNC, work, silent=True, then=run))
            else:
                run()

        self._judging.decide(Asked(sql, script), Step.QUERY, granted)

    def _unmaskable(self, work: Work, step: Step) -> bool:
        """Whether it was refused because what it would give can't be masked."""
        link = self._link
        why = unreadable(work.script, work.grant.decision.masks, link.known)
        if why is not None:
            link.refuse(step, errors.error(errors.NOT_SUPPORTED, f"{UNREADABLE}: {why}.", hint=why.hint))
            link.conclude(work, "aborted:unmaskable")
        return why is not None

    def _run_query(self, frame: Frame, work: Work) -> None:
        link = self._link
        link.pipeline.push(Sent(Step.QUERY, work))
        link.runs(work.script)
        link.entering = work if work.script.copies_in else None
        link.send(Lane.REQUEST, frame.data, work.grant)

    def _parse(self, frame: Frame) -> None:
        link = self._link
        parse = frontend.Parse.decode(frame.body)
        script = self._read(parse.text, Step.PARSE)
        if script is None or self._full_of_names(Step.PARSE):
            return
        prepared = Prepared(parse.text, script, parse.types, self._reader.custom)
        follows = self._inbox[0] if self._inbox else None
        if follows is not None and follows.kind == frontend.Bind.kind and follows.part is Part.WHOLE:
            bind = frontend.Bind.decode(follows.body)
            if bind.statement == parse.statement:
                self._inbox.popleft()
                self._bytes -= _cost(follows)
                self._bound(bind, follows, prepared, frame)
                return

        def granted(grant: Grant) -> None:
            self._prepare(frame, parse.statement, prepared, link.begin(Work(grant, parse.text, script)), final=True)

        self._judging.decide(Asked(parse.text, script, types=parse.types, prepared=True), Step.PARSE, granted)

    def _full_of_names(self, step: Step) -> bool:
        """Whether it was refused because the session has as many statements and portals as are remembered."""
        statements, portals = self._link.statements, self._link.portals
        if max(len(statements), len(portals)) < _MOST_NAMES and statements.weight < _MOST_TEXT:
            return False
        why = "This session has too many prepared statements or portals."
        self._link.refuse(step, errors.error(errors.LIMIT_EXCEEDED, why, hint="Close some, or connect anew."))
        return True

    def _prepare(self, frame: Frame, name: str, prepared: Prepared, work: Work, final: bool = False) -> None:
        link = self._link
        link.pipeline.push(Sent(Step.PARSE, work, undo=link.statements.put(name, prepared), final=final))
        link.send(Lane.REQUEST, frame.data, work.grant)

    def _bind(self, frame: Frame) -> None:
        bind = frontend.Bind.decode(frame.body)
        prepared = self._link.statements.get(bind.statement)
        if prepared is None:
            self._nothing(Step.BIND, errors.NO_STATEMENT, "prepared statement", bind.statement)
            return
        if any(one.name is not None and one.kind in BY_NAME for one in prepared.script.statements):
            # What it names may be another one by now.
            script = self._read(prepared.sql, Step.BIND)
            if script is None:
                return
            prepared = replace(prepared, script=script, custom=self._reader.custom)
        self._bound(bind, frame, prepared, None)

    def _bound(self, bind: frontend.Bind, frame: Frame, prepared: Prepared, parse: Frame | None) -> None:
        """A statement is bound to values; where `parse` is given it is prepared just before, under the same Grant."""
        link = self._link
        if parse is None and self._full_of_names(Step.BIND):
            return
        types = prepared.types
        told = tuple(
            values.told(value, values.form_of(bind.formats, i), types[i] if i < len(types) else 0)
            for i, value in enumerate(bind.values)
        )

        script = link.current(prepared)
        asked = Asked(prepared.sql, script, told, frame.data, types)

        def granted(grant: Grant) -> None:
            work = link.begin(Work(grant, prepared.sql, script, raw=frame.data))
            if self._unmaskable(work, Step.BIND):
                return
            if parse is not None:
                self._prepare(parse, bind.statement, prepared, work)
            work.changes = link.changes if self._judging.approved else None
            portal = Portal(work, asked)
            # A cursor has the same names.
            link.cursors.pop(bind.portal, None)
            link.pipeline.push(Sent(Step.BIND, work, undo=link.portals.put(bind.portal, portal)))
            link.send(Lane.REQUEST, frame.data, grant)

        # The portal's name is the client's own business; what it is bound to is what matters.
        self._judging.decide(asked, Step.BIND, granted)

    def _describe(self, frame: Frame) -> None:
        link, describe = self._link, frontend.Describe.decode(frame.body)
        if describe.of is Of.STATEMENT:
            if link.statements.get(describe.name) is None:
                self._nothing(Step.DESCRIBE, errors.NO_STATEMENT, "prepared statement", describe.name)
                return
            self._forward(frame, Sent(Step.DESCRIBE, prepared=link.statements.get(describe.name)))
            return
        portal = link.portals.get(describe.name)
        if portal is None and describe.name in link.cursors:
            # What DECLARE made is a portal too. Only FETCH gives its rows, which is decided by itself.
            self._forward(frame, Sent(Step.DESCRIBE))
            return
        if portal is None:
            self._nothing(Step.DESCRIBE, errors.NO_PORTAL, "portal", describe.name)
            return
        portal.asked = True
        self._forward(frame, Sent(Step.DESCRIBE, portal.work, portal=portal), link.under(portal.work))

    def _execute(self, frame: Frame) -> None:
        link, execute = self._link, frontend.Execute.decode(frame.body)
        portal = link.portals.get(execute.portal)
        if portal is None:
            self._nothing(Step.EXECUTE, errors.NO_PORTAL, "portal", execute.portal)
            return
        if self._judging.astray(Step.EXECUTE):
            return
        if portal.work.changes not in (None, link.changes):
            why = "Settings or definitions may have changed since this was approved."
            link.refuse(Step.EXECUTE, errors.error(errors.INSUFFICIENT_PRIVILEGE, why, hint="Bind it again."))
            return
        if link.is_under_way(portal.work):
            self._run(frame, execute, portal)
            return

        def granted(grant: Grant) -> None:
            portal.work, portal.asked = link.begin(_again(grant, portal.bound)), False
            if self._unmaskable(portal.work, Step.EXECUTE):
                return
            self._run(frame, execute, portal)

        # It came to its end, and what was granted with it: to begin again is to act again.
        self._judging.decide(portal.bound, Step.EXECUTE, granted)

    def _run(self, frame: Frame, execute: frontend.Execute, portal: Portal) -> None:
        link, work = self._link, portal.work
        if not portal.asked:
            # Its rows can't be masked, nor counted as what they are, before it is known which columns they have.
            portal.asked = True
            ask = frontend.Describe(Of.PORTAL, execute.portal).encode()
            link.ask(ask, Sent(Step.DESCRIBE, work, silent=True, portal=portal))
        if copytypes.is_untyped(work):
            copytypes.ask(link, work)
        link.entering = work if work.script.copies_in else None
        link.runs(work.script)
        if work.changes is not None:
            work.changes = link.changes
        link.unsettled = work.script.effects.moves or work.script.effects.names
        self._forward(frame, Sent(Step.EXECUTE, work, portal=portal), work.grant)

    def _close(self, frame: Frame) -> None:
        link, close = self._link, frontend.Close.decode(frame.body)
        names = link.statements if close.of is Of.STATEMENT else link.portals
        self._forward(frame, Sent(Step.CLOSE, undo=names.drop(close.name)))

    def _sync(self, frame: Frame) -> None:
        frontend.Sync.decode(frame.body)
        self._forward(frame, Sent(Step.SYNC))

    def _flush(self, frame: Frame) -> None:
        frontend.Flush.decode(frame.body)
        self._link.flush(frame.data)

    def _function(self, frame: Frame) -> None:
        frontend.FunctionCall.decode(frame.body)
        said = errors.error(
            errors.NOT_SUPPORTED,
            "Function calls by the fast path are not let through.",
            hint="Call the function in a SELECT.",
        )
        self._link.refuse(Step.QUERY, said)
        told = Told(self._link.scene.facts("execute"), self._link.known)
        self._judging.note("CALL", "fast-path", "Function calls by the fast path are not let through", told)

    def _too_long(self, step: Step) -> None:
        link, why = self._link, f"The message is longer than the {self._limit} bytes that are read"
        link.refuse(step, errors.error(errors.TOO_LARGE, f"{why}.", hint="Send long values in pieces, or by COPY."))
        told = Told(link.scene.facts("execute" if step is Step.QUERY else "prepare"), link.known)
        self._judging.note("UNREADABLE", "too-long", why, told)

    def _copy(self, work: Work, frame: Frame) -> None:
        """Data for the COPY that the server waits for ("COPY Operations")."""
        link = self._link
        if frame.kind not in _COPY:
            if frame.kind not in (frontend.Flush.kind, frontend.Sync.kind):
                link.broken("Only a COPY's data may come here.")
            return
        if frame.kind == common.CopyData.kind:
            work.rows += frame.count
            work.taken += len(frame.data)
        else:
            (common.CopyDone if frame.kind == common.CopyDone.kind else frontend.CopyFail).decode(frame.body)
            link.copying = None
            if link.pipeline.first is not None and link.pipeline.first.step is Step.EXECUTE:
                link.entering = None
        link.send(Lane.REQUEST, frame.data, work.grant)

    def _forward(self, frame: Frame, sent: Sent, under: Grant | None = None) -> None:
        self._link.pipeline.push(sent)
        self._link.send(Lane.REQUEST, frame.data, under or self._link.granted)

    def _nothing(self, step: Step, state: str, what: str, name: str) -> None:
        """What is named was never let through, or is gone."""
        named = f'{what} "{name}"' if name else f"unnamed {what}"
        self._link.refuse(step, errors.error(state, f"{named} does not exist"))


def _forgets(frame: Frame) -> bool:
    """Whether the server forgets its unnamed statement by this message in any case."""
    return frame.kind == frontend.Query.kind or (frame.kind == frontend.Parse.kind and frame.body[:1] == b"\0")


def _cost(frame: Frame) -> int:
    return _FRAME_BYTES + len(frame.data)


def _again(grant: Grant, bound: Asked) -> Work:
    return Work(grant, bound.sql, bound.script, raw=bound.raw)
