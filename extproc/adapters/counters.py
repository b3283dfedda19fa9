"""Exact counts of what principals ask for, and of what they are given where that is limited: one SQLite file, every
worker of the gateway.

- A count is one BEGIN IMMEDIATE transaction, so two workers never take the same place.
- synchronous=NORMAL: a power cut may take the last counts back, and the commit waits for no disk.
- Sums slide: the last 60 s in buckets of 5 s, the hour in 5 min, the day in hours; the bucket that has begun counts
  beside the whole ones. So no minute, hour or day ever holds more than a budget, and a place comes back a twelfth
  (the day: a twenty-fourth) of the window late at most.
How the file is used otherwise is in `sqlite`.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from extproc.adapters.sqlite import Database, Form
from extproc.audit.signals.windows import BUCKETS, WINDOWS
from extproc.domain.decision import Mode
from extproc.domain.limits import Limits
from extproc.domain.ports import HistoryUnavailable
from extproc.domain.principal import Principal

PRUNE_SECONDS = 600.0
LONGEST = 64
"""Characters of a target's name or a verb that are told apart."""
USED = "history.used"
LINGER_SECONDS = 5.0
"""How long counting goes on after the last rule that reads it was taken away: the engine may serve it still."""

_FORM = Form(
    "a file of counters",
    1,
    "CREATE TABLE used (party TEXT, scope TEXT, width INTEGER, bucket INTEGER, n INTEGER,"
    " PRIMARY KEY (party, scope, width, bucket)) STRICT, WITHOUT ROWID;",
    HistoryUnavailable,
    "stop the gateway, move the file away and start again: what was used of budgets is then forgotten",
)
_ADD = "INSERT INTO used VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
_SUM = "SELECT sum(n) FROM used WHERE party = ? AND scope = ? AND width = ? AND bucket >= ?"

_HOUR = BUCKETS[WINDOWS.index("hour")]

Used = dict[str, dict[str, int]]


class Counters:
    """counters.db of a state directory. Belongs to one event loop; `close` it there."""

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        """The file is opened when first counted in: a gateway without budgets needs none. `clock` (seconds since the
        epoch) stands in for the file's own time in tests."""
        self._path, self._clock = path, clock
        self._database: Database | None = None
        self._opening = asyncio.Lock()
        self._pruned = float("-inf")

    async def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            await self._database.close()

    async def reserve(self, party: str, target: str, verb: str) -> Used:
        """Count one action of a principal and give its sums, this one included: {"all": {minute, hour, day}, "target":
        the same for this target, "verb": for this verb on this target, in any case}. Raises HistoryUnavailable."""
        target, verb = target[:LONGEST], verb[:LONGEST].upper()
        scopes = {"all": "", "target": target, "verb": f"{target} {verb}"}

        def work(db: sqlite3.Connection, now: float) -> Used:
            used = {name: _count(db, party, scope, now) for name, scope in scopes.items()}
            self._prune(db, now)
            return used

        database = self._database or await self._open()
        return await database.write(work)

    async def draw(self, principal: Principal, target: str, rows: int, size: int, limits: Limits) -> bool:
        """See domain.ports.Meter. What is refused counts nothing."""
        # No target's name begins with a space, so that no scope of `reserve` is one of these.
        asked = (
            (f" rows {target[:LONGEST]}", rows, limits.rows_per_hour),
            (f" bytes {target[:LONGEST]}", size, limits.bytes_per_hour),
        )

        def work(db: sqlite3.Connection, now: float) -> bool:
            width, parts = _HOUR
            bucket = int(now // width)
            for scope, more, most in asked:
                had = db.execute(_SUM, (principal.key, scope, width, bucket - parts)).fetchone()[0] or 0
                if most is not None and had + more > most:
                    return False
            for scope, more, _ in asked:
                db.execute(_ADD, (principal.key, scope, width, bucket, more))
            self._prune(db, now)
            return True

        database = self._database or await self._open()
        return await database.write(work)

    def _prune(self, db: sqlite3.Connection, now: float) -> None:
        if now - self._pruned >= PRUNE_SECONDS:
            for width, parts in BUCKETS:
                db.execute("DELETE FROM used WHERE width = ? AND bucket < ?", (width, int(now // width) - parts))
            self._pruned = now

    async def _open(self) -> Database:
        async with self._opening:
            if self._database is None:
                database = Database(self._path, _FORM, self._clock)
                await database.open()
                await database.run(lambda db: db.execute("PRAGMA synchronous = NORMAL").close())
                self._database = database
            return self._database


def _count(db: sqlite3.Connection, party: str, scope: str, now: float) -> dict[str, int]:
    found = {}
    for name, (width, parts) in zip(WINDOWS, BUCKETS, strict=True):
        bucket = int(now // width)
        db.execute(_ADD, (party, scope, width, bucket, 1))
        found[name] = int(db.execute(_SUM, (party, scope, width, bucket - parts)).fetchone()[0])
    return found


def wants_counters(metadata: Mapping[str, Any]) -> Mode | None:
    """Whether a loaded rule reads `history.used`, from the METADATA of every policy by id (`Checked.metadata()`, or
    `Management.policies()` of an engine that runs): ENFORCE where one of them counts, SHADOW where all are only
    recorded, None where no rule reads it."""
    found = [m.get("reads") for m in metadata.values() if isinstance(m, Mapping)]
    modes = {reads.get(USED) for reads in found if isinstance(reads, Mapping)}
    return Mode.ENFORCE if Mode.ENFORCE.value in modes else Mode.SHADOW if Mode.SHADOW.value in modes else None


class Wanted:
    """What `publish` of a bundle wrote of it, before the engine saw the bundle (policy/reads.json). Looks at the file
    each time, which takes two microseconds. Without a file, or with one that can't be read, counting is tried."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._known: tuple[int, int] | None = None
        self._mode: Mode | None = Mode.SHADOW
        self._linger: tuple[Mode | None, float] = (None, float("-inf"))

    def __call__(self) -> Mode | None:
        """As `wants_counters`, for the bundle that is served or about to be."""
        try:
            there = os.stat(self._file)
            known = (there.st_ino, there.st_mtime_ns)
            if known != self._known:
                self._take(_mode(orjson.loads(self._file.read_bytes())))
                self._known = known
        except (OSError, ValueError, AttributeError):
            self._known, self._mode = None, Mode.SHADOW
        before, until = self._linger
        if self._mode is not Mode.ENFORCE and before is not None and self._clock() < until:
            return before
        return self._mode

    def _take(self, mode: Mode | None) -> None:
        if self._known is not None:
            self._linger = (self._mode, self._clock() + LINGER_SECONDS)
        self._mode = mode


def _mode(document: Any) -> Mode | None:
    value = document.get(USED)
    return None if value is None else Mode(value)
