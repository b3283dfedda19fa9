"""Governed values decide nothing that a reader can see: two databases that differ in them alone answer alike.

Statements are made up. Those that shipped policies hold in production (a governed column decides) are left out; of all
others the rows, as they are masked, their number and whether there is an error are the same in both databases.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from extproc.protocols.postgres.behind import Behind
from extproc.protocols.postgres.masks import Catalogue, named_in, origins, row_mask
from extproc.protocols.postgres.sql import Column, Member, Script, read
from tests.postgres.masks.answers import KNOWN, Value, mask, rows
from tests.postgres.masks.test_server import Wire, answer
from tests.support.postgres import Server

GOVERNED = "card_number"
TYPE = "CREATE TYPE payment AS (card_number text, bank text)"
WORLD = """CREATE SCHEMA {world};
CREATE TABLE {world}.vault (id int, note text, card_number text, doc jsonb, old json, pay payment, cards text[]);
INSERT INTO {world}.vault VALUES
(1, 'a', {one},
    jsonb_build_object('status', 'open', 'card_number', {one}, 'billing', jsonb_build_object('card_number', {one})),
    json_build_object('card_number', {one}), row({one}, 'x')::payment, array['4', 'x']),
(2, 'b', {two},
    jsonb_build_object('status', 'shut', 'card_number', {two}, 'billing', jsonb_build_object('card_number', {two})),
    json_build_object('card_number', {two}), row({two}, 'y')::payment, array['4', 'y'])"""
WORLDS = {"one": ("'4111'", "'5500'"), "two": ("''", "'4917'"), "three": ("NULL", "'4111'")}

TEXTS = """
note | card_number | v.card_number | doc->>'status' | doc->>'card_number' | doc->>'billing' | 'x' | '4' | ''
| doc#>>'{billing,card_number}' | (pay).card_number | (pay).bank | doc['billing']->>'card_number' | doc::text
| old::text | pay::text | v::text | cards[1] | old->>'card_number'
""".replace("\n", " ").split("|")
OF_TEXT = [
    "left({0}, 1)", "replace({0}, '4', '')", "translate({0}, '4', '')", "ltrim({0}, '4')", "concat({0}, {1})",
    "({0} || {1})",
    "concat_ws('-', {0}, {1})", "coalesce({0}, {1})", "nullif({0}, {1})", "lower({0})", "md5({0})", "format('%s', {0})",
    "('{{\"4\":1}}'::jsonb ->> {0})", "('{{\"4\":1}}'::jsonb ->> right(left({0}, 1), 1))", "({0})::varchar(1)",
    "({0})::text",
    "('[52:52]={{x}}'::text[])[ascii(left({0}, 1))]", "(array[{0}, {1}])::text",
    "array_to_string(array[{0}, {1}], ',', '?')",
    "(json_build_object('a', {0})->>'a')", "to_json({0})::text", "row({0}, {1})::text",
    "(CASE WHEN {2} THEN {0} ELSE {1} END)",
    "(CASE {0} WHEN {1} THEN 'yes' ELSE 'no' END)", "(SELECT {0})", "(SELECT max({0}))", "greatest({0}, {1})",
    "max({0}) OVER ()",
    "string_to_array({0}, '4')::text", "jsonb_path_query_first(doc, '$.billing')::text", "split_part({0}, '1', 1)",
    "(to_jsonb(v)->>'card_number')", "(row_to_json(v)->>'note')", "substr({0}, 3, 2)", "reverse({0})", "repeat({0}, 2)",
    "(xpath('/a/text()', xmlelement(name a, {0})))::text", "quote_nullable({0})",
    "(doc || jsonb_build_object('x', {0}))::text",
    "jsonb_set(doc, '{{x}}', to_jsonb({0}))::text", "(doc - 'card_number')::text", "string_agg({0}, ',') OVER ()",
    "({0}) COLLATE \"C\"", "(SELECT {0} FROM vault w WHERE w.id = v.id)", "(length({0}))::text", "(VALUES ({0}))",
]  # fmt: skip
TESTS = [
    "id = 1", "{0} = {1}", "{0} IS NULL", "{0} LIKE '4%'", "length({0}) > 3", "{0} IN ({1}, '4111')",
    "doc ? 'card_number'",
    "doc @> '{{\"status\": \"open\"}}'", "doc @> '{{\"billing\": {{\"card_number\": \"4111\"}}}}'",
    "starts_with({0}, '4')",
    "EXISTS (SELECT 1 FROM vault w WHERE w.card_number = {0})", "doc->>'status' = 'open'", "{0} ~ '^4'",
    "NOT {0} > {1}",
    "doc->>'status' IN ('open', 'new')", "(doc->>'status') LIKE 'op%'",
    "doc @? '$.billing.card_number ? (@ == \"4111\")'",
    "{0} = ANY (cards)", "cards @> array['4111']", "'4111' = ANY (cards)", "({0}, id) IS DISTINCT FROM ({1}, 1)",
]  # fmt: skip
QUERIES = [
    "SELECT id, {0} AS x FROM vault v",
    "SELECT {0} AS x FROM vault v WHERE {2}",
    "SELECT id FROM vault v ORDER BY {0}, id",
    "SELECT count(*) FROM vault v WHERE {2}",
    "SELECT count({0}) FROM vault v",
    "SELECT count(*) FROM vault v GROUP BY {0} ORDER BY 1",
    "SELECT DISTINCT {0} AS x, 1 FROM vault v",
    "SELECT {0} AS x FROM vault v UNION ALL SELECT {1} FROM vault v",
    "SELECT {0} AS x FROM vault v UNION SELECT {1} FROM vault v ORDER BY 1",
    "SELECT s.x FROM (SELECT {0} AS x, id FROM vault v) s WHERE s.id = 1",
    "SELECT left(s.x, 2) AS y FROM (SELECT {0} AS x FROM vault v) s",
    "SELECT s.x || '!' AS y FROM (SELECT {0} AS x FROM vault v) s WHERE s.x = 'x'",
    "WITH s AS (SELECT id, {0} AS x FROM vault v) SELECT x FROM s WHERE id = 2",
    "WITH RECURSIVE s (n, x) AS (SELECT 1, {0} FROM vault v UNION ALL SELECT 2, left(x, 1) FROM s WHERE n < 2) TABLE s",
    "SELECT v.id FROM vault v JOIN (SELECT {0} AS x, id FROM vault v) s ON s.x = v.note",
    "SELECT v, {0} AS x FROM vault v",
    "SELECT v.*, {2} AS x FROM vault v",
    "SELECT to_json(v) AS x FROM vault v",
    "SELECT j.value FROM vault v, jsonb_each_text(doc) j",
    "SELECT j.key FROM vault v, jsonb_each(doc->'billing') j",
    "SELECT 1 FROM vault v, generate_series(1, length({0})) g",
    "SELECT j.status FROM vault v, jsonb_to_record(doc) AS j (status text, card_number text)",
    "SELECT id FROM vault v LIMIT (SELECT length({0}) FROM vault v LIMIT 1)",
    "SELECT array_agg({0}) AS x FROM vault v",
    "SELECT {0} AS x, repeat('y', 1100000) AS big FROM vault v",
    "SELECT doc, old, pay, cards FROM vault v WHERE {2}",
]  # fmt: skip


@st.composite
def statements(draw: st.DrawFn) -> str:
    """A query over the table, valid mostly."""
    leaf = st.sampled_from([one.strip() for one in TEXTS])

    def text(depth: int) -> str:
        if depth == 0 or draw(st.booleans()):
            return draw(leaf)
        return draw(st.sampled_from(OF_TEXT)).format(text(depth - 1), text(depth - 1), test(depth - 1))

    def test(depth: int) -> str:
        return draw(st.sampled_from(TESTS)).format(text(depth), text(depth))

    return draw(st.sampled_from(QUERIES)).format(text(2), text(1), test(1))


class Worlds:
    """The databases, and what is known of their tables, which is the same."""

    def __init__(self, server: Server) -> None:
        self.wires = [Wire(server, "crm") for _ in WORLDS]
        for wire, world in zip(self.wires, WORLDS, strict=True):
            wire.send(("Q", f"SET search_path = {world}, public\0".encode()))
        self.catalogue = Catalogue(read)
        self.behind = Behind(self.catalogue)

    def facts(self, sql: str) -> Script:
        """What the statement says, and what the catalogue adds."""
        script = read(sql)
        while (question := self.behind.missing(script)) is not None:
            self.catalogue.learn(question, answer(self.wires[0], question))
        return self.behind.facts(script)

    def answers(self, wire: Wire, sql: str, binary: bool) -> list[list[Value]] | None:
        """The rows as a reader has them; None for an error."""
        try:
            fields, frames = wire.rows(sql, binary)
        except AssertionError:
            return None
        script = read(sql)
        lineage, relations = script.lineage([field.name for field in fields]), named_in(script)
        while (question := self.catalogue.missing(fields, lineage, relations)) is not None:
            self.catalogue.learn(question, answer(self.wires[0], question))
        masking = row_mask([mask(keys=[GOVERNED])], KNOWN, fields, origins(fields, lineage, self.catalogue, relations))
        data = [frame if masking is None else masking.feed(frame) for frame in frames]
        return rows(b"".join(one if isinstance(one, bytes) else one.data for one in data))


def governed(column: Column) -> bool:
    """As policies/lib/governed.rego has it."""
    if isinstance(column, Member):
        return column.name == "*" or GOVERNED in (column.name, column.document)
    return column.name == GOVERNED


def decides(script: Script) -> bool:
    """Whether it is held in production: see policies/postgres/inference."""
    places = [one.columns for one in script.statements]
    return any(governed(column) for one in places for column in (*one.filtered, *one.sorted, *one.grouped, *one.joined))


@pytest.fixture(scope="module")
def worlds(postgres: Server) -> Iterator[Worlds]:
    """Databases that differ in governed values."""
    postgres.sql(TYPE, "crm")
    for world, (one, two) in WORLDS.items():
        postgres.sql(WORLD.format(world=world, one=f"({one})::text", two=f"({two})::text"), "crm")
    made = Worlds(postgres)
    yield made
    for wire in made.wires:
        wire.close()
    postgres.sql("; ".join(f"DROP SCHEMA {world} CASCADE" for world in WORLDS) + "; DROP TYPE payment", "crm")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(sql=statements(), binary=st.booleans())
@example("SELECT id, '{\"4\":1}'::jsonb ->> right(left(card_number,1),1) AS x FROM vault v", False)
@example("SELECT card_number, repeat('y', 1100000) AS big FROM vault v", False)
@example("SELECT ('[52:52]={x}'::text[])[ascii(left(card_number,1))] AS x FROM vault v", True)
def test_governed_values_decide_nothing_that_shows(worlds: Worlds, sql: str, binary: bool) -> None:
    """Whatever is not held answers alike, whatever the governed values are."""
    if decides(worlds.facts(sql)):
        return
    first, *others = [worlds.answers(wire, sql, binary) for wire in worlds.wires]
    for other in others:
        assert other == first


LEAKS = [
    "'{\"4\":1}'::jsonb ->> right(left(card_number,1),1)", "replace(left(card_number,1),'4','')", "card_number IS NULL",
    "translate(left(card_number,1),'4','')", "ltrim(left(card_number,1),'4')", "concat_ws('', left(card_number,1))",
    "('[52:52]={x}'::text[])[ascii(left(card_number,1))]", "coalesce(card_number, '')", "length(card_number)",
    "string_to_array(card_number, '4')", "card_number::varchar(1)", "md5(card_number)", "count(card_number) OVER ()",
    "doc->>'billing' LIKE '%4111%'", "left(doc->>'billing', 20)", "doc::text LIKE '%4111%'",
    "doc->>'card_number' = '4'",
    "jsonb_path_exists(doc, '$.card_number')", "(pay).card_number = '4'", "pay::text = '(4,x)'",
    "pay = row('4', 'x')::payment",
    "doc = '{}'", "format('%s', pay)", "to_json(pay)->>'card_number'", "jsonb_pretty(doc)", "doc ? 'card_number'",
    "v::text LIKE '%4%'", "(v.pay).card_number IS NULL", "doc @> '{\"card_number\": \"4\"}'", "array[card_number]",
]  # fmt: skip


@pytest.mark.parametrize("expression", LEAKS)
def test_what_tells_of_a_governed_value_decides(worlds: Worlds, expression: str) -> None:
    """One bit of it is enough."""
    assert decides(worlds.facts(f"SELECT {expression} FROM vault v"))  # noqa: S608


CARRIED = [
    "card_number", "card_number AS x", "v.card_number", "card_number::text", "card_number || note",
    "concat(id, card_number)",
    "doc->>'card_number'", "doc->'billing'->>'card_number'", "doc", "doc->>'status'", "(pay).bank", "(pay).card_number",
    "doc->>'status' = 'open'", "(doc->>'status')::date", "doc @> '{\"status\": 1}'", "lower(note)", "note = 'x'",
    "max(note)",
    "cards", "v", "v.*", "(SELECT card_number)", "CASE WHEN id = 1 THEN card_number END", "doc::text",
    "pay::text", "doc ? 'a'",
]  # fmt: skip


@pytest.mark.parametrize("expression", CARRIED)
def test_what_only_shows_it_decides_nothing(worlds: Worlds, expression: str) -> None:
    """So that nobody is asked, and what is governed comes masked."""
    assert not decides(worlds.facts(f"SELECT {expression} FROM vault v"))  # noqa: S608


def test_whether_it_is_null_or_empty_does_not_show(worlds: Worlds) -> None:
    """A mask stands in the place of any value."""
    keyed_of = "card_number, doc->>'card_number', (pay).card_number, card_number || 'x'"
    sql = f"SELECT {keyed_of}, doc::text, vault::text FROM vault"  # noqa: S608
    keyed, whole = b"[masked:key:card_number]", b"[masked:column]"
    for wire in worlds.wires:
        assert worlds.answers(wire, sql, False) == [[keyed, keyed, keyed, keyed, whole, whole]] * 2
