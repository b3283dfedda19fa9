"""What only a newer PostgreSQL has, through the gateway: the same as direct, and masked by where it comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from extproc.protocols.postgres.wire.backend import BackendKeyData, ErrorResponse, NoticeResponse, ParameterStatus
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Query, Sync
from extproc.protocols.postgres.wire.results import CopyInResponse, RowDescription
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, PROTOCOL_3_2
from tests.postgres.gateway.talking import Client, ready, rows
from tests.support.databases import DatabaseGateway, database_gateway
from tests.support.envoy import until
from tests.support.postgres import IN_CLEAR, Server

TABLES = """CREATE TABLE people (id int PRIMARY KEY, name text, email text,
  domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) VIRTUAL,
  loud text GENERATED ALWAYS AS (upper(name)) VIRTUAL, kept text GENERATED ALWAYS AS (lower(email)) STORED);
CREATE TABLE bookings (id int4range, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
GRANT ALL ON people, bookings TO reader;
INSERT INTO people VALUES (1, 'Ada', 'ada@example.com'), (2, 'Ren', 'ren@example.org');"""
MERGE = """MERGE INTO people p USING (VALUES (1, 'a@x.org'), (3, 'c@x.org')) AS v(n, e) ON p.id = v.n
  WHEN MATCHED THEN UPDATE SET email = v.e WHEN NOT MATCHED THEN INSERT (id, name, email) VALUES (v.n, 'New', v.e)
  WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING merge_action(), old.email, new.email AS now, p.name, v.n"""


def of_merge(sql: str) -> str:
    """What asks for what it returns, as `m`."""
    return f"WITH m AS ({MERGE}) {sql}"


KEPT = """CREATE TEMP TABLE kept (id int4range, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));
CREATE TEMP TABLE of_kept (id int4range, at daterange, FOREIGN KEY (id, PERIOD at) REFERENCES kept (id, PERIOD at))"""
LOOSE = """CREATE TEMP TABLE loose (a int CONSTRAINT n NOT NULL, b int CHECK (b > 0) NOT ENFORCED,
  c int GENERATED ALWAYS AS (a + 1));
INSERT INTO loose VALUES (1, -1) RETURNING *; ALTER TABLE loose ALTER COLUMN c SET EXPRESSION AS (a + 2);
SELECT * FROM loose"""
STATEMENTS = [
    "INSERT INTO people VALUES (4, 'B', 'b@x.org') RETURNING old.email, new.email, domain, loud, kept",
    "INSERT INTO people VALUES (1, 'B', 'b@x.org') ON CONFLICT (id) DO UPDATE SET name = 'C' RETURNING old.*, new.*",
    "UPDATE people SET email = 'c@x.org' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.email, n.email, n.domain",
    "DELETE FROM people WHERE id = 2 RETURNING old, new, old.loud",
    MERGE,
    of_merge("SELECT count(*), min(now) FROM m"),
    "SELECT uuid_extract_version(uuidv7()), uuid_extract_version(uuidv4())",
    "SELECT casefold('HÖSS'), crc32('abc'), reverse('\\x0102'::bytea), array_sort(ARRAY[3, 1]), gamma(5)",
    "INSERT INTO bookings VALUES ('[1,2)', '[2020-01-01,2021-01-01)'), ('[1,2)', '[2020-06-01,2021-02-01)')",
    KEPT,
    LOOSE,
    "ALTER TABLE people ADD CONSTRAINT n NOT NULL name NOT VALID",
    "SELECT * FROM JSON_TABLE('[{\"a\": 1, \"b\": \"x\"}]', '$[*]' COLUMNS (a int PATH '$.a', b text PATH '$.b')) AS t",
    "SELECT JSON_OBJECT('a': 1), JSON_SERIALIZE('{}'), JSON_VALUE('{\"a\": 2}', '$.a'), JSON_SCALAR(1), '[]' IS JSON",
    "SELECT ANY_VALUE(name), random(1, 1), 0x1F, 1_000 FROM (SELECT 'x' AS name)",
    "EXPLAIN (COSTS OFF, MEMORY OFF) SELECT domain FROM people WHERE loud = 'ADA'",
    "COPY people TO STDOUT",
    "COPY people (id, name, email) FROM STDIN (FORMAT csv, ON_ERROR ignore, LOG_VERBOSITY verbose, REJECT_LIMIT 2)",
    "SET LOCAL search_path = pg_catalog, public; SHOW search_path",
    "SELECT set_config('search_path', 'work, public', true), current_schemas(false)",
    "SELECT attname, attgenerated, attnotnull FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0",
    "SELECT relation, object, context FROM pg_stat_io LIMIT 0",
    "SELECT old.email FROM people",
]  # fmt: skip


@pytest.fixture(scope="module")
def newer(postgres_newer: Server) -> Iterator[Server]:
    """With tables such as older ones can't have."""
    postgres_newer.sql(TABLES, "crm")
    yield postgres_newer
    postgres_newer.sql("DROP TABLE people, bookings", "crm")


@pytest.fixture(scope="module")
def gateway(newer: Server) -> Iterator[DatabaseGateway]:
    """Before it, with a policy that allows everything."""
    with database_gateway(newer, allowing=True) as made:
        yield made


def told(said: Sequence[object]) -> list[object]:
    """All of an answer that is the same each time: not the object ids of temporary tables, and not where in its source
    the server raised an error."""
    found: list[object] = []
    for message in said:
        if isinstance(message, ErrorResponse | NoticeResponse):
            found.append([type(message), *(field for field in message.fields if field[0] not in "FLR")])
        elif isinstance(message, RowDescription):
            found.append([replace(field, table=min(field.table, 1)) for field in message.fields])
        else:
            found.append(message)
    return found


