"""An OpenAI-compatible model server whose model is a script (see script.py): tool calls, streaming, usage.

GET  /v1/models
POST /v1/chat/completions    whole, or as server-sent events with `"stream": true`
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from examples.demo.script import MalformedConversation, Turn, arguments_text, next_turn
from examples.demo.upstream import MAX_BODY_BYTES, ReceivedLog, guard, problem, run

MODEL = "demo-model"
PIECE = 12  # characters of arguments in one streamed piece
PACE_SECONDS = 0.002  # between pieces: they must leave one by one, and the demo must not take long

_number = itertools.count(1)


async def models(request: web.Request) -> web.Response:
    """The one model there is."""
    return web.json_response(
        {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "demo"}]}
    )


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """One turn of the script. 400 when the body is not a chat completion request."""
    try:
        body = await request.json()
    except ValueError:
        return problem(400, "invalid_request_error", "the body must be JSON")
    if not isinstance(body, dict):
        return problem(400, "invalid_request_error", "the body must be a JSON object")
    try:
        turn = next_turn(body.get("messages"), body.get("tools"))
    except MalformedConversation as error:
        return problem(400, "invalid_request_error", str(error))
    head = {"id": f"chatcmpl-{next(_number)}", "created": int(time.time()), "model": body.get("model", MODEL)}
    prompt_tokens = len(json.dumps(body["messages"])) // 4
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(turn.text) // 4 + 8 * len(turn.calls)}
    usage["total_tokens"] = sum(usage.values())
    if body.get("stream") is not True:
        return web.json_response(
            head | {"object": "chat.completion", "choices": [whole_choice(turn, head["id"])], "usage": usage}
        )
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for chunk in chunks(turn, head, usage if wants_usage else None):
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await asyncio.sleep(PACE_SECONDS)
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def whole_choice(turn: Turn, completion: str) -> dict[str, Any]:
    """The choice of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": f"call-{completion}-{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call)},
            }
            for index, call in enumerate(turn.calls)
        ]
    return {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop", "logprobs": None}


def chunks(turn: Turn, head: dict[str, Any], usage: dict[str, int] | None) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer, in the order and shapes of OpenAI's API: role, text, calls, finish, usage."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return head | {"object": "chat.completion.chunk", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(turn.text):
        yield chunk({"content": piece})
    for index, call in enumerate(turn.calls):
        function = {"name": call.name, "arguments": ""}
        identity = {"index": index, "id": f"call-{head['id']}-{index}", "type": "function"}
        yield chunk({"tool_calls": [identity | {"function": function}]})
        text = arguments_text(call)
        for at in range(0, len(text), PIECE):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": text[at : at + PIECE]}}]})
    yield chunk({}, "tool_calls" if turn.calls else "stop")
    if usage is not None:
        yield head | {"object": "chat.completion.chunk", "choices": [], "usage": usage}


def pieces(text: str) -> list[str]:
    """Text as a model spells it: words, and of numbers digit by digit."""
    return re.findall(r"\s*(?:\d|[^\s\d]+)|\s+$", text)


def build(credential: str, log: ReceivedLog) -> web.Application:
    """The application, for a server or a test."""
    app = web.Application(middlewares=[guard(credential, log)], client_max_size=MAX_BODY_BYTES)
    app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", chat_completions)])
    return app


if __name__ == "__main__":
    raise SystemExit(run("The demo's model server.", build))
