"""Governed values behind a real gateway with the shipped policies: what tells of one waits for a person in production,
and in staging shows nothing."""

# ruff: noqa: S608 (what is built here is made of the cases below)

from collections.abc import Iterator

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Sync
from tests.postgres.gateway.governing import GRANTED, LAB, becomes, governing, said, shown
from tests.postgres.gateway.talking import Client
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

VAULT = """
CREATE TABLE vault (id int, note text, card_number text, doc jsonb, pin int);
INSERT INTO vault VALUES
    (1, 'a', '4111111111111111', '{"status": "open", "card_number": "4111", "bill": {"iban": "x"}}', 7),
    (2, 'b', NULL, '{"status": "shut", "card_number": null, "bill": {"iban": null}}', NULL),
    (3, 'c', '', '{"status": "open", "card_number": "", "bill": {"iban": 7}}', 0);
GRANT SELECT ON vault TO reader; GRANT ALL ON vault TO writer;
"""
CARD, IBAN, WHOLE = "[masked:key:card_number]", "[masked:key:iban]", "[masked:column]"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """A gateway before a table with governed columns and members."""
    with governing(postgres, VAULT) as made:
        yield made
    postgres.sql("DROP TABLE vault", "crm")


TELLS = [
    "'{\"4\":1}'::jsonb ->> right(left(card_number,1),1)", "replace(left(card_number,1),'4','')", "card_number IS NULL",
    "translate(left(card_number,1),'4','')", "ltrim(left(card_number,1),'4')", "concat_ws('', left(card_number,1))",
    "('[52:52]={x}'::text[])[ascii(left(card_number,1))]", "coalesce(card_number, 'none')", "count(card_number)",
    "doc->>'card_number' = '4111'", "doc::text LIKE '%4111%'", "left(doc->>'bill', 12)", "jsonb_pretty(doc)",
    "v::text > ''", "pin IS NULL AND card_number > ''", "doc @> '{\"bill\": {\"iban\": \"x\"}}'",
    "jsonb_path_exists(doc, '$.card_number')", "(card_number).length", "(doc).jsonb_each_text", "(v).doc.jsonb_send",
    "doc->>'card_number!'::varchar(11)", "doc #>> '{card_number!}'::varchar(11)[]",
]  # fmt: skip


@pytest.mark.parametrize("expression", TELLS)
def test_what_tells_of_a_governed_value_is_held_in_production(gateway: DatabaseGateway, expression: str) -> None:
    """In the results already, before anything is compared in a condition."""
    with Client(gateway.dsn()) as client:
        assert "Filtering, sorting, grouping or joining" in becomes(client, f"SELECT {expression} FROM vault v")


UNNAMED = [
    "SELECT (SELECT card_number AS x) FROM vault WHERE id < 9 ORDER BY x",
    "SELECT o.*, card_number FROM (SELECT 1 AS a) o, vault WHERE id < 9 ORDER BY 2",
    "SELECT 1 FROM ((SELECT id, card_number AS x FROM vault) a JOIN vault b USING (id)) j WHERE x LIKE '4%'",
    (
        "WITH RECURSIVE r AS (SELECT id, card_number FROM vault WHERE id < 9 UNION ALL SELECT id, card_number FROM r "
        "WHERE false) SEARCH BREADTH FIRST BY card_number SET place SELECT id FROM r ORDER BY place"
    ),
    (
        "WITH RECURSIVE r AS (SELECT card_number, 0 AS n FROM vault WHERE id = 1 UNION ALL SELECT '4111', n + 1 FROM r "
        "WHERE n < 1) CYCLE card_number SET again USING way SELECT 1 FROM r WHERE again"
    ),
]


@pytest.mark.parametrize("sql", UNNAMED)
def test_what_decides_under_another_name_is_held(gateway: DatabaseGateway, sql: str) -> None:
    """Also where the text does not tell which name that is."""
    with Client(gateway.dsn()) as client:
        assert "Filtering, sorting, grouping or joining" in becomes(client, sql)


@pytest.mark.parametrize("sql", ["SELECT ('f'::text).pg_read_file", "SELECT g.pg_sleep FROM generate_series(1, 1) g"])
def test_a_function_written_as_an_attribute_is_a_call(gateway: DatabaseGateway, sql: str) -> None:
    """Of which policy knows."""
    with Client(gateway.dsn()) as client:
        assert "reaches beyond the database's tables" in becomes(client, sql)


def test_what_only_shows_them_is_masked_alike(gateway: DatabaseGateway) -> None:
    """NULL and empty values, and members of documents, too."""
    with Client(gateway.dsn()) as client:
        sql = "SELECT card_number, card_number::text, card_number || note, doc->>'card_number' FROM vault WHERE id < 9"
        assert shown(client, sql) == [(CARD,) * 4] * 3
        sql = "SELECT doc->>'status', doc->>'bill', doc->'bill' FROM vault WHERE doc->>'status' IN ('open', 'shut')"
        bill = f'{{"iban": "{IBAN}"}}'
        assert shown(client, sql) == [("open", bill, bill), ("shut", bill, bill), ("open", bill, bill)]
        sql = "SELECT doc::text, v::text FROM vault v WHERE id = 1"
        assert becomes(client, sql) == GRANTED
        assert shown(client, sql) == [(WHOLE, WHOLE)]


def test_documents_are_looked_up_by_members_that_nothing_governs(gateway: DatabaseGateway) -> None:
    """As long as the value is no document itself: of one that is, the whole member would be compared."""
    sql = "SELECT id FROM vault WHERE doc->>'bill' = $1 AND id < 9"
    with Client(gateway.dsn()) as client:
        for value, held in ((b"open", False), (b' {"iban": "x"}', True)):
            bound = Bind("", "", (), (value,))
            word, _ = said(client, Parse("", sql), bound, Describe(Of.PORTAL, ""), Execute(""), Sync())
            assert (word == GRANTED) is not held


def test_outside_production_nothing_of_them_shows(gateway: DatabaseGateway) -> None:
    """Nobody is asked, and what was made of them comes masked whole, whatever it is."""
    with Client(gateway.dsn("owner", LAB)) as client:
        for expression in TELLS[:8]:
            rows = shown(client, f"SELECT {expression} FROM vault ORDER BY id")
            assert len(set(rows)) == 1, expression
            assert rows[0][0] in (None, CARD), expression


@pytest.mark.parametrize("column", ["doc->>'bill'", "doc::text", "left(doc->>'bill', 9)", "doc->'card_number'"])
def test_members_are_not_copied_to_where_they_have_no_name(gateway: DatabaseGateway, column: str) -> None:
    """In every environment."""
    with Client(gateway.dsn("owner", LAB)) as client:
        assert "person's approval" in becomes(client, f"CREATE TABLE copied AS SELECT {column} AS x FROM vault")


@pytest.mark.parametrize("value", ["('\"' || note || card_number || '\"')::int", "(doc->>'bill')::int"])
def test_errors_repeat_no_governed_value(gateway: DatabaseGateway, value: str) -> None:
    """Whatever quotes stand in it or are put around it."""
    with Client(gateway.dsn("owner", LAB)) as client:
        word = becomes(client, f"SELECT {value} FROM vault WHERE id = 1")
    assert word == '22P02 invalid input syntax for type integer: "[masked:column]"'
