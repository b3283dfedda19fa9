"""What a model answered, read from the bytes as released (already masked). Never fails: it only watches."""

from collections.abc import Hashable, Iterator
from typing import Any

import orjson

from extproc.domain.json import JSON

_BOUND = 1 << 20
_MOST = 64
_LONGEST = 128
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "message_stop"})
_RUNNING = frozenset({"in_progress", "queued"})


class ModelAnswerObserver:
    """Collects model, id, finish reasons, usage and the names and ids of the tools that the model called, of each of
    the APIs in `model_call`.

    `done` says that the stream's own end has been released: clients leave then, before the connection ends.
    Keeps at most 1 MiB: of a longer document nothing is known, of a longer event that event is left out. Lists end
    at 64 entries, and texts over 128 characters are left out."""

    def __init__(self, stream: bool) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._over = False
        self._known: dict[str, JSON] = {}
        self._usage: dict[str, JSON] = {}
        self._finish: list[JSON] = []
        self.done = False
        self._calls: dict[Hashable, dict[str, JSON]] = {}

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
        usage: dict[str, JSON] = {"usage": self._usage} if self._usage else {}
        return {**self._known, **usage, "finish_reasons": self._finish, "tool_calls": list(self._calls.values())}

    def _read(self, data: bytes) -> None:
        try:
            chunk: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(chunk, dict):
            return
        self.done = self.done or (_short(chunk.get("type")) and chunk["type"] in _LAST)
        # An event of the Responses or the Messages API may carry the answer as far as it goes.
        for answer in (chunk, chunk.get("response"), chunk.get("message")):
            if isinstance(answer, dict):
                self._read_answer(answer)
        delta = chunk.get("delta")
        self._finished(delta.get("stop_reason") if isinstance(delta, dict) else None)
        for item in (chunk.get("item"), chunk.get("content_block")):
            self._read_item(item)

    def _read_answer(self, answer: dict[str, Any]) -> None:
        for name in ("id", "model"):
            if _short(answer.get(name)):
                self._known[name] = answer[name]
        usage = answer.get("usage")
        if isinstance(usage, dict):
            counts = {n: v for n, v in usage.items() if _short(n) and isinstance(v, int)}
            self._usage = dict(list({**self._usage, **counts}.items())[:_MOST])
        self._finished(answer.get("stop_reason"))
        if answer.get("object") == "response" and answer.get("status") not in _RUNNING:
            self._finished(answer.get("status"))
        for choice in _objects(answer.get("choices")):
            self._finished(choice.get("finish_reason"))
            message = choice.get("delta") or choice.get("message")
            calls = message.get("tool_calls") if isinstance(message, dict) else None
            for position, call in enumerate(_objects(calls)):
                function = call.get("function")
                called = function.get("name") if isinstance(function, dict) else None
                self._called((_index(choice, 0), _index(call, position)), call.get("id"), called)
        for part in (answer.get("output"), answer.get("content")):
            for item in _objects(part):
                self._read_item(item)

    def _read_item(self, item: object) -> None:
        """An item of the Responses API, or a block of the Messages API, that is a call."""
        if not isinstance(item, dict):
            return
        kind, identity = item.get("type"), item.get("call_id") or item.get("id")
        if _short(kind) and _short(identity) and str(kind).endswith(("_call", "tool_use")):
            self._called(identity, identity, item.get("name") or kind)

    def _called(self, key: Hashable, identity: object, name: object) -> None:
        known = self._calls.get(key)
        if known is None:
            if len(self._calls) >= _MOST:
                return
            known = self._calls[key] = {}
        for member, value in (("id", identity), ("name", name)):
            if isinstance(value, str) and _short(value):
                known[member] = value

    def _finished(self, reason: object) -> None:
        if isinstance(reason, str) and _short(reason) and len(self._finish) < _MOST:
            self._finish.append(reason)


def _short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _objects(value: object) -> Iterator[dict[str, Any]]:
    yield from (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def _index(holder: dict[str, Any], otherwise: int) -> int:
    index = holder.get("index")
    return index if isinstance(index, int) else otherwise
