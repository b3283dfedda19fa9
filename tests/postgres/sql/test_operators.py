"""Operators, casts and functions that a database defines itself, and the code that definitions name."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.sql import UNKNOWN, Column, Function, Script, read
from extproc.protocols.postgres.sql.custom import OPERATORS, PLAIN, UNTOLD, Custom, custom_of, defined

OWN = Custom(
    operators={"=": ("mine",), "<": ("mine",), "~~": ("mine",), "~": ("mine",), "||": ("mine",)},
    harmless=frozenset({("public", "<=>"), ("public", "<->")}),
    functions={"lower": ("mine",)},
    types={"checked": ("mine",), "_checked": ("mine",)},
    relations={"pairs": (("mine", "pair"),)},
)


def called(script: Script) -> set[str]:
    """The functions of all statements, with their schema."""
    return {
        f"{one.schema}.{one.name}" if one.schema else one.name
        for statement in script.statements
        for one in statement.functions
    }


def doubted(script: Script) -> bool:
    """Whether code may run that nobody knows."""
    return any("function" in statement.unknown for statement in script.statements)


EXPRESSIONS = [
    ("a = 1", "="),
    ("a OPERATOR(mine.=) 1", "="),
    ("a < ALL (ARRAY[1])", "<"),
    ("a = ANY (ARRAY[1])", "="),
    ("(a, b) = (1, 2)", "="),
    ("(a, b) < ROW(1, 2)", "<"),
    ("a IN (1, 2)", "="),
    ("a IN (SELECT 1)", "="),
    ("(a, b) IN (SELECT 1, 2)", "="),
    ("a = ANY (SELECT 1)", "="),
    ("a < ALL (SELECT 1)", "<"),
    ("a NOT BETWEEN 1 AND 2", "<"),
    ("a NOT BETWEEN SYMMETRIC 1 AND 2", "<"),
    ("a LIKE 'x'", "~~"),
    ("a SIMILAR TO 'x'", "~"),
    ("a IS DISTINCT FROM 1", "="),
    ("a IS NOT DISTINCT FROM 1", "="),
    ("NULLIF(a, 1)", "="),
    ("CASE a WHEN 1 THEN 2 END", "="),
    ("a || 'x'", "||"),
]
PLACES = [
    "SELECT {e} FROM t",
    "SELECT 1 FROM t WHERE ({e}) IS NULL",
    "SELECT 1 FROM t ORDER BY {e}",
    "SELECT 1 FROM t GROUP BY {e}",
    "SELECT count(*) FILTER (WHERE ({e}) IS NULL) FROM t",
    "SELECT sum(b) OVER (PARTITION BY {e} ORDER BY b) FROM t",
    "SELECT sum(b ORDER BY {e}) FROM t",
    "SELECT 1 FROM t JOIN u ON ({e}) IS NULL",
    "SELECT 1 FROM t, LATERAL (SELECT {e} AS x) l",
    "SELECT 1 FROM t, generate_series(1, ({e})::int)",
    "SELECT COALESCE(({e})::text, '') FROM t",
    "SELECT ARRAY[({e})::text], ROW({e}) FROM t",
    "SELECT (SELECT {e}) FROM t",
    "VALUES (({e}))",
    "WITH w AS (SELECT {e} AS x FROM t) SELECT x FROM w",
    "INSERT INTO t (b) SELECT {e} FROM t",
    "INSERT INTO t (b) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = ({e})::int",
    "UPDATE t SET b = ({e})::int",
    "DELETE FROM t WHERE ({e}) IS NULL RETURNING {e}",
    "MERGE INTO t USING u ON ({e}) IS NULL WHEN MATCHED THEN DELETE",
    "CREATE VIEW v AS SELECT {e} AS x FROM t",
    "CREATE INDEX ON t (({e}))",
    "CREATE INDEX ON t (b) WHERE ({e}) IS NULL",
    "ALTER TABLE t ADD CHECK (({e}) IS NULL)",
    "CREATE TABLE v (a int, b int, CHECK (({e}) IS NULL))",
    "COPY (SELECT {e} FROM t) TO STDOUT",
    "EXPLAIN SELECT {e} FROM t",
    "PREPARE p AS SELECT {e} FROM t",
]


@pytest.mark.parametrize(("expression", "name"), EXPRESSIONS)
def test_each_form_names_the_operators_that_it_looks_up(expression: str, name: str) -> None:
    """In the text there may be none."""
    script = read(f"SELECT {expression} AS x FROM t", custom=OWN)
    assert doubted(script)
    assert f"mine.{name}" in called(script)
    assert called(script) - {"pg_catalog.similar_to_escape"} == {f"mine.{name}"}
    assert not doubted(read(f"SELECT {expression} AS x FROM t".replace("mine.", "pg_catalog."), custom=PLAIN))


@pytest.mark.parametrize(
    ("sql", "functions"),
    [
        ("SELECT 1 FROM t JOIN u USING (a)", {"mine.="}),
        ("SELECT 1 FROM t NATURAL JOIN u", {"mine.="}),
        ("SELECT 1 FROM t ORDER BY a USING <", {"mine.<"}),
        ("SELECT 1 FROM t ORDER BY a USING OPERATOR(other.<)", {"other.<"}),
        ("SELECT sum(a ORDER BY b USING <) FROM t", {"sum", "mine.<"}),
        ("SELECT sum(a) OVER (ORDER BY b USING <) FROM t", {"sum", "mine.<"}),
        ("CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =))", {"mine.="}),
        ("CREATE TABLE t (a int, EXCLUDE USING gist (a WITH OPERATOR(other.&&)))", {"other.&&"}),
        ("SELECT lower('x')", {"lower", "mine.lower"}),
        ("SELECT mine.lower('x')", {"mine.lower"}),
        ("SELECT 'x'::checked", {"mine.checked"}),
        ("SELECT CAST('x' AS mine.checked)", {"mine.checked"}),
        ("SELECT '{x}'::checked[]", {"mine.checked"}),
        ("SELECT * FROM json_to_record('{}') AS r (a checked)", {"json_to_record", "mine.checked"}),
        ("SELECT JSON_VALUE('1', '$' RETURNING checked)", {"mine.checked"}),
        ("SELECT a FROM pairs", {"mine.pair"}),
        ("UPDATE pairs SET a = 1", {"mine.pair"}),
        ("SELECT 1 <=> 2", set()),
        ("SELECT 1 OPERATOR(public.<=>) 2", set()),
        ("SELECT 1 OPERATOR(mine.<=>) 2", {"mine.<=>"}),
        ("SELECT 1 OPERATOR(pg_catalog.=) 2, pg_catalog.upper('x')", {"pg_catalog.upper"}),
        ("SELECT a > 1, b @> c, a::text, a::other.checked, upper(b) FROM t", {"upper"}),
    ],
)
def test_code_that_a_name_may_mean(sql: str, functions: set[str]) -> None:
    """By what the catalogue tells of it."""
    script = read(sql, custom=OWN)
    assert called(script) == functions
    assert doubted(script) == any("mine." in one or "other." in one for one in functions)


@given(
    name=st.text("+-*/<>=~!@#%^&|`?", min_size=1, max_size=6),
    schema=st.sampled_from([None, "public", "pg_temp", "pg_catalog", "other"]),
    place=st.sampled_from(PLACES),
    form=st.sampled_from(["{l} {o} {r}", "{o} {r}", "{l} {o} ANY (ARRAY[{r}])", "{l} {o} ALL (SELECT {r})"]),
)
def test_an_operator_is_postgresql_s_own_or_among_the_facts(
    name: str, schema: str | None, place: str, form: str
) -> None:
    """Wherever it stands; what it gives may be anything."""
    written = name if schema is None else f"OPERATOR({schema}.{name})"
    expression = form.format(l="a", o=written, r="b")
    sql = place.format(e=expression)
    try:
        script = read(sql)
    except ValueError:
        return  # it is no operator, or not this one: a comment, or two of them
    if len(name) > 1 and name[-1] in "+-" and set("~!@#%^&|`?").isdisjoint(name):
        return  # so no operator may end: these are several ("CREATE OPERATOR")
    own = name in OPERATORS | {"!="} and schema in (None, "pg_catalog")
    mentioned = any(written in one.name or one.name in name for each in script.statements for one in each.functions)
    assert own or "--" in name or "/*" in name or (doubted(script) and mentioned), sql
    if place == PLACES[0] and doubted(script):
        assert script.results[0] is not None
        assert [output.origins for output in script.results[0]] == [UNKNOWN]
        assert {one.name for one in script.statements[0].columns.filtered} >= {"b"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("expression", [expression for expression, _ in EXPRESSIONS])
def test_wherever_it_stands(place: str, expression: str) -> None:
    """An operator of the database's own is found by its name."""
    assert doubted(read(place.format(e=expression), custom=OWN))


