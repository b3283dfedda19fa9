"""JSON-RPC of the Model Context Protocol as an interpretation of an HTTP request: one message in one POST."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

from extproc.domain.json import JSON

VERSION = "2.0"
_MEMBERS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_METHODS = frozenset({"initialize", "ping", "server/discover"})
_FAMILIES = ("tools/", "resources/", "prompts/", "completion/", "logging/", "notifications/", "tasks/", "roots/",
             "sampling/", "elicitation/")  # fmt: skip
_ANSWERS = frozenset({"result", "error"})
_CODE = -32050
"""Of JSON-RPC errors that are ours: free for a server to use, and not taken by MCP."""


class Kind(StrEnum):
    """What a message is."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class McpCall:
    """One message. `name` is that of the tool or prompt, or the resource's URI, where there is one; `bound` is the
    message without what names this one attempt (the id, the progress token): what an approval binds."""

    kind: Kind
    method: str
    name: str
    id: str | int | None
    bound: bytes

    def facts(self) -> dict[str, JSON]:
        """The shape that policy input carries."""
        return {"kind": self.kind.value, "method": self.method, "name": self.name}


def read_mcp_call(method: str, body: object, data: bytes) -> McpCall | None:
    """The message in a JSON body, given parsed and as it came; None where the request has none. Never raises: a body of
    another shape, JSON-RPC of something else, or a batch, is no message, and policy still sees it whole."""
    if method != "POST" or not isinstance(body, Mapping) or body.get("jsonrpc") != VERSION or set(body) - _MEMBERS:
        return None
    named, params, identity = body.get("method"), body.get("params", {}), body.get("id")
    if not isinstance(params, Mapping) or isinstance(identity, bool) or not isinstance(identity, str | int | None):
        return None
    if named is None:
        known = identity is not None and ("result" in body) != ("error" in body)
        return McpCall(Kind.RESPONSE, "", "", identity, data) if known else None
    if not isinstance(named, str) or not (named in _METHODS or named.startswith(_FAMILIES)) or set(body) & _ANSWERS:
        return None
    kind = Kind.REQUEST if "id" in body else Kind.NOTIFICATION
    name = params.get("name", params.get("uri"))
    return McpCall(kind, named, name if isinstance(name, str) else "", identity, _bound(data))


def refusal(call: McpCall, text: str, details: Mapping[str, object]) -> bytes:
    """A JSON-RPC error that answers a request; `details` are its data."""
    error = {"code": _CODE, "message": text, "data": details}
    return orjson.dumps({"jsonrpc": VERSION, "id": call.id, "error": error})


def _bound(data: bytes) -> bytes:
    """One form for one meaning: members in whatever order. Numbers keep their text, for servers may read more digits of
    them than a float has."""
    bound = json.loads(data, parse_float=_number, parse_int=_number)
    bound.pop("id", None)
    params = bound.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    if isinstance(meta, dict):
        meta.pop("progressToken", None)
    return json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()


def _number(text: str) -> str:
    """A text that no JSON string is: half a surrogate pair is refused there."""
    return f"\ud800{text}"
