"""What a server says without being asked: to the client, always, and for what it means to the session."""

import pytest

from extproc.protocols.postgres.wire.backend import (
    CommandComplete,
    NoticeResponse,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.session.playbook import IDLE, LOOKED, Play, looked, looks, row, text

SELECTED = (RowDescription((text("a"),)), row("1"), CommandComplete("SELECT 1"))
REMARK = NoticeResponse((("S", "WARNING"), ("V", "WARNING"), ("C", "01000"), ("M", "a remark")))


def asking() -> Play:
    """A session that asks the server where it is now, while its client waits to be served."""
    play = Play().opened().says(Query("SET search_path = work")).server_says(CommandComplete("SET"), IDLE)
    play.take()
    play.says(Query("SELECT 1"))
    assert [looks(message) for message in play.take()[1]] == [True]
    return play


@pytest.mark.parametrize(
    "message", [NotificationResponse(7, "news", "hello"), ParameterStatus("TimeZone", "Europe/Vienna")]
)
def test_what_comes_while_the_gateway_asks_is_not_lost(message: object) -> None:
    """A notification, or a setting that the server's owner changed: the client hears of it, and then its answer."""
    play = asking().server_says(*LOOKED[:1], message, *LOOKED[1:])
    assert play.take() == ([message], [Query("SELECT 1")])
    play.server_says(*SELECTED, IDLE)
    assert play.take()[0] == [*SELECTED, IDLE]


def test_remarks_on_what_the_gateway_asks_are_nobodys() -> None:
    """They are not about anything that the client said."""
    assert asking().server_says(*LOOKED[:1], REMARK, *LOOKED[1:]).take()[0] == []


@pytest.mark.parametrize("name", ["search_path", "session_authorization", "is_superuser"])
def test_a_server_that_reports_another_place_is_asked_which(name: str) -> None:
    """Nothing that the client said would have changed it: a statement that comes now is decided by what is true."""
    play = Play().opened().server_says(ParameterStatus(name, "other"))
    assert play.take() == ([ParameterStatus(name, "other")], [])
    play.says(Query("SELECT 1"))
    assert [looks(message) for message in play.take()[1]] == [True]
    play.server_says(*looked(path="other"))
    assert play.take()[1] == [Query("SELECT 1")]
    assert play.actions[-1].facts["search_path"] == "other"


def test_a_report_of_what_is_known_costs_one_question() -> None:
    """A client that sets its path has it reported, too: that is asked for once, and not again for each statement."""
    play = Play().opened().says(Query("SET search_path = work"))
    play.server_says(CommandComplete("SET"), ParameterStatus("search_path", "work"), IDLE)
    play.says(Query("SELECT 1")).server_says(*looked(path="work")).server_says(*SELECTED, IDLE)
    play.take()
    play.says(Query("SELECT 1"))
    assert play.take()[1] == [Query("SELECT 1")]


def test_a_transaction_that_ends_may_change_it_back() -> None:
    """What was reported within it may not be so any more."""
    play = Play().opened().says(Query("BEGIN"))
    play.server_says(CommandComplete("BEGIN"), ReadyForQuery(Transaction.OPEN))
    play.server_says(ParameterStatus("search_path", "work"))
    play.says(Query("ROLLBACK")).server_says(*looked(path="work", status=ReadyForQuery(Transaction.OPEN)))
    play.server_says(CommandComplete("ROLLBACK"), IDLE)
    play.take()
    play.says(Query("SELECT 1"))
    assert [looks(message) for message in play.take()[1]] == [True]
