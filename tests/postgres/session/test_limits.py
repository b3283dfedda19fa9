"""How far a statement may go, and what a session may not change."""

import pytest

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.limits import Limits
from extproc.protocols.connection import Cancel, Deadline, Overdue
from extproc.protocols.postgres.pinned import Pins
from extproc.protocols.postgres.sql import read
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CommandComplete,
    ErrorResponse,
    ParseComplete,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Query, Sync
from extproc.protocols.session import Abort
from tests.postgres.session.playbook import Play, allowed, row, text

IDLE = ReadyForQuery(Transaction.IDLE)
COLUMNS = RowDescription((text("a"),))
CANCELLED = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "57014"), ("M", "canceling statement")))


def limited(limits: Limits) -> Play:
    """A session whose statements may go so far."""

    def rule(action: Action) -> Decision:
        return allowed(limits=limits) if action.verb != "CONNECT" else allowed()

    return Play(rule=rule).opened()


def code(message: object) -> str:
    """The SQLSTATE of an error."""
    assert isinstance(message, ErrorResponse)
    return dict(message.fields)["C"]


@pytest.mark.parametrize("limits", [Limits(rows=2), Limits(bytes=30)])
def test_a_result_that_is_too_large_ends_with_an_error(limits: Limits) -> None:
    """The server is told to end it; what is beyond the limit never passes, whatever the server still sends."""
    play = limited(limits)
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, row("1"))
    play.server_says(row("2")).server_says(row("3"))
    assert isinstance(play.done[-1], Cancel)
    play.server_says(row("4"), row("5"), CANCELLED, IDLE)
    client, _ = play.take()
    assert client[:3] == [COLUMNS, row("1"), row("2")]
    assert (code(client[3]), client[4:]) == ("53400", [IDLE])
    assert play.concluded() == [("completed", [])]


def test_what_is_within_its_limits_passes() -> None:
    """To the last row."""
    play = limited(Limits(rows=2, bytes=1000, seconds=5))
    answer = [COLUMNS, row("1"), row("2"), CommandComplete("SELECT 2"), IDLE]
    play.says(Query("SELECT a FROM t")).server_says(*answer)
    assert play.take()[0] == answer


@pytest.mark.parametrize(("sql", "ends"), [("SELECT a FROM t", False), ("DELETE FROM t WHERE b RETURNING a", True)])
@pytest.mark.parametrize("prepared", [False, True])
def test_a_server_that_was_done_before_it_heard(sql: str, ends: bool, prepared: bool) -> None:
    """A read is an error all the same; of what has written the client must not believe that it has not."""
    play = limited(Limits(rows=1))
    if prepared:
        play.says(Parse("", sql), Bind("", ""), Describe(Of.PORTAL, ""), Execute(""), Sync())
        play.server_says(ParseComplete(), BindComplete())
    else:
        play.says(Query(sql))
    play.server_says(COLUMNS, row("1")).server_says(row("2"), CommandComplete("SELECT 2"), IDLE)
    client, _ = play.take()
    error = next(message for message in client if isinstance(message, ErrorResponse))
    assert (dict(error.fields)["S"] == "FATAL") is ends
    assert code(error) == "53400"
    assert isinstance(play.done[-1], Abort) is ends
    assert (client[-1] == IDLE) is not ends


def test_a_statement_that_takes_too_long() -> None:
    """It is cancelled, and the client hears why."""
    play = limited(Limits(seconds=5))
    play.says(Query("SELECT slow()"))
    deadline = next(command for command in play.done if isinstance(command, Deadline))
    assert deadline.seconds == 5
    play.event(Overdue(deadline.under))
    assert isinstance(play.done[-1], Cancel)
    play.server_says(CANCELLED, IDLE)
    client, _ = play.take()
    assert (code(client[0]), client[1]) == ("53400", IDLE)
    play.event(Overdue(deadline.under))
    assert not isinstance(play.done[-1], Cancel)


@pytest.mark.parametrize(
    ("sql", "touched"),
    [
        ("SELECT 1", None),
        ("BEGIN READ ONLY", None),
        ("SET work_mem = '1MB'", None),
        ("RESET ALL", None),
        ("BEGIN READ WRITE", "transaction_read_only"),
        ("SET TRANSACTION READ WRITE", "transaction_read_only"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "default_transaction_read_only"),
        ("SET default_transaction_read_only = off", "default_transaction_read_only"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "transaction_read_only"),
        ("SELECT set_config(name, 'off', true) FROM t", "a setting whose name is computed"),
        ("SELECT 1; SET ROLE other", "role"),
        ("RESET ROLE", "role"),
        ("SET SESSION AUTHORIZATION other", "session_authorization"),
        ("DISCARD ALL", "role"),
        ("DO $$ BEGIN END $$", "what was chosen when it began, which text that is run could do,"),
        ("CALL p()", "what was chosen when it began, which text that is run could do,"),
    ],
)
def test_what_the_gateway_chose_is_not_for_the_session_to_change(sql: str, touched: str | None) -> None:
    """Role and reading only, in every way that SQL has."""
    assert Pins("app", read_only=True).touched(read(sql)) == touched
    assert Pins().touched(read(sql)) is None
