"""Records as a worker writes them, for as many exchanges as wanted, without a gateway. Pure."""

from collections.abc import Iterator

from extproc.domain.json import Document

PRINCIPALS, TARGETS, TEAMS = 200, ("crm", "billing", "docs", "tickets", "warehouse"), 8
BLOCKED_IN, MASKED_IN = 20, 3
RARE = "zanzibar"
"""A word in the path of one exchange in RARE_IN."""
RARE_IN = 5000
BEGAN = 1_790_000_000.0
APART = 0.05
"""Seconds between two exchanges; so a million records are seven hours."""

_MASK: Document = {
    "policy": "http.pii_in_responses",
    "select": {"kinds": ["card", "ssn", "iban"], "keys": ["password", "token"]},
    "operator": "redact",
    "lanes": ["response"],
}
_READ: Document = {
    "policy": "http.allow_reads",
    "code": "read",
    "message": "Reading is allowed.",
    "severity": "info",
    "mode": "enforce",
    "effect": "allow",
}
_PERSONAL: Document = {
    "policy": "http.pii_in_responses",
    "code": "response-masked",
    "message": "Personal data and secrets in the response are masked.",
    "severity": "medium",
    "mode": "enforce",
    "effect": "allow",
}
_DELETED: Document = {
    "policy": "http.destructive_methods",
    "code": "delete-collection",
    "message": "Deleting a whole collection in production is not allowed; delete items one by one.",
    "severity": "high",
    "mode": "enforce",
    "effect": "block",
}


def principal(number: int) -> str:
    """The subject that the exchange of this number is of."""
    return f"agent-{number % PRINCIPALS}"


def trace(number: int) -> str:
    """The trace id that the exchange's client sent."""
    return f"{number + 1:032x}"


def exchanges(count: int) -> Iterator[tuple[Document, Document]]:
    """So many decisions, each with its delivery; 2.2 KB of journal together."""
    for number in range(count):
        common = _common(number)
        identity = f"{number:024x}"
        blocked, masked = number % BLOCKED_IN == 0, number % MASKED_IN == 0
        yield (
            {
                **common,
                "action": _action(number, blocked),
                "approvers": [],
                "decision": {
                    "schema": 1,
                    "id": identity,
                    "effect": "block" if blocked else "allow",
                    "revision": "b2d80dc95a46f719",
                    "reasons": [_DELETED if blocked else _READ, *([_PERSONAL] if masked else [])],
                    "obligations": {"approval": [], "mask": [_MASK] if masked else [], "record": "full"},
                },
                "hold": None,
                "outcome": "blocked" if blocked else "granted",
                "timings_us": {"policy": 1486},
            },
            {
                **common,
                "bytes": {"request": 0, "response": 0 if blocked else 1024},
                "decision": identity,
                "duration_us": 4807,
                "masked": {"response": {"card": 1}} if masked and not blocked else {},
                "outcome": "refused:blocked" if blocked else "completed",
                "status": 403 if blocked else 200,
            },
        )


def _action(number: int, blocked: bool) -> Document:
    rare = f"/{RARE}" if number % RARE_IN == 0 else ""
    return {
        "digest": f"{number:064x}",
        "protocol": "http",
        "verb": "DELETE" if blocked else "GET",
        "resource": f"/customers/{number}/invoices{rare}",
        "summary": {
            "content_type": "",
            "host": f"{TARGETS[number % len(TARGETS)]}.holdpoint.internal",
            "query": f"page={number % 97}",
            "size": 0,
        },
    }


def _common(number: int) -> Document:
    return {
        "at": "2026-09-22T00:00:00.000000Z",
        "principal": {
            "acts_for": None,
            "credential": "jwt:17a121ff31039acd",
            "groups": [f"team-{number % TEAMS}"],
            "issuer": "https://agents.bench",
            "kind": "agent",
            "subject": principal(number),
        },
        "request": f"{number:08x}-676b-4cf1-b48e-86755ac730ff",
        # A connection carries some fifty requests.
        "session": f"{number % PRINCIPALS + PRINCIPALS * (number // (PRINCIPALS * 50)):032x}",
        "source": {"address": "127.0.0.1"},
        "target": {"environment": "production", "name": TARGETS[number % len(TARGETS)], "protocol": "http"},
        "trace": {"traceparent": f"00-{trace(number)}-00f067aa0ba902b7-01", "tracestate": ""},
    }
