"""A session: what the client gets is what the server said, or what was refused, and nothing goes on undecided."""

import pytest

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Lane, Refusal
from extproc.protocols.connection import Cancel, CancelAsked, Close, Withdraw
from extproc.protocols.postgres.wire import backend, frontend
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyInResponse,
    ErrorResponse,
    NoData,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import (
    Bind,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Of,
    Parse,
    Query,
    Sync,
)
from extproc.protocols.session import Abort
from tests.postgres.masks.answers import KNOWN
from tests.postgres.session.playbook import (
    DATABASE,
    KEY,
    LOOKED,
    SETTINGS,
    Play,
    allowed,
    blocked,
    looked,
    looks,
    row,
    text,
    told_around,
    unsettled,
)

IDLE, OPEN, FAILED = (ReadyForQuery(status) for status in Transaction)
SYNTAX = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42601"), ("M", "syntax error")))
WRONG = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "22012"), ("M", "division by zero")))


def no_deletes(action: Action) -> Decision | Refusal:
    """Everything but DELETE."""
    return blocked() if action.verb == "DELETE" else allowed()


def error_of(message: object) -> dict[str, str]:
    """The fields of an ErrorResponse."""
    assert isinstance(message, ErrorResponse)
    return dict(message.fields)


def test_a_connection_is_decided_before_there_is_one() -> None:
    """Then the client hears what a server says, last of all that it may speak."""
    play = Play()
    assert [(a.verb, a.resource) for a in play.actions] == [("CONNECT", "crm")]
    client, server = play.take()
    assert client == [*(ParameterStatus(n, v) for n, v in SETTINGS.items()), KEY]
    assert looks(server[0])
    assert len(server) == 1
    play.server_says(*LOOKED)
    assert play.take() == ([IDLE], [])
    assert play.session.scene.role == "app"


def test_a_refused_connection_never_reaches_the_server() -> None:
    """It ends with a word that a client understands."""
    play = Play(rule=lambda _: blocked("Not here"))
    client, server = play.take()
    assert server == []
    assert len(client) == 1
    assert error_of(client[0])["S"] == "FATAL"
    assert "Not here" in error_of(client[0])["M"]
    assert isinstance(play.done[-1], Abort)


def test_a_query_goes_on_as_it_is_and_so_does_its_answer() -> None:
    """Byte for byte, and its record says what came of it."""
    play = Play().opened()
    query = Query("SELECT 1; SELECT 2")
    answer = [
        RowDescription((text("a"),)), row("1"), CommandComplete("SELECT 1"),
        RowDescription((text("b"),)), row("2"), CommandComplete("SELECT 1"), IDLE,
    ]  # fmt: skip
    play.says(query)
    assert play.take() == ([], [query])
    play.server_says(*answer)
    assert play.take() == (answer, [])
    assert play.concluded() == [("completed", ["SELECT 1", "SELECT 1"])]
    assert play.actions[-1].facts["phase"] == "execute"


def test_a_refused_query_is_an_error_of_the_servers_own() -> None:
    """What stands in for it fails, and the client hears the gateway's words and the server's state."""
    play = Play(rule=no_deletes).opened()
    play.says(Query("DELETE FROM t"))
    client, server = play.take()
    assert client == []
    assert isinstance(server[0], Query)
    assert "DELETE" not in server[0].text
    play.server_says(SYNTAX, FAILED)
    client, _ = play.take()
    assert (error_of(client[0])["C"], client[1:]) == ("42501", [FAILED])
    assert "b" * 24 in error_of(client[0])["D"]
    assert play.concluded() == []


def test_what_stands_in_for_a_refused_statement_must_fail() -> None:
    """A server that takes it is no PostgreSQL, and the connection ends."""
    play = Play(rule=no_deletes).opened()
    play.says(Query("DELETE FROM t")).server_says(CommandComplete("DELETE 1"), IDLE)
    client, _ = play.take()
    assert error_of(client[0])["S"] == "FATAL"
    assert len(client) == 1
    assert isinstance(play.done[-1], Abort)


