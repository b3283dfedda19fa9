"""The trace that a statement or a connection claims: read where a server sees a comment, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres import context
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.backend import ReadyForQuery, Transaction
from extproc.protocols.postgres.wire.frontend import Bind, Execute, FunctionCall, Parse, Query, Sync
from tests.postgres.session.playbook import LOOKED, Play

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"
COMMENT = f"/*traceparent='{PARENT}'*/"

STATEMENTS = [
    (f"SELECT 1 {COMMENT}", PARENT, ""),
    (f"{COMMENT} SELECT 1;", PARENT, ""),
    (f"SELECT 'ü', 'ö' {COMMENT}", PARENT, ""),
    (f"SELECT 1 /*a='it\\'s', traceparent = '{PARENT}' ,tracestate='k%3Dv%2Cw%3Dx'*/", PARENT, "k=v,w=x"),
    (f"SELECT 1 /*%74raceparent='{PARENT.replace('-', '%2D')}',traceparent='{PARENT}'*/", PARENT, ""),
    (f"SELECT 1 /*traceparent='{OTHER}'*/ /* a word */ {COMMENT}", PARENT, ""),
    (f"SELECT 1 {COMMENT} /*route='/home'*/", PARENT, ""),
    (f"SELECT '{COMMENT}'".replace("='", "=''").replace("'*", "''*"), None, ""),
    (f"SELECT $$ {COMMENT} $$", None, ""),
    (f"SELECT $a$ {COMMENT} $a$", None, ""),
    (f"SELECT E'\\'{COMMENT}'", None, ""),
    (f'SELECT 1 AS "{COMMENT}"', None, ""),
    (f"SELECT 1 -- traceparent='{PARENT}'", None, ""),
    (f"SELECT 1 /* {COMMENT} */", None, ""),
    (f"SELECT 1 /*see traceparent='{PARENT}'*/", None, ""),
    (f"SELECT 1 /*traceparent={PARENT}*/", None, ""),
    ("SELECT 1 /*traceparent='00-zz'*/", None, ""),
    (f"SELECT 1 /*traceparent='{PARENT.upper()}'*/", None, ""),
    (f"SELECT 'x {COMMENT}", None, ""),
    ("SELECT 1", None, ""),
]


@pytest.mark.parametrize(("sql", "parent", "state"), STATEMENTS)
def test_a_statements_comment_claims_a_trace(sql: str, parent: str | None, state: str) -> None:
    """As sqlcommenter writes it; no literal, no name and no comment of another form is one."""
    told = None if parent is None else {"traceparent": parent, "tracestate": state}
    assert context.of_statement(sql, "") == told


def test_the_applications_name_comes_second() -> None:
    """Where no comment claims anything."""
    assert context.of_statement("SELECT 1", f"report {PARENT}") == {"traceparent": PARENT, "tracestate": ""}
    assert context.of_statement(f"SELECT 1 {COMMENT}", OTHER) == {"traceparent": PARENT, "tracestate": ""}
    assert context.of_statement("SELECT 1", f"{PARENT}0") is None


SETTINGS = [
    ([("traceparent", PARENT)], "", PARENT),
    ([("otel.TraceParent", PARENT), ("tracestate", "a=b")], OTHER, PARENT),
    ([("work_mem", "1MB")], PARENT, PARENT),
    ([("traceparent", "no")], "psql", None),
]


@pytest.mark.parametrize(("settings", "application", "parent"), SETTINGS)
def test_a_connection_claims_a_trace(settings: list[tuple[str, str]], application: str, parent: str | None) -> None:
    """In a setting of its own or in the name of the application."""
    told = context.of_connection(settings, application)
    assert (None if told is None else told["traceparent"]) == parent


def test_a_server_is_not_asked_for_what_it_does_not_know() -> None:
    """Settings with a dot are anybody's, and it takes them."""
    settings = [("traceparent", PARENT), ("TRACESTATE", "a=b"), ("otel.traceparent", PARENT), ("work_mem", "1MB")]
    assert context.for_the_server(settings) == settings[2:]


@given(st.text(max_size=60), st.sampled_from(["'", "$$", "$t$", '"']))
def test_a_quoted_text_claims_nothing(text: str, quote: str) -> None:
    """Whatever stands before it in the quotes."""
    inner = (text.replace("\0", "") + COMMENT).replace("$", "")
    inner = inner.replace(quote, quote * 2) if len(quote) == 1 else inner
    assert context.of_statement(f"SELECT {quote}{inner}{quote}", "") is None


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """No exception, whatever it is."""
    context.of_statement(f"{text}{COMMENT}", text)
    context.of_statement(f"/*traceparent{text}*/", text)


def claims(play: Play) -> list[object]:
    """What each question claimed, the connection's first."""
    return [command.trace for command in play.asked]


def test_each_statement_claims_for_itself() -> None:
    """A question says what its statement claims; None leaves it to the connection."""
    play = Play().opened()
    play.says(Query(f"SELECT 1 {COMMENT}"))
    play.server_says(ReadyForQuery(Transaction.IDLE))
    play.says(Parse("", f"SELECT $1 {COMMENT}"), Bind("", "", (), (b"1",)), Execute(""), Sync())
    told = {"traceparent": PARENT, "tracestate": ""}
    assert claims(play) == [None, told, told]


def test_an_application_may_change_its_name() -> None:
    """The server says so, and what is asked from then on is of that name."""
    play = Play().opened()
    play.says(Query("SELECT 1"))
    play.server_says(backend.ParameterStatus("application_name", f"a {OTHER}"), ReadyForQuery(Transaction.IDLE))
    play.says(Query("SELECT 2"))
    assert claims(play) == [None, None, {"traceparent": OTHER, "tracestate": ""}]
    assert play.actions[-1].summary["application"] == f"a {OTHER}"


def test_what_is_refused_unread_claims_as_well() -> None:
    """It is a record of the same trace."""
    play = Play()
    play.server_says(*LOOKED)
    play.says(Query(f"SELEC {COMMENT}"))
    play.server_says(backend.ErrorResponse((("V", "ERROR"), ("C", "42601"))), ReadyForQuery(Transaction.IDLE))
    play.says(FunctionCall(1, (), (), 0))
    assert [refused.trace for refused in play.refused] == [{"traceparent": PARENT, "tracestate": ""}, None]
