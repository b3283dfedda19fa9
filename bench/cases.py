"""What is measured: the payloads, what a right answer to each is, and the ways a request can go."""

from dataclasses import dataclass
from enum import StrEnum

import orjson

SECRETS = ("AKIAIOSFODNN7EXAMPLE",)
"""What the request of `bodies` carries and the upstream must not get through Holdpoint. An example key of AWS's own."""

PERSONAL = ("4111111111111111", "078-05-1120", "GB82WEST12345698765432")
"""What the upstream's answer carries and the agent must not get through Holdpoint: well-known test numbers."""

SAW = "x-upstream-saw"
"""Header of the upstream's answer: `secret` or `clean`, by the request body that reached it."""


class Payload(StrEnum):
    """What goes over the wire; also the name of the target that it goes to."""

    HEADS = "heads"
    BODIES = "bodies"


class Way(StrEnum):
    """What stands between client and upstream."""

    PLAIN = "plain"
    CONTINUE = "continue"
    HOLDPOINT = "holdpoint"


@dataclass(frozen=True, slots=True)
class Row:
    """One way for one payload."""

    way: Way
    payload: Payload

    @property
    def label(self) -> str:
        """For tables."""
        what = {
            Way.PLAIN: "plain Envoy",
            Way.CONTINUE: "processor that only continues",
            Way.HOLDPOINT: "Holdpoint",
        }[self.way]
        how = "headers only" if self.payload is Payload.HEADS else "bodies"
        if (self.way, self.payload) == (Way.HOLDPOINT, Payload.BODIES):
            how = "bodies inspected and masked"
        return f"{what}, {how}"


ROWS = tuple(Row(way, payload) for payload in Payload for way in Way)
"""In the order in which one round measures them."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured. A cell is one row at one number of connections; each round measures every cell once.
    `records` are those of the trail that is written, verified, indexed and searched without a gateway."""

    rounds: int = 4
    seconds: float = 2.0
    warm_seconds: float = 0.4
    most_requests: int = 50_000
    connections: tuple[int, ...] = (1, 8, 32)
    workers: int = 2
    records: int = 1_000_000


QUICK = Options(rounds=2, seconds=0.8, warm_seconds=0.2, records=20_000)
"""For a look, and for tests of the bench itself."""


def request_body() -> bytes:
    """About 1 KB of JSON with a secret in it."""
    notes = [{"line": i, "text": "the customer called about the invoice and was told when it is due"} for i in range(9)]
    notes.append({"line": 9, "text": f"use {SECRETS[0]} for the export"})
    return orjson.dumps({"ticket": 4711, "urgent": False, "notes": notes})


def response_body() -> bytes:
    """About 4 KB of JSON with personal data in it, as a customer API would give."""
    card, ssn, iban = PERSONAL
    orders = [
        {
            "id": 9000 + i,
            "state": "shipped",
            "total": 12.5 + i,
            "items": ["a pen", "a pad of paper", "ink"],
            "gift": None,
        }
        for i in range(40)
    ]
    customer = {"id": 7, "name": "Ada Lovelace", "note": f"paid with {card}", "ssn": ssn, "account": {"iban": iban}}
    return orjson.dumps({"customer": customer, "orders": orders, "next": "/customers/7/orders?page=2"})


def small_body() -> bytes:
    """What the upstream answers to a request of `heads`."""
    return orjson.dumps({"id": 7, "name": "Ada Lovelace", "orders": 40, "state": "active"})


def request(payload: Payload, domain: str, token: str) -> bytes:
    """The whole request, as the load generator sends it."""
    head = f"host: {payload}.{domain}\r\nauthorization: Bearer {token}\r\nuser-agent: bench\r\naccept: */*\r\n"
    if payload is Payload.HEADS:
        return f"GET /customers/7 HTTP/1.1\r\n{head}\r\n".encode()
    body = request_body()
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"POST /customers/7/notes HTTP/1.1\r\n{head}\r\n".encode() + body


def faults(row: Row, status: int, saw: str, body: bytes) -> list[str]:
    """What is wrong with an answer, in words; empty if nothing is."""
    found = [] if status == 200 else [f"status {status}, expected 200"]
    masked = (row.way, row.payload) == (Way.HOLDPOINT, Payload.BODIES)
    sent = small_body() if row.payload is Payload.HEADS else response_body()
    if row.payload is Payload.BODIES and saw != ("clean" if masked else "secret"):
        found.append(f"the upstream saw {saw or 'nothing'!r}")
    if masked:
        found += [f"the answer still has value {i}" for i, v in enumerate(PERSONAL) if v.encode() in body]
        found += [] if b"[masked:card]" in body and b"Ada Lovelace" in body else ["the answer is not the masked one"]
    elif body != sent:
        found.append("the answer is not what the upstream sent")
    return found
