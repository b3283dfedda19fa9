"""What the demo's model says: a function of the conversation alone, so that any client may hold it.

The model plays a support assistant that reads a customer, asks for a refund, tries to delete all customers (as it was
told to), looks whether they are still there, and reports. It takes each step once: a step is done when the conversation
has a result for a call to that tool. Whoever offers it a tool for notes gets one (see records.py), with numbers that
the conversation does not have. Whoever offers it one for SQL has it look after a database (see script_database.py).
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from examples.demo import script_database
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
    if script_database.TOOL in offered:
        return _at_the_database(turns)
    results = tool_results(turns)
    plan = ((RECALLED, Call(NOTE_TOOL, NOTE)), *_plan(asked))
    for opening, call in plan:
        if call.name in offered and call.name not in results:
            return Turn(opening, (call,))
    return Turn(_report(asked, results))


def _at_the_database(turns: list[dict[str, Any]]) -> Turn:
    answered = {arguments.get("statement"): text for name, arguments, text in answered_calls(turns)}
    for opening, statement in script_database.STATEMENTS:
        if statement not in answered:
            return Turn(opening, (Call(script_database.TOOL, {"statement": statement}),))
    ran = [text_of(message) for message in turns if message.get("name") == script_database.SHELL]
    if not ran:
        return Turn(script_database.SCRIPT_ANSWER)
    told = [f"{statement}: {_excerpt(answered[statement])}" for _, statement in script_database.STATEMENTS]
    return Turn("\n".join(["This is what came of it.", *told, f"The script: {_excerpt(ran[-1])}"]))


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
            parts.append(f"{title}: {_excerpt(results[name])}")
    parts.append(secret_seen(asked))
    return "\n".join(parts)


def _excerpt(text: str) -> str:
    return " ".join(text.split())[:EXCERPT]


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
    return {name: text for name, _, text in answered_calls(messages)}


def answered_calls(messages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], str]]:
    """Every call that was answered: the tool's name, the arguments, and the answer's text. In the answers' order."""
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    answered = []
    for message in messages:
        for call in message.get("tool_calls") or []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                calls[str(call.get("id"))] = (str(function.get("name")), _arguments(function.get("arguments")))
        if message.get("role") == "tool" and (call := calls.get(str(message.get("tool_call_id")))) is not None:
            answered.append((*call, text_of(message)))
    return answered


def _arguments(text: object) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


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
