"""What somebody beside the agent asks the gateway for, made as the agent's user, and what they were answered."""

import json
import os
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.demo.agent_runtime import Runtime, run_as
from examples.demo.processes import DemoFailed

WIDTH = 82
"""Characters of a line beside a name: both fit in 100 columns."""
SHOWN_CHARACTERS = 126
"""Of a body."""
PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Call:
    """One request. who: whom the demo shows as asking; to: host:port of the listener; method, target: of the request
    line; token: for `header`; source: the address to send from, None for any."""

    who: str
    to: str
    method: str
    target: str
    token: str = field(repr=False)
    header: str = "Authorization"
    source: str | None = None
    body: str | None = None

    def document(self) -> dict[str, Any]:
        """As call.py reads it."""
        headers = {self.header: f"Bearer {self.token}"}
        if self.method == "CONNECT":
            headers["Host"] = self.target
        return {
            "to": self.to,
            "source": self.source,
            "method": self.method,
            "target": self.target,
            "headers": headers,
            "body": self.body,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. status: 0 where no answer came; body: text, or why none came."""

    call: Call
    status: int
    body: str

    @property
    def asked(self) -> str:
        """Method and target, as the request line has them."""
        return f"{self.call.method} {self.call.target}"

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def code(self) -> str:
        """The word of a refusal of the gateway's; of one by policy, the codes of its reasons."""
        reasons = [str(reason.get("code")) for reason in self.document.get("reasons") or []]
        return ", ".join(reasons) or str(self.document.get("type", "")).rpartition(":")[2]

    @property
    def detail(self) -> str:
        """What it says to a person."""
        return str(self.document.get("detail", self.body))


def ask(runtime: Runtime, calls: Sequence[Call]) -> list[Answer]:
    """Make calls one after the other, as the agent's user. Raises DemoFailed when they could not be made."""
    program = Path(__file__).with_name("call.py").read_text(encoding="utf-8")
    env = {"PATH": os.defpath, "CALLS": json.dumps([call.document() for call in calls])}
    done = run_as(runtime.owner, [str(runtime.python), "-I", "-c", program], cwd=Path("/"), env=env)
    if done.returncode != 0:
        raise DemoFailed(f"the agent's user could not call the gateway: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return [Answer(call, one["status"], one["body"]) for call, one in zip(calls, found, strict=True)]


def ask_until(runtime: Runtime, call: Call, wanted: Callable[[Answer], bool], seconds: float) -> list[Answer]:
    """Make a call again and again until its answer is `wanted`, or `seconds` have passed; all answers, oldest first."""
    deadline = time.monotonic() + seconds
    answers = ask(runtime, [call])
    while not wanted(answers[-1]) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        answers += ask(runtime, [call])
    return answers


def answer_lines(answer: Answer) -> list[str]:
    """The call, and its answer in short."""
    source = f" from {answer.call.source}" if answer.call.source else ""
    body = " ".join(answer.body.split())
    said = body if len(body) <= SHOWN_CHARACTERS else f"{body[: SHOWN_CHARACTERS - 1]}…"
    if answer.code:
        said = f"{answer.code}: {answer.detail}"
    return [f"{answer.asked}{source}", f"is answered HTTP {answer.status} {said}"]


def tell(who: str, lines: Sequence[str]) -> None:
    """Print lines beside a name, long ones on several."""
    for line in lines:
        for shown in textwrap.wrap(line, WIDTH, subsequent_indent="    "):
            print(f"{who:>15} │ {shown}", flush=True)
