"""Operators and triggers of a database's own are judged as the functions that they call, by the shipped policies."""

import contextlib
from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync
from tests.postgres.gateway.governing import DATA, GRANTED, LAB, becomes, governing, said, shown
from tests.postgres.gateway.talking import Client, rows
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

GOVERNED = DATA.replace("{crm-db: ", "{lab-db: {customers: [email, card]}, crm-db: ")
OWN = """
CREATE FUNCTION public.mail_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
  AS 'SELECT email FROM public.customers WHERE id = $1';
CREATE OPERATOR public.@~@ (FUNCTION = public.mail_of, RIGHTARG = int);
CREATE OPERATOR public.=== (FUNCTION = lo_from_bytea, LEFTARG = oid, RIGHTARG = bytea);
CREATE FUNCTION desk.same(int, text) RETURNS bool LANGUAGE sql AS 'SELECT $1::text OPERATOR(pg_catalog.=) $2';
ALTER FUNCTION desk.same(int, text) OWNER TO writer;
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore;
CREATE TABLE desk.words (id int, word citext, tags hstore, label text);
INSERT INTO desk.words VALUES (1, 'Apple', 'a=>1', 'apple pie');
"""
UNMADE = """
DROP OPERATOR public.@~@ (NONE, int);
DROP OPERATOR public.=== (oid, bytea);
DROP FUNCTION public.mail_of(int);
DROP EXTENSION citext, pg_trgm, hstore CASCADE;
"""
UNKNOWN = "Held for approval: "


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before these operators. On the target LAB columns are governed, too."""
    try:
        with governing(postgres, OWN, data=GOVERNED) as made:
            yield made
    finally:
        postgres.sql(UNMADE, "crm")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT @~@ 1",
        "SELECT id FROM orders WHERE @~@ customer LIKE 'a%'",
        "SELECT id FROM orders ORDER BY @~@ customer LIMIT 1",
        "SELECT CASE WHEN (@~@ id) < 'b' THEN 1 END FROM orders LIMIT 1",
        "SELECT OPERATOR(public.@~@) 1",
        "SELECT 77::oid === 'x'::bytea",
        "EXPLAIN ANALYZE SELECT 77::oid === 'x'::bytea",
    ],
)
def test_one_that_is_there_waits_for_a_person(gateway: DatabaseGateway, postgres: Server, sql: str) -> None:
    """In production, as a call of its function would."""
    with Client(gateway.dsn()) as client:
        word = becomes(client, sql)
        assert word.startswith(UNKNOWN)
        assert word == becomes(client, "SELECT mail_of(1)") or "EXPLAIN" in sql
    assert postgres.sql("SELECT count(*) FROM pg_largeobject_metadata", "crm") == [["0"]]


@contextlib.contextmanager
def owner(gateway: DatabaseGateway) -> Iterator[Client]:
    """Who may define things, where that is allowed."""
    with Client(gateway.dsn("owner", LAB)) as client:
        yield client


MAKES = "CREATE OPERATOR desk.@!@ (FUNCTION = mail_of, RIGHTARG = int)"
DROPS = "DROP OPERATOR desk.@!@ (NONE, int)"


def test_what_it_gives_is_masked(gateway: DatabaseGateway) -> None:
    """Where making one is allowed: as what its function gives."""
    with owner(gateway) as client:
        assert becomes(client, MAKES) == GRANTED
        try:
            masked = shown(client, "SELECT mail_of(1)")
            assert masked not in ([("ada@example.com",)], [])
            for sql in (
                "SELECT @~@ 1",
                "SELECT OPERATOR(desk.@!@) 1",
                "SELECT lower(OPERATOR(desk.@!@) 1)",
                "SELECT (SELECT OPERATOR(desk.@!@) 1)",
                "COPY (SELECT OPERATOR(desk.@!@) 1) TO STDOUT",
            ):
                word, answer = said(client, Query(sql))
                assert word == GRANTED
                assert "ada@" not in repr(answer)
                assert sql.startswith("COPY") or rows(answer) == masked
            word, answer = said(client, Parse("", "SELECT OPERATOR(desk.@!@) 1"), Bind("", ""), Execute(""), Sync())
            assert (word, rows(answer)) == (GRANTED, masked)
        finally:
            client.query(DROPS)


def test_within_the_transaction_that_makes_it(gateway: DatabaseGateway) -> None:
    """Nobody else sees it yet: one of a name of PostgreSQL's own, in one text, and in a pipeline."""
    makes = "CREATE OPERATOR desk.= (FUNCTION = desk.same, LEFTARG = int, RIGHTARG = text)"
    with owner(gateway) as client:
        client.query("BEGIN; SET LOCAL search_path = desk, public")
        assert becomes(client, makes) == GRANTED
        first = shown(client, "SELECT 1 = '1'::text, 'x' < 'y'")
        assert first[0][0] != "t"
        assert first[0][1] == "t"
        client.query("ROLLBACK")
        assert shown(client, "SELECT 1 = 1") == [("t",)]
        word, answer = said(
            client,
            *(Parse("", makes), Bind("", ""), Execute("")),
            *(Parse("", "SELECT 1 OPERATOR(desk.=) '1'::text"), Bind("", ""), Execute(""), Sync()),
        )
        assert word == GRANTED
        assert rows(answer) != [("t",)]
        client.query("DROP OPERATOR desk.= (int, text)")


