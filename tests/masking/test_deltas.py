"""Texts that language models stream in pieces, for every API: masked as the one text that they are."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.domain.decision import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import LONG, JsonStage
from extproc.masking.structure.llm.answers import FIRST, AnswerStage
from extproc.masking.structure.llm.arguments import Arguments
from extproc.masking.structure.llm.deltas import STREAMS
from extproc.masking.structure.llm.places import ID_LENGTH
from extproc.masking.structure.llm.shapes import SHAPES
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.text import TextStage, mask_whole
from tests.masking.streams import KNOWLEDGE, SECRETS, every_cut, pieces, run

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
        return "".join(piece for document in documents if isinstance(piece := _at(document, self.path), str))


def _at(document: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _call(text: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}


def _response(kind: str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {
        "type": f"response.{kind}.delta",
        "item_id": "i",
        "output_index": 1,
        "content_index": 0,
        "delta": text,
    }


def _block(kind: str, member: str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {"type": "content_block_delta", "index": 2, "delta": {"type": kind, member: text}}


def _gemini(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}], "modelVersion": "g"}


def _ollama(text: str) -> dict[str, Any]:
    return {"model": "l", "message": {"role": "assistant", "content": text}, "done": False}


def _cohere(kind: str, message: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda text: {"type": kind, "index": 0, "delta": {"message": message(text)}}


_CHOICE = ("choices", 0, "delta")
_STOP = (_chat({}, "stop"),)
_COMPLETED = ({"type": "response.completed", "response": {"id": "r", "output": []}},)
_BLOCK_STOP = ({"type": "content_block_stop", "index": 2}, {"type": "message_stop"})
_COHERE_END = ({"type": "message-end"},)

APIS = [
    Api("chat content", lambda text: _chat({"content": text}), (*_CHOICE, "content"), _STOP),
    Api("chat refusal", lambda text: _chat({"refusal": text}), (*_CHOICE, "refusal"), _STOP),
    Api("chat reasoning", lambda text: _chat({"reasoning_content": text}), (*_CHOICE, "reasoning_content"), _STOP),
    Api(
        "chat arguments",
        lambda text: _chat(_call(text)),
        (*_CHOICE, "tool_calls", 0, "function", "arguments"),
        _STOP,
        json=True,
    ),
    Api(
        "mistral parts",
        lambda text: _chat({"content": [{"type": "text", "text": text}]}),
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
        Api(f"responses {kind}", _response(kind), ("delta",), _COMPLETED, json=kind.endswith("arguments"))
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
    Api("messages text", _block("text_delta", "text"), ("delta", "text"), _BLOCK_STOP),
    Api("messages thinking", _block("thinking_delta", "thinking"), ("delta", "thinking"), _BLOCK_STOP),
    Api(
        "messages input", _block("input_json_delta", "partial_json"), ("delta", "partial_json"), _BLOCK_STOP, json=True
    ),
    Api(
        "gemini",
        _gemini,
        ("candidates", 0, "content", "parts", 0, "text"),
        ({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {}},),
    ),
    Api("ollama chat", _ollama, ("message", "content"), ({"model": "l", "message": {"content": ""}, "done": True},)),
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


def _names(apis: list[Api]) -> list[str]:
    return [api.name for api in apis]


def _sse(documents: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def _events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: {")]


def _lines(documents: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def _stage(plan: Plan = KEYED) -> SseStage:
    return SseStage(plan)


def _answers(plan: Plan = KEYED) -> AnswerStage:
    return AnswerStage(plan, lambda: JsonStage(plan))


def _masked(text: str) -> str:
    return mask_whole(KEYED, text)[0]


def _cut(text: str, cuts: Iterable[int]) -> list[str]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


_cuts = st.lists(st.integers(0, 200), max_size=8)


@pytest.mark.parametrize("api", TEXTS, ids=_names(TEXTS))
@settings(max_examples=20)
@given(pieces, _cuts, st.data())
def test_a_text_is_masked_as_the_one_text_that_it_is(api: Api, text: str, cuts: list[int], data: st.DataObject) -> None:
    """Wherever the model's text is cut into pieces, and the stream into slices, its masked whole is the same."""
    raw = _sse([*map(api.piece, _cut(text, cuts)), *api.ends])
    out, counts = run(_stage, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    assert (api.text(_events(out)), counts) == mask_whole(KEYED, text)


_arguments = st.recursive(
    st.one_of(pieces, st.sampled_from([*SECRETS.values(), 4111111111111111, 4.1e15, 12, True, None])),
    lambda items: st.one_of(
        st.lists(items, max_size=3), st.dictionaries(st.sampled_from(["pin", "ssn", "a", "b c"]), items, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("api", CALLS, ids=_names(CALLS))
@settings(max_examples=30)
@given(_arguments, _cuts, st.data())
def test_arguments_are_masked_as_the_json_that_they_are(
    api: Api, value: object, cuts: list[int], data: st.DataObject
) -> None:
    """By name and by value, wherever they are cut, as a document of their own would be."""
    text = json.dumps(value)
    raw = _sse([*map(api.piece, _cut(text, cuts)), *api.ends])
    out, counts = run(_stage, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    expected, found = run(lambda: JsonStage(KEYED), text.encode())
    assert (api.text(_events(out)), counts) == (expected.decode(), found)


@pytest.mark.parametrize("api", APIS, ids=_names(APIS))
@pytest.mark.parametrize("ended", [True, False])
def test_what_is_held_goes_on_however_the_stream_ends(api: Api, ended: bool) -> None:
    """Nothing of a value gets out, and no text is lost; what carries the rest looks like the others."""
    secret = SECRETS["card"]
    text = f'{{"a": "say {secret} the end"}}' if api.json else f"say {secret} the end"
    documents = [*map(api.piece, text), *(api.ends if ended else ())]
    out, counts = run(_stage, _sse(documents))
    given_on = _events(out)
    assert (api.text(given_on), counts) == (text.replace(secret, "[masked:card]"), {"card": 1})
    carried = [document for document in given_on if isinstance(_at(document, api.path), str)]
    expected = [_blanked(document, api.path) for document in documents if _at(document, api.path) is not None]
    assert all(_blanked(document, api.path) in expected for document in carried)
    raw = _sse(documents[:8])
    assert run(_stage, raw, range(1, len(raw))) == run(_stage, raw)


def _blanked(document: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    _at(copy, path[:-1])[path[-1]] = ""
    if "candidates" in copy:
        copy["candidates"][0].setdefault("index", 0)
    return copy


def test_what_repeats_a_text_whole_is_masked_as_its_pieces_were() -> None:
    """The `done` events of a response and its last one; arguments in them are JSON too."""
    arguments = '{"pin": "1234", "card": 4111111111111111, "m": "jane\\u0040example.com"}'
    call = {"type": "function_call", "id": "i", "arguments": arguments}
    raw = _sse(
        [
            *map(_response("function_call_arguments"), arguments),
            {
                "type": "response.function_call_arguments.done",
                "item_id": "i",
                "output_index": 1,
                "arguments": arguments,
            },
            {"type": "response.output_item.done", "output_index": 1, "item": call},
            {"type": "response.completed", "response": {"output": [{"type": "message"}, call]}},
        ]
    )
    events = _events(run(_stage, raw)[0])
    whole = '{"pin": "[masked:key:pin]", "card": null, "m": "[masked:email]"}'
    assert "".join(event["delta"] for event in events if "delta" in event) == whole
    assert [events[-3]["arguments"], events[-2]["item"]["arguments"]] == [whole, whole]
    assert events[-1]["response"]["output"][1]["arguments"] == whole
    assert run(_stage, raw, range(1, len(raw))) == run(_stage, raw)


def test_an_end_ends_the_texts_that_it_names() -> None:
    """A `done` of one part lets another go on; the rest of a text comes before its end."""
    deltas = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": part, "delta": text}
        for part, text in [(0, "jane@ex"), (1, "4111 1111 "), (0, "ample.co"), (1, "1111 1111")]
    ]
    done = [
        {"type": "response.output_text.done", "output_index": 0, "content_index": part, "text": text}
        for part, text in [(0, "jane@example.co"), (1, "4111 1111 1111 1111")]
    ]
    events = _events(run(_stage, _sse([*deltas, *done]))[0])
    got = [(event["type"][20:], event["content_index"], event.get("delta", event.get("text"))) for event in events]
    assert got[4:] == [
        (".delta", 0, "[masked:email]"),
        (".done", 0, "[masked:email]"),
        (".delta", 1, "[masked:card]"),
        (".done", 1, "[masked:card]"),
    ]


def test_an_event_of_ours_has_the_type_of_the_others() -> None:
    """And the line ends of the one that it stands before."""
    delta = json.dumps(_block("text_delta", "text")("the end")).encode()
    raw = b"event: content_block_delta\r\ndata: " + delta + b"\r\n\r\n"
    raw += b'event: content_block_stop\r\ndata: {"type":"content_block_stop","index":2}\r\n\r\n'
    out, _ = run(_stage, raw)
    blocks = [block for block in out.replace(b"\r", b"\n").replace(b"\n\n", b"\n").split(b"\n") if block]
    assert [block for block in blocks if block.startswith(b"event")] == [
        b"event: content_block_delta",
        b"event: content_block_delta",
        b"event: content_block_stop",
    ]
    assert "".join(event["delta"]["text"] for event in map(json.loads, (b[6:] for b in blocks[1:4:2]))) == "the end"


KEPT = [
    _sse([{"type": "response.output_audio.delta", "delta": "UklGRg=="}, {"type": "response.audio.done"}]),
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": "a. "}, "x": 1.10}], "n": 12345678901234567890123}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": "a\\n "}, "logprobs": 1.10}]}\n\n',
    b'data: {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hi jo"}]}}\n\n',
    b'data: {"choices":[]}\n\n',
    b'data: {"done":true}\n\n',
]


@pytest.mark.parametrize("raw", KEPT)
def test_what_needs_no_change_keeps_its_bytes(raw: bytes) -> None:
    """Numbers, spacing, and what is decoded piece by piece."""
    assert run(_stage, raw) == (raw, {})


def test_a_piece_that_is_masked_by_its_name_is_no_part_of_the_text() -> None:
    """Whatever the operator makes of it."""
    raw = _sse([_ollama("jane@exa"), _ollama("mple.com")])
    for operator, expected in [
        (Operator.REDACT, "[masked:key:content]"),
        (Operator.NULL, None),
        (Operator.DROP, None),
    ]:
        plan = Plan(KNOWLEDGE.detector(), frozenset({"content"}), {"key:content": operator})
        events = _events(run(lambda plan=plan: SseStage(plan), raw)[0])  # type: ignore[misc]
        assert [event["message"].get("content") for event in events] == [expected, expected]


def test_operators_reach_into_pieces_and_arguments() -> None:
    """The last four digits, over pieces; a member of arguments left out."""
    plan = Plan(KNOWLEDGE.detector(), frozenset({"pin"}), {"card": Operator.PARTIAL, "key:pin": Operator.DROP})
    raw = _sse([*map(_ollama, "is 4111 1111 1111 1111."), _ollama("")])
    assert (
        APIS[_names(APIS).index("ollama chat")]
        .text(_events(run(lambda: SseStage(plan), raw)[0]))
        .startswith("is **** **** **** 1111.")
    )
    block = _block("input_json_delta", "partial_json")
    raw = _sse([*map(block, '{"a":1,"pin":"1234","b":"x"}'), *_BLOCK_STOP])
    out = _events(run(lambda: SseStage(plan), raw)[0])
    assert "".join(event["delta"]["partial_json"] for event in out if "delta" in event) == '{"a":1,"b":"x"}'


BROKEN = [
    '{"a": "say 4111 1111 1111 1111 the e',
    "{'a': '4111 1111 1111 1111'}",
    '{"a": 4111111111111111',
    '{"a": 12, jane@example.com, "pin": 4',
    "no json, 4111 1111 1111 1111",
    '{"a": "jane@example.com\nx"}',
    '{"a": "' + "x " * LONG + 'jane@example.com\n"}',
    '{"a": "' + "x" * (LONG - 3) + "\\u00",
    "4111111111111111",
    '{"a": 12"4"',
    "\ufeff{}",
    '{"a": "\ud83d jane@example.com"}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_arguments_that_are_no_json_are_text_from_there_on(text: str) -> None:
    """At every cut the same, and no value is let through."""
    raw = text.encode("utf-8", "surrogatepass")
    every_cut(lambda: Arguments(KEYED), raw)
    out, _ = run(lambda: Arguments(KEYED), raw)
    assert not any(secret in out for secret in (b"4111 1111", b"41111111", b"jane"))


@given(
    st.lists(
        st.sampled_from(['"', "\\", "{", "}", "[", ",", ":", "a", " ", "1", "\\u00", "\n", '"pin":', "é", "\ud83d"])
    )
)
def test_arguments_of_any_kind_do_not_depend_on_cuts(parts: list[str]) -> None:
    """Whatever the model writes."""
    raw = "".join(parts).encode("utf-8", "surrogatepass")
    assert run(lambda: Arguments(KEYED), raw, range(1, len(raw))) == run(lambda: Arguments(KEYED), raw)


@pytest.mark.parametrize("text", ['{"pin": "12', '{"pin": ["12", "4', '{"pin": "' + "1" * LONG + "\n rest"])
def test_the_rest_of_a_value_that_is_masked_whole_is_left_out(text: str) -> None:
    """Nobody can say where it would have ended."""
    out, _ = run(lambda: Arguments(KEYED), text.encode())
    assert out in (b'{"pin": ', b'{"pin": "[masked:key:pin]"', b'{"pin": "[masked:key:pin]')


ROWS = [api for api in APIS if api.name.startswith(("ollama", "cohere", "gemini"))]


@pytest.mark.parametrize("api", ROWS, ids=_names(ROWS))
@settings(max_examples=20)
@given(pieces, _cuts, st.booleans(), st.data())
def test_documents_in_a_row_and_in_an_array(
    api: Api, text: str, cuts: list[int], array: bool, data: st.DataObject
) -> None:
    """What events do, lines and items of an array do as well."""
    if api.json:
        text = json.dumps({"a": text})
    documents = [*map(api.piece, _cut(text, cuts)), *data.draw(st.sampled_from([api.ends, ()]))]
    raw = json.dumps(documents, indent=1).encode() if array else _lines(documents)
    out, counts = run(_answers, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    got = json.loads(out) if array else [json.loads(line) for line in out.splitlines()]
    masked, found = run(lambda: JsonStage(KEYED) if api.json else TextStage(KEYED), text.encode())
    assert (api.text(got), counts) == (masked.decode(), found)
    assert run(_answers, raw, range(1, len(raw))) == (out, counts)


OTHER = [
    b"",
    b" \n",
    b"[]",
    b"[ {} , 1.10 ]\n",
    b'{"a":"jane@example.com"}\n{"done":true}',
    b'[[{"done":false,"response":"x"}]]',
    b"12 13",
    b'{"a":"' + b"x" * FIRST + b'"}',
    b'{"choices":[{"message":{"content":"4111 1111 1111 1111"},"finish_reason":"stop"}]}',
]


@pytest.mark.parametrize("raw", OTHER)
def test_other_json_is_none_of_it(raw: bytes) -> None:
    """It passes through as JSON does."""
    assert run(_answers, raw) == run(lambda: JsonStage(KEYED), raw)
    if len(raw) < FIRST:
        every_cut(_answers, raw)


def test_a_line_goes_on_with_its_end() -> None:
    """Who reads lines does not wait for the next one."""
    stage = _answers()
    line = _lines([{"model": "l", "response": "a. ", "done": False}])
    assert stage.feed(line) == line


@pytest.mark.parametrize(
    "raw",
    [
        _lines([_ollama("x")]) + b"{",
        _lines([_ollama("x")]) + b"}",
        b"[" + _lines([_ollama("x")]),
        b"[" + _lines([_ollama("x")]) + b"] 1",
    ],
)
def test_malformed_rows_are_stopped_or_text(raw: bytes) -> None:
    """As policy says."""
    with pytest.raises(MaskError, match="malformed"):
        run(_answers, raw)
    lenient = Plan(KNOWLEDGE.detector(), lenient=True)
    every_cut(lambda: _answers(lenient), raw + b" jane@example.com")
    assert b"jane" not in run(lambda: _answers(lenient), raw + b" jane@example.com")[0]


def test_bounds() -> None:
    """Texts side by side, and what tells them apart."""
    many = [{"choices": [{"index": i, "delta": {"content": "x"}}]} for i in range(STREAMS + 1)]
    with pytest.raises(MaskError, match="more than"):
        run(_stage, _sse(many))
    with pytest.raises(MaskError, match="id"):
        run(_stage, _sse([{"type": "text-delta", "id": "x" * (ID_LENGTH + 1), "delta": "x"}]))


def test_halves_of_a_character_are_one() -> None:
    """Some servers cut between the halves that JSON writes a character in."""
    raw = b"".join(b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (b"\\ud83d", b"\\ude00 ."))
    assert APIS[0].text(_events(run(_stage, raw)[0])) == "😀 ."


def test_every_shape_is_spoken_here() -> None:
    """An API that is added gets its cases."""
    spoken = {"chat completions", "responses", "messages", "generateContent", "ollama", "cohere", "assistants"}
    assert {shape.api for shape in SHAPES} - spoken == {"ui messages", "ag-ui", "text generation", "llama.cpp"}
