"""A trail to search: two agents, two workers, a hold with its vote, masked values, recorded bodies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.audit.frame import Record
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.domain.decision import Recording as Mode

START = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


@dataclass
class Clock:
    """A clock that tests move; each look moves it by `step`."""

    now: float = START
    step: float = 0.001

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Trail:
    """Journals of one state folder, and what is recorded beside them."""

    def __init__(self, state: Path) -> None:
        self.state, self.clock = state, Clock()
        self.shelf = Shelf(state / "bodies", b"k" * 32)
        self._open: dict[str, FileJournal] = {}
        self._recorders: dict[str, Recorder] = {}

    def __getitem__(self, stream: str) -> FileJournal:
        if stream not in self._open:
            self._open[stream] = FileJournal(self.state / "journal" / stream, stream, self.clock, 0)
        return self._open[stream]

    def close(self) -> None:
        """Let all journals go."""
        for journal in self._open.values():
            journal.close()
        self._open.clear()

    def ask(
        self, id_: str, who: str = "agent-7", session: str = "s-1", worker: str = "worker-0", **members: Any
    ) -> str:
        """A decision; `members` are those of `decision`. Gives its id of 24 digits."""
        full = id_.ljust(24, "0")
        self[worker].append("decision", decision(full, who, session, **members))
        return full

    def answer(
        self,
        id_: str,
        worker: str = "worker-0",
        *,
        request: bytes = b"",
        response: bytes = b"",
        type_: str = "application/json",
        coding: str = "",
        index: bool = False,
        mode: Mode = Mode.FULL,
        head_bytes: int = 0,
        **members: Any,
    ) -> dict[str, Any]:
        """A delivery, with the bodies recorded; its record's body."""
        if worker not in self._recorders:
            self._recorders[worker] = Recorder(self.shelf, worker, self[worker].append)
        recording = self._recorders[worker].begin(id_, mode, head_bytes)
        for lane, data in (("request", request), ("response", response)):
            headers = [("content-type", type_)] + ([("content-encoding", coding)] if coding else [])
            recording.head(lane, headers, [], [])
            recording.write(lane, data)
        kept: Any = recording.finish()
        for said in kept["bodies"].values():
            said["index"] = index
        body: dict[str, Any] = {
            "decision": id_,
            "status": 200,
            "bytes": {"request": len(request), "response": len(response)},
            "masked": {},
            "outcome": "completed",
            "duration_us": 1500,
        }
        body = {**body, "bodies": kept["bodies"], "heads": kept["heads"], **members}
        self[worker].append("delivery", body)
        recording.settle()
        return body

    def records(self, kind: str) -> list[Record]:
        """All records of a kind."""
        return [r for path in sorted((self.state / "journal").iterdir()) for r in records(path) if r.kind == kind]


def common(who: str, session: str, target: str = "crm") -> dict[str, Any]:
    """What a session's records have in common."""
    return {
        "session": session,
        "principal": {"issuer": "https://id.example", "subject": who, "kind": "agent", "groups": [], "acts_for": "ann"},
        "target": {"name": target, "protocol": "http", "environment": "test"},
        "source": {"address": "127.0.0.1"},
    }


def decision(
    id_: str,
    who: str,
    session: str,
    *,
    effect: str = "allow",
    target: str = "crm",
    verb: str = "POST",
    resource: str = "/customers",
    policy: str = "http.writes",
    message: str = "a write needs a ticket",
    text: str = "",
    **members: Any,
) -> dict[str, Any]:
    """The body of a decision's record."""
    reason: dict[str, Any] = {
        "policy": policy, "code": "needs-ticket", "message": message, "severity": "high", "mode": "enforce",
        "effect": effect,
    }  # fmt: skip
    return {
        **common(who, session, target),
        "request": f"request-{id_}",
        "action": {
            "protocol": "http", "verb": verb, "resource": resource, "digest": "a" * 64,
            "summary": {"host": "crm.internal", "content_type": "", "size": 0, "body": text},
        },
        "decision": {
            "schema": 1, "id": id_, "effect": effect, "revision": "r1", "reasons": [reason],
            "obligations": {"mask": [], "approval": [], "record": "full"},
        },
        "outcome": "granted" if effect == "allow" else "blocked",
        "hold": None, "approvers": [], "trace": None, "timings_us": {"policy": 800},
        **members,
    }  # fmt: skip


TRACE = "0af7651916cd43dd8448eb211c80319c"
DIRTY = "\x1b[2Jevil\u202e"


def fill(trail: Trail) -> Trail:
    """Three sessions of two agents: allowed, masked, held and approved, blocked."""
    w = trail["worker-0"]
    w.append("session", {**common("agent-7", "s-1"), "what": "opened"})
    one = trail.ask("a1", text="list invoices of Müller")
    trail.answer(
        one, request=json.dumps({"ask": "invoices"}).encode(), response=b'{"total": 3, "names": ["M\xc3\xbcller"]}'
    )
    trail.clock.now += 5
    two = trail.ask("a2", target="openai", resource="/v1/chat", policy="llm.pii")
    trail.answer(
        two,
        request=b'{"prompt": "mail [masked:email] the zebra report"}',
        response=b'{"text": "done \\u001b[31m"}',
        index=True,
        masked={"request": {"email": 1}},
    )
    trail.clock.now += 60
    control, hold = trail["control"], "f" * 16
    control.append("hold", {**common("agent-7", "s-1"), "hold": hold, "state": "pending"})
    vote: dict[str, Any] = {
        "hold": hold,
        "approver": {"issuer": "https://people", "subject": "bob"},
        "approve": True,
        "reason": "ok 4711",
    }
    control.append("vote", {**common("agent-7", "s-1"), **vote, "state": "approved"})
    three = trail.ask(
        "a3", verb="DELETE", resource="/customers/7", hold=hold, timings_us={"policy": 800, "hold": 42_000_000},
        trace={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
    )  # fmt: skip
    trail.answer(three, response=bytes(range(256)), type_="image/png")
    w.append("session", {**common("agent-7", "s-1"), "what": "closed", "exchanges": 3, "why": "idle"})
    trail.ask("b1", DIRTY, "s-2", "worker-1", effect="block", resource=f"/{DIRTY}", message="unbounded delete")
    four = trail.ask("c1", "agent-7", "s-3", "worker-1", target="git", verb="GET", resource="/repo")
    trail.answer(four, "worker-1")
    return trail
