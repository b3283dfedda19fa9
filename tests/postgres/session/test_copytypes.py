"""A binary COPY of a query, before which the server is asked for the types of its columns."""

import struct

from extproc.domain.limits import Limits
from extproc.domain.mask import Mask, Operator
from extproc.protocols.connection import Cancel, CancelAsked, Conclude, Overdue
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyOutResponse,
    ErrorResponse,
    NoData,
    ParameterDescription,
    ParseComplete,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import Bind, Close, Describe, Execute, Of, Parse, Query, Sync
from tests.postgres.masks.answers import KNOWN
from tests.postgres.session.playbook import IDLE, Play, allowed, text

SQL = "COPY (SELECT n FROM t) TO STDOUT BINARY"
NAME = "holdpoint copy"
CLOSE = Close(Of.STATEMENT, NAME)
ASKED = [CLOSE, Parse(NAME, "      SELECT n FROM t"), Describe(Of.STATEMENT, NAME), CLOSE]
TYPED = (
    CloseComplete(),
    ParseComplete(),
    ParameterDescription(()),
    RowDescription((text("n", kind=20),)),
    CloseComplete(),
)
HEAD, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
CARD = CopyData(HEAD + struct.pack(">hiq", 1, 8, 4111111111111111)), CopyData(END)
HIDDEN = [CopyData(HEAD + struct.pack(">hi", 1, -1)), CopyData(END)]
DONE = CopyDone(), CommandComplete("COPY 1")
OUT = CopyOutResponse(1, (1,))
MASKS = (Mask("p", ("card",), (), Operator.REDACT),)


def play(*masks: Mask) -> Play:
    """A session in which everything is let on under these masks."""
    return Play(rule=lambda _: allowed(*masks), known=KNOWN).opened()


def test_a_query_is_asked_about_before_it_goes_on() -> None:
    """Then the number in it is known for one, and what the client hears is what the server says to the COPY alone."""
    session = play(*MASKS)
    session.says(Query(SQL))
    assert session.take() == ([], [*ASKED, Sync()])
    session.server_says(*TYPED, IDLE)
    assert session.take() == ([], [Query(SQL)])
    session.server_says(OUT, *CARD, *DONE, IDLE)
    assert session.take()[0] == [OUT, *HIDDEN, *DONE, IDLE]


def test_a_portal_is_asked_about_right_before_it_runs() -> None:
    """In the client's own pipeline, whose answers come in order."""
    session = play(*MASKS)
    session.says(Parse("", SQL), Bind("", ""), Execute(""), Sync())
    wanted = [Parse("", SQL), Bind("", ""), Describe(Of.PORTAL, ""), *ASKED, Execute(""), Sync()]
    assert session.take() == ([], wanted)
    session.server_says(ParseComplete(), BindComplete(), NoData(), *TYPED, OUT, *CARD, *DONE, IDLE)
    assert session.take()[0] == [ParseComplete(), BindComplete(), OUT, *HIDDEN, *DONE, IDLE]


def test_an_error_is_the_answer() -> None:
    """What is wrong with the query is wrong with the COPY, which is not sent any more."""
    session = play(*MASKS)
    failed = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42P01"), ("M", "there is no t")))
    ready = ReadyForQuery(Transaction.FAILED)
    session.says(Query(SQL)).take()
    session.server_says(CloseComplete(), failed, ready)
    assert session.take() == ([failed, ready], [])
    assert [end.facts["sqlstate"] for end in session.done if isinstance(end, Conclude)] == ["42P01"]


def test_it_can_be_cancelled() -> None:
    """While it is asked about, as while it runs."""
    session = play(*MASKS)
    session.says(Query(SQL)).take()
    assert Cancel() in session.session.handle(CancelAsked())


def test_nothing_is_asked_where_nothing_is_masked() -> None:
    """It goes on as it came."""
    session = play()
    session.says(Query(SQL))
    assert session.take() == ([], [Query(SQL)])


def test_nothing_is_asked_of_what_comes_to_nobody() -> None:
    """Rows that go to a file of the server's are not masked, whatever they are written in."""
    session, sql = play(*MASKS), "COPY (SELECT n FROM t) TO '/x' (FORMAT binary, ENCODING 'latin1')"
    session.says(Query(sql))
    assert session.take() == ([], [Query(sql)])


def test_a_time_that_is_over_before_it_runs() -> None:
    """It is not begun then, and the client is told."""
    decided = allowed(*MASKS, limits=Limits(seconds=1))
    session = Play(rule=lambda _: decided, known=KNOWN).opened()
    session.says(Query(SQL)).take()
    session.server_says(*TYPED)
    for grant in list(session.grants):
        session.session.handle(Overdue(grant))
    session.server_says(IDLE)
    client, server = session.take()
    assert server == []
    (told, ready) = client
    assert isinstance(told, ErrorResponse)
    assert (dict(told.fields)["C"], ready) == ("53400", IDLE)


def test_a_mask_that_can_t_be_carried_out_is_an_error() -> None:
    """The server is not told of the COPY at all."""
    session = play(Mask("p", ("nobody-knows",), (), Operator.REDACT))
    session.says(Query(SQL))
    assert SQL not in str(session.take()[1])
    session.server_says(ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42601"), ("M", "holdpoint"))), IDLE)
    (told, _) = session.take()[0]
    assert isinstance(told, ErrorResponse)
    assert dict(told.fields)["C"] == "0A000"
