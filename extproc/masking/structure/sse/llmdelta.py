"""Where streamed chat completions carry text in pieces (OpenAI's chunk objects, also the older `text` ones)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

TEXTS = ("content", "reasoning_content", "refusal")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a chunk that holds a piece of one text. `name` is the text it belongs to: (choice, member, call).
    `arguments` says that the text is JSON, spelt out piece by piece."""

    name: tuple[int, str, int]
    holder: dict[str, Any]
    member: str
    arguments: bool


def is_chunk(document: object) -> TypeGuard[dict[str, Any]]:
    """Whether this looks like a chunk of a chat completion."""
    choices = document.get("choices") if isinstance(document, dict) else None
    return isinstance(choices, list) and any(_is_choice(choice) for choice in choices)


def choices(document: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each choice of a chunk with its index."""
    for choice in document["choices"]:
        if _is_choice(choice):
            index = choice.get("index", 0)
            yield index if isinstance(index, int) else 0, choice


def slots(index: int, choice: dict[str, Any]) -> Iterator[Slot]:
    """The pieces of text in one choice."""
    if isinstance(choice.get("text"), str):
        yield Slot((index, "text", 0), choice, "text", False)
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return
    for member in TEXTS:
        if isinstance(delta.get(member), str):
            yield Slot((index, member, 0), delta, member, False)
    calls = delta.get("tool_calls")
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            at = call.get("index", position)
            yield Slot((index, "arguments", at if isinstance(at, int) else position), function, "arguments", True)


def append(choice: dict[str, Any], texts: Iterable[tuple[tuple[int, str, int], str]]) -> None:
    """Put the rests of texts, by name, into a choice, each after the piece of it that the choice may have."""
    present: dict[tuple[int, str, int], Slot] = {}
    for name, text in texts:
        index, member, call = name
        if member == "text":
            choice["text"] = (choice.get("text") or "") + text
            continue
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice["delta"] = {}
        if member != "arguments":
            delta[member] = (delta.get(member) or "") + text
            continue
        calls = delta.get("tool_calls")
        if not isinstance(calls, list):
            calls = delta["tool_calls"] = []
        if not present:
            present = {slot.name: slot for slot in reversed(list(slots(index, choice)))}  # the first of several
        if slot := present.get(name):
            slot.holder[slot.member] += text
        else:
            calls.append({"index": call, "function": {"arguments": text}})


def _is_choice(choice: object) -> bool:
    return isinstance(choice, dict) and ("delta" in choice or isinstance(choice.get("text"), str))