@pytest.mark.parametrize("sql", ["SELECT a = 1", "SELECT lower(a)", "SELECT a BETWEEN 1 AND 2", "SELECT max(a)"])
def test_where_the_server_does_not_tell(sql: str) -> None:
    """Any name may be that of any code, but for those of pg_catalog."""
    assert doubted(read(sql, custom=UNTOLD))
    assert not doubted(read("SELECT a OPERATOR(pg_catalog.=) 1, pg_catalog.lower(a)", custom=UNTOLD))


@pytest.mark.parametrize(
    ("sql", "functions"),
    [
        ("CREATE OPERATOR @@ (PROCEDURE = ts_rewrite, RIGHTARG = text)", {"ts_rewrite"}),
        ("CREATE OPERATOR x.@@ (FUNCTION = pg_catalog.pg_sleep, RIGHTARG = float8)", {"pg_catalog.pg_sleep"}),
        ("CREATE OPERATOR @@ (FUNCTION = 'lo_from_bytea', LEFTARG = oid)", {"lo_from_bytea"}),
        ("CREATE OPERATOR @@ (FUNCTION = f, RESTRICT = eqsel, JOIN = j)", {"f", "eqsel", "j"}),
        ("ALTER OPERATOR @@ (int, int) SET (RESTRICT = r, JOIN = NONE)", {"r"}),
        ("CREATE AGGREGATE s (int) (SFUNC = f, STYPE = int, FINALFUNC = g, COMBINEFUNC = h)", {"f", "g", "h"}),
        ("CREATE AGGREGATE s (BASETYPE = int, SFUNC = f, STYPE = int, MSFUNC = m, MINVFUNC = i)", {"f", "m", "i"}),
        ("CREATE AGGREGATE s (int) (SFUNC = f, STYPE = internal, SERIALFUNC = g, DESERIALFUNC = h)", {"f", "g", "h"}),
        ("CREATE TRIGGER t AFTER INSERT ON c EXECUTE FUNCTION x.f()", {"x.f"}),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", {"f"}),
        ("CREATE CAST (a AS b) WITH FUNCTION x.f(a)", {"x.f"}),
        ("CREATE TYPE t (INPUT = f, OUTPUT = g, RECEIVE = h, SEND = i, ANALYZE = j)", {"f", "g", "h", "i", "j"}),
        ("CREATE TYPE t (INPUT = f, OUTPUT = g, TYPMOD_IN = h, TYPMOD_OUT = i, SUBSCRIPT = j)", {*"fghij"}),
        ("ALTER TYPE t SET (SEND = f)", {"f"}),
        ("CREATE TYPE r AS RANGE (SUBTYPE = int, CANONICAL = f, SUBTYPE_DIFF = x.g)", {"f", "x.g"}),
        ("CREATE OPERATOR CLASS c FOR TYPE t USING btree AS OPERATOR 1 <, FUNCTION 1 f(t, t)", {"f"}),
        ("ALTER OPERATOR FAMILY c USING btree ADD FUNCTION 1 (t, t) x.f(t, t)", {"x.f"}),
        ("CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f", {"f"}),
        ("CREATE TEXT SEARCH PARSER p (START = f, GETTOKEN = g, END = h, LEXTYPES = i)", {*"fghi"}),
        ("CREATE TEXT SEARCH TEMPLATE p (INIT = f, LEXIZE = g)", {"f", "g"}),
        ("CREATE TRANSFORM FOR t LANGUAGE l (FROM SQL WITH FUNCTION f(internal), TO SQL WITH FUNCTION g(t))", {*"fg"}),
        ("CREATE LANGUAGE l HANDLER f INLINE g VALIDATOR h", {"f", "g", "h"}),
        ("CREATE FOREIGN DATA WRAPPER w HANDLER f VALIDATOR g", {"f", "g"}),
        ("ALTER FOREIGN DATA WRAPPER w HANDLER f", {"f"}),
        ("CREATE ACCESS METHOD a TYPE TABLE HANDLER f", {"f"}),
        ("CREATE FUNCTION g() RETURNS int LANGUAGE sql SUPPORT f AS 'SELECT 1'", {"f"}),
        ("ALTER FUNCTION g() SUPPORT f", {"f"}),
    ],
)  # fmt: skip
def test_functions_that_definitions_name(sql: str, functions: set[str]) -> None:
    """They run later, whoever uses what is defined."""
    script = read(sql)
    assert called(script) == functions
    assert doubted(script) == ("SUPPORT" not in sql and "SET (RESTRICT" not in sql)


