"""What a text is about without naming it, as far as a catalogue tells."""

from collections.abc import Iterable, Sequence

import pytest

from extproc.protocols.postgres.behind import Behind
from extproc.protocols.postgres.masks.catalogue import Catalogue
from extproc.protocols.postgres.sql import Statement, read

Row = Sequence[str | None]


def row(oid: int, name: str, columns: Iterable[str], query: str | None = None, **more: str) -> Row:
    """A row of the catalogue's answer: a view with this query, or a table."""
    made = {"domain": '["email"]'}
    listed = ",".join(
        f'[{number},"{column}",25,{made.get(column, "null")},{"true" if column == "doc" else "false"}]'
        for number, column in enumerate(columns, 1)
    )
    kind = more.get("kind", "r" if query is None else "v")
    return (str(oid), more.get("schema", "public"), name, kind, f"[{listed}]", more.get("parents", "[]"), query)


CRM: list[Row] = [
    row(1, "customers", ["id", "email", "city"]),
    row(2, "contacts", ["id", "contact"], "SELECT customers.id, customers.email AS contact FROM customers"),
    row(3, "friends", ["who"], "SELECT contacts.contact AS who FROM contacts WHERE contacts.id < 10"),
    row(4, "domains", ["name"], "SELECT split_part(customers.email, '@', 2) AS name FROM customers", kind="m"),
    row(5, "logs", ["text"], "SELECT pg_read_file('/var/log/syslog') AS text"),
    row(6, "customers_old", ["id", "email"], parents='[["public","customers"]]'),
    row(7, "hidden", ["a"], None, kind="v"),
    row(8, "loop", ["a"], "SELECT loop.a FROM loop"),
    row(9, "pg_stat_activity", ["query"], "SELECT s.query FROM secret s", schema="pg_catalog"),
    row(10, "contacts", ["contact"], "SELECT suppliers.phone AS contact FROM sales.suppliers", schema="sales"),
    row(11, "suppliers", ["phone"], schema="sales"),
    row(12, "mine", ["a"], "SELECT customers.email AS a FROM customers", schema="pg_temp_7"),
    row(13, "people", ["id", "email", "domain", "note"]),
    row(14, "whole", ["t"], "SELECT customers.*::text AS t FROM customers"),
    row(15, "counted", ["a"], "SELECT count_of(customers.id) AS a FROM customers"),
    row(16, "pg_user", ["passwd"], "SELECT s.passwd FROM pg_shadow s", schema="pg_catalog"),
]


def facts(sql: str, tables: Sequence[Row] = CRM, *, refused: bool = False) -> Statement:
    """Of the first statement, once all was asked; `refused`: nothing was answered."""
    catalogue = Catalogue(read)
    behind, script = Behind(catalogue), read(sql)
    for _ in range(9):
        question = behind.missing(script)
        if question is None:
            break
        known = [one for one in tables if one[2] in question.names]
        catalogue.learn(question, None if refused else known)
    assert behind.missing(script) is None
    found = behind.facts(script)
    assert behind.facts(script) is found
    return found.statements[0]


def named(columns: Iterable[object]) -> set[str]:
    """Columns as text, by table and name."""
    return {f"{one.table or ''}.{one.name}" for one in columns}  # type: ignore[attr-defined]


