"""What an approval binds beside the text: settings, temporary objects, definitions, and no position of a cursor. Each
attack has an approval, changes what the same statement means, and runs it; then it has to be asked for anew."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0
from tests.postgres.gateway.talking import Client, Psql, error, notice, noticed, ready, rows, tags
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

GROUPS = ["writer"]
MARCH = "UPDATE customers SET created = '03/04/2026 12:00' WHERE id = 1"
CREATED = "SELECT created AT TIME ZONE 'UTC' FROM customers WHERE id = 1"
EMPTY = "DELETE FROM orders"


@pytest.fixture(scope="module")
def gateway(either_postgres: Server) -> Iterator[DatabaseGateway]:
    """With the shipped policies: `crm-db` in production and `test-db` in staging, both with little patience, and
    `slow-db` in staging with more."""
    made = DatabaseGateway(either_postgres, policy="deadline: 5s")
    written = made.gateway.config.read_text().replace("wait: 20s", "wait: 1s")
    (target,) = [line for line in written.splitlines() if line.startswith("  crm-db:")]
    other = target.replace("crm-db", "test-db").replace("production", "staging")
    slow = other.replace("test-db", "slow-db").replace("wait: 1s", "wait: 20s")
    made.gateway.config.write_text(written.replace(target, f"{target}\n{other}\n{slow}"))
    either_postgres.sql("GRANT TEMPORARY ON DATABASE crm TO writer")
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()


def held(said: list[object]) -> str:
    """The hold that a statement was told of, which nobody answered."""
    assert error(said)["C"] == "42501", said
    assert noticed(said), error(said)
    return notice(said)["D"].rpartition("Hold ")[2].rstrip(".")


def approve(gateway: DatabaseGateway, hold: str) -> str:
    """A person of the operators says yes; gives what they were shown."""
    shown = gateway.gateway.holdpoint("holds", "show", hold, groups=("operators",))
    done = gateway.gateway.holdpoint("holds", "approve", hold, "--reason", "a test", groups=("operators",))
    assert done.returncode == 0, done.stderr
    return str(shown.stdout)


def run(gateway: DatabaseGateway, sql: str, *before: str, database: str = "crm-db", **settings: str) -> list[object]:
    """What a text is answered on a connection of its own, after those before it."""
    with Client(gateway.dsn(groups=GROUPS, database=database), PROTOCOL_3_0, **settings) as client:
        for one in before:
            assert tags(client.query(one)), one
        return client.query(sql)


def test_a_date_that_was_read_as_march_is_not_run_as_april(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """By whatever means the session reads dates otherwise. Without any the approval is there, on a new connection."""
    hold = held(run(gateway, MARCH))
    shown = approve(gateway, hold)
    assert 'setting "DateStyle" = "ISO, MDY"' in shown
    others: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("SET DateStyle TO 'ISO, DMY'",), {}),
        (("SELECT set_config('datestyle', 'DMY', false)",), {}),
        ((), {"DateStyle": "ISO, DMY"}),
        ((), {"options": "-c datestyle=ISO,DMY"}),
        (("SET TimeZone TO 'Pacific/Auckland'",), {}),
        ((), {"TimeZone": "Pacific/Auckland"}),
    ]
    found = [held(run(gateway, MARCH, *before, **settings)) for before, settings in others]
    assert hold not in found
    assert len(set(found)) == 4, "the same settings are the same, whatever set them: but a reset goes back to others"
    assert either_postgres.sql(CREATED, "crm") == [["2026-01-02 03:04:05"]]
    back = run(gateway, MARCH, "SET DateStyle TO 'ISO, DMY'", "RESET DateStyle")
    assert tags(back) == ["UPDATE 1"]
    assert either_postgres.sql(CREATED, "crm") == [["2026-03-04 12:00:00"]]
    either_postgres.sql("UPDATE customers SET created = '2026-01-02 03:04:05+00'", "crm")


def test_what_was_prepared_under_other_settings_is_prepared_anew(
    gateway: DatabaseGateway, either_postgres: Server
) -> None:
    """A constant is read when its text is prepared; what was approved reads it by the settings that were shown."""

    def prepared() -> list[object]:
        with Client(gateway.dsn(groups=GROUPS)) as client:
            client.query("SET DateStyle TO 'ISO, DMY'")
            client.send(Parse("p", MARCH), Sync())
            client.until(ready)
            client.query("RESET DateStyle")
            client.send(Bind("", "p"), Execute(""), Sync())
            return client.until(ready)

    approve(gateway, held(prepared()))
    answer = prepared()
    assert (tags(answer), noticed(answer)) == (["UPDATE 1"], False)
    assert either_postgres.sql(CREATED, "crm") == [["2026-03-04 12:00:00"]]
    either_postgres.sql("UPDATE customers SET created = '2026-01-02 03:04:05+00'", "crm")


@pytest.mark.parametrize(
    "makes", ["CREATE TEMP TABLE orders (id integer)", "CREATE TEMP VIEW orders AS SELECT 1 AS id"]
)
def test_a_temporary_table_stands_before_the_real_one(
    gateway: DatabaseGateway, either_postgres: Server, makes: str
) -> None:
    """An approval to empty a table of the session's own is none for the one that everybody knows."""
    count = either_postgres.sql("SELECT count(*) FROM orders", "crm")
    hold = held(run(gateway, EMPTY, makes, database="test-db"))
    shown = approve(gateway, hold)
    assert f'temporary {"view" if "VIEW" in makes else "table"} "orders"' in shown
    assert held(run(gateway, EMPTY, database="test-db")) != hold
    assert either_postgres.sql("SELECT count(*) FROM orders", "crm") == count
    if "TABLE" in makes:
        assert tags(run(gateway, EMPTY, makes, database="test-db")) == ["DELETE 0"]


