"""Views that are changed while others use them: what they are made of from then on counts, for every session."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from extproc.protocols.postgres.wire.frontend import Bind, Execute, Parse, Query, Sync, Terminate
from tests.postgres.gateway.governing import GRANTED, LAB, MASKED, becomes, governing, said, shown
from tests.postgres.gateway.talking import Client, rows
from tests.support.databases import DatabaseGateway
from tests.support.envoy import until
from tests.support.postgres import Server

FRONT = """
CREATE SCHEMA front AUTHORIZATION writer;
GRANT USAGE ON SCHEMA front TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE writer IN SCHEMA front GRANT SELECT ON TABLES TO reader;
"""
HARMLESS = """
CREATE VIEW desk.{v}_below AS SELECT id, name AS label FROM customers;
CREATE VIEW desk.{v}_other AS SELECT id, email AS label FROM customers;
CREATE VIEW desk.{v} AS SELECT id, label FROM desk.{v}_below;
ALTER VIEW desk.{v}_below OWNER TO writer;
ALTER VIEW desk.{v}_other OWNER TO writer;
ALTER VIEW desk.{v} OWNER TO writer;
"""
CHANGES = {
    "replaced": "CREATE OR REPLACE VIEW desk.{v} AS SELECT id, email AS label FROM customers",
    "made_anew": "DROP VIEW desk.{v}; CREATE VIEW desk.{v} AS SELECT id, email AS label FROM customers",
    "renamed": "ALTER VIEW desk.{v} RENAME TO {v}_gone; ALTER VIEW desk.{v}_other RENAME TO {v}",
    "behind": "CREATE OR REPLACE VIEW desk.{v}_below AS SELECT id, email AS label FROM customers",
}
GUESS = "SELECT id FROM desk.{v} WHERE label LIKE 'A%'"
READ = "SELECT label FROM desk.{v} WHERE id = 1"
HELD = "Held for approval: Filtering, sorting, grouping or joining by a governed column"


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """With two workers."""
    with governing(postgres, FRONT, workers=2) as made:
        yield made


@pytest.fixture
def view(request: pytest.FixtureRequest, postgres: Server) -> str:
    """A view that shows names, of a test's own."""
    name = "v" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())[-40:]
    postgres.sql(HARMLESS.format(v=name), "crm")
    return name


@pytest.fixture
def users(gateway: DatabaseGateway, view: str) -> Iterator[list[Client]]:
    """A session of each worker; both have just used the view."""
    with ExitStack() as stack:
        found: dict[str, Client] = {}
        numbers = count()

        def another() -> bool:
            name = f"{view}-{next(numbers)}"
            client = stack.enter_context(Client(gateway.dsn(f"user-of-{view}"), application_name=name))
            if found.setdefault(gateway.worker(name), client) is not client:
                client.socket.close()
            return len(found) == 2

        until(another, "sessions of both workers")
        use([*found.values()], view)
        yield [*found.values()]


def use(users: list[Client], view: str) -> None:
    """Nothing is governed."""
    for client in users:
        assert shown(client, GUESS.format(v=view)) == [("1",)]
        assert shown(client, READ.format(v=view)) == [("Ada Lovelace",)]


def assert_governed(users: list[Client], view: str) -> None:
    """At once."""
    for client in users:
        assert becomes(client, GUESS.format(v=view)).startswith(HELD)
        assert shown(client, READ.format(v=view)) == [(MASKED,)]


@pytest.mark.parametrize("change", ["replaced", "made_anew", "renamed", "behind"])
def test_the_next_statement_goes_by_it(gateway: DatabaseGateway, view: str, users: list[Client], change: str) -> None:
    """Of every session, of each worker."""
    with Client(gateway.dsn("owner", LAB)) as owner:
        assert becomes(owner, CHANGES[change].format(v=view)) == GRANTED
        assert_governed(users, view)


