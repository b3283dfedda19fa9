"""The server's half of a session: each of its messages belongs to the oldest that was sent and not answered."""

from collections import deque
from dataclasses import dataclass, replace

from extproc.domain.grant import Grant, Lane
from extproc.domain.limits import Limits
from extproc.masking.build import mask_value
from extproc.masking.operators import mask_text
from extproc.masking.stage import MaskError
from extproc.protocols.connection import Cancel, Deadline, Draw, Learn
from extproc.protocols.postgres import errors, look, settling, tag
from extproc.protocols.postgres.link import Link
from extproc.protocols.postgres.masks.catalogue import Answer
from extproc.protocols.postgres.masks.copying import CopyMask
from extproc.protocols.postgres.masks.notice import mask_notice
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.masks.whole import COLUMN
from extproc.protocols.postgres.pipeline import Sent, Step
from extproc.protocols.postgres.results import UNREADABLE, Copied, Result, Rows, Unreadable
from extproc.protocols.postgres.shelf import Columns
from extproc.protocols.postgres.surroundings import Settling
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import Frame, Framer, Part, Unframed
from extproc.protocols.postgres.wire.row import split_row
from extproc.protocols.postgres.work import Work

_LONGEST = 16 << 20
"""Bytes of one message that is no row: the longest that has a use is a description of 1,600 columns, or an error."""

_BULK = frozenset({backend.DataRow.kind, backend.CopyData.kind})
_ANY_TIME = frozenset({backend.NoticeResponse.kind, backend.ParameterStatus.kind, backend.NotificationResponse.kind})
_PINNED = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
_PLAIN = {
    backend.ParseComplete.kind: Step.PARSE,
    backend.BindComplete.kind: Step.BIND,
    backend.CloseComplete.kind: Step.CLOSE,
}
_READS = frozenset({"select", "show", "fetch", "copy", "explain"})
_HOURLY = "The statement gives more than is left of what policy lets you read here within an hour."
_UNCOUNTED = "How much you have read here within the hour can't be told at the moment, and policy limits that."
_RESULTS = (Step.QUERY, Step.EXECUTE)
_LOOKS = (Step.QUERY, Step.LOOK)


