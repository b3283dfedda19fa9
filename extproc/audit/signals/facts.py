"""What one record says of its principal, read without trust in its shape. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from extproc.audit.attributes import part, rows
from extproc.audit.frame import Record
from extproc.audit.spans import verdict
from extproc.domain.target import NOWHERE

HISTORY = "history-"
"""How the code of a finding starts that follows from these figures. It doesn't feed them: a block that caused the next
block would never end."""
UNEXPECTED = "unexpected-destination"
LONGEST = 256
"""Characters that are kept of a name, a resource or a kind."""
MOST = 1 << 50
"""What one record may add; more is nonsense, and sums must stay within 64 bits."""
# The agent was told no. (Not: people have yet to answer, nobody answered in time, the gateway could not decide.)
_REFUSED = frozenset({"blocked", "denied", "refused"})


class Said(StrEnum):
    """What a record says became of an action."""

    GRANTED = "granted"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A refused action, told from others by verb, resource and code; `digest` is the latest one's, or empty."""

    verb: str
    resource: str
    code: str
    digest: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One record's part in the figures. `at` is seconds since the epoch; `target` is empty where it led nowhere;
    `network` is None where no address is known; `counts` are figures by path ("masked/response/card"). `opens` is the
    decision's id of a tunnel whose bytes nobody reads: how many they were is in a record of its own, at its end."""

    at: float
    principal: str
    target: str
    said: Said
    counts: tuple[tuple[str, int], ...]
    credential: str = ""
    environment: str = ""
    network: str | None = None
    repeat: Repeat | None = None
    opens: str = ""


def fact_of(record: Record) -> Fact | None:
    """The fact in a record, or None where it tells nothing of a known principal."""
    body = record.body
    who, target = part(body, "principal"), part(body, "target")
    issuer, subject = who.get("issuer"), who.get("subject")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not subject:
        return None
    try:
        at = datetime.fromisoformat(record.at).timestamp()
    except ValueError:
        return None
    name = _text(target, "name")
    common: dict[str, Any] = {
        "at": at,
        "principal": f"{issuer} {subject}",
        "target": "" if name == NOWHERE.name else name,
        "credential": _text(who, "credential"),
        "environment": "" if name == NOWHERE.name else _text(target, "environment"),
        "network": network(part(body, "source").get("address")),
    }
    if record.kind == "decision":
        return _decision(body, common)
    if record.kind == "delivery":
        return _delivery(body, common)
    return None


def network(address: object) -> str | None:
    """The /24 or /64 that an address is in, or None for what is none."""
    try:
        ip = ipaddress.ip_address(address) if isinstance(address, str) else None
    except ValueError:
        ip = None
    if ip is None:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def _decision(body: Mapping[str, Any], common: dict[str, Any]) -> Fact:
    said, asked = part(body, "decision"), part(body, "action")
    effect, outcome = str(said.get("effect")), verdict(dict(body))
    codes = [
        _text(r, "code") for r in rows(said.get("reasons")) if r.get("mode") == "enforce" and r.get("effect") == effect
    ]
    own = [code for code in codes if not code.startswith(HISTORY)]
    counts = [("requests", 1), *_effect(effect)]
    if UNEXPECTED in codes:
        counts.append(("unexpected_destinations", 1))
    told = Said.GRANTED if outcome == "granted" else Said.OPEN
    repeat = None
    if outcome in _REFUSED and own:
        told = Said.REFUSED
        repeat = Repeat(_text(asked, "verb"), _text(asked, "resource"), own[0], _text(asked, "digest"))
    opaque = told is Said.GRANTED and part(asked, "summary").get("opaque") is True
    opens = _text(said, "id") if opaque else ""
    return Fact(said=told, counts=tuple(counts), repeat=repeat, opens=opens, **common)


def closed(record: Record, opened: Fact) -> Fact:
    """What the record of a tunnel's end says of the principal that opened it."""
    lanes = {"bytes_in": "request", "bytes_out": "response"}
    counts = tuple((f"bytes/{lanes[name]}", n) for name, n in _numbers(record.body) if name in lanes)
    at = datetime.fromisoformat(record.at).timestamp()
    return Fact(at, opened.principal, opened.target, Said.OPEN, counts)


def _effect(effect: str) -> Iterator[tuple[str, int]]:
    name = {"allow": "allowed", "hold": "held", "block": "blocked"}.get(effect)
    if name is not None:
        yield name, 1


def _delivery(body: Mapping[str, Any], common: dict[str, Any]) -> Fact:
    outcome, status = _text(body, "outcome"), body.get("status")
    counts = [(f"bytes/{lane}", n) for lane, n in _numbers(part(body, "bytes")) if lane in ("request", "response")]
    counts += [("rows", n) for name, n in _numbers(body) if name == "rows"]
    for lane in ("request", "response"):
        counts += [(f"masked/{lane}/{kind[:LONGEST]}", n) for kind, n in _numbers(part(body, "masked", lane))]
    said = Said.OPEN
    # A refusal's exchange ends with a delivery too, and its decision was counted; who leaves early says nothing.
    if not outcome.startswith("refused") and (outcome == "completed" or isinstance(status, int)):
        failed = isinstance(status, int) and status >= 400
        said = Said.FAILED if failed else Said.SUCCEEDED
    return Fact(said=said, counts=tuple(counts), **common)


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, n in values.items():
        if isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MOST:
            yield name, n


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value[:LONGEST] if isinstance(value, str) else ""
