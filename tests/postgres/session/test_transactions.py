"""Whatever a client does and whatever is refused: it believes of its transaction what is true at the server.

A state machine does the same work twice on a real server: through a session that refuses some of it, and straight, with
an error in the place of what is refused. After each step both clients have heard the same, both servers are in the same
state of a transaction, and both databases hold the same.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from extproc.domain.action import Action
from extproc.domain.decision import Decision
from extproc.domain.grant import Refusal
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import (
    Bind,
    Close,
    CopyFail,
    Describe,
    Execute,
    Flush,
    Of,
    Parse,
    Query,
    Sync,
)
from tests.postgres.session.playbook import allowed, blocked
from tests.postgres.session.sides import Straight, Through, row
from tests.support.envoy import until
from tests.support.postgres import Server

NO, NO_VALUE = "/* no */", b"666"
TABLES = """
CREATE TABLE t (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text CHECK (v <> 'bad'));
CREATE PROCEDURE p_commits(n integer) LANGUAGE plpgsql AS $$BEGIN INSERT INTO t VALUES (n, 'p'); COMMIT; END$$;
CREATE FUNCTION moves(p text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('search_path', p, false);
RETURN p; END$$;
"""
STATEMENTS = (
    "INSERT INTO t VALUES (1, 'a')",
    "INSERT INTO t VALUES (2, 'b') RETURNING id",
    "INSERT INTO t VALUES (3, 'bad')",
    "UPDATE t SET v = v || 'x'",
    "DELETE FROM t WHERE id = 1",
    "SELECT id, v FROM t ORDER BY id, v",
    "SELECT 1 / (id - 1) FROM t",
    "SELECT nothing FROM t",
    "no statement",
    "",
    "/* no */ DELETE FROM t",
    "/* no */ SELECT 1",
    "/* no */ COMMIT",
    "BEGIN",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "COMMIT",
    "COMMIT AND CHAIN",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "PREPARE s AS SELECT id FROM t",
    "PREPARE s AS INSERT INTO t VALUES (5, 's')",
    "EXECUTE s",
    "DEALLOCATE s",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DECLARE c CURSOR FOR SELECT id FROM t",
    "DECLARE c CURSOR WITH HOLD FOR SELECT v FROM t",
    "FETCH 1 FROM c",
    "CLOSE c",
    "CLOSE ALL",
    "SET search_path = public, pg_catalog",
    "SET LOCAL search_path = pg_catalog, public",
    "RESET ALL",
    "SET ROLE reader",
    "RESET ROLE",
    "SELECT moves('public')",
    "CALL p_commits(7)",
    "DO $$BEGIN UPDATE t SET v = 'do'; COMMIT; END$$",
    "DO $$BEGIN RAISE NOTICE 'noticed'; END$$",
)
BOUND = (
    "INSERT INTO t VALUES ($1, 'bound')",
    "DELETE FROM t WHERE id = $1",
    "SELECT id FROM t WHERE id >= $1 ORDER BY id",
    "SELECT g FROM generate_series(1, $1::integer) g",
    "SELECT 10 / $1::integer",
    f"{NO} SELECT $1::integer",
)
texts = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4).map("; ".join)
names = st.sampled_from(["", "s", "x"])
portals = st.sampled_from(["", "c", "y"])
PREPARED = "SELECT name, statement FROM pg_catalog.pg_prepared_statements ORDER BY 1"
ACTIVITY = "SELECT pid, state, backend_xid IS NOT NULL, wait_event FROM pg_catalog.pg_stat_activity"
values = st.sampled_from([b"0", b"1", b"2", b"3", b"none", NO_VALUE])
copied = st.lists(st.sampled_from([b"8\tc\n", b"9\td\n", b"wrong\n", b"4\tbad\n", b"\\.\n"]), max_size=3)
endings = st.sampled_from([CopyDone(), CopyFail("enough")])
COPIES = ("COPY t FROM STDIN", f"{NO} COPY t FROM STDIN", "COPY nothing FROM STDIN")


@st.composite
def executions(draw: Any) -> list[object]:
    """A statement prepared, bound and executed, as drivers do it: with a Describe, in portions, or neither."""
    name, portal = draw(names), draw(portals)
    # What executes itself fails, and is unknown to the session from then on: it is refused under another code.
    made = draw(
        st.one_of(st.sampled_from(BOUND), st.sampled_from(STATEMENTS)).filter(lambda sql: sql != f"EXECUTE {name}")
    )
    bound = (draw(values),) if "$1" in made else ()
    parts: list[object] = [Close(Of.STATEMENT, name)] if draw(st.booleans()) else []
    parts.append(Parse(name, made))
    parts += draw(st.sampled_from([[], [Describe(Of.STATEMENT, name)], [Flush()]]))
    parts.append(Bind(portal, name, (), bound))
    parts += draw(st.sampled_from([[], [Describe(Of.PORTAL, portal)]]))
    parts += [Execute(portal, draw(st.sampled_from([0, 1, 2]))) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    return parts


@st.composite
def fragments(draw: Any) -> list[object]:
    """One message that may mean something by now, or nothing."""
    name, portal = draw(names), draw(portals)
    return [
        draw(
            st.sampled_from(
                [
                    Bind(portal, name, (), (draw(values),)),
                    Bind(portal, name),
                    Execute(portal, 1),
                    Describe(Of.STATEMENT, name),
                    Describe(Of.PORTAL, portal),
                    Close(Of.STATEMENT, name),
                    Close(Of.PORTAL, portal),
                    Flush(),
                    Query("SELECT 1"),
                    Query(f"{NO} SELECT 1"),
                ]
            )
        )
    ]


@st.composite
def copies(draw: Any) -> list[object]:
    """A COPY by the extended protocol, its data right behind it."""
    data = [CopyData(piece) for piece in draw(copied)]
    return [Parse("", draw(st.sampled_from(COPIES))), Bind("", ""), Execute(""), *data, draw(endings)]


parts = st.one_of(executions(), executions(), fragments(), copies(), st.just([Sync()]))
pipelines = st.lists(parts, min_size=1, max_size=4)


def decide(action: Action) -> Decision | Refusal:
    """What says so, in its text or its values, is refused."""
    facts = action.facts
    said = facts.get("values")
    no = NO in str(facts.get("text")) or (isinstance(said, list) and NO_VALUE.decode() in said)
    return blocked() if no else allowed()


def replaced(messages: list[object]) -> list[object]:
    """What a server would have to be sent for the same to come of it: an error in the place of what is refused."""
    found: list[object] = []
    for message, follows in pairwise([*messages, None]):
        match message:
            case Query(text) if NO in text:
                found.append(Query("DO $$BEGIN RAISE insufficient_privilege USING MESSAGE = 'refused'; END$$"))
            case Parse(name, text) if NO in text or (
                isinstance(follows, Bind) and follows.statement == name and NO_VALUE in follows.values
            ):
                found.append(Parse("refused", "SELECT refused()"))
            case Bind(_, _, _, bound) if NO_VALUE in bound:
                found.append(
                    message if isinstance(found[-1] if found else None, Parse) else Parse("refused", "refused")
                )
            case _:
                found.append(message)
    return found


def told(messages: list[object]) -> list[object]:
    """What a client makes of it: of errors and notices what they are, not every word."""
    found: list[object] = []
    for message in messages:
        if isinstance(message, backend.ErrorResponse):
            fields = dict(message.fields)
            refused = fields["C"] == "42501" or "refused" in fields["M"]
            found.append(("error", "refused" if refused else fields["C"]))
        elif isinstance(message, backend.NoticeResponse):
            found.append(("notice", dict(message.fields)["M"]))
        else:
            found.append(message)
    return found


END = [CopyFail("the end"), Sync(), Close(Of.STATEMENT, "the end"), *[Sync()] * 5]
"""What ends a step: by then nothing is skipped, so that all of it but the first is answered."""


def agree(told_straight: list[object], told_through: list[object]) -> bool:
    """Whether both clients heard the same. Where both heard an error the straight one may have another reason, as it is
    told of no refusal: that it is no SQL, that nothing has such a name, or that the transaction failed before."""
    reasons = {("error", code) for code in ("refused", "25P02", "26000", "42601")}
    return len(told_straight) == len(told_through) and all(
        one == two or {one, two} <= reasons for one, two in zip(told_straight, told_through, strict=True)
    )


def over(said: list[object]) -> bool:
    """Whether the answers to that are here: nothing else closes something, and is ready five times at once."""
    ready = [isinstance(message, backend.ReadyForQuery) for message in said[-5:]]
    return len(said) > 5 and isinstance(said[-6], backend.CloseComplete) and all(ready)


class Transactions(RuleBasedStateMachine):
    """The same work, twice."""

    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.watch = {name: Straight(self.server, name) for name in ("one", "two")}
        for watcher in self.watch.values():
            watcher.rows("TRUNCATE t")
        self.straight = Straight(self.server, "one")
        self.through = Through(self.server, "two", decide)
        self.where: str | None = "idle"
        self.pids = {"one": self.straight.key.pid, "two": self.through.server.key.pid}

    def teardown(self) -> None:
        self.through.close()
        for side in (self.straight, *self.watch.values()):
            side.close()

    @rule(sql=texts, late=st.booleans())
    def query(self, sql: str, late: bool) -> None:
        """Some statements in one message."""
        self.exchange([Query(sql)], late)

    @rule(
        copy=st.sampled_from(COPIES), then=st.sampled_from(["", *STATEMENTS, "COPY t FROM STDIN"]), data=copied,
        ending=endings, late=st.booleans(),
    )  # fmt: skip
    def copy(self, copy: str, then: str, data: list[bytes], ending: object, late: bool) -> None:
        """Data for a COPY, or two, and something behind it."""
        sent = [CopyData(piece) for piece in data]
        self.exchange([Query(f"{copy}; {then}"), *sent, ending, *sent, CopyDone()], late)

    @rule(parts=pipelines, late=st.booleans(), cut=st.integers(1, 40))
    def pipeline(self, parts: list[list[object]], late: bool, cut: int) -> None:
        """Messages of the extended protocol, in pieces of any size."""
        self.exchange([message for part in parts for message in part], late, cut)

    @rule()
    def copy_out(self) -> None:
        """Rows by COPY."""
        self.exchange([Query("COPY (SELECT id, v FROM t ORDER BY id, v) TO STDOUT")], False)

    @rule(extended=st.booleans())
    @precondition(lambda self: self.where != "idle in transaction (aborted)")
    def cancel(self, extended: bool) -> None:
        """What runs is cancelled, and what was sent behind it is skipped or not as ever."""
        sleep = "SELECT pg_catalog.pg_sleep(600)"
        sleeping = [Parse("", sleep), Bind("", ""), Execute("")] if extended else [Query(sleep)]
        self.send([*sleeping, *([Parse("x", "SELECT 1")] if extended else [])], False, None)
        for name, side in (("one", self.straight), ("two", self.through)):
            until(partial(self.sleeps, name), "it to sleep")
            side.cancel()
        self.compare()

    @rule()
    @precondition(lambda self: self.where != "idle in transaction (aborted)")
    def look(self) -> None:
        """What the session believes of the place that statements run in, of names and of their meaning, is so."""
        link = self.through.session._link
        ask = "SELECT pg_catalog.current_setting('search_path'), CURRENT_USER"
        path, role = self.asked(ask)[0]
        facts = self.through.actions[-1].facts
        assert (facts["search_path"], facts["role"]) == (path, role)
        prepared = {str(name): str(text) for name, text in self.asked(PREPARED)}
        believed = {name: link.statements.get(name) for name in link.statements}
        for name, text in prepared.items():
            meant = believed.get(name)
            # What is not known does not exist for the client.
            assert meant is None or meant.sql in text

    # -- inside --------------------------------------------------------------------------------------------------------

    def asked(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows that both sides answer."""
        said = self.exchange([Query(sql)], False)
        return [row(message) for message in said if isinstance(message, backend.DataRow)]

    def exchange(self, messages: list[object], late: bool, cut: int | None = None) -> list[object]:
        """Both sides send it, hear the same, and are where the other is."""
        self.send(messages, late, cut)
        return self.compare()

    def send(self, messages: list[object], late: bool, cut: int | None) -> None:
        self.through.late = late
        data = b"".join(message.encode() for message in [*messages, *END])  # type: ignore[attr-defined]
        pieces = [data] if cut is None else [data[at : at + cut] for at in range(0, len(data), cut)]
        self.straight.send(b"".join(m.encode() for m in [*replaced(messages), *END]))  # type: ignore[attr-defined]
        self.through.send(pieces)

    def compare(self) -> list[object]:
        said = [side.until(over) for side in (self.straight, self.through)]
        heard = [told(each) for each in said]
        assert agree(*heard), heard
        states = [self.state(name)[:2] for name in self.watch]
        assert states[1] == states[0]
        self.where = states[0][0]
        contents = [watcher.rows("SELECT id, v FROM public.t ORDER BY 1, 2") for watcher in self.watch.values()]
        assert contents[1] == contents[0]
        if self.where == "idle":
            assert len(self.through.grants) == 1, "something was not concluded"
        return said[1]

    def sleeps(self, name: str) -> bool:
        """Whether a side's statement sleeps by now."""
        self.through.attend()
        return self.state(name)[2] == "PgSleep"

    def state(self, name: str) -> tuple[str | None, ...]:
        """What the server says of a side: its transaction's state, whether it has written, what it waits for."""
        (found,) = [row[1:] for row in self.watch[name].rows(ACTIVITY) if row[0] == str(self.pids[name])]
        return found


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:
    """With two databases that are the same."""
    postgres.sql("CREATE DATABASE one")
    postgres.sql(TABLES, "one")
    postgres.sql("CREATE DATABASE two TEMPLATE one")
    yield postgres
    for name in ("one", "two"):
        postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_client_believes_what_is_true(server: Server) -> None:
    """See above."""
    Transactions.server = server
    run_state_machine_as_test(
        Transactions,
        settings=settings(
            max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