READS = [
    ("SELECT contact FROM public.contacts", "read", {"contacts.contact", "customers.email"}),
    ("SELECT id FROM public.contacts WHERE contact LIKE 'a%'", "filtered", {"contacts.contact", "customers.email"}),
    ("SELECT id FROM public.contacts ORDER BY contact", "sorted", {"contacts.contact", "customers.email"}),
    ("SELECT count(*) FROM public.contacts c GROUP BY c.contact", "grouped", {"contacts.contact", "customers.email"}),
    (
        "SELECT 1 FROM public.contacts c JOIN customers d ON c.contact = d.city",
        "joined",
        {"contacts.contact", "customers.email", "customers.city"},
    ),
    ("SELECT who FROM friends", "read", {"friends.who", "contacts.contact", "customers.email"}),
    ("SELECT name FROM domains", "read", {"domains.name", "customers.email"}),
    ("SELECT * FROM public.contacts", "read", {"contacts.*", "contacts.id", "customers.id", "customers.email"}),
    ("SELECT * FROM customers", "read", {"customers.*", "customers.id", "customers.email", "customers.city"}),
    ("SELECT c FROM public.customers c", "read", {"customers.email"}),
    ("TABLE people", "read", {"people.email", "people.domain"}),
    ("INSERT INTO customers_old TABLE customers", "read", {"customers.email"}),
    ("INSERT INTO customers_old VALUES (1)", "written", {"customers_old.email"}),
    ("CREATE TABLE x AS SELECT customers::text AS t FROM customers", "read", {"customers.email"}),
    ("SELECT 1 FROM customers c WHERE c::text LIKE '%@%'", "filtered", {"customers.email", "customers.city"}),
    ("DELETE FROM customers c WHERE c::text LIKE '%@%'", "filtered", {"customers.email"}),
    ("SELECT 1 FROM customers NATURAL JOIN (VALUES ('a@b.c')) t(email)", "joined", {"customers.email"}),
    ("SELECT DISTINCT * FROM customers", "grouped", {"customers.email"}),
    ("SELECT 1 FROM customers c ORDER BY c", "sorted", {"customers.email"}),
    ("SELECT * FROM friends", "read", {"friends.who", "contacts.contact", "customers.email"}),
    ("SELECT * FROM customers_old", "read", {"customers_old.email", "customers.email"}),
    ("SELECT 1 FROM whole WHERE t LIKE '%@%'", "filtered", {"whole.t", "customers.email", "customers.city"}),
    ("SELECT domain FROM people", "read", {"people.domain", "people.email"}),
    ("ALTER TABLE people ALTER note TYPE text USING domain", "read", {"people.domain", "people.email"}),
    ("ALTER TABLE people ALTER note TYPE text USING people::text", "read", {"people.email"}),
    ("ALTER TABLE people ALTER domain DROP EXPRESSION", "read", {"people.domain", "people.email"}),
    ("UPDATE public.contacts SET contact = 'x'", "written", {"contacts.contact", "customers.email"}),
    ("SELECT email FROM customers_old", "read", {"customers_old.email", "customers.email"}),
    ("SELECT city FROM customers", "read", {"customers.city"}),
    ("SELECT 1 FROM mine WHERE a < 'b'", "filtered", {"mine.a", "customers.email"}),
    ("SELECT 1 FROM pg_temp.mine m WHERE m.a < 'b'", "filtered", {"mine.a", "customers.email"}),
    # Which one the path means nobody asks: both.
    ("SELECT contact FROM contacts", "read", {"contacts.contact", "customers.email", "suppliers.phone"}),
]


@pytest.mark.parametrize(("sql", "place", "wanted"), READS)
def test_columns_behind_a_view_are_facts(sql: str, place: str, wanted: set[str]) -> None:
    """In the place in which the view's own column is."""
    assert named(getattr(facts(sql).columns, place)) >= wanted - {"contacts.id"}


STARS = [
    ("SELECT * FROM pg_user", "read", {"pg_user.*"}),
    ("SELECT count(*) FROM customers", "read", set()),
    ("INSERT INTO customers SELECT * FROM json_populate_recordset(null::customers, '[]')", "read", set()),
    ("ALTER TABLE people ALTER note DROP EXPRESSION", "read", {"people.note"}),
    ("ALTER TABLE people ALTER note SET DEFAULT 'x'", "read", set()),
    ("SELECT * FROM nothing_of_the_kind", "read", {"nothing_of_the_kind.*"}),
]


@pytest.mark.parametrize(("sql", "place", "wanted"), STARS)
def test_no_more_columns_are_facts_than_are_meant(sql: str, place: str, wanted: set[str]) -> None:
    """A server's own views are what they are called."""
    found = facts(sql)
    assert named(getattr(found.columns, place)) == wanted
    assert "definition" not in found.unknown


@pytest.mark.parametrize("table", ["people", "nothing_of_the_kind"])
def test_what_a_column_that_nobody_knows_was_made_of_is_unknown(table: str) -> None:
    """This very transaction may have called it so."""
    assert facts(f"ALTER TABLE {table} ALTER g DROP EXPRESSION").unknown == ("definition",)


def test_what_is_unknown_of_a_view_is_unknown() -> None:
    """As of the same SELECT that is written out."""
    assert facts("SELECT a FROM counted").unknown == ("function",)
    assert facts("INSERT INTO customers (city) SELECT a FROM counted").unknown == ("function",)


