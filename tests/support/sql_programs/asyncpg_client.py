"""Does tests/support/sql_work.py's work with asyncpg."""

import asyncio
import io
import re
from typing import Any

import asyncpg

from tests.support.sql_programs.shared import SECONDS, Result, Step, counted, error, large, natives, rows, serve

WITH_ROWS = ("SELECT", "EXECUTE", "VALUES", "SHOW")


async def run(dsn: str, steps: list[Step]) -> list[Result]:
    """One connection, and what comes of its steps."""
    connection = await asyncpg.connect(dsn)
    try:
        return [await take(connection, step) for step in steps]
    finally:
        await connection.close(timeout=SECONDS)


async def take(connection: Any, step: Step) -> Result:
    """One step; an error of the server is a result."""
    try:
        result: Result = await globals()[f"do_{step['do']}"](connection, step)
        return result
    except asyncpg.PostgresError as refused:
        return error(refused.sqlstate, refused.message, refused.detail, refused.hint)


async def do_query(connection: Any, step: Step) -> Result:
    """What gives rows has to be prepared here; the rest goes as text alone."""
    return await do_execute(connection, step | {"values": []})


async def do_execute(connection: Any, step: Step) -> Result:
    """A statement with parameters."""
    if not step["sql"].startswith(WITH_ROWS):
        return counted(await connection.execute(step["sql"], *natives(step["values"])))
    return await executed(await connection.prepare(step["sql"]), step["values"])


async def executed(statement: Any, values: Any) -> Result:
    """One execution of a prepared statement."""
    found = await statement.fetch(*natives(values))
    return rows([column.name for column in statement.get_attributes()], found)


async def do_prepared(connection: Any, step: Step) -> Result:
    """One prepared statement, executed again and again."""
    statement = await connection.prepare(step["sql"])
    return {"results": [await executed(statement, values) for values in step["values"]]}


async def do_many(connection: Any, step: Step) -> Result:
    """asyncpg sends all the binds before it waits."""
    await connection.executemany(step["sql"], [natives(values) for values in step["values"]])
    return {"count": len(step["values"])}


async def do_transaction(connection: Any, step: Step) -> Result:
    """asyncpg's own transaction."""
    around = connection.transaction()
    await around.start()
    found = [await take(connection, inner) for inner in step["steps"]]
    await (around.commit() if step["commit"] else around.rollback())
    return {"results": found}


def table(sql: str) -> str:
    """Of which table a COPY is: asyncpg writes the statement itself."""
    found = re.match(r"COPY (\w+) ", sql)
    assert found is not None
    return found.group(1)


async def do_copy_in(connection: Any, step: Step) -> Result:
    """COPY FROM STDIN."""
    return counted(await connection.copy_to_table(table(step["sql"]), source=io.BytesIO(step["data"].encode())))


async def do_copy_out(connection: Any, step: Step) -> Result:
    """COPY TO STDOUT."""
    sink = io.BytesIO()
    await connection.copy_from_table(table(step["sql"]), output=sink)
    return {"data": sink.getvalue().decode()}


async def do_large(connection: Any, step: Step) -> Result:
    """All rows at once."""
    return large(await connection.fetch(step["sql"]))


async def do_cursor(connection: Any, step: Step) -> Result:
    """A portal, executed with a limit."""
    async with connection.transaction():
        return large([row async for row in connection.cursor(step["sql"], prefetch=step["size"])])


async def do_cancel(connection: Any, step: Step) -> Result:
    """A cancelled task: asyncpg sends a cancel request, and keeps what the server says to itself."""
    running = asyncio.Event()
    connection.add_log_listener(lambda *_: running.set())
    task = asyncio.create_task(connection.execute(step["sql"]))
    await asyncio.wait_for(running.wait(), SECONDS)
    task.cancel()
    try:
        return counted(await task)
    except asyncio.CancelledError:
        return {"cancelled": True}


async def do_notices(connection: Any, step: Step) -> Result:
    """What the server says beside its answers."""
    said: list[list[str]] = []
    connection.add_log_listener(lambda _, message: said.append([message.severity, message.message]))
    await connection.execute(step["sql"])
    await asyncio.sleep(0)  # listeners are called at the loop's next turn
    return {"notices": said}


async def do_listen(connection: Any, step: Step) -> Result:
    """LISTEN, NOTIFY and what comes of it."""
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    await connection.add_listener(step["channel"], lambda _, __, channel, text: heard.put_nowait([channel, text]))
    await connection.execute("SELECT pg_notify($1, $2)", step["channel"], step["payload"])
    return {"notifications": [await asyncio.wait_for(heard.get(), SECONDS)]}


if __name__ == "__main__":
    serve(lambda dsn, steps: asyncio.run(run(dsn, steps)))
