"""What the server is told to call a session, and when."""

import pytest

from extproc.protocols.postgres.tag import Tag, kept, label
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CloseComplete,
    CommandComplete,
    ErrorResponse,
    NoData,
    ParameterStatus,
    ParseComplete,
    ReadyForQuery,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Flush, Parse, Query, Sync
from extproc.protocols.session import Abort
from tests.postgres.session.playbook import LOOKED, SETTINGS, Play

LABEL = "holdpoint:0123456789ab:alice"
IDLE, OPEN, FAILED = (ReadyForQuery(status) for status in Transaction)
CLOSED = (CloseComplete(), CloseComplete())


def named(value: str) -> ParameterStatus:
    """The server tells what the session is called."""
    return ParameterStatus("application_name", value)


def done(value: str, state: ReadyForQuery = IDLE) -> tuple[object, ...]:
    """What a server answers to the gateway's SET."""
    return *CLOSED, ParseComplete(), BindComplete(), CommandComplete("SET"), *CLOSED, named(value), state


def tagged(reported: str = f"{LABEL} test") -> Play:
    """A session that was opened."""
    return Play(tag=Tag(LABEL), settings={**SETTINGS, "application_name": reported}).opened()


def set_again(play: Play) -> list[str]:
    """The gateway's own statements since the last time."""
    return [one.text for one in play.take()[1] if isinstance(one, Parse) and one.statement]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("alice", "holdpoint:0123456789ab:alice"),
        ("spiffe://test/agent one", "holdpoint:0123456789ab:spiffe://test/agent?one"),
        ("zoë\n", "holdpoint:0123456789ab:zo??"),
        ("x" * 99, "holdpoint:0123456789ab:" + "x" * 24),
    ],
)
def test_a_label_is_what_a_server_keeps(subject: str, said: str) -> None:
    """Printable ASCII without spaces, whatever a principal is called."""
    assert label("0123456789abcdef", subject) == said
    assert Tag(said).name("x" * 99) == f"{said} {'x' * 99}"[:63]


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("psql", "15.17 (Debian)", "psql"),
        ("é", "15.17", "??"),
        ("é\t", "18beta1", "\\xc3\\xa9\\x09"),
        ("é", "", "??"),
        ("ä" * 40, "15.0", "?" * 62),
    ],
)
def test_a_name_as_the_server_would_have_kept_it(name: str, version: str, told: str) -> None:
    """Cut at 63 bytes, and never within a character."""
    assert kept(name, version) == told


@pytest.mark.parametrize(
    ("state", "statement"),
    [(IDLE, f"SET application_name TO '{LABEL} it''s'"), (OPEN, f"SET LOCAL application_name TO '{LABEL} it''s'")],
)
def test_a_name_of_the_clients_own_is_set_behind_the_label(state: ReadyForQuery, statement: str) -> None:
    """Right after it is known, and the client hears nothing of it: neither names nor answers."""
    play = tagged()
    play.says(Query("BEGIN; SET application_name = 'it''s'"))
    play.take()
    play.server_says(CommandComplete("SET"), named("it's"), state)
    assert play.to_client.endswith(named("it's").encode() + state.encode())
    assert set_again(play) == [statement]
    play.says(Query("SELECT 1"))
    assert play.take() == ([], [])
    play.server_says(*done(f"{LABEL} it's", state))
    assert play.take() == ([], [Query("SELECT 1")])
    assert play.actions[-1].summary["application"] == "it's"


def test_where_nothing_can_be_set_it_waits() -> None:
    """A transaction that failed takes nothing but its end."""
    play = tagged()
    play.says(Query("SET application_name = 'x'; SELECT 1/0"))
    play.server_says(CommandComplete("SET"), named("x"), ErrorResponse((("S", "ERROR"), ("C", "22012"))), FAILED)
    assert set_again(play) == []
    play.says(Query("ROLLBACK")).server_says(CommandComplete("ROLLBACK"), IDLE)
    assert set_again(play) == [f"SET application_name TO '{LABEL} x'"]


def test_a_pipeline_is_not_cut_in_two() -> None:
    """A Sync of the gateway's own would end its transaction."""
    play = tagged()
    play.says(Parse("", "SET application_name = 'x'"), Bind("", ""), Execute(""), Flush())
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("SET"), named("x"))
    play.says(Parse("", "SELECT 1"), Bind("", ""))
    assert set_again(play) == []
    play.says(Sync()).server_says(ParseComplete(), BindComplete(), IDLE)
    assert set_again(play) == [f"SET application_name TO '{LABEL} x'"]


def test_what_goes_back_to_a_name_with_its_label_needs_nothing() -> None:
    """RESET and ROLLBACK do; the client is told the name that it gave, even where the server has only part of it."""
    own = "a name that is far too long for what is left of sixty-three"
    play = tagged()
    play.says(Query("BEGIN; SET application_name = '…'")).server_says(CommandComplete("SET"), named(own), OPEN)
    play.server_says(*done(f"{LABEL} {own}"[:63], OPEN))
    play.take()
    play.says(Query("ROLLBACK")).server_says(CommandComplete("ROLLBACK"), named(f"{LABEL} test"), IDLE)
    assert play.take() == ([CommandComplete("ROLLBACK"), named("test"), IDLE], [Query("ROLLBACK")])
    play.says(Query("SELECT f()")).server_says(CommandComplete("SELECT 1"), named(f"{LABEL} {own}"[:63]), IDLE)
    assert named(own) in play.take()[0]


def test_a_label_of_somebody_elses_is_a_name_like_any() -> None:
    """It stands behind the true one."""
    play = tagged()
    play.says(Query("SET application_name = '…'")).server_says(named("holdpoint:ffffffffffff:bob psql"), IDLE)
    assert set_again(play) == [f"SET application_name TO '{f'{LABEL} holdpoint:ffffffffffff:bob psql'[:63]}'"]


def test_a_pooler_that_chose_the_name_is_told_once() -> None:
    """And if it reports another one even so, it is left alone."""
    play = Play(tag=Tag(LABEL), settings={**SETTINGS, "application_name": "pooled"})
    assert named("test").encode() in play.to_client
    play.server_says(*LOOKED)
    assert set_again(play) == [f"SET application_name TO '{LABEL} test'"]
    play.server_says(*done("pooled"))
    assert set_again(play) == []


def test_a_server_that_refuses_it_ends_the_session() -> None:
    """Nobody would know whose the session is."""
    play = tagged()
    play.says(Query("SET application_name = 'x'")).server_says(CommandComplete("SET"), named("x"), IDLE)
    play.server_says(ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42501"), ("M", "no"))))
    assert play.done[-1] == Abort("upstream-malformed")


def test_without_a_label_a_name_is_the_clients_own() -> None:
    """`tag: false`."""
    play = Play(settings={**SETTINGS, "application_name": "test"}).opened()
    play.says(Query("SET application_name = 'x'")).server_says(CommandComplete("SET"), named("x"), IDLE)
    assert play.take()[0] == [CommandComplete("SET"), named("x"), IDLE]
    assert set_again(play) == []
