"""Columns by place, where results come from, and whether WHERE leaves rows out."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

import pytest

from extproc.protocols.postgres.sql import Column, Member, Reader, read


def said(columns: tuple[Column, ...] | None) -> str | None:
    """Columns as `table.name`, `?` where no table is known, members as `table.column->key`; None for UNKNOWN."""
    if columns is None:
        return None
    return " ".join(
        f"{one.table or '?'}.{f'{one.document}->' if isinstance(one, Member) else ''}{one.name}" for one in columns
    )


@pytest.mark.parametrize(
    ("sql", "place", "expected"),
    [
        ("SELECT email FROM customers c WHERE c.ssn = 'x'", "read", "customers.email"),
        ("SELECT email FROM customers c WHERE c.ssn = 'x'", "filtered", "customers.ssn"),
        ("SELECT a FROM t, u", "read", "?.a"),
        ("SELECT c FROM customers c", "read", "customers.*"),
        ("SELECT row_to_json(c), c::text FROM customers c", "read", "customers.*"),
        ("SELECT (c).email FROM customers c", "read", "customers.c->email customers.email"),
        ("SELECT s.e FROM (SELECT email AS e FROM customers) s", "read", "customers.email"),
        ("SELECT 1 FROM (SELECT * FROM customers) s WHERE ssn = 'x'", "filtered", "customers.ssn"),
        ("SELECT 1 FROM a JOIN b USING (id)", "joined", "a.id b.id"),
        ("SELECT 1 FROM a NATURAL JOIN b", "joined", "a.* b.*"),
        ("SELECT 1 FROM a JOIN b ON a.x = b.y", "joined", "a.x b.y"),
        ("SELECT email AS e FROM t ORDER BY e, 1, z", "sorted", "t.email t.z"),
        ("SELECT date_trunc('day', at) FROM t GROUP BY 1", "grouped", "t.at"),
        ("SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d) FROM t", "filtered", "t.a t.b"),
        ("SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d) FROM t", "grouped", "t.c"),
        ("SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d) FROM t", "sorted", "t.d"),
        ("UPDATE t SET (a, b) = (SELECT 1, 2), c = d", "written", "t.a t.b t.c"),
        ("INSERT INTO t VALUES (1)", "written", "t.*"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (k) DO UPDATE SET b = excluded.c", "read", "t.c"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (k) DO UPDATE SET b = excluded.c", "filtered", "t.k"),
        ("SELECT x FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.y = t.z)", "filtered", "u.y t.z"),
        ("SELECT x FROM t WHERE id IN (SELECT u.id FROM u)", "filtered", "u.id t.id"),
        ("SELECT x FROM t WHERE (SELECT substr(t.card, 1, 1)) = '4'", "filtered", "t.card"),
        ("SELECT x FROM t ORDER BY (SELECT u.y FROM u)", "sorted", "u.y"),
        ("SELECT l.x FROM t, LATERAL (SELECT t.y AS x) l", "read", "t.y"),
        ("COPY t (a, b) TO STDOUT", "read", "t.a t.b"),
        ("COPY t FROM STDIN WHERE a > 1", "filtered", "t.a"),
        ("SELECT c.to_json FROM customers c", "read", "customers.* customers.to_json"),
        ("SELECT (c).row_to_json FROM customers c", "read", "customers.c customers.* customers.row_to_json"),
        ("SELECT crm.customers.jsonb_agg FROM crm.customers", "read", "customers.* customers.jsonb_agg"),
        ("SELECT 1 FROM customers c WHERE c.to_json->>'x' LIKE 'a'", "filtered", "customers.* customers.to_json"),
        ("SELECT 1 FROM (SELECT email FROM customers) s WHERE s.mine = 'x'", "filtered", "customers.email"),
        ("SELECT s.to_json FROM (SELECT email AS to_json FROM customers) s", "read", "customers.email"),
        ("SELECT c.name, c.date FROM customers c", "read", "customers.name customers.date"),
        ("SELECT 1 FROM c, generate_series(1, ascii(c.email)) g", "filtered", "c.email"),
        ("SELECT 1 FROM c, generate_series(1, ascii(c.email)) g", "read", "c.email"),
        ("SELECT 1 FROM c, ROWS FROM (unnest(c.tags), lower(c.name)) g", "filtered", "c.tags c.name"),
        ("SELECT 1 FROM c, XMLTABLE('/a' PASSING c.doc COLUMNS a int) x", "filtered", "c.doc"),
        ("SELECT 1 FROM t TABLESAMPLE SYSTEM ((SELECT u.x FROM u))", "filtered", "u.x"),
        ("SELECT 1 FROM g LIMIT (SELECT ascii(c.email) FROM c)", "filtered", "c.email"),
        ("SELECT 1 FROM g OFFSET (SELECT ascii(c.email) FROM c)", "filtered", "c.email"),
        ("SELECT sum(a) OVER (ROWS (SELECT u.x FROM u) PRECEDING) FROM t", "filtered", "t.a u.x"),
        ("SELECT sum(a) OVER w FROM t WINDOW w AS (ROWS (SELECT u.x FROM u) PRECEDING)", "filtered", "t.a u.x"),
        ("SELECT generate_series(1, ascii(email)) FROM c", "filtered", "c.email"),
        ("SELECT regexp_split_to_table(email, '') FROM c", "filtered", "c.email"),
        ("SELECT mine(email) FROM c", "filtered", "c.email"),
        ("SELECT a FROM t UNION SELECT b FROM u", "grouped", "t.a u.b"),
        ("SELECT a FROM t UNION ALL SELECT b FROM u", "grouped", ""),
        ("SELECT a FROM t UNION ALL (SELECT b FROM u UNION SELECT 1)", "grouped", "t.a u.b"),
        ("SELECT a FROM t INTERSECT ALL SELECT 1", "grouped", "t.a"),
        ("SELECT 1 EXCEPT SELECT ascii(b) FROM u", "grouped", "u.b"),
        ("SELECT (SELECT count(*) FROM (SELECT email INTERSECT SELECT 'x') x) FROM c", "grouped", "c.email"),
        ("WITH RECURSIVE r AS (SELECT a FROM t UNION SELECT r.a FROM r) SELECT 1 FROM r", "grouped", "t.a"),
        ("SELECT DISTINCT a, lower(b) FROM t", "grouped", "t.a t.b"),
        ("SELECT count(DISTINCT a) FROM t", "grouped", "t.a"),
        ("SELECT count(DISTINCT a) FROM t", "read", "t.a"),
        ("SELECT CASE WHEN email LIKE 'a%' THEN x END FROM c", "filtered", "c.email"),
        ("SELECT CASE email WHEN name THEN x END FROM c", "filtered", "c.email c.name"),
        ("SELECT starts_with(email, 'a') AND 1/x = 1 FROM c", "filtered", "c.email c.x"),
        ("SELECT 1 / (ascii(email) - 97) FROM c", "filtered", "c.email"),
        ("SELECT email = 'a', name IN ('x'), NOT starts_with(b, 'x') FROM c", "filtered", "c.email c.name c.b"),
        ("SELECT replace(substr(email, 1, 1), 'a', '1')::int FROM c", "filtered", "c.email"),
        ("SELECT email::inet, tags::text[], make_date(n, 1, 1) FROM c", "filtered", "c.email c.tags c.n"),
        ("SELECT information_schema._pg_expandarray(array_fill(1, ARRAY[a])) FROM c", "filtered", "c.a"),
        ("SELECT JSON_VALUE(a, '$' ERROR ON ERROR), XMLPARSE(CONTENT b) FROM c", "filtered", "c.a c.b"),
        ("SELECT JSON_VALUE(a, '$') FROM c", "read", "c.a"),
        ("SELECT max(a), json_build_object('a', b), coalesce(left(c.d, 1), e) FROM c", "filtered", "c.a c.b c.d c.e"),
        (
            "SELECT ARRAY[a], ROW(b), d IS NULL, greatest(e, 1), f[1], g::varchar(2) FROM c",
            "filtered",
            "c.a c.b c.d c.e c.f c.g",
        ),
        (
            "SELECT a, b AS x, t.c, d::text, e || f, concat(g, h), (SELECT i), CASE WHEN true THEN j END FROM t",
            "filtered",
            "",
        ),
        ("SELECT a, b AS x, t.c, d::text, e || f FROM t", "parts", "t.d t.e t.f"),
        ("SELECT (SELECT email AS e) FROM c ORDER BY e", "sorted", "c.email c.e"),
        ("SELECT (SELECT email AS e) FROM c GROUP BY e", "grouped", "c.e c.email"),
        ("SELECT DISTINCT ON (e) (SELECT email AS e) FROM c", "grouped", "c.email c.e"),
        ("SELECT n.*, c.email FROM n, c ORDER BY 3", "sorted", "n.* c.email"),
        ("SELECT n.*, c.email FROM n, c GROUP BY 3", "grouped", "n.* c.email"),
        (
            "SELECT 1 FROM ((SELECT email AS x, id FROM c) a JOIN c b USING (id)) j WHERE j.x = 'a'",
            "filtered",
            "c.email c.id c.x",
        ),
        ("SELECT 1 FROM (SELECT (c).* FROM c) s (a, b) WHERE b = 'a'", "filtered", "c.* ?.b ?.*"),
        ("SELECT 1 FROM (SELECT * FROM c UNION ALL SELECT * FROM d) s WHERE a = 1", "filtered", "?.a ?.*"),
        (
            (
                "WITH RECURSIVE r AS (SELECT id, email FROM c UNION ALL SELECT id, email FROM r) "
                "SEARCH DEPTH FIRST BY email SET o SELECT id FROM r ORDER BY o"
            ),
            "sorted",
            "c.id c.email",
        ),
        (
            (
                "WITH RECURSIVE r AS (SELECT email FROM c UNION ALL SELECT 'x' FROM r) "
                "CYCLE email SET again USING way SELECT 1 FROM r WHERE again"
            ),
            "filtered",
            "c.email",
        ),
        (
            (
                "WITH RECURSIVE r AS (SELECT email FROM c UNION ALL SELECT 'x' FROM r) "
                "CYCLE email SET again USING way SELECT 1 FROM r"
            ),
            "grouped",
            "c.email",
        ),
        (
            "SELECT 1 FROM (n CROSS JOIN (SELECT email AS id FROM c) a) JOIN b USING (id)",
            "joined",
            "n.id c.email b.id",
        ),
        ("SELECT doc->>'as'::varchar(1), doc->'b'::text FROM c", "filtered", "c.doc"),
        ("SELECT doc #>> '{as}'::varchar(1)[], doc #> '{b}'::text[] FROM c", "filtered", "c.doc"),
        ("SELECT doc->>'a '::bpchar FROM c", "filtered", "c.doc"),
        ("SELECT doc @> '{\"a\": 1}'::jsonb FROM c", "filtered", "c.doc->a"),
        (
            "SELECT doc->'a'->>'b', doc#>>'{c,d}', doc['e'], (p).f, jsonb_extract_path_text(doc, 'g') FROM t",
            "filtered",
            "",
        ),
        (
            "SELECT doc->'a'->>'b', doc#>>'{c,d}', doc['e'] FROM t",
            "read",
            "t.doc->a t.doc->b t.doc->c t.doc->d t.doc->e",
        ),
        ("SELECT jsonb_extract_path_text(doc, 'g', 'h'), t.doc->0->'i' FROM t", "read", "t.doc->g t.doc->h t.doc->i"),
        ("SELECT 1 FROM t WHERE doc->>'a' = 'x' AND doc->>'b' IN ('y', $1)", "filtered", "t.doc->a t.doc->b"),
        ("SELECT 1 FROM t WHERE doc->>'a' LIKE 'x%' AND (doc->>'b')::int > 1", "filtered", "t.doc->a t.doc->b"),
        (
            "SELECT 1 FROM t WHERE doc->>'a' IS NULL AND doc ? 'b' AND doc ?| '{c}'",
            "filtered",
            "t.doc->a t.doc->b t.doc->c",
        ),
        ('SELECT 1 FROM t WHERE doc @> \'{"a": [{"b": 1}]}\'', "filtered", "t.doc->a t.doc->b"),
        ("SELECT 1 FROM t WHERE doc @> '[1]'", "filtered", "t.doc->"),
        ("SELECT 1 FROM t WHERE doc->>'a' = '{}'", "filtered", "t.doc->a t.doc"),
        ("SELECT 1 FROM t WHERE doc->>'a' LIKE '%x'", "filtered", "t.doc->a t.doc"),
        ("SELECT 1 FROM t WHERE doc->>'a' > 'x'", "filtered", "t.doc->a t.doc"),
        ("SELECT 1 FROM t WHERE doc->>x = 'x'", "filtered", "t.doc t.x"),
        ("SELECT 1 FROM t WHERE doc @> $1", "filtered", "t.doc"),
        ("SELECT 1 FROM t WHERE lower(doc->>'a') = 'x'", "filtered", "t.doc->a t.doc"),
        ("SELECT 1 FROM t ORDER BY doc->>'a', (doc->>'b')::date", "sorted", "t.doc->a t.doc t.doc->b"),
        ("SELECT s.d->>'b' FROM (SELECT doc->'a' AS d FROM t) s", "read", "t.doc->a t.doc->b"),
        ("SELECT crm.lower(a) FROM c", "filtered", "c.a"),
        ("SELECT 1 FROM t WHERE JSON_ARRAY(SELECT c.email FROM c)::text LIKE 'a'", "filtered", "c.email"),
        ("SELECT 1 FROM t WHERE (SELECT mine(1)) = 'a'", "filtered", "?.*"),
        ("SELECT ($1).email, (f(1)).pay", "read", "?.email ?.pay"),
        ("SELECT lower(email), a || b, doc -> 'x' ->> 'y', email::text FROM c", "filtered", "c.email"),
    ],
)
def test_columns(sql: str, place: str, expected: str) -> None:
    """Each reference is resolved to its table, as far as the text tells."""
    assert said(getattr(read(sql).statements[0].columns, place)) == expected


@pytest.mark.parametrize(
    ("sql", "labels", "expected"),
    [
        (
            "SELECT email, 1, upper(name) AS n FROM customers",
            ["email", "?column?", "n"],
            ["customers.email", "", "customers.name->*"],
        ),
        ("SELECT * FROM customers", ["id", "email"], ["customers.id", "customers.email"]),
        (
            "SELECT 1 AS one, c.*, x FROM customers c",
            ["one", "a", "b", "x"],
            ["", "customers.a", "customers.b", "customers.x"],
        ),
        ("SELECT * FROM a JOIN b USING (id)", ["id", "x"], ["a.id b.id", "a.x b.x"]),
        ("SELECT * FROM a, (SELECT ssn AS x FROM c) s", ["id", "x"], ["a.id", "c.ssn"]),
        ("SELECT c FROM customers c", ["c"], [None]),
        ("SELECT mine(email) FROM customers", ["mine"], [None]),
        ("SELECT s.mine, s.to_json FROM (SELECT email FROM c) s", ["mine", "to_json"], [None, "c.email"]),
        ("SELECT email FROM a UNION SELECT ssn FROM b", ["email"], ["a.email b.ssn"]),
        ("SELECT * FROM a UNION SELECT * FROM b", ["email"], [None]),
        ("WITH x AS (DELETE FROM t RETURNING a, b) SELECT b, a FROM x", ["b", "a"], ["t.b", "t.a"]),
        ("DELETE FROM t RETURNING *", ["a"], ["t.a"]),
        ("INSERT INTO t VALUES (1) RETURNING a AS b", ["b"], ["t.a"]),
        ("SELECT * FROM customers AS c (a)", ["a", "b"], [None, "customers.b"]),
        ("SELECT CASE WHEN ssn = '1' THEN 'y' END FROM c", ["case"], ["c.ssn->*"]),
        ("SELECT (SELECT email FROM c), EXISTS (SELECT ssn FROM c)", ["email", "exists"], ["c.email", ""]),
        ("VALUES (1, 'x')", ["column1", "column2"], ["", ""]),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pay) FROM t", ["percentile_cont"], ["t.pay->*"]),
        (
            "SELECT a::text, b || 'x', doc->>'c', left(doc->>'d', 1), (e).f FROM t",
            ["a", "?column?", "?column?", "left", "f"],
            ["t.a->*", "t.b->*", "t.doc->c", "t.doc->d t.doc->*", "t.e->f"],
        ),
        (
            "WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT left(r.a, 1) FROM r) SELECT a FROM r",
            ["a"],
            ["t.a t.a->*"],
        ),
        ("COPY (SELECT email FROM c) TO STDOUT", ["email"], ["c.email"]),
        ("SELECT email FROM c", ["other"], [None]),
        ("SELECT email FROM c", ["email", "more"], [None, None]),
        ("SELECT 1; SELECT 2", ["?column?"], [None]),
        (
            "WITH RECURSIVE t (n, p) AS (SELECT id, up FROM x UNION ALL SELECT x.id, t.n FROM x, t) SELECT n, p FROM t",
            ["n", "p"],
            ["x.id", "x.id x.up"],
        ),
    ],
)
def test_where_results_come_from(sql: str, labels: list[str], expected: list[str | None]) -> None:
    """Every column that a value is made of is named, or it is unknown."""
    assert [said(origins) for origins in read(sql).lineage(labels)] == expected


ALWAYS = (
    """
