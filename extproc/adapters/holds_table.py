"""The tables of holds.db: their schema, and holds as rows. Everything here runs inside the store's thread."""

import sqlite3
import time
from pathlib import Path

from extproc.approvals import codec, machine
from extproc.approvals.ports import HoldsUnavailable, Standing, UnknownHold
from extproc.domain.hold import Hold, HoldState, Vote
from extproc.domain.principal import Principal

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE holds (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, party TEXT NOT NULL, asker TEXT NOT NULL, target TEXT NOT NULL,
    digest TEXT NOT NULL, fixed TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL, ended_at REAL,
    detached INTEGER NOT NULL, askers INTEGER NOT NULL, noted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX holds_live ON holds (asker, target, digest) WHERE state IN ('pending', 'approved');
CREATE INDEX holds_same ON holds (asker, target, digest);
CREATE INDEX holds_state ON holds (state, expires_at);
CREATE INDEX holds_ended ON holds (ended_at);
CREATE INDEX holds_created ON holds (created_at);
CREATE TABLE votes (
    hold TEXT NOT NULL REFERENCES holds (id) ON DELETE CASCADE, party TEXT NOT NULL, principal TEXT NOT NULL,
    approve INTEGER NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (hold, party)
) STRICT;
"""
_OVERDUE = "state IN ('pending', 'approved') AND expires_at <= :now"
_UNNOTED = f"{_OVERDUE} OR state = 'expired' AND noted = 0"


def use_wal(db: sqlite3.Connection, seconds: float) -> None:
    """Turn the write-ahead log on. Raises ValueError where the file system can't have one."""
    # Turning it on takes a lock that the busy handler doesn't wait for; at a first start several processes try.
    deadline = time.monotonic() + seconds
    mode = None
    while mode is None:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise ValueError(f"SQLite offers journal mode {mode} here; holds need WAL (a local file system)")


def migrate(db: sqlite3.Connection) -> None:
    """Make the tables in an empty file. Raises ValueError when the file is of another schema."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return
    if version != 0 or db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise ValueError(f"schema version {version}, expected {SCHEMA_VERSION}: not a holds database of this release")
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def unavailable(path: Path, error: sqlite3.Error) -> HoldsUnavailable:
    """What a database error means to the operator."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return HoldsUnavailable(
            f"{path}: {error}; stop the gateway, move the file away and start again: holds that wait are lost with it "
            "and nothing of theirs passes, the journal keeps every vote"
        )
    if code == sqlite3.SQLITE_FULL:
        return HoldsUnavailable(f"{path}: {error}; free space on its file system")
    return HoldsUnavailable(f"{path}: {error}")


def read(db: sqlite3.Connection, hold_id: str) -> Standing:
    """One hold as it is written. Raises UnknownHold."""
    row = db.execute("SELECT * FROM holds WHERE id = ?", (hold_id,)).fetchone()
    if row is None:
        raise UnknownHold(hold_id)
    return _standing(db, row)


def read_same(db: sqlite3.Connection, asker: Principal, target: str, digest: str) -> list[Standing]:
    """The live and denied holds of one asker for one action, newest first."""
    rows = db.execute(
        "SELECT * FROM holds WHERE asker = ? AND target = ? AND digest = ?"
        " AND state IN ('pending', 'approved', 'denied') ORDER BY created_at DESC",
        (codec.asker(asker), target, digest),
    ).fetchall()
    return [_standing(db, row) for row in rows]


def count_pending(db: sqlite3.Connection, principal: Principal, now: float) -> int:
    """How many holds of this issuer and subject wait, whomever they act for."""
    row = db.execute(
        "SELECT count(*) FROM holds WHERE state = 'pending' AND party = ? AND expires_at > ?",
        (codec.party(principal), now),
    ).fetchone()
    return int(row[0])


