"""Which requests are messages of MCP, and what of them an approval binds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.http import mcp_call
from extproc.protocols.http.mcp_call import McpCall


def read_mcp_call(method: str, body: object) -> McpCall | None:
    """The message in this body."""
    return mcp_call.read_mcp_call(method, body, json.dumps(body).encode())


V: dict[str, Any] = {"jsonrpc": "2.0"}
MESSAGES: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"id": 0, "method": "initialize", "params": {"protocolVersion": "x"}}, ("request", "initialize", "")),
    ({"id": "a", "method": "ping"}, ("request", "ping", "")),
    ({"id": 1, "method": "tools/call", "params": {"name": "t"}}, ("request", "tools/call", "t")),
    ({"id": 1, "method": "resources/read", "params": {"uri": "file:///a"}}, ("request", "resources/read", "file:///a")),
    ({"method": "notifications/initialized"}, ("notification", "notifications/initialized", "")),
    ({"id": 1, "result": {}}, ("response", "", "")),
    ({"id": 1, "error": {"code": 1, "message": "m"}}, ("response", "", "")),
]


@pytest.mark.parametrize(("message", "expected"), MESSAGES)
def test_messages(message: dict[str, Any], expected: tuple[str, str, str]) -> None:
    """Kind, method and name."""
    call = read_mcp_call("POST", V | message)
    assert call is not None
    assert (call.kind.value, call.method, call.name) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1, "method": "ping"},
        V | {"id": 1, "method": "eth_call"},
        V | {"id": 1, "method": 7},
        V | {"id": True, "method": "ping"},
        V | {"id": {}, "method": "ping"},
        V | {"id": 1, "method": "ping", "params": [1]},
        V | {"id": 1, "method": "ping", "amount": 100},
        V | {"id": 1, "method": "ping", "result": {}},
        V | {"id": 1, "result": {}, "error": {}},
        V | {"result": {}},
        V | {"id": 1},
        [V | {"id": 1, "method": "ping"}],
        "ping",
    ],
)
def test_what_is_no_message(body: object) -> None:
    """JSON-RPC of something else, a batch, or a message with members that it has not."""
    assert read_mcp_call("POST", body) is None
    assert read_mcp_call("PUT", V | {"id": 1, "method": "ping"}) is None


def bound(message: dict[str, Any]) -> bytes:
    """What an approval binds."""
    call = read_mcp_call("POST", V | message)
    assert call is not None
    return call.bound


def test_an_approval_binds_all_but_the_attempt() -> None:
    """A client that asks again has another id and another progress token, and the rest the same."""
    call: dict[str, Any] = {"id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {"a": 1}}}
    same = {"id": "x", "method": "tools/call", "params": {"arguments": {"a": 1}, "name": "t", "_meta": {}}}
    assert bound(call | {"id": 2}) == bound(call)
    token = {**same["params"], "_meta": {"progressToken": 3}}  # type: ignore[dict-item]
    assert bound(same | {"params": token}) == bound(same)
    for other in ({"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {"a": True}):
        assert bound(call | {"params": {"name": "t", "arguments": other}}) != bound(call)
    assert bound(call | {"params": {"name": "u", "arguments": {"a": 1}}}) != bound(call)
    assert bound({"id": 1, "result": {}}) != bound({"id": 2, "result": {}})


@pytest.mark.parametrize(
    ("one", "other"), [("1e400", "1e999"), ("0", "-0"), ("0.1", "0.10000000000000000001"), ("1", "1.0")]
)
def test_numbers_are_bound_as_they_are_written(one: str, other: str) -> None:
    """Also where a float has no room for what makes them differ."""

    def of(number: str) -> bytes:
        data = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "t", "a": {number}}}}}'
        call = mcp_call.read_mcp_call("POST", json.loads(data), data.encode())
        assert call is not None
        return call.bound

    assert of(one) == of(one)
    assert of(one) != of(other)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
_MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": st.sampled_from(["ping", "tools/call"])},
    optional={"id": st.none() | st.integers() | st.text(max_size=3), "params": st.dictionaries(st.text(), _ANY)},
)


@given(one=_MESSAGE, other=_MESSAGE)
def test_what_is_bound_is_all_that_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two messages have one form exactly where they mean the same, ids and progress tokens apart."""

    def meant(message: dict[str, Any]) -> object:
        message = json.loads(json.dumps({k: v for k, v in message.items() if k != "id"}))
        meta = message.get("params", {}).get("_meta")
        if isinstance(meta, dict):
            meta.pop("progressToken", None)
        return json.dumps(message, sort_keys=True)

    ours, theirs = read_mcp_call("POST", one), read_mcp_call("POST", other)
    assert isinstance(ours, McpCall)
    assert isinstance(theirs, McpCall)
    assert (ours.bound == theirs.bound) == (meant(one) == meant(other))
