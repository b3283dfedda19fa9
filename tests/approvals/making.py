"""Values for tests about holds: people, agents, actions, decisions, keys and tokens."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from extproc.domain.action import Action
from extproc.domain.decision import Approval, Decision, Effect, Mode, Reason, Severity
from extproc.domain.hold import Hold, HoldState
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Protocol

AGENTS = "https://agents.test"
PEOPLE = "https://people.test"
AUDIENCE = "holdpoint-approvals"
NOW = 1_700_000_000.0
DBA = Approval("http.writes", "dba", 1, 900)
TWO_DBAS = Approval("http.writes", "dba", 2, 900)
SECURITY = Approval("http.secrets", "security", 1, 60)


def agent(name: str = "bot", acts_for: str | None = None) -> Principal:
    """An agent, perhaps acting for someone."""
    return Principal(AGENTS, name, Kind.AGENT, (), acts_for)


def person(name: str, *groups: str, issuer: str = PEOPLE, acts_for: str | None = None) -> Principal:
    """A person in some groups."""
    return Principal(issuer, name, Kind.HUMAN, groups, acts_for)


def action(digest: str = "d1", summary: Document | None = None) -> Action:
    """An action with this digest."""
    shown = summary or {"host": "crm", "body": "an excerpt"}
    return Action(
        Protocol.HTTP, "DELETE", "/customers/7", {}, shown, lambda masks: "DELETE /customers/7\n\nall of it", digest
    )


def decision(*approvals: Approval) -> Decision:
    """A decision to hold for these approvals."""
    reason = Reason("http.writes", "delete", "deleting needs a DBA", Severity.HIGH, Mode.ENFORCE, Effect.HOLD)
    return Decision("dec-1", Effect.HOLD, "rev-1", (reason,), (), approvals)


def hold(
    *requirements: Approval,
    state: HoldState = HoldState.PENDING,
    asker: Principal | None = None,
    detached: bool = False,
) -> Hold:
    """A hold opened at NOW that expires 60 s later."""
    what = action()
    return Hold(
        id="0123456789abcdef",
        state=state,
        principal=asker or agent(),
        target="crm",
        verb=what.verb,
        resource=what.resource,
        digest=what.digest,
        revision="rev-1",
        decision=decision(*requirements).document(),
        summary=what.summary,
        requirements=requirements,
        created_at=NOW,
        expires_at=NOW + 60,
        detached=detached,
    )


class Clock:
    """A clock that tests set."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MemoryJournal:
    """A journal that keeps records in a list, or refuses them while `broken`."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Document]] = []
        self.broken = False
        self.written = threading.Event()

    def append(self, kind: str, body: Document) -> int:
        """Keep a record."""
        if self.broken:
            raise JournalUnwritable("disk full")
        self.records.append((kind, body))
        self.written.set()
        return len(self.records)


class Issuer:
    """An issuer of tokens with one EC key, whose public half it can write as a key set."""

    def __init__(self, issuer: str = PEOPLE, kid: str = "k1") -> None:
        self.issuer, self.kid = issuer, kid
        self.key = ec.generate_private_key(ec.SECP256R1())

    def jwk(self) -> dict[str, Any]:
        """The public key."""
        public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig", "alg": "ES256"}

    def write(self, path: Path, *others: "Issuer") -> Path:
        """Write the key set of this and other issuers."""
        path.write_text(json.dumps({"keys": [i.jwk() for i in (self, *others)]}))
        return path

    def token(self, subject: str = "dana", groups: object = ("dba",), **changes: Any) -> str:
        """A good token, with `changes` to its claims (None leaves one out)."""
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "groups": groups,
            "exp": int(time.time()) + 600,
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.key, "ES256", {"kid": self.kid})
