"""Reading journals: frames in bounded memory, decisions joined with what became of them."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from extproc.audit.frame import HEAD, MAX_PAYLOAD, Fault, FrameError, Record, decode, split

OUTCOMES = {"delivery": "delivery", "hold": "holds", "vote": "votes"}


class JournalFault(Exception):
    """A journal can't be read on from here. `record` is the last good record before it, if any."""

    def __init__(self, path: Path, fault: Fault, offset: int, seq: int, message: str) -> None:
        super().__init__(f"{path}: byte {offset}, record {seq}: {message}")
        self.path, self.fault, self.offset, self.seq, self.detail = path, fault, offset, seq, message


@dataclass(frozen=True, slots=True)
class Joined:
    """A decision's record with the records of what became of it. Holds and votes are those of its hold."""

    decision: Record
    delivery: Record | None = None
    holds: list[Record] = field(default_factory=list)
    votes: list[Record] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The shape that `holdpoint audit show --json` prints."""
        return {
            **self.decision.body,
            "at": self.decision.at,
            "audit": {"stream": self.decision.stream, "seq": self.decision.seq, "hash": self.decision.hash},
            "delivery": None if self.delivery is None else {**self.delivery.body, "at": self.delivery.at},
            "holds": [{**r.body, "at": r.at} for r in self.holds],
            "votes": [{**r.body, "at": r.at} for r in self.votes],
        }


def journals(state: Path) -> list[Path]:
    """The journal files of a state directory, by name."""
    return sorted((state / "journal").glob("*.journal"))


def records(path: Path, offset: int = 0, until: int | None = None) -> Iterator[Record]:
    """The records of one file from the frame at `offset`, up to byte `until` or the last whole frame. A frame that is
    still being written ends the iteration. Raises JournalFault."""
    seq = 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while until is None or offset < until:
                head = file.read(HEAD.size)
                if len(head) < HEAD.size:
                    return
                frame = head + file.read(min(HEAD.unpack(head)[0], MAX_PAYLOAD))
                end = split(frame, 0)
                if end is None:
                    return
                record = decode(frame[HEAD.size :], offset)
                yield record
                seq, offset = record.seq + 1, record.end
    except FrameError as error:
        raise JournalFault(path, error.fault, offset, seq, str(error)) from None
    except OSError as error:
        raise JournalFault(path, Fault.UNREADABLE, offset, seq, error.strerror or "can't be read") from error


def record_at(path: Path, offset: int) -> Record:
    """The one record whose frame starts at `offset`. Raises JournalFault."""
    for record in records(path, offset):
        return record
    raise JournalFault(path, Fault.TORN, offset, 0, "no whole record there")


def find_decision(state: Path, decision_id: str) -> dict[str, Any] | None:
    """The decision of that id joined with its delivery, holds and votes, or None. Reads every stream from its start."""
    found = list(search(state, lambda record: record.body["decision"].get("id") == decision_id, limit=1))
    return found[0].document() if found else None


def search(state: Path, wanted: Callable[[Record], bool], limit: int) -> Iterator[Joined]:
    """The newest `limit` decisions that `wanted` says yes to, oldest first, each joined. Memory grows with the limit,
    not with the journals: they are read twice, once for the decisions and once for what became of them."""
    order = itertools.count()
    newest: list[tuple[str, int, Record]] = []
    for path in journals(state):
        for record in records(path):
            if record.kind == "decision" and isinstance(record.body.get("decision"), dict) and wanted(record):
                entry = (record.at, next(order), record)
                if len(newest) < limit:
                    heapq.heappush(newest, entry)
                else:
                    heapq.heappushpop(newest, entry)
    yield from _join(state, [record for _, _, record in sorted(newest)])


def _join(state: Path, decisions: list[Record]) -> list[Joined]:
    if not decisions:
        return []
    by_id: dict[str, list[Record]] = {str(r.body["decision"].get("id")): [] for r in decisions}
    by_hold: dict[str, list[Record]] = {str(r.body["hold"]): [] for r in decisions if r.body.get("hold")}
    for path in journals(state):
        for record in records(path):
            if record.kind not in OUTCOMES:
                continue
            wanted, key = (by_id, "decision") if record.kind == "delivery" else (by_hold, "hold")
            about = record.body.get(key)
            if isinstance(about, str) and about in wanted:
                wanted[about].append(record)
    joined = []
    for decision in decisions:
        deliveries = by_id[str(decision.body["decision"].get("id"))]
        waited = sorted(by_hold.get(str(decision.body.get("hold")), []), key=lambda record: record.at)
        joined.append(
            Joined(
                decision,
                deliveries[-1] if deliveries else None,
                [record for record in waited if record.kind == "hold"],
                [record for record in waited if record.kind == "vote"],
            )
        )
    return joined


@dataclass(frozen=True, slots=True)
class Filter:
    """What `holdpoint audit list` asks for; None asks for nothing. `since` is RFC 3339 text."""

    effect: str | None = None
    target: str | None = None
    principal: str | None = None
    policy: str | None = None
    since: str | None = None

    def __call__(self, record: Record) -> bool:
        """Whether the decision in this record is asked for."""
        body = record.body
        reasons = _rows(body["decision"].get("reasons"))
        principal, target = _member(body, "principal"), _member(body, "target")
        who = (principal.get("subject"), f"{principal.get('issuer')} {principal.get('subject')}")
        return (
            (self.effect is None or body["decision"].get("effect") == self.effect)
            and (self.target is None or target.get("name") == self.target)
            and (self.principal is None or self.principal in who)
            and (self.policy is None or any(reason.get("policy") == self.policy for reason in reasons))
            and (self.since is None or record.at >= self.since)
        )


def since(text: str, now: datetime) -> str:
    """What `--since` means as record time: an RFC 3339 time, a date, or an age such as 90s, 15m, 6h, 2d.
    Raises ValueError, whose message says what would be right."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    try:
        if text and text[-1] in units and text[:-1].isdigit():
            moment = now - timedelta(**{units[text[-1]]: int(text[:-1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        right = "a time such as 2026-01-31T12:00:00Z, or an age such as 15m, 6h or 2d"
        raise ValueError(f"{text!r}: expected {right}") from None
    return moment.astimezone(now.tzinfo).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _member(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
