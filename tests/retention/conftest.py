"""A small gateway's trail that ages: streams with segments, recorded bodies, the index, and the chore that lets go."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.audit.checkpoints import Checkpoints
from extproc.audit.frame import Erased, Record
from extproc.audit.index.indexer import SCRUB_SECONDS, Indexer
from extproc.audit.index.texts import BodyTexts
from extproc.audit.journal import FileJournal
from extproc.audit.keys import PublicKeys, Signer, make
from extproc.audit.objects import ObjectStore
from extproc.audit.reader import entries, records
from extproc.audit.retention.chore import Retention
from extproc.audit.retention.legal import lift, place
from extproc.audit.retention.rules import Keep, LegalHold, Rules, Selects
from extproc.audit.retention.store import FILE, RetentionStore
from extproc.audit.verify import verify
from extproc.domain.decision import Recording as Mode
from extproc.domain.json import JSON
from extproc.domain.principal import Kind, Principal

DAY = 86400.0
RULES = Rules(Keep(365 * DAY, 30 * DAY), {"crm": Keep(90 * DAY, 10 * DAY), "wiki": Keep(60 * DAY, 5 * DAY)})
OFFICER = Principal("https://id.example", "officer", Kind.HUMAN)
WITHOUT_ADDRESS = ""


@dataclass
class Clock:
    """Time that tests move, from now into the future; each look moves it a millisecond."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class House:
    """One state folder and its processes."""

    def __init__(self, state: Path) -> None:
        self.state, self.clock, self.rules = state, Clock(), RULES
        (state / "keys").mkdir(parents=True)
        self.signer: Signer = make(state / "keys" / "audit.key", state / "keys" / "audit.pub")
        self.folder = BodyFolder(state / "bodies")
        self.bodies = Bodies(self.folder)
        self.shipped: dict[str, int] | None = None
        self.waits: list[str] = []
        self._streams: dict[str, FileJournal] = {}
        self._recorders: dict[str, Recorder] = {}
        self._count, self._leapt = 0, 0.0
        self._begin()

    def _begin(self) -> None:
        self.store = RetentionStore(self.state / FILE)
        self.indexer = Indexer(self.state, BodyTexts(self.bodies), ticks=lambda: self.clock.now)
        self.retention = Retention(
            self.state,
            self.store,
            self["archivist"],
            self.folder,
            self.bodies,
            self.indexer,
            self.signer,
            lambda: self.rules,
            lambda: self.shipped,
            clock=self.clock,
            ticks=lambda: self.clock.now - self._leapt,
            on_wait=self.waits.append,
        )
        self.checkpoints = Checkpoints(
            self.state, self["archivist"], self.signer, (), 60.0, self.clock, lambda: self.clock.now
        )

    def __getitem__(self, stream: str) -> FileJournal:
        if stream not in self._streams:
            self._streams[stream] = FileJournal(
                self.journal(stream), stream, self.clock, 60.0, segment_seconds=DAY, signer=self.signer
            )
        return self._streams[stream]

    def journal(self, stream: str) -> Path:
        """Where a stream lies."""
        return self.state / "journal" / stream

    def act(self, stream: str = "worker-0", target: str = "crm", who: str = "agent-7", says: str = "") -> str:
        """An action, decided and delivered, whose request says something; the decision's id."""
        self._count += 1
        decision = f"d{self._count:03}"
        common: dict[str, JSON] = {
            "session": f"connection-{who}",
            "principal": {"issuer": "https://id.example", "subject": who, "kind": "agent"},
            "target": {"name": target, "protocol": "http", "environment": "production"},
        }
        if stream not in self._recorders:
            record = self[stream].append
            self._recorders[stream] = Recorder(Shelf(self.state / "bodies", b"k" * 32), stream, record)
        recording = self._recorders[stream].begin(decision, Mode.FULL, 1024)
        asked: JSON = {
            "protocol": "http",
            "verb": "POST",
            "resource": f"/{decision}/{who}",
            "digest": "a",
            "summary": {},
        }
        said: JSON = {"id": decision, "effect": "allow", "reasons": [], "revision": "r"}
        self[stream].append("decision", {**common, "action": asked, "decision": said, "outcome": "granted"})
        if says:
            recording.head("request", [("content-type", "text/plain")], [], [])
            recording.write("request", says.encode())
        kept: Any = recording.finish()["bodies"]
        for lane in kept.values():
            lane["index"] = True
        facts: dict[str, JSON] = {"status": 200, "outcome": "completed", "masked": {}, "bodies": kept}
        self[stream].append("delivery", {**common, "decision": decision, **facts})
        recording.settle()
        return decision

    def address(self, decision: str) -> str:
        """Where the request of a decision is kept, as its record says."""
        for path in sorted((self.state / "journal").iterdir()):
            for record in records(path):
                if record.kind == "delivery" and record.body["decision"] == decision:
                    return str(record.body["bodies"]["request"]["address"])
        return WITHOUT_ADDRESS

    def later(self, days: float) -> None:
        """Let time pass; every stream that is written goes on in a new segment, and there is a checkpoint."""
        self._checkpoint()
        self.clock.now += days * DAY
        for stream in list(self._streams):
            self[stream].append("alarm", {"code": "tick"})
        self._checkpoint()

    def leap(self, days: float) -> None:
        """Set the clock; no time passes."""
        self.clock.now += days * DAY
        self._leapt += days * DAY

    def _checkpoint(self) -> None:
        self.checkpoints.tell()
        while self.checkpoints.step():
            pass

    def index(self) -> None:
        """Have all in the index."""
        while self.indexer.step():
            pass

    def keep_house(self) -> None:
        """One whole pass of retention, with all in the index before and after."""
        self.clock.now += 3601.0
        for _ in range(3):
            self.index()
            while self.retention.step():
                pass
        self.clock.now += SCRUB_SECONDS
        self.index()

    def place(self, **selects: str) -> LegalHold:
        """Place a legal hold."""
        return place(self.store, self["control"], OFFICER, "lawsuit 7", Selects.parse(selects), self.clock)

    def lift(self, hold: LegalHold) -> None:
        """Lift one."""
        lift(self.store, self["control"], OFFICER, "settled", hold.id, self.clock)

    def restart(self) -> None:
        """Every process ends and begins again."""
        self.close()
        self._begin()

    def kill(self) -> None:
        """The archivist is gone without a word; another begins."""
        self.indexer.close()
        self.checkpoints._db.close()
        self.store.close()
        journal = self._streams.pop("archivist")
        journal._stop.set()
        journal._wake.set()
        os.close(journal._locked)
        self._begin()

    def close(self) -> None:
        """End everything."""
        self.retention.close()
        self.indexer.close()
        self.checkpoints.close()
        self._recorders.clear()
        for stream in list(self._streams):
            self._streams.pop(stream).close()

    def faults(self, store: ObjectStore | None = None) -> list[str]:
        """What verification finds."""
        for journal in self._streams.values():
            journal.sync()
        report = verify(self.state, keys=PublicKeys.load([self.state / "keys" / "audit.pub"]), processes=1, store=store)
        return [f"{fault.wrong}: {fault.stream}: {fault.message}" for fault in report.faults.listed]

    def said(self, kind: str, *streams: str) -> list[Record]:
        """The records of a kind."""
        names = streams or ("archivist", "control")
        return [r for s in names if self.journal(s).exists() for r in records(self.journal(s)) if r.kind == kind]

    def bases(self, stream: str) -> list[int]:
        """Where the segments of a stream begin."""
        return sorted(int(path.stem) for path in self.journal(stream).glob("*.segment"))

    def erased(self, stream: str) -> int:
        """How many records of a stream are erased."""
        return sum(isinstance(entry, Erased) for entry in entries(self.journal(stream)))

    def contains(self, text: str) -> list[str]:
        """The files of the state folder in which a text is, bodies unpacked."""
        found = [str(p) for p in self.state.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]
        return found + [a for a in self.folder.list() if text.encode() in b"".join(self.folder.open(a))]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A state folder without records."""
    opened = House(tmp_path / "s")
    yield opened
    opened.close()
