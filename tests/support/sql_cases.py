"""The cases that tests/support/sql_work.py speaks of, on the database that tests/support/postgres_crm.sql makes, by its
role `reader`."""

from tests.support.sql_work import (
    ALL,
    DRIVERS,
    LOW,
    SQLALCHEMY,
    Case,
    case,
    copied,
    count,
    error,
    execute,
    large,
    query,
    rows,
    several,
    transaction,
)

SCRATCH = (query("CREATE TEMP TABLE scratch (id int PRIMARY KEY, word text)"), count(0))
INSERT = "INSERT INTO scratch VALUES (CAST($1 AS int), CAST($2 AS text))"
COUNT = query("SELECT count(*) AS n FROM scratch")
NONE, ONE, TWO, THREE = (rows("n", (number,)) for number in "0123")
ALIVE = (query("SELECT 1 AS alive"), rows("alive", ("1",)))
NOBODY = error("42P01", 'relation "nobody" does not exist')
ABORTED = error("25P02", "current transaction is aborted, commands ignored until end of transaction block")
DIVISION = error("22012", "division by zero")
NO_FUNCTION = "No function matches the given name and argument types. You might need to add explicit type casts."
BY_ID = "SELECT name FROM customers WHERE id = CAST($1 AS int)"
NAMES = {1: "Ada Lovelace", 2: "Grace Hopper", 3: "Ren Höß"}

STATEMENTS = {
    "simple": case((query("SELECT 1 AS a, 'x' AS b, NULL AS c"), rows("a b c", ("1", "x", None)))),
    "no-rows": case((query("SELECT 1 AS a WHERE false"), rows("a"))),
    "tables": case(
        (
            query("SELECT id, email, card FROM customers WHERE id <> 2 ORDER BY id"),
            rows("id email card", ("1", "ada@example.com", "4111 1111 1111 1111"), ("3", "ren@example.com", None)),
        )
    ),
    "counts": case(
        SCRATCH,
        (query("INSERT INTO scratch VALUES (1, 'a'), (2, 'b')"), count(2)),
        (query("UPDATE scratch SET word = 'c'"), count(2)),
        (query("DELETE FROM scratch WHERE id = 1"), count(1)),
        (query("SELECT id, word FROM scratch"), rows("id word", ("2", "c"))),
    ),
    "several-at-once": case(
        (
            query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 AS d"),
            several(rows("a", ("1",)), rows("b c", ("2", "3")), rows("d", ("4",))),
        ),
        clients=LOW - {"asyncpg"},  # which shows only the last of them
    ),
    "an-error-in-the-middle": case(
        SCRATCH,
        (query("INSERT INTO scratch VALUES (1, 'a'); SELECT * FROM nobody; SELECT 2"), NOBODY),
        (COUNT, NONE),
        clients=LOW,
    ),
    "refused": case((query("DELETE FROM customers"), error("42501", "permission denied for table customers")), ALIVE),
    "errors": case(
        (query("SELECT * FROM nobody"), NOBODY),
        (query("SELEC 1"), error("42601", 'syntax error at or near "SELEC"')),
        (query("SELECT 1/0"), DIVISION),
        (query("SELECT nosuch(1)"), error("42883", "function nosuch(integer) does not exist", hint=NO_FUNCTION)),
        SCRATCH,
        (
            query("INSERT INTO scratch VALUES (1, 'a'), (1, 'b')"),
            error(
                "23505",
                'duplicate key value violates unique constraint "scratch_pkey"',
                detail="Key (id)=(1) already exists.",
            ),
        ),
        (COUNT, NONE),
    ),
    "parameters": case(
        (
            execute(f"{BY_ID} AND email LIKE CAST($2 AS text)", ("int", "1"), ("text", "ada%")),
            rows("name", (NAMES[1],)),
        ),
        (execute("SELECT CAST($1 AS int) / CAST($2 AS int) AS q", ("int", "1"), ("int", "0")), DIVISION),
        (execute("SELECT CAST($1 AS int) / CAST($2 AS int) AS q", ("int", "8"), ("int", "2")), rows("q", ("4",))),
        clients=DRIVERS,
    ),
    "prepared": case(
        (
            {"do": "prepared", "sql": BY_ID, "values": [[["int", str(i)]] for i in (1, 2, 9, 3, 1, 2, 3)]},
            several(*(rows("name", *[(NAMES[i],)] if i in NAMES else []) for i in (1, 2, 9, 3, 1, 2, 3))),
        ),
        clients=DRIVERS,
    ),
    "prepared-by-name": case(
        (query("PREPARE one (int) AS SELECT $1 + 1 AS next"), count(0)),
        (query("EXECUTE one (1)"), rows("next", ("2",))),
        (query("EXECUTE one (41)"), rows("next", ("42",))),
        (query("DEALLOCATE one"), count(0)),
        (query("EXECUTE one (1)"), error("26000", 'prepared statement "one" does not exist')),
        ALIVE,
    ),
    "many": case(
        SCRATCH,
        ({"do": "many", "sql": INSERT, "values": [[["int", str(i)], ["text", f"w{i}"]] for i in range(300)]}, None),
        (query("SELECT count(*) AS n, max(word) AS w FROM scratch"), rows("n w", ("300", "w99"))),
        clients=DRIVERS,
    ),
    "pipeline": case(
        (
            {"do": "pipeline", "steps": [execute("SELECT CAST($1 AS int) AS a", ("int", str(i))) for i in range(9)]},
            several(*(rows("a", (str(i),)) for i in range(9))),
        ),
        ALIVE,
        clients=frozenset({"psycopg"}),
    ),
}

