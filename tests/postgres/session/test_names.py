"""What a name stands for is what the server takes it for, in whatever order things fail: nothing is decided before."""

from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CommandComplete,
    ErrorResponse,
    NoData,
    ParseComplete,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Flush, Parse, Query, Sync
from tests.postgres.session.playbook import Play, looked, looked_beside, looks, row, text

IDLE, OPEN, FAILED = (ReadyForQuery(status) for status in Transaction)
RUN = (Bind("", "s"), Execute(""), Sync())


def failed(state: str) -> ErrorResponse:
    """An error of the server's."""
    return ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", state), ("M", "no")))


def known(sql: str, name: str = "s") -> Play:
    """A session that has prepared a statement."""
    play = Play().opened()
    play.says(Parse(name, sql), Sync()).server_says(ParseComplete(), IDLE)
    play.take()
    return play


def texts(play: Play) -> list[object]:
    """What was decided of, in order, without the connection."""
    return [action.facts["text"] for action in play.actions[1:]]


def test_what_stands_behind_a_sync_waits_for_it() -> None:
    """A name that could not be given again still stands for what it did."""
    play = known("SELECT 1")
    play.says(Parse("s", "SELECT 2"), Sync(), *RUN)
    assert play.take()[1] == [Parse("s", "SELECT 2"), Sync()]
    play.server_says(failed("42P05"), IDLE)
    assert texts(play) == ["SELECT 1", "SELECT 2", "SELECT 1"]
    assert play.take()[1][0] == Bind("", "s")


def test_what_gives_names_by_sql_is_waited_for() -> None:
    """Within a pipeline as well; the server is asked for what it has."""
    play = known("SELECT 1")
    swap = "DEALLOCATE s"
    play.says(Parse("", swap), Bind("", ""), Execute(""), Parse("s", "SELECT 2"), *RUN)
    _, server = play.take()
    assert server[-1] == Flush()
    assert texts(play) == ["SELECT 1", swap]
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("DEALLOCATE"))
    assert texts(play) == ["SELECT 1", swap, "SELECT 2"]


def test_what_moves_the_path_in_a_pipeline_leaves_it_unknown() -> None:
    """The server can't be asked for it there: that would end the transaction which the pipeline is."""
    play = Play().opened()
    play.says(Parse("", "SET search_path = evil"), Bind("", ""), Execute(""))
    play.says(Parse("", "SELECT 1"), Bind("", ""), Execute(""), Sync())
    assert texts(play) == ["SET search_path = evil"]
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("SET"))
    assert texts(play) == ["SET search_path = evil", "SELECT 1"]
    assert play.actions[-1].facts["search_path"] is None
    play.server_says(ParseComplete(), BindComplete(), RowDescription((text("a"),)), row("1"))
    play.server_says(CommandComplete("SELECT 1"), IDLE)
    play.take()
    play.says(Query("SELECT 2"))
    assert looks(play.take()[1][0])
    play.server_says(*looked("evil"))
    assert play.actions[-1].facts["search_path"] == "evil"


def test_a_text_whose_statements_run_in_several_places_has_none() -> None:
    """Its first statement may move what the next one means, and the end of a transaction may move it back."""
    for sql, path in (
        ("SET search_path = evil; SELECT lower('A')", None),
        ("SELECT 1; SET search_path = evil", '"$user", public'),
    ):
        play = Play().opened().says(Query(sql))
        assert play.actions[-1].facts["search_path"] == path
    play = Play().opened()
    play.says(Query("BEGIN")).server_says(CommandComplete("BEGIN"), OPEN)
    play.says(Query("SET LOCAL search_path = evil")).server_says(CommandComplete("SET"), OPEN)
    play.says(Query("SELECT 1")).server_says(*looked("evil", status=OPEN))
    assert play.actions[-1].facts["search_path"] == "evil"
    play.server_says(RowDescription((text("a"),)), row("1"), CommandComplete("SELECT 1"), OPEN)
    play.says(Query("ROLLBACK; SELECT lower('A')"))
    assert play.actions[-1].facts["search_path"] is None


def test_a_portal_that_is_executed_again_is_decided_anew() -> None:
    """Its Grant was for what it did; rows that are still to come belong to that."""
    play = known("SELECT 1")
    rows = (RowDescription((text("a"),)), row("1"))
    play.says(Query("BEGIN")).server_says(CommandComplete("BEGIN"), OPEN)
    play.says(Bind("p", "s"), Execute("p"), Execute("p"), Sync())
    play.server_says(BindComplete(), *rows, CommandComplete("SELECT 1"), CommandComplete("SELECT 0"), OPEN)
    assert texts(play) == ["SELECT 1", "BEGIN", "SELECT 1"]
    play.says(Execute("p"), Sync())
    assert texts(play) == ["SELECT 1", "BEGIN", "SELECT 1", "SELECT 1"]
    play.server_says(RowDescription((text("a"),)), CommandComplete("SELECT 0"), OPEN)
    assert len(play.grants) == 1


def test_a_cursor_that_gave_its_name_away_is_not_known() -> None:
    """FETCH by that name gives what the portal is bound to."""
    play = known("SELECT 2")
    declare = "DECLARE c CURSOR FOR SELECT 1"
    for sql, tag in (("BEGIN", "BEGIN"), (declare, "DECLARE CURSOR"), ("CLOSE c", "CLOSE CURSOR")):
        play.says(Query(sql)).server_says(CommandComplete(tag), OPEN)
    play.says(Bind("c", "s"), Sync()).server_says(BindComplete(), OPEN)
    play.says(Query("FETCH ALL FROM c"))
    assert play.actions[-1].facts["complete"] is False


def test_a_name_given_by_what_could_not_be_committed_is_not_known() -> None:
    """PREPARE is not undone by that, so that the name may stand for either."""
    play = known("SELECT 1")
    play.says(Query("INSERT INTO t VALUES (1); DEALLOCATE s"))
    play.server_says(CommandComplete("INSERT 0 1"), failed("23505"), IDLE)
    play.take()
    play.says(*RUN)
    client, server = play.take()
    assert Bind("", "s") not in server
    play.server_says(failed("42601"), IDLE)
    client, _ = play.take()
    assert isinstance(client[0], ErrorResponse)
    assert dict(client[0].fields)["C"] == "26000"


def test_a_statement_without_a_name_outlives_what_the_gateway_asks() -> None:
    """A Query would make the server forget it: what the gateway asks has a name."""
    play = Play().opened()
    play.says(Parse("", "SET search_path = evil"), Bind("", ""), Execute(""), Sync())
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("SET"), IDLE)
    play.take()
    play.says(Bind("", ""), Execute(""), Sync())
    _, server = play.take()
    assert [one for one in server if isinstance(one, Query) or getattr(one, "statement", "-") == ""] == []
    play.server_says(*looked_beside("evil"))
    assert play.take()[1][0] == Bind("", "")
    assert play.actions[-1].facts["search_path"] == "evil"


def test_what_waits_is_bound_to_a_meaning_that_can_be_read() -> None:
    """A Bind that is none ends the session wherever it stands."""
    play = Play().opened()
    play.says(Query("SET search_path = evil")).server_says(CommandComplete("SET"), IDLE)
    play.take()
    play.says(b"B\0\0\0\6\0\0")
    play.take()
    play.server_says(*looked_beside())
    client, server = play.take()
    assert isinstance(client[0], ErrorResponse)
    assert (dict(client[0].fields)["C"], server) == ("08P01", [])
