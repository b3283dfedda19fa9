"""The tables of access.db: their schema, and tokens and freezes as rows."""

import json
import sqlite3

from extproc.access.model import AgentToken, Freeze
from extproc.access.ports import AccessUnavailable
from extproc.access.register import Register
from extproc.adapters.sqlite import Form
from extproc.domain.principal import Kind

# Lists are JSON; an issuer of '' is none, for NULLs would all be distinct in the key.
FORM = Form(
    "an access database",
    2,
    """
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, kind TEXT NOT NULL, groups TEXT NOT NULL, owner_issuer TEXT NOT NULL,
    owner_subject TEXT NOT NULL, targets TEXT, networks TEXT, note TEXT NOT NULL, issued_at REAL NOT NULL,
    expires_at REAL NOT NULL, revoked_at REAL, issued_by_issuer TEXT, issued_by_subject TEXT
) STRICT;
CREATE TABLE freezes (
    issuer TEXT NOT NULL, subject TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
""",
    AccessUnavailable,
    "stop the gateway and restore the file from a backup; or move it and keys/tokens.key away and start again: no "
    "agent token counts then, and who was frozen must be frozen again (the journal has every freeze)",
    # Who issued a token was not written down before.
    {1: "ALTER TABLE tokens ADD COLUMN issued_by_issuer TEXT; ALTER TABLE tokens ADD COLUMN issued_by_subject TEXT"},
)


class Rows:
    """The Ledger over one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def token(self, token_id: str) -> AgentToken | None:
        """See Ledger."""
        row = self._db.execute("SELECT * FROM tokens WHERE id = ?", (token_id,)).fetchone()
        return _token(row) if row is not None else None

    def add_token(self, token: AgentToken) -> None:
        """See Ledger."""
        self._db.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (token.id, token.subject, token.kind.value, json.dumps(token.groups), *token.owner, _dump(token.targets),
             _dump(token.networks), token.note, token.issued_at, token.expires_at, token.revoked_at,
             *(token.issued_by or (None, None))),
        )  # fmt: skip

    def set_revoked(self, token_id: str, at: float) -> None:
        """See Ledger."""
        self._db.execute("UPDATE tokens SET revoked_at = ? WHERE id = ?", (at, token_id))

    def forget_tokens(self, before: float) -> None:
        """See Ledger."""
        self._db.execute("DELETE FROM tokens WHERE expires_at < ?", (before,))

    def freezes(self) -> tuple[Freeze, ...]:
        """See Ledger."""
        rows = self._db.execute("SELECT issuer, subject, by, reason, at FROM freezes ORDER BY at, rowid")
        return tuple(Freeze(issuer or None, *rest) for issuer, *rest in rows)

    def put_freeze(self, freeze: Freeze) -> None:
        """See Ledger."""
        values = (freeze.issuer or "", freeze.subject, freeze.by, freeze.reason, freeze.at)
        self._db.execute("INSERT INTO freezes VALUES (?, ?, ?, ?, ?)", values)

    def remove_freeze(self, freeze: Freeze) -> None:
        """See Ledger."""
        self._db.execute("DELETE FROM freezes WHERE issuer = ? AND subject = ?", (freeze.issuer or "", freeze.subject))

    def register(self) -> Register:
        """Everything. Raises ValueError where a row does not read back: half of who counts is nobody known."""
        tokens = (_token(row) for row in self._db.execute("SELECT * FROM tokens"))
        return Register({token.id: token for token in tokens}, self.freezes())


def _dump(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else json.dumps(names)


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"expected a list of names, found {text[:80]!r}")
    return tuple(names)


def _token(row: sqlite3.Row) -> AgentToken:
    return AgentToken(
        id=row["id"],
        subject=row["subject"],
        kind=Kind(row["kind"]),
        groups=_names(row["groups"]),
        owner=(row["owner_issuer"], row["owner_subject"]),
        targets=None if row["targets"] is None else _names(row["targets"]),
        networks=None if row["networks"] is None else _names(row["networks"]),
        note=row["note"],
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        issued_by=None if row["issued_by_subject"] is None else (row["issued_by_issuer"], row["issued_by_subject"]),
    )
