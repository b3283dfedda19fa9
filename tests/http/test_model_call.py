"""Which requests are calls to a model, and what they say of themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.http.model_call import ModelCall, read_model_call

HI = [{"role": "user", "content": "hi"}]
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": HI}, {"api": "chat", "messages": 1}),
    ("/openai/deployments/d/chat/completions", {"messages": []}, {"api": "chat"}),
    ("/v1/responses", {"input": "hi", "model": "m"}, {"api": "responses", "messages": 1, "last_user": "hi"}),
    ("/v1/responses", {"model": "m", "previous_response_id": "r"}, {"api": "responses", "last_user": ""}),
    (
        "/v1/responses",
        {"input": [*HI, {"type": "function_call_output", "call_id": "c", "output": "1"}]},
        {"messages": 2, "tool_results": 1, "last_user": "hi"},
    ),
    (
        "/v1/responses",
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"text": "b"}]}]},
        {"last_user": "a\nb"},
    ),
    (
        "/v1/messages",
        {"messages": [*HI, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
        {"api": "messages", "tool_results": 1, "last_user": "hi"},
    ),
    ("/v1/chat/completions", {"messages": [{"role": "tool", "content": "1"}], "stream": True}, {"tool_results": 1}),
    (
        "/v1/chat/completions",
        {"messages": [], "tools": [{"type": "function", "function": {"name": "f"}}, {"function": {"name": "g"}}]},
        {"tools": ("f", "g"), "hosted_tools": ()},
    ),
    (
        "/v1/responses",
        {"input": "x", "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]},
        {"tools": ("f", "c"), "hosted_tools": ()},
    ),
    (
        "/v1/responses",
        {"input": "x", "tools": [{"type": "mcp", "server_label": "s"}, {"type": "mcp"}, {"type": "shell"}]},
        {"tools": (), "hosted_tools": ("mcp", "shell")},
    ),
    (
        "/v1/messages",
        {"messages": [], "tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}], "mcp_servers": [{}]},
        {"tools": ("f", "bash"), "hosted_tools": ("mcp",)},
    ),
    (
        "/v1/messages",
        {"messages": [], "tools": [{"type": "code_execution_20250825", "name": "code_execution"}, {"type": 7}]},
        {"tools": (), "hosted_tools": ("code_execution_20250825", "7")},
    ),
    ("/v1/chat/completions", {"messages": [], "web_search_options": {"a": 1}}, {"hosted_tools": ("web_search",)}),
    ("/v1/chat/completions", {"messages": [], "web_search_options": {}}, {"hosted_tools": ("web_search",)}),
    ("/v1/responses", {"model": "m", "prompt": {"id": "pmpt_1"}}, {"hosted_tools": ("prompt",)}),
]


@pytest.mark.parametrize(("path", "body", "expected"), CALLS)
def test_calls(path: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each API by its path and shape; a kind of tool that nobody knows counts as one that the vendor runs."""
    call = read_model_call("POST", path, body)
    assert call is not None
    assert {name: getattr(call, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/chat/completions", {"messages": []}),
        ("POST", "/v1/completions", {"messages": []}),
        ("POST", "/v1/chat/completions", {"messages": "hi"}),
        ("POST", "/v1/chat/completions", [HI]),
        ("POST", "/v1/threads/t/messages", {"role": "user", "content": "hi"}),
        ("POST", "/v1/responses", {"input": {"a": 1}}),
        ("POST", "/surveys/7/responses", {"answers": [1]}),
        ("POST", "/v1/messages", {"input": "hi"}),
    ],
)
def test_what_is_no_call(method: str, path: str, body: object) -> None:
    """Another method, place or shape."""
    assert read_model_call(method, path, body) is None


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "input", "tools", "type", "name", "function", "role", "content", "text", "model"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(body=_ANY, path=st.sampled_from(["/v1/responses", "/v1/messages", "/v1/chat/completions"]))
def test_no_body_raises(body: object, path: str) -> None:
    """Every tool counts: as one with a name, as a hosted one, or as nothing that a model could call."""
    call = read_model_call("POST", path, body)
    assert call is None or isinstance(call, ModelCall)
    if call is not None and isinstance(body, dict) and isinstance(body.get("tools"), list):
        kinds = {t["type"] for t in body["tools"] if isinstance(t, dict) and isinstance(t.get("type"), str)}
        assert kinds - {"function", "custom"} <= set(call.hosted_tools) | {"local_shell", "apply_patch"}
