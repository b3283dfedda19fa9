"""What upstreams answer, masked on its way through a whole gateway, in whatever form it comes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.support.flows import opened
from tests.support.gateway import CREDENTIAL, Gateway
from tests.support.masked import (
    CARD,
    CODE,
    EMAIL,
    SSN,
    TOKEN,
    bound,
    counted,
    delivered,
    leaks,
    made,
    pieces,
    recorded,
    whole,
)

MASK: dict[str, object] = {"kinds": ["*"], "keys": ["customer_no"], "lanes": ["response"]}
TABLE = {"all": [MASK], "v1": [MASK]}


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway that masks answers by their path."""
    gateway = made(TABLE, audit="otlp: null, record: {bodies: full}")
    try:
        yield gateway.start()
    finally:
        gateway.stop()


def get(gateway: Gateway, path: str) -> httpx.Response:
    """Ask for something."""
    with gateway.client() as agent:
        return agent.get(path)


def cut(body: bytes, size: int = 7) -> list[bytes]:
    """A body in pieces of so many bytes."""
    return [body[at : at + size] for at in range(0, len(body), size)]


@dataclass(frozen=True)
class Form:
    """A body, what becomes of it, and how many values it has by kind."""

    kind: str
    body: str
    masked: str
    counts: dict[str, int]


FORMS = {
    "csv": Form(
        "text/csv; charset=utf-8",
        f'id;customer_no;ssn;note\n1;KD-4711;219099998;"card ""{CARD}"";"\n2;KD-12;;{EMAIL}\n',
        'id;customer_no;ssn;note\n1;[masked:key:customer_no];[masked:ssn];"card ""[masked:card]"";"\n'
        "2;[masked:key:customer_no];;[masked:email]\n",
        {"card": 1, "email": 1, "ssn": 1, "key:customer_no": 2},
    ),
    "xml": Form(
        "application/xml",
        f'<?xml version="1.0"?><c><customer_no>KD-4711</customer_no><ssn>219099998</ssn><!-- {CARD} -->'
        f'<m to="jane.doe&#64;example.com"/><![CDATA[{TOKEN}]]><p>1 &lt; 2</p></c>',
        '<?xml version="1.0"?><c><customer_no>[masked:key:customer_no]</customer_no><ssn>[masked:ssn]</ssn>'
        '<!-- [masked:card] --><m to="[masked:email]"/><![CDATA[[masked:github-token]]]><p>1 &lt; 2</p></c>',
        {"card": 1, "email": 1, "github-token": 1, "ssn": 1, "key:customer_no": 1},
    ),
    "html": Form(
        "text/html; charset=utf-8",
        f"<!doctype html><p>Card <b>{CARD}</b><br>mail <a href='mailto:jane.doe&#x40;example.com'>me</a>&nbsp;",
        "<!doctype html><p>Card <b>[masked:card]</b><br>mail <a href='mailto:[masked:email]'>me</a>&nbsp;",
        {"card": 1, "email": 1},
    ),
    "ndjson": Form(
        "application/x-ndjson",
        f'{{"customer_no":"KD-1","a":1.10}}\n{{"to": "jane.doe\\u0040example.com"}}\n\n["{CARD}",  4111111111111111]\n',
        '{"customer_no":"[masked:key:customer_no]","a":1.10}\n{"to": "[masked:email]"}\n\n["[masked:card]",  null]\n',
        {"card": 2, "email": 1, "key:customer_no": 1},
    ),
    "text": Form(
        "text/plain",
        f"customer_no=KD-4711 paid with {CARD}\nmail {EMAIL}",
        "customer_no=[masked:key:customer_no] paid with [masked:card]\nmail [masked:email]",
        {"card": 1, "email": 1, "key:customer_no": 1},
    ),
    "binary": Form("application/x-thing", f"\0\1{CARD}\0", f"\0\1{'*' * len(CARD)}\0", {"card": 1}),
    "events": Form(
        "text/event-stream",
        f'event: a\ndata: {{"customer_no": "KD-1",\ndata: "card": "{CARD}"}}\nid: 1\n\n: {SSN}\n\ndata: to {EMAIL}\n\n',
        'event: a\ndata: {"customer_no": "[masked:key:customer_no]",\ndata: "card": "[masked:card]"}\nid: 1\n\n'
        ": [masked:ssn]\n\ndata: to [masked:email]\n\n",
        {"card": 1, "email": 1, "ssn": 1, "key:customer_no": 1},
    ),
}


