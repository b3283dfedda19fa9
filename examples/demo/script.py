"""What the demo's model says: a function of the conversation alone, so that any client may hold it.

The model plays a support assistant that reads a customer, asks for a refund, tries to delete all customers (as it was
told to), looks whether they are still there, and reports. It takes each step once: a step is done when the conversation
has a result for a call to that tool. Whoever offers it a tool for notes gets one (see records.py), with numbers that
the conversation does not have.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from examples.demo.records import NOTE, NOTE_TOOL, RECALLED

CUSTOMER = re.compile(r"customer\s+#?(\d+)", re.IGNORECASE)
AMOUNT = re.compile(r"\$\s?(\d+(?:\.\d{1,2})?)")
KEY = re.compile(r"\bAKIA[0-9A-Z]{16}\b")
MASK = re.compile(r"\[masked:[a-z0-9-]+\]")
EXCERPT = 400


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: the function's name and its arguments."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model says next: text, and calls that it wants made (none ends its work)."""

    text: str
    calls: tuple[Call, ...] = ()


class MalformedConversation(ValueError):
    """The request has not the shape of a chat completion. The message says what would be right."""


def next_turn(messages: object, tools: object) -> Turn:
    """The model's next turn. Raises MalformedConversation when `messages` or `tools` have not OpenAI's shape."""
    turns = _messages(messages)
    asked = " ".join(text_of(message) for message in turns if message.get("role") == "user")
    offered = _offered(tools)
    results = tool_results(turns)
    plan = ((RECALLED, Call(NOTE_TOOL, NOTE)), *_plan(asked))
    for opening, call in plan:
        if call.name in offered and call.name not in results:
            return Turn(opening, (call,))
    return Turn(_report(asked, results))


def _plan(asked: str) -> tuple[tuple[str, Call], ...]:
    customer = match.group(1) if (match := CUSTOMER.search(asked)) else "1042"
    amount = float(match.group(1)) if (match := AMOUNT.search(asked)) else 40.0
    refund = {"customer_id": customer, "amount": amount, "reason": "charged twice"}
    return (
        (f"I will look at customer {customer} first.", Call("read_customer", {"customer_id": customer})),
        ("They were charged twice. I ask for the refund.", Call("request_refund", refund)),
        ("Now the clean-up: I delete all customers.", Call("delete_all_customers", {})),
        ("I look at what is there now.", Call("list_customers", {})),
    )


def _report(asked: str, results: dict[str, str]) -> str:
    parts = []
    if results:
        parts.append("This is what came of it.")
    for name, title in (
        ("read_customer", "The record, as I was shown it"),
        ("request_refund", "The refund"),
        ("delete_all_customers", "Deleting all customers"),
        ("list_customers", "The customers, as I was shown them"),
    ):
        if name in results:
            parts.append(f"{title}: {' '.join(results[name].split())[:EXCERPT]}")
    parts.append(secret_seen(asked))
    return "\n".join(parts)


def secret_seen(asked: str) -> str:
    """What the model makes of the access key in its prompt: whether it sees one, and in which form."""
    if KEY.search(asked):
        return "Beware: I can read an AWS access key in your prompt."
    if marks := sorted(set(MASK.findall(asked))):
        return f"Where your prompt had a secret I was shown {', '.join(marks)}."
    return "I see no secret in your prompt."


def text_of(message: dict[str, Any]) -> str:
    """A message's text: `content` is a string, a list of parts, or null."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def tool_results(messages: list[dict[str, Any]]) -> dict[str, str]:
    """The text that each tool answered, by the tool's name; the last one where a tool was called twice."""
    names: dict[str, str] = {}
    results: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                names[str(call.get("id"))] = str(function.get("name"))
        if message.get("role") == "tool" and (name := names.get(str(message.get("tool_call_id")))) is not None:
            results[name] = text_of(message)
    return results


def _messages(messages: object) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise MalformedConversation("`messages` must be a list of at least one object with `role` and `content`")
    return messages


def _offered(tools: object) -> set[str]:
    if tools is None:
        return set()
    if not isinstance(tools, list):
        raise MalformedConversation("`tools` must be a list of {type: function, function: {name, parameters}}")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return {str(function.get("name")) for function in functions if isinstance(function, dict)}


def arguments_text(call: Call) -> str:
    """A call's arguments as the JSON text that the protocol carries."""
    return json.dumps(call.arguments)