@pytest.mark.parametrize("by", ["protocol", "sql"])
def test_a_plan_of_before_is_not_run_in_place_of_what_was_shown(
    gateway: DatabaseGateway, either_postgres: Server, by: str
) -> None:
    """A statement that was prepared before there was a temporary table of that name keeps its plan for the real one.
    People see the temporary table, and so it is the one that is emptied."""

    count = either_postgres.sql("SELECT count(*) FROM orders", "crm")
    prepare = [Query(f"PREPARE p AS {EMPTY}")] if by == "sql" else [Parse("p", EMPTY), Sync()]
    execute = [Query("EXECUTE p")] if by == "sql" else [Bind("", "p"), Execute(""), Sync()]
    with Client(gateway.dsn(groups=GROUPS, database="test-db")) as client:
        # Later temporary tables do not change the search path, which would end the plan.
        assert tags(client.query("CREATE TEMP TABLE other (id integer)"))
        client.send(*prepare)
        answer = client.until(ready)
        if noticed(answer):
            approve(gateway, held(answer))
            client.send(*prepare)
            client.until(ready)
        assert tags(client.query("CREATE TEMP TABLE orders (id integer)"))
        client.send(*execute)
        assert 'temporary table "orders"' in approve(gateway, held(client.until(ready)))
        client.send(*execute)
        assert tags(client.until(ready)) == ["DELETE 0"]
    assert either_postgres.sql("SELECT count(*) FROM orders", "crm") == count