@pytest.mark.parametrize("cuts", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_form(gateway: Gateway, form: str, cuts: bool) -> None:
    """Whole and in pieces; what is not masked stays as it was."""
    case = FORMS[form]
    path = f"/all/{form}/{cuts}"
    body = case.body.encode()
    gateway.upstream.answer = pieces(case.kind, *cut(body)) if cuts else whole(body, case.kind)
    reply = get(gateway, path)
    assert (reply.status_code, reply.headers["content-type"], reply.text) == (200, case.kind, case.masked)
    assert (counted(gateway, path), bound(reply)) == ({"response": case.counts}, set())
    assert recorded(gateway, path, "response") == reply.content


def chat(*deltas: dict[str, object]) -> bytes:
    """A streamed chat completion of these deltas."""
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks) + b"data: [DONE]\n\n"


def call(arguments: str, number: int = 0, name: str | None = None) -> dict[str, object]:
    """A delta of a tool call."""
    first: dict[str, object] = {"id": f"call_{number}", "type": "function"} if name else {}
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"tool_calls": [{"index": number, **first, "function": function}]}


def test_a_streamed_completion(gateway: Gateway) -> None:
    """A card over ten deltas of the text, and secrets in the arguments of two calls, which come in turns."""
    said = ["The card is ", *(CARD[at : at + 2] for at in range(0, len(CARD), 2)), ", bye"]
    text: list[dict[str, object]] = [{"content": part} for part in said]
    arguments = json.dumps({"card": CARD, "to": EMAIL, "price": 1.10}), json.dumps({"ssn": "219099998", "n": 1})
    one, two = ([part.decode() for part in cut(a.encode(), 4)] for a in arguments)
    calls = [call("", 0, "pay"), call("", 1, "look")]
    for at in range(max(len(one), len(two))):
        calls += [call(parts[at], n) for n, parts in enumerate((one, two)) if at < len(parts)]
    gateway.upstream.answer = pieces("text/event-stream", *cut(chat(*text, *calls), 50))
    with gateway.client() as agent:
        ask = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        reply = agent.post("/v1/chat/completions", json=ask)
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines[:-1]]
    assert "".join(d.get("content") or "" for d in deltas) == "The card is [masked:card], bye"
    got = ["", ""]
    for delta in deltas:
        for part in delta.get("tool_calls", []):
            got[part["index"]] += part["function"]["arguments"]
    assert [json.loads(a) for a in got] == [
        {"card": "[masked:card]", "to": "[masked:email]", "price": 1.10}, {"ssn": "[masked:ssn]", "n": 1}
    ]  # fmt: skip
    assert counted(gateway, "/v1/chat/completions")["response"] == {"card": 2, "email": 1, "ssn": 1}


@pytest.mark.parametrize("cuts", [True, False])
@pytest.mark.parametrize("coding", CODE)
def test_a_coded_answer(gateway: Gateway, coding: str, cuts: bool) -> None:
    """Though it was asked for uncoded: it goes on uncoded, masked."""
    body = CODE[coding](json.dumps({"card": CARD, "n": 1.10}).encode())
    more = f"content-encoding: {coding}"
    gateway.upstream.answer = (
        pieces("application/json", *cut(body), more=[more]) if cuts else whole(body, "application/json", more)
    )
    with gateway.client() as agent:
        reply = agent.get("/all/coded", headers={"accept-encoding": "gzip, br, zstd"})
    assert gateway.upstream.seen[0].headers["accept-encoding"] == ["identity"]
    assert (reply.status_code, reply.json(), bound(reply)) == (200, {"card": "[masked:card]", "n": 1.1}, set())


JSON = "content-type: application/json"
WHOLE = CODE["gzip"](json.dumps({"card": CARD}).encode())
UNREAD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an unknown coding": (WHOLE, (JSON, "content-encoding: compress")),
    "one of two unknown": (WHOLE, (JSON, "content-encoding: exi", "content-encoding: gzip")),
    "another coding": (WHOLE, (JSON, "content-encoding: br")),
    "a bomb": (CODE["br"](b" " * (30 << 20)), (JSON, "content-encoding: br")),
    "no JSON": (f'{{"card": "{CARD}", }}'.encode(), (JSON,)),
    "no UTF-8": (b'{"a": "\xff", "card": "4111111111111111"}', (JSON,)),
    "too deep": (b"[" * 200 + CARD.encode() + b"]" * 200, (JSON,)),
    "a wide character set": (CARD.encode("utf-16"), ("content-type: text/plain; charset=utf-16",)),
    "two types": (b'{"card": "4111\\u0031111111111111"}', (JSON, "content-type: a/b")),
    "two types in one": (CARD.encode(), ("content-type: application/json, text/plain",)),
    "entities of its own": (b'<!DOCTYPE a [<!ENTITY c "4111">]><a>&c;111111111111</a>', ("content-type: text/xml",)),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREAD)
