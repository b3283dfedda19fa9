"""How far a statement may go, and what a session may not change."""

import pytest

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Lane
from extproc.domain.limits import Limits
from extproc.protocols.connection import Cancel, Conclude, Deadline, Draw, Drawn, Overdue
from extproc.protocols.postgres.pinned import Pins
from extproc.protocols.postgres.sql import read
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CommandComplete,
    ErrorResponse,
    ParameterStatus,
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


@pytest.mark.parametrize("limits", [Limits(rows=2), Limits(bytes=30), Limits(rows=2, rows_per_hour=9)])
def test_rows_that_come_together_are_given_as_far_as_they_are_within(limits: Limits) -> None:
    """And the record says how many those were."""
    play = limited(limits)
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, row("1"), row("2"), row("3"))
    if limits.hourly:
        assert _draw(play).rows == 2
        play.event(Drawn(_draw(play).under, True))
    play.server_says(CANCELLED, IDLE)
    client, _ = play.take()
    assert client[:3] == [COLUMNS, row("1"), row("2")]
    assert (code(client[3]), client[4:]) == ("53400", [IDLE])
    (done,) = [command for command in play.done if isinstance(command, Conclude)]
    assert done.facts["rows"] == 2


@pytest.mark.parametrize("limits", [Limits(bytes=100_000), Limits(seconds=1)])
def test_a_message_that_was_begun_is_the_last(limits: Limits) -> None:
    """The client would read an error as the rest of a row."""
    play = limited(limits)
    long = row("x" * 300_000).encode()
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, long[:80_000])
    if limits.seconds is not None:
        deadline = next(command for command in play.done if isinstance(command, Deadline))
        play.event(Overdue(deadline.under))
    else:
        play.server_says(long[80_000:200_000])
    assert play.done[-1] == Abort("limit-reached")
    sent = bytes(play.to_client)
    assert sent.startswith(COLUMNS.encode() + long[:65_536])
    assert long.startswith(sent.removeprefix(COLUMNS.encode()))


def test_what_the_server_tells_of_reading_only_counts() -> None:
    """Whoever changed it."""
    play = Play(read_only=True).opened()
    play.server_says(ParameterStatus("default_transaction_read_only", "on"))
    assert not play.done
    play.server_says(ParameterStatus("default_transaction_read_only", "off"))
    assert play.done[-1] == Abort("pinned-setting")


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


HOURLY = Limits(rows_per_hour=5)


def _draw(play: Play) -> Draw:
    """The last command, which is to count."""
    draw = play.done[-1]
    assert isinstance(draw, Draw)
    return draw


def test_rows_are_counted_before_they_are_given() -> None:
    """As they came, each with those beside it; nothing behind them passes meanwhile."""
    play = limited(HOURLY)
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, row("1"), row("2"))
    draw = _draw(play)
    assert draw == Draw(draw.under, 2, len(row("1").encode() * 2))
    assert not play.session.credit(Lane.RESPONSE)
    play.server_says(row("3"), CommandComplete("SELECT 3"), IDLE)
    assert play.take()[0] == [COLUMNS]
    play.event(Drawn(draw.under, True))
    assert play.take()[0] == [row("1"), row("2")]
    play.event(Drawn(_draw(play).under, True))
    assert play.take()[0] == [row("3"), CommandComplete("SELECT 3"), IDLE]
    assert play.session.credit(Lane.RESPONSE)


@pytest.mark.parametrize(("enough", "why"), [(False, "within an hour"), (None, "can't be told")])
def test_rows_that_are_too_many_or_uncounted_never_pass(enough: bool | None, why: str) -> None:
    """The statement ends with an error; the session goes on."""
    play = limited(HOURLY)
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, row("1"))
    play.event(Drawn(_draw(play).under, enough))
    assert isinstance(play.done[-1], Cancel)
    play.server_says(row("2"), CANCELLED, IDLE)
    client, _ = play.take()
    assert (client[0], code(client[1]), client[2:]) == (COLUMNS, "53400", [IDLE])
    assert why in dict(client[1].fields)["M"]  # type: ignore[attr-defined]


def test_what_is_counted_too_late_is_nobodys() -> None:
    """The client left, or the time was over, while its rows were counted."""
    play = limited(Limits(rows_per_hour=5, seconds=1))
    play.says(Query("SELECT a FROM t")).server_says(COLUMNS, row("1"))
    draw, deadline = _draw(play), next(command for command in play.done if isinstance(command, Deadline))
    play.event(Overdue(deadline.under)).event(Drawn(draw.under, True))
    play.server_says(CANCELLED, IDLE)
    client, _ = play.take()
    assert (client[0], code(client[1]), client[2:]) == (COLUMNS, "53400", [IDLE])
    play.event(Drawn(draw.under, True))
    assert play.take() == ([], [])


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
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'f'",
            "what was chosen when it began, which text that is run could do,",
        ),
        ("SELECT f()", None),
        ("SELECT f(); SELECT 1", "role, which what stands before another statement in this text could do,"),
        ("SELECT lower('A'); SELECT 1", None),
    ],
)
def test_what_the_gateway_chose_is_not_for_the_session_to_change(sql: str, touched: str | None) -> None:
    """Role and reading only, in every way that SQL has."""
    assert Pins("app", read_only=True).touched(read(sql)) == touched
    assert Pins().touched(read(sql)) is None