@pytest.mark.parametrize(
    ("call", "written", "copied", "unknown"),
    [
        ("tsvector_update_trigger(tsv, 'pg_catalog.english', card, ssn)", {"tsv"}, {"card", "ssn"}, False),
        ("pg_catalog.tsvector_update_trigger(tsv, 'pg_catalog.english', card)", {"tsv"}, {"card"}, False),
        ("tsvector_update_trigger_column(tsv, lang, card)", {"tsv"}, {"lang", "card"}, False),
        ("suppress_redundant_updates_trigger()", set(), set(), False),
        ("lo_manage(card)", set(), {"card"}, True),
        ("mine(card)", set(), {"card"}, True),
        ("mine()", set(), set(), True),
        ("check_primary_key('id', 'other', 'ssn')", set(), {"id", "other", "ssn"}, True),
        ('"RI_FKey_cascade_del"()', set(), set(), True),
    ],
)
def test_columns_that_a_trigger_s_arguments_name(call: str, written: set[str], copied: set[str], unknown: bool) -> None:
    """What its WHEN looks at decides whether it fires."""
    (made,) = read(
        f"CREATE TRIGGER t BEFORE UPDATE ON s.c FOR EACH ROW WHEN (new.n > 1) EXECUTE FUNCTION {call}"
    ).statements
    assert set(made.columns.written) == {Column("s", "c", name) for name in written}
    assert set(made.columns.read) == {Column("s", "c", name) for name in copied}
    assert set(made.columns.filtered) == {Column("s", "c", "n")}
    assert ("function" in made.unknown) == unknown


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE OPERATOR x.@@ (FUNCTION = f, RIGHTARG = int); SELECT @@ 3", "x.@@"),
        ("CREATE OPERATOR = (FUNCTION = f, RIGHTARG = int); SELECT 1 = 3", "="),
        ("CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'SELECT 1'; SELECT lower(3)", "lower"),
        ("CREATE AGGREGATE max (int) (SFUNC = f, STYPE = int); SELECT max(3)", "max"),
        ("CREATE DOMAIN d AS text CHECK (f(value)); SELECT ''::d", "d"),
    ],
)
def test_what_a_text_defines_counts_for_the_rest_of_it(sql: str, what: str) -> None:
    """Nobody else sees it yet."""
    last = read(sql).statements[-1]
    assert "function" in last.unknown
    assert what.rpartition(".")[2] in {one.name for one in last.functions}


