"""Views, partitions, generated columns and stars are judged as what they are made of, by the shipped policies."""

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.gateway.governing import GRANTED, LAB, MASKED, becomes, governing, shown
from tests.postgres.gateway.talking import Client, notice, noticed, ready, tags
from tests.support.databases import DatabaseGateway
from tests.support.envoy import until
from tests.support.postgres import Server

VIEWS = """
CREATE TABLE desk.people (id int, email text, domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED)
  PARTITION BY LIST (id);
CREATE TABLE desk.first_people PARTITION OF desk.people FOR VALUES IN (1);
INSERT INTO desk.people VALUES (1, 'ada@example.com');
CREATE TABLE desk.old_customers () INHERITS (customers);
INSERT INTO desk.old_customers VALUES (9, 'Eve', 'eve@example.com');
CREATE VIEW desk.contacts (id, contact) AS SELECT id, email FROM customers;
CREATE VIEW desk.friends AS SELECT id, contact AS who FROM desk.contacts WHERE id < 10;
CREATE MATERIALIZED VIEW desk.domains AS SELECT id, split_part(email, '@', 2) AS name FROM customers;
CREATE VIEW desk."Odd Ones" AS SELECT id, email AS "A.b" FROM customers;
CREATE VIEW desk.mixed AS SELECT id, name AS label FROM customers UNION SELECT 1, max(email) FROM customers;
CREATE VIEW desk.deep AS WITH RECURSIVE r(id, e) AS (SELECT id, email FROM customers UNION SELECT id, e FROM r)
  SELECT id, e AS label FROM r;
CREATE VIEW desk.split AS SELECT id, part AS label FROM customers, unnest(string_to_array(email, '.')) AS part
  WHERE part LIKE 'ada%';
CREATE VIEW desk.partly AS SELECT p.id, p.domain AS label FROM desk.first_people p;
CREATE SCHEMA front;
GRANT USAGE ON SCHEMA front TO reader;
CREATE VIEW front.twins AS SELECT id, email AS label FROM customers;
GRANT SELECT ON front.twins TO reader;
CREATE VIEW desk.twins AS SELECT id, name AS label FROM customers;
CREATE VIEW desk.names AS SELECT id, name AS label FROM customers;
CREATE TABLE desk.notes (x text);
CREATE TABLE desk.staff (id int, email text, tag text);
CREATE TABLE desk.old_staff (tag text GENERATED ALWAYS AS (lower(email)) STORED) INHERITS (desk.staff);
INSERT INTO desk.old_staff (id, email) VALUES (1, 'ada@example.com');
CREATE TABLE desk.accounts (id int, note text, secret text, password text,
  shadow text GENERATED ALWAYS AS (upper(password)) STORED, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO desk.accounts VALUES (1, 'a', 'b', 'open sesame');
ALTER TABLE desk.accounts OWNER TO writer;
CREATE FUNCTION desk.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE OPERATOR desk.!+ (FUNCTION = desk.twice, RIGHTARG = int);
CREATE VIEW desk.called AS SELECT id, desk.twice(id) AS n FROM orders;
CREATE VIEW desk.operated AS SELECT id, OPERATOR(desk.!+) id AS n FROM orders;
"""
NEWER = """
CREATE TABLE desk.staff (id int, email text, tag text GENERATED ALWAYS AS (id::text) {kind}) PARTITION BY LIST (id);
CREATE TABLE desk.first_staff PARTITION OF desk.staff (tag GENERATED ALWAYS AS (lower(email)) {kind})
  FOR VALUES IN (1);
INSERT INTO desk.staff VALUES (1, 'ada@example.com');
"""
OF_ADDRESSES = [
    ("desk.contacts", "contact"),
    ("desk.friends", "who"),
    ("desk.domains", "name"),
    ('desk."Odd Ones"', '"A.b"'),
    ("desk.mixed", "label"),
    ("desk.deep", "label"),
    ("desk.split", "label"),
    ("desk.partly", "label"),
    ("front.twins", "label"),
    ("desk.old_customers", "email"),
    ("desk.first_people", "email"),
    ("desk.first_people", "domain"),
    ("desk.people", "domain"),
    ("desk.staff", "tag"),
]
QUERIES = [
    "SELECT {c} FROM {t}",
    "SELECT {c} FROM {t} WHERE id = 1",
    "SELECT id FROM {t} x WHERE x.{c} LIKE 'a%'",
    "SELECT id FROM {t} ORDER BY {c} LIMIT 1",
    "SELECT count(*) FROM {t} GROUP BY {c}",
    "SELECT DISTINCT {c} FROM {t} WHERE id = 1",
    "SELECT o.id FROM orders o JOIN {t} x ON x.{c} = o.total::text WHERE o.id = 1",
    "SELECT id FROM {t} t WHERE EXISTS (SELECT 1 FROM orders o WHERE o.total::text = t.{c})",
    "WITH w AS (SELECT id, {c} AS k FROM {t}) SELECT id FROM w ORDER BY k LIMIT 1",
    "EXPLAIN SELECT id FROM {t} WHERE {c} < 'b'",
    "COPY (SELECT {c} FROM {t}) TO STDOUT",
    "COPY (SELECT id FROM {t} WHERE {c} < 'b') TO STDOUT",
]
READ = "SELECT label FROM {t} WHERE id = 1"
COPIES = [
    "CREATE TEMP TABLE copied AS SELECT {c} FROM {t} WHERE id = 1",
    "CREATE TEMP VIEW again AS SELECT {c} AS other FROM {t} WHERE id = 1",
    "INSERT INTO desk.notes (x) SELECT {c} FROM {t} WHERE id = 1",
    "UPDATE desk.notes SET x = t.{c} FROM {t} t WHERE t.id = 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before these views."""
    with governing(postgres, VIEWS) as made:
        yield made


def judged(gateway: DatabaseGateway, table: str, column: str) -> dict[str, str]:
    """What is said of each statement about a column, by somebody whom nothing else was said to."""
    with Client(gateway.dsn(f"{table} {column}".replace(" ", "-").replace('"', ""))) as client:
        return {sql: becomes(client, sql.format(t=table, c=column)) for sql in [*QUERIES, *COPIES]}


@pytest.fixture(scope="module")
def wanted(gateway: DatabaseGateway) -> dict[str, str]:
    """What is said of the address itself."""
    return judged(gateway, "customers", "email")


def test_of_the_column_itself(wanted: dict[str, str]) -> None:
    """Values are given masked, a few at a time; no more is told of them, and they are not copied."""
    assert [sql for sql, word in wanted.items() if word == GRANTED] == ["SELECT {c} FROM {t} WHERE id = 1"]
    assert [sql for sql, word in wanted.items() if "Copying governed columns" in word] == COPIES


@pytest.mark.parametrize(("table", "column"), OF_ADDRESSES)
def test_what_is_made_of_a_column_is_judged_as_that(
    gateway: DatabaseGateway, wanted: dict[str, str], table: str, column: str
) -> None:
    """Whatever it is called, and however it is made."""
    assert judged(gateway, table, column) == wanted


@pytest.mark.parametrize(("table", "column"), OF_ADDRESSES)
def test_what_is_made_of_a_column_is_masked_as_that(gateway: DatabaseGateway, table: str, column: str) -> None:
    """Also in all of a row, where a view has no more columns than are named."""
    with Client(gateway.dsn()) as client:
        for sql in (
            "SELECT {c} FROM {t} LIMIT 1",
            "SELECT {c}::text FROM {t} LIMIT 1",
            "SELECT t.{c} FROM {t} LIMIT 1",
        ):
            assert shown(client, sql.format(t=f"{table} AS t", c=column)) == [(MASKED,)]


@pytest.mark.parametrize("table", ["desk.names", "desk.twins"])
def test_a_view_of_harmless_columns_is_let_through(gateway: DatabaseGateway, table: str) -> None:
    """As the columns that it is made of; one of another schema that has the same name is another one."""
    assert judged(gateway, table, "label") == judged(gateway, "customers", "name")
    with Client(gateway.dsn()) as client:
        assert {sql for sql in QUERIES if becomes(client, sql.format(t=table, c="label")) != GRANTED} == set()
        joined = "SELECT n.* FROM {t} n, orders o WHERE n.id = 1 AND o.id = 1"
        for sql in (READ, joined, "TABLE {t} ORDER BY id LIMIT 1"):
            assert shown(client, sql.format(t=table))[0][-1] == "Ada Lovelace"


def test_without_a_schema_all_of_the_name_are_meant(gateway: DatabaseGateway, wanted: dict[str, str]) -> None:
    """The path decides which one it is, and nobody asks."""
    with Client(gateway.dsn()) as client:
        for path in ("desk, front, public", "front, desk, public"):
            client.query(f"SET search_path = {path}")
            for sql in QUERIES:
                assert becomes(client, sql.format(t="twins", c="label")) == wanted[sql], (path, sql)
        assert shown(client, READ.format(t="twins")) == [(MASKED,)]


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
def test_a_partition_s_own_generated_column(
    gateway: DatabaseGateway, wanted: dict[str, str], postgres_newer: Server, kind: str
) -> None:
    """Whoever reads the whole reads the part."""
    with governing(postgres_newer, NEWER.format(kind=kind)) as newer:
        assert judged(newer, "desk.staff", "tag") == wanted
        with Client(newer.dsn()) as client:
            assert shown(client, "SELECT tag FROM desk.staff LIMIT 1") == [(MASKED,)]


GUESSED = "Held for approval: Filtering, sorting, grouping or joining by a governed column"
COPIED = "Held for approval: Copying governed columns to where they are not governed needs a person's approval."
STARS = [
    ("SELECT count(*) FROM desk.accounts WHERE accounts::text LIKE '%sesame%'", GUESSED),
    ("SELECT id FROM desk.accounts a ORDER BY a LIMIT 1", GUESSED),
    ("SELECT count(*) FROM desk.accounts NATURAL JOIN (VALUES ('open sesame')) t(password)", GUESSED),
    ("SELECT * FROM desk.accounts", "Held for approval: Say with WHERE which rows you need"),
    ("COPY desk.accounts TO STDOUT", "Held for approval: Say with WHERE which rows you need"),
    ("SELECT * FROM desk.accounts WHERE id = 1", GRANTED),
    ("TABLE desk.accounts LIMIT 1", GRANTED),
    ("SELECT * FROM orders", GRANTED),
]
TAKEN = [
    ("CREATE TABLE desk.z1 (i, a, b) AS SELECT * FROM desk.accounts", COPIED),
    ("CREATE TABLE desk.z2 AS SELECT a::text AS t FROM desk.accounts a", COPIED),
    ("INSERT INTO desk.notes SELECT s::text FROM (TABLE desk.accounts) s", COPIED),
    ("CREATE TABLE desk.z3 AS SELECT shadow FROM desk.accounts", COPIED),
    ("ALTER TABLE desk.accounts ALTER note TYPE text USING password", COPIED),
    ("ALTER TABLE desk.accounts ALTER note TYPE text USING shadow", COPIED),
    ("ALTER TABLE desk.accounts ADD COLUMN g text GENERATED ALWAYS AS (password) STORED", COPIED),
    ("ALTER TABLE desk.accounts ALTER shadow DROP EXPRESSION", COPIED),
    ("ALTER TABLE desk.accounts ALTER secret TYPE varchar USING secret::varchar", GRANTED),
    ("ALTER TABLE desk.accounts ALTER note TYPE varchar USING note || '!'", GRANTED),
    ("ALTER TABLE desk.accounts ALTER twice DROP EXPRESSION", GRANTED),
    # What is returned is not told from what is stored.
    ("INSERT INTO desk.accounts (id, note) VALUES (2, 'x') RETURNING *", COPIED),
    ("INSERT INTO desk.accounts (id, note) VALUES (2, 'x') RETURNING id, note", GRANTED),
    ("DELETE FROM desk.accounts WHERE id = 1 RETURNING *", GRANTED),
    ("CREATE TABLE desk.z4 AS SELECT id, note FROM desk.accounts", GRANTED),
]


@pytest.mark.parametrize(("sql", "word"), STARS)
def test_a_star_is_each_of_its_columns(gateway: DatabaseGateway, sql: str, word: str) -> None:
    """As if they were named: data governs `password` of whatever table."""
    with Client(gateway.dsn("stars")) as client:
        assert becomes(client, sql).startswith(word)


@pytest.mark.parametrize(("sql", "word"), TAKEN)
def test_nothing_is_copied_unnamed(gateway: DatabaseGateway, sql: str, word: str) -> None:
    """Outside production, too: by a star, by all of a row, by ALTER TABLE."""
    with Client(gateway.dsn("taker", LAB)) as client:
        client.query("BEGIN")
        assert becomes(client, sql) == word


CALLS = [
    ("SELECT n FROM desk.called WHERE id = 1", "SELECT desk.twice(id) AS n FROM orders WHERE id = 1"),
    ("SELECT n FROM desk.operated WHERE id = 1", "SELECT OPERATOR(desk.!+) id AS n FROM orders WHERE id = 1"),
]


@pytest.mark.parametrize(("sql", "written_out"), CALLS)
def test_what_a_view_calls_is_called(gateway: DatabaseGateway, sql: str, written_out: str) -> None:
    """As by the same SELECT that is written out."""
    with Client(gateway.dsn("caller")) as client:
        word = becomes(client, written_out)
        assert word.startswith("Held for approval: ")
        assert becomes(client, sql) == word


TEMPORARY = "CREATE TEMP VIEW mine AS SELECT id, email AS label FROM customers"


def test_a_view_of_the_session_s_own(gateway: DatabaseGateway, wanted: dict[str, str]) -> None:
    """A person let it be made; what it is made of is still that, by either of its names."""
    with Client(gateway.dsn("maker")) as client:
        client.send(Query(TEMPORARY))
        hold = notice(client.until(noticed))["D"].rpartition("Hold ")[2].rstrip(".")
        done = gateway.gateway.holdpoint("holds", "approve", hold, "--reason", "a test", groups=("operators",))
        assert done.returncode == 0, done.stderr
        assert tags(client.until(ready)) == ["CREATE VIEW"]
        for table in ("mine", "pg_temp.mine"):
            for sql in QUERIES:
                assert becomes(client, sql.format(t=table, c="label")) == wanted[sql], (table, sql)
            assert shown(client, READ.format(t=table)) == [(MASKED,)]


ASKED = "SELECT id FROM desk.names WHERE label LIKE 'A%'"
UNREAD = "Held for approval: A person has to read what this statement does."
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^WITH RECURSIVE (asked|member)'"


@pytest.mark.parametrize("before", [ASKED, "SELECT 1"], ids=["asked before", "never asked"])
def test_without_the_catalogue_nothing_counts_as_harmless(
    gateway: DatabaseGateway, postgres: Server, before: str
) -> None:
    """The login may not connect any more, and the connection that asks was ended: a person is asked."""
    with Client(gateway.dsn("lost")) as client:
        assert becomes(client, before) == GRANTED
        postgres.sql(f"REVOKE CONNECT ON DATABASE crm FROM PUBLIC; {END}")
        try:
            # What is known is believed for a moment.
            word = until(lambda: (now := becomes(client, ASKED)) != GRANTED and now, "the end of what was known")
            assert str(word).startswith(UNREAD)
            for sql in (*QUERIES, *COPIES):
                assert UNREAD.partition(": ")[2] in becomes(client, sql.format(t="desk.contacts", c="contact")), sql
        finally:
            postgres.sql("GRANT CONNECT ON DATABASE crm TO PUBLIC")
        until(lambda: becomes(client, ASKED) == GRANTED, "the catalogue")
