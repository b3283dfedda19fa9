"""Did what the demo claims of strangers happen? Checked against what they were answered, servers got and Jaeger has."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from examples.demo.calls import Answer
from examples.demo.checks import MASK, MASKED_FIELDS, Check
from examples.demo.outside import Outside
from examples.demo.people import AGENT_SUBJECT
from examples.demo.stolen import ELSEWHERE, HOME, JOB, PATHS, THIEF, Stolen

UNEXPECTED = "unexpected-destination"
COPIED = "any.copied_token"
SEVERAL_NETWORKS = "history-several-networks"
REVOKED = "identity-revoked"
WRONG_NETWORK = "identity-wrong-network"

OUTSIDE_TAGS = {f"holdpoint.code.{UNEXPECTED}": "true", "user.id": AGENT_SUBJECT}
COPIED_TAGS = {f"holdpoint.policy.{COPIED}": "true", "user.id": JOB, "client.address": ELSEWHERE}
REVOKED_TAGS = {f"holdpoint.code.{REVOKED}": "true", "user.id": JOB}

Received = Sequence[dict[str, Any]]
Tags = Mapping[str, str]


def check_outside(outside: Outside) -> Check:
    """Every place that nobody configured was refused, and the one that listens here got no connection."""
    claim = "nothing goes through the proxy to a place that nobody configured"
    others = [answer for answer in outside.refused if (answer.status, answer.code) != (403, UNEXPECTED)]
    if others or not outside.refused:
        return Check(claim, False, _told(others))
    if outside.connections or outside.questions or not outside.heard:
        seen = f"{outside.connections} connections there, {outside.questions} names asked for"
        return Check(claim, False, seen if outside.heard else f"{seen}; who counts them was not heard")
    asked = ", ".join(answer.asked for answer in outside.refused)
    return Check(claim, True, f"403 to {asked}; no connection to the last, which listens; no name was looked up")


def check_outside_traced(outside: Outside, spans: Sequence[Tags]) -> Check:
    """Each attempt is a span in error, with who it was and where to. `spans` are those found by OUTSIDE_TAGS."""
    claim = f"Jaeger has each of these under holdpoint.code.{UNEXPECTED}, with who and where to"
    wanted = {(answer.call.method, destination(answer.call.target)) for answer in outside.refused}
    found = {
        (span.get("http.request.method"), span.get("url.path"))
        for span in spans
        if span.get("holdpoint.decision.effect") == "block" and span.get("client.address") == HOME
    }
    if not wanted or not wanted <= found:
        return Check(claim, False, f"found {sorted(map(str, found))} instead of {sorted(map(str, wanted))}")
    return Check(claim, True, f"user.id {AGENT_SUBJECT}, to {', '.join(sorted({place for _, place in wanted}))}")


def check_proxied(outside: Outside, customer_api: Received) -> Check:
    """A known target is reached by the same proxy, and policy decides and masks there as it does elsewhere."""
    claim = "the same proxy leads to the customer API, and policy decides there too"
    shown = [str(outside.known.document.get(name)) for name in MASKED_FIELDS]
    if outside.known.status != 200 or not all(MASK.fullmatch(value) for value in shown):
        return Check(claim, False, _told([outside.known]))
    if outside.blocked.status != 403 or not outside.blocked.code:
        return Check(claim, False, _told([outside.blocked]))
    path = destination_path(outside.known.call.target)
    read = [line for line in customer_api if (line["method"], line["path"]) == ("GET", path)]
    deleted = [line for line in customer_api if line["method"] == "DELETE"]
    if not read or deleted:
        return Check(claim, False, f"the customer API got {len(read)} reads of {path} and {len(deleted)} deletions")
    return Check(
        claim, True, f"a record came with {' and '.join(shown)}; deleting all was refused ({outside.blocked.code})"
    )


def check_copied(stolen: Stolen, customer_api: Received) -> Check:
    """The copy's first request from elsewhere was blocked, and from then on the owner's are too."""
    claim = "a copied token is blocked at its very first request from elsewhere"
    if stolen.before.status != 200:
        return Check(claim, False, f"its owner could not use it before: {_told([stolen.before])}")
    if (stolen.thief.status, stolen.thief.code) != (403, SEVERAL_NETWORKS):
        return Check(claim, False, _told([stolen.thief]))
    if any(line["path"] == PATHS[THIEF] for line in customer_api):
        return Check(claim, False, "the customer API got a request of the thief's")
    if (stolen.owner.status, stolen.owner.code) != (403, SEVERAL_NETWORKS):
        return Check(claim, False, f"its owner went on with it: {_told([stolen.owner])}")
    return Check(claim, True, f"403 {SEVERAL_NETWORKS} to {ELSEWHERE}; then to its owner as well, who so hears of it")


def check_copied_traced(spans: Sequence[Tags], refusals: Sequence[Tags]) -> Check:
    """The theft and what came after the revocation are spans. They were found by COPIED_TAGS and REVOKED_TAGS."""
    claim = f"Jaeger has the thief's address under holdpoint.policy.{COPIED}"
    blocked = [span for span in spans if span.get("holdpoint.decision.effect") == "block"]
    addresses = {span.get("client.address") for span in refusals}
    if not blocked or not {HOME, ELSEWHERE} <= addresses:
        return Check(claim, False, f"{len(blocked)} blocked spans; refused once revoked: {sorted(map(str, addresses))}")
    return Check(claim, True, f"client.address {ELSEWHERE}, user.id {JOB}; and both under holdpoint.code.{REVOKED}")


def check_revoked(stolen: Stolen) -> Check:
    """Both copies are refused once the token is revoked, and its successor is good in one network alone."""
    claim = "revoked, it is good for nobody; its successor is good at its owner's place alone"
    late = [answer for answers in stolen.revoked for answer in answers if answer.status == 200]
    last = [answers[-1] for answers in stolen.revoked]
    if late or any((answer.status, answer.code) != (401, REVOKED) for answer in last):
        return Check(claim, False, _told([*late, *last]))
    if stolen.renewed.status != 200:
        return Check(claim, False, f"its owner can't use the new one: {_told([stolen.renewed])}")
    if (stolen.copied.status, stolen.copied.code) != (403, WRONG_NETWORK):
        return Check(claim, False, f"a copy of the new one: {_told([stolen.copied])}")
    return Check(claim, True, f"401 {REVOKED} to both; then 200 to the owner, and 403 {WRONG_NETWORK} to {ELSEWHERE}")


def destination(target: str) -> str:
    """host or host:port of a request target, as the gateway's record has it."""
    return re.sub(r"^http://", "", target).partition("/")[0]


def destination_path(target: str) -> str:
    """The path of a whole address."""
    return "/" + re.sub(r"^http://", "", target).partition("/")[2]


def _told(answers: Sequence[Answer]) -> str:
    told = [f"{one.asked} was answered {one.status} {one.code or one.body[:80]}" for one in answers]
    return "; ".join(told) or "nothing was asked"
