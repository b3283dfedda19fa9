"""Ends of texts that language models stream in pieces: some say with every piece that it is the last."""

import json
from typing import Any

import pytest

from tests.masking.apis import answers, as_events, as_lines, chat, parsed, sse
from tests.masking.streams import every_cut, run


def _chat(text: str) -> dict[str, Any]:
    return chat({"content": text}, "stop")


def _gemini(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}]}


def _ollama(text: str) -> dict[str, Any]:
    return {"model": "l", "message": {"role": "assistant", "content": text}, "done": True}


def _said(found: list[dict[str, Any]]) -> str:
    pieces = []
    for document in found:
        match document:
            case {"choices": [{"delta": {"content": str(text)}}]}:
                pieces.append(text)
            case {"candidates": [{"content": {"parts": [{"text": str(text)}]}}]}:
                pieces.append(text)
            case {"message": {"content": str(text)}}:
                pieces.append(text)
    return "".join(pieces)


@pytest.mark.parametrize("make", [_chat, _gemini, _ollama])
def test_a_last_piece_that_is_followed_by_more_was_none(make: Any) -> None:
    """A value that is spread over pieces that all say so is found, in events and in lines, at every cut."""
    made = [make(piece) for piece in ("mail jane@", "exam", "ple.com", " now")]
    events = as_events(made)
    every_cut(sse, events)
    out, counts = run(sse, events)
    assert (_said(parsed(out)), counts) == ("mail [masked:email] now", {"email": 1})
    out, counts = run(answers, as_lines(made))
    assert (_said([json.loads(line) for line in out.splitlines()]), counts) == ("mail [masked:email] now", {"email": 1})


@pytest.mark.parametrize("make", [_chat, _gemini, _ollama])
@pytest.mark.parametrize(
    "after",
    [
        b"data: [DONE]\n\n",
        b'data: {"usage": {}}\n\ndata: [DONE]\n\n',
        as_events([chat({"role": "assistant"})]),
        b"data: [DONE]\n\n" + as_events([chat({"content": "more"}), chat({}, "stop")]),
        b"",
    ],
    ids=["done", "usage", "another", "more", "nothing"],
)
def test_a_last_piece_is_whole_for_whoever_reads_to_the_end(make: Any, after: bytes) -> None:
    """What is held of it goes on before the stream says that it is over."""
    raw = as_events([make("it was jane@"), make("example.com")]) + after
    every_cut(sse, raw)
    out, _ = run(sse, raw)
    before = out.partition(b"data: [DONE]")[0]
    assert _said(parsed(before)) == "it was [masked:email]"


def test_an_end_without_a_piece_is_one() -> None:
    """As most say it: what is held goes on before it, and what follows is another text."""
    out, _ = run(sse, as_events([chat({"content": "jane@"}), chat({}, "stop"), chat({"content": "example.com"})]))
    assert _said(parsed(out)) == "jane@example.com"
    assert [document["choices"][0]["finish_reason"] for document in parsed(out)[:3]] == [None, None, "stop"]