TRUE|1 = 1|'a' = 'a'|NOT FALSE|id = id|id IS NOT DISTINCT FROM id|id = 1 OR TRUE|true::bool|'true'::bool|id IN (1, id)
t.id = id|id BETWEEN id AND id|1 IN (1, 2)|now() > '2000-01-01'|EXISTS (SELECT 1)|EXISTS (SELECT 1 FROM x)
CASE WHEN a THEN true ELSE true END|COALESCE(NULL, true)|(a = a) = true|a IS NULL OR a IS NOT NULL|NOT (a <> a)
a LIKE '%'|2 > 1 AND length('a') = 1|NULL IS NULL|(1 = 1) IS TRUE|NOT NOT true|id = ANY (ARRAY[id, 1])
(id, a) = (id, a)|id = 1 OR id <> 1|true AND (false OR (1 = 1 AND 'x' = 'x'))|'yes'|NOT (1 = 2)|id >= id|$1
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
SOME = (
    """
id = 1|id IN (1, 2)|id = $1 OR $2 IS NULL|EXISTS (SELECT 1 FROM x WHERE x.a = t.a)|2 > 1 AND id > 0|CURRENT OF c
a LIKE 'a%'|a|NOT a|id = ANY ($1)|id IS NOT NULL|CASE WHEN a THEN true END|id <> id
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


@pytest.mark.parametrize("condition", ALWAYS)
def test_a_condition_that_is_always_true_is_no_condition(condition: str) -> None:
    """However it is written."""
    assert read(f"DELETE FROM t WHERE {condition}").statements[0].where == "always"


@pytest.mark.parametrize("condition", SOME)
def test_a_condition_on_rows(condition: str) -> None:
    """It leaves rows out."""
    assert read(f"DELETE FROM t WHERE {condition}").statements[0].where == "some"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 LIMIT 10", 10),
        ("SELECT 1 FETCH FIRST ROW ONLY", 1),
        ("SELECT 1 LIMIT 5::bigint", 5),
        ("SELECT 1 LIMIT ALL", None),
        ("SELECT 1 LIMIT $1", None),
        ("SELECT x FROM t ORDER BY x FETCH FIRST 2 ROWS WITH TIES", None),
        ("SELECT * FROM (SELECT 1 LIMIT 1) x", None),
    ],
)
def test_limits(sql: str, expected: int | None) -> None:
    """Only a constant that bounds the whole result counts."""
    assert read(sql).statements[0].limit == expected


def test_a_reader_keeps_what_is_the_texts_alone() -> None:
    """What a prepared statement decides is read anew."""
    reader = Reader(1)
    assert reader.read("SELECT 1") is reader.read("SELECT 1")
    first = reader.read("PREPARE p AS TABLE a").prepared
    second = reader.read("PREPARE p AS TABLE b").prepared
    assert reader.read("EXECUTE p", first) != reader.read("EXECUTE p", second)


def test_a_value_that_is_made_of_too_many_columns_may_be_of_any() -> None:
    """They are not named one by one."""
    many = ", ".join(f"u.c{number}" for number in range(70))
    sql = f"SELECT 1 FROM (SELECT concat(c.email, {many}) AS x FROM c, u) s WHERE x LIKE 'a%'"
    assert said(read(sql).statements[0].columns.filtered) == "?.x ?.*"
