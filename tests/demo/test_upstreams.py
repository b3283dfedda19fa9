"""The demo's two servers, asked over real sockets: credentials, state, streaming, and an exact log."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from examples.demo import customer_api, model_server, records
from examples.demo.upstream import ReceivedLog, read_log

REAL = {"Authorization": "Bearer real"}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Customer 1042: refund $40"}],
    "tools": [{"type": "function", "function": {"name": "read_customer"}}],
}


def ask(app: web.Application, talk: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Serve `app`, let `talk` use a session with its address as base, and return what it returned."""

    async def run() -> Any:
        async with TestServer(app) as server, ClientSession(server.make_url("/")) as session:
            return await talk(session)

    return asyncio.run(run())


@pytest.mark.parametrize("value", ["", "Bearer eyJ-agent", "real", "Bearer r\u00e9al"])
@pytest.mark.parametrize("build", [customer_api.build, model_server.build])
def test_only_the_real_credential_opens(build: Any, value: str, tmp_path: Path) -> None:
    """An agent's own token, or none, is answered 401, and the log tells which."""
    log = tmp_path / "log"
    headers = {"Authorization": value} if value else {}

    async def talk(session: ClientSession) -> int:
        async with session.get("/customers", headers=headers) as response:
            return response.status

    assert ask(build("real", ReceivedLog(log)), talk) == 401
    assert [line["credential"] for line in read_log(log)] == ["other" if headers else "missing"]


def test_the_log_has_what_was_received_and_no_credential(tmp_path: Path) -> None:
    """Body and path are logged as they came; the credential never is."""
    log = tmp_path / "log"
    body = '{"amount": 5,  "reason": "caf\u00e9"}'

    async def talk(session: ClientSession) -> int:
        headers = REAL | {"Content-Type": "application/json", "traceparent": "00-1-2-03", "Accept-Encoding": "br"}
        async with session.post("/customers/1042/refunds?x=%41", data=body.encode(), headers=headers) as response:
            return response.status

    assert ask(customer_api.build("real", ReceivedLog(log)), talk) == 201
    (line,) = read_log(log)
    assert (line["method"], line["body"], line["credential"]) == ("POST", body, "real")
    assert line["headers"] == {
        "accept-encoding": "br",
        "content-type": "application/json",
        "traceparent": "00-1-2-03",
        "user-agent": line["headers"]["user-agent"],
    }
    assert "Bearer" not in log.read_text(encoding="utf-8")


def test_customers_are_read_refunded_and_deleted(tmp_path: Path) -> None:
    """The customer API has state: a refund is booked, and deleted customers are gone."""

    async def talk(session: ClientSession) -> list[Any]:
        seen: list[Any] = []
        for method, path, body in (
            ("GET", "/customers/1042", None),
            ("POST", "/customers/1042/refunds", {"amount": 40}),
            ("POST", "/customers/9/refunds", {"amount": 40}),
            ("GET", "/refunds", None),
            ("DELETE", "/customers", None),
            ("GET", "/customers/1042", None),
        ):
            async with session.request(method, path, json=body, headers=REAL) as response:
                seen.append((response.status, await response.json()))
        return seen

    record, refund, unknown, refunds, deleted, gone = ask(
        customer_api.build("real", ReceivedLog(tmp_path / "log")), talk
    )
    assert (record[0], record[1]["ssn"]) == (200, "536-22-8731")
    assert (refund[0], unknown[0], gone[0]) == (201, 404, 404)
    assert refunds[1]["refunds"] == [refund[1]["refund"]]
    assert deleted == (200, {"deleted": 3})


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        (records.PAYMENTS_PATH, "application/json", records.PAYMENTS),
        (records.ORDERS_PATH, "text/csv", records.ORDERS),
        (records.PAGE_PATH, "text/html", records.PAGE),
    ],
)
def test_documents_come_as_they_are_written(path: str, content_type: str, text: str, tmp_path: Path) -> None:
    """The table comes in gzip, though it was asked for uncoded."""

    async def talk(session: ClientSession) -> tuple[str, str | None, str]:
        async with session.get(path, headers=REAL | {"Accept-Encoding": "identity"}) as response:
            return response.content_type, response.headers.get("Content-Encoding"), await response.text()

    coding = "gzip" if path == records.ORDERS_PATH else None
    assert ask(customer_api.build("real", ReceivedLog(tmp_path / "log")), talk) == (content_type, coding, text)


def test_a_model_that_may_take_notes_takes_one(tmp_path: Path) -> None:
    """With numbers that nobody told it of; once."""
    tools = [{"type": "function", "function": {"name": records.NOTE_TOOL}}]
    _, whole = chat(model_server.build("real", ReceivedLog(tmp_path / "log")), tools=tools)
    message = json.loads(whole)["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert (message["content"], json.loads(call["function"]["arguments"])) == (records.RECALLED, records.NOTE)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"amount": "40"}', '{"amount": true}', '{"amount": 0}', '{"amount": NaN}', '{"amount": 1e9}'],
)
def test_a_refund_of_no_sensible_amount_is_refused(body: str, tmp_path: Path) -> None:
    """422, and nothing is booked."""

    async def talk(session: ClientSession) -> tuple[int, Any]:
        async with session.post("/customers/1042/refunds", data=body, headers=REAL) as response:
            status = response.status
        async with session.get("/refunds", headers=REAL) as response:
            return status, await response.json()

    assert ask(customer_api.build("real", ReceivedLog(tmp_path / "log")), talk) == (422, {"refunds": []})


def chat(app: web.Application, **extra: Any) -> tuple[int, str]:
    """POST a chat completion; the status and the text of the answer."""

    async def talk(session: ClientSession) -> tuple[int, str]:
        async with session.post("/v1/chat/completions", json=CHAT | extra, headers=REAL) as response:
            return response.status, await response.text()

    status, text = ask(app, talk)
    return status, text


def test_a_streamed_answer_says_what_a_whole_one_says(tmp_path: Path) -> None:
    """Joined deltas equal the message; usage comes last and only when asked for; [DONE] ends it."""

    def app() -> web.Application:
        return model_server.build("real", ReceivedLog(tmp_path / "log"))

    _, whole = chat(app())
    message = json.loads(whole)["choices"][0]["message"]
    status, streamed = chat(app(), stream=True, stream_options={"include_usage": True})
    events = streamed.split("\n\n")
    assert (status, events[-2:]) == (200, ["data: [DONE]", ""])
    documents = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    deltas = [document["choices"][0]["delta"] for document in documents if document["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert calls[0]["function"]["name"] == message["tool_calls"][0]["function"]["name"] == "read_customer"
    assert "".join(call["function"]["arguments"] for call in calls) == message["tool_calls"][0]["function"]["arguments"]
    assert [document["choices"][0]["finish_reason"] for document in documents if document["choices"]][
        -1
    ] == "tool_calls"
    assert documents[-1]["usage"]["total_tokens"] == json.loads(whole)["usage"]["total_tokens"]
    assert "usage" not in chat(app(), stream=True)[1]


@pytest.mark.parametrize("extra", [{"messages": []}, {"messages": "hello"}, {"tools": "all"}])
def test_a_malformed_chat_is_refused(extra: dict[str, Any], tmp_path: Path) -> None:
    """400 in the shape that OpenAI's clients read."""
    status, text = chat(model_server.build("real", ReceivedLog(tmp_path / "log")), **extra)
    assert (status, json.loads(text)["error"]["type"]) == (400, "invalid_request_error")
