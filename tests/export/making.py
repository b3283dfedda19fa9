"""A state folder with a story in it: what an agent asked of a CRM, recorded as the gateway records it."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from extproc.audit.bodies.address import address_of, place, salt_of
from extproc.audit.bodies.coding import Coder, salt_frame
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.checkpoints import Checkpoints
from extproc.audit.export.bundle import Source
from extproc.audit.export.exchange import Session
from extproc.audit.export.recorded import Recorded
from extproc.audit.frame import Record
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer, make
from extproc.audit.reader import Joined, records, streams
from extproc.domain.decision import Recording as Mode

HEAD_BYTES = 64
START = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC).timestamp()
BOT = {
    "issuer": "https://login.example.com/realms/agents",
    "subject": "crm-bot",
    "kind": "agent",
    "groups": ["agents", "support-automation"],
    "acts_for": "https://login.example.com/realms/people maria.lopez@example.com",
    "credential": "0f8a41",
}
OTHER = {**BOT, "subject": "billing-bot", "acts_for": None}
APPROVER = {"issuer": "https://login.example.com/realms/people", "subject": "j.okafor@example.com", "kind": "human"}
CRM = {"name": "crm", "protocol": "http", "environment": "production"}
REVISION = "2026-02-27T16:02:11Z-9c1e"
SESSION = "c2f1a7d09b3e4458a6d1b0c4e7f29a13"


def reason(policy: str, code: str, message: str, effect: str, severity: str = "info", mode: str = "enforce") -> Any:
    """One reason of a decision."""
    return {
        "policy": policy, "code": code, "message": message, "severity": severity, "mode": mode, "effect": effect
    }  # fmt: skip


@dataclass
class World:
    """A journal under way. `now` is its clock, in seconds since the epoch."""

    state: Path
    now: float = START
    sync: float = 0.0
    made: int = 0
    journals: dict[str, FileJournal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = self.state / "keys"
        keys.mkdir(parents=True)
        self.signer: Signer = make(keys / "audit.key", keys / "audit.pub")

    def journal(self, stream: str, **more: Any) -> FileJournal:
        """The writer of a stream."""
        if stream not in self.journals:
            folder = self.state / "journal" / stream
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.journals[stream] = FileJournal(
                folder, stream, lambda: self.now, self.sync, signer=self.signer, **more
            )  # fmt: skip
        return self.journals[stream]

    def checkpoint(self) -> None:
        """Sign the heads of all streams."""
        self.now += 1
        chore = Checkpoints(self.state, self.journal("archivist"), self.signer, (), 60.0, lambda: self.now)
        chore.step()
        chore._db.close()

    def close(self) -> None:
        """Close every stream, which seals it."""
        for journal in self.journals.values():
            journal.close()
        self.journals.clear()

    def common(self, who: dict[str, Any] = BOT, session: str = SESSION) -> dict[str, Any]:
        """What records of an exchange have in common."""
        self.made += 1
        return {
            "at": self.stamp(),
            "request": f"req-{self.made:04d}",
            "session": session,
            "principal": who,
            "target": CRM,
            "source": {"address": "10.20.0.17"},
            "trace": {},
        }

    def digest(self, ahead: int = 0) -> str:
        """The digest of the last action, or of one that is so many records of exchanges ahead."""
        return _random("action", self.made + ahead)

    def stamp(self) -> str:
        """Now, as records write it."""
        return datetime.fromtimestamp(self.now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def act(
        self,
        verb: str,
        path: str,
        *,
        reasons: list[Any],
        effect: str = "allow",
        outcome: str = "granted",
        who: dict[str, Any] = BOT,
        session: str = SESSION,
        hold: str | None = None,
        request: bytes = b"",
        response: bytes = b"",
        status: int = 200,
        kind: str = "application/json",
        masked: dict[str, Any] | None = None,
        mode: Mode = Mode.FULL,
        timings: dict[str, int] | None = None,
        stream: str = "worker-0",
        target: str = "crm",
    ) -> str:
        """A decision and its delivery; gives the decision's id."""
        self.now += 2.25
        common = self.common(who, session) | {"target": {**CRM, "name": target}}
        decision, digest = _random("decision", self.made)[:24], self.digest()
        said: dict[str, Any] = {
            "schema": 1, "id": decision, "effect": effect, "revision": REVISION, "reasons": reasons,
            "obligations": {"mask": [], "approval": [], "record": mode.value},
        }  # fmt: skip
        asked: dict[str, Any] = {"protocol": "http", "verb": verb, "resource": path, "digest": digest}
        asked["summary"] = {"host": "crm.internal", "content_type": kind, "size": len(request)}
        self.journal(stream).append(
            "decision",
            {
                **common, "action": asked, "decision": said, "outcome": outcome, "hold": hold,
                "approvers": [APPROVER] if hold and outcome == "granted" else [],
                "timings_us": timings or {"policy": 740},
            },
        )  # fmt: skip
        refused = outcome != "granted"
        kept = {"response": self._kept(response, kind, mode)}
        if not refused:
            kept["request"] = self._kept(request, kind, mode)
        self.now += 0.18
        self.journal(stream).append(
            "delivery",
            {
                **common, "decision": decision, "status": status,
                "bytes": {"request": 0 if refused else len(request), "response": len(response)},
                "masked": masked or {}, "outcome": f"refused:{outcome}" if refused else "completed",
                "duration_us": 181_000, "bodies": kept,
                "heads": {lane: [["content-type", kind]] for lane, found in kept.items() if found["bytes"]},
            },
        )  # fmt: skip
        return decision

    def _kept(self, data: bytes, kind: str, mode: Mode) -> dict[str, Any]:
        """A body on its shelf; gives what the delivery says of it."""
        part = data[: {Mode.FULL: len(data), Mode.HEAD: HEAD_BYTES, Mode.METADATA: 0}[mode]]
        facts = {"mode": mode.value, "bytes": len(data), "kept": len(part), "type": kind}
        if not part:
            return facts
        digest = sha256(part).digest()
        salt = salt_of(b"k" * 32, digest)
        where = place(self.state / "bodies", address_of(salt, digest))
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(Coder().frame(part) + salt_frame(salt))
        return {**facts, "address": address_of(salt, digest)}

    def held(self, hold: str, state: str, digest: str, stream: str = "worker-0") -> None:
        """A record of a hold's state."""
        common: dict[str, Any] = self.common() if stream != "control" else {"at": self.stamp(), "principal": BOT}
        until = datetime.fromtimestamp(self.now + 900, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        self.journal(stream).append(
            "hold",
            {
                **common, "target": {"name": "crm"}, "hold": hold, "state": state, "digest": digest,
                "revision": REVISION, "expires_at": until,
                "requirements": [{"policy": "http.writes", "group": "crm-owners", "quorum": 1}],
            },
        )  # fmt: skip

    def vote(self, hold: str, digest: str, approve: bool, why: str) -> None:
        """A person's answer."""
        self.journal("control").append(
            "vote",
            {
                "at": self.stamp(), "principal": BOT, "target": {"name": "crm"}, "hold": hold, "digest": digest,
                "approver": APPROVER, "approve": approve, "reason": why,
                "state": "approved" if approve else "denied",
            },
        )  # fmt: skip


def story(world: World) -> None:
    """A session with every effect in it, among what others did."""
    journal = world.journal("worker-0")
    journal.append("session", {**world.common(), "what": "opened"})
    fine = [reason("http.reads", "read", "Reads of the CRM are allowed", "allow")]
    customers = {
        "customers": [
            {"id": 7, "name": "Ada Ruiz", "email": "[masked:email]", "card": "[masked:card]", "open_tickets": 2},
            {"id": 12, "name": "Bo Lindqvist", "email": "[masked:email]", "card": "[masked:card]", "open_tickets": 0},
        ],
        "next": None,
    }
    shadow = reason("http.volume", "many-rows", "More than one customer at a time", "hold", "medium", "shadow")
    masks = {"response": {"email": 2, "card": 2}}
    world.act("GET", "/customers?open=1", reasons=[*fine, shadow], response=body(customers), masked=masks)
    world.act("GET", "/customers/7", reasons=fine, who=OTHER, session="f" * 32, response=body({"id": 7}))
    world.act(
        "POST", "/customers/7/notes",
        reasons=[reason("http.notes", "note", "Notes may be added", "allow")],
        request=body({"text": "Customer asked to close the account. Caller ID [masked:phone]."}),
        response=body({"id": 9312, "created": True}), status=201, masked={"request": {"phone": 1}},
    )  # fmt: skip
    world.now += 3
    hold, digest = "a41f09c2d7e85b36", world.digest(2)
    world.held(hold, "pending", digest)
    world.now += 192.4
    world.vote(hold, digest, True, "Account closure confirmed by phone, ticket CRM-2210")
    world.held(hold, "approved", digest, "control")
    held = reason("http.writes", "approved", "Approved: deleting a customer needs an owner's approval", "allow", "high")
    world.act(
        "DELETE", "/customers/7", reasons=[held], hold=hold, response=b"", status=204,
        timings={"policy": 1480, "hold": 192_400_000},
    )  # fmt: skip
    world.act(
        "GET", "/export/all.csv", effect="block", outcome="blocked", status=403,
        reasons=[reason("http.bulk", "bulk-export", "Bulk exports are not for agents", "block", "critical")],
        response=body({"type": "about:blank", "title": "Blocked", "code": "bulk-export"}),
        kind="application/problem+json",
    )  # fmt: skip
    journal.append("session", {**world.common(), "what": "closed", "exchanges": 5})


def _random(what: str, number: int) -> str:
    """What looks random, and is the same each time: 64 hex digits."""
    return sha256(f"{what} {number}".encode()).hexdigest()


def body(document: object) -> bytes:
    """JSON as a server sends it."""
    return json.dumps(document, separators=(",", ":")).encode()


def session(state: Path, key: str = SESSION) -> Session:
    """The session as the library gives it."""

    def exchanges() -> Iterator[Joined]:
        told = [record for folder in streams(state) for record in records(folder)]
        for one in told:
            if one.kind == "decision" and one.body["session"] == key:
                id_, hold = one.body["decision"]["id"], one.body.get("hold")
                ended = [r for r in told if r.kind == "delivery" and r.body["decision"] == id_]
                waited = sorted((r for r in told if hold and r.body.get("hold") == hold), key=lambda record: record.at)
                holds = [r for r in waited if r.kind == "hold"]
                yield Joined(one, ended[-1] if ended else None, holds, [r for r in waited if r.kind == "vote"])

    def others() -> Iterator[Record]:
        for folder in streams(state):
            for record in records(folder):
                if record.body.get("session") == key and record.kind in ("session", "recording"):
                    yield record

    return Session(f"session {key[:16]}", exchanges, others)


def source(world: World, signed: bool = True) -> Source:
    """Where bundles of this world are made from."""
    pem = (world.state / "keys" / "audit.pub").read_bytes()
    bodies = Recorded(Bodies(BodyFolder(world.state / "bodies")))
    return Source(
        world.state / "journal", bodies, {world.signer.key_id: pem}, world.signer if signed else None
    )  # fmt: skip


def month(world: World, actions: int = 400) -> None:
    """Weeks of several agents, with what administrators did meanwhile. Always the same."""
    dice = random.Random(20260302)
    boss: dict[str, Any] = {"issuer": APPROVER["issuer"], "subject": "s.haddad@example.com", "kind": "human"}
    supervisor, control = world.journal("supervisor"), world.journal("control")
    supervisor.append("config", {"what": "started", "file": "/etc/holdpoint/holdpoint.yaml", "by": boss})
    supervisor.append("policy", {"what": "loaded", "revision": REVISION, "folder": "/etc/holdpoint/policies"})
    agents = [
        {**BOT, "subject": name, "acts_for": None} for name in ("crm-bot", "billing-bot", "release-bot", "triage-bot")
    ]
    reads = [reason("http.reads", "read", "Reads are allowed", "allow")]
    shadow = reason("http.volume", "many-rows", "More than one customer at a time", "hold", "medium", "shadow")
    bulk = [reason("http.bulk", "bulk-export", "Bulk exports are not for agents", "block", "critical")]
    secrets = [reason("llm.secrets", "secret-in-prompt", "A credential in a prompt", "block", "high")]
    ok = [reason("http.writes", "approved", "Approved: a write needs an owner's approval", "allow", "high")]
    hold = [reason("http.writes", "write", "A write needs an owner's approval", "hold", "high")]
    for n in range(actions):
        world.now += dice.expovariate(1 / 4000)
        who, target = dice.choice(agents), dice.choice(("crm", "crm", "billing", "openai", "github"))
        luck, stream = dice.random(), dice.choice(("worker-0", "worker-1"))
        common: dict[str, Any] = {"who": who, "target": target, "stream": stream, "session": f"{n:032x}"}
        if luck < 0.62:
            masked = {"response": {dice.choice(("email", "card", "phone")): dice.randint(1, 9)}} if luck < 0.2 else {}
            world.act("GET", f"/items/{n}", reasons=[*reads, shadow][: 1 + (luck < 0.1)], masked=masked, **common)
        elif luck < 0.78:
            why = secrets if target == "openai" else bulk
            world.act("POST", "/bulk", reasons=why, effect="block", outcome="blocked", status=403, **common)
        elif luck < 0.93:
            name, digest = _random("hold", n)[:16], world.digest(2)
            world.held(name, "pending", digest, stream)
            world.now += dice.expovariate(1 / 240) + 5
            approve = dice.random() < 0.8
            world.vote(name, digest, approve, "checked with the owner" if approve else "not during the freeze")
            world.held(name, "approved" if approve else "denied", digest, "control")
            if approve:
                world.act("PATCH", f"/items/{n}", reasons=ok, hold=name, status=200, **common)
            else:
                world.act("PATCH", f"/items/{n}", reasons=hold, effect="hold", outcome="denied", hold=name,
                          status=403, **common)  # fmt: skip
        else:
            knock: dict[str, Any] = {
                "at": world.stamp(),
                "code": "token-expired",
                "source": {"address": "10.20.0.44"},
                "more": 3,
            }
            world.journal(stream).append("refusal", knock)
        if n == actions // 3:
            supervisor.append("policy", {"what": "loaded", "revision": "2026-03-11T08:40:02Z-51aa", "folder": "/etc"})
            control.append("freeze", {"at": world.stamp(), "what": "frozen", "by": boss, "subject": "triage-bot"})
        if n == actions // 2:
            control.append("token", {"at": world.stamp(), "what": "issued", "by": boss, "subject": "release-bot"})
            reading: dict[str, Any] = {"at": world.stamp(), "what": "read", "by": APPROVER, "session": SESSION[:16]}
            control.append("reading", reading)
            control.append("export", {**reading, "what": "bundle"})
