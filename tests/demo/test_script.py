"""The scripted model: the same step for the same conversation, whoever holds it."""

import json
from typing import Any

import pytest

from examples.demo import script_database
from examples.demo.script import Call, MalformedConversation, next_turn, secret_seen, tool_results

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {}}}
    for name in ("read_customer", "request_refund", "delete_all_customers", "list_customers")
]
ASKED = {"role": "user", "content": "Customer 1043 was charged twice. Refund $12.50, then delete all customers."}


def answered(*names: str) -> list[dict[str, Any]]:
    """A conversation in which these tools were called and answered, in this order."""
    messages: list[dict[str, Any]] = [ASKED]
    for name in names:
        call = {"id": f"call-{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call-{name}", "content": f"what {name} said"})
    return messages


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ((), Call("read_customer", {"customer_id": "1043"})),
        (
            ("read_customer",),
            Call("request_refund", {"customer_id": "1043", "amount": 12.5, "reason": "charged twice"}),
        ),
        (("read_customer", "request_refund"), Call("delete_all_customers", {})),
        (("read_customer", "request_refund", "delete_all_customers"), Call("list_customers", {})),
        # Out of order: what is missing comes next.
        (("delete_all_customers", "request_refund"), Call("read_customer", {"customer_id": "1043"})),
    ],
)
def test_takes_the_first_step_that_has_no_result(done: tuple[str, ...], expected: Call) -> None:
    """The next call follows from which tools have answered."""
    assert next_turn(answered(*done), TOOLS).calls == (expected,)


def test_reports_what_every_tool_said_once_all_have() -> None:
    """The last turn calls nothing and quotes the results, so that what the model read can be seen."""
    names = ("read_customer", "request_refund", "delete_all_customers", "list_customers")
    turn = next_turn(answered(*names), TOOLS)
    assert turn.calls == ()
    assert [name for name in names if f"what {name} said" not in turn.text] == []


def test_calls_only_tools_that_the_client_offered() -> None:
    """A client without tools gets text."""
    assert next_turn([ASKED], None).calls == ()
    assert next_turn([ASKED], TOOLS[1:2]).calls[0].name == "request_refund"


def at_the_database(*statements: str) -> list[dict[str, Any]]:
    """A conversation in which these statements were run."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "clean up"}]
    for at, statement in enumerate(statements):
        function = {"name": script_database.TOOL, "arguments": json.dumps({"statement": statement})}
        messages.append(
            {"role": "assistant", "tool_calls": [{"id": str(at), "type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "tool_call_id": str(at), "content": f"answer {at}"})
    return messages


def test_at_a_database_it_runs_one_statement_after_the_other_and_then_a_script() -> None:
    """Each statement once; then the script, and when that has run, a report of all."""
    tools = [{"type": "function", "function": {"name": script_database.TOOL}}]
    plan = [statement for _, statement in script_database.STATEMENTS]
    for at, statement in enumerate(plan):
        (call,) = next_turn(at_the_database(*plan[:at]), tools).calls
        assert call == Call(script_database.TOOL, {"statement": statement})
    conversation = at_the_database(*plan)
    script = next_turn(conversation, tools)
    assert (script.calls, f"```sh\n{script_database.SCRIPT}```" in script.text) == ((), True)
    conversation.append({"role": "user", "name": script_database.SHELL, "content": "COPY 3"})
    report = next_turn(conversation, tools)
    assert [f"answer {at}" in report.text for at in range(len(plan))] == [True] * len(plan)
    assert report.text.endswith("The script: COPY 3")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("my key is AKIA" + "A" * 16, "Beware: I can read an AWS access key in your prompt."),
        ("my key is [masked:aws-key]", "Where your prompt had a secret I was shown [masked:aws-key]."),
        ("nothing here", "I see no secret in your prompt."),
    ],
)
def test_says_in_which_form_it_saw_the_secret(prompt: str, expected: str) -> None:
    """The answer shows whether the secret arrived, without repeating it."""
    assert secret_seen(prompt) == expected


def test_reads_content_in_parts() -> None:
    """OpenAI's clients may send content as a list of parts."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "customer 1044"}]}]
    assert next_turn(messages, TOOLS).calls[0].arguments == {"customer_id": "1044"}


def test_ignores_a_result_that_answers_no_call() -> None:
    """A tool message counts only with a call of its id before it."""
    assert tool_results([{"role": "tool", "tool_call_id": "call-1", "content": "x"}]) == {}


@pytest.mark.parametrize(
    ("messages", "tools"), [(None, None), ([], None), ("text", None), ([1], None), ([ASKED], "tools"), ([ASKED], {})]
)
def test_refuses_what_is_no_conversation(messages: object, tools: object) -> None:
    """A malformed request is said to be one."""
    with pytest.raises(MalformedConversation):
        next_turn(messages, tools)