ENDS: dict[str, tuple[Callable[[Client, Server], object], bool]] = {
    "committed": (lambda owner, _: owner.query("COMMIT"), True),
    "rolled back": (lambda owner, _: owner.query("ROLLBACK"), False),
    "left": (lambda owner, _: owner.send(Terminate()), False),
    "gone": (lambda owner, _: owner.socket.close(), False),
    "ended by the server": (lambda _, server: server.sql(KILL), False),
}
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_waits_for_a_change_goes_by_what_became_of_it(
    gateway: DatabaseGateway, postgres: Server, view: str, users: list[Client], change: str, end: str
) -> None:
    """A transaction that changes a view locks it."""
    finish, changed = ENDS[end]
    with Client(gateway.dsn("owner", LAB)) as owner:
        owner.query("BEGIN")
        assert becomes(owner, CHANGES[change].format(v=view)) == GRANTED
        for client, sql in zip(users, (GUESS, READ), strict=True):
            client.send(Query(sql.format(v=view)))
        until(lambda: int(postgres.sql(WAITING)[0][0]) >= len(users), "both to wait")
        finish(owner, postgres)
        (word, _), (_, read) = (said(client) for client in users)
        assert (word.startswith(HELD), rows(read)) == (changed, [(MASKED if changed else "Ada Lovelace",)])
        (assert_governed if changed else use)(users, view)


FIRST = "CREATE VIEW front.{v} AS SELECT id, email AS label FROM customers"


@pytest.mark.parametrize("end", ENDS)
def test_nobody_sees_what_is_not_committed(
    gateway: DatabaseGateway, postgres: Server, view: str, users: list[Client], end: str
) -> None:
    """A new view, of a schema that comes first, takes the place of the one that they use."""
    finish, changed = ENDS[end]
    for client in users:
        client.query("SET search_path = front, desk, public")
    guess, read = (sql.replace("desk.", "").format(v=view) for sql in (GUESS, READ))
    with Client(gateway.dsn("owner", LAB)) as owner:
        owner.query("BEGIN")
        assert becomes(owner, FIRST.format(v=view)) == GRANTED
        for client in users * 2:
            assert (shown(client, guess), shown(client, read)) == ([("1",)], [("Ada Lovelace",)])
        finish(owner, postgres)
        for client in users:
            assert becomes(client, guess).startswith(HELD) == changed
            assert shown(client, read) == [(MASKED if changed else "Ada Lovelace",)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_nobody_told_of_is_seen(postgres: Server, view: str, users: list[Client], change: str) -> None:
    """What is done at the server itself: what was learnt before is soon asked anew."""
    postgres.sql(CHANGES[change].format(v=view), "crm")
    for client in users:
        until(lambda client=client: becomes(client, GUESS.format(v=view)).startswith(HELD), "the change")  # type: ignore[misc]
        assert_governed([client], view)


def bound(client: Client, name: str) -> tuple[str, list[tuple[str | None, ...]]]:
    """What becomes of a prepared statement that is bound and executed, and its rows."""
    word, answer = said(client, Bind("", name), Execute(""), Sync())
    return word, rows(answer)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_prepared_before_goes_by_it_too(
    gateway: DatabaseGateway, view: str, users: list[Client], change: str
) -> None:
    """By messages and by SQL; what was executed already, and what was not."""
    for client in users:
        for name, sql in (("guess", GUESS), ("read", READ), ("later", GUESS)):
            assert said(client, Parse(name, sql.format(v=view)), Sync())[0] == GRANTED
            assert becomes(client, f"PREPARE {name}_again AS {sql.format(v=view)}") == GRANTED
        assert (bound(client, "guess"), bound(client, "read")) == ((GRANTED, [("1",)]), (GRANTED, [("Ada Lovelace",)]))
        assert shown(client, "EXECUTE guess_again") == [("1",)]
        assert shown(client, "EXECUTE read_again") == [("Ada Lovelace",)]
    with Client(gateway.dsn("owner", LAB)) as owner:
        assert becomes(owner, CHANGES[change].format(v=view)) == GRANTED
    for client in users:
        for name in ("guess", "later"):
            assert bound(client, name)[0].startswith(HELD)
            assert becomes(client, f"EXECUTE {name}_again").startswith(HELD)
        assert bound(client, "read") == (GRANTED, [(MASKED,)])
        assert shown(client, "EXECUTE read_again") == [(MASKED,)]
