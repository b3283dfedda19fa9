"""What a chat completion answered, read from the bytes as released (already masked). Never fails: it only watches."""

from typing import Any

import orjson

from extproc.domain.json import JSON

_BOUND = 1 << 20


class ChatObserver:
    """Collects model, id, finish reasons, usage and the names and ids of the tools that the model called.

    `done` says that the stream's own end has been released: clients leave then, before the connection ends.
    Keeps at most 1 MiB: of a longer document nothing is known, of a longer event that event is left out."""

    def __init__(self, stream: bool) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._over = False
        self._known: dict[str, JSON] = {}
        self._finish: list[JSON] = []
        self.done = False
        self._calls: dict[tuple[int, int], dict[str, JSON]] = {}

    def feed(self, data: bytes) -> None:
        """Take the next released bytes."""
        self._buffer += data
        if self._stream:
            *lines, rest = self._buffer.split(b"\n")
            self._buffer = rest if len(rest) <= _BOUND else bytearray()
            for line in lines:
                if line.startswith(b"data:"):
                    self.done = self.done or line[5:].strip() == b"[DONE]"
                    self._read(bytes(line[5:]))
        elif len(self._buffer) > _BOUND:
            self._over, self._buffer = True, bytearray()

    def document(self) -> dict[str, JSON]:
        """What is known: {id?, model?, finish_reasons, usage?, tool_calls: [{id, name}]}."""
        if not self._stream and not self._over and self._buffer:
            self._read(bytes(self._buffer))
            self._buffer = bytearray()
        return {**self._known, "finish_reasons": self._finish, "tool_calls": list(self._calls.values())}

    def _read(self, data: bytes) -> None:
        try:
            chunk: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(chunk, dict):
            return
        for name in ("id", "model"):
            if isinstance(chunk.get(name), str):
                self._known[name] = chunk[name]
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._known["usage"] = {n: v for n, v in usage.items() if isinstance(v, int)}
        for choice in chunk.get("choices") or []:
            if isinstance(choice, dict):
                self._read_choice(choice)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        if isinstance(choice.get("finish_reason"), str):
            self._finish.append(choice["finish_reason"])
        message = choice.get("delta") or choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for position, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict) and len(self._calls) < 64:
                where = (int(choice.get("index") or 0), int(call.get("index") or position))
                known = self._calls.setdefault(where, {})
                function = call.get("function")
                name = function.get("name") if isinstance(function, dict) else None
                for key, value in (("id", call.get("id")), ("name", name)):
                    if isinstance(value, str) and value:
                        known[key] = value