def asked(client: Client, *messages: object) -> list[object]:
    """What comes of messages that end with one that the server answers, with some data where it asks for it."""
    client.send(*messages)
    said = client.until(lambda heard: ready(heard) or isinstance(heard[-1] if heard else None, CopyInResponse))
    if not ready(said):
        client.send(CopyData(b"7,x,x@y\nseven,x,x@y\n"), CopyDone())
        said += client.until(ready)
    return told(said)


def work(client: Client) -> dict[str, list[list[object]]]:
    """What comes of each statement, each in a transaction of its own that is taken back: as a text, and prepared."""
    found = {}
    for sql in STATEMENTS:
        ways: list[list[object]] = []
        for way in ("simple", "extended"):
            client.query("BEGIN")
            if way == "simple":
                ways.append(asked(client, Query(sql)))
            elif ";" not in sql and "STDIN" not in sql:
                messages = Parse("s", sql), Describe(Of.STATEMENT, "s"), Bind("", "s"), Execute(""), Sync()
                ways.append(asked(client, *messages))
            client.query("ROLLBACK")
            client.query("DEALLOCATE ALL")
        found[sql] = ways
    return found


@pytest.mark.parametrize("version", [PROTOCOL_3_0, PROTOCOL_3_2])
def test_everything_is_as_it_is_direct(gateway: DatabaseGateway, newer: Server, version: int) -> None:
    """What a client is told when it connects, and all that is answered."""
    with Client(newer.dsn(IN_CLEAR.name, "crm"), version) as direct, Client(gateway.dsn(), version) as through:
        first, second = (
            {m.name: m.value for m in client.greeting if isinstance(m, ParameterStatus)} for client in (direct, through)
        )
        assert second | {"session_authorization": first["session_authorization"]} == first
        assert second["search_path"] == '"$user", public'
        for client in (direct, through):
            assert isinstance(client.key, BackendKeyData)
            assert len(client.key.secret) == (4 if version == PROTOCOL_3_0 else 32)
        wanted, found = work(direct), work(through)
    assert len([ways for ways in wanted.values() if any("42601" in str(said) for said in ways)]) == 0
    for sql, ways in wanted.items():
        assert found[sql] == ways, sql


def test_a_path_that_the_server_s_owner_changes_is_seen(gateway: DatabaseGateway, newer: Server) -> None:
    """Nothing that the client said changed it: a newer server reports it, and the next decision goes by it."""
    with Client(gateway.dsn("mover")) as client:
        client.query("SELECT 1")
        newer.sql("ALTER SYSTEM SET search_path = work, public; SELECT pg_reload_conf()")
        try:
            # The server looks at its configuration once it has a statement, and reports what is new with its answer.
            until(lambda: ParameterStatus("search_path", "work, public") in client.query("SELECT 2"), "the new path")
            assert rows(client.query("SELECT 'by the new path'")) == [("by the new path",)]
        finally:
            newer.sql("ALTER SYSTEM RESET search_path; SELECT pg_reload_conf()")
    (decided,) = [
        record["action"]["summary"]
        for record in gateway.gateway.records("decision")
        if record["action"]["summary"].get("statement") == "SELECT 'by the new path'"
    ]
    assert decided["search_path"] == "work, public"


MASKED = """
findings contains {
	"code": "masked", "effect": "mask", "message": "The addresses of people are masked.",
	"mask": {"keys": ["people.email"], "operator": "redact", "lanes": ["response"]},
} if input.action.verb
"""
M = "[masked:key:people.email]"
MASKS: list[tuple[str, list[tuple[str | None, ...]]]] = [
    ("SELECT name, email, domain, loud, kept FROM people WHERE id = 1", [("Ada", M, M, "ADA", M)]),
    ("SELECT lower(domain), lower(loud) FROM people WHERE id = 1", [(M, "ada")]),
    (STATEMENTS[0], [(M, M, M, "B", M)]),
    ("UPDATE people SET name = 'X' WHERE id = 1 RETURNING old.name AS a, new.email AS b, new.loud", [("Ada", M, "X")]),
    (
        "UPDATE people SET name = 'X' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) lower(o.email), lower(n.name)",
        [(M, "x")],
    ),
    ("UPDATE people SET name = 'X' WHERE id = 1 RETURNING old, 1 AS one", [(None, "1")]),
    ("DELETE FROM people WHERE id = 1 RETURNING old.kept, new.kept, old.name", [(M, M, "Ada")]),
    (MERGE, [("UPDATE", M, M, "Ada", "1"), ("DELETE", M, M, "Ren", None), ("INSERT", M, M, "New", "3")]),
    (of_merge("SELECT lower(now), lower(name) FROM m WHERE n = 1"), [(M, "ada")]),
    ("SELECT v FROM people, JSON_TABLE(to_jsonb(email), '$' COLUMNS (v text PATH '$')) WHERE id = 1", [(M,)]),
    ("SELECT ANY_VALUE(email), casefold(min(name)), array_sort(array_agg(kept)) FROM people WHERE id = 1",
     [(M, "ada", f'{{"{M}"}}')]),
]  # fmt: skip


def test_values_are_masked_by_where_they_come_from(newer: Server) -> None:
    """Old and new rows, what MERGE returns, and virtual columns, by the column of the table behind them."""
    with database_gateway(newer, allowing=True, more=MASKED) as gateway, Client(gateway.dsn()) as client:
        for sql, wanted in MASKS:
            client.query("BEGIN")
            assert sorted(rows(client.query(sql)), key=str) == sorted(wanted, key=str), sql
            client.query("ROLLBACK")
        copied = [message.data for message in client.query("COPY people TO STDOUT") if isinstance(message, CopyData)]
        assert copied == [f"1\tAda\t{M}\n".encode(), f"2\tRen\t{M}\n".encode()]
