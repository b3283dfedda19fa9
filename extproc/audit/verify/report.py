"""What verification found, for people and programs. Pure."""

from dataclasses import dataclass, field
from typing import Any

from extproc.audit.verify.faults import Faults


@dataclass(frozen=True, slots=True)
class Upto:
    """The last record that somebody vouches for: number, time (RFC 3339), and by which key or whom."""

    seq: int
    at: str
    by: str


@dataclass(slots=True)
class StreamReport:
    """One stream. `skipped` bytes at its start were not looked at; `head` is the hash of the last record."""

    stream: str
    records: int = 0
    bytes: int = 0
    segments: int = 0
    skipped: int = 0
    erased: int = 0
    seq: int = -1
    at: str = ""
    head: str = ""
    signed: Upto | None = None
    witnessed: Upto | None = None
    shipped: Upto | None = None


@dataclass(slots=True)
class Report:
    """All of it. `notes` are what a reader should know that is no fault. `spans`
    are those that were compared with a trace store, if any. `keys` are the names of the public keys."""

    streams: list[StreamReport] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    notes: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    checkpoints: int = 0
    witness_checkpoints: int = 0
    bodies: int = 0
    body_bytes: int = 0
    requests: int = 0
    spans: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults.count

    def document(self) -> dict[str, Any]:
        """For programs."""

        def upto(known: Upto | None) -> dict[str, Any] | None:
            return None if known is None else {"seq": known.seq, "at": known.at, "by": known.by}

        return {
            "ok": self.ok,
            "streams": [
                {
                    "stream": s.stream, "records": s.records, "bytes": s.bytes, "segments": s.segments,
                    "skipped_bytes": s.skipped, "erased": s.erased, "seq": s.seq, "at": s.at, "head": s.head,
                    "signed": upto(s.signed), "witnessed": upto(s.witnessed),
                    "shipped": upto(s.shipped), "faults": self.faults.of(s.stream),
                }
                for s in self.streams
            ],
            "faults": [fault.document() for fault in self.faults.listed],
            "fault_count": self.faults.count,
            "notes": self.notes,
            "keys": self.keys,
            "checkpoints": self.checkpoints,
            "witness_checkpoints": self.witness_checkpoints,
            "bodies": self.bodies,
            "body_bytes": self.body_bytes,
            "requests": self.requests,
            "spans": self.spans,
        }  # fmt: skip
