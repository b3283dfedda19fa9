"""Server-sent events: framing, and values that are spread over events."""

import json
from itertools import accumulate, pairwise, zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.structure.sse.wire import EVENT
from extproc.masking.text import mask_whole
from tests.masking.streams import KNOWLEDGE, SECRETS, every_cut, pieces, run

PLAN = Plan(KNOWLEDGE.detector(), frozenset({"pin"}))


def _stage() -> SseStage:
    return SseStage(PLAN)


def _chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    document = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _call(arguments: str, index: int = 0) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def _documents(out: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in out.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def _content(out: bytes, index: int = 0) -> str:
    choices = [choice for document in _documents(out) for choice in document["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices if choice["index"] == index)


def _arguments(out: bytes, index: int = 0) -> str:
    calls = [
        call
        for document in _documents(out)
        for choice in document["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    return "".join(call["function"]["arguments"] for call in calls if call["index"] == index)


KEPT = [
    b"",
    b"\n",
    b"\r\n\r\n",
    b": hello\n\n",
    b"data: x\n\n",
    b"data:x\r\rdata\r\n\r\n",
    b"\xef\xbb\xbfdata: a \n\n",
    b'event: a\nid: 1\nretry: 5\ndata: {"a": [1.10]}\n\n',
    b'data: {"a":\ndata: 1}\n\n',
    b"data: [DONE]\n\n",
    b"data: tail",
    b"event: tick\r\ndata: one\r\ndata: two\r\n\r\nevent: tock\r\ndata: {not json\r\n\r\n",
    b"database: x\n\n",
    b"data: 41\r\r\r",
    b"data: \xff\xfe\n\n",
    b"data: [1,2\n\n",
]


@pytest.mark.parametrize("raw", KEPT)
def test_what_needs_no_change_keeps_its_bytes(raw: bytes) -> None:
    """Every line end, comment, BOM and odd payload goes on as it came, at every cut."""
    assert run(_stage, raw) == (raw, {})
    every_cut(_stage, raw)


MASKED = [
    (b'data: {"pin":12,"a":"jane\\u0040example.com"}\n\n', b'data: {"pin":null,"a":"[masked:email]"}\n\n'),
    (b"data:jane@example.com\r\ndata: two\r\n\r\n", b"data:[masked:email]\r\ndata:two\r\n\r\n"),
    (b"id: jane@example.com\n: AKIAIOSFODNN7EXAMPLE\n\n", b"id: [masked:email]\n: [masked:aws-key]\n\n"),
    (b"data: 4111 1111\n\ndata: 1111 1111\n\ndata: bye\n\n", b"data: [masked:card]\n\ndata: \n\ndata: bye\n\n"),
    (b"data: key\n\ndata: AKIAIOSFODNN7EXAMPLE\n\n", b"data: key\n\ndata: [masked:aws-key]\n\n"),
    (b"data: x;\n\ndata: jane@exa\r\n\r\ndata: mple.com!\n\n", b"data: x;\n\ndata: [masked:email]\r\n\r\ndata: !\n\n"),
    (
        b"data: ghp_a1B2a1B2a1B2a1B2a1B2\n\n: c\n\ndata: a1B2a1B2a1B2a1B2x9\n\ndata: zz .\n\n",
        b": c\n\ndata: [masked:github-token]\n\ndata: \n\ndata:  .\n\n",
    ),
    (  # it touches the word before, and goes on for more events than are read together
        b"data:x\n\ndata:eyJhbGciOiJIUzI1NiJ9.\n\n" + b"data:ab\n\n" * 6 + b"data:c so\n\n",
        b"data:x\n\ndata:[masked:jwt]\n\n" + b"data:\n\n" * 6 + b"data: so\n\n",
    ),
    (  # the same, and what follows it is a value, too
        b"data:x\n\ndata:eyJhbGciOiJIUzI1NiJ9.\n\n" + b"data:ab\n\n" * 6 + b"data:AKIAIOSFODNN7EXAMPLE so\n\n",
        b"data:x\n\ndata:[masked:jwt]\n\n" + b"data:\n\n" * 6 + b"data: so\n\n",
    ),
    (
        b"data: -----BEGIN PRIVATE KEY-----\n\ndata: MII\n\ndata: x-----END PRIVATE KEY----- ok\n\n",
        b"data: [masked:private-key]\n\ndata: \n\ndata:  ok\n\n",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), MASKED)
def test_values_in_events_and_across_them(raw: bytes, expected: bytes) -> None:
    """A value is masked in the event where it begins, and gone from those where it goes on, at every cut."""
    assert run(_stage, raw)[0] == expected
    every_cut(_stage, raw)


def test_control_events_never_wait() -> None:
    """A client that waits for its endpoint gets it at once, and text before it goes on."""
    stage = _stage()
    assert stage.feed(b"data: word\n\n") == b""
    assert stage.feed(b"event: endpoint\ndata: /m?id=abc\n\n") == b"data: word\n\nevent: endpoint\ndata: /m?id=abc\n\n"


def test_json_events_never_wait() -> None:
    """An event of JSON goes on with its last byte."""
    stage = _stage()
    assert stage.feed(b'data: {"a":"word"}\n\n') == b'data: {"a":"word"}\n\n'


@given(pieces, st.lists(st.integers(0, 200), max_size=8), st.data())
def test_content_is_masked_as_the_one_text_it_is(text: str, cuts: list[int], data: st.DataObject) -> None:
    """Wherever the model's text is cut into deltas, its masked whole is the same, and so are the counts."""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    deltas = [text[a:b] for a, b in pairwise(edges)]
    raw = b"".join(_chunk({"content": delta}) for delta in deltas) + _chunk({}, "stop") + b"data: [DONE]\n\n"
    out, counts = run(_stage, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    assert (_content(out), counts) == mask_whole(PLAN, text)


@pytest.mark.parametrize("ending", [_chunk({}, "stop") + b"data: [DONE]\n\n", b"data: [DONE]\n\n", b""])
@pytest.mark.parametrize("secret", SECRETS.values())
def test_what_is_held_goes_on_however_the_stream_ends(secret: str, ending: bytes) -> None:
    """With a finish_reason, with [DONE] alone, or cut off: nothing of a value gets out, and no text is lost."""
    raw = b"".join(_chunk({"content": piece}) for piece in ["say ", *secret, "\n", "the e", "nd"]) + ending
    out, _ = run(_stage, raw)
    text = _content(out)
    assert secret not in text
    assert text.startswith("say [masked:")
    assert text.endswith("the end")


def test_choices_and_calls_are_texts_of_their_own() -> None:
    """Two choices and two calls, in turns, each with a value cut in half."""
    raw = b"".join(
        [
            _chunk({"content": "jane@ex"}),
            _chunk({"content": "4111 1111 "}, index=1),
            _chunk({"content": "ample.com "}),
            _chunk({"content": "1111 1111"}, index=1),
            _chunk(_call('{"card":4111')),
            _chunk(_call('{"m":"jane\\u0040ex', 1)),
            _chunk(_call('111111111111,"s":"4111 ')),
            _chunk(_call('ample.com"}', 1)),
            _chunk(_call('1111 1111 1111"}')),
            _chunk({}, "stop", 1),
            _chunk({}, "tool_calls"),
            b"data: [DONE]\n\n",
        ]
    )
    out, counts = run(_stage, raw)
    assert (_content(out, 0), _content(out, 1)) == ("[masked:email] ", "[masked:card]")
    assert json.loads(_arguments(out, 0)) == {"card": None, "s": "[masked:card]"}
    assert json.loads(_arguments(out, 1)) == {"m": "[masked:email]"}
    assert counts == {"email": 2, "card": 3}
    every_cut(_stage, raw)


def test_the_rest_of_a_chunk_is_a_document() -> None:
    """Values outside the deltas are masked too, and a name that occurs twice shows neither of its values."""
    raw = (
        b'data: {"user":"jane@example.com","choices":[{"index":0,"delta":{"content":"hi "}}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{"content":"AKIAIOSFODNN7EXAMPLE ","content":"ok "}}]}\n\n'
    )
    out, _ = run(_stage, raw)
    assert b"jane" not in out
    assert b"AKIA" not in out
    assert _content(out) == "hi ok "


@given(
    st.lists(st.one_of(pieces, st.sampled_from(["\n", "\r", "\n\n", "data: ", "event: endpoint\n"])), max_size=12),
    st.data(),
)
def test_cuts_do_not_matter(parts: list[str], data: st.DataObject) -> None:
    """Any bytes at all, cut anywhere, come out as the whole does."""
    raw = "".join(parts).encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    expected = run(_stage, raw)
    assert run(_stage, raw, cuts) == expected
    assert run(_stage, raw, range(1, len(raw))) == expected


@given(st.sampled_from(sorted(SECRETS)), st.lists(st.integers(1, 90), max_size=3), st.sampled_from(["", "so ", "é"]))
def test_no_value_survives_in_text_events(kind: str, cuts: list[int], before: str) -> None:
    """A value spread over text events is not there when their payloads are joined."""
    secret = SECRETS[kind].replace("\n", " ")
    edges = [0, *sorted(min(cut, len(secret)) for cut in cuts), len(secret)]
    parts = [secret[a:b] for a, b in pairwise(edges)]
    raw = f"data: {before}\n\n".encode() + b"".join(f"data: {part}\n\n".encode() for part in parts if part)
    out, _ = run(_stage, raw + b"data: {}\n\n")
    joined = b"".join(line[6:] for line in out.split(b"\n") if line.startswith(b"data: "))
    assert secret.encode() not in joined
    assert b"[masked:" in joined


_SPREAD = [*SECRETS.values(), "bye", "x", "ssn: ", "password=", "a@a.a", "sk-", "-----BEGIN ", " ", "4 ", "é"]
_OPERATORS = [Operator.REDACT, Operator.PARTIAL, Operator.HASH, Operator.LENGTH]


@given(
    st.lists(st.tuples(st.sampled_from(_SPREAD), st.lists(st.integers(0, 40), max_size=4)), min_size=1, max_size=4),
    st.lists(st.sampled_from(["", "", "", "", ": c\n\n", "\n\n", "data: {}\n\n"])),
    st.sampled_from(_OPERATORS),
    st.data(),
)
def test_how_many_events_come_at_a_time_does_not_matter(
    values: list[tuple[str, list[int]]], between: list[str], operator: Operator, data: st.DataObject
) -> None:
    """Values, and what looks like them, spread over events that touch each other or do not."""
    texts: list[str] = []
    for value, cuts in values:
        edges = [0, *sorted(min(cut, len(value)) for cut in cuts), len(value)]
        texts += [value[a:b].replace("\n", " ") for a, b in pairwise(edges)]
    events = [f"data: {text}\n\n{after}" for text, after in zip_longest(texts, between[: len(texts)], fillvalue="")]
    raw = "".join(events).encode()
    plan = Plan(KNOWLEDGE.detector(), frozenset(), dict.fromkeys(KNOWLEDGE.engine.kinds, operator))
    expected = run(lambda: SseStage(plan), raw)
    ends = list(accumulate(len(event.encode()) for event in events))
    assert run(lambda: SseStage(plan), raw, ends) == expected
    assert run(lambda: SseStage(plan), raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=6))) == expected


def test_an_endless_event_is_refused() -> None:
    """An event that does not end, and events that wait without end, are bounded."""
    stage = _stage()
    with pytest.raises(MaskError, match="longer than"):
        stage.feed((b"data: " + b"x" * 4089 + b"\n") * (EVENT // 4096 + 2))
    stage = _stage()
    stage.feed(b"data: 4111\n\n")
    with pytest.raises(MaskError, match="wait"):
        stage.feed((b": " + b"x" * (EVENT // 16) + b"\ndata:\n\n") * 20)


@pytest.mark.parametrize("opening", [b"[", b'{"choices":['])
def test_json_nested_too_deep_is_text(opening: bytes) -> None:
    """What no parser reads is masked as the text it is, where no mask selects names."""
    data = b"data: " + opening * 50_000 + b'"choices" jane@example.com\n\n'
    out, counts = run(lambda: SseStage(Plan(KNOWLEDGE.detector())), data)
    assert (b"jane" in out, counts) == (False, {"email": 1})