def test_a_pipeline_is_cut_where_a_statement_is_refused() -> None:
    """What went before it was sent on, what comes behind it never is, and the Sync is answered by the server."""
    play = Play(rule=no_deletes).opened()
    first = [Parse("", "INSERT INTO t VALUES ($1)"), Bind("", "", (), (b"1",)), Execute("")]
    refused = [Parse("", "DELETE FROM t"), Bind("", ""), Describe(Of.PORTAL, ""), Execute("")]
    play.says(*first, *refused, Parse("", "SELECT 1"), Bind("", ""), Execute(""), Sync())
    client, server = play.take()
    kinds = [type(message) for message in server]
    assert kinds == [Parse, Bind, Describe, Execute, Parse, Sync]
    assert isinstance(server[4], Parse)
    assert "DELETE" not in server[4].text
    assert [a.verb for a in play.actions[1:]] == ["INSERT", "DELETE"]
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("INSERT 0 1"), SYNTAX, IDLE)
    client, _ = play.take()
    assert client[:3] == [ParseComplete(), BindComplete(), CommandComplete("INSERT 0 1")]
    assert (error_of(client[3])["C"], client[4:]) == ("42501", [IDLE])
    assert play.concluded() == [("completed", ["INSERT 0 1"])]


def test_preparing_and_binding_at_once_is_one_action() -> None:
    """Preparing alone is one of its own, with nothing executed."""
    play = Play().opened()
    play.says(Parse("", "SELECT $1"), Bind("", "", (), (b"7",)), Execute(""), Sync())
    assert [(a.verb, a.facts["phase"], a.facts["values"]) for a in play.actions[1:]] == [("SELECT", "execute", ["7"])]
    play.server_says(
        ParseComplete(), BindComplete(), RowDescription((text("a"),)), row("7"), CommandComplete("S"), IDLE
    )
    play.actions.clear()
    play.says(Parse("s", "SELECT $1"), Describe(Of.STATEMENT, "s"), Sync())
    assert [(a.verb, a.facts["phase"]) for a in play.actions] == [("PREPARE", "prepare")]
    play.server_says(ParseComplete(), backend.ParameterDescription((23,)), RowDescription((text("a"),)), IDLE)
    play.says(Bind("", "s", (1,), (b"\0\0\0\7",)), Execute(""), Sync())
    assert play.actions[-1].facts["values"] == ["7"]


@pytest.mark.parametrize("message", [Bind("", "nobody"), Describe(Of.STATEMENT, "nobody"), Execute("nobody")])
def test_names_that_stand_for_nothing(message: object) -> None:
    """What was never let through can't be used, whatever the server may know by that name."""
    play = Play().opened()
    play.says(message, Sync())
    _, server = play.take()
    assert isinstance(server[0], Parse)
    assert server[1:] == [Sync()]
    play.server_says(SYNTAX, IDLE)
    client, _ = play.take()
    assert error_of(client[0])["C"] in ("26000", "34000")
    assert len(play.actions) == 1


def test_a_statement_that_was_not_prepared_after_all() -> None:
    """A Parse that fails leaves the name to what it stood for."""
    play = Play().opened()
    play.says(Parse("s", "SELECT 1"), Sync()).server_says(ParseComplete(), IDLE)
    play.says(Parse("s", "SELECT 2"), Sync()).server_says(WRONG, IDLE)
    play.says(Bind("", "s"), Execute(""), Sync())
    assert play.actions[-1].facts["text"] == "SELECT 1"


def test_an_error_skips_what_follows_as_the_server_does() -> None:
    """Nothing of a pipeline is decided any more once it failed."""
    play = Play().opened()
    play.says(Parse("", "SELECT 1/0"), Bind("", ""), Execute(""), Flush())
    play.server_says(ParseComplete(), BindComplete(), RowDescription((text("a"),)), WRONG)
    before = len(play.actions)
    play.take()
    play.says(Parse("", "SELECT 2"), Bind("", ""), Execute(""), Sync())
    assert play.take() == ([], [Sync()])
    assert len(play.actions) == before
    play.server_says(IDLE)
    assert play.take() == ([IDLE], [])
    assert play.concluded() == [("completed", [])]


