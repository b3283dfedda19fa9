"""What the clients written in Python share: values in and out, and the way from cases to results.

Runs in the environment of the clients, so it imports nothing of ours.
"""

import datetime
import hashlib
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

Step = dict[str, Any]
Result = dict[str, Any]
SECONDS = 30.0  # for what does not come


def shown(value: object) -> str | None:
    """A driver's value as the text that PostgreSQL shows, its time zone being UTC."""
    match value:
        case None:
            return None
        case bool():
            return "t" if value else "f"
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case datetime.datetime():
            text = value.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
            return f"{text}+00"
        case list():
            return "{" + ",".join("NULL" if item is None else str(shown(item)) for item in value) + "}"
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


NATIVE: dict[str, Callable[[str], object]] = {
    "int": int,
    "bigint": int,
    "float": float,
    "bool": lambda text: text == "t",
    "text": str,
    "json": str,
    "numeric": Decimal,
    "bytea": lambda text: bytes.fromhex(text[2:]),
    "timestamptz": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "uuid": uuid.UUID,
    "ints": lambda text: [None if item == "NULL" else int(item) for item in text[1:-1].split(",")],
    "texts": lambda text: [None if item == "NULL" else item for item in text[1:-1].split(",")],
}


def natives(pairs: Sequence[tuple[str, str | None]]) -> list[object]:
    """Pairs of a type and a text as what a driver takes."""
    return [None if text is None else NATIVE[kind](text) for kind, text in pairs]


def rows(columns: Iterable[str], found: Iterable[Sequence[object]]) -> Result:
    """A result with rows."""
    return {"columns": list(columns), "rows": [[shown(value) for value in row] for row in found]}


def counted(tag: str | None) -> Result:
    """A result without rows, by its command tag."""
    number = re.search(r"\d+$", tag or "")
    return {"count": int(number.group()) if number else 0}


def large(found: Iterable[Sequence[object]]) -> Result:
    """What is kept of many rows of one column."""
    lines = [str(shown(row[0])) for row in found]
    return {"large": [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()]}


def error(code: str | None, message: str | None, detail: str | None, hint: str | None) -> Result:
    """What the server refused, without the advice about pgbouncer that asyncpg adds."""
    hint = (hint or "").split("\nNOTE: pgbouncer")[0] or None
    return {"error": {"code": code, "message": message, "detail": detail, "hint": hint}}


def broken(failure: BaseException) -> Result:
    """What went wrong in the client."""
    return {"broken": f"{type(failure).__name__}: {failure}"}


def serve(run: Callable[[str, list[Step]], list[Result]]) -> None:
    """Read {"dsn", "cases": {name: steps}} from standard input, and write {name: results}."""
    job = json.load(sys.stdin)
    results = {}
    for name, steps in job["cases"].items():
        try:
            results[name] = run(job["dsn"], steps)
        except Exception as failure:
            results[name] = [broken(failure)]
    json.dump(results, sys.stdout)
