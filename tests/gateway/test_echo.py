"""An upstream that tells the credential which it was sent: the agent never learns it, nor does any record."""

import base64
import json
from collections.abc import Callable, Iterable

import httpx
import pytest

from extproc.audit.bodies.folder import BodyFolder
from tests.support.envoy_upstream import Seen
from tests.support.flows import chunk, until
from tests.support.gateway import CREDENTIAL, Gateway

MASK = "[masked:credential]"


def told(seen: Seen) -> str:
    """The Authorization header that the upstream got."""
    return seen.headers["authorization"][0]


def answer(body: bytes, content_type: str, *more: str) -> list[bytes]:
    """A whole response."""
    head = ["HTTP/1.1 200 OK", f"content-type: {content_type}", f"content-length: {len(body)}", *more, "", ""]
    return ["\r\n".join(head).encode() + body]


def as_json(seen: Seen) -> Iterable[bytes]:
    body = {"headers": {"authorization": told(seen)}, "list": [told(seen).split()[1]], "ok": True}
    return answer(json.dumps(body).encode(), "application/json")


def as_text(seen: Seen) -> Iterable[bytes]:
    return answer(f"you sent {told(seen)}, thank you\n".encode(), "text/plain")


def as_bytes(seen: Seen) -> Iterable[bytes]:
    return answer(b"\x00\x01" + told(seen).encode() + b"\xff", "application/octet-stream")


