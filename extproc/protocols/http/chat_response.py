"""What a chat completion answered, read from the bytes as released (already masked). Never fails: it only watches."""

from typing import Any

import orjson

from extproc.domain.json import JSON

_BOUND = 1 << 20
_MOST = 64
_LONGEST = 128


class ChatObserver:
    """Collects model, id, finish reasons, usage and the names and ids of the tools that the model called.

    `done` says that the stream's own end has been released: clients leave then, before the connection ends.
    Keeps at most 1 MiB: of a longer document nothing is known, of a longer event that event is left out. Lists end
    at 64 entries, and texts over 128 characters are left out."""

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
            if _short(chunk.get(name)):
                self._known[name] = chunk[name]
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            counts = {n: v for n, v in usage.items() if _short(n) and isinstance(v, int)}
            self._known["usage"] = dict(list(counts.items())[:_MOST])
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                self._read_choice(choice)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if _short(reason) and len(self._finish) < _MOST:
            self._finish.append(reason)
        message = choice.get("delta") or choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for position, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                self._read_call(_index(choice, 0), _index(call, position), call)

    def _read_call(self, choice: int, position: int, call: dict[str, Any]) -> None:
        known = self._calls.get((choice, position))
        if known is None:
            if len(self._calls) >= _MOST:
                return
            known = self._calls[choice, position] = {}
        function = call.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        for key, value in (("id", call.get("id")), ("name", name)):
            if _short(value):
                known[key] = value


def _short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _index(holder: dict[str, Any], otherwise: int) -> int:
    index = holder.get("index")
    return index if isinstance(index, int) else otherwise