def test_what_can_not_be_read_is_stopped(gateway: Gateway, what: str) -> None:
    """A clean error in place of the answer."""
    body, lines = UNREAD[what]
    head = ["HTTP/1.1 200 OK", *lines, f"content-length: {len(body)}", "", ""]
    gateway.upstream.answer = lambda _: ["\r\n".join(head).encode() + body]
    path = f"/all/{what.replace(' ', '-')}"
    reply = get(gateway, path)
    assert (reply.status_code, reply.headers["content-type"]) == (502, "application/problem+json")
    assert "4111" not in reply.text
    assert delivered(gateway, path)["outcome"].startswith("refused:un")


def test_an_unknown_coding_is_stopped_where_only_credentials_are_looked_for(gateway: Gateway) -> None:
    """Nobody could tell whether one is in it."""
    gateway.upstream.answer = whole(WHOLE, "application/json", "content-encoding: compress")
    assert get(gateway, "/none/coded").status_code == 502


def test_heads_and_trailers(gateway: Gateway) -> None:
    """Values of headers are masked, also in addresses; a trailer that has one is left out."""
    more = [
        f"x-note: for {EMAIL}",
        f"location: /next?mail={EMAIL}&n=1",
        f"x-card: {CARD}",
        "x-plain: kept",
        "x-card: 2",
    ]
    trailers = [f"x-last: {CARD}", "x-sum: 3", f"x-echo: {CREDENTIAL}"]
    more.append("trailer: x-last, x-sum, x-echo")
    gateway.upstream.answer = pieces("text/plain", b"all is well, ", EMAIL.encode(), more=more, trailers=trailers)
    token = gateway.agents.token()
    lines = f"GET /all/heads HTTP/1.1\nHost: crm.holdpoint.internal\nAuthorization: Bearer {token}"
    data = b""
    with opened(gateway.port, f"{lines}\nTE: trailers\nConnection: close") as connection:
        while more_data := connection.recv(65536):
            data += more_data
    head, _, body = data.decode().partition("\r\n\r\n")
    assert {"x-note: for [masked:email]", "location: /next?mail=[masked:email]&n=1", "x-plain: kept"} <= set(
        head.split("\r\n")
    )
    assert [line for line in head.split("\r\n") if line.startswith("x-card")] == ["x-card: [masked:card]", "x-card: 2"]
    assert body.split("\r\n\r\n")[0].endswith("x-sum: 3")
    assert "[masked:email]" in body
    assert [name for name in ("x-last", "x-echo", CARD, EMAIL, CREDENTIAL) if name in body] == []
    assert counted(gateway, "/all/heads")["response"] == {"card": 1, "email": 3}


def test_what_is_asked_for_is_told_without_secrets(gateway: Gateway) -> None:
    """Path and query go on as they are: policy blocks them or does not. Records have no secret of them."""
    with gateway.client() as agent:
        reply = agent.get(f"/all/of/{SSN}", params={"token": TOKEN, "n": "1"}, headers={"x-note": TOKEN})
    assert reply.status_code == 200
    seen = gateway.upstream.seen[0]
    assert seen.path == f"/all/of/{SSN}?token={TOKEN}&n=1"
    assert seen.headers["x-note"] == [TOKEN]
    told = gateway.records("decision")[-1]["action"]
    assert told["resource"] == "/all/of/[masked:ssn]"
    assert SSN not in json.dumps(told)
    assert TOKEN not in json.dumps(told)


def test_no_value_is_told_anywhere(gateway: Gateway) -> None:
    """By whatever is written or recorded of all of the above."""
    gateway.upstream.answer = whole(f"{CARD} {EMAIL} {TOKEN} {SSN}".encode(), "text/plain")
    assert get(gateway, "/all/last").text == "[masked:card] [masked:email] [masked:github-token] [masked:ssn]"
    delivered(gateway, "/all/last")
    assert leaks(gateway, CARD, CARD.replace(" ", ""), SSN, TOKEN, EMAIL, "219099998", "KD-47") == []
