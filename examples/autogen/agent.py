"""A real AutoGen agent that works behind Holdpoint: its own clients, its own token, and nothing of Holdpoint's in it.

The environment says where things are, as it would for any agent:

    OPENAI_BASE_URL  the gateway's address of the model, e.g. http://gateway/models/v1
    OPENAI_API_KEY   the agent's own token; the real key stays with the gateway
    CRM_BASE_URL     the gateway's address of the customer API, e.g. http://gateway/crm
    CRM_TOKEN        the agent's own token (default: OPENAI_API_KEY)
    OPENAI_MODEL     the model's name (default: demo-model)
    AGENT_TASK       what the agent is asked to do
    AGENT_TRANSCRIPT a file to which each message goes as one JSON object a line (optional)

Run it with the packages of requirements.txt: `python agent.py`. It exits with 0 when the model finished its work, with
2 when the environment is incomplete, and with 1 when the run broke off.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import httpx
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

MAX_MODEL_TURNS = 8
NEEDED = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CRM_BASE_URL", "AGENT_TASK")
APPROVAL_WAIT_SECONDS = 60
READ_TIMEOUT_SECONDS = 90.0
HELD_ATTEMPTS = 3

Line = dict[str, Any]
"""Of the transcript: `{"kind", ...}`."""
Note = Callable[[Line], None]
"""Takes down a line."""
Work = Callable[[str, Note], Coroutine[Any, Any, int]]
"""Does a task, and says how many pieces of text came streaming."""

SYSTEM = (
    "You work in customer support. Use your tools. When a tool answers that something is not allowed, "
    "do not try it again: say why, and go on with the rest."
)


class Crm:
    """The customer API, as the agent's tools see it. Every method returns text for the model to read, refusals too."""

    def __init__(self, base_url: str, token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10.0, read=READ_TIMEOUT_SECONDS),
        )

    async def read_customer(self, customer_id: str) -> str:
        """Read one customer's record."""
        return await self._ask("GET", f"customers/{customer_id}")

    async def request_refund(self, customer_id: str, amount: float, reason: str) -> str:
        """Refund an amount in US dollars to a customer."""
        return await self._ask("POST", f"customers/{customer_id}/refunds", {"amount": amount, "reason": reason})

    async def delete_all_customers(self) -> str:
        """Delete every customer's record."""
        return await self._ask("DELETE", "customers")

    async def list_customers(self) -> str:
        """List all customers."""
        return await self._ask("GET", "customers")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        # `Prefer: wait` says how long this client is ready to wait for a person. 202 means that it took longer and that
        # the same request, sent again, claims the approval.
        headers = {"Prefer": f"wait={APPROVAL_WAIT_SECONDS}"} if method != "GET" else {}
        response = await self._client.request(method, path, json=body, headers=headers)
        for _ in range(HELD_ATTEMPTS - 1):
            if response.status_code != httpx.codes.ACCEPTED:
                break
            await asyncio.sleep(_seconds(response.headers.get("retry-after")))
            response = await self._client.request(method, path, json=body, headers=headers)
        return f"HTTP {response.status_code}\n{response.text}"


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), 30.0) if retry_after and retry_after.isdigit() else 2.0


def entry(message: BaseAgentEvent | BaseChatMessage) -> Line | None:
    """One line of the transcript, or None for what is no line of its own (chunks, the task's echo)."""
    if isinstance(message, ToolCallRequestEvent):
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.content]
        return {"kind": "calls", "calls": calls}
    if isinstance(message, ToolCallExecutionEvent):
        results = [{"id": r.call_id, "name": r.name, "content": r.content} for r in message.content]
        return {"kind": "results", "results": results}
    if isinstance(message, TextMessage):
        kind = "task" if message.source == "user" else "answer"
        return {"kind": kind, "source": message.source, "content": message.content}
    return None


def spoken(line: Line) -> str:
    """The same for people, on few lines."""
    if line["kind"] == "calls":
        return "\n".join(f"calls {call['name']}({call['arguments']})" for call in line["calls"])
    if line["kind"] == "results":
        return "\n".join(f"{r['name']} answered {' '.join(r['content'].split())}" for r in line["results"])
    verbs = {"task": "is asked", "answer": "says", "error": "broke off", "end": "is done", "output": "ran it"}
    verb = verbs.get(line["kind"], line["kind"])
    return f"{verb}: {line['content']}"


def start_telemetry() -> trace.Tracer:
    """Give model calls and tool calls of one run one trace id, which the gateway continues. Exports nothing itself: an
    agent's own account of what it did is no audit trail."""
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "autogen-agent"})))
    HTTPXClientInstrumentor().instrument()
    return trace.get_tracer("agent")


def model_client() -> OpenAIChatCompletionClient:
    """The model, as the environment names it."""
    return OpenAIChatCompletionClient(
        model=os.environ.get("OPENAI_MODEL", "demo-model"),
        base_url=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        model_info=ModelInfo(
            vision=False, function_calling=True, json_output=False, family=ModelFamily.UNKNOWN, structured_output=False
        ),
        include_name_in_message=True,
    )


async def listen(stream: AsyncIterable[Any], note: Note) -> int:
    """Take down every message of a run; the number of chunks that came streaming."""
    chunks = 0
    async for message in stream:
        if isinstance(message, ModelClientStreamingChunkEvent):
            chunks += 1
        elif not isinstance(message, TaskResult) and (line := entry(message)) is not None:
            note(line)
    return chunks


async def work(task: str, note: Note) -> int:
    """Let the agent do `task`; `note` gets every line of the transcript. Returns the number of streamed chunks."""
    tracer = start_telemetry()
    model = model_client()
    crm = Crm(os.environ["CRM_BASE_URL"], os.environ.get("CRM_TOKEN", os.environ["OPENAI_API_KEY"]))
    agent = AssistantAgent(
        "support_assistant",
        model,
        tools=[crm.read_customer, crm.request_refund, crm.delete_all_customers, crm.list_customers],
        system_message=SYSTEM,
        model_client_stream=True,
        max_tool_iterations=MAX_MODEL_TURNS,
        reflect_on_tool_use=True,
    )
    try:
        with tracer.start_as_current_span("support run") as span:
            note({"kind": "trace", "trace_id": f"{span.get_span_context().trace_id:032x}"})
            return await listen(agent.run_stream(task=task), note)
    finally:
        await crm.close()
        await model.close()


def main(work: Work = work, needed: Sequence[str] = NEEDED) -> int:
    """Run an agent once; `needed` are the variables that it can't do without. See the module's text for them."""
    if missing := [name for name in needed if not os.environ.get(name)]:
        print(f"agent: set {', '.join(missing)} in the environment; {__file__} explains each", file=sys.stderr)
        return 2
    transcript = os.environ.get("AGENT_TRANSCRIPT")

    def note(line: Line) -> None:
        if transcript:
            with Path(transcript).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        if line["kind"] != "trace":
            print(spoken(line), flush=True)

    try:
        chunks = asyncio.run(work(os.environ["AGENT_TASK"], note))
    except Exception as error:  # whatever broke the run off: its reason is the last line of the transcript
        note({"kind": "error", "content": f"{type(error).__name__}: {error}"})
        return 1
    note({"kind": "end", "content": f"{chunks} pieces of text came streaming", "chunks": chunks})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
