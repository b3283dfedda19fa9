"""The work that every SQL client does: direct at a server, and through the gateway, with the same results.

A case is a list of steps on one connection of its own, which leaves nothing behind. Steps and results are plain JSON,
because clients run in environments and languages of their own. Values are pairs of a type and its text; results hold
values as the text that PostgreSQL itself shows, None for null.

    {"do": "query", "sql"}                one simple Query message (or what the client makes of text without parameters)
    {"do": "execute", "sql", "values"}    parameters $1, $2 ...
    {"do": "prepared", "sql", "values"}   prepared once, executed for each of these lists of values
    {"do": "many", "sql", "values"}       executemany or a batch, which clients pipeline
    {"do": "pipeline", "steps"}           `execute` steps, sent before the first answer is read
    {"do": "transaction", "steps", "commit"}   by the client's own means, not by BEGIN as text
    {"do": "copy_in", "sql", "data"}, {"do": "copy_out", "sql"}
    {"do": "large", "sql"}                only the number of rows and a hash of them are kept
    {"do": "cursor", "sql", "size"}       fetched in pieces of this many rows
    {"do": "cancel", "sql"}               cancelled as soon as the server has sent a notice
    {"do": "listen", "channel", "payload"}, {"do": "notices", "sql"}
    {"do": "orm"}                         objects of a mapped class: reflected, added, changed, removed

Results: {"columns", "rows"}, {"count"}, {"data"}, {"large": [rows, hash]}, {"notices"}, {"notifications"},
{"results": [...]} of several, {"cancelled"} where a client hides the error of what it cancelled, and
{"error": {"code", "message", "detail", "hint"}}.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]
Result = dict[str, Any]
SQLALCHEMY = frozenset({"sqlalchemy-asyncpg", "sqlalchemy-psycopg"})
LOW = frozenset({"asyncpg", "jdbc", "psql", "psycopg"})
ALL = LOW | SQLALCHEMY
DRIVERS = ALL - {"psql"}


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work: its steps, what comes of each (None: differs from client to client), and who can do it."""

    work: tuple[tuple[Step, Result | None], ...]
    clients: frozenset[str]

    @property
    def steps(self) -> list[Step]:
        """What to do."""
        return [step for step, _ in self.work]

    def differences(self, results: list[Result]) -> list[str]:
        """Where results are not what they should be."""
        if len(results) != len(self.work):
            return [f"{len(results)} results of {len(self.work)} steps: {results}"]
        return [
            f"{step}: {result}, and not {expected}"
            for (step, expected), result in zip(self.work, results, strict=True)
            if expected is not None and result != expected
        ]


def case(*work: tuple[Step, Result | None], clients: frozenset[str] = ALL) -> Case:
    """One piece of work."""
    return Case(work, clients)


def query(sql: str) -> Step:
    """Text without parameters."""
    return {"do": "query", "sql": sql}


def execute(sql: str, *values: tuple[str, str | None]) -> Step:
    """A statement with parameters."""
    return {"do": "execute", "sql": sql, "values": [list(value) for value in values]}


def transaction(*steps: Step, commit: bool) -> Step:
    """Steps in one transaction."""
    return {"do": "transaction", "steps": list(steps), "commit": commit}


def copied(data: str) -> Step:
    """Lines into the scratch table."""
    return {"do": "copy_in", "sql": "COPY scratch FROM STDIN", "data": data}


def rows(columns: str, *found: tuple[str | None, ...]) -> Result:
    """What a query gives."""
    return {"columns": columns.split(), "rows": [list(row) for row in found]}


def count(number: int) -> Result:
    """What a statement without rows gives: how many it changed."""
    return {"count": number}


def several(*found: Result) -> Result:
    """What several statements give."""
    return {"results": list(found)}


def error(code: str, message: str, detail: str | None = None, hint: str | None = None) -> Result:
    """What a refused statement gives."""
    return {"error": {"code": code, "message": message, "detail": detail, "hint": hint}}


def large(lines: list[str]) -> Result:
    """What is kept of many rows."""
    return {"large": [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()]}
