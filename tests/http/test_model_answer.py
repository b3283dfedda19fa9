"""Watching a chat's answer: it takes whatever an upstream sends, and never much of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.http.model_answer import ModelAnswerObserver

_NAMES = [
    *("id", "model", "usage", "total_tokens", "choices", "index", "delta", "message"),
    *("finish_reason", "tool_calls", "function", "name"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=30,
)


def observed(data: bytes, stream: bool, cut: int = 0) -> dict[str, Any]:
    """What is known after these bytes, cut once."""
    observer = ModelAnswerObserver(stream)
    observer.feed(data[:cut])
    observer.feed(data[cut:])
    return dict(observer.document())


@given(document=_JSON, stream=st.booleans())
def test_no_document_raises_and_none_is_kept_whole(document: object, stream: bool) -> None:
    """Types that a chat has not are passed over."""
    data = json.dumps(document).encode()
    known = observed(b"data: " + data + b"\n\n" if stream else data, stream)
    assert len(json.dumps(known)) < 64 * 1024


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_stream_is_read_whatever_its_cuts(cut: int) -> None:
    """Names, ids, the finish reason, usage, and that the stream's own end has come."""
    calls = [{"index": 0, "id": "c1", "function": {"name": "refund"}}]
    chunks = [
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": {"total_tokens": 3}},
    ]
    data = b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in chunks) + b"data: [DONE]\n\n"
    observer = ModelAnswerObserver(True)
    observer.feed(data[:cut])
    observer.feed(data[cut:])
    assert observer.done
    assert observer.document() == {
        "id": "x",
        "model": "m",
        "usage": {"total_tokens": 3},
        "finish_reasons": ["tool_calls"],
        "tool_calls": [{"id": "c1", "name": "refund"}],
    }


def test_a_flood_is_not_kept() -> None:
    """64 finish reasons of 128 characters, and no more, whatever comes."""
    chunk = json.dumps({"id": "i" * 500, "choices": [{"index": n, "finish_reason": "f" * 128} for n in range(999)]})
    known = observed(f"data: {chunk}\n\n".encode() * 5, True)
    assert "id" not in known
    assert len(known["finish_reasons"]) == 64
