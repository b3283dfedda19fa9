"""A gateway before customers whose addresses data governs in production, and what is said of statements about them."""

import contextlib
from collections.abc import Iterator

from extproc.protocols.postgres.wire.backend import ErrorResponse
from extproc.protocols.postgres.wire.frontend import Query
from tests.postgres.gateway.talking import Client, error, notice, noticed, ready, rows
from tests.support.databases import DatabaseGateway
from tests.support.postgres import Server

DATA = "postgres: {governed: {crm-db: {customers: [email, card], desk.people: [email], desk.staff: [email]}}}\n"
GRANTED = "granted"
MASKED = "[masked:key:email]"
LAB = "lab-db"
MADE = """
CREATE SCHEMA desk AUTHORIZATION writer;
GRANT USAGE ON SCHEMA desk TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA desk GRANT SELECT ON TABLES TO reader, writer;
ALTER DEFAULT PRIVILEGES FOR ROLE writer IN SCHEMA desk GRANT SELECT ON TABLES TO reader;
"""
UNMADE = "DROP SCHEMA IF EXISTS desk, front CASCADE"


@contextlib.contextmanager
def governing(server: Server, more: str = "", *, workers: int = 1, data: str = DATA) -> Iterator[DatabaseGateway]:
    """With the shipped policies. The schema `desk`, and what `more` makes, are in the database for as long. The target
    LAB is the same database as `writer`, where nothing is production and nothing governed: there things are defined."""
    server.sql(MADE + more, "crm")
    made = DatabaseGateway(server, policy="deadline: 5s, data: data.yaml", workers=workers)
    try:
        (made.gateway.folder / "data.yaml").write_text(data)
        written = made.gateway.config.read_text()
        (target,) = [line for line in written.splitlines() if line.startswith("  crm-db:")]
        lab = target.replace("crm-db", LAB).replace("environment: production", "environment: staging")
        lab = f"{lab.partition('logins:')[0]}logins: [{{user: writer, password: secrets/writer}}]}}"
        made.gateway.config.write_text(written.replace(target, f"{target}\n{lab}"))
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()
        server.sql(UNMADE, "crm")


def said(client: Client, *messages: object) -> tuple[str, list[object]]:
    """What becomes of messages that end with one that the server answers: GRANTED, or why they are refused or held (a
    hold is given up at once); and all that was answered."""
    client.send(*messages)
    answer = client.until(lambda heard: ready(heard) or noticed(heard))
    if not ready(answer):
        why = notice(answer)
        client.cancel()
        return f"{why['M']}: {why['D'].partition(' Waiting')[0]}", answer + client.until(ready)
    if any(isinstance(message, ErrorResponse) for message in answer):
        why = error(answer)
        return f"{why['C']} {why['M']}", answer
    return GRANTED, answer


def becomes(client: Client, sql: str) -> str:
    """What is said of a text."""
    return said(client, Query(sql))[0]


def shown(client: Client, sql: str) -> list[tuple[str | None, ...]]:
    """The rows of a text that is let through."""
    word, answer = said(client, Query(sql))
    assert word == GRANTED, sql
    return rows(answer)
