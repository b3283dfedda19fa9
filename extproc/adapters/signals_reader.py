"""The figures in a worker's memory, as the watcher published them."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from extproc.audit.signals.figures import NOTHING, NOTHING_OF_TARGET
from extproc.domain.json import Document
from extproc.domain.principal import Principal

POLL_SECONDS = 0.25
STALE_SECONDS = 5.0
"""How long ago every journal must have been read to its end, at the most."""
UNKNOWN: Document = {"known": False}
_NO_SOURCES: Document = {"networks": [], "environments": []}


class _Entry:
    """One principal's document, read when it is first asked for."""

    __slots__ = ("_document", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._document: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        if self._document is None:
            self._document = orjson.loads(self._raw)
        return self._document


_NOBODY = _Entry(orjson.dumps(NOTHING))


class SignalsReader:
    """What the watcher published, refreshed by a thread of its own. `of` may be called from any thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, poll_seconds: float = POLL_SECONDS) -> None:
        """`path` is the state directory's signals.db; it need not be there yet. Nothing is read before `start`."""
        self._path, self._clock, self._poll = path, clock, poll_seconds
        self._entries: dict[str, _Entry] = {}
        self._as_of = float("-inf")
        self._db: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._seen, self._revision, self._generation = -1, -1, -1
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read what there is, and go on reading until `close`. Never raises."""
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and let the file go."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._disconnect()

    def of(self, principal: Principal, target: str) -> Document:
        """The `history` of a policy input, without `used`: {"known": false} where the figures are not those of the
        last seconds. Never raises; the document is shared and must not be changed."""
        if not -STALE_SECONDS <= self._clock() - self._as_of <= STALE_SECONDS:
            return UNKNOWN
        try:
            found = self._entries.get(principal.key, _NOBODY).document()
            return {
                "known": True,
                "principal": found["principal"],
                "target": found["targets"].get(target, NOTHING_OF_TARGET),
                "credential": found["credentials"].get(principal.credential, _NO_SOURCES),
            }
        except (ValueError, LookupError, TypeError, AttributeError):
            # Whatever was published, nothing of it may stop an answer.
            return UNKNOWN

    def refresh(self) -> None:
        """Take over what was published since the last time; what can't be read is tried again. Called by the thread."""
        try:
            self._take(self._connect())
        except (sqlite3.Error, OSError, ValueError, TypeError):
            # Not there, locked, half made or damaged: what is in memory goes stale by itself.
            self._disconnect()

    def _run(self) -> None:
        while not self._stop.wait(self._poll):
            self.refresh()

    def _connect(self) -> sqlite3.Connection:
        there = self._path.stat()
        if self._db is not None and self._file is not None and os.path.samestat(self._file, there):
            return self._db
        self._disconnect()
        # Opened to write, which a reader of a write-ahead log needs where its writer is gone, and asked only to read.
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0.2,
                             check_same_thread=False)  # fmt: skip
        self._db, self._file, self._seen, self._generation = db, there, -1, -1
        db.execute("PRAGMA query_only = ON")
        return db

    def _take(self, db: sqlite3.Connection) -> None:
        (seen,) = db.execute("PRAGMA data_version").fetchone()
        if seen == self._seen:
            return
        db.execute("BEGIN")
        try:
            told = db.execute("SELECT as_of, revision, generation FROM told").fetchone()
            if told is None:
                return
            as_of, revision, generation = told
            if generation != self._generation:
                rows = db.execute("SELECT key, document FROM document")
                self._entries = {key: _Entry(raw) for key, raw in rows}
            else:
                rows = db.execute("SELECT key, document FROM document WHERE revision > ?", (self._revision,))
                self._entries.update((key, _Entry(raw)) for key, raw in rows)
        finally:
            db.execute("COMMIT")
        self._seen, self._revision, self._generation, self._as_of = seen, revision, generation, float(as_of)

    def _disconnect(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
