"""The witness of the attacks sees what it is there for: each change to one good request is told."""

import json
from typing import Any

import pytest

from tests.attacks.witness import faults, lax

BODY = b'{"a": 1}'
GOOD = (
    b"POST /a?b=c HTTP/1.1\r\nhost: up\r\nx-a: b\r\ncontent-type: application/json\r\nx-request-id: r-1\r\n"
    b"authorization: Bearer real\r\ntransfer-encoding: chunked\r\n\r\n8\r\n" + BODY + b"\r\n0\r\n\r\n"
)
FACTS = {
    "method": "POST",
    "path": "/a",
    "query": {"b": ["c"]},
    "headers": {"x-a": ["b"], "content-type": ["application/json"], "x-request-id": ["r-1"]},
    "body": {"inspected": True, "size": 8, "json": {"a": 1}},
}
_SPELL = str.maketrans("0123456789", "ghijklmnop")


def decision(**changed: Any) -> dict[str, Any]:
    """The record of the decision on GOOD, with these members changed."""
    spelled = json.dumps({"action": {"facts": FACTS}, "target": "tap"}).encode().hex().translate(_SPELL)
    return {
        "request": "r-1",
        "outcome": "granted",
        "target": {"name": "tap"},
        "action": {"verb": "POST", "resource": "/a", "summary": {"size": 8}},
        "decision": {"effect": "allow", "reasons": [{"code": "told-000", "message": spelled}]},
        **changed,
    }


def seen(data: bytes, record: dict[str, Any] | None = None, target: str = "tap") -> list[str]:
    """What the witness says of these bytes."""
    decisions = {"r-1": record or decision()}
    return faults(data, decisions, token="agent", credential="real", target=target)


CHANGES = [
    (b"POST /a", b"PUT /a"),
    (b"/a?", b"/a/?"),
    (b"b=c", b"b=d"),
    (b"b=c", b"b=c&b=c"),
    (b"x-a: b", b"x-a: c"),
    (b"x-a: b", b"x-a: b\r\nx-a: b"),
    (b"x-a: b\r\n", b""),
    (b"x-a: b", b"x-a: b\r\nx-b: c"),
    (b"x-a: b", b"x-a: b\nx-b: c"),
    (b"x-a: b", b"x-a : b"),
    (b"x-a: b", b"x-a: agent"),
    (b"Bearer real", b"Bearer other"),
    (b"Bearer real", b"Bearer real\r\nauthorization: Bearer real"),
    (b"authorization: Bearer real\r\n", b""),
    (b"r-1", b"r-2"),
    (b"x-request-id: r-1\r\n", b""),
    (b"chunked", b"chunked\r\ncontent-length: 8"),
    (b"chunked", b"xchunked"),
    (b"transfer-encoding: chunked\r\n", b""),
    (b"8\r\n" + BODY, b'9\r\n{"a":  1}'),
    (BODY, b'{"a": 2}'),
    (b"8\r\n", b"8;x\r\n"),
    (b"0\r\n\r\n", b"0\r\nx-t: 1\r\n\r\n"),
    (b"0\r\n\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    (b"0\r\n\r\n", b""),
]


def test_a_good_request_has_no_fault() -> None:
    """The rule that the exceptions prove."""
    assert seen(GOOD) == []


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_changed_byte_is_told(old: bytes, new: bytes) -> None:
    """Whatever differs from what policy saw, or could be read in two ways."""
    assert old in GOOD
    assert seen(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "record",
    [
        decision(outcome="blocked"),
        decision(target={"name": "other"}),
        decision(action={"verb": "GET", "resource": "/a", "summary": {"size": 8}}),
        decision(action={"verb": "POST", "resource": "/b", "summary": {"size": 8}}),
        decision(action={"verb": "POST", "resource": "/a", "summary": {"size": 7}}),
    ],
)
def test_a_record_of_something_else_is_told(record: dict[str, Any]) -> None:
    """The journal has to say what arrived."""
    assert seen(GOOD, record)
    assert seen(GOOD, target="other")


@pytest.mark.parametrize(
    "path", ["/forbidden", "/x/../forbidden", "/x%252f..%5cFORBIDDEN;y", "/%c0%ae%c0%ae/forbidden.", "/..;/forbidden#"]
)
def test_a_lax_server_reads_a_word_where_it_can(path: str) -> None:
    """The careless reading is more careless than any server's."""
    assert lax(path) == ["forbidden"]
