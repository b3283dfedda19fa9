"""The query of a COPY, as text of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.sql.copying import copied
from extproc.protocols.postgres.sql.tree import parse

QUERIES = [
    "SELECT 1",
    "SELECT ')', $$)($$, (1), \"(\" -- )\n FROM t",
    "VALUES (1), (2)",
    "INSERT INTO t VALUES (1) RETURNING (a).b",
    "WITH x AS (SELECT 1) TABLE x",
    "SELECT 'ä', E'\\')' /* ) /* ) */ */",
]
NONE = [
    "COPY t TO STDOUT",
    "SELECT (1)",
    "COPY t (a) TO STDOUT",
    "COPY (SELECT 1",
    "COPY (SELECT 1) TO STDOUT; SELECT 2",
    "",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("before", ["COPY (", " copy/* ( ä */( ", "-- COPY (\nCOPY ("])
def test_the_query_stands_where_it_stood(query: str, before: str) -> None:
    """The places of its parts are those in the whole text."""
    found = copied(f"{before}{query}) TO STDOUT (FORMAT binary)")
    assert found is not None
    assert found.strip() == query.strip()
    assert len(found) - len(found.lstrip()) == len(before.encode())


@pytest.mark.parametrize("sql", NONE)
def test_what_is_no_copy_of_a_query_has_none(sql: str) -> None:
    """Nor has one among several."""
    assert copied(sql) is None


@given(st.text(st.sampled_from("()'\"$-/*;,E\\ä1 \n") | st.sampled_from("seltcopy"), max_size=40))
def test_only_what_the_parser_reads_there(text: str) -> None:
    """Whatever stands there: what is given is exactly what the whole text has as its query."""
    sql = f"COPY (SELECT {text}) TO STDOUT"
    query = copied(sql)
    if query is not None:
        (whole,) = parse(sql)
        assert parse(query) == [whole["CopyStmt"]["query"]]
