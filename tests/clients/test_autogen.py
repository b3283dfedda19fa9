"""A real AutoGen agent, in the environment that the demo makes for it, before the demo's customer API and model."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples.demo.agent_runtime import AGENT_FILES, Runtime, other_user, prepare
from examples.demo.customer_api import CUSTOMERS
from examples.demo.upstream import read_log
from tests.clients.world import DELETES, KEY, MODELS, PII, PRIVATE_KEY, SECRETS, WRITES, Background, World
from tests.support.envoy import until
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.gateway import CREDENTIAL, Gateway
from tests.support.jaeger import Jaeger, parents, tags

ROOT = Path(__file__).parents[2]
TASK = f"Customer 1042 was charged twice, $40. Refund it, then clean up. Our key is {KEY}."
Lines = list[dict[str, Any]]


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """AutoGen's own virtual environment, made on first use and kept: the demo's."""
    return prepare(other_user(), lambda sentence: None)


@contextmanager
def upstream(name: str, folder: Path) -> Iterator[str]:
    """One of the demo's servers; gives its address. What it received is in `<name>.received`."""
    credential, address = folder / "credential", folder / f"{name}.address"
    credential.write_text(CREDENTIAL)
    argv = [sys.executable, "-m", f"examples.demo.{name}", "--credential-file", str(credential)]
    argv += ["--log", str(folder / f"{name}.received"), "--address-file", str(address)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            until(address.exists, f"the address of {name}")
            yield address.read_text()
        finally:
            process.terminate()


@dataclass(frozen=True)
class Office(World):
    """The world of the agent. `folder` has what its upstreams received."""

    folder: Path
    runtime: Runtime

    def received(self, name: str) -> Lines:
        """What reached an upstream."""
        return read_log(self.folder / f"{name}.received")

    def run(self, subject: str, task: str) -> tuple[int, Lines]:
        """Run the agent; gives its exit code and its transcript."""
        transcript = self.folder / f"{subject}.jsonl"
        environment = {
            "PATH": os.defpath,
            "OPENAI_BASE_URL": f"{self.gateway.url}/models/v1",
            "OPENAI_API_KEY": self.token(subject),
            "CRM_BASE_URL": f"{self.gateway.url}/shop",
            "AGENT_TASK": task,
            "AGENT_TRANSCRIPT": str(transcript),
        }
        done = subprocess.run(
            [str(self.runtime.python), str(AGENT_FILES / "agent.py")],
            env=environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert transcript.exists(), done.stderr
        return done.returncode, read_log(transcript)


def test_an_agent_says_what_its_environment_lacks(runtime: Runtime) -> None:
    """Started as its text says, each names the variables that it can't do without, and exits with 2."""
    for module, wanted in (("agent", "CRM_BASE_URL"), ("sql_agent", "PGPASSWORD")):
        argv = [str(runtime.python), "-m", f"autogen.{module}"]
        done = subprocess.run(
            argv, env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}, cwd=AGENT_FILES.parent,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, wanted in done.stderr) == (2, True), done.stderr


@pytest.fixture(scope="module")
def office(runtime: Runtime, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A gateway before the demo's own upstreams."""
    folder = tmp_path_factory.mktemp("office")
    with ExitStack() as stack:
        more = "environment: production, credential: credential"
        addresses = [
            ("shop", stack.enter_context(upstream("customer_api", folder))),
            ("models", stack.enter_context(upstream("model_server", folder))),
        ]
        gateway = Gateway(
            targets="\n".join(f'{name}: {{upstream: "http://{at}", {more}}}' for name, at in addresses),
            audit=f'otlp: "{jaeger.otlp}", jaeger: "{jaeger.page}"',
        )
        stack.callback(gateway.stop)
        unused = RecordingUpstream()
        stack.callback(unused.stop)
        yield Office(gateway.start(), unused, jaeger, folder, runtime)


def results(lines: Lines) -> dict[str, str]:
    """What each tool answered, by its name."""
    return {r["name"]: r["content"] for line in lines if line["kind"] == "results" for r in line["results"]}


def test_a_run_reads_in_one_trace_from_prompt_to_refund(office: Office) -> None:
    """The agent reads masked, waits for a person, is refused and says why; Jaeger has all of it under its trace id."""
    running = Background(lambda: office.run("autogen", TASK))
    hold = office.held("autogen")
    assert [r["method"] for r in office.received("customer_api")] == ["GET"]
    office.approve(hold["hold"], "finance")
    code, lines = running.result(120)
    assert (code, lines[-1]["kind"]) == (0, "end")
    told = results(lines)
    assert "[masked:" in told["read_customer"]
    assert told["request_refund"].startswith("HTTP 201")
    assert told["delete_all_customers"].startswith("HTTP 403")
    assert DELETES in told["delete_all_customers"]
    assert told["list_customers"].startswith("HTTP 200")
    answer = next(line["content"] for line in lines if line["kind"] == "answer")
    assert "Blocked by policy" in answer
    assert "[masked:aws-key]" in answer
    seen = json.dumps(lines)
    assert [c["card_number"] for c in CUSTOMERS if c["card_number"] in seen or c["ssn"] in seen] == []
    assert [r["method"] for r in office.received("customer_api")] == ["GET", "POST", "GET"]
    for request in office.received("customer_api") + office.received("model_server"):
        assert request["credential"] == "real"
        assert KEY not in request["body"]
    wanted = (("mask", PII), ("mask", MODELS), ("allow", WRITES), ("block", DELETES))
    spans = office.traced("autogen", *wanted)
    run = next(line["trace_id"] for line in lines if line["kind"] == "trace")
    assert {s["traceID"] for s in spans} == {run}
    assert all(parents(s) and parents(s)[0][0] == run for s in spans)
    order = [(s["operationName"], tags(s)["holdpoint.outcome"]) for s in sorted(spans, key=lambda s: s["startTime"])]
    chat, read = ("POST models", "completed"), ("GET shop", "completed")
    assert order == [
        chat, read, chat, ("POST shop", "completed"), chat, ("DELETE shop", "blocked"), chat, read, chat
    ]  # fmt: skip
    (refund,) = [s for s in spans if s["operationName"] == "POST shop"]
    assert tags(refund)["holdpoint.approval.approver"] == "bob"
    inside = {s["operationName"] for s in office.jaeger.trace(run) if (run, refund["spanID"]) in parents(s)}
    assert inside >= {"holdpoint policy", "holdpoint hold", "holdpoint upstream"}


def test_a_blocked_prompt_ends_no_run(office: Office) -> None:
    """AutoGen gets an answer that says why, where an error would have broken the run off."""
    before = len(office.received("model_server"))
    code, lines = office.run("autogen-blocked", f"Refund customer 1042. Use this: {PRIVATE_KEY}")
    assert (code, lines[-1]["kind"]) == (0, "end")
    answer = next(line["content"] for line in lines if line["kind"] == "answer")
    assert "Blocked by policy" in answer
    assert len(office.received("model_server")) == before
    office.traced("autogen-blocked", ("block", SECRETS))
