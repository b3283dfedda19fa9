"""Stories: journals as the gateway writes them, at times that a test chooses, and what policy makes of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from extproc import resources
from extproc.adapters.opa import bundle, check, library
from extproc.adapters.opa.binary import OpaMissing, find_opa
from extproc.adapters.signals import Watcher, WatchPace
from extproc.adapters.signals_reader import SignalsReader
from extproc.audit.journal import FileJournal
from extproc.domain.decision import Decision, Effect, Mode, Reason, Severity, parse
from extproc.domain.json import Document
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import NOWHERE, Protocol, Target

AGENT = Principal("https://idp.test", "bot", Kind.AGENT, ("support",), credential="jwt:1")
CRM = Target("crm", Protocol.HTTP, "production")
START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC).timestamp()
HISTORY_POLICIES = (
    *("budget", "bulk_reads", "copied_token", "failures_in_row", "loop", "many_masked", "new_destination"),
    *("unknown_history", "unusual_hours"),
)


@dataclass
class Story:
    """What happens, as records, at `now` (seconds since the epoch). Times move only when a test says so."""

    state: Path
    now: float = START
    _journals: dict[str, FileJournal] = field(default_factory=dict)
    _closing: list[Any] = field(default_factory=list)
    _ids: int = 0

    def clock(self) -> float:
        """Now."""
        return self.now

    def journal(self, stream: str = "worker-0") -> FileJournal:
        """The stream's writer."""
        if stream not in self._journals:
            path = self.state / "journal" / stream
            self._journals[stream] = FileJournal(path, stream, self.clock, sync_seconds=60)
        return self._journals[stream]

    def move_aside(self, stream: str = "worker-0") -> Path:
        """The stream's folder is moved away and its writer begins another."""
        writer = self._journals.pop(stream)
        writer.close()
        path = self.state / "journal" / stream
        return path.rename(path.with_suffix(f".{self._ids}"))

    def decided(
        self,
        effect: str = "allow",
        code: str = "read",
        *,
        outcome: str | None = None,
        verb: str = "GET",
        resource: str = "/customers/7",
        who: Principal = AGENT,
        target: Target = CRM,
        source: str = "10.0.0.9",
        stream: str = "worker-0",
        opaque: bool = False,
    ) -> str:
        """A decision's record; gives its id."""
        self._ids += 1
        reason = Reason("http.x", code, "m", Severity.LOW, Mode.ENFORCE, Effect(effect))
        decision = Decision(f"d{self._ids}", Effect(effect), "r1", (reason,))
        action: Document = {"protocol": "http", "verb": verb, "resource": resource, "digest": "d"}
        action = {**action, "summary": {"host": "h", "opaque": True} if opaque else {}}
        outcomes = {"allow": "granted", "hold": "pending", "block": "blocked"}
        body: dict[str, Any] = {**self._common(who, target, source), "action": action, "decision": decision.document()}
        self.journal(stream).append("decision", {**body, "outcome": outcome or outcomes[effect], "hold": None})
        return decision.id

    def delivered(
        self,
        status: int | None = 200,
        *,
        size: int = 100,
        masked: dict[str, dict[str, int]] | None = None,
        outcome: str = "completed",
        who: Principal = AGENT,
        target: Target = CRM,
        stream: str = "worker-0",
        **more: int,
    ) -> None:
        """A delivery's record."""
        body = {**self._common(who, target, "10.0.0.9"), "decision": f"d{self._ids}", "status": status}
        sizes = {"request": 10, "response": size}
        self.journal(stream).append(
            "delivery", {**body, "bytes": sizes, "masked": masked or {}, "outcome": outcome, **more}
        )

    def used(self, **more: Any) -> None:
        """An allowed action that succeeds."""
        self.decided(**more)
        self.delivered(**{name: more[name] for name in ("who", "target", "stream") if name in more})

    def unexpected(self, authority: str) -> None:
        """Somebody asks for what is no target."""
        self.decided("block", "unexpected-destination", outcome="refused", target=NOWHERE, resource=authority)

    def watcher(self, **more: Any) -> Watcher:
        """A watcher in this process; a test calls its steps."""
        watcher = Watcher(self.state, clock=self.clock, pace=WatchPace(publish=0, beat=0, keep=0), **more)
        self._closing.append(watcher)
        return watcher

    def history(self, who: Principal = AGENT, target: str = "crm") -> dict[str, Any]:
        """What a worker's reader tells after a new watcher has read everything there is."""
        watcher = Watcher(self.state, clock=self.clock)
        while watcher.step(now=True):
            pass
        watcher.close()
        reader = SignalsReader(self.state / "signals.db", self.clock)
        reader.refresh()
        found = dict(reader.of(who, target))
        reader.close()
        return found

    def close(self) -> None:
        """Let everything go."""
        for opened in (*self._closing, *self._journals.values()):
            opened.close()

    def _common(self, who: Principal, target: Target, source: str) -> dict[str, Any]:
        common = {"principal": who.document(), "target": target.document(), "source": {"address": source}}
        return {"at": "", "request": f"r{self._ids}", "session": "s1", **common}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A state folder in which nothing happened yet."""
    told = Story(tmp_path)
    yield told
    told.close()


@dataclass(frozen=True, slots=True)
class Policies:
    """The shipped library with every policy on history enforced, in a real OPA."""

    checked: check.Checked
    opa: Path
    schema: dict[str, Any]

    def decide(self, history: Document, now: float, *, target: str = "crm", path: str = "/customers/7") -> Decision:
        """The decision on a GET with this history."""
        when = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
        document = {
            "schema": 1,
            "principal": AGENT.document(),
            "target": {"name": target, "protocol": "http", "environment": "production"},
            "session": {"id": "s1"},
            "action": {
                "protocol": "http", "verb": "GET", "resource": path, "digest": "d1",
                "facts": {
                    "method": "GET", "host": "crm.test", "path": path, "segments": path.strip("/").split("/"),
                    "query": {}, "headers": {}, "content_type": "", "body": {"inspected": True, "size": 0},
                    "sensitive": {"address": {}, "headers": {}, "body": {}, "families": {}},
                },
            },
            "context": {"time": when, "source": {"address": "10.0.0.9"}},
            "approvals": [],
            "history": history,
        }  # fmt: skip
        jsonschema.validate(document, self.schema)
        answer = check.evaluate(self.checked, self.opa, json.dumps(document).encode(), bundle.revision(self.checked))
        return parse("d", answer)

    def says(self, history: Document, now: float, **more: Any) -> tuple[str, set[str]]:
        """The effect, and the codes of findings that follow from history."""
        decision = self.decide(history, now, **more)
        return decision.effect.value, {r.code for r in decision.reasons if r.code.startswith("history-")}


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Policies:
    """Built once; without OPA these tests can't say anything."""
    try:
        opa = find_opa()
    except OpaMissing as error:
        pytest.skip(str(error))
    data = tmp_path_factory.mktemp("data") / "data.json"
    enforced = {f"any.{name}": {"mode": "enforce"} for name in HISTORY_POLICIES}
    enforced["any.budget"]["limits"] = {"crm": {"GET": {"hour": 3}}}  # type: ignore[assignment]
    data.write_text(json.dumps({"policies": enforced}))
    schema = json.loads((resources.policies() / "schemas" / "input.json").read_text())
    return Policies(check.check(library.load(None, data), opa, tests=False), opa, schema)
