"""Texts made to break or to delay: they end in facts or in Unparsable."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.protocols.postgres.sql import Unparsable, read
from extproc.protocols.postgres.sql.reader import UNEXPECTED

N = 3000
SHAPES = {
    "sum": "SELECT " + "+".join(["1"] * N),
    "plus": "SELECT " + "+" * 100_000 + "1",
    "comments": "/*" * 50_000 + "*/" * 50_000 + "SELECT 1",
    "brackets": "SELECT " + "(" * N * 10 + "1" + ")" * N * 10,
    "subqueries": "SELECT (" * 300 + "SELECT 1" + ")" * 300,
    "tables": "SELECT * FROM (" * 300 + "SELECT 1" + ") x" * 300,
    "joins": "SELECT * FROM a" + " JOIN b ON true" * N,
    "repeated": "UPDATE t SET (" + ",".join(["a"] * N) + ") = (SELECT " + ",".join(["1"] * N) + ")",
    "repeated_deep": "WITH x AS (UPDATE t SET (a, a, a, a) = (" * 20 + "SELECT 1" + ")) SELECT 1" * 20,
    "recursive": "WITH RECURSIVE "
    + ",".join(f"c{i} AS (SELECT 1 UNION TABLE c{i + 1})" for i in range(N))
    + " TABLE c1",
}
FINE = {
    "and": "SELECT 1 FROM t WHERE " + " AND ".join(["a = 1"] * N),
    "statements": "SELECT 1;" * N,
    "rows": "INSERT INTO t VALUES " + ",".join(["(1, 2)"] * N),
    "stars": "SELECT " + ",".join(["*"] * N) + " FROM a" + ",b" * N,
    "labels": "SELECT " + ",".join(f"a AS b{i}" for i in range(N)) + " FROM t ORDER BY " + ",".join(["b1"] * N),
    "functions": "SELECT * FROM a" + ",f(x)" * N,
    "beyond_ascii": "UPDATE t SET (a) = (SELECT 1) WHERE b IN (" + ",".join(["'é'"] * N * 20) + ")",
    "ctes": "WITH c0 AS (SELECT 1)" + "".join(f",c{i + 1} AS (TABLE c{i})" for i in range(N)) + " TABLE c1",
}
_TEXT = " ".join(["é = 'é'"] * N * 10)
QUOTED = {
    "beyond_ascii": (f"UPDATE t SET (a) = (SELECT $é${_TEXT}$é$)", "name is not ASCII"),
    "broken": ("UPDATE t SET (a) = (SELECT 'é" + " " * 200, "unterminated quoted string at or near \"'é"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_too_much_is_unparsable(name: str) -> None:
    """Whatever would take too much time, memory or stack."""
    with pytest.raises(Unparsable):
        read(SHAPES[name])


@pytest.mark.parametrize("name", FINE)
def test_much_is_read(name: str) -> None:
    """Long is not deep."""
    assert read(FINE[name]).statements


@pytest.mark.parametrize("name", QUOTED)
def test_quotes_beyond_ascii(name: str) -> None:
    """Where they are too much, or have no end, it is said of the text as it is."""
    sql, said = QUOTED[name]
    with pytest.raises(Unparsable, match=said):
        read(sql)


_ATOM = st.sampled_from(
    [
        *("1", "'x'", "NULL", "true", "a", "t.a", "t", "u.*", "t.*", "$1", "now()", "f(a)", "count(*)", "(t).a"),
        *("a.b.c", "excluded.a", "old.a", "CURRENT_DATE", "DEFAULT"),
    ]
)
_EXPRESSION = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["=", "<>", "AND", "OR", "+", "||", "IN", "LIKE"]), inner
        ),
        st.builds("NOT {}".format, inner),
        st.builds("{} IS NULL".format, inner),
        st.builds("({}::text)".format, inner),
        st.builds("{} IN ({}, {})".format, inner, inner, inner),
        st.builds("{} BETWEEN {} AND {}".format, inner, inner, inner),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, inner, inner, inner),
        st.builds("(SELECT {} FROM t)".format, inner),
        st.builds("EXISTS (SELECT {} FROM t WHERE {})".format, inner, inner),
        st.builds("sum({}) OVER (PARTITION BY {} ORDER BY {})".format, inner, inner, inner),
        st.builds("ARRAY[{}, {}]".format, inner, inner),
        st.builds("COALESCE({}, {})".format, inner, inner),
        st.builds("xmlelement(name x, {})".format, inner),
        st.builds("json_object({} : {})".format, inner, inner),
        st.builds("({} IS TRUE)".format, inner),
        st.builds('({} COLLATE "C")'.format, inner),
    ),
    max_leaves=8,
)
_STATEMENT = st.recursive(
    st.one_of(
        st.builds(
            "SELECT {}, {} FROM t, u WHERE {} ORDER BY {}".format, _EXPRESSION, _EXPRESSION, _EXPRESSION, _EXPRESSION
        ),
        st.builds("SELECT DISTINCT ON ({}) * FROM t JOIN u ON {} GROUP BY {}".format, *[_EXPRESSION] * 3),
        st.builds("INSERT INTO t (a) VALUES ({}) RETURNING {}".format, _EXPRESSION, _EXPRESSION),
        st.builds("INSERT INTO t SELECT {} ON CONFLICT (a) DO UPDATE SET b = {}".format, _EXPRESSION, _EXPRESSION),
        st.builds("UPDATE t SET a = {}, (b, c) = ({}, 1) WHERE {} RETURNING *".format, *[_EXPRESSION] * 3),
        st.builds("DELETE FROM t USING u WHERE {} RETURNING {}".format, _EXPRESSION, _EXPRESSION),
        st.builds("MERGE INTO t USING u ON {} WHEN MATCHED AND {} THEN DELETE".format, _EXPRESSION, _EXPRESSION),
        st.builds("SELECT * FROM t x (p, q) NATURAL JOIN u, LATERAL f({}) g".format, _EXPRESSION),
    ),
    lambda inner: st.one_of(
        st.builds("WITH x AS ({}) SELECT * FROM x".format, inner),
        st.builds("WITH RECURSIVE x (p) AS (SELECT 1 UNION ({})) SELECT p FROM x".format, inner),
        st.builds("EXPLAIN ANALYZE {}".format, inner),
        st.builds("PREPARE p AS {}".format, inner),
        st.builds("{} UNION {}".format, inner, inner),
        st.builds("COPY ({}) TO STDOUT".format, inner),
        st.builds("CREATE VIEW v AS {}".format, inner),
        st.builds("DECLARE c CURSOR FOR {}".format, inner),
        st.builds("{}; {}".format, inner, inner),
        st.builds("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $b$ {} $b$".format, inner),
        st.builds("SELECT * FROM ({}) s (p)".format, inner),
    ),
    max_leaves=3,
)


@settings(max_examples=300, deadline=None)
@given(_STATEMENT)
def test_generated_statements(sql: str) -> None:
    """Facts, or Unparsable: nothing else, and always a document of the closed shape."""
    try:
        script = read(sql)
    except Unparsable as refused:
        if refused.message == UNEXPECTED:
            raise
        return
    assert script.statements
    for statement in script.statements:
        assert statement.document()["kind"]
    for place, outputs in enumerate(script.results):
        if outputs is not None:
            assert len(script.lineage(["a", "b", "c"], place)) == 3


_WORDS = [
    *("SELECT", "FROM", "t", "u", "WHERE", "(", ")", ",", ".", "*", ";", "=", "1", "'x'", "WITH", "AS", "DELETE"),
    *("UPDATE", "SET", "a", "b", "JOIN", "ON"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_WORDS)))
def test_words_in_any_order(words: list[str]) -> None:
    """Facts, or Unparsable."""
    try:
        statements = read(" ".join(words)).statements
    except Unparsable as refused:
        if refused.message == UNEXPECTED:
            raise
        return
    assert statements
