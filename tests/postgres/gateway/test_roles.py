"""The role of a login: a session that took it on does not leave it, whatever policy allows and a server would do."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Flush, Parse, Sync
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0
from tests.postgres.gateway.talking import Client, error, ready, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.postgres import Server

MADE = """
CREATE ROLE limited;
GRANT limited TO reader;
GRANT CREATE ON SCHEMA public TO limited, reader;
CREATE TABLE secret (a integer);
GRANT ALL ON secret TO reader;
CREATE FUNCTION escape() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('role', 'none', false); RETURN current_user; END $$;
CREATE FUNCTION definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN PERFORM set_config('role', 'none', false); RETURN current_user; END $$;
CREATE VIEW hidden AS SELECT escape();
GRANT SELECT ON hidden TO limited;
CREATE TABLE trap (a integer);
GRANT ALL ON trap TO limited;
CREATE FUNCTION trapped() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('role', 'none', false); RETURN NEW; END $$;
CREATE DOMAIN trapdom AS text CHECK (escape() <> VALUE);
CREATE FUNCTION steady() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM set_config('role', 'none', false); RETURN 'x'; END $$;
CREATE TABLE late (a integer);
GRANT ALL ON late TO limited;
CREATE CONSTRAINT TRIGGER trapping_late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION trapped();
CREATE TRIGGER trapping BEFORE INSERT ON trap FOR EACH ROW EXECUTE FUNCTION trapped();
"""
UNMADE = """
DROP TABLE secret, trap, late;
DROP VIEW hidden;
DROP DOMAIN trapdom;
DROP FUNCTION escape(), definer(), trapped(), steady();
DROP OWNED BY limited;
REVOKE CREATE ON SCHEMA public FROM reader;
DROP ROLE limited;
"""
WHO = "SELECT current_user, session_user"
SECRET = "SELECT count(*) FROM secret"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Under a policy that allows everything, with a login whose own role may do more than the one it takes on."""
    postgres.sql(MADE, "crm")
    try:
        with database_gateway(postgres, allowing=True) as made:
            config = made.gateway.config
            login = "{user: reader, password: secrets/reader"
            config.write_text(config.read_text().replace(f"{login}}}", f"{login}, role: limited}}"))
            made.gateway.signal_reload()
            until_limited(made)
            yield made
    finally:
        postgres.sql(UNMADE, "crm")


def until_limited(gateway: DatabaseGateway) -> None:
    """Return when connections have the role."""
    for _ in range(100):
        with Client(gateway.dsn()) as client:
            if not client.over and rows(client.query(WHO)) == [("limited", "reader")]:
                return
    raise AssertionError("the login never took on its role")


WAYS = [
    "SET ROLE NONE",
    "RESET ROLE",
    "SET LOCAL ROLE reader",
    'SET "role" = DEFAULT',
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET SESSION AUTHORIZATION",
    "DISCARD ALL",
    "SELECT set_config('role', 'none', false)",
    "SELECT pg_catalog.set_config('ro' || 'le', 'none', false)",
    "SELECT set_config(new_value => 'none', setting_name => 'role', is_local => true)",
    "SELECT query_to_xml('SELECT set_config(''role'', ''none'', false)', true, true, '')",
    "EXPLAIN ANALYZE SELECT set_config('role', 'none', false)",
    "WITH w AS (SELECT set_config('role', 'none', true)) SELECT * FROM w",
    "COPY (SELECT set_config('role', 'none', false)) TO STDOUT",
    "PREPARE p(text) AS SELECT set_config($1, 'none', false)",
    "CREATE TEMP VIEW v AS SELECT set_config('role', 'none', false)",
    "DO $$ BEGIN RESET ROLE; END $$",
    "CREATE FUNCTION own() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN 1; END $$",
    "CREATE FUNCTION own() RETURNS text LANGUAGE sql SET role = reader AS $$ SELECT current_user::text $$",
    "ALTER FUNCTION escape() SET role = reader",
    "BEGIN; SET LOCAL ROLE NONE; ROLLBACK",
    f"SELECT escape(); {SECRET}",
    f"BEGIN; SELECT escape(); {SECRET}; ROLLBACK",
]


@pytest.mark.parametrize("sql", WAYS)
def test_no_statement_leaves_it(gateway: DatabaseGateway, sql: str) -> None:
    """It is refused before the server sees it, and the session goes on as what it was."""
    with Client(gateway.dsn()) as client:
        said = error(client.query(sql))
        assert (said["C"], "not for this session to change" in said["M"]) == ("42501", True)
        assert rows(client.query(WHO)) == [("limited", "reader")]