class _Unforeseen(Exception):
    """The server's message is no answer to what was sent; the message says which."""


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Rows that wait to be counted; `beyond` is said once they are given, where it was to be more than policy lets."""

    frame: Frame
    work: Work
    beyond: str | None


class Answering:
    """Reads what the server sends, and passes it on through the masks."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._framer = Framer(_LONGEST, _BULK)
        self._frames: deque[Frame] = deque()
        self._asked: Result | None = None
        self._question: Question | None = None
        self._copy: Work | None = None
        self._drawing: _Drawing | None = None
        self._seen: list[list[bytes | None]] = []

    @property
    def full(self) -> bool:
        """Whether something has to be found out before more can be passed on."""
        return self._asked is not None or self._drawing is not None

    def receive(self, data: bytes) -> None:
        """Bytes came."""
        try:
            self._frames += self._framer.feed(data)
        except Unframed as error:
            self._frames += error.before
            self.go_on()
            self._stop("upstream-malformed")
            return
        self.go_on()

    def learned(self, question: Question, answer: Answer | None) -> None:
        """What was to be found out of the columns is known now, or can't be."""
        if self._asked is not None and self._question is question:
            asked, self._asked = self._asked, None
            try:
                asked.learn(question, answer)
                self._follows(asked)
            except MaskError:
                self._stop("unmaskable")
            self.go_on()

    def go_on(self) -> None:
        """Pass on what can be passed on now."""
        while self._frames and not self.full and not self._link.ended:
            try:
                self._take(self._frames.popleft())
            except (Malformed, _Unforeseen):
                self._stop("upstream-malformed")
            except MaskError:
                self._stop("unmaskable")

    def _stop(self, why: str) -> None:
        said = "The server sent what can't be passed on."
        self._link.end(why, errors.fatal(errors.OPERATOR_INTERVENTION, said, f"Code {why}."))

    def _take(self, frame: Frame) -> None:
        link, kind = self._link, frame.kind
        first = link.pipeline.first
        if kind in _ANY_TIME:
            self._at_any_time(frame, first)
        elif kind == backend.ErrorResponse.kind:
            self._error(frame, first)
        elif first is not None and first.silent and link.settling is not None and first.step in _LOOKS:
            self._settled(frame, link.settling)
        elif first is None or (first.instead is not None and kind != backend.ReadyForQuery.kind):
            # Above all: what stands in for a refused statement must fail.
            raise _Unforeseen(f"kind {kind}")
        elif first.silent and first.step is Step.QUERY:
            self._looked(frame)
        elif kind == backend.ReadyForQuery.kind:
            self._ready(frame, first)
        elif first.step is Step.TYPES:
            self._typed(frame, first)
        elif kind in _PLAIN:
            self._plain(frame, first)
        elif kind in (backend.RowDescription.kind, backend.NoData.kind, backend.ParameterDescription.kind):
            self._described(frame, first)
        else:
            self._result(frame, first)

    def _pass(self, data: bytes, under: Grant | None = None) -> None:
        self._link.send(Lane.RESPONSE, data, under or self._link.granted)

    # -- at any time ---------------------------------------------------------------------------------------------------

    def _at_any_time(self, frame: Frame, first: Sent | None) -> None:
        if frame.kind == backend.ParameterStatus.kind:
            status = backend.ParameterStatus.decode(frame.body)
            pinned = _PINNED | self._link.pins.reported
            if pinned.get(status.name, status.value) != status.value:
                said = f"{status.name} is {pinned[status.name]} through this gateway, and was changed."
                self._link.end("pinned-setting", errors.fatal(errors.OPERATOR_INTERVENTION, said))
                return
            if status.name == tag.SETTING and self._link.tagging:
                return
            self._link.changes += status.name != tag.SETTING
            if status.name == tag.SETTING:
                own, before = self._link.tag.heard(status.value), self._link.scene.application
                if self._link.tag and own == before:
                    return
                self._link.scene = replace(self._link.scene, application=own)
                frame = Frame(frame.kind, replace(status, value=own).encode())
            elif status.name in look.REPORTED:
                self._link.stale = self._link.moved = True
        elif frame.kind == backend.NoticeResponse.kind:
            notice = backend.NoticeResponse.decode(frame.body)
            frame = Frame(frame.kind, backend.NoticeResponse(self._report(notice.fields, first)).encode())
        elif frame.kind == backend.NotificationResponse.kind:
            frame = Frame(frame.kind, self._notified(backend.NotificationResponse.decode(frame.body)))
        # What the server remarks on the gateway's own questions is for nobody; all else it would have said anyway.
        if first is None or not first.silent or frame.kind != backend.NoticeResponse.kind:
            about = first.work if first is not None and frame.kind == backend.NoticeResponse.kind else None
            self._pass(frame.data, self._link.under(about))

    def _notified(self, said: backend.NotificationResponse) -> bytes:
        """What somebody else's NOTIFY says, masked by what is in it."""
        masks, known = self._link.granted.decision.masks, self._link.known
        if any(mask.keys and Lane.RESPONSE.value in mask.lanes for mask in masks):
            # Nobody can tell which columns it was made of.
            return replace(said, payload=mask_text(COLUMN)).encode()
        payload, _ = mask_value(masks, Lane.RESPONSE.value, said.payload, known)
        return replace(said, payload=payload).encode()

    def _report(self, fields: tuple[tuple[str, str], ...], first: Sent | None) -> tuple[tuple[str, str], ...]:
        """An error's or a notice's texts, masked as the rows of what it is about."""
        work = first.work if first is not None else None
        masks = work.grant.decision.masks if work is not None else self._link.granted.decision.masks
        told, counts = mask_notice(fields, masks, self._link.known, work.sql if work is not None else None)
        if work is not None:
            work.count(counts)
        return told

    def _error(self, frame: Frame, first: Sent | None) -> None:
        link = self._link
        report = backend.ErrorResponse.decode(frame.body)
        said = dict(report.fields)
        if first is None or said.get("V", said.get("S")) in ("FATAL", "PANIC"):
            self._pass(backend.ErrorResponse(self._report(report.fields, first)).encode())
            link.end("upstream-ended")
            return
        if first.silent and first.step is Step.QUERY and link.settling is not None:
            # The session learns that it is not told what it asked for, once the server is ready.
            return
        if first.silent and first.step is Step.QUERY:
            raise _Unforeseen("what only the server knows can't be asked for")
        if first.instead is not None:
            link.tell(first.instead)
        elif first.work is not None and first.work.stopped is not None:
            link.tell(errors.stopped(first.work.stopped, first.work.grant.decision.id))
        else:
            told = backend.ErrorResponse(self._report(report.fields, first)).encode()
            self._pass(told, link.under(first.work))
        if first.work is not None:
            first.work.sqlstate = said.get("C")
            link.failed(first.work, first.work.sqlstate)
        link.entering = link.copying = None
        self._copy = None
        for sent in link.pipeline.fail():
            if sent.work is not None:
                link.conclude(sent.work, "completed" if sent.work.sqlstate is not None else "aborted:skipped")

    # -- answers -------------------------------------------------------------------------------------------------------

    def _ready(self, frame: Frame, first: Sent) -> None:
        link = self._link
        if first.step not in (Step.QUERY, Step.SYNC):
            raise _Unforeseen("ready although something is under way")
        link.pipeline.done()
        if first.then is not None and first.work is not None and first.work.sqlstate is None:
            if first.work.stopped is None:
                first.then()
                return
            link.tell(errors.stopped(first.work.stopped, first.work.grant.decision.id))
            first.work.sqlstate = first.work.stopped.state
        status = backend.ReadyForQuery.decode(frame.body).status
        link.scene = link.scene.with_state(status)
        link.entering = None
        if first.work is not None:
            link.conclude(first.work)
        if status == "I":
            link.idle()
        self._pass(frame.data)
        link.retag()

    def _plain(self, frame: Frame, first: Sent) -> None:
        link = self._link
        if first.step is not _PLAIN[frame.kind]:
            raise _Unforeseen(f"kind {frame.kind}")
        link.pipeline.done()
        if frame.kind == backend.BindComplete.kind and first.work is not None:
            link.bound(first.work.script)
        if not first.silent:
            self._pass(frame.data, link.under(first.work))
        if first.final and first.work is not None:
            link.conclude(first.work)

    def _described(self, frame: Frame, first: Sent) -> None:
        link = self._link
        if frame.kind == backend.ParameterDescription.kind:
            if first.prepared is None:
                raise _Unforeseen("parameters of no statement")
            first.prepared.types = backend.ParameterDescription.decode(frame.body).types
            self._pass(frame.data)
            return
        if first.step is Step.DESCRIBE:
            link.pipeline.done()
        elif first.step is not Step.QUERY or frame.kind == backend.NoData.kind:
            raise _Unforeseen("columns of no result")
        if not first.silent:
            self._pass(frame.data, link.under(first.work))
        elif first.work is not None and frame.kind == backend.RowDescription.kind:
            first.work.columns = backend.RowDescription.decode(frame.body).fields
        if frame.kind == backend.RowDescription.kind and first.work is not None:
            self._rows_of(frame.body, first.work)

    def _typed(self, frame: Frame, first: Sent) -> None:
        """The answer to what the gateway asked about the columns of a COPY (`copytypes`)."""
        if frame.kind == backend.ParameterDescription.kind:
            return
        if frame.kind not in (backend.RowDescription.kind, backend.NoData.kind) or first.work is None:
            raise _Unforeseen(f"kind {frame.kind}")
        self._link.pipeline.done()
        if frame.kind == backend.RowDescription.kind:
            first.work.types = tuple(one.type for one in backend.RowDescription.decode(frame.body).fields)

    def _rows_of(self, described: bytes, work: Work) -> None:
        """Rows with these columns follow."""
        link = self._link
        link.believe()
        work.unmask()
        columns = Columns(described, work.script, work.statement)
        shelved = link.shelf.take(columns, work.grant.decision.masks)
        work.result = columns
        if shelved is not None:
            work.mask, work.described = shelved[0], True
        else:
            self._follows(Rows(work, backend.RowDescription.decode(described).fields, link.catalogue))

    def _follows(self, result: Result) -> None:
        """Rows follow: choose what they go through, or find out first what has to be known for it."""
        question, work = result.question, result.work
        if question is not None:
            self._asked, self._question = result, question
            self._link.do(Learn(question))
            return
        work.described = True
        try:
            work.mask = result.mask(self._link.known)
        except Unreadable as error:
            # Its rows are left unread. To cancel it could strike the next statement: it may be done already.
            work.stopped = errors.Stop(f"{UNREADABLE}: {error}.", errors.NOT_SUPPORTED, error.hint)
            return
        if result.opening:
            self._pass(result.opening, work.grant)

    def _result(self, frame: Frame, first: Sent) -> None:
        link, work, kind = self._link, first.work, frame.kind
        if first.step not in _RESULTS or work is None:
            raise _Unforeseen(f"kind {kind}")
        if kind == backend.DataRow.kind:
            self._rows(frame, work)
        elif kind == backend.CopyData.kind:
            self._copied(frame, work)
        elif kind == backend.CopyDone.kind and self._copy is work:
            self._copy = None
            if work.stopped is None:
                if isinstance(work.mask, CopyMask):
                    self._pass(work.mask.finish(), work.grant)
                self._pass(frame.data, work.grant)
        elif kind == backend.CopyOutResponse.kind:
            self._copy = work
            link.believe()
            self._follows(Copied(work, frame, link.catalogue))
        elif kind == backend.CopyInResponse.kind and link.entering is work:
            link.copying = work
            self._pass(frame.data, work.grant)
        elif kind == backend.CommandComplete.kind:
            work.tags.append(backend.CommandComplete.decode(frame.body).tag)
            self._complete(frame, first, work)
        elif kind == backend.EmptyQueryResponse.kind:
            self._complete(frame, first, work)
        elif kind == backend.PortalSuspended.kind and first.step is Step.EXECUTE and work.stopped is not None:
            self._too_late(first, work)
        elif kind == backend.PortalSuspended.kind and first.step is Step.EXECUTE:
            link.pipeline.done()
            link.moves(work.script)
            self._pass(frame.data, work.grant)
        else:
            raise _Unforeseen(f"kind {kind}")

    def overdue(self, grant: Grant) -> None:
        """What is done under a Grant takes longer than policy lets it."""
        link, work = self._link, self._link.done_under(grant)
        if work is None or work.stopped is not None:
            return
        if link.pipeline.first is not None and link.pipeline.first.work is work:
            self._end(work, f"The statement ran longer than the {work.limits.seconds} s that policy lets it.")
        else:
            # Its turn has not come yet: look again.
            link.do(Deadline(grant, 1.0))

    def _end(self, work: Work, why: str) -> None:
        """Have the server end what it does, for it went further than policy lets it. Nothing more of it passes."""
        work.stopped = errors.Stop(why)
        if work.cut:
            # The client would read whatever comes next as the rest of a message.
            self._link.end("limit-reached")
            return
        self._link.do(Cancel())

    def _too_late(self, first: Sent, work: Work) -> None:
        """The server was done before it heard that it should end. The client is told the same; where it would believe
        that something did not happen which did, or the server does not skip what the client thinks skipped, the
        connection ends: then it knows that it knows nothing."""
        link, stop, decision = self._link, work.stopped or errors.Stop(""), work.grant.decision.id
        last = len(link.pipeline) == 1 or link.pipeline.follows is Step.SYNC
        whole = work.statement >= len(work.script.outer)
        if not last or not whole or any(statement.kind not in _READS for statement in work.script.statements):
            link.end("limit-reached", errors.stopped(stop, decision, errors.fatal))
            return
        link.tell(errors.stopped(stop, decision))
        work.sqlstate = stop.state
        if first.step is Step.EXECUTE:
            link.pipeline.done()
            link.conclude(work)

    def _rows(self, frame: Frame, work: Work) -> None:
        if not work.described:
            raise _Unforeseen("rows whose columns nobody told")
        if work.stopped is not None:
            return
        limits, within = work.limits, frame
        if limits.rows is not None or limits.bytes is not None:
            rows = frame.count if limits.rows is None else limits.rows - work.rows
            within = frame.most(rows, len(frame.data) if limits.bytes is None else limits.bytes - work.given)
        beyond = None if within is frame else _beyond(limits, work.rows + within.count)
        if limits.hourly and within.data:
            self._drawing = _Drawing(within, work, beyond)
            self._link.do(Draw(work.grant, within.count, len(within.data)))
        else:
            self._give(within, work, beyond)

    def _give(self, frame: Frame, work: Work, beyond: str | None) -> None:
        """Rows that are within all limits; `beyond` says which one the next would not be."""
        work.rows += frame.count
        data = frame.data if work.mask is None or not frame.data else work.mask.feed(frame)
        work.given += len(data)
        work.cut = (
            frame.part in (Part.FIRST, Part.MIDDLE) and not isinstance(work.mask, CopyMask) and (work.cut or bool(data))
        )
        self._pass(data, work.grant)
        if beyond is not None:
            self._end(work, beyond)

    def drawn(self, enough: bool | None) -> None:
        """Rows that waited are counted, and may be given if that was `enough`."""
        if self._drawing is None:
            return
        drawing, self._drawing = self._drawing, None
        work = drawing.work
        if work.stopped is None and enough:
            try:
                self._give(drawing.frame, work, drawing.beyond)
            except (Malformed, MaskError):
                self._stop("unmaskable")
        elif work.stopped is None:
            self._end(work, _UNCOUNTED if enough is None else _HOURLY)
        self.go_on()

    def _copied(self, frame: Frame, work: Work) -> None:
        if self._copy is not work:
            raise _Unforeseen("data of no COPY")
        self._rows(frame, work)

    def _complete(self, frame: Frame, first: Sent, work: Work) -> None:
        """One statement is done."""
        link = self._link
        mask, columns = work.mask, work.result
        work.unmask()
        if columns is not None and not isinstance(mask, CopyMask):
            link.shelf.put(columns, work.grant.decision.masks, mask)
        link.ran(work)
        if work.stopped is not None:
            self._too_late(first, work)
            return
        self._pass(frame.data, work.grant)
        if first.step is Step.EXECUTE:
            link.pipeline.done()
            if link.entering is work:
                link.entering = None
            if not work.sent:
                link.conclude(work)

    def _settled(self, frame: Frame, asked: Settling) -> None:
        """The answer to what an approval would bind (`settling`)."""
        link = self._link
        if not settling.answer(link, asked, frame):
            raise _Unforeseen(f"kind {frame.kind}")
        if asked.done and link.pins.role not in (None, link.scene.role):
            said = f"The role of this connection is {link.pins.role}, and was changed."
            link.end("pinned-role", errors.fatal(errors.OPERATOR_INTERVENTION, said))

    def _looked(self, frame: Frame) -> None:
        """The answer to what the gateway itself asked (`look`)."""
        link = self._link
        if frame.kind == backend.DataRow.kind and frame.part is Part.WHOLE and frame.count == 1:
            self._seen.append(split_row(frame.body))
        elif link.tagging:
            self._tagged(frame)
        elif frame.kind == backend.ReadyForQuery.kind:
            scene = look.seen(link.scene, self._seen)
            self._seen = []
            if scene is None:
                raise _Unforeseen("role and path are not told as asked for")
            if link.pins.role not in (None, scene.role):
                said = f"The role of this connection is {link.pins.role}, and was changed."
                link.end("pinned-role", errors.fatal(errors.OPERATOR_INTERVENTION, said))
                return
            link.scene, link.stale, link.strayed = scene, False, False
            link.pipeline.done()
            if link.opening:
                self._pass(frame.data)
            link.looking = link.opening = False
            # A pooler may have chosen the name itself.
            link.retag()
        elif frame.kind not in (backend.RowDescription.kind, backend.CommandComplete.kind, *_PLAIN):
            raise _Unforeseen(f"kind {frame.kind}")

    def _tagged(self, frame: Frame) -> None:
        """The answer to the gateway's own SET (`tag`)."""
        link = self._link
        if frame.kind == backend.ReadyForQuery.kind:
            link.pipeline.done()
            link.looking = link.tagging = False
        elif frame.kind not in (*_PLAIN, backend.CommandComplete.kind):
            raise _Unforeseen(f"kind {frame.kind}")


def _beyond(limits: Limits, rows: int) -> str:
    """Why there are no more than so many rows of a statement."""
    if rows == limits.rows:
        return f"The statement gives more than the {limits.rows} rows that policy lets it."
    return f"The statement gives more than the {limits.bytes} bytes that policy lets it."
