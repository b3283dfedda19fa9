"""From a request's head and body to the Action that policy decides. Pure.

What policy reads must be what the upstream will read. So a body that two parsers could read differently (JSON with
duplicate members, NaN, a broken document) is refused here rather than shown in one of its readings.
"""

from dataclasses import dataclass
from functools import partial
from typing import cast
from urllib.parse import parse_qsl, unquote

import orjson

from extproc.domain.action import Action
from extproc.domain.json import JSON
from extproc.domain.mask import SECRET
from extproc.domain.principal import Principal
from extproc.domain.target import Protocol, Target
from extproc.masking.build import found_in
from extproc.masking.engine.scanner import counts
from extproc.masking.plan import Knowledge
from extproc.protocols.http import headers
from extproc.protocols.http.digest import digest
from extproc.protocols.http.document import NotJson, like_json, otherwise_encoded, read_json, says_json
from extproc.protocols.http.mcp_call import McpCall, read_mcp_call
from extproc.protocols.http.message import MalformedRequest, RequestHead, segments
from extproc.protocols.http.model_call import ModelCall, read_model_call
from extproc.protocols.http.render import render
from extproc.protocols.shown import MARGIN, excerpt

_FORM = "application/x-www-form-urlencoded"
_TEXTUAL = ("xml", "javascript", "graphql")
# Of what a record keeps of a call to a model: names of tools, and characters of a name.
_MOST_NAMES = 64
_NAME_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The action, and the call of a protocol on top of HTTP that it is, if it is one."""

    action: Action
    call: ModelCall | McpCall | None


@dataclass(frozen=True, slots=True)
class Body:
    """A request body as far as it was read. `data` is None where policy reads heads only."""

    data: bytes | None


def interpret(
    key: bytes, principal: Principal, target: Target, head: RequestHead, body: Body, known: Knowledge
) -> Interpretation:
    """Build the action. `key` keys the digest. Raises MalformedRequest."""
    data = body.data
    facts: dict[str, JSON] = {
        "method": head.method,
        "host": head.host,
        "path": head.path,
        "segments": segments(head.path),
        "query": cast(JSON, head.query),
        "headers": head.visible_headers(),
        "content_type": head.content_type,
    }
    shown: dict[str, JSON] = {
        "inspected": data is not None,
        "size": len(data) if data is not None else head.content_length,
    }
    call = _read_body(head, data, shown) if data else None
    facts["body"] = shown
    facts["sensitive"] = _sensitive(head, data, known)
    if isinstance(call, ModelCall):
        facts["llm"] = call.facts()
    elif call is not None:
        facts["mcp"] = call.facts()
    action = Action(
        Protocol.HTTP,
        head.method,
        head.path,
        facts,
        _summary(head, shown, call, data, known),
        partial(render, head, data, known),
        digest(key, principal, target, head, call.bound if isinstance(call, McpCall) else data or b""),
    )
    return Interpretation(action, call)


def _read_body(head: RequestHead, data: bytes, shown: dict[str, JSON]) -> ModelCall | McpCall | None:
    kind = head.content_type
    if kind == _FORM:
        shown["form"] = _form(data)
        return None
    says_so = says_json(kind)
    alike = says_so or like_json(data)
    if (
        kind.startswith(("text/", "multipart/"))
        or kind.endswith(_TEXTUAL)
        or not kind
        or (not says_so and "json" in kind)
    ):
        shown["text"] = data.decode("utf-8", "replace")
    # An upstream may read JSON under any name, so policy gets it too; where the type says JSON it must be JSON.
    if not alike:
        if otherwise_encoded(data):
            raise MalformedRequest("the JSON is not in UTF-8")
        return None
    try:
        parsed = read_json(data)
    except NotJson as error:
        if says_so or not kind or otherwise_encoded(data):
            raise MalformedRequest(str(error)) from error
        # A lenient parser may make something of it all the same.
        shown["text"] = data.decode("utf-8", "replace")
        return None
    # The document goes to the engine as its own bytes: nothing is rounded, reordered or built twice.
    shown["json"] = cast(JSON, orjson.Fragment(data))
    return read_model_call(head.method, head.path, parsed) or read_mcp_call(head.method, parsed, data)


def _form(data: bytes) -> JSON:
    values: dict[str, list[JSON]] = {}
    try:
        text = data.decode("utf-8")
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=1000, errors="strict"):
            values.setdefault(name, []).append(value)
    except ValueError as error:
        raise MalformedRequest("the form is not UTF-8 or has more than 1000 fields") from error
    return dict(values)


def _sensitive(head: RequestHead, data: bytes | None, known: Knowledge) -> dict[str, JSON]:
    values = [value for name, value in head.headers if headers.masked(name) and headers.goes_on(name, value)]
    found: dict[str, dict[str, JSON]] = {
        "address": _found(unquote(head.target_path), known),
        "headers": {**_found("\n".join(values), known), **_credentials(head, known)},
        "body": dict(found_in(data, head.content_type_value, known)) if data else {},
    }
    # Beside what was found, and not in policy's data: policy can't know a kind before it knows its family.
    families = {kind: known.engine.families.get(kind, SECRET) for part in found.values() for kind in part}
    return {**found, "families": families}


def _credentials(head: RequestHead, known: Knowledge) -> dict[str, JSON]:
    """Real credentials in any header, also in those that are shown to nobody: no agent should have one."""
    text = "\n".join(value for name, value in head.headers if name[0] != ":")
    return dict(counts(known.detector(frozenset()), text)) if known.credentials else {}


def _found(text: str, known: Knowledge) -> dict[str, JSON]:
    return dict(found_in(text.encode("utf-8", "surrogatepass"), "text/plain", known))


def _summary(
    head: RequestHead, shown: dict[str, JSON], call: ModelCall | McpCall | None, data: bytes | None, known: Knowledge
) -> dict[str, JSON]:
    summary: dict[str, JSON] = {"host": head.host, "content_type": head.content_type, "size": shown["size"]}
    if head.query:
        summary["query"] = excerpt(unquote(head.target_path.partition("?")[2]), known)
    if isinstance(call, McpCall):
        summary["mcp"] = {
            "kind": call.kind.value,
            "method": excerpt(call.method, known, _NAME_CHARACTERS),
            "name": excerpt(call.name, known, _NAME_CHARACTERS),
        }
    if isinstance(call, ModelCall):
        summary["llm"] = {
            **call.facts(),
            "model": excerpt(call.model, known, _NAME_CHARACTERS),
            "tools": _names(call.tools, known),
            "hosted_tools": _names(call.hosted_tools, known),
            "prompt": excerpt(call.last_user, known),
        }
    elif data and ("json" in shown or "text" in shown or "form" in shown):
        start = data[: 4 * MARGIN].decode("utf-8", "replace")
        summary["body"] = excerpt(start, known, document="json" in shown)
    return summary


def _names(names: tuple[str, ...], known: Knowledge) -> list[JSON]:
    """The first names, and how many are left out."""
    kept: list[JSON] = [excerpt(name, known, _NAME_CHARACTERS) for name in names[:_MOST_NAMES]]
    return kept if len(kept) == len(names) else [*kept, f"… {len(names) - len(kept)} more"]
