"""Nothing unbound changes the meaning of what was approved: the digest of a statement is another one wherever the
session that would run it is in another state, and the same where it is in the same. Before real servers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from extproc.domain.action import Action, Unrenderable
from extproc.domain.decision import Decision
from extproc.domain.grant import Refusal
from extproc.protocols.postgres.surroundings import INDIFFERENT
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from tests.postgres.session.playbook import allowed, blocked, unsettled
from tests.postgres.session.sides import Through, row
from tests.support.postgres import Server

PROBE = "UPDATE bills SET due = '03/04/2026' WHERE id = 4"
DATABASE = "bound"
SCHEMA = """
CREATE TABLE bills (id int, due date);
CREATE SCHEMA other;
CREATE FUNCTION change(name text, value text) RETURNS text LANGUAGE plpgsql
  AS 'BEGIN RETURN set_config(name, value, false); END';
CREATE FUNCTION tenant() RETURNS text LANGUAGE sql AS $$SELECT current_setting('app.tenant', true)$$;
CREATE TABLE noted (x int);
CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql
  AS $$BEGIN PERFORM set_config('xmloption', 'document', false), set_config('app.tenant', 'noted', false);
  RETURN NEW; END$$;
CREATE TRIGGER noting BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION noting();
"""
STATE = """SELECT name, setting, reset_val FROM pg_catalog.pg_settings
WHERE name <> ALL (string_to_array('INDIFFERENT', ','))
UNION ALL SELECT 'role', current_setting('role'), NULL
UNION ALL SELECT 'app.' || name, current_setting('app.' || name, true), NULL
  FROM unnest(ARRAY['tenant', 'by_text']) AS name
UNION ALL SELECT 'temporary', relkind::text, relname FROM pg_catalog.pg_class
  WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind <> 't'