def test_a_view_that_was_made_anew_is_asked_for_anew(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """What it writes to may be another table."""
    for name in ("a", "b"):
        either_postgres.sql(f"CREATE TABLE work.{name} (x int); ALTER TABLE work.{name} OWNER TO writer", "crm")
    either_postgres.sql("INSERT INTO work.b VALUES (1)", "crm")
    try:
        run(gateway, "CREATE VIEW work.v AS SELECT * FROM work.a", database="test-db")
        hold = held(run(gateway, "DELETE FROM work.v", database="test-db"))
        approve(gateway, hold)
        run(gateway, "CREATE OR REPLACE VIEW work.v AS SELECT * FROM work.b", database="test-db")
        assert held(run(gateway, "DELETE FROM work.v", database="test-db")) != hold
        assert either_postgres.sql("SELECT count(*) FROM work.b", "crm") == [["1"]]
    finally:
        either_postgres.sql("DROP TABLE work.a, work.b CASCADE", "crm")


MEANT = """
CREATE FUNCTION work.no(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION work.yes(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR work.@~@ (FUNCTION = work.no, LEFTARG = int, RIGHTARG = int);
CREATE TYPE work.mood AS ENUM ('good');
CREATE FUNCTION work.never(work.mood) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE CAST (work.mood AS bool) WITH FUNCTION work.never(work.mood);
CREATE DOMAIN work.small AS int CHECK (VALUE < 3);
CREATE TABLE work.a (id int PRIMARY KEY); CREATE TABLE work.b (a int); CREATE VIEW work.u AS SELECT * FROM work.a;
INSERT INTO work.a VALUES (1); INSERT INTO work.b VALUES (1);
GRANT ALL ON work.a, work.b, work.u TO writer;
"""
UNMEANT = """DROP TABLE IF EXISTS work.a, work.b CASCADE; DROP DOMAIN IF EXISTS work.small;
DROP TYPE IF EXISTS work.mood CASCADE; DROP FUNCTION IF EXISTS work.no, work.yes CASCADE"""
OPERATOR = "CREATE OPERATOR work.@~@ (FUNCTION = work.yes, LEFTARG = int, RIGHTARG = int)"
FUNCTION = "CREATE OR REPLACE FUNCTION work.no(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true'"
CAST = "CREATE OR REPLACE FUNCTION work.never(work.mood) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true'"
DOMAIN = "ALTER DOMAIN work.small DROP CONSTRAINT small_check"
CASCADE = "ALTER TABLE work.b ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES work.a ON DELETE CASCADE"


@pytest.mark.parametrize(
    ("sql", "change"),
    [
        ("DELETE FROM work.a WHERE id OPERATOR(work.@~@) 3", f"DROP OPERATOR work.@~@ (int, int); {OPERATOR}"),
        ("DELETE FROM work.a WHERE id OPERATOR(work.@~@) 3", FUNCTION),
        ("DELETE FROM work.a WHERE id = 1 AND 'good'::work.mood::bool", CAST),
        ("INSERT INTO work.a VALUES ('7'::work.small)", DOMAIN),
        ("DELETE FROM work.a WHERE id = 1", CASCADE),
        ("DELETE FROM work.u WHERE id = 1", "ALTER VIEW work.u SET (security_invoker = true)"),
    ],
)
def test_what_operators_casts_and_constraints_do_is_bound(
    gateway: DatabaseGateway, either_postgres: Server, sql: str, change: str
) -> None:
    """Each changes what the same text does to rows."""
    either_postgres.sql(UNMEANT + ";" + MEANT, "crm")
    try:
        hold = held(run(gateway, sql))
        approve(gateway, hold)
        either_postgres.sql(change, "crm")
        assert held(run(gateway, sql)) != hold
        assert either_postgres.sql("SELECT * FROM work.a", "crm") == [["1"]]
    finally:
        either_postgres.sql(UNMEANT, "crm")


def test_a_view_that_is_made_anew_while_people_decide(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """Looked at again once they approved."""
    either_postgres.sql("CREATE TABLE work.a (x int); ALTER TABLE work.a OWNER TO writer", "crm")
    try:
        run(gateway, "CREATE VIEW work.w AS SELECT * FROM work.a", database="test-db")
        with Client(gateway.dsn(groups=GROUPS, database="slow-db")) as client:
            client.send(Query("DELETE FROM work.w"))
            hold = notice(client.until(noticed))["D"].rpartition("Hold ")[2].rstrip(".")
            run(gateway, "CREATE OR REPLACE VIEW work.w AS SELECT * FROM work.a WHERE x > 0", database="test-db")
            approve(gateway, hold)
            again = notice(client.until(noticed))["D"].rpartition("Hold ")[2].rstrip(".")
            assert again != hold
            approve(gateway, again)
            assert tags(client.until(ready)) == ["DELETE 0"]
    finally:
        either_postgres.sql("DROP TABLE work.a CASCADE", "crm")


def test_where_a_cursor_stands_is_for_nobody_to_approve(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """In production such a statement is blocked; in staging it runs, for there nobody is asked."""
    before = either_postgres.sql("SELECT * FROM orders ORDER BY id", "crm")
    for database in ("crm-db", "test-db"):
        with Client(gateway.dsn(groups=GROUPS, database=database)) as client:
            for one in ("BEGIN", "DECLARE c CURSOR FOR SELECT id FROM orders"):
                assert tags(client.query(one)), one
            assert rows(client.query("FETCH c")) == [("1",)]
            answer = client.query("UPDATE orders SET total = 1 WHERE CURRENT OF c")
            if database == "crm-db":
                assert "by its key" in error(answer)["M"]
                assert not noticed(answer)
            else:
                assert tags(answer) == ["UPDATE 1"]
            client.query("ROLLBACK")
    assert either_postgres.sql("SELECT * FROM orders ORDER BY id", "crm") == before


SETTINGS = [{"bytea_output": "escape"}, {"IntervalStyle": "sql_standard"}, {"xmloption": "document"}]


def test_psql_claims_an_approval_on_a_new_connection(gateway: DatabaseGateway, either_postgres: Server) -> None:
    """What everybody does who waited in vain."""
    update = "UPDATE orders SET total = total WHERE id = 2"
    with Psql(gateway.dsn(groups=GROUPS), update) as first:
        hold = first.hold
        first.end()
    approve(gateway, hold)
    with Psql(gateway.dsn(groups=GROUPS), update) as again:
        assert again.end() == "UPDATE 1\n", again.said
    for settings in SETTINGS:
        assert held(run(gateway, update, **settings)) != hold