def read_state(db: sqlite3.Connection, state: HoldState | None, now: float, limit: int) -> list[Standing]:
    """Holds that are in `state` at `now`, written down or not, newest first; None for all."""
    if state is None:
        condition = "1"
    elif state is HoldState.EXPIRED:
        condition = f"state = :state OR {_OVERDUE}"
    elif state in machine.LIVE:
        condition = "state = :state AND expires_at > :now"
    else:
        condition = "state = :state"
    rows = db.execute(
        f"SELECT * FROM holds WHERE {condition} ORDER BY created_at DESC, id LIMIT :limit",  # noqa: S608 (constants)
        {"state": state.value if state else None, "now": now, "limit": limit},
    ).fetchall()
    return [_standing(db, row) for row in rows]


def has_due(db: sqlite3.Connection, now: float, keep_seconds: float) -> bool:
    """Whether `read_unnoted` or `forget` would find anything."""
    row = db.execute(
        f"SELECT EXISTS (SELECT 1 FROM holds WHERE {_UNNOTED})"  # noqa: S608 (a constant)
        " OR EXISTS (SELECT 1 FROM holds WHERE ended_at < :now - :keep)",
        {"now": now, "keep": keep_seconds},
    ).fetchone()
    return bool(row[0])


def read_unnoted(db: sqlite3.Connection, now: float) -> list[Standing]:
    """Expired holds, written down as such or not, that `note` has not marked, oldest first."""
    query = f"SELECT * FROM holds WHERE {_UNNOTED} ORDER BY created_at"  # noqa: S608 (a constant)
    return [_standing(db, row) for row in db.execute(query, {"now": now}).fetchall()]


def note(db: sqlite3.Connection, hold: Hold) -> None:
    """Mark an expiry as told."""
    db.execute("UPDATE holds SET noted = 1 WHERE id = ?", (hold.id,))


def forget(db: sqlite3.Connection, before: float) -> None:
    """Delete final holds that ended earlier than `before`, with their votes."""
    db.execute("DELETE FROM holds WHERE ended_at < ?", (before,))


def _standing(db: sqlite3.Connection, row: sqlite3.Row) -> Standing:
    votes = tuple(
        Vote(codec.load_principal(v["principal"]), bool(v["approve"]), v["reason"], v["at"])
        for v in db.execute("SELECT * FROM votes WHERE hold = ? ORDER BY at, rowid", (row["id"],))
    )
    hold = codec.load(
        hold_id=row["id"],
        state=row["state"],
        target=row["target"],
        digest=row["digest"],
        fixed=row["fixed"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        detached=bool(row["detached"]),
        votes=votes,
    )
    return Standing(hold, row["askers"])


def insert(db: sqlite3.Connection, standing: Standing) -> None:
    """Write a new hold."""
    h = standing.hold
    db.execute(
        "INSERT INTO holds (id, state, party, asker, target, digest, fixed, created_at, expires_at, detached, askers)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (h.id, h.state.value, codec.party(h.principal), codec.asker(h.principal), h.target, h.digest,
         codec.dump_fixed(h), h.created_at, h.expires_at, h.detached, standing.askers),
    )  # fmt: skip


def insert_vote(db: sqlite3.Connection, hold_id: str, vote: Vote) -> None:
    """Write a vote; the key refuses a person's second one."""
    db.execute(
        "INSERT INTO votes (hold, party, principal, approve, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
        (hold_id, codec.party(vote.approver), codec.dump_principal(vote.approver), vote.approve, vote.reason, vote.at),
    )


def update(db: sqlite3.Connection, standing: Standing, now: float) -> None:
    """Write what may change: state, detached, askers; and, with a final state, when it ended."""
    h = standing.hold
    ended = None if h.state in machine.LIVE else now
    db.execute(
        "UPDATE holds SET state = ?, detached = ?, askers = ?, ended_at = coalesce(ended_at, ?) WHERE id = ?",
        (h.state.value, h.detached, standing.askers, ended, h.id),
    )