@pytest.mark.parametrize("sql", ["RESET ALL", "BEGIN; COMMIT", "ALTER ROLE CURRENT_USER SET role = none"])
def test_what_changes_nothing_of_it_passes(gateway: DatabaseGateway, postgres: Server, sql: str) -> None:
    """What a role's settings say for later counts for less than what the gateway asks for as it logs in."""
    with Client(gateway.dsn()) as client:
        client.query(sql)
        assert rows(client.query(WHO)) == [("limited", "reader")]
    try:
        postgres.sql("ALTER ROLE reader SET role = none")
        with Client(gateway.dsn()) as client:
            assert rows(client.query(WHO)) == [("limited", "reader")]
    finally:
        postgres.sql("ALTER ROLE reader RESET role; ALTER ROLE limited RESET ALL")


ESCAPES = [
    "SELECT escape()",
    "SELECT * FROM hidden",
    "INSERT INTO trap VALUES (1)",
    "INSERT INTO late VALUES (1)",
    "SELECT 'a'::trapdom",
]


@pytest.mark.parametrize("sql", ESCAPES)
def test_a_function_that_leaves_it_ends_the_session(gateway: DatabaseGateway, sql: str) -> None:
    """Wherever it is called from: before the next statement the server is asked."""
    with Client(gateway.dsn()) as client:
        client.query(sql)
        said = error(client.query(SECRET))
        assert (said["S"], said["M"]) == ("FATAL", "The role of this connection is limited, and was changed.")
        assert client.over


def test_nor_does_one_that_waits_for_the_end(gateway: DatabaseGateway) -> None:
    """A trigger of COMMIT."""
    with Client(gateway.dsn()) as client:
        for sql in ("BEGIN", "INSERT INTO late VALUES (1)", "COMMIT"):
            client.query(sql)
        assert error(client.query(SECRET))["S"] == "FATAL"


def test_what_is_only_planned_counts(gateway: DatabaseGateway) -> None:
    """What depends on nothing but itself is computed as it is bound."""
    with Client(gateway.dsn()) as client:
        client.send(Parse("", "SELECT steady()"), Bind("", ""), Sync())
        client.until(ready)
        assert error(client.query(SECRET))["S"] == "FATAL"


def test_a_function_that_runs_as_its_owner_can_not(gateway: DatabaseGateway) -> None:
    """The server says so itself."""
    with Client(gateway.dsn()) as client:
        assert error(client.query("SELECT definer()"))["C"] == "42501"
        assert rows(client.query(WHO)) == [("limited", "reader")]


def test_nothing_runs_behind_it_in_a_pipeline(gateway: DatabaseGateway) -> None:
    """Where the server can't be asked in between, what follows is refused: what is bound then, and what was before."""
    with Client(gateway.dsn()) as client:
        client.send(Parse("", "SELECT escape()"), Bind("", ""), Execute(""), Flush())
        client.send(Parse("", SECRET), Bind("", ""), Execute(""), Sync())
        answer = client.until(ready)
        assert (rows(answer), error(answer)["C"]) == ([("reader",)], "42501")
    with Client(gateway.dsn()) as client:
        client.send(Parse("", "INSERT INTO trap VALUES (2)"), Bind("bound", ""))
        client.send(Parse("", "SELECT escape()"), Bind("", ""), Execute(""), Execute("bound"), Sync())
        answer = client.until(ready)
        assert (rows(answer), error(answer)["C"]) == ([("reader",)], "42501")


def test_nor_in_what_was_prepared_before(gateway: DatabaseGateway) -> None:
    """A statement without a name that is bound again is one that the server is asked before, too."""
    with Client(gateway.dsn()) as client:
        client.send(Parse("escaping", "SELECT escape()"), Parse("", "SELECT current_user"), Sync())
        client.until(ready)
        client.send(Bind("", ""), Execute(""), Sync())
        assert rows(client.until(ready)) == [("limited",)]
        client.send(Bind("", ""), Execute(""), Sync())
        assert rows(client.until(ready)) == [("limited",)]
        client.send(Bind("", "escaping"), Execute(""), Sync())
        client.until(ready)
        client.send(Bind("", ""), Execute(""), Sync())
        assert client.ended()["S"] == "FATAL"


@pytest.mark.parametrize(
    ("name", "value"), [("role", "none"), ("options", "-c ROLE=none"), ("session_authorization", "x")]
)
def test_nobody_connects_as_another(gateway: DatabaseGateway, name: str, value: str) -> None:
    """What a client asks for from the start is refused."""
    with Client(gateway.dsn(), PROTOCOL_3_0, **{name: value}) as client:
        assert error(client.greeting)["C"] == "0A000"
        assert client.over