RELATIONS = [
    ("SELECT 1 FROM friends", {"friends", "contacts", "customers", "suppliers"}, set()),
    ("DELETE FROM public.contacts", set(), {"contacts", "customers"}),
    ("DELETE FROM pg_temp.mine", set(), {"mine", "customers"}),
    (
        "INSERT INTO public.contacts SELECT who FROM friends",
        {"friends", "contacts", "customers"},
        {"contacts", "customers"},
    ),
    ("SELECT 1 FROM customers_old", {"customers_old", "customers"}, set()),
    ("SELECT query FROM pg_stat_activity", {"pg_stat_activity"}, set()),
    ("SELECT 1 FROM nothing_of_the_kind", {"nothing_of_the_kind"}, set()),
]


@pytest.mark.parametrize(("sql", "reads", "writes"), RELATIONS)
def test_tables_behind_a_view_are_facts(sql: str, reads: set[str], writes: set[str]) -> None:
    """To write to a view is to write to what is behind it."""
    found = facts(sql)
    assert {one.name for one in found.reads} >= reads
    assert {one.name for one in found.writes} == writes
    assert not found.unknown


def test_functions_behind_a_view_are_facts() -> None:
    """Whoever reads it calls them."""
    assert "pg_read_file" in {one.name for one in facts("SELECT text FROM logs").functions}


@pytest.mark.parametrize("sql", ["SELECT a FROM hidden", "DELETE FROM hidden"])
def test_a_view_that_can_not_be_read_is_unknown(sql: str) -> None:
    """The catalogue has no query of it."""
    assert facts(sql).unknown == ("definition",)


def test_what_was_not_answered_is_unknown() -> None:
    """Whatever it may be."""
    assert facts("SELECT city FROM customers", refused=True).unknown == ("definition",)


def test_views_without_end_are_unknown() -> None:
    """More than anybody makes."""
    many = [row(n, f"v{n}", ["a"], f"TABLE v{n + 1}") for n in range(100, 180)]
    catalogue = Catalogue(read)
    behind, script = Behind(catalogue), read("SELECT a FROM v100")
    while (question := behind.missing(script)) is not None:
        catalogue.learn(question, [one for one in many if one[2] in question.names])
    assert behind.facts(script).statements[0].unknown == ("definition",)


def test_a_view_of_itself_ends() -> None:
    """There are none, but a catalogue might say so."""
    assert facts("SELECT a FROM loop").kind == "select"


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT now()", "SELECT relname FROM pg_catalog.pg_class", "BEGIN", ""])
def test_most_texts_ask_for_nothing(sql: str) -> None:
    """Nor do they change."""
    script = read(sql)
    behind = Behind(Catalogue(read))
    assert behind.missing(script) is None
    assert behind.facts(script) is script


def test_what_is_learnt_or_forgotten_counts() -> None:
    """At once."""
    catalogue = Catalogue(read)
    behind, script = Behind(catalogue), read("SELECT contact FROM public.contacts")
    while (question := behind.missing(script)) is not None:
        catalogue.learn(question, [one for one in CRM if one[2] in question.names])
    assert "customers.email" in named(behind.facts(script).statements[0].columns.read)
    catalogue.forget()
    assert behind.missing(script) is not None
    while (question := behind.missing(script)) is not None:
        catalogue.learn(question, [row(2, "contacts", ["id", "contact"])] if "contacts" in question.names else [])
    assert named(behind.facts(script).statements[0].columns.read) == {"contacts.contact"}


def test_a_transaction_that_defines_is_judged_by_what_others_see() -> None:
    """Nobody can ask for what it did; and where it has locked a view itself, nobody waits for it for long."""
    catalogue = Catalogue(read)
    catalogue.unsettled = True
    behind, script = Behind(catalogue), read("SELECT contact FROM public.contacts")
    while (question := behind.missing(script)) is not None:
        assert question.hurried
        assert "lock_timeout" in question.sql()
        catalogue.learn(question, [one for one in CRM if one[2] in question.names])
    assert "customers.email" in named(behind.facts(script).statements[0].columns.read)


def test_while_somebody_changes_something_two_answers_have_to_agree() -> None:
    """One that had to wait for a change may be of before."""
    catalogue = Catalogue(read)
    catalogue.doubted = True
    behind, script = Behind(catalogue), read("SELECT contact FROM public.contacts")
    before = [row(2, "contacts", ["id", "contact"], "SELECT customers.id, customers.city AS contact FROM customers")]
    asked = 0
    while (question := behind.missing(script)) is not None:
        asked += 1
        tables = [*CRM[:1], *(before if asked == 1 else CRM[1:2])]
        catalogue.learn(question, [one for one in tables if one[2] in question.names])
    assert asked == 4
    assert named(behind.facts(script).statements[0].columns.read) >= {"customers.email"}
    assert "customers.city" not in named(behind.facts(script).statements[0].columns.read)