def test_a_portal_goes_on_under_its_grant() -> None:
    """However often it is suspended."""
    play = Play().opened()
    play.says(Parse("", "SELECT 1"), Bind("p", ""), Execute("p", 1), Flush())
    fields = RowDescription((text("a"),))
    play.server_says(ParseComplete(), BindComplete(), fields, row("1"), PortalSuspended())
    play.says(Execute("p", 1), Sync())
    play.server_says(row("2"), CommandComplete("SELECT 1"), IDLE)
    client, _ = play.take()
    assert client == [
        ParseComplete(), BindComplete(), row("1"), PortalSuspended(), row("2"), CommandComplete("SELECT 1"), IDLE,
    ]  # fmt: skip
    assert len(play.actions) == 2
    assert [c.facts["rows"] for c in play.done if hasattr(c, "facts")] == [2]


def test_copy_in_by_query() -> None:
    """Data goes on under the COPY's grant, and what is left over of a failed one goes nowhere."""
    play = Play().opened()
    play.says(Query("COPY t FROM STDIN"), CopyData(b"1\n"))
    assert play.take()[1] == [Query("COPY t FROM STDIN")]
    play.server_says(CopyInResponse(0, (0,)))
    play.says(CopyData(b"2\n"), CopyDone())
    assert play.take()[1] == [CopyData(b"1\n"), CopyData(b"2\n"), CopyDone()]
    play.server_says(WRONG, IDLE)
    play.take()
    play.says(CopyData(b"3\n"), CopyDone(), Query("SELECT 1"))
    assert play.take()[1] == [Query("SELECT 1")]


def test_copy_in_by_portal() -> None:
    """A Sync that comes with the Execute is one that the server would take no notice of."""
    play = Play().opened()
    play.says(Parse("", "COPY t FROM STDIN"), Bind("", ""), Execute(""), Sync())
    assert [type(m) for m in play.take()[1]] == [Parse, Bind, Describe, Execute]
    play.server_says(ParseComplete(), BindComplete(), NoData(), CopyInResponse(0, (0,)))
    play.says(CopyData(b"1\n"), CopyDone(), Sync())
    assert play.take()[1] == [CopyData(b"1\n"), CopyDone(), Sync()]
    play.server_says(CommandComplete("COPY 1"), IDLE)
    assert (
        play.take()[0]
        == [ParseComplete(), BindComplete(), CopyInResponse(0, (0,)), CommandComplete("COPY 1"), IDLE][-2:]
    )


def test_cancelling_what_waits_for_people() -> None:
    """The question is taken back, and the statement ends as a cancelled one does."""
    play = Play(rule=lambda a: None if a.verb == "DELETE" else allowed()).opened()
    play.says(Query("DELETE FROM t")).event(CancelAsked())
    assert isinstance(play.done[-1], Withdraw)
    play.server_says(SYNTAX, IDLE)
    client, _ = play.take()
    assert error_of(client[0])["C"] == "57014"


def test_cancelling_what_the_server_does() -> None:
    """It is the server's to end it."""
    play = Play().opened()
    play.says(Query("SELECT pg_sleep(9)")).event(CancelAsked())
    assert isinstance(play.done[-1], Cancel)
    play.server_says(WRONG, IDLE)
    assert play.take()[0] == [WRONG, IDLE]


def test_fast_path_calls_are_refused() -> None:
    """They name no statement that could be decided on."""
    play = Play().opened()
    play.says(FunctionCall(1, (), (), 0)).server_says(SYNTAX, IDLE)
    client, server = play.take()
    assert error_of(client[0])["C"] == "0A000"
    assert isinstance(server[0], Query)


def test_what_moves_the_path_is_looked_at_again() -> None:
    """Before the next statement is decided."""
    play = Play().opened()
    play.says(Query("SET search_path = evil")).server_says(CommandComplete("SET"), IDLE)
    play.take()
    play.says(Query("SELECT 1"))
    assert [looks(m) for m in play.take()[1]] == [True]
    play.server_says(*looked("evil"))
    assert play.take() == ([], [Query("SELECT 1")])
    assert play.actions[-1].facts["search_path"] == "evil"


