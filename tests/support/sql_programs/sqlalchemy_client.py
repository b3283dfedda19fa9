"""Does tests/support/sql_work.py's work with SQLAlchemy. Its argument names the driver: psycopg or asyncpg."""

import asyncio
import re
import sys
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, registry
from sqlalchemy.pool import NullPool

from tests.support.sql_programs.shared import Result, Step, error, large, natives, rows, serve


class Word:
    """One row of a temporary table."""

    id: int
    word: str

    def __init__(self, word: str) -> None:
        self.word = word


mapping = registry()
WORDS = sa.Table(
    "words",
    mapping.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("word", sa.Text),
    prefixes=["TEMPORARY"],
)
mapping.map_imperatively(Word, WORDS)


async def run(driver: str, dsn: str, steps: list[Step]) -> list[Result]:
    """One connection, and what comes of its steps. The same code for both drivers."""
    options: dict[str, Any] = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
    if driver == "asyncpg":  # which knows libpq's options in a URL of its own alone
        options["async_creator"] = lambda: asyncpg.connect(dsn)
    engine = create_async_engine(dsn.replace("postgresql:", f"postgresql+{driver}:"), **options)
    async with engine.connect() as connection:
        found: list[Result] = await connection.run_sync(lambda plain: [take(plain, step) for step in steps])
    await engine.dispose()
    return found


def take(connection: Any, step: Step) -> Result:
    """One step; an error of the server is a result."""
    try:
        result: Result = globals()[f"do_{step['do']}"](connection, step)
        return result
    except sa.exc.DBAPIError as refused:
        return said(refused.orig)


def said(refused: Any) -> Result:
    """The server's error, which each driver wraps in its own way."""
    if hasattr(refused, "diag"):
        diag = refused.diag
        return error(refused.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)
    cause = refused.__cause__
    return error(cause.sqlstate, cause.message, cause.detail, cause.hint)


def answer(found: Any) -> Result:
    """What a result holds."""
    return rows(found.keys(), found) if found.returns_rows else {"count": max(found.rowcount, 0)}


def bound(step: Step, values: Any) -> tuple[Any, dict[str, object]]:
    """A statement with names for its parameters, and their values."""
    statement = sa.text(re.sub(r"\$(\d)", r":v\1", step["sql"]))
    return statement, {f"v{number}": value for number, value in enumerate(natives(values), 1)}


def do_query(connection: Any, step: Step) -> Result:
    """Text alone."""
    return answer(connection.exec_driver_sql(step["sql"], execution_options={"no_parameters": True}))


def do_execute(connection: Any, step: Step) -> Result:
    """A statement with parameters."""
    return answer(connection.execute(*bound(step, step["values"])))


def do_prepared(connection: Any, step: Step) -> Result:
    """The same statement again and again, which the drivers prepare."""
    return {"results": [answer(connection.execute(*bound(step, values))) for values in step["values"]]}


def do_many(connection: Any, step: Step) -> Result:
    """executemany."""
    statement, _ = bound(step, [])
    connection.execute(statement, [bound(step, values)[1] for values in step["values"]])
    return {"count": len(step["values"])}


def do_transaction(connection: Any, step: Step) -> Result:
    """SQLAlchemy's own transaction."""
    connection.commit()
    connection.execution_options(isolation_level="READ COMMITTED")
    with connection.begin() as around:
        found = [take(connection, inner) for inner in step["steps"]]
        if not step["commit"]:
            around.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    return {"results": found}


def do_large(connection: Any, step: Step) -> Result:
    """All rows at once."""
    return large(connection.execute(sa.text(step["sql"])).all())


def do_cursor(connection: Any, step: Step) -> Result:
    """Rows in pieces."""
    connection.commit()
    connection.execution_options(isolation_level="READ COMMITTED")
    with connection.begin():
        options = {"stream_results": True, "yield_per": step["size"]}
        found = large(connection.execute(sa.text(step["sql"]), execution_options=options))
    connection.execution_options(isolation_level="AUTOCOMMIT")
    return found


def do_orm(connection: Any, _: Step) -> Result:
    """A table reflected from the catalogue; objects added, changed and removed."""
    columns = [column["name"] for column in sa.inspect(connection).get_columns("customers")]
    lines: list[list[object]] = [[" ".join(columns)]]
    connection.commit()
    connection.execution_options(isolation_level="READ COMMITTED")
    WORDS.create(connection)
    with Session(connection) as session:

        def look() -> None:
            found = session.scalars(sa.select(Word).order_by(WORDS.c.id))
            lines.append([", ".join(f"{word.id} {word.word}" for word in found)])

        session.add_all([Word("a"), Word("b")])
        session.flush()
        look()
        session.get_one(Word, 2).word = "c"
        session.delete(session.get_one(Word, 1))
        session.flush()
        look()
        session.rollback()
    return rows(["what"], lines)


if __name__ == "__main__":
    serve(lambda dsn, steps: asyncio.run(run(sys.argv[1], dsn, steps)))
