"""What is learnt of tables is believed until somebody may have changed them; and one result's mask serves the next."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Refusal
from extproc.domain.mask import Mask, Operator
from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Knowledge
from extproc.masking.shipped import knowledge
from extproc.protocols.connection import Conclude
from extproc.protocols.postgres.definitions import Definitions
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CommandComplete,
    ErrorResponse,
    NoData,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Query, Sync, Terminate
from extproc.protocols.session import Cause, Stopped
from tests.masking.streams import made
from tests.postgres.session.playbook import IDLE, Play, allowed, blocked, row, text

EMAIL = "jane.doe@example.com"
BY_NAME = Mask("test", (), ("email",), Operator.REDACT, ("response",))
BY_KIND = Mask("test", ("email",), (), Operator.REDACT, ("response",))
COLUMN = text("mail", 7, 1)
VIEW: list[str | None] = [
    "7",
    "public",
    "v",
    "v",
    '[[1,"mail",25,null,false]]',
    "[]",
    "SELECT customers.city AS mail FROM customers",
]
CHANGED = [*VIEW[:-1], "SELECT customers.email AS mail FROM customers"]
COLUMNS = '[[1,"email",25,null,false],[2,"city",25,null,false]]'
CUSTOMERS: list[str | None] = ["8", "public", "customers", "r", COLUMNS, "[]", None]
IN_TRANSACTION = ReadyForQuery(Transaction.OPEN)
FAILING = ReadyForQuery(Transaction.FAILED)


@dataclass
class Told(Definitions):
    """Definitions by hand: `changes` are those done, `under_way` those begun and not ended."""

    changes: int = 0
    under_way: int = 0

    def mark(self, _: float = 1.0) -> object | None:
        """See Definitions."""
        return None if self.under_way else self.changes

    def begin(self) -> None:
        """See Definitions."""
        self.under_way += 1

    def end(self) -> None:
        """See Definitions."""
        self.changes += 1
        self.under_way -= 1


class Tables:
    """A catalogue of a view and what is behind it."""

    def __init__(self) -> None:
        self.view = VIEW
        self.asked = 0

    def __call__(self, question: Question) -> list[list[str | None]]:
        """Answers a question."""
        self.asked += 1
        rows: list[list[str | None]] = [self.view, CUSTOMERS]
        return [row for row in rows if row[2] in question.names or int(row[0] or 0) in question.oids]

    def counted(self) -> int:
        """How often it was asked since the last time."""
        asked, self.asked = self.asked, 0
        return asked


def play(told: Told, *masks: Mask, tables: Tables | None = None) -> Play:
    """A session under these masks."""
    known = knowledge() if BY_KIND in masks else Knowledge(Engine(()))
    return Play(lambda _: allowed(*masks), known, definitions=told, catalogue=tables or Tables()).opened()


def selected(session: Play, value: str) -> object:
    """What the client gets for a SELECT whose one value this is."""
    session.done.clear()
    session.says(Query("SELECT mail FROM v"))
    return given(session, value)


def given(session: Play, value: str) -> object:
    """The same, once the SELECT was sent."""
    session.server_says(RowDescription((COLUMN,)), row(value), CommandComplete("SELECT 1"), IDLE)
    return session.take()[0][1]


def test_what_was_learnt_is_believed() -> None:
    """As long as nobody changes anything."""
    tables = Tables()
    session = play(Told(), BY_NAME, tables=tables)
    assert (selected(session, "Bonn"), tables.counted()) == (row("Bonn"), 2)
    for city in ("Kiel", "Ulm"):
        assert (selected(session, city), tables.counted()) == (row(city), 0)


def test_a_change_is_seen() -> None:
    """By the next statement, and by one that was sent before it, if the server described its columns after it."""
    told, tables = Told(), Tables()
    kept, hidden = row("Bonn"), row("[masked:key:email]")
    session = play(told, BY_NAME, tables=tables)
    assert selected(session, "Bonn") == kept
    tables.view = CHANGED
    told.changes += 1
    assert selected(session, EMAIL) == hidden
    assert tables.counted() == 4
    assert (selected(session, EMAIL), tables.counted()) == (hidden, 0)
    session.says(Query("SELECT mail FROM v"))
    assert tables.counted() == 0
    tables.view = VIEW
    told.changes += 1
    assert given(session, "Bonn") == kept
    assert tables.counted() == 2


def test_nothing_is_believed_while_somebody_changes_something() -> None:
    """Each statement asks for itself, before it is decided, until two answers agree, and when its columns are
    described."""
    tables = Tables()
    session = play(Told(under_way=1), BY_NAME, tables=tables)
    for _ in range(2):
        assert (selected(session, "Bonn"), tables.counted()) == (row("Bonn"), 5)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a int)",
        "CREATE OR REPLACE VIEW v AS SELECT email AS mail FROM customers",
        "ALTER TABLE customers RENAME email TO town",
        "DROP VIEW v",
        "SELECT email AS mail INTO t FROM customers",
        "DO $$BEGIN EXECUTE 'DROP VIEW v'; END$$",
        "CALL change()",
        "SELECT change()",
        "EXECUTE something",
    ],
)
def test_who_may_change_something_says_so(sql: str) -> None:
    """Before it is sent, until its transaction is over."""
    told = Told()
    session = play(told)
    session.says(Query(sql))
    assert told == Told(0, 1)
    session.server_says(CommandComplete("OK"), IDLE)
    assert told == Told(1, 0)


@pytest.mark.parametrize("sql", ["SELECT 1", "INSERT INTO t VALUES (1)", "COPY t TO STDOUT", "SELECT count(*) FROM t"])
def test_who_changes_no_definition_says_nothing(sql: str) -> None:
    """Most statements do not."""
    told = Told()
    play(told).says(Query(sql))
    assert told == Told()


def test_a_transaction_changes_things_until_it_is_over() -> None:
    """However often it does, it is one."""
    told = Told()
    session = play(told)
    for sql, tag, status in (
        ("BEGIN", "BEGIN", IN_TRANSACTION),
        ("DROP VIEW v", "DROP VIEW", IN_TRANSACTION),
        ("DROP VIEW w", "DROP VIEW", IN_TRANSACTION),
    ):
        session.says(Query(sql)).server_says(CommandComplete(tag), status)
    assert told == Told(0, 1)
    session.says(Query("COMMIT"))
    assert told == Told(0, 1)
    session.server_says(CommandComplete("COMMIT"), IDLE)
    assert told == Told(1, 0)


@pytest.mark.parametrize("end", ["leaves", "stopped", "broken"])
def test_an_end_ends_it(end: str) -> None:
    """However a session ends: others must not ask for ever."""
    told = Told()
    session = play(told)
    session.says(Query("DROP VIEW v"))
    if end == "leaves":
        session.says(Terminate())
    elif end == "stopped":
        session.event(Stopped(Cause.TARGET, "stopped", "It ends."))
    else:
        session.server_says(b"\0\0\0\0\0")
    assert told == Told(1, 0)


# -- masks that are used again -----------------------------------------------------------------------------------------


def masked(session: Play) -> list[object]:
    """What was masked by each that was concluded."""
    return [command.facts["masked"] for command in session.done if isinstance(command, Conclude)]


def test_each_result_counts_for_itself() -> None:
    """Although it goes through the mask of the one before."""
    session = play(Told(), BY_KIND)
    for value in (EMAIL, "nothing", EMAIL):
        selected(session, value)
        counts = {"response": {"email": 1}} if value == EMAIL else {}
        assert masked(session) == [counts]


def test_two_portals_of_one_statement_count_for_themselves() -> None:
    """Each has a mask of its own, if they are read by turns."""
    session = play(Told(), BY_KIND)
    session.says(Query("BEGIN")).server_says(CommandComplete("BEGIN"), IN_TRANSACTION)
    session.says(Parse("s", "SELECT mail FROM v"), Sync()).server_says(ParseComplete(), IN_TRANSACTION)
    for portal in ("a", "b"):
        session.says(Bind(portal, "s"), Describe(Of.PORTAL, portal), Execute(portal, 1), Sync())
        session.server_says(BindComplete(), RowDescription((COLUMN,)), row(EMAIL), PortalSuspended(), IN_TRANSACTION)
    session.take()
    session.done.clear()
    for portal, rest in (("a", (EMAIL, EMAIL)), ("b", ("x",))):
        session.says(Execute(portal, 0), Sync())
        session.server_says(*map(row, rest), CommandComplete("SELECT"), IN_TRANSACTION)
    session.says(Query("COMMIT")).server_says(CommandComplete("COMMIT"), IDLE)
    assert masked(session) == [{"response": {"email": 3}}, {"response": {"email": 1}}, {}]


def test_a_result_that_failed_leaves_no_mask_behind() -> None:
    """The next one has one that counts from nought."""
    session = play(Told(), BY_KIND)
    session.says(Query("SELECT mail FROM v"))
    failed = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "22012"), ("M", "division by zero")))
    session.server_says(RowDescription((COLUMN,)), row(EMAIL), failed, IDLE)
    session.take()
    assert masked(session) == [{"response": {"email": 1}}]
    selected(session, EMAIL)
    assert masked(session) == [{"response": {"email": 1}}]


def test_a_mask_is_for_its_columns() -> None:
    """Another type or name of a column, another text, or another decision has one of its own."""
    session = play(Told(), BY_KIND)
    selected(session, EMAIL)
    session.says(Query("SELECT mail FROM v"))
    session.server_says(RowDescription((COLUMN, text("n"))), row(EMAIL, EMAIL), CommandComplete("SELECT 1"), IDLE)
    assert session.take()[0][1] == row("[masked:email]", "[masked:email]")


def test_what_is_never_told_twice_alike_is_unknown() -> None:
    """Somebody changes it faster than it can be asked for."""

    class Turning(Tables):
        def __call__(self, question: Question) -> list[list[str | None]]:
            """Another view each time."""
            if "v" in question.names:
                self.view = VIEW if self.view is CHANGED else CHANGED
            return super().__call__(question)

    tables = Turning()
    session = play(Told(under_way=1), BY_NAME, tables=tables)
    session.says(Query("SELECT mail FROM v"))
    assert tables.counted() == 20
    assert "definition" in str(session.actions[-1].facts["statements"])


def test_rules_change_while_a_session_lasts() -> None:
    """What is decided, and what is masked from then on, goes by the new ones."""
    session = play(Told(), BY_KIND, tables=Tables())
    assert selected(session, EMAIL) == row("[masked:email]")
    session.known = Knowledge(made("kind: email, pattern: 'mail-[0-9]{4}'"))
    assert selected(session, EMAIL) == row(EMAIL)
    session.known = knowledge()
    assert selected(session, EMAIL) == row("[masked:email]")


OWN: list[list[str | None]] = [["o", "mine", "=", None, None], ["f", "mine", "lower", None, None]]


FAILED = ErrorResponse((("S", "ERROR"), ("C", "42601"), ("M", "syntax error")))


def judge(action: Action) -> Decision | Refusal:
    """Refuses to run code that nobody knows."""
    statements = cast("list[dict[str, Any]]", action.facts.get("statements", []))
    runs = any("function" in one["unknown"] for one in statements if one["kind"] not in ("create", "drop"))
    return blocked() if runs else allowed()


def runs(session: Play, *messages: object, status: ReadyForQuery = IDLE) -> bool:
    """Whether what is sent is let on, as code that is known; the server is done with it then."""
    session.says(*messages)
    words = session.take()[1]
    refused = any("refused" in str(one) for one in words)
    prepared = isinstance(messages[0], Bind)
    session.server_says(*(() if refused or not prepared else (BindComplete(), NoData())))
    session.server_says(FAILED if refused else CommandComplete("SELECT 1"), status)
    return not refused


def test_operators_of_the_database_are_heard_of() -> None:
    """By the next statement, prepared before or not, once somebody has made one; and no more once it is gone."""
    told = Told()
    session = Play(judge, definitions=told).opened()
    session.says(Parse("p", "SELECT 1 = 1"), Sync()).server_says(ParseComplete(), IDLE).take()
    for rows in (OWN, [], OWN):
        told.changes += 1
        session.defined = rows
        assert runs(session, Bind("", "p"), Execute(""), Sync()) == (not rows)
        assert runs(session, Query("SELECT lower('x')")) == (not rows)
        assert runs(session, Query("SELECT pg_catalog.lower('x') OPERATOR(pg_catalog.=) 'x'"))


def test_operators_of_the_own_transaction_are_known() -> None:
    """Until it is over: then the server tells what there is."""
    session = Play(judge, definitions=Told()).opened()
    for sql in (
        "BEGIN",
        "CREATE OPERATOR x.= (FUNCTION = f, RIGHTARG = int)",
        "CREATE FUNCTION x.lower(int) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "SELECT 1 < 1",
    ):
        assert runs(session, Query(sql), status=IN_TRANSACTION)
    for sql in ("SELECT 1 = 1", "SELECT lower(3)", "SELECT 1 IN (1)"):
        assert not runs(session, Query(sql), status=FAILING)
        session.says(Query("ROLLBACK TO a")).server_says(CommandComplete("ROLLBACK"), IN_TRANSACTION).take()
    assert runs(session, Query("ROLLBACK"))
    assert runs(session, Query("SELECT 1 = 1"))


@pytest.mark.parametrize("answer", [None, [["?"]], [["o", "x", "=", None, None]] * 20_001])
def test_without_an_answer_every_operator_is_unknown(answer: list[list[str | None]] | None) -> None:
    """Where none came the server is asked again."""
    session = Play(judge, definitions=Told()).opened()
    session.defined = answer
    assert not runs(session, Query("SELECT 1 = 1"))
    session.defined = []
    assert runs(session, Query("SELECT 1 = 1")) == (answer is None)
