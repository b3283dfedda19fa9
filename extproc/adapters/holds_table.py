"""The tables of holds.db: their schema, and holds as rows. Everything here runs inside the store's thread."""

import json
import sqlite3

from extproc.adapters.sqlite import Form
from extproc.approvals import codec, machine
from extproc.approvals.ports import HoldsUnavailable, Question, Standing, Tally, UnknownHold
from extproc.domain.hold import Hold, HoldState, Vote
from extproc.domain.principal import Principal

_SCHEMA = """
CREATE TABLE holds (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, party TEXT NOT NULL, asker TEXT NOT NULL, target TEXT NOT NULL,
    verb TEXT NOT NULL, resource TEXT NOT NULL, digest TEXT NOT NULL, fixed TEXT NOT NULL, created_at REAL NOT NULL,
    expires_at REAL NOT NULL, ended_at REAL, detached INTEGER NOT NULL, askers INTEGER NOT NULL,
    noted INTEGER NOT NULL DEFAULT 0, request TEXT
) STRICT;
CREATE UNIQUE INDEX holds_live ON holds (asker, target, digest) WHERE state IN ('pending', 'approved');
CREATE INDEX holds_same ON holds (asker, target, digest);
CREATE INDEX holds_state ON holds (state, expires_at);
CREATE INDEX holds_ended ON holds (ended_at);
CREATE INDEX holds_created ON holds (created_at);
CREATE INDEX holds_party ON holds (party, ended_at);
CREATE TABLE hold_groups (
    name TEXT NOT NULL, hold TEXT NOT NULL REFERENCES holds (id) ON DELETE CASCADE, PRIMARY KEY (name, hold)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_groups_hold ON hold_groups (hold);
CREATE TABLE votes (
    hold TEXT NOT NULL REFERENCES holds (id) ON DELETE CASCADE, party TEXT NOT NULL, principal TEXT NOT NULL,
    approve INTEGER NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (hold, party)
) STRICT;
"""
FORM = Form(
    "a holds database",
    2,
    _SCHEMA,
    HoldsUnavailable,
    "stop the gateway, move the file away and start again: holds that wait are lost with it and nothing of theirs "
    "passes, the journal keeps every vote",
)
_OVERDUE = "state IN ('pending', 'approved') AND expires_at <= :now"
_UNNOTED = f"{_OVERDUE} OR state = 'expired' AND noted = 0"
# All that makes a hold but the text that people read, which may be large.
_WITHOUT_TEXT = (
    "id, state, target, verb, resource, digest, fixed, NULL AS request, created_at, expires_at, detached, askers"
)


def read(db: sqlite3.Connection, hold_id: str) -> Standing:
    """One hold as it is written. Raises UnknownHold."""
    row = db.execute("SELECT * FROM holds WHERE id = ?", (hold_id,)).fetchone()
    if row is None:
        raise UnknownHold(hold_id)
    return _standing(db, row)


def read_same(db: sqlite3.Connection, question: Question) -> list[Standing]:
    """The live and denied holds of one asker for one action, newest first."""
    rows = db.execute(
        "SELECT * FROM holds WHERE asker = ? AND target = ? AND digest = ?"
        " AND state IN ('pending', 'approved', 'denied') ORDER BY created_at DESC",
        (codec.asker(question.asker), question.target, question.digest),
    ).fetchall()
    return [_standing(db, row) for row in rows]


def tally(db: sqlite3.Connection, question: Question, now: float, window_seconds: float) -> Tally:
    """What the asker's issuer and subject have in the store; the window ends at `now`."""
    row = db.execute(
        "SELECT count(*) FILTER (WHERE state = 'pending' AND expires_at > :now),"
        " count(*) FILTER (WHERE created_at > :since),"
        " count(*) FILTER (WHERE state = 'denied' AND ended_at > :since"
        " AND target = :target AND verb = :verb AND resource = :resource)"
        " FROM holds WHERE party = :party",
        {
            "now": now,
            "since": now - window_seconds,
            "target": question.target,
            "verb": question.verb,
            "resource": question.resource,
            "party": codec.party(question.asker),
        },
    ).fetchone()
    return Tally(*row)


def read_page(
    db: sqlite3.Connection,
    state: HoldState | None,
    groups: frozenset[str] | None,
    after: str | None,
    now: float,
    limit: int,
) -> tuple[list[Standing], int]:
    """Holds that are in `state` at `now`, written down or not, None for all, without the text of requests; and how
    many come after them. Pending ones oldest first, others newest first. Raises UnknownHold for `after`."""
    if state is None:
        condition = "1"
    elif state is HoldState.EXPIRED:
        condition = f"state = :state OR {_OVERDUE}"
    elif state in machine.LIVE:
        condition = "state = :state AND expires_at > :now"
    else:
        condition = "state = :state"
    condition = f"({condition})"
    if groups is not None:
        names = "(SELECT value FROM json_each(:groups))"
        condition += f" AND id IN (SELECT hold FROM hold_groups WHERE name IN {names})"  # noqa: S608 (a constant)
    further, direction = (">", "ASC") if state is HoldState.PENDING else ("<", "DESC")
    values = {"state": state.value if state else None, "now": now, "groups": json.dumps(sorted(groups or ()))}
    if after is not None:
        last = db.execute("SELECT created_at FROM holds WHERE id = ?", (after,)).fetchone()
        if last is None:
            raise UnknownHold(after)
        condition += f" AND (created_at, id) {further} (:last, :after)"
        values |= {"last": last["created_at"], "after": after}
    rows = db.execute(
        f"SELECT {_WITHOUT_TEXT} FROM holds WHERE {condition}"  # noqa: S608 (constants)
        f" ORDER BY created_at {direction}, id {direction} LIMIT :limit",
        values | {"limit": limit},
    ).fetchall()
    count = f"SELECT count(*) FROM holds WHERE {condition}"  # noqa: S608 (constants)
    (found,) = db.execute(count, values).fetchone()
    return [_standing(db, row) for row in rows], found - len(rows)


