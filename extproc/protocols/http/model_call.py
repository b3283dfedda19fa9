"""Calls to a model as an interpretation of an HTTP request: Chat Completions, Responses (both of OpenAI) and Messages
(of Anthropic). Many others speak one of these."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.json import JSON


class Api(StrEnum):
    """The shape of a call and of its answer."""

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"


# Ends of paths. What stands before them is the upstream's own.
_PATHS = {"/chat/completions": Api.CHAT, "/responses": Api.RESPONSES, "/messages": Api.MESSAGES}
# Kinds of tools that the client itself runs; Anthropic's have a date behind them. All others run where the model does.
_CLIENT_RUN = frozenset({"function", "custom", "local_shell", "apply_patch", "computer_use_preview"})
_CLIENT_RUN_DATED = ("bash_", "text_editor_", "computer_", "memory_")
# Members beside `tools` that have the vendor act, or may, and the tool that each stands for. A prompt that the vendor
# keeps can have tools of its own.
_HOSTED_MEMBERS = {"web_search_options": "web_search", "mcp_servers": "mcp", "plugins": "plugins", "prompt": "prompt"}


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a call says of itself. `tools` are names of those that the client runs, `hosted_tools` kinds of those that
    run at the vendor, unseen; `last_user` is the last text of the user, unmasked."""

    api: Api
    model: str
    stream: bool
    tools: tuple[str, ...]
    hosted_tools: tuple[str, ...]
    messages: int
    tool_results: int
    last_user: str

    def facts(self) -> dict[str, JSON]:
        """The shape that policy input carries."""
        return {
            "api": self.api.value,
            "model": self.model,
            "stream": self.stream,
            "tools": list(self.tools),
            "hosted_tools": list(self.hosted_tools),
            "messages": self.messages,
            "tool_results": self.tool_results,
        }


def read_model_call(method: str, path: str, body: object) -> ModelCall | None:
    """The call in a parsed JSON body, or None where the request is not one. Never raises: a body of another shape is
    simply no call, and policy still sees it whole."""
    api = next((api for end, api in _PATHS.items() if path.endswith(end)), None)
    if method != "POST" or api is None or not isinstance(body, Mapping):
        return None
    given = body.get("input" if api is Api.RESPONSES else "messages")
    # A call of the Responses API may go on from an earlier one, or use a prompt that the vendor keeps.
    if api is Api.RESPONSES and (isinstance(given, str) or (given is None and "model" in body)):
        given = [{"role": "user", "content": given or ""}]
    if not isinstance(given, list):
        return None
    tools = body.get("tools")
    known = [tool for tool in tools if isinstance(tool, Mapping)] if isinstance(tools, list) else []
    model = body.get("model")
    return ModelCall(
        api,
        model if isinstance(model, str) else "",
        body.get("stream") is True,
        tuple(name for tool in known if (name := _name(tool)) is not None),
        tuple(_hosted(body, known)),
        len(given),
        sum(_results(message) for message in given),
        _last_user(given),
    )


def _name(tool: Mapping[object, object]) -> str | None:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return name if isinstance(name, str) and not _is_hosted(tool) else None


def _hosted(body: Mapping[object, object], tools: list[Mapping[object, object]]) -> Iterator[str]:
    """Kinds, each once."""
    kinds = [str(tool.get("type")) for tool in tools if _is_hosted(tool)]
    # Empty options ask for it all the same; an empty list does not.
    kinds += [kind for member, kind in _HOSTED_MEMBERS.items() if body.get(member) not in (None, [], False)]
    yield from dict.fromkeys(kinds)


def _is_hosted(tool: Mapping[object, object]) -> bool:
    """Whether a tool runs at the vendor, or may: a kind that is not known counts as one that does."""
    kind = tool.get("type", "custom")
    return not isinstance(kind, str) or not (kind in _CLIENT_RUN or kind.startswith(_CLIENT_RUN_DATED))


def _results(message: object) -> int:
    """How many results of tools a message, or an item of the Responses API, carries."""
    if not isinstance(message, Mapping):
        return 0
    if message.get("role") == "tool" or str(message.get("type")).endswith("_call_output"):
        return 1
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return sum(isinstance(part, Mapping) and part.get("type") == "tool_result" for part in parts)


def _last_user(messages: list[object]) -> str:
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = content if isinstance(content, list) else []
            texts = [text for p in parts if isinstance(p, Mapping) and isinstance(text := p.get("text"), str)]
            if texts:
                return "\n".join(texts)
    return ""