ORDER BY 1, 2, 3""".replace("INDIFFERENT", ",".join(INDIFFERENT))
STEPS = [
    *(
        "SET DateStyle TO 'ISO, DMY'",
        "SET LOCAL DateStyle TO 'ISO, DMY'",
        "RESET DateStyle",
        "SET DateStyle TO DEFAULT",
    ),
    *("SELECT set_config('datestyle', 'ISO, DMY', true)", "SELECT change('DateStyle', 'ISO, DMY')"),
    *(
        "SET TimeZone TO 'Asia/Tokyo'",
        "SET lc_monetary TO 'C'",
        "SET array_nulls TO off",
        "SELECT change('xmloption', 'document')",
    ),
    *("SET app.by_text TO 'one'", "SET app.tenant TO 'acme'", "SELECT change('app.tenant', 'acme')", "RESET ALL"),
    *("INSERT INTO noted VALUES (1)", "SELECT 1/0", "SELECT tenant()", "DISCARD ALL", "SET row_security TO off"),
    *("BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s"),
    *(
        "CREATE TEMP TABLE bills (id int, due date)",
        "DROP TABLE IF EXISTS pg_temp.bills",
        "SET search_path TO other, public",
    ),
    *("SET statement_timeout TO '1h'", "SET application_name TO 'other'", "SET session_replication_role TO replica"),
]
OPENINGS: list[tuple[tuple[str, str], ...]] = [
    *((), (("DateStyle", "ISO, DMY"),), (("options", "-c timezone=Asia/Tokyo"),), (("app.tenant", "acme"),)),
]
Life = tuple[tuple[tuple[str, str], ...], list[str]]


@pytest.fixture(scope="module")
def server(either_postgres: Server) -> Iterator[Server]:
    """With a database of its own."""
    either_postgres.sql(f"CREATE DATABASE {DATABASE}")
    either_postgres.sql(SCHEMA, DATABASE)
    yield either_postgres
    either_postgres.sql(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@dataclass
class Holding:
    """A rule that asks people about the probe, who never say yes. `asked` are the actions that they would see."""

    asked: list[Action] = field(default_factory=list)

    def __call__(self, action: Action) -> Decision | Refusal:
        if action.facts.get("text") != PROBE:
            return allowed()
        told = unsettled(action)
        if isinstance(told, Refusal):
            return told
        self.asked.append(action)
        return blocked()


def said(session: Through, *messages: object) -> list[object]:
    """All that answers these."""
    session.send([message.encode() for message in messages])  # type: ignore[attr-defined]
    return session.until(lambda heard: isinstance(heard[-1] if heard else None, backend.ReadyForQuery))


def lived(server: Server, life: Life) -> tuple[object, Action]:
    """The state that a session is in after such a life, and what people would be asked there."""
    opening, steps = life
    rule = Holding()
    session = Through(server, DATABASE, rule, opening)
    try:
        for step in steps:
            said(session, Query(step))
        answer = said(session, Query(STATE))
        state = answer[-1], [row(one) for one in answer if isinstance(one, backend.DataRow)]
        said(session, Query(PROBE))
    finally:
        session.close()
    (action,) = rule.asked
    return state, action


lives = st.tuples(st.sampled_from(OPENINGS), st.lists(st.sampled_from(STEPS), max_size=6))


@given(lives, lives)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(((), ["SET DateStyle TO 'ISO, DMY'"]), ((("DateStyle", "ISO, DMY"),), []))
@example(((), ["BEGIN", "SET LOCAL DateStyle TO 'ISO, DMY'", "COMMIT"]), ((), []))
@example(((), ["BEGIN", "SET DateStyle TO 'ISO, DMY'"]), ((), ["BEGIN"]))
@example(((), ["INSERT INTO noted VALUES (1)"]), ((), []))
@example(((), ["SET statement_timeout TO '1h'"]), ((), ["SET application_name TO 'other'"]))
@example(((), ["CREATE TEMP TABLE bills (id int, due date)"]), ((), []))
@example(((), ["SELECT change('app.tenant', 'acme')"]), ((), ["SET app.tenant TO 'acme'"]))
def test_a_digest_is_another_one_exactly_where_the_state_is(server: Server, one: Life, other: Life) -> None:
    """However it came about, and whatever connection it is."""
    (first, asked), (second, again) = lived(server, one), lived(server, other)
    failed = [state[0].status == "E" for state in (first, second) if isinstance(state, tuple)]
    for action, failure in zip((asked, again), failed, strict=True):
        if failure:
            with pytest.raises(Unrenderable, match="ROLLBACK"):
                action.render(())
        else:
            assert PROBE in action.render(())
    if not any(failed):
        assert (asked.digest == again.digest) == (first == second)


@pytest.mark.parametrize(
    "before",
    [
        [Parse("", "BEGIN"), Bind("", ""), Execute("")],
        [Parse("", "SET DateStyle TO 'ISO, DMY'"), Bind("", ""), Execute("")],
        [Parse("", "SELECT change('DateStyle', 'ISO, DMY')"), Bind("", ""), Execute("")],
    ],
)
def test_in_a_pipeline_it_is_told_as_well(server: Server, before: Sequence[object]) -> None:
    """Without a Sync: drivers send BEGIN and what follows it in one."""
    rule = Holding()
    session = Through(server, DATABASE, rule)
    try:
        answer = said(session, *before, Parse("", PROBE), Bind("", ""), Execute(""), Sync())
        assert sum(isinstance(one, backend.ErrorResponse) for one in answer) == 1
        (action,) = rule.asked
        style = "MDY" if "BEGIN" in repr(before) else "DMY"
        assert f'"DateStyle" = "ISO, {style}"' in action.render(())
        said(session, Query("ROLLBACK"))
        assert isinstance(said(session, Query("SELECT 1"))[1], backend.DataRow)
    finally:
        session.close()


def test_what_failed_before_it_in_a_pipeline_leaves_nothing_to_ask(server: Server) -> None:
    """The server skips the question, and what was asked for."""
    rule = Holding()
    session = Through(server, DATABASE, rule)
    try:
        messages = [Parse("", "SELECT 1/0"), Bind("", ""), Execute(""), Parse("", PROBE), Bind("", ""), Execute("")]
        answer = said(session, *messages, Sync())
        assert sum(isinstance(one, backend.ErrorResponse) for one in answer) == 1
        assert rule.asked == []
        assert isinstance(said(session, Query("SELECT 1"))[1], backend.DataRow)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("before", "text", "why"),
    [
        (
            ["BEGIN", "DECLARE c CURSOR FOR SELECT * FROM bills WHERE due = '03/04/2026'", "RESET ALL"],
            "FETCH c",
            "anew",
        ),
        (["BEGIN", "DECLARE c CURSOR FOR SELECT * FROM bills"], "DELETE FROM bills WHERE CURRENT OF c", "by its key"),
        (["BEGIN", "SET DateStyle TO 'ISO, DMY'"], f"ROLLBACK; {PROBE}", "by itself"),
        (["BEGIN", "SELECT 1/0"], PROBE, "ROLLBACK"),
    ],
)
def test_what_can_not_be_bound_can_not_be_approved(server: Server, before: list[str], text: str, why: str) -> None:
    """What a cursor read by other settings, where it stands, and what an end of a transaction puts back."""
    asked: list[Action] = []

    def rule(action: Action) -> Decision | Refusal:
        if action.facts.get("text") != text:
            return allowed()
        told = unsettled(action)
        if not isinstance(told, Refusal):
            asked.append(action)
        return told if isinstance(told, Refusal) else blocked()

    session = Through(server, DATABASE, rule)
    try:
        for step in before:
            said(session, Query(step))
        said(session, Query(text))
    finally:
        session.close()
    (action,) = asked
    with pytest.raises(Unrenderable, match=why):
        action.render(())


def test_what_was_approved_does_not_run_by_other_settings(server: Server) -> None:
    """What is bound is executed later; in between settings may change, or a portal of before may change them."""

    def approving(action: Action) -> Decision | Refusal:
        if action.facts.get("text") != PROBE:
            return allowed()
        told = unsettled(action)
        return told if isinstance(told, Refusal) else allowed()

    change = "SELECT change('DateStyle', 'ISO, DMY')"
    middles: list[list[object]] = [[Parse("", change), Bind("", ""), Execute("")], [Execute("b")], []]
    for middle in middles:
        session = Through(server, DATABASE, approving)
        try:
            said(session, Query("BEGIN"))
            first = [Parse("c", change), Bind("b", "c"), Parse("p", PROBE), Bind("a", "p")]
            answer = said(session, *first, *middle, Execute("a"), Sync())
            refused = [dict(one.fields)["M"] for one in answer if isinstance(one, backend.ErrorResponse)]
            assert ["may have changed" in one for one in refused] == [True] * bool(middle)
        finally:
            session.close()
