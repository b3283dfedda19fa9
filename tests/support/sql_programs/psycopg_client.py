"""Does tests/support/sql_work.py's work with psycopg 3."""

import threading
from typing import Any

import psycopg

from tests.support.sql_programs.shared import SECONDS, Result, Step, error, large, natives, rows, serve


def run(dsn: str, steps: list[Step]) -> list[Result]:
    """One connection, and what comes of its steps."""
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        return [take(connection, step) for step in steps]


def take(connection: Any, step: Step) -> Result:
    """One step; an error of the server is a result."""
    try:
        result: Result = globals()[f"do_{step['do']}"](connection, step)
        return result
    except psycopg.Error as refused:
        if refused.sqlstate is None:
            raise
        said = refused.diag
        return error(refused.sqlstate, said.message_primary, said.message_detail, said.message_hint)


def answer(cursor: Any) -> Result:
    """The result that a cursor stands on."""
    if cursor.description is not None:
        return rows([column.name for column in cursor.description], cursor.fetchall())
    return {"count": max(cursor.rowcount, 0)}


def do_query(connection: Any, step: Step) -> Result:
    """Text alone: the simple protocol."""
    cursor = connection.execute(step["sql"])
    found = [answer(cursor)]
    while cursor.nextset():
        found.append(answer(cursor))
    return found[0] if len(found) == 1 else {"results": found}


def do_execute(connection: Any, step: Step) -> Result:
    """Parameters: the extended protocol."""
    return answer(connection.execute(step["sql"], natives(step["values"])))


def do_prepared(connection: Any, step: Step) -> Result:
    """A named statement of the server's, executed again and again."""
    each = (connection.execute(step["sql"], natives(values), prepare=True) for values in step["values"])
    return {"results": [answer(cursor) for cursor in each]}


def do_many(connection: Any, step: Step) -> Result:
    """psycopg sends these in a pipeline."""
    cursor = connection.cursor()
    cursor.executemany(step["sql"], [natives(values) for values in step["values"]])
    return {"count": cursor.rowcount}


def do_pipeline(connection: Any, step: Step) -> Result:
    """All sent before the first answer is looked at."""
    with connection.pipeline():
        cursors = [connection.execute(inner["sql"], natives(inner["values"])) for inner in step["steps"]]
    return {"results": [answer(cursor) for cursor in cursors]}


def do_transaction(connection: Any, step: Step) -> Result:
    """psycopg's own transaction block."""
    found = []
    with connection.transaction():
        found += [take(connection, inner) for inner in step["steps"]]
        if not step["commit"]:
            raise psycopg.Rollback
    return {"results": found}


def do_copy_in(connection: Any, step: Step) -> Result:
    """COPY FROM STDIN, in more than one piece."""
    cursor = connection.cursor()
    data = step["data"].encode()
    with cursor.copy(step["sql"]) as copy:
        copy.write(data[: len(data) // 2])
        copy.write(data[len(data) // 2 :])
    return {"count": cursor.rowcount}


def do_copy_out(connection: Any, step: Step) -> Result:
    """COPY TO STDOUT."""
    with connection.cursor().copy(step["sql"]) as copy:
        return {"data": b"".join(bytes(piece) for piece in copy).decode()}


def do_large(connection: Any, step: Step) -> Result:
    """All rows at once."""
    return large(connection.execute(step["sql"]).fetchall())


def do_cursor(connection: Any, step: Step) -> Result:
    """A cursor that the server has: DECLARE and FETCH."""
    with connection.transaction(), connection.cursor("pieces") as cursor:
        cursor.itersize = step["size"]
        cursor.execute(step["sql"])
        return large(cursor)


def do_cancel(connection: Any, step: Step) -> Result:
    """A cancel request from another thread."""
    running = threading.Event()
    connection.add_notice_handler(lambda _: running.set())

    def cancel() -> None:
        if running.wait(SECONDS):
            connection.cancel_safe(timeout=SECONDS)

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        return do_query(connection, step)
    finally:
        thread.join()


def do_notices(connection: Any, step: Step) -> Result:
    """What the server says beside its answers."""
    said: list[list[str]] = []
    connection.add_notice_handler(lambda notice: said.append([notice.severity, notice.message_primary]))
    do_query(connection, step)
    return {"notices": said}


def do_listen(connection: Any, step: Step) -> Result:
    """LISTEN, NOTIFY and what comes of it."""
    connection.execute(f'LISTEN "{step["channel"]}"')
    connection.execute("SELECT pg_notify($1, $2)", [step["channel"], step["payload"]])
    found = connection.notifies(timeout=SECONDS, stop_after=1)
    return {"notifications": [[one.channel, one.payload] for one in found]}


if __name__ == "__main__":
    serve(run)
