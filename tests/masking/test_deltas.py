"""Texts that language models stream in pieces, for every API: masked as the one text that they are."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.llm.answers import FIRST
from extproc.masking.structure.llm.deltas import STREAMS
from extproc.masking.structure.llm.places import ID_LENGTH
from extproc.masking.structure.llm.shapes import SHAPES
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.text import TextStage, mask_whole
from tests.masking.apis import (
    APIS,
    CALLS,
    CUTS,
    KEYED,
    TEXTS,
    Api,
    answers,
    as_events,
    as_lines,
    at,
    block,
    cut,
    names,
    ollama,
    parsed,
    response,
    sse,
)
from tests.masking.streams import KNOWLEDGE, SECRETS, every_cut, pieces, run


@pytest.mark.parametrize("api", TEXTS, ids=names(TEXTS))
@settings(max_examples=20)
@given(pieces, CUTS, st.data())
def test_a_text_is_masked_as_the_one_text_that_it_is(api: Api, text: str, cuts: list[int], data: st.DataObject) -> None:
    """Wherever the model's text is cut into pieces, and the stream into slices, its masked whole is the same."""
    raw = as_events([*map(api.piece, cut(text, cuts)), *api.ends])
    out, counts = run(sse, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    assert (api.text(parsed(out)), counts) == mask_whole(KEYED, text)


_arguments = st.recursive(
    st.one_of(pieces, st.sampled_from([*SECRETS.values(), 4111111111111111, 4.1e15, 12, True, None])),
    lambda items: st.one_of(
        st.lists(items, max_size=3), st.dictionaries(st.sampled_from(["pin", "ssn", "a", "b c"]), items, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("api", CALLS, ids=names(CALLS))
@settings(max_examples=30)
@given(_arguments, CUTS, st.data())
def test_arguments_are_masked_as_the_json_that_they_are(
    api: Api, value: object, cuts: list[int], data: st.DataObject
) -> None:
    """By name and by value, wherever they are cut, as a document of their own would be."""
    text = json.dumps(value)
    raw = as_events([*map(api.piece, cut(text, cuts)), *api.ends])
    out, counts = run(sse, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    expected, found = run(lambda: JsonStage(KEYED), text.encode())
    assert (api.text(parsed(out)), counts) == (expected.decode(), found)


@pytest.mark.parametrize("api", APIS, ids=names(APIS))
@pytest.mark.parametrize("ended", [True, False])
def test_what_is_held_goes_on_however_the_stream_ends(api: Api, ended: bool) -> None:
    """Nothing of a value gets out, and no text is lost; what carries the rest looks like the others."""
    secret = SECRETS["card"]
    text = f'{{"a": "say {secret} the end"}}' if api.json else f"say {secret} the end"
    documents = [*map(api.piece, text), *(api.ends if ended else ())]
    out, counts = run(sse, as_events(documents))
    given_on = parsed(out)
    assert (api.text(given_on), counts) == (text.replace(secret, "[masked:card]"), {"card": 1})
    carried = [document for document in given_on if isinstance(at(document, api.path), str)]
    expected = [_blanked(document, api.path) for document in documents if at(document, api.path) is not None]
    assert all(_blanked(document, api.path) in expected for document in carried)
    raw = as_events(documents[:8])
    assert run(sse, raw, range(1, len(raw))) == run(sse, raw)


def _blanked(document: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    at(copy, path[:-1])[path[-1]] = ""
    if "candidates" in copy:
        copy["candidates"][0].setdefault("index", 0)
    return copy


def test_what_repeats_a_text_whole_is_masked_as_its_pieces_were() -> None:
    """The `done` events of a response and its last one; arguments in them are JSON too."""
    arguments = '{"pin": "1234", "card": 4111111111111111, "m": "jane\\u0040example.com"}'
    call = {"type": "function_call", "id": "i", "arguments": arguments}
    raw = as_events(
        [
            *map(response("function_call_arguments"), arguments),
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
    events = parsed(run(sse, raw)[0])
    whole = '{"pin": "[masked:key:pin]", "card": null, "m": "[masked:email]"}'
    assert "".join(event["delta"] for event in events if "delta" in event) == whole
    assert [events[-3]["arguments"], events[-2]["item"]["arguments"]] == [whole, whole]
    assert events[-1]["response"]["output"][1]["arguments"] == whole
    assert run(sse, raw, range(1, len(raw))) == run(sse, raw)


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
    events = parsed(run(sse, as_events([*deltas, *done]))[0])
    got = [(event["type"][20:], event["content_index"], event.get("delta", event.get("text"))) for event in events]
    assert got[4:] == [
        (".delta", 0, "[masked:email]"),
        (".done", 0, "[masked:email]"),
        (".delta", 1, "[masked:card]"),
        (".done", 1, "[masked:card]"),
    ]


def test_an_event_of_ours_has_the_type_of_the_others() -> None:
    """And the line ends of the one that it stands before."""
    delta = json.dumps(block("text_delta", "text")("the end")).encode()
    raw = b"event: content_block_delta\r\ndata: " + delta + b"\r\n\r\n"
    raw += b'event: content_block_stop\r\ndata: {"type":"content_block_stop","index":2}\r\n\r\n'
    out, _ = run(sse, raw)
    blocks = [block for block in out.replace(b"\r", b"\n").replace(b"\n\n", b"\n").split(b"\n") if block]
    assert [block for block in blocks if block.startswith(b"event")] == [
        b"event: content_block_delta",
        b"event: content_block_delta",
        b"event: content_block_stop",
    ]
    assert "".join(event["delta"]["text"] for event in map(json.loads, (b[6:] for b in blocks[1:4:2]))) == "the end"


KEPT = [
    as_events([{"type": "response.output_audio.delta", "delta": "UklGRg=="}, {"type": "response.audio.done"}]),
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
    assert run(sse, raw) == (raw, {})


def test_a_piece_that_is_masked_by_its_name_is_no_part_of_the_text() -> None:
    """Whatever the operator makes of it."""
    raw = as_events([ollama("jane@exa"), ollama("mple.com")])
    for operator, expected in [
        (Operator.REDACT, "[masked:key:content]"),
        (Operator.NULL, None),
        (Operator.DROP, None),
    ]:
        plan = Plan(KNOWLEDGE.detector(), frozenset({"content"}), {"key:content": operator})
        events = parsed(run(lambda plan=plan: SseStage(plan), raw)[0])  # type: ignore[misc]
        assert [event["message"].get("content") for event in events] == [expected, expected]


def test_operators_reach_into_pieces_and_arguments() -> None:
    """The last four digits, over pieces; a member of arguments left out."""
    plan = Plan(KNOWLEDGE.detector(), frozenset({"pin"}), {"card": Operator.PARTIAL, "key:pin": Operator.DROP})
    raw = as_events([*map(ollama, "is 4111 1111 1111 1111."), ollama("")])
    assert (
        APIS[names(APIS).index("ollama chat")]
        .text(parsed(run(lambda: SseStage(plan), raw)[0]))
        .startswith("is **** **** **** 1111.")
    )
    arguments = next(api for api in APIS if api.name == "messages input")
    raw = as_events([*map(arguments.piece, '{"a":1,"pin":"1234","b":"x"}'), *arguments.ends])
    out = parsed(run(lambda: SseStage(plan), raw)[0])
    assert "".join(event["delta"]["partial_json"] for event in out if "delta" in event) == '{"a":1,"b":"x"}'


ROWS = [api for api in APIS if api.name.startswith(("ollama", "cohere", "gemini"))]


@pytest.mark.parametrize("api", ROWS, ids=names(ROWS))
@settings(max_examples=20)
@given(pieces, CUTS, st.booleans(), st.data())
def test_documents_in_a_row_and_in_an_array(
    api: Api, text: str, cuts: list[int], array: bool, data: st.DataObject
) -> None:
    """What events do, lines and items of an array do as well."""
    if api.json:
        text = json.dumps({"a": text})
    documents = [*map(api.piece, cut(text, cuts)), *data.draw(st.sampled_from([api.ends, ()]))]
    raw = json.dumps(documents, indent=1).encode() if array else as_lines(documents)
    out, counts = run(answers, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    got = json.loads(out) if array else [json.loads(line) for line in out.splitlines()]
    masked, found = run(lambda: JsonStage(KEYED) if api.json else TextStage(KEYED), text.encode())
    assert (api.text(got), counts) == (masked.decode(), found)
    assert run(answers, raw, range(1, len(raw))) == (out, counts)


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
    assert run(answers, raw) == run(lambda: JsonStage(KEYED), raw)
    if len(raw) < FIRST:
        every_cut(answers, raw)


_TOGETHER = [
    b'{"done":false,"response":""}\n',
    b"4\r0\r{}\r0\r[\r1\r]\n",
    b'{"a":"jane@example.com"}\n4111111111111111 "4111 1111 1111 1111"null\n',
    b'{"done":true,"response":"","a":{"pin":4}}\r0\r',
    b'{"pin":[1,\r2\r]}\n7\r{"b":1}',
]


@pytest.mark.parametrize("rest", [*permutations(_TOGETHER[1:], 3)])
def test_documents_that_are_masked_together_are_masked_one_by_one(rest: tuple[bytes, ...]) -> None:
    """Whatever stands between them stays theirs, at every cut, and nothing is counted twice."""
    raw = b"".join([_TOGETHER[0], *rest])
    every_cut(answers, raw)
    alone = JsonStage(KEYED)
    assert run(answers, raw) == (alone.feed(raw) + alone.finish(), alone.counts)


def test_a_line_goes_on_with_its_end() -> None:
    """Who reads lines does not wait for the next one."""
    stage = answers()
    line = as_lines([{"model": "l", "response": "a. ", "done": False}])
    assert stage.feed(line) == line


@pytest.mark.parametrize(
    "raw",
    [
        as_lines([ollama("x")]) + b"{",
        as_lines([ollama("x")]) + b"}",
        b"[" + as_lines([ollama("x")]),
        b"[" + as_lines([ollama("x")]) + b"] 1",
    ],
)
def test_malformed_rows_are_stopped_or_text(raw: bytes) -> None:
    """As policy says."""
    with pytest.raises(MaskError, match="malformed"):
        run(answers, raw)
    lenient = Plan(KNOWLEDGE.detector(), lenient=True)
    every_cut(lambda: answers(lenient), raw + b" jane@example.com")
    assert b"jane" not in run(lambda: answers(lenient), raw + b" jane@example.com")[0]


def test_bounds() -> None:
    """Texts side by side, and what tells them apart."""
    many = [{"choices": [{"index": i, "delta": {"content": "x"}}]} for i in range(STREAMS + 1)]
    with pytest.raises(MaskError, match="more than"):
        run(sse, as_events(many))
    with pytest.raises(MaskError, match="id"):
        run(sse, as_events([{"type": "text-delta", "id": "x" * (ID_LENGTH + 1), "delta": "x"}]))


def test_halves_of_a_character_are_one() -> None:
    """Some servers cut between the halves that JSON writes a character in."""
    raw = b"".join(b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (b"\\ud83d", b"\\ude00 ."))
    assert APIS[0].text(parsed(run(sse, raw)[0])) == "😀 ."


def test_every_shape_is_spoken_here() -> None:
    """An API that is added gets its cases."""
    spoken = {"chat completions", "responses", "messages", "generateContent", "ollama", "cohere", "assistants"}
    assert {shape.api for shape in SHAPES} - spoken == {"ui messages", "ag-ui", "text generation", "llama.cpp"}
