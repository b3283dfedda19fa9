"""What names a body, as the index has it. Nothing is concluded from an index that does not know all that was recorded
before a given moment: a body would seem to have fewer uses than it has."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from extproc.audit.frame import FrameError
from extproc.audit.index import schema
from extproc.audit.index.indexer import INDEX
from extproc.audit.index.query import LIMIT, Query, match, select
from extproc.audit.index.rows import SLOTS, micros, rfc3339
from extproc.audit.reader import origin, size, streams
from extproc.audit.retention.rules import LegalHold, Selects, Subject
from extproc.audit.segments import Folder

PAGE = 500
"""Addresses that are looked at in one go."""


class IndexBehind(Exception):
    """The index is missing, or does not know everything yet. The message is for people."""


@dataclass(frozen=True, slots=True)
class Use:
    """All uses of a body by one target: when the last was, in seconds since the epoch. Both are None for uses of which
    the decision is not known."""

    target: str | None
    last: float | None


def ends(state: Path) -> dict[str, tuple[str, int]]:
    """How far the index must be to know all that is recorded by now: of each stream the hash of its genesis, and the
    byte after its last one. Raises OSError and JournalFault."""
    found = {}
    for folder in streams(state):
        whose = origin(folder)
        if whose is not None:
            found[folder.name] = (whose.hash, size(folder))
    return found


class Uses:
    """Reads the index of a state folder. Raises IndexBehind."""

    def __init__(self, state: Path) -> None:
        self._state, self._path = state, state / INDEX

    @contextmanager
    def reading(self, known: Mapping[str, tuple[str, int]]) -> Iterator["Reading"]:
        """One state of the index, in which all of `known` (see `ends`) is."""
        try:
            db = schema.open_reader(self._path)
        except FileNotFoundError:
            raise IndexBehind(f"{self._path}: there is no index") from None
        except (sqlite3.Error, schema.Unfit, OSError) as error:
            raise IndexBehind(f"{self._path}: {error}") from error
        try:
            db.execute("BEGIN")
            self._check(db, known)
            yield Reading(db)
        except (sqlite3.Error, FrameError) as error:
            raise IndexBehind(f"{self._path}: {error}") from error
        finally:
            db.close()

    def _check(self, db: sqlite3.Connection, known: Mapping[str, tuple[str, int]]) -> None:
        rows = {row[0]: row[1:] for row in db.execute("SELECT name, genesis, ifnull(offset, 0), fault FROM stream")}
        for stream, (genesis, end) in known.items():
            was, offset, fault = rows.get(stream, (None, 0, None))
            if fault:
                raise IndexBehind(f"stream {stream} can't be read on: {fault}")
            if was != genesis or (offset < end and self._more(stream, offset)):
                raise IndexBehind(f"of stream {stream} {offset} of {end} bytes are in the index so far")

    def _more(self, stream: str, offset: int) -> bool:
        """Whether a whole record follows: what a crash tore is none."""
        with Folder(self._state / "journal" / stream) as folder:
            return next(folder.frames(offset), None) is not None


class Reading:
    """One state of the index."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def addresses(self, after: str) -> list[str]:
        """Some of the bodies that are named, in order."""
        sql = "SELECT DISTINCT address FROM body WHERE address > ? ORDER BY address LIMIT ?"
        return [str(address) for (address,) in self._db.execute(sql, (after, PAGE))]

    def named(self, address: str) -> bool:
        """Whether anything names this body."""
        return self._db.execute("SELECT 1 FROM body WHERE address = ? LIMIT 1", (address,)).fetchone() is not None

    def uses(self, address: str) -> list[Use]:
        """Who named a body."""
        sql = (
            "SELECT a.target, max(a.id) FROM body b LEFT JOIN action a ON a.decision = b.decision WHERE b.address = ? "
            "GROUP BY a.target"
        )
        rows = self._db.execute(sql, (address,))
        return [Use(target, None if last is None else last / SLOTS / 1e6) for target, last in rows]

    def decisions(self, address: str) -> list[str]:
        """The decisions that name a body."""
        sql = "SELECT DISTINCT decision FROM body WHERE address = ? ORDER BY 1"
        return [str(decision) for (decision,) in self._db.execute(sql, (address,))]

    def held(self, address: str, holds: Sequence[LegalHold]) -> bool:
        """Whether a legal hold keeps a body. One with a use that nothing else is known of is kept by any hold."""
        if not holds:
            return False
        unknown = (
            "SELECT 1 FROM body b WHERE b.address = ? AND NOT EXISTS "
            "(SELECT 1 FROM action a WHERE a.decision = b.decision) LIMIT 1"
        )
        if self._db.execute(unknown, (address,)).fetchone() is not None:
            return True
        for hold in holds:
            where, values = _condition(hold.selects)
            sql = "SELECT 1 FROM body b JOIN action a ON a.decision = b.decision WHERE b.address = ? AND "
            sql += f"{where} LIMIT 1"
            if self._db.execute(sql, (address, *values)).fetchone() is not None:
                return True
        return False

    def found(self, query: Query) -> Iterator[tuple[str, list[str]]]:
        """Every decision that fits, newest first, and the bodies that it names."""
        sql, values = select(replace(query, limit=LIMIT, before=None), -1)
        rows = self._db.execute(sql, values)
        at = [column[0] for column in rows.description].index("decision")
        for row in rows:
            bodies = self._db.execute("SELECT DISTINCT address FROM body WHERE decision = ?", (row[at],))
            yield str(row[at]), [str(address) for (address,) in bodies]

    def about(self, decision: str) -> Subject | None:
        """Whom and what a decision is about."""
        sql = "SELECT target, principal, session, id FROM action WHERE decision = ?"
        row = self._db.execute(sql, (decision,)).fetchone()
        return None if row is None else Subject(row[0], row[1], row[2], rfc3339(row[3]))

    def targets(self) -> list[str]:
        """The names of all targets that anything was asked of."""
        return [str(target) for (target,) in self._db.execute("SELECT DISTINCT target FROM action")]

    def actions(self, target: str, before: float) -> tuple[int, int, float | None]:
        """How many actions there are of a target, how many older than `before`, and when the oldest was; times in
        seconds since the epoch."""
        sql = "SELECT count(*), ifnull(sum(id < ?), 0), min(id) FROM action WHERE target = ?"
        return _counted(self._db.execute(sql, (_row(before), target)).fetchone())

    def kept(self, target: str, before: float) -> tuple[int, int, float | None]:
        """The same of bodies, each by its last use by this target."""
        sql = (
            "SELECT count(*), ifnull(sum(last < ?), 0), min(last) FROM (SELECT max(a.id) AS last FROM body b "
            "JOIN action a ON a.decision = b.decision WHERE a.target = ? GROUP BY b.address)"
        )
        return _counted(self._db.execute(sql, (_row(before), target)).fetchone())

    def events(self, kind: str) -> list[tuple[str, int]]:
        """The places of records of a kind, oldest first."""
        sql = "SELECT s.name, e.offset FROM event e JOIN stream s ON s.id = e.stream WHERE e.kind = ? ORDER BY e.id"
        return [(str(stream), int(offset)) for stream, offset in self._db.execute(sql, (kind,))]


def asks_nothing(query: Query) -> bool:
    """Whether every decision there is would fit."""
    return not match(query) and (query.decision, query.since, query.until) == (None, None, None)


def _row(seconds: float) -> int:
    return int(seconds * 1e6) * SLOTS


def _counted(row: tuple[int, int, int | None]) -> tuple[int, int, float | None]:
    count, over, first = row
    return count, over, None if first is None else first / SLOTS / 1e6


def _condition(selects: Selects) -> tuple[str, list[object]]:
    """The same as Selects.fits, of an action's row."""
    where: list[str] = []
    values: list[object] = []
    for column, value in (("target", selects.target), ("session", selects.session)):
        if value is not None:
            where.append(f"a.{column} = ?")
            values.append(value)
    if selects.principal is not None:
        where.append("? IN (a.principal, substr(a.principal, instr(a.principal, ' ') + 1))")
        values.append(selects.principal)
    if selects.since is not None:
        where.append("a.id >= ?")
        values.append(micros(selects.since) * SLOTS)
    if selects.until is not None:
        where.append("a.id < ?")
        values.append((micros(selects.until) + 1) * SLOTS)
    return " AND ".join(where) or "1", values
