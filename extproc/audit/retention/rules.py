"""How long things are kept, and what a legal hold keeps beyond that. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from extproc.domain.json import JSON, Document


@dataclass(frozen=True, slots=True)
class Keep:
    """Seconds that records and bodies are kept."""

    records: float
    bodies: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What is kept how long: `targets` by their names, and `general` for whatever has no target of these."""

    general: Keep
    targets: Mapping[str, Keep]

    def of(self, target: str) -> Keep:
        """How long what belongs to this target is kept."""
        return self.targets.get(target, self.general)

    @property
    def shortest_bodies(self) -> float:
        """Seconds that any body is kept at least."""
        return min(keep.bodies for keep in (self.general, *self.targets.values()))

    @property
    def longest_bodies(self) -> float:
        """Seconds after which no body is kept but on legal hold."""
        return max(keep.bodies for keep in (self.general, *self.targets.values()))


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what a record is about, as far as it says: the target's name, the principal's issuer and subject with a
    space between, the session's key, and the record's time (RFC 3339, as the journal writes it)."""

    target: str
    principal: str
    session: str | None
    at: str


class NotSelects(ValueError):
    """What a legal hold is to select is not well-formed. The message says what would be right."""


@dataclass(frozen=True, slots=True)
class Selects:
    """What a legal hold keeps: whatever fits all that is given. `principal` is a subject, or issuer and subject with a
    space between; `session` a session's key; `since` and `until` are times as the journal writes them, included."""

    target: str | None = None
    principal: str | None = None
    session: str | None = None
    since: str | None = None
    until: str | None = None

    @classmethod
    def parse(cls, document: object) -> Self:
        """The selection in a document; times may be any RFC 3339 with a zone. Raises NotSelects."""
        if not isinstance(document, dict) or not document or document.keys() - set(cls.__slots__):
            raise NotSelects(f"expected an object with one or more of {', '.join(cls.__slots__)}")
        for name, value in document.items():
            if not isinstance(value, str) or not value:
                raise NotSelects(f"{name}: expected text")
        times = {name: moment(document[name], name) for name in ("since", "until") if name in document}
        selects = cls(**{**document, **times})
        if selects.since is not None and selects.until is not None and selects.since > selects.until:
            raise NotSelects(f"since {selects.since} is after until {selects.until}: nothing is between")
        return selects

    def document(self) -> dict[str, JSON]:
        """As records have it: only what is given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def fits(self, of: Subject) -> bool:
        """Whether this is to be kept."""
        return (
            (self.target is None or of.target == self.target)
            and (self.principal is None or self.principal in (of.principal, of.principal.partition(" ")[2]))
            and (self.session is None or of.session == self.session)
            and (self.since is None or of.at >= self.since)
            and (self.until is None or of.at <= self.until)
        )


@dataclass(frozen=True, slots=True)
class LegalHold:
    """One that is placed: when (RFC 3339), by whom (a principal's document), why, and what it keeps."""

    id: str
    at: str
    by: Mapping[str, Any]
    reason: str
    selects: Selects

    def document(self) -> dict[str, JSON]:
        """As people are shown it."""
        return {"id": self.id, "at": self.at, "by": dict(self.by), "reason": self.reason, **self.selected()}

    def selected(self) -> dict[str, JSON]:
        """What it selects, as a record's member."""
        return {"selects": self.selects.document()}


def hold_of(body: Document) -> LegalHold | None:
    """The hold that a `legal-hold` record places, or None for a record that places none."""
    by, found = body.get("by"), body.get("id")
    if body.get("what") != "placed" or not isinstance(found, str) or not isinstance(by, Mapping):
        return None
    try:
        selects = Selects.parse(body.get("selects"))
    except NotSelects:
        return None
    return LegalHold(found, str(body.get("at")), by, str(body.get("reason")), selects)


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch, as the journal writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str, name: str) -> str:
    """A time with a zone, as the journal writes times. Raises NotSelects."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("no zone")
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError):
        raise NotSelects(f"{name} {text[:64]!r}: expected a time with a zone, such as 2026-01-31T12:00:00Z") from None
