"""The tables of access.db: their schema, and tokens, passwords and freezes as rows."""

import json
import sqlite3

from extproc.access.model import AgentToken, Freeze, Password
from extproc.access.ports import AccessUnavailable
from extproc.access.register import Register
from extproc.adapters.sqlite import Form
from extproc.domain.principal import Kind
from extproc.protocols.postgres.auth.scram import Verifier

_PASSWORDS = """
CREATE TABLE passwords (
    id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, groups TEXT NOT NULL,
    acts_for TEXT, credential TEXT NOT NULL, targets TEXT, networks TEXT, note TEXT NOT NULL, verifier TEXT NOT NULL,
    issued_at REAL NOT NULL, expires_at REAL NOT NULL, revoked_at REAL, seal BLOB NOT NULL
) STRICT"""

# Lists are JSON; an issuer of '' is none, for NULLs would all be distinct in the key.
FORM = Form(
    "an access database",
    3,
    f"""
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, kind TEXT NOT NULL, groups TEXT NOT NULL, owner_issuer TEXT NOT NULL,
    owner_subject TEXT NOT NULL, targets TEXT, networks TEXT, note TEXT NOT NULL, issued_at REAL NOT NULL,
    expires_at REAL NOT NULL, revoked_at REAL, issued_by_issuer TEXT, issued_by_subject TEXT
) STRICT;
CREATE TABLE freezes (
    issuer TEXT NOT NULL, subject TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
{_PASSWORDS};
""",
    AccessUnavailable,
    "stop the gateway and restore the file from a backup; or move it and keys/tokens.key away and start again: no "
    "agent token counts then, and who was frozen must be frozen again (the journal has every freeze)",
    {
        # Who issued a token was not written down before.
        1: "ALTER TABLE tokens ADD COLUMN issued_by_issuer TEXT; ALTER TABLE tokens ADD COLUMN issued_by_subject TEXT",
        # There were no passwords.
        2: _PASSWORDS,
    },
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

    def add_password(self, password: Password) -> None:
        """See Ledger."""
        self._db.execute(
            "INSERT INTO passwords VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (password.id, password.issuer, password.subject, password.kind.value, json.dumps(password.groups),
             password.acts_for, password.credential, _dump(password.targets), _dump(password.networks), password.note,
             password.verifier.text(), password.issued_at, password.expires_at, password.revoked_at, password.seal),
        )  # fmt: skip

    def set_password_revoked(self, password_id: str, at: float) -> None:
        """See Ledger."""
        self._db.execute("UPDATE passwords SET revoked_at = ? WHERE id = ?", (at, password_id))

    def forget_passwords(self, before: float) -> None:
        """See Ledger."""
        self._db.execute("DELETE FROM passwords WHERE expires_at < ?", (before,))

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
        """See Ledger. Raises ValueError where a row does not read back: half of who counts is nobody known."""
        tokens = (_token(row) for row in self._db.execute("SELECT * FROM tokens"))
        passwords = (_password(row) for row in self._db.execute("SELECT * FROM passwords"))
        return Register({t.id: t for t in tokens}, self.freezes(), {p.id: p for p in passwords})


def _dump(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else json.dumps(names)


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"expected a list of names, found {text[:80]!r}")
    return tuple(names)


def _password(row: sqlite3.Row) -> Password:
    return Password(
        id=row["id"],
        issuer=row["issuer"],
        subject=row["subject"],
        kind=Kind(row["kind"]),
        groups=_names(row["groups"]),
        acts_for=row["acts_for"],
        credential=row["credential"],
        targets=None if row["targets"] is None else _names(row["targets"]),
        networks=None if row["networks"] is None else _names(row["networks"]),
        note=row["note"],
        verifier=Verifier.parse(row["verifier"]),
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        seal=row["seal"],
    )


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
