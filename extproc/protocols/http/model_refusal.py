"""A refusal as an answer of a model: a whole one that says why, and that it is none.

Frameworks end their run on a 4xx, and clients take a 202 for an empty answer. So each API gets a complete answer in its
own shape, whose reason for ending is the one that the API has for what a model may not say: the agent reads why and
goes on, and a program sees that nothing was answered.
"""

from collections.abc import Iterator

import orjson

from extproc.protocols.http.model_call import Api, ModelCall

_Document = dict[str, object]


def refusal(call: ModelCall, decision: str, text: str, details: _Document) -> tuple[str, bytes]:
    """Content type and body. `details` go along as member `holdpoint` where the answer is one document."""
    events, whole = _WRITERS[call.api](call.model, decision, text)
    if not call.stream:
        return "application/json", orjson.dumps({**whole, "holdpoint": details})
    end = b"data: [DONE]\n\n" if call.api is Api.CHAT else b""
    return "text/event-stream", b"".join(map(_event, events)) + end


def _event(event: _Document) -> bytes:
    named = b"event: %b\n" % str(event["type"]).encode() if "type" in event else b""
    return b"%bdata: %b\n\n" % (named, orjson.dumps(event))


def _chat(model: str, decision: str, text: str) -> tuple[list[_Document], _Document]:
    head: _Document = {"id": f"chatcmpl-{decision}", "created": 0, "model": model}
    message = {"role": "assistant", "content": text}
    chunks: tuple[tuple[dict[str, str], str | None], ...] = ((message, None), ({}, "content_filter"))
    events = [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in chunks
    ]
    choice = {"index": 0, "message": message, "finish_reason": "content_filter"}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return events, {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def _responses(model: str, decision: str, text: str) -> tuple[list[_Document], _Document]:
    part: _Document = {"type": "output_text", "text": text, "annotations": []}
    item: _Document = {
        "type": "message",
        "id": f"msg_{decision}",
        "role": "assistant",
        "status": "incomplete",
        "content": [part],
    }
    begun: _Document = {
        "id": f"resp_{decision}",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
    }
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    reason = {"reason": "content_filter"}
    whole = {**begun, "status": "incomplete", "incomplete_details": reason, "output": [item], "usage": usage}
    return list(_response_events(begun, whole, item, part, text)), whole


def _response_events(
    begun: _Document, whole: _Document, item: _Document, part: _Document, text: str
) -> Iterator[_Document]:
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: tuple[_Document, ...] = (
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.incomplete", "response": whole},
    )
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _messages(model: str, decision: str, text: str) -> tuple[list[_Document], _Document]:
    usage = {"input_tokens": 0, "output_tokens": 0}
    head: _Document = {
        "id": f"msg_{decision}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_sequence": None,
        "usage": usage,
    }
    end = {"stop_reason": "refusal", "stop_sequence": None}
    events: list[_Document] = [
        {"type": "message_start", "message": {**head, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 0}},
        {"type": "message_stop"},
    ]
    return events, {**head, "content": [{"type": "text", "text": text}], "stop_reason": "refusal"}


_WRITERS = {Api.CHAT: _chat, Api.RESPONSES: _responses, Api.MESSAGES: _messages}
