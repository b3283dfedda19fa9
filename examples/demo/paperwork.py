"""What the agent is told and shown in its daily work: a prompt, a model's stream, JSON, a table, a page."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo import records
from examples.demo.agent_runtime import Runtime, run_as
from examples.demo.calls import tell
from examples.demo.gateway import Gateway
from examples.demo.processes import DemoFailed
from examples.demo.upstream import read_log
from examples.demo.workplace import Workplace

PATHS = (records.PAYMENTS_PATH, records.ORDERS_PATH, records.PAGE_PATH)


@dataclass(frozen=True, slots=True)
class Document:
    """An answer of the customer API, as the agent's client got it. headers: by name in lower case."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Paperwork:
    """What came of it, on both sides.

    prompts: the bodies that the model server received; asked: the coding that the customer API was asked for, by path;
    text, arguments: deltas of the model's text and of its call's arguments, as they came; the rest: documents.
    """

    prompts: list[str]
    asked: dict[str, str]
    text: list[str]
    arguments: list[str]
    payments: Document
    orders: Document
    page: Document


def do_paperwork(place: Workplace, runtime: Runtime, gateway: Gateway) -> Paperwork:
    """Let the agent's user do it with its own clients. Raises DemoFailed when that breaks off."""
    logs = [place.upstream(name, "received") for name in ("model_server", "customer_api")]
    before = [len(read_log(log)) for log in logs]
    work = {"gateway": f"http://{gateway.at.listen}", "token": place.agent_token, "paths": PATHS}
    work |= {"prompt": records.PROMPT, "tool": records.NOTE_TOOL}
    program = Path(__file__).with_name("paperwork_client.py").read_text(encoding="utf-8")
    env = {"PATH": os.defpath, "PAPERWORK": json.dumps(work)}
    done = run_as(runtime.owner, [str(runtime.python), "-I", "-c", program], cwd=Path("/"), env=env)
    if done.returncode != 0:
        raise DemoFailed(f"the agent could not do its paperwork: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    prompts, documents = (read_log(log)[start:] for log, start in zip(logs, before, strict=True))
    paperwork = Paperwork(
        [line["body"] for line in prompts],
        {line["path"]: line["headers"].get("accept-encoding", "") for line in documents},
        found["text"],
        found["arguments"],
        *(Document(**one) for one in found["documents"]),
    )
    _tell(paperwork)
    return paperwork


def message(prompt: str) -> Any:
    """The text of the one message in a chat completion request; None where there is no such thing."""
    try:
        (only,) = json.loads(prompt)["messages"]
        return only["content"]
    except (ValueError, KeyError, TypeError):
        return None


def _tell(paperwork: Paperwork) -> None:
    seen = [message(prompt) for prompt in paperwork.prompts]
    for title, sent, got in (
        ("in a prompt", [records.PROMPT], seen),
        ("in a stream", [records.RECALLED], ["".join(paperwork.text)]),
        ("in a tool call", [json.dumps(records.NOTE)], ["".join(paperwork.arguments)]),
        ("in JSON", _last_line(records.PAYMENTS), _last_line(paperwork.payments.body)),
        ("in a table", _last_line(records.ORDERS), _last_line(paperwork.orders.body)),
        ("on a page", _last_line(records.PAGE), _last_line(paperwork.page.body)),
    ):
        tell(title, sent)
        tell("", [f"→ {line}" for line in got])


def _last_line(text: str) -> Sequence[str]:
    return [line.strip() for line in text.splitlines()[-1:]]
