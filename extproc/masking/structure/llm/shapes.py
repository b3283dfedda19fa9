"""Where the APIs of language models carry text in pieces: one entry for each kind of document.

An entry is a picture of the document. Where a piece of text stands it has TEXT, or JSON where the text is itself JSON
(the arguments of a tool call); beside it, what tells one text from another. Pieces of one text are masked as one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache


class Mark(Enum):
    """What stands at a place of a document."""

    TEXT = auto()  # a piece of text
    JSON = auto()  # a piece of text that is JSON
    WHOLE = auto()  # a whole text that is JSON
    ID = auto()  # which text: of an item without one, its place in the list
    SPARE = auto()  # which text, where no ID beside it says so
    PART = auto()  # which text too, but a text's end does not have it
    END = auto()  # neither null, false nor empty: the texts of these ids end here
    KEPT = auto()  # belongs to any such document, and to those that we make ourselves
    VARIES = auto()  # of no text, and another in each document: without it a document may be one that was seen before


TEXT, JSON, WHOLE, ID, SPARE, PART, END, KEPT, VARIES = Mark

Tree = Mark | Mapping[str, "Tree"] | tuple["Tree", ...] | list["Tree"]
"""A mapping is an object, a list of one item an array of such items, a tuple several forms that a place may have."""


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """Documents that have `member`, which is a text that `value` matches whole if there is a `value` (then it tells
    texts apart as well). `ends`: such a document ends every text whose ids it does not contradict."""

    api: str
    member: str
    value: str
    tree: Mapping[str, Tree]
    ends: bool = False


_OUTPUT: Mapping[str, Tree] = {
    "output_index": ID,
    "item_id": SPARE,
    "content_index": ID,
    "summary_index": ID,
    "sequence_number": VARIES,
    "obfuscation": VARIES,
}
_CALL: Mapping[str, Tree] = {"function": {"arguments": JSON}}
_PARTS: Tree = [{"type": KEPT, "text": TEXT, "thinking": [{"type": KEPT, "text": TEXT}]}]

SHAPES = (
    # Chat completions of OpenAI and all that speak like it; `text` is of the older completions, lists are Mistral's.
    Shape(
        "chat completions",
        "choices",
        "",
        {
            "choices": [
                {
                    "index": ID,
                    "finish_reason": END,
                    "text": TEXT,
                    "delta": {
                        "content": (TEXT, _PARTS),
                        "reasoning_content": TEXT,
                        "reasoning": TEXT,
                        "refusal": TEXT,
                        "audio": {"transcript": TEXT},
                        "function_call": {"arguments": JSON},
                        "tool_calls": [{"index": ID, **_CALL}],
                    },
                }
            ],
            "obfuscation": VARIES,
        },
    ),
    # OpenAI's responses, and its realtime and transcription events. Audio itself is base64, piece by piece.
    Shape("responses", "type", r"[a-z_.]*audio\.delta", {}),
    Shape("responses", "type", r"[a-z_.]+arguments\.delta", {**_OUTPUT, "delta": JSON}),
    Shape("responses", "type", r"[a-z_.]+\.delta", {**_OUTPUT, "delta": TEXT}),
    Shape(
        "responses",
        "type",
        r"[a-z_.]+\.(?:done|completed|incomplete|failed|cancelled)",
        {
            **_OUTPUT,
            "arguments": WHOLE,
            "item": {"arguments": WHOLE},
            "response": {"output": [{"arguments": WHOLE}]},
        },
        ends=True,
    ),
    # Anthropic's messages. A signature comes whole.
    Shape(
        "messages",
        "type",
        "content_block_delta",
        {"index": ID, "delta": {"type": KEPT, "text": TEXT, "thinking": TEXT, "partial_json": JSON}},
    ),
    Shape("messages", "type", "content_block_stop", {"index": ID}, ends=True),
    Shape("messages", "type", "message_delta|message_stop|error", {}, ends=True),
    # Google's Gemini, on its own and on Vertex.
    Shape(
        "generateContent",
        "candidates",
        "",
        {
            "candidates": [
                {
                    "index": ID,
                    "finishReason": END,
                    "content": {"role": KEPT, "parts": [{"thought": PART, "text": TEXT}]},
                }
            ]
        },
    ),
    # Ollama's chat and generate.
    Shape(
        "ollama",
        "done",
        "",
        {
            "done": END,
            "created_at": VARIES,
            "response": TEXT,
            "thinking": TEXT,
            "message": {"role": KEPT, "content": TEXT, "thinking": TEXT},
        },
    ),
    # Cohere's chat, version 2 and 1.
    Shape(
        "cohere",
        "type",
        "content-delta|tool-plan-delta|tool-call-delta",
        {
            "index": ID,
            "delta": {"message": {"content": {"text": TEXT, "thinking": TEXT}, "tool_plan": TEXT, "tool_calls": _CALL}},
        },
    ),
    Shape("cohere", "type", "content-end|tool-call-end", {"index": ID}, ends=True),
    Shape("cohere", "type", "message-end", {}, ends=True),
    Shape("cohere", "event_type", "text-generation", {"text": TEXT}),
    Shape(
        "cohere", "event_type", "tool-calls-chunk", {"text": TEXT, "tool_call_delta": {"index": ID, "parameters": JSON}}
    ),
    Shape("cohere", "event_type", "stream-end|tool-calls-generation", {}, ends=True),
    # OpenAI's assistants.
    Shape(
        "assistants",
        "object",
        r"thread\.message\.delta",
        {"id": ID, "delta": {"content": [{"index": ID, "type": KEPT, "text": {"value": TEXT}}]}},
    ),
    Shape("assistants", "object", r"thread\.message", {"id": ID}, ends=True),
    Shape(
        "assistants",
        "object",
        r"thread\.run\.step\.delta",
        {
            "id": ID,
            "delta": {
                "step_details": {
                    "type": KEPT,
                    "tool_calls": [{"index": ID, "type": KEPT, **_CALL, "code_interpreter": {"input": TEXT}}],
                }
            },
        },
    ),
    Shape("assistants", "object", r"thread\.run\.step", {"id": ID}, ends=True),
    # Vercel's AI SDK, and AG-UI.
    Shape("ui messages", "type", "text-delta|reasoning-delta", {"id": ID, "delta": TEXT}),
    Shape("ui messages", "type", "tool-input-delta", {"toolCallId": ID, "inputTextDelta": JSON}),
    Shape("ui messages", "type", "text-end|reasoning-end", {"id": ID}, ends=True),
    Shape("ui messages", "type", "tool-input-available|tool-input-error", {"toolCallId": ID}, ends=True),
    Shape("ui messages", "type", "finish-step|finish|abort", {}, ends=True),
    Shape("ag-ui", "type", "TEXT_MESSAGE_CONTENT|THINKING_TEXT_MESSAGE_CONTENT", {"messageId": ID, "delta": TEXT}),
    Shape("ag-ui", "type", "TOOL_CALL_ARGS", {"toolCallId": ID, "delta": JSON}),
    Shape("ag-ui", "type", "TEXT_MESSAGE_END", {"messageId": ID}, ends=True),
    Shape("ag-ui", "type", "TOOL_CALL_END", {"toolCallId": ID}, ends=True),
    Shape("ag-ui", "type", "THINKING_TEXT_MESSAGE_END|RUN_FINISHED|RUN_ERROR", {}, ends=True),
    # Hugging Face's text generation, and llama.cpp's own.
    Shape(
        "text generation", "token", "", {"token": {"id": KEPT, "special": KEPT, "text": TEXT}, "generated_text": END}
    ),
    Shape("llama.cpp", "stop", "", {"index": ID, "content": TEXT, "stop": END}),
)


def shape_of(document: Mapping[str, object]) -> Shape | None:
    """The first shape that a document has."""
    for member in _MEMBERS:
        value = document.get(member)
        if value is None:
            continue
        text = value if isinstance(value, str) and len(value) <= _LONGEST else ""
        if (shape := _shape(member, text)) is not None:
            return shape
    return None


@lru_cache(maxsize=256)
def _shape(member: str, value: str) -> Shape | None:
    for shape in SHAPES:
        if shape.member == member and (not shape.value or re.fullmatch(shape.value, value)):
            return shape
    return None


_MEMBERS = tuple(dict.fromkeys(shape.member for shape in SHAPES))
_LONGEST = 64