TRANSACTIONS = {
    "transaction": case(
        SCRATCH,
        (transaction(execute(INSERT, ("int", "1"), ("text", "a")), COUNT, commit=True), several(count(1), ONE)),
        (transaction(execute(INSERT, ("int", "2"), ("text", "b")), COUNT, commit=False), several(count(1), TWO)),
        (COUNT, ONE),
        clients=DRIVERS,
    ),
    "an-error-in-a-transaction": case(
        SCRATCH,
        (
            transaction(execute(INSERT, ("int", "1"), ("text", "a")), query("SELECT 1/0"), COUNT, commit=False),
            several(count(1), DIVISION, ABORTED),
        ),
        (COUNT, NONE),
        clients=DRIVERS,
    ),
    "transactions-as-text": case(
        SCRATCH,
        (query("BEGIN"), count(0)),
        (query("INSERT INTO scratch VALUES (1, 'a')"), count(1)),
        (query("SAVEPOINT s"), count(0)),
        (query("SELECT 1/0"), DIVISION),
        (COUNT, ABORTED),
        (query("ROLLBACK TO SAVEPOINT s"), count(0)),
        (COUNT, ONE),
        (query("COMMIT"), count(0)),
        (COUNT, ONE),
        clients=LOW,
    ),
    "orm": case(
        (
            {"do": "orm"},
            rows("what", ("id name email card notes created",), ("1 a, 2 b",), ("2 c",)),
        ),
        clients=SQLALCHEMY,
    ),
}

