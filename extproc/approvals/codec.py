"""A hold as JSON text and back, for stores. What does not read back raises ValueError: half a hold is no hold."""

import json
from typing import Any

from extproc.approvals.machine import REQUEST
from extproc.domain.decision import Approval
from extproc.domain.hold import Hold, HoldState, Vote
from extproc.domain.json import JSON
from extproc.domain.principal import Kind, Principal


def requirement_documents(hold: Hold) -> list[dict[str, JSON]]:
    """The hold's requirements as records and views show them."""
    return [
        {"policy": r.policy, "group": r.group, "quorum": r.quorum, "expires_in_seconds": r.expires_in_seconds}
        for r in hold.requirements
    ]


def party(principal: Principal) -> str:
    """Issuer and subject as one ASCII text; no two parties share it."""
    return json.dumps([principal.issuer, principal.subject])


def asker(principal: Principal) -> str:
    """Issuer, subject and whom it acts for as one ASCII text (see `people.same_asker`)."""
    return json.dumps([principal.issuer, principal.subject, principal.acts_for])


def dump_principal(principal: Principal) -> str:
    """A principal as ASCII JSON text."""
    return json.dumps(_document(principal), allow_nan=False)


def load_principal(text: str) -> Principal:
    """The inverse of `dump_principal`. Raises ValueError."""
    return _principal(_object(text))


def dump_fixed(hold: Hold) -> str:
    """What never changes over a hold's life and needs no column of its own, as ASCII JSON text. The text that people
    read has a column: it goes when the hold ends."""
    return json.dumps(
        {
            "principal": _document(hold.principal),
            "revision": hold.revision,
            "decision": hold.decision,
            "summary": {name: value for name, value in hold.summary.items() if name != REQUEST},
            "requirements": requirement_documents(hold),
        },
        allow_nan=False,
    )


def load(
    *,
    hold_id: str,
    state: str,
    target: str,
    verb: str,
    resource: str,
    digest: str,
    fixed: str,
    request: str | None,
    created_at: float,
    expires_at: float,
    detached: bool,
    votes: tuple[Vote, ...],
) -> Hold:
    """A hold from its columns; `fixed` is what `dump_fixed` gave, `request` the text that people read, or None where
    it is gone or was not read. Raises ValueError."""
    d = _object(fixed)
    try:
        return Hold(
            id=hold_id,
            state=HoldState(state),
            principal=_principal(d["principal"]),
            target=target,
            verb=verb,
            resource=resource,
            digest=digest,
            revision=d["revision"],
            decision=d["decision"],
            summary=d["summary"] if request is None else {**d["summary"], REQUEST: request},
            requirements=tuple(
                Approval(r["policy"], r["group"], r["quorum"], r["expires_in_seconds"]) for r in d["requirements"]
            ),
            created_at=created_at,
            expires_at=expires_at,
            detached=detached,
            votes=votes,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"hold {hold_id}: {type(error).__name__} {error}") from None


def _document(principal: Principal) -> dict[str, JSON]:
    targets = None if principal.targets is None else list(principal.targets)
    return {**principal.document(), "expires_at": principal.expires_at, "targets": targets}


def _principal(d: dict[str, Any]) -> Principal:
    try:
        targets = d["targets"]
        return Principal(
            d["issuer"],
            d["subject"],
            Kind(d["kind"]),
            tuple(d["groups"]),
            d["acts_for"],
            d["expires_at"],
            d["credential"],
            None if targets is None else tuple(targets),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"principal: {type(error).__name__} {error}") from None


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    return value