@pytest.mark.parametrize(
    "before", ["DO 'x'", "EXECUTE p", "CALL p()", "CREATE EXTENSION e", "ALTER FUNCTION f() RENAME TO lower"]
)
def test_what_may_define_anything_leaves_later_values_unknown(before: str) -> None:
    """Operators, functions and casts may all be others; columns are what they were."""
    script = read(f"{before}; SELECT a = 1, lower(a), a::text, a FROM t")
    assert script.results[-1] is not None
    assert [output.origins for output in script.results[-1]] == [UNKNOWN] * 2 + [None, (Column(None, "t", "a"),)]


def test_rows_of_the_answer() -> None:
    """Kind, schema, name, and of a relation the type."""
    rows: list[list[str | None]] = [
        ["o", "mine", "@@", None, None],
        ["h", "public", "<=>", None, None],
        ["f", "mine", "lower", None, None],
        ["f", "public", "lower", None, None],
        ["t", "mine", "d", None, None],
        ["r", "mine", "pairs", "mine", "pair"],
        ["c", "mine", "purge", None, None],
    ]
    assert custom_of(rows) == Custom(
        {"@@": ("mine",)},
        frozenset({("public", "<=>")}),
        {"lower": ("mine", "public")},
        {"d": ("mine",)},
        {"pairs": (("mine", "pair"),)},
        frozenset({"purge"}),
    )
    for row in (["x", "mine", "y", None, None], ["o", None, "y", None, None], ["o"]):
        with pytest.raises(ValueError, match=r".*"):
            custom_of([row])


def test_what_defines_nothing_leaves_it_as_it_is() -> None:
    """So that what was read by it need not be read again."""
    for sql in (
        "SELECT mine(1)",
        "CREATE TABLE t (a int)",
        "CREATE TYPE mood AS ENUM ('sad')",
        "DROP OPERATOR @@ (int, int)",
    ):
        assert defined(PLAIN, read(sql).statements) is PLAIN
    assert Function("mine", "=") in OWN.operator(None, "=")