STREAMS = {
    "copy": case(
        SCRATCH,
        (copied("1\ta\n2\t\\N\n3\tü\\tx\n"), count(3)),
        ({"do": "copy_out", "sql": "COPY scratch TO STDOUT"}, {"data": "1\ta\n2\t\\N\n3\tü\\tx\n"}),
        (query("SELECT word FROM scratch ORDER BY id"), rows("word", ("a",), (None,), ("ü\tx",))),
        (copied("x\ty\n"), error("22P02", 'invalid input syntax for type integer: "x"')),
        (COUNT, THREE),
        clients=LOW,
    ),
    "copy-much": case(
        SCRATCH,
        (copied("".join(f"{i}\t{'w' * 200}\n" for i in range(5000))), count(5000)),
        (query("SELECT count(*) AS n, sum(length(word)) AS s FROM scratch"), rows("n s", ("5000", "1000000"))),
        clients=LOW,
    ),
    "large": case(
        (
            {"do": "large", "sql": "SELECT i::text || repeat('x', 500) AS v FROM generate_series(1, 5000) AS i"},
            large([f"{i}{'x' * 500}" for i in range(1, 5001)]),
        ),
        ({"do": "large", "sql": "SELECT repeat('y', 3000000) AS v"}, large(["y" * 3000000])),
    ),
    "cursor": case(
        (
            {"do": "cursor", "size": 100, "sql": "SELECT CAST(i AS text) AS v FROM generate_series(1, 1050) AS i"},
            large([str(i) for i in range(1, 1051)]),
        ),
    ),
}

SLEEP = "DO $$ BEGIN RAISE NOTICE 'running'; PERFORM pg_sleep(600); END $$"
ASIDE = {
    "cancel": case(
        ({"do": "cancel", "sql": SLEEP}, error("57014", "canceling statement due to user request")),
        ALIVE,
        clients=LOW - {"asyncpg", "psql"},
    ),
    "cancel-a-script": case(  # psql ends with it
        ({"do": "cancel", "sql": SLEEP}, error("57014", "canceling statement due to user request")),
        clients=frozenset({"psql"}),
    ),
    "cancel-a-task": case(({"do": "cancel", "sql": SLEEP}, {"cancelled": True}), ALIVE, clients=frozenset({"asyncpg"})),
    "notices": case(
        (
            {"do": "notices", "sql": "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$"},
            {"notices": [["NOTICE", "one"], ["WARNING", "two"]]},
        ),
        clients=LOW,
    ),
    "listen": case(
        ({"do": "listen", "channel": "news", "payload": "hello ü"}, {"notifications": [["news", "hello ü"]]}),
        ALIVE,
        clients=LOW,
    ),
}

# What values send and show, and what SQL calls their types.
TYPES = {
    "int": ("integer", "-7"),
    "bigint": ("bigint", "9007199254740993"),
    "float": ("double precision", "0.1"),
    "bool": ("boolean", "t"),
    "text": ("text", "Höß \U0001f600 'quoted' \"double\" \\ %s ?"),
    "numeric": ("numeric", "12345678901234567890.10"),
    "json": ("jsonb", '{"a": [1, null, "ü"]}'),
    "bytea": ("bytea", "\\x00ff10"),
    "timestamptz": ("timestamptz", "2026-01-02 03:04:05.678+00"),
    "date": ("date", "2026-02-28"),
    "uuid": ("uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    "ints": ("integer[]", "{1,NULL,3}"),
    "texts": ("text[]", "{a,b,NULL}"),
}


def _types() -> dict[str, Case]:
    """Each type as a parameter and a result, as null, and as a constant."""
    found = {}
    for name, (kind, text) in TYPES.items():
        asked = execute(f"SELECT CAST($1 AS {kind}) AS v, CAST($2 AS {kind}) AS n", (name, text), (name, None))
        found[f"type-{name}"] = case((asked, rows("v n", (text, None))), clients=DRIVERS)
        constant = "'" + text.replace("'", "''") + "'"
        asked = query(f"SELECT CAST({constant} AS {kind}) AS v")
        found[f"constant-{name}"] = case((asked, rows("v", (text,))), clients=ALL)
    return found


CASES: dict[str, Case] = STATEMENTS | TRANSACTIONS | STREAMS | ASIDE | _types()
# What leaves nothing on the connection, not even a prepared statement, so that each statement may get another one.
WITHOUT_SESSION = {
    name: work
    for name, work in CASES.items()
    if name in ("simple", "no-rows", "tables", "several-at-once", "refused", "large") or name.startswith("constant-")
}
