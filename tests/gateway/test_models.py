"""Models behind the gateway, asked with the clients that people use, under the policies as shipped."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway, running

KEY = "AKIAIOSFODNN7EXAMPLE"
CARD = "4111111111111111"
SEARCH: Any = {"type": "web_search"}
CLAUDE_SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A production target where nobody waits for people."""
    yield from running(targets='model: {upstream: "UPSTREAM", environment: production, wait: 1s}')


@pytest.fixture
def gateway(started: Gateway) -> Gateway:
    """The module's gateway, its upstream's memory empty."""
    started.upstream.reset()
    return started


@pytest.fixture
def gpt(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """A client as an agent's developer makes one."""
    token = gateway.agents.token()
    with openai.OpenAI(base_url=f"{gateway.url}/model/v1", api_key=token, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """A client as an agent's developer makes one."""
    given: Any = {"auth_token": gateway.agents.token(), "api_key": None, "max_retries": 0}
    with anthropic.Anthropic(base_url=f"{gateway.url}/model", **given) as client:
        yield client


def answers(gateway: Gateway, body: bytes, content_type: str = "application/json") -> None:
    """Have the upstream answer so."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    def answer(_: Seen) -> list[bytes]:
        return [head + body]

    gateway.upstream.answer = answer


def events(*documents: dict[str, Any]) -> bytes:
    """An event stream with names."""
    return b"".join(f"event: {d['type']}\ndata: {json.dumps(d)}\n\n".encode() for d in documents)


RESPONSE: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "tools": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "usage": {"input_tokens": 3, "output_tokens": 2},
    "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": f"the card is {CARD}", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "refund", "arguments": "{}"},
    ],
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
    "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2},
    "content": [
        {"type": "text", "text": f"the card is {CARD}"},
        {"type": "tool_use", "id": "toolu_1", "name": "refund", "input": {}},
    ],
}  # fmt: skip


def test_a_response_passes_masked_both_ways(gateway: Gateway, gpt: openai.OpenAI) -> None:
    """A call to a model needs no person; the record names model, tools and usage."""
    answers(gateway, json.dumps(RESPONSE).encode())
    before = len(gateway.records("delivery"))
    reply = gpt.responses.create(model="m", input=f"use {KEY}")
    assert reply.output_text == "the card is [masked:card]"
    assert KEY.encode() not in gateway.upstream.seen[0].body
    told = gateway.wait_records("delivery", before + 1)[-1]["llm"]
    assert told["tool_calls"] == [{"id": "call_1", "name": "refund"}]
    assert (told["finish_reasons"], told["usage"]["input_tokens"]) == (["completed"], 3)


def test_a_message_passes_masked_both_ways(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    """The same with Anthropic's client, streamed."""
    block = {"type": "content_block_start", "index": 1, "content_block": MESSAGE["content"][1]}
    stream = events(
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "the card is 41111111"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "11111111"}},
        {"type": "content_block_stop", "index": 0},
        block,
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    answers(gateway, stream, "text/event-stream")
    before = len(gateway.records("delivery"))
    asked: Any = [{"role": "user", "content": f"use {KEY}"}]
    with claude.messages.stream(model="m", max_tokens=9, messages=asked) as streamed:
        final = streamed.get_final_message()
    assert [b.text for b in final.content if b.type == "text"] == ["the card is [masked:card]"]
    assert final.stop_reason == "tool_use"
    assert KEY.encode() not in gateway.upstream.seen[0].body
    told = gateway.wait_records("delivery", before + 1)[-1]["llm"]
    assert told["tool_calls"] == [{"id": "toolu_1", "name": "refund"}]
    assert (told["finish_reasons"], told["usage"]) == (["tool_use"], {"input_tokens": 3, "output_tokens": 9})


def test_a_held_response_is_no_answer(gateway: Gateway, gpt: openai.OpenAI) -> None:
    """What the vendor would do is held; the client has an incomplete response that says so, streamed or not."""
    reply = gpt.responses.create(model="m", input="hi", tools=[SEARCH])
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "content_filter")  # type: ignore[union-attr]
    assert "Held for approval" in reply.output_text
    streamed = list(gpt.responses.create(model="m", input="hi", tools=[SEARCH], stream=True))
    last: Any = streamed[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")
    assert last.response.output_text.startswith("[holdpoint] Held for approval")
    chat = gpt.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], web_search_options={})
    assert chat.choices[0].finish_reason == "content_filter"
    assert gateway.upstream.seen == []


def test_a_held_message_is_no_answer(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    """Anthropic's own word for it is `refusal`."""
    asked = [{"role": "user", "content": "hi"}]
    given: Any = {"model": "m", "max_tokens": 9, "messages": asked, "tools": [CLAUDE_SEARCH]}
    reply = claude.messages.create(**given)
    assert reply.stop_reason == "refusal"
    assert "Held for approval" in reply.model_dump()["content"][0]["text"]
    with claude.messages.stream(**given) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "refusal"
    assert final.model_dump()["content"][0]["text"].startswith("[holdpoint] ")
    assert gateway.upstream.seen == []