@pytest.mark.parametrize("pinned", [("client_encoding", "LATIN1"), ("standard_conforming_strings", "off")])
def test_settings_that_the_parser_stands_on_end_the_session(pinned: tuple[str, str]) -> None:
    """Whatever changed them."""
    play = Play().opened()
    play.says(Query("SELECT f()")).server_says(ParameterStatus(*pinned))
    assert isinstance(play.done[-1], Abort)
    assert play.done[-1].why == "pinned-setting"


@pytest.mark.parametrize(
    "data",
    [
        *(b"Q\0\0\0\1", b"Q\0\0\0\5x", b"P\0\0\0\7a\0bS\0\0\0\4", b"z\0\0\0\4", b"p\0\0\0\6x\0", b"B\0\0\0\4"),
        *(b"S\0\0\0\5x", b"H\0\0\0\5x", b"X\0\0\0\5x"),
    ],
)
def test_malformed_input_ends_the_connection(data: bytes) -> None:
    """With an error that says so, and nothing of it reaches the server."""
    play = Play().opened()
    play.says(data)
    client, server = play.take()
    assert server == []
    assert error_of(client[0])["C"] == "08P01"
    assert error_of(client[0])["S"] == "FATAL"
    assert isinstance(play.done[-1], Abort)


def test_what_can_not_be_parsed_is_blocked_with_the_parsers_words() -> None:
    """And with the place."""
    play = Play().opened()
    play.says(Query("SELEC 1")).server_says(SYNTAX, IDLE)
    client, _ = play.take()
    error = error_of(client[0])
    assert (error["C"], error["P"]) == ("42601", "1")
    assert "SELEC" in error["M"]


def test_terminate() -> None:
    """The end is told on."""
    play = Play().opened()
    play.says(frontend.Terminate())
    assert play.take()[1] == [frontend.Terminate()]
    assert isinstance(play.done[-1], Close)


def test_every_cut_gives_the_same() -> None:
    """Bytewise, too: of what is said on either side."""

    def story(play: Play) -> tuple[object, ...]:
        play.server_says(*LOOKED)
        play.says(Parse("", "SELECT $1"), Bind("", "", (), (b"7",)), Execute(""), Sync(), Query("DELETE FROM t"))
        play.server_says(
            ParseComplete(), BindComplete(), RowDescription((text("a"),)), row("7"), CommandComplete("SELECT 1"), IDLE
        )
        play.server_says(SYNTAX, IDLE)
        return (*play.take(), play.concluded(), [a.digest for a in play.actions])

    def cut(size: int) -> Play:
        return Play(rule=no_deletes, cut=lambda data: [data[i : i + size] for i in range(0, len(data), size)])

    whole = story(Play(rule=no_deletes))
    for size in range(1, 40):
        assert story(cut(size)) == whole


def test_a_name_that_a_text_gives_twice_stands_for_nothing() -> None:
    """An error between the two leaves the first one behind, which is not what the text says of the name."""
    play = Play().opened()
    play.says(Query("PREPARE p AS SELECT email FROM t; SELECT 1/0; PREPARE p AS SELECT 'x'"))
    play.server_says(CommandComplete("PREPARE"), WRONG, IDLE)
    play.says(Query("EXECUTE p"))
    facts = play.actions[-1].facts
    assert facts["complete"] is False
    assert "prepared-statement" in str(facts["statements"])


def test_a_flood_of_messages_waits_for_the_server() -> None:
    """What is not answered is bounded, and goes on when it is."""
    play = Play().opened()
    close = frontend.Close(Of.STATEMENT, "x")
    play.says(Parse("", "SELECT 1"), Bind("", ""), Execute(""), *[close] * 5000, Sync())
    _, server = play.take()
    sent = server.count(close)
    assert 1000 < sent < 2500
    assert server[-1] == Flush()
    assert not play.session.credit(Lane.REQUEST)
    play.server_says(ParseComplete(), BindComplete(), RowDescription((text("a"),)), CommandComplete("SELECT 0"))
    while Sync() not in server:
        play.server_says(*[CloseComplete()] * sent)
        _, server = play.take()
        sent = server.count(close)
        assert sent < 2500
    assert play.session.credit(Lane.REQUEST)


