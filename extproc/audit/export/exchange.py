"""What an exported exchange says: one decision with what became of it, read without trust in its shape. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

from extproc.audit.attributes import part, rows
from extproc.audit.frame import Record
from extproc.audit.reader import Joined
from extproc.audit.spans import verdict

LANES = ("request", "response")


class BodyGone(LookupError):
    """A body that a record names is not there any more, or was never to be read. The message says why."""


class Bodies(Protocol):
    """Recorded bodies by their address. Each method raises BodyGone."""

    def content(self, address: str) -> Iterator[bytes]:
        """What was kept, in pieces of bounded size."""
        ...

    def salt(self, address: str) -> bytes:
        """What its address was made with, beside its content."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """What is exported: a session's `exchanges`, oldest first, and its `others` (that it opened and closed, bodies that
    were salvaged, readings). Both may be read more than once, and need not fit in memory. `name` is for people; `gone`
    counts the actions whose records retention took."""

    name: str
    exchanges: Callable[[], Iterator[Joined]]
    others: Callable[[], Iterator[Record]]
    gone: Callable[[], int] = lambda: 0

    def records(self) -> Iterator[Record]:
        """Every record, exchange by exchange, then the others. A hold that two exchanges shared comes twice."""
        for joined in self.exchanges():
            yield from of(joined)
        yield from self.others()


def of(joined: Joined) -> Iterator[Record]:
    """The records of one exchange: decision, holds and votes by time, delivery."""
    yield joined.decision
    yield from sorted((*joined.holds, *joined.votes), key=lambda record: (record.at, record.stream, record.seq))
    if joined.delivery is not None:
        yield joined.delivery


@dataclass(frozen=True, slots=True)
class Lane:
    """One direction: its bytes that passed, how many were kept, where, and the headers that were."""

    mode: str
    passed: int | None
    kept: int
    address: str | None
    type: str
    coding: str
    headers: tuple[tuple[str, str], ...]

    @property
    def text(self) -> bool:
        """Whether its content is worth reading as text."""
        main = self.type.partition(";")[0].strip().lower()
        known = main.startswith("text/") or main.endswith(("json", "xml", "javascript", "x-www-form-urlencoded"))
        return known and self.coding in ("", "identity")


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person said to a hold. `digest` binds it to the action that they were shown."""

    at: str
    who: str
    issuer: str
    approve: bool
    reason: str
    digest: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """An action and its end. Durations are in microseconds, None where nothing says. Of a database, `statement` is
    what it was asked as the record has it, masked; `answered` is what it said that it did, and `columns` those of rows
    that the client was not told of then (see `dialogue.postgres`)."""

    at: str
    decision: str
    subject: str
    verb: str
    target: str
    path: str
    url: str
    query: str
    effect: str
    outcome: str
    status: int | None
    revision: str
    reasons: tuple[dict[str, Any], ...]
    masked: Mapping[str, Mapping[str, int]]
    request: Lane
    response: Lane
    votes: tuple[Vote, ...]
    hold: str | None
    timings: Mapping[str, int]
    duration: int | None
    digest: str
    statement: str = ""
    answered: str = ""
    columns: tuple[dict[str, Any], ...] = ()

    @property
    def waited(self) -> int:
        """Microseconds before the decision: policy, and people."""
        return self.timings.get("policy", 0) + self.timings.get("hold", 0)

    @property
    def started(self) -> str:
        """When it was asked for: before the decision by what that took. RFC 3339."""
        try:
            moment = datetime.fromisoformat(self.at) - timedelta(microseconds=self.waited)
        except (ValueError, OverflowError):
            return self.at
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def read(joined: Joined) -> Exchange:
    """The exchange in these records."""
    body = joined.decision.body
    done = {} if joined.delivery is None else joined.delivery.body
    said, asked, summary = part(body, "decision"), part(body, "action"), part(body, "action", "summary")
    masked = {lane: counts(part(done, "masked", lane)) for lane in LANES}
    effect, path = _effect(body, any(masked.values())), text(asked.get("resource"))
    query, host = text(summary.get("query")), text(summary.get("host")) or text(part(body, "target").get("name"))
    duration = done.get("duration_us")
    postgres = asked.get("protocol") == "postgres"
    tags = done.get("tags")
    said_of = [*(tags if isinstance(tags, list) else []), done.get("sqlstate")]
    return Exchange(
        at=joined.decision.at,
        decision=text(said.get("id")),
        subject=text(part(body, "principal").get("subject")) or "?",
        verb=text(asked.get("verb")) or "?",
        target=text(part(body, "target").get("name")) or "?",
        path=path,
        url=f"postgres://{host}/{quote(path)}" if postgres else f"http://{host}{path}" + (f"?{query}" if query else ""),
        query=query,
        effect=effect,
        outcome=text(done.get("outcome")) or verdict(body),
        status=done["status"] if isinstance(done.get("status"), int) else None,
        revision=text(said.get("revision")),
        reasons=tuple(rows(said.get("reasons"))),
        masked=masked,
        request=_lane(done, "request"),
        response=_lane(done, "response"),
        votes=tuple(_vote(record) for record in joined.votes),
        hold=body["hold"] if isinstance(body.get("hold"), str) else None,
        timings=counts(part(body, "timings_us")),
        duration=duration if isinstance(duration, int) else None,
        digest=text(asked.get("digest")),
        statement=text(summary.get("statement")),
        answered=", ".join(one for one in said_of if isinstance(one, str)),
        columns=tuple(rows(done.get("columns"))),
    )


def text(value: object) -> str:
    """The text, or none."""
    return value if isinstance(value, str) else ""


def counts(values: Mapping[str, Any]) -> dict[str, int]:
    """The members that are whole numbers above 0."""
    return {k: n for k, n in values.items() if isinstance(n, int) and not isinstance(n, bool) and n > 0}


def addresses(record: Record) -> Iterator[str]:
    """The bodies that a record names."""
    for lane in (record.body, *(part(record.body, "bodies", name) for name in part(record.body, "bodies"))):
        if isinstance(lane.get("address"), str) and lane["address"]:
            yield lane["address"]


def _effect(body: Mapping[str, Any], masked: bool) -> str:
    """As people read it: what waited for people was held, though they approved; what was masked on its way was not
    simply allowed."""
    effect = text(part(body, "decision").get("effect")) or "?"
    if effect == "allow" and body.get("hold"):
        return "hold"
    return "mask" if effect == "allow" and masked else effect


def _lane(done: Mapping[str, Any], name: str) -> Lane:
    kept = part(done, "bodies", name)
    passed = kept.get("bytes", part(done, "bytes").get(name))
    headers = part(done, "heads").get(name)
    return Lane(
        text(kept.get("mode")) or "metadata",
        passed if isinstance(passed, int) else None,
        kept["kept"] if isinstance(kept.get("kept"), int) else 0,
        text(kept.get("address")) or None,
        text(kept.get("type")),
        text(kept.get("coding")),
        tuple(_header(row) for row in headers if isinstance(row, list) and len(row) == 2)
        if isinstance(headers, list)
        else (),
    )


def _header(row: list[Any]) -> tuple[str, str]:
    return text(row[0]), text(row[1])


def _vote(record: Record) -> Vote:
    by = part(record.body, "approver")
    return Vote(
        record.at,
        text(by.get("subject")) or "?",
        text(by.get("issuer")),
        record.body.get("approve") is True,
        text(record.body.get("reason")),
        text(record.body.get("digest")),
    )
