"""How every API of language models says a text in pieces, and what ends one."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from extproc.masking.plan import Plan
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.llm.answers import AnswerStage
from extproc.masking.structure.sse.stage import SseStage
from tests.masking.streams import KNOWLEDGE

KEYED = Plan(KNOWLEDGE.detector(), frozenset({"pin"}))


@dataclass(frozen=True)
class Api:
    """How an API says one piece of a text, what ends it, and where a client finds the pieces."""

    name: str
    piece: Callable[[str], dict[str, Any]]
    path: tuple[str | int, ...]
    ends: tuple[dict[str, Any], ...] = ()
    json: bool = False

    def text(self, documents: Iterable[dict[str, Any]]) -> str:
        """What a client puts together."""
        return "".join(piece for document in documents if isinstance(piece := at(document, self.path), str))


def at(document: Any, path: Iterable[str | int]) -> Any:
    """What a path leads to in a document, or None."""
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _call(text: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}


def response(kind: str) -> Callable[[str], dict[str, Any]]:
    """Makes an event of the Responses interface."""
    return lambda text: {
        "type": f"response.{kind}.delta",
        "item_id": "i",
        "output_index": 1,
        "content_index": 0,
        "delta": text,
    }


def block(kind: str, member: str) -> Callable[[str], dict[str, Any]]:
    """Makes an event of the Messages interface."""
    return lambda text: {"type": "content_block_delta", "index": 2, "delta": {"type": kind, member: text}}


def gemini(text: str) -> dict[str, Any]:
    """A chunk of Gemini's."""
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}], "modelVersion": "g"}


def ollama(text: str) -> dict[str, Any]:
    """A line of Ollama's."""
    return {"model": "l", "message": {"role": "assistant", "content": text}, "done": False}


def _cohere(kind: str, message: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda text: {"type": kind, "index": 0, "delta": {"message": message(text)}}


_CHOICE = ("choices", 0, "delta")
_STOP = (chat({}, "stop"),)
_COMPLETED = ({"type": "response.completed", "response": {"id": "r", "output": []}},)
_BLOCK_STOP = ({"type": "content_block_stop", "index": 2}, {"type": "message_stop"})
_COHERE_END = ({"type": "message-end"},)

APIS = [
    Api("chat content", lambda text: chat({"content": text}), (*_CHOICE, "content"), _STOP),
    Api("chat refusal", lambda text: chat({"refusal": text}), (*_CHOICE, "refusal"), _STOP),
    Api("chat reasoning", lambda text: chat({"reasoning_content": text}), (*_CHOICE, "reasoning_content"), _STOP),
    Api(
        "chat arguments",
        lambda text: chat(_call(text)),
        (*_CHOICE, "tool_calls", 0, "function", "arguments"),
        _STOP,
        json=True,
    ),
    Api(
        "mistral parts",
        lambda text: chat({"content": [{"type": "text", "text": text}]}),
        (*_CHOICE, "content", 0, "text"),
        _STOP,
    ),
    Api(
        "completions",
        lambda text: {"id": "c", "choices": [{"index": 0, "text": text, "finish_reason": None}]},
        ("choices", 0, "text"),
        ({"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},),
    ),
    *(
        Api(f"responses {kind}", response(kind), ("delta",), _COMPLETED, json=kind.endswith("arguments"))
        for kind in [
            "output_text",
            "refusal",
            "reasoning_text",
            "reasoning_summary_text",
            "code_interpreter_call_code",
            "custom_tool_call_input",
            "audio.transcript",
            "function_call_arguments",
            "mcp_call_arguments",
        ]
    ),
    Api("messages text", block("text_delta", "text"), ("delta", "text"), _BLOCK_STOP),
    Api("messages thinking", block("thinking_delta", "thinking"), ("delta", "thinking"), _BLOCK_STOP),
    Api("messages input", block("input_json_delta", "partial_json"), ("delta", "partial_json"), _BLOCK_STOP, json=True),
    Api(
        "gemini",
        gemini,
        ("candidates", 0, "content", "parts", 0, "text"),
        ({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {}},),
    ),
    Api("ollama chat", ollama, ("message", "content"), ({"model": "l", "message": {"content": ""}, "done": True},)),
    Api(
        "ollama generate",
        lambda text: {"model": "l", "response": text, "done": False},
        ("response",),
        ({"model": "l", "response": "", "done": True, "context": [1, 2]},),
    ),
    Api(
        "cohere text",
        _cohere("content-delta", lambda text: {"content": {"text": text}}),
        ("delta", "message", "content", "text"),
        _COHERE_END,
    ),
    Api(
        "cohere arguments",
        _cohere("tool-call-delta", lambda text: {"tool_calls": {"function": {"arguments": text}}}),
        ("delta", "message", "tool_calls", "function", "arguments"),
        _COHERE_END,
        json=True,
    ),
    Api(
        "assistants",
        lambda text: {
            "id": "m",
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]},
        },
        ("delta", "content", 0, "text", "value"),
        ({"id": "m", "object": "thread.message", "content": []},),
    ),
    Api(
        "ui messages",
        lambda text: {"type": "text-delta", "id": "1", "delta": text},
        ("delta",),
        ({"type": "text-end", "id": "1"},),
    ),
    Api(
        "ag-ui",
        lambda text: {"type": "TEXT_MESSAGE_CONTENT", "messageId": "1", "delta": text},
        ("delta",),
        ({"type": "TEXT_MESSAGE_END", "messageId": "1"},),
    ),
    Api(
        "text generation",
        lambda text: {"token": {"id": 1, "text": text, "special": False}, "generated_text": None},
        ("token", "text"),
    ),
]
TEXTS = [api for api in APIS if not api.json]
CALLS = [api for api in APIS if api.json]


def names(apis: list[Api]) -> list[str]:
    """Of test cases."""
    return [api.name for api in apis]


def as_events(documents: Iterable[dict[str, Any]]) -> bytes:
    """A stream of events."""
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def parsed(out: bytes) -> list[dict[str, Any]]:
    """What a client reads of a stream of events."""
    return [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: {")]


def as_lines(documents: Iterable[dict[str, Any]]) -> bytes:
    """A stream of lines."""
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def sse(plan: Plan = KEYED) -> SseStage:
    """The stage that events pass through."""
    return SseStage(plan)


def answers(plan: Plan = KEYED) -> AnswerStage:
    """The stage that JSON answers pass through."""
    return AnswerStage(plan, lambda: JsonStage(plan))


def cut(text: str, cuts: Iterable[int]) -> list[str]:
    """A text in pieces."""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 200), max_size=8)