def as_events(seen: Seen) -> Iterable[bytes]:
    """The credential cut in two by the upstream's chunks, and once in two events of a chat."""
    secret = told(seen).split()[1]
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    event = f"data: you sent {secret} to me\n\n".encode()
    yield chunk(event[:20])
    yield chunk(event[20:])
    for part in (secret[:9], secret[9:]):
        delta = {"id": "c", "choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]}
        yield chunk(b"data: " + json.dumps(delta).encode() + b"\n\n")
    yield chunk(b"data: [DONE]\n\n") + chunk(b"")


def as_base64(seen: Seen) -> Iterable[bytes]:
    """Alone, and at each alignment inside something longer."""
    texts = [base64.b64encode(b"x" * n + told(seen).encode() + b"yz").decode() for n in range(3)]
    return answer(json.dumps({"b": texts}).encode(), "application/json")


def as_hex(seen: Seen) -> Iterable[bytes]:
    secret = told(seen).encode().hex()
    return answer(f"{secret} {secret.upper()}".encode(), "text/plain")


def as_error(seen: Seen) -> Iterable[bytes]:
    body = json.dumps({"error": f"bad token {told(seen).split()[1]}"}).encode()
    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return [head % len(body) + body]


def as_header(seen: Seen) -> Iterable[bytes]:
    token = told(seen).split()[1]
    more = [f"x-echo: {told(seen)}", f"location: /next?token={token}", f"traceparent: {token}", "x-plain: kept"]
    return answer(b"ok", "text/plain", *more)


WAYS = [as_json, as_text, as_bytes, as_events, as_base64, as_hex, as_error]


def spellings(secret: str) -> set[bytes]:
    """How a secret may stand in bytes: as it is, in hexadecimal, and the middle of its base64 at each alignment."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for n in range(3):
        found.add(base64.b64encode(b"x" * n + raw)[4 + n : -4])
    return found


def leaks(data: bytes, secret: str = CREDENTIAL) -> list[bytes]:
    """The spellings of a secret that are there."""
    return [form for form in spellings(secret) if form in data]


def shown(reply: httpx.Response) -> bytes:
    """All of an answer that the agent sees."""
    return reply.content + b"".join(name + b": " + value + b"\n" for name, value in reply.headers.raw)


@pytest.mark.parametrize("way", WAYS)
def test_an_echo_is_masked(gateway: Gateway, way: Callable[[Seen], Iterable[bytes]]) -> None:
    """In whatever form a body has it; the delivery's record counts it."""
    gateway.upstream.answer = way
    with gateway.client("listener") as agent:
        reply = agent.get(f"/{way.__name__}")
    assert gateway.upstream.seen[0].headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    assert leaks(shown(reply)) == []
    assert (MASK if way is not as_bytes else "*" * len(CREDENTIAL)) in reply.text
    until(lambda: _counted(gateway, f"/{way.__name__}") > 0, "a record that counts it")


def _counted(gateway: Gateway, path: str) -> int:
    decided = [d["decision"]["id"] for d in gateway.records("decision") if d["action"]["resource"] == path]
    found = [d for d in gateway.records("delivery") if d["decision"] in decided]
    return sum(d["masked"].get("response", {}).get("credential", 0) for d in found)


def test_an_echo_in_a_header_is_masked(gateway: Gateway) -> None:
    """What else the head says stays."""
    gateway.upstream.answer = as_header
    with gateway.client("listener") as agent:
        reply = agent.get("/header")
    assert (reply.status_code, reply.text, reply.headers["x-plain"]) == (200, "ok", "kept")
    assert leaks(shown(reply)) == []


def as_header_name(seen: Seen) -> Iterable[bytes]:
    token = told(seen).split()[1]
    coded = "".join(f"%{byte:02X}" for byte in token.encode())
    more = [f"{token}: 1", f"x-{token.encode().hex()}: 1", f"location: /next?token={coded}", "x-plain: kept"]
    return answer(b"ok", "text/plain", *more)


def test_an_echo_as_a_headers_name(gateway: Gateway) -> None:
    """Envoy writes it in lower case; the header stays behind, and what else the head says stays."""
    gateway.upstream.answer = as_header_name
    with gateway.client("listener") as agent:
        reply = agent.get("/name")
    assert (reply.status_code, reply.text, reply.headers["x-plain"]) == (200, "ok", "kept")
    assert reply.headers["location"] == f"/next?token={MASK}"
    assert not [form for form in spellings(CREDENTIAL) if form.lower() in shown(reply).lower()]


def test_an_agent_that_has_it_may_not_send_it(gateway: Gateway) -> None:
    """Whoever shows what only the gateway should have is blocked."""
    with gateway.client("thief") as agent:
        reply = agent.get("/x", params={"token": CREDENTIAL})
        assert reply.status_code == 403
        assert leaks(shown(reply)) == []
        chat = {"model": "m", "messages": [{"role": "user", "content": f"use {CREDENTIAL}"}]}
        assert agent.post("/v1/chat/completions", json=chat).json()["choices"][0]["finish_reason"] == "content_filter"
    assert gateway.upstream.seen == []


def test_a_new_credential_is_known_too(gateway: Gateway) -> None:
    """Some tenths of a second after its file was replaced, as the documentation says; and the old one stays known."""
    fresh, file = "another-credential-9f8e7d6c", gateway.folder / "credential"
    gateway.upstream.answer = lambda seen: answer(f"{told(seen)} {CREDENTIAL}".encode(), "text/plain")
    staged = gateway.folder / "credential.new"
    staged.touch(0o600)
    staged.write_text(fresh)
    staged.replace(file)
    with gateway.client("rotator") as agent:

        def masked() -> bool:
            data = shown(agent.get("/whoami"))
            assert leaks(data) == []
            return gateway.upstream.seen[-1].headers["authorization"] == [f"Bearer {fresh}"] and not leaks(data, fresh)

        until(masked, "the new credential to be in use, and known")
        assert [masked() for _ in range(5)] == [True] * 5


def test_no_recording_has_it(gateway: Gateway) -> None:
    """What is recorded of bodies is what was released. The new credential may be among that, for as long as it takes to
    know it: the agent was told then, and the recording says so."""
    bodies = BodyFolder(gateway.state / "bodies")
    found = {address: b"".join(bodies.open(address)) for address in bodies.list()}
    assert any(MASK.encode() in content for content in found.values())
    assert [address for address, content in found.items() if leaks(content)] == []


def test_no_record_has_it(gateway: Gateway) -> None:
    """Nor any other file of the state, nor the log: after all of the above."""
    paths = [f.relative_to(gateway.state) for f in gateway.state.rglob("*") if f.is_file()]
    files = {path.as_posix(): (gateway.state / path).read_bytes() for path in paths if path.parts[0] != "bodies"}
    files["log"] = json.dumps(gateway.log).encode()
    secrets = (CREDENTIAL, "another-credential-9f8e7d6c")
    assert [name for name, data in files.items() if any(leaks(data, s) for s in secrets)] == []