def test_others_hear_of_one_with_a_name_of_postgresql_s_own(gateway: DatabaseGateway) -> None:
    """By their next statement; and what was prepared before is judged by it, too."""
    with owner(gateway) as client, Client(gateway.dsn("reader")) as reader:
        assert becomes(reader, "SELECT id FROM orders WHERE id = 1") == GRANTED
        assert said(reader, Parse("p", "SELECT id FROM orders WHERE id = 1"), Sync())[0] == GRANTED
        assert becomes(reader, "PREPARE q AS SELECT id FROM orders WHERE id = 1") == GRANTED
        assert (
            becomes(client, "CREATE OPERATOR desk.= (FUNCTION = desk.same, LEFTARG = int, RIGHTARG = text)") == GRANTED
        )
        try:
            assert becomes(reader, "SELECT id FROM orders WHERE id = 1").startswith(UNKNOWN)
            assert becomes(reader, "SELECT id FROM orders WHERE id IN (1, 2)").startswith(UNKNOWN)
            assert said(reader, Bind("", "p"), Execute(""), Sync())[0].startswith(UNKNOWN)
            assert becomes(reader, "EXECUTE q").startswith(UNKNOWN)
            assert becomes(reader, "SELECT id FROM orders WHERE id OPERATOR(pg_catalog.=) 1") == GRANTED
            assert becomes(reader, "SELECT id FROM orders WHERE id > 1") == GRANTED
        finally:
            client.query("DROP OPERATOR desk.= (int, text)")
        assert becomes(reader, "SELECT id FROM orders WHERE id = 1") == GRANTED
        assert said(reader, Bind("", "p"), Execute(""), Sync())[0] == GRANTED
        assert becomes(reader, "EXECUTE q") == GRANTED


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM desk.words WHERE word = 'APPLE'",
        "SELECT id FROM desk.words WHERE word IN ('APPLE', 'b')",
        "SELECT id FROM desk.words WHERE word BETWEEN 'a' AND 'b' AND word LIKE 'a%'",
        "SELECT id FROM desk.words WHERE tags -> 'a' = '1' AND tags ? 'a'",
        "SELECT id FROM desk.words WHERE label % 'aple pie' OR 'apple' <% label OR label <-> 'x' < 2",
        "SELECT replace(word, 'a', 'b'), word::text, max(word) FROM desk.words GROUP BY word",
        "SELECT CASE word WHEN 'apple' THEN 1 END, NULLIF(word, 'x') FROM desk.words",
    ],
)
def test_extensions_that_only_compute_do_not_matter(gateway: DatabaseGateway, sql: str) -> None:
    """Their operators and functions have names of PostgreSQL's own, or others."""
    with Client(gateway.dsn()) as client:
        assert becomes(client, sql) == GRANTED


@pytest.mark.parametrize("function", ["pg_sleep", "ts_rewrite", "lo_from_bytea", "pg_catalog.query_to_xml"])
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE OPERATOR desk.@@@@ (FUNCTION = {f}, RIGHTARG = text)",
        "CREATE OPERATOR desk.@@@@ (PROCEDURE = '{n}', RIGHTARG = text)",
        "CREATE AGGREGATE desk.a (text) (SFUNC = {f}, STYPE = text)",
        "CREATE AGGREGATE desk.a (text) (SFUNC = textcat, STYPE = text, FINALFUNC = {f})",
        "CREATE TRIGGER t AFTER INSERT ON desk.words EXECUTE FUNCTION {f}()",
        "CREATE TYPE desk.t (INPUT = {f}, OUTPUT = textout)",
    ],
)
def test_functions_that_nobody_calls_are_not_named_either(gateway: DatabaseGateway, function: str, sql: str) -> None:
    """By the policy that names them."""
    with owner(gateway) as client:
        word = becomes(client, sql.format(f=function, n=function.rpartition(".")[2]))
        assert word.startswith("42501 Blocked by policy")


@pytest.mark.parametrize(
    ("call", "copies"),
    [
        ("tsvector_update_trigger(tsv, 'pg_catalog.english', name, card)", True),
        ("tsvector_update_trigger(tsv, 'pg_catalog.english', name)", False),
        ("tsvector_update_trigger_column(tsv, lang, email)", True),
        ("work.copies_it('card')", True),
    ],
)
def test_a_trigger_that_copies_governed_columns_waits_for_a_person(
    gateway: DatabaseGateway, call: str, copies: bool
) -> None:
    """What a column is made of has no other name then."""
    with owner(gateway) as client:
        word = becomes(client, f"CREATE TRIGGER t BEFORE INSERT OR UPDATE ON customers EXECUTE FUNCTION {call}")
        assert word.startswith("Held for approval: Copying governed columns") == copies, word
