"""Finding out what an approval of a statement would bind, before people are asked for one: see `surroundings`.

The question goes to the server behind all that the client sent before, so its answer is how things are when the
statement would run; nothing else of the session goes on until the statement is decided.
"""

from dataclasses import replace

from extproc.protocols.postgres import errors
from extproc.protocols.postgres.action import Asked
from extproc.protocols.postgres.beside import beside, closes
from extproc.protocols.postgres.link import Link
from extproc.protocols.postgres.pipeline import Sent, Step
from extproc.protocols.postgres.sql import CURSOR_POSITION
from extproc.protocols.postgres.surroundings import Settling, question, told
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.row import split_row

ROUNDS = 5
"""Times that one statement is settled: its hold may be used by somebody else, and others be asked for."""

_REPLAN = "DISCARD PLANS"
"""Sent before the question. A prepared statement keeps the objects that its names stood for and the constants as they
were read when it was analysed, and a new temporary table does not change that (PostgreSQL's documentation: PREPARE).
After this the server analyses its text again, in the session that the question describes."""
_TEXTS = 2

MOST_CUSTOMS = 256
"""Settings of the application's own that one session's texts may set and still have statements approved."""

_UNTOLD = "What the statement depends on could not be had from the server"
_POSITION = "Which row a cursor stands on can't be bound by an approval; name the row by its key (WHERE id = …)"
_FAILED = "In a failed transaction nobody can tell what the statement depends on; ROLLBACK first"
_UNSYNCED = "What the statement depends on can't be asked for here; send a Sync before it"
_ENDS = "What holds after the COMMIT or ROLLBACK in this text can't be told; send what follows it by itself"
_FORMER = (
    "What it names was declared or bound before something ran that may have changed settings or definitions; "
    "make it anew"
)
_MANY = "The session has set too many settings of its own to tell what the statement depends on"
_CHANGING = "What the statement depends on, or what is asked of people, changes all the time"
_END_KINDS = frozenset({"commit", "rollback", "discard"})


def unbound(link: Link, asked: Asked, step: Step, rounds: int) -> str:
    """Why no approval could bind all that a statement depends on; empty where one may."""
    state, between = link.scene.transaction, link.pipeline.between
    outer = asked.script.outer
    if any(CURSOR_POSITION in one.unknown for one in asked.script.statements):
        return _POSITION
    if state == "E":
        return _FAILED
    if step is Step.QUERY and not between:
        return _UNSYNCED
    if (state != "I" or not between) and any(one.kind in _END_KINDS for one in outer[:-1]):
        return _ENDS
    if step is Step.EXECUTE or not link.is_current(asked.script):
        return _FORMER
    if len(link.own_settings) > MOST_CUSTOMS:
        return _MANY
    return _CHANGING if rounds >= ROUNDS else ""


def ask(link: Link, asked: Asked) -> Settling:
    """Ask the server. Between transactions, and in one that a BEGIN opened, beside what the client has under way; in a
    pipeline without a Sync, as the client would itself: a Sync would end its transaction."""
    settling = Settling()
    text = question(asked.script, link.own_settings)

    def lose() -> None:
        settling.done = settling.lost = True
        link.settling, link.looking = None, False

    if link.pipeline.between:
        sent = Sent(Step.QUERY, silent=True)
    else:
        sent = Sent(
            Step.LOOK, silent=True, instead=errors.error(errors.OPERATOR_INTERVENTION, f"{_UNTOLD}."), undo=lose
        )
    link.settling, link.looking = settling, True
    link.ask(beside(_REPLAN, text, sync=sent.step is Step.QUERY), sent)
    link.pipeline.flushed = True
    return settling


def answer(link: Link, settling: Settling, frame: Frame) -> bool:
    """One frame of the answer; False where it is none."""
    if frame.kind == backend.DataRow.kind:
        if frame.part is Part.WHOLE and frame.count == 1 and settling.row is None:
            settling.row = split_row(frame.body)
    elif frame.kind == backend.CloseComplete.kind:
        settling.closed += 1
        if (
            link.pipeline.first is not None
            and link.pipeline.first.step is Step.LOOK
            and settling.closed == closes(_TEXTS)
        ):
            _answered(link, settling)
    elif frame.kind == backend.ReadyForQuery.kind:
        link.scene = link.scene.with_state(backend.ReadyForQuery.decode(frame.body).status)
        _answered(link, settling)
    elif frame.kind not in (backend.ParseComplete.kind, backend.BindComplete.kind, backend.CommandComplete.kind):
        return False
    return True


def _answered(link: Link, settling: Settling) -> None:
    link.pipeline.done()
    link.settling, link.looking, settling.done = None, False, True
    found = None if settling.row is None else told(settling.row)
    if found is None:
        return
    path, role, user, settling.found = found
    link.scene = replace(link.scene, search_path=path, role=user if role == "none" else role, user=user)
    link.stale = link.strayed = False


def untold(settling: Settling) -> str:
    """Why an answer is of no use; empty where it is."""
    return _UNTOLD if settling.found is None else ""
