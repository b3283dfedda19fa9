"""What policy said of an action. The same shape for every protocol; anything malformed is not a decision."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from extproc.domain.json import JSON
from extproc.domain.limits import COUNTS, UNLIMITED, Limits
from extproc.domain.mask import KEY_LENGTH, Malformed, Mask, Operator

SCHEMA = 1
E = TypeVar("E", bound=StrEnum)


class Effect(StrEnum):
    """block outranks hold, hold outranks allow."""

    ALLOW = "allow"
    HOLD = "hold"
    BLOCK = "block"


class Severity(StrEnum):
    """How grave a finding is, for people and for sorting."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Mode(StrEnum):
    """A shadow finding is recorded and changes nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class Recording(StrEnum):
    """How much of an action the record keeps beside the decision."""

    FULL = "full"
    HEAD = "head"
    METADATA = "metadata"

    def least(self, other: "Recording") -> "Recording":
        """Whichever of the two keeps less."""
        order = tuple(Recording)
        return max(self, other, key=order.index)


class MalformedDecision(ValueError):
    """The engine's answer has not the shape of the contract. The message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding: which policy, its stable code, and a message that is safe to show the agent."""

    policy: str
    code: str
    message: str
    severity: Severity
    mode: Mode
    effect: Effect


@dataclass(frozen=True, slots=True)
class Approval:
    """Who must approve: `quorum` distinct members of `group`, within `expires_in_seconds`."""

    policy: str
    group: str
    quorum: int
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class Decision:
    """An engine's answer, validated. `id` is ours; `revision` names the policy bundle that gave it."""

    id: str
    effect: Effect
    revision: str
    reasons: tuple[Reason, ...] = ()
    masks: tuple[Mask, ...] = ()
    approvals: tuple[Approval, ...] = ()
    record: Recording = Recording.FULL
    limits: Limits = UNLIMITED

    def document(self) -> dict[str, JSON]:
        """The shape that records carry; it reads back through `parse`."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "effect": self.effect.value,
            "revision": self.revision,
            "reasons": [
                {
                    "policy": r.policy,
                    "code": r.code,
                    "message": r.message,
                    "severity": r.severity.value,
                    "mode": r.mode.value,
                    "effect": r.effect.value,
                }
                for r in self.reasons
            ],
            "obligations": {
                "mask": [m.document() for m in self.masks],
                "approval": [
                    {
                        "policy": a.policy,
                        "group": a.group,
                        "quorum": a.quorum,
                        "expires_in_seconds": a.expires_in_seconds,
                    }
                    for a in self.approvals
                ],
                "record": self.record.value,
                # Most decisions have none, and records are many.
                **({"limit": self.limits.document()} if self.limits else {}),
            },
        }


def unavailable(decision_id: str, code: str, message: str) -> Decision:
    """The block that stands in when no engine gave a decision (undefined, late, down, malformed)."""
    reason = Reason("holdpoint", code, message, Severity.HIGH, Mode.ENFORCE, Effect.BLOCK)
    return Decision(decision_id, Effect.BLOCK, "none", (reason,))


def parse(decision_id: str, document: Any) -> Decision:
    """Read an engine's document. Raises MalformedDecision for anything that the contract does not name:
    an unknown member is an error too, for it may be an obligation that we would otherwise not meet."""
    top = _members(document, "decision", {"schema", "effect", "revision", "reasons", "obligations"}, {"id"})
    if top["schema"] != SCHEMA or isinstance(top["schema"], bool):
        raise MalformedDecision(f"decision.schema: expected {SCHEMA}, found {top['schema']!r}")
    effect = _enum(Effect, top["effect"], "decision.effect")
    reasons = tuple(
        _reason(r, f"decision.reasons[{i}]") for i, r in enumerate(_list(top["reasons"], "decision.reasons"))
    )
    duties = _members(top["obligations"], "decision.obligations", {"mask", "approval", "record"}, {"limit"})
    masks = tuple(
        _mask(m, f"decision.obligations.mask[{i}]")
        for i, m in enumerate(_list(duties["mask"], "decision.obligations.mask"))
    )
    approvals = tuple(
        _approval(a, f"decision.obligations.approval[{i}]")
        for i, a in enumerate(_list(duties["approval"], "decision.obligations.approval"))
    )
    if not reasons:
        raise MalformedDecision("decision.reasons: empty; a decision says why")
    if effect is Effect.HOLD and not approvals:
        raise MalformedDecision("decision.obligations.approval: empty; a hold says who may approve")
    ranks = [_RANK[r.effect] for r in reasons if r.mode is Mode.ENFORCE]
    if not ranks or max(ranks) != _RANK[effect]:
        raise MalformedDecision("decision.effect: not the gravest of its enforced reasons")
    return Decision(
        decision_id,
        effect,
        _text(top["revision"], "decision.revision"),
        reasons,
        masks,
        approvals,
        _enum(Recording, duties["record"], "decision.obligations.record"),
        _limits(duties.get("limit", {}), "decision.obligations.limit"),
    )


_RANK = {Effect.ALLOW: 0, Effect.HOLD: 1, Effect.BLOCK: 2}
_LANES = {"request", "response"}


def _reason(value: Any, where: str) -> Reason:
    m = _members(value, where, {"policy", "code", "message", "severity", "mode", "effect"}, set())
    return Reason(
        _text(m["policy"], f"{where}.policy"),
        _text(m["code"], f"{where}.code"),
        _text(m["message"], f"{where}.message"),
        _enum(Severity, m["severity"], f"{where}.severity"),
        _enum(Mode, m["mode"], f"{where}.mode"),
        _enum(Effect, m["effect"], f"{where}.effect"),
    )


def _mask(value: Any, where: str) -> Mask:
    m = _members(value, where, {"policy", "select", "operator"}, {"lanes", "malformed"})
    select = _members(m["select"], f"{where}.select", {"kinds", "keys"}, {"except"})
    kinds, keys, excepted = (_texts(select.get(by, []), f"{where}.select.{by}") for by in ("kinds", "keys", "except"))
    if not kinds and not keys:
        raise MalformedDecision(f"{where}.select: empty; a mask says what it masks")
    if any(len(key) > KEY_LENGTH for key in keys):
        raise MalformedDecision(f"{where}.select.keys: a name of more than {KEY_LENGTH} characters")
    lanes = tuple(_text(x, f"{where}.lanes") for x in _list(m.get("lanes", ["request", "response"]), f"{where}.lanes"))
    if not lanes or not set(lanes) <= _LANES:
        raise MalformedDecision(f"{where}.lanes: expected some of {sorted(_LANES)}, found {list(lanes)}")
    return Mask(
        _text(m["policy"], f"{where}.policy"),
        kinds,
        keys,
        _enum(Operator, m["operator"], f"{where}.operator"),
        lanes,
        _enum(Malformed, m.get("malformed", Malformed.BLOCK), f"{where}.malformed") is Malformed.TEXT,
        excepted,
    )


def _approval(value: Any, where: str) -> Approval:
    m = _members(value, where, {"policy", "group", "quorum", "expires_in_seconds"}, set())
    quorum, expires = (_count(m[name], f"{where}.{name}") for name in ("quorum", "expires_in_seconds"))
    return Approval(_text(m["policy"], f"{where}.policy"), _text(m["group"], f"{where}.group"), quorum, expires)


def _limits(value: Any, where: str) -> Limits:
    m = _members(value, where, set(), {*COUNTS, "read_only"})
    if not isinstance(m.get("read_only", False), bool):
        raise MalformedDecision(f"{where}.read_only: expected true or false, found {m['read_only']!r}")
    counts = {name: _count(m[name], f"{where}.{name}") for name in COUNTS if name in m}
    return Limits(**counts, read_only=m.get("read_only", False))


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise MalformedDecision(f"{where}: expected a whole number above 0, found {value!r}")
    return value


def _members(value: Any, where: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedDecision(f"{where}: expected an object, found {type(value).__name__}")
    missing, extra = needed - set(value), set(value) - needed - optional
    if missing or extra:
        raise MalformedDecision(f"{where}: missing {sorted(missing)}, unknown {sorted(extra)}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedDecision(f"{where}: expected a list, found {type(value).__name__}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedDecision(f"{where}: expected text, found {value!r}")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_text(item, f"{where}[{i}]") for i, item in enumerate(_list(value, where)))


def _enum(kind: type[E], value: Any, where: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise MalformedDecision(f"{where}: expected one of {[k.value for k in kind]}, found {value!r}") from None