def has_due(db: sqlite3.Connection, now: float, keep_seconds: float) -> bool:
    """Whether `read_unnoted` or `forget` would find anything."""
    row = db.execute(
        f"SELECT EXISTS (SELECT 1 FROM holds WHERE {_UNNOTED})"  # noqa: S608 (a constant)
        " OR EXISTS (SELECT 1 FROM holds WHERE ended_at < :now - :keep)",
        {"now": now, "keep": keep_seconds},
    ).fetchone()
    return bool(row[0])


def read_live(db: sqlite3.Connection, now: float) -> list[Standing]:
    """Holds that wait or are approved and unused at `now`, oldest first."""
    condition = "state IN ('pending', 'approved') AND expires_at > :now"
    query = f"SELECT {_WITHOUT_TEXT} FROM holds WHERE {condition} ORDER BY created_at"  # noqa: S608 (constants)
    return [_standing(db, row) for row in db.execute(query, {"now": now}).fetchall()]


def read_unnoted(db: sqlite3.Connection, now: float) -> list[Standing]:
    """Expired holds, written down as such or not, that `note` has not marked, oldest first."""
    query = f"SELECT {_WITHOUT_TEXT} FROM holds WHERE {_UNNOTED} ORDER BY created_at"  # noqa: S608 (constants)
    return [_standing(db, row) for row in db.execute(query, {"now": now}).fetchall()]


def note(db: sqlite3.Connection, hold: Hold) -> None:
    """Mark an expiry as told."""
    db.execute("UPDATE holds SET noted = 1 WHERE id = ?", (hold.id,))


def forget(db: sqlite3.Connection, before: float) -> None:
    """Delete final holds that ended earlier than `before`, with their votes."""
    db.execute("DELETE FROM holds WHERE ended_at < ?", (before,))


def forget_more(db: sqlite3.Connection, principal: Principal, now: float, window_seconds: float, keep: int) -> None:
    """Delete the ended holds of one issuer and subject but for the newest `keep`. What is still counted, stands as a
    denial or has an expiry to be told stays."""
    db.execute(
        "DELETE FROM holds WHERE id IN (SELECT id FROM holds WHERE party = :party AND ended_at IS NOT NULL"
        " ORDER BY ended_at DESC LIMIT -1 OFFSET :keep)"
        " AND created_at <= :since AND ended_at <= :since"
        " AND NOT (state = 'denied' AND expires_at > :now) AND NOT (state = 'expired' AND noted = 0)",
        {"party": codec.party(principal), "keep": keep, "since": now - window_seconds, "now": now},
    )


def _standing(db: sqlite3.Connection, row: sqlite3.Row) -> Standing:
    votes = tuple(
        Vote(codec.load_principal(v["principal"]), bool(v["approve"]), v["reason"], v["at"])
        for v in db.execute("SELECT * FROM votes WHERE hold = ? ORDER BY at, rowid", (row["id"],))
    )
    hold = codec.load(
        hold_id=row["id"],
        state=row["state"],
        target=row["target"],
        verb=row["verb"],
        resource=row["resource"],
        digest=row["digest"],
        fixed=row["fixed"],
        request=row["request"],
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
        "INSERT INTO holds (id, state, party, asker, target, verb, resource, digest, fixed, request, created_at,"
        " expires_at, detached, askers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (h.id, h.state.value, codec.party(h.principal), codec.asker(h.principal), h.target, h.verb, h.resource,
         h.digest, codec.dump_fixed(h), h.summary.get(machine.REQUEST), h.created_at, h.expires_at, h.detached,
         standing.askers),
    )  # fmt: skip
    groups = {(r.group, h.id) for r in h.requirements}
    db.executemany("INSERT INTO hold_groups (name, hold) VALUES (?, ?)", sorted(groups))


def insert_vote(db: sqlite3.Connection, hold_id: str, vote: Vote) -> None:
    """Write a vote; the key refuses a person's second one."""
    db.execute(
        "INSERT INTO votes (hold, party, principal, approve, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
        (hold_id, codec.party(vote.approver), codec.dump_principal(vote.approver), vote.approve, vote.reason, vote.at),
    )


def update(db: sqlite3.Connection, standing: Standing, now: float) -> None:
    """Write what may change: state, detached, askers; and, with a final state, when it ended. The text that people
    read then goes: it is all that is large."""
    h = standing.hold
    ended = None if h.state in machine.LIVE else now
    db.execute(
        "UPDATE holds SET state = :state, detached = :detached, askers = :askers,"
        " ended_at = coalesce(ended_at, :ended), request = iif(:ended IS NULL, request, NULL) WHERE id = :id",
        {"state": h.state.value, "detached": h.detached, "askers": standing.askers, "ended": ended, "id": h.id},
    )
