"""What agents send, masked on its way through a whole gateway: what policy is told, what the upstream gets."""

import gzip
import json
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs

import brotli  # type: ignore[import-untyped]
import httpx
import pytest

from tests.support.flows import until
from tests.support.gateway import Gateway
from tests.support.masked import (
    CARD,
    CODE,
    DECODE,
    EMAIL,
    SSN,
    TOKEN,
    counted,
    decided,
    delivered,
    leaks,
    made,
    policy_saw,
    recorded,
    sent,
)

TABLE = {"in": [{"kinds": ["*"], "lanes": ["request"]}], "out": [{"kinds": ["*"], "lanes": ["response"]}]}
MOST = 64 << 10
"""Bytes of a body that the small target reads."""
TARGETS = """
small: {upstream: UPSTREAM, environment: dev, inspect: 64KiB, record: {bodies: full}}
stream: {upstream: UPSTREAM, environment: dev, inspect: stream, record: {bodies: full}}
""".strip()


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway that reads 64 KiB of a body on one target, and none before it decides on another."""
    shipped = ("http.llm_chat", "http.complete_facts")
    gateway = made(TABLE, shipped=shipped, targets=TARGETS, audit="otlp: null, record: {bodies: full}")
    try:
        yield gateway.start()
    finally:
        gateway.stop()


NOTE = {"text": f"Card {CARD}, SSN {SSN}; mail {EMAIL}, {TOKEN}", "price": 1.10, "tax_id": "", "ssn": "219099998"}
CLEAN = {
    "text": "Card [masked:card], SSN [masked:ssn]; mail [masked:email], [masked:github-token]", "price": 1.10,
    "tax_id": "", "ssn": "[masked:ssn]",
}  # fmt: skip
COUNTS = {"card": 1, "ssn": 2, "email": 1, "github-token": 1}
OTHER = "max.muster@example.org"
JSON = {"content-type": "application/json"}


def post(gateway: Gateway, path: str, body: object, headers: dict[str, str], target: str = "small") -> httpx.Response:
    """Send a body."""
    with gateway.client(target=target) as agent:
        return agent.post(path, content=body, headers=headers)  # type: ignore[arg-type]


def test_a_prompt_goes_to_the_model_without_secrets(gateway: Gateway) -> None:
    """By the policy that comes with the gateway: in each message, in parts, and in what a tool gave."""
    said = f"my card is {CARD} and my token {TOKEN}"
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": said}]},
        {"role": "tool", "tool_call_id": "1", "content": json.dumps({"ssn": SSN, "of": EMAIL})},
    ]
    with gateway.client() as agent:
        reply = agent.post("/v1/chat/completions", json={"model": "m", "messages": messages})
    assert reply.status_code == 200, reply.text
    got = json.loads(sent(gateway.upstream.seen[0]))["messages"]
    assert got[1]["content"][0]["text"] == "my card is [masked:card] and my token [masked:github-token]"
    assert json.loads(got[2]["content"]) == {"ssn": "[masked:ssn]", "of": "[masked:email]"}
    assert counted(gateway, "/v1/chat/completions")["request"] == {"card": 1, "github-token": 1, "ssn": 1, "email": 1}


def test_a_form(gateway: Gateway) -> None:
    """Decoded values, and names as context."""
    body = b"card=4111+1111+1111+1111&mail=jane.doe%40example.com&n=1&ssn=219099998"
    reply = post(gateway, "/in/form", body, {"content-type": "application/x-www-form-urlencoded"})
    assert reply.status_code == 200
    fields = parse_qs(sent(gateway.upstream.seen[0]).decode())
    assert fields == {"card": ["[masked:card]"], "mail": ["[masked:email]"], "n": ["1"], "ssn": ["[masked:ssn]"]}
    assert policy_saw(gateway, "/in/form") == {"card": 1, "email": 1, "ssn": 1}


def test_an_upload(gateway: Gateway) -> None:
    """Each part by its own type; the name of a part is context."""
    files: dict[str, Any] = {
        "ssn": (None, "219099998"),
        "list": ("list.csv", f"no,ssn\n1,219099998\n2,{SSN}\n", "text/csv"),
        "note": ("note.json", json.dumps(NOTE), "application/json"),
        "blob": ("blob.bin", b"\x00\x01" + EMAIL.encode() + b"\xff", "application/octet-stream"),
    }
    with gateway.client(target="small") as agent:
        assert agent.post("/in/upload", files=files).status_code == 200
    seen = gateway.upstream.seen[0]
    framed = b"content-type: " + seen.headers["content-type"][0].encode() + b"\r\n\r\n" + sent(seen)
    parts = list(message_from_bytes(framed, policy=HTTP).iter_parts())
    got = {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts}
    assert json.loads(bytes(got.pop("note"))) == CLEAN
    assert got == {
        "ssn": b"[masked:ssn]",
        "list": b"no,ssn\n1,[masked:ssn]\n2,[masked:ssn]\n",
        "blob": b"\x00\x01" + b"*" * len(EMAIL) + b"\xff",
    }
    assert policy_saw(gateway, "/in/upload") == {"card": 1, "email": 2, "github-token": 1, "ssn": 5}


@pytest.mark.parametrize("target", ["small", "stream"])
@pytest.mark.parametrize("coding", CODE)
def test_a_coded_body(gateway: Gateway, target: str, coding: str) -> None:
    """Policy is told what is in it, where it reads bodies; the upstream gets it in the same coding, masked."""
    name, body = coding.replace(", ", "-"), CODE[coding](json.dumps(NOTE).encode())
    path = f"/in/{target}/{name}"
    content = body if target == "small" else iter([body[:9], body[9:]])
    assert post(gateway, path, content, {**JSON, "content-encoding": coding}, target).status_code == 200
    (seen,) = gateway.upstream.seen
    assert ", ".join(seen.headers["content-encoding"]) == coding
    assert json.loads(DECODE[coding](sent(seen))) == CLEAN
    assert counted(gateway, path) == {"request": COUNTS}
    assert policy_saw(gateway, path) == (COUNTS if target == "small" else {})
    assert recorded(gateway, path, "request") == sent(seen)


def test_a_coded_body_that_nobody_masks(gateway: Gateway) -> None:
    """Policy is told of it all the same, and no other meaning of it goes on: a second one behind the first is read."""
    body = gzip.compress(b"[1, ") + gzip.compress(b'"' + OTHER.encode() + b'"]')
    assert post(gateway, "/out/coded", body, {**JSON, "content-encoding": "gzip"}).status_code == 200
    assert json.loads(gzip.decompress(sent(gateway.upstream.seen[0]))) == [1, OTHER]
    assert (policy_saw(gateway, "/out/coded"), counted(gateway, "/out/coded")) == ({"email": 1}, {})


WHOLE = gzip.compress(json.dumps(NOTE).encode())
REFUSED = {
    "too long": ({**JSON, "content-encoding": "gzip"}, gzip.compress(b" " * (MOST + 1)), 413),
    "a bomb": ({**JSON, "content-encoding": "br"}, brotli.compress(b" " * (30 << 20)), 413),
    "unknown": ({**JSON, "content-encoding": "compress"}, WHOLE, 415),
    "one unknown": ({**JSON, "content-encoding": "gzip, exi"}, WHOLE, 415),
    "three": ({**JSON, "content-encoding": "gzip, gzip, gzip"}, WHOLE, 415),
    "torn": ({**JSON, "content-encoding": "gzip"}, WHOLE[:-1], 400),
    "more": ({**JSON, "content-encoding": "gzip"}, WHOLE + b"more", 400),
    "another": ({**JSON, "content-encoding": "zstd"}, WHOLE, 400),
    "uncoded": ({**JSON, "content-encoding": "gzip"}, json.dumps(NOTE).encode(), 400),
    "malformed": (JSON, f'{{"a": "{CARD}"'.encode(), 400),
    "wide": ({"content-type": "text/plain; charset=utf-16"}, EMAIL.encode("utf-16"), 400),
    "two types": ({"content-type": "text/plain, application/json"}, EMAIL.encode(), 400),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_that_can_not_be_read(gateway: Gateway, what: str) -> None:
    """It is refused before anybody hears of it, and that is on record."""
    headers, body, status = REFUSED[what]
    path = f"/in/{what.replace(' ', '-')}"
    reply = post(gateway, path, body, headers)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert gateway.upstream.seen == []
    assert decided(gateway, path)["decision"]["effect"] == "block"
    assert delivered(gateway, path)["outcome"].startswith("refused:")


@pytest.mark.parametrize("coded", [True, False])
def test_a_stream_that_breaks_its_form(gateway: Gateway, coded: bool) -> None:
    """What is masked while it streams ends where it can't be read: the upstream never has a whole request."""
    path = f"/in/broken/{coded}"
    body = WHOLE[:-1] if coded else json.dumps(NOTE).encode()[:-1] + b"]"
    headers = {**JSON, "content-encoding": "gzip"} if coded else JSON
    assert post(gateway, path, iter([body[:30], body[30:]]), headers, "stream").status_code == 500
    assert not any(seen.body.endswith(b"0\r\n\r\n") for seen in gateway.upstream.seen)
    until(lambda: bool(delivered(gateway, path)), "the record")
    assert delivered(gateway, path)["outcome"] == "aborted:unmaskable-request"


def test_no_value_is_told_anywhere(gateway: Gateway) -> None:
    """By whatever is written or recorded of all of the above."""
    assert post(gateway, "/in/last", json.dumps(NOTE).encode(), JSON).status_code == 200
    delivered(gateway, "/in/last")
    assert leaks(gateway, CARD, SSN, TOKEN, EMAIL, "219099998") == []
