"""Chat completions (the OpenAI shape) as an interpretation of an HTTP request."""

from collections.abc import Mapping
from dataclasses import dataclass

from extproc.domain.json import JSON

_PATHS = ("/chat/completions",)


@dataclass(frozen=True, slots=True)
class Chat:
    """What a chat request says of itself. `last_user` is the last user message's text, unmasked."""

    model: str
    stream: bool
    tools: tuple[str, ...]
    messages: int
    tool_results: int
    last_user: str

    def facts(self) -> dict[str, JSON]:
        """The shape that policy input carries."""
        return {
            "model": self.model,
            "stream": self.stream,
            "tools": list(self.tools),
            "messages": self.messages,
            "tool_results": self.tool_results,
        }


def read_chat(method: str, path: str, body: object) -> Chat | None:
    """The chat in a parsed JSON body, or None where the request is not one. Never raises: a body of another shape
    is simply not a chat, and policy still sees it whole."""
    if method != "POST" or not path.endswith(_PATHS) or not isinstance(body, Mapping):
        return None
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    roles = [m.get("role") for m in messages if isinstance(m, Mapping)]
    model = body.get("model")
    return Chat(
        model if isinstance(model, str) else "",
        body.get("stream") is True,
        tuple(_tool_names(body.get("tools"))),
        len(messages),
        roles.count("tool"),
        _last_user(messages),
    )


def _tool_names(tools: object) -> list[str]:
    names: list[str] = []
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str):
            names.append(name)
    return names


def _last_user(messages: list[object]) -> str:
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = content if isinstance(content, list) else []
            texts = [p.get("text") for p in parts if isinstance(p, Mapping)]
            return "\n".join(t for t in texts if isinstance(t, str))
    return ""
