"""What has to be held against each other, on disk while verification runs: memory does not grow with the journal."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from extproc.audit.checkpoint import Head
from extproc.audit.verify.segment import Vouched
from extproc.audit.verify.sift import Row

_SCHEMA = """
CREATE TABLE head (stream TEXT, id TEXT, seq INTEGER, hash TEXT, offset INTEGER, how TEXT, who TEXT, at TEXT,
    PRIMARY KEY (stream, seq, how, hash, id)) WITHOUT ROWID;
CREATE TABLE made (number INTEGER PRIMARY KEY, digest TEXT, at TEXT, every REAL);
CREATE TABLE kept (number INTEGER, digest TEXT, who TEXT);
CREATE TABLE opened (stream TEXT, at TEXT);
CREATE TABLE retired (stream TEXT, base INTEGER, seq INTEGER, head TEXT);
CREATE TABLE announced (stream TEXT, first INTEGER, last INTEGER);
CREATE TABLE deleted (address TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone (at TEXT);
CREATE TABLE erased (stream TEXT, seq INTEGER, offset INTEGER, file TEXT);
CREATE TABLE body (address TEXT, stream TEXT, seq INTEGER, offset INTEGER);
CREATE TABLE stored (address TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE decision (id TEXT);
CREATE TABLE told (file TEXT, first INTEGER, last INTEGER, kind TEXT);
CREATE TABLE asked (id TEXT, at TEXT, path TEXT, line INTEGER, offset INTEGER);
CREATE TABLE joined (request TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE counted (more INTEGER);
CREATE TABLE handed (request TEXT, at TEXT, ended TEXT, worker TEXT, bytes INTEGER, path TEXT, line INTEGER,
    offset INTEGER);
CREATE TABLE refused (file TEXT, offset INTEGER, kind TEXT, rest TEXT, path TEXT, line INTEGER);
"""
_INSERT = {
    name: f"INSERT OR IGNORE INTO {name} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - names of our own
    for name, columns in {
        "head": 8, "made": 4, "kept": 3, "opened": 2, "retired": 4, "announced": 3, "deleted": 1, "erased": 4,
        "body": 4, "stored": 1, "gone": 1, "decision": 1, "told": 4, "asked": 5, "refused": 6,
        "joined": 1, "counted": 1, "handed": 8,
    }.items()
}  # fmt: skip


class Facts:
    """The tables, in a file that nobody else has. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        # It is thrown away at the end, whatever comes between. Readers in other processes see what is committed.
        self.db.execute("PRAGMA journal_mode=OFF")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let the file go."""
        self.db.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Put rows into their tables."""
        by_table = defaultdict[str, list[tuple[Any, ...]]](list)
        for table, *values in rows:
            by_table[table].append(tuple(values))
        self.db.execute("BEGIN")
        for table, lines in by_table.items():
            self.db.executemany(_INSERT[table], lines)
        self.db.execute("COMMIT")

    def vouch(self, heads: Mapping[str, Head], how: str, who: str, at: str = "") -> None:
        """Note heads that somebody names."""
        self.add(
            ("head", stream, head.id, head.seq, head.hash, head.offset, how, who, at) for stream, head in heads.items()
        )

    def ask(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one at a time."""
        return iter(self.db.execute(query, values))

    def one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """The first row of a query."""
        row: tuple[Any, ...] | None = self.db.execute(query, values).fetchone()
        return row


def vouched(path: Path, stream: str, origin: str, first: int) -> Iterator[Vouched]:
    """What is said of a stream's records from number `first` on; of the stream with this id, where ids are named. Asked
    for in pages, so that no reader keeps the file from its writer."""
    after: tuple[Any, ...] = (first, "", "", "")
    while True:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute(_VOUCHED, (stream, *after, origin)).fetchall()
        for seq, how, hash_, _, offset, who in rows:
            yield Vouched(seq, hash_, offset, how, who)
        if len(rows) < _PAGE:
            return
        after = rows[-1][:4]


_PAGE = 1000
_VOUCHED = f"""
    SELECT seq, how, hash, id, offset, who FROM head
    WHERE stream = ? AND (seq, how, hash, id) > (?, ?, ?, ?) AND id IN ('', ?)
    ORDER BY seq, how, hash, id LIMIT {_PAGE}
"""  # noqa: S608 - a number of our own