def test_names_and_their_texts_are_bounded() -> None:
    """Beyond that nothing is prepared; what is there still works."""
    play = Play().opened()
    text_of = "SELECT '" + "x" * 200_000 + "'"
    for number in range(100):
        play.says(Parse(f"s{number}", text_of), Sync())
        _, server = play.take()
        if f"s{number}" not in str(server[0]):
            break
        play.server_says(ParseComplete(), IDLE)
    assert 50 < number < 99
    play.server_says(SYNTAX, IDLE)
    assert error_of(play.take()[0][-2])["C"] == "53400"
    play.says(frontend.Close(Of.STATEMENT, "s0"), frontend.Close(Of.STATEMENT, "s1"), Sync())
    play.server_says(CloseComplete(), CloseComplete(), IDLE)
    play.take()
    play.says(Parse("again", "SELECT 1"), Sync())
    assert play.take()[1] == [Parse("again", "SELECT 1"), Sync()]


def test_thousands_of_statements_in_one_text_are_refused() -> None:
    """Policy would be asked about all of them at once."""
    play = Play().opened()
    play.says(Query("SELECT 1;" * 1001)).server_says(SYNTAX, IDLE)
    assert error_of(play.take()[0][0])["C"] == "54000"
    assert len(play.actions) == 1


@pytest.mark.parametrize(
    ("one", "other", "run"),
    [
        (Parse("p", "UPDATE t SET a = 1"), Parse("p", "DELETE FROM t"), Query("EXECUTE p")),
        (Parse("p", "SELECT $1", (23,)), Parse("p", "SELECT $1", (25,)), Query("EXECUTE p(1)")),
        (Query("PREPARE p AS SELECT 1"), Query("PREPARE p AS SELECT 2"), Query("EXECUTE p")),
        (Query("PREPARE p AS SELECT 1"), Query("PREPARE p AS SELECT 2"), Bind("", "p")),
        (
            Query("DECLARE p CURSOR WITH HOLD FOR TABLE a"),
            Query("DECLARE p CURSOR WITH HOLD FOR TABLE b"),
            Query("FETCH p"),
        ),
        (Query("SELECT 1"), Query("SELECT 2"), Bind("", "q")),
    ],
)
def test_an_approval_binds_what_a_name_stands_for(one: Parse | Query, other: Parse | Query, run: object) -> None:
    """The name may be given to something else while people decide."""

    def digest(first: Parse | Query) -> tuple[str, str]:
        play = Play(known=KNOWN).opened()
        play.says(Parse("q", "EXECUTE p"), Sync()).server_says(ParseComplete(), IDLE)
        if isinstance(first, Parse):
            play.says(first, Sync()).server_says(ParseComplete(), IDLE)
        else:
            if first.text.startswith("SELECT"):
                play.says(Query(f"PREPARE p AS {first.text}")).server_says(CommandComplete("PREPARE"), IDLE)
            else:
                play.says(first).server_says(CommandComplete("PREPARE"), IDLE)
        play.rule = unsettled
        play.says(run, Sync()).server_says(*told_around())
        action = play.actions[-1]
        return action.digest, action.render(())

    assert digest(one) == digest(one)
    (first, shown), (second, _) = digest(one), digest(other)
    assert first != second
    assert one.text in shown


@pytest.mark.parametrize(("sql", "complete"), [("SELECT c.purge FROM t c", False), ("SELECT c.name FROM t c", True)])
def test_what_looks_like_a_column_and_is_a_function_of_a_row(sql: str, complete: bool) -> None:
    """`c.purge` is `purge(c)` where the table has no such column; the server says which functions there are."""
    play = Play(calls=frozenset({"purge"})).opened().says(Query(sql))
    facts = play.actions[-1].facts
    assert facts["complete"] is complete
    assert ("'functions': [{'schema': None, 'name': 'purge'}]" in str(facts)) is not complete


def test_the_target_of_actions() -> None:
    """What binds an approval to this connection."""
    assert Play().session.scene.target is DATABASE
