"""Did what the demo claims happen? Each claim is checked against what upstreams received and the agent wrote down."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from examples.demo.customer_api import CUSTOMERS

REFUND_PATH = "/customers/1042/refunds"
MASKED_FIELDS = ("card_number", "ssn")
MASK = re.compile(r"\[masked:[a-z_:-]+\]")
MASKED_KEY = "[masked:aws-key]"


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, whether it is true, and what shows it (or what was found instead)."""

    claim: str
    true: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at.

    transcript: the agent's lines; customer_api, model_server: the upstreams' logs (see upstream.ReceivedLog);
    approver: who approved the refund, or None; approved_at: when, RFC 3339 in UTC, or None; secret: what was pasted.
    """

    transcript: Sequence[dict[str, Any]]
    customer_api: Sequence[dict[str, Any]]
    model_server: Sequence[dict[str, Any]]
    approver: str | None
    approved_at: str | None
    secret: str


def run_checks(evidence: Evidence) -> list[Check]:
    """All claims of the demo, in the order of its story."""
    return [
        check_masked(evidence),
        check_refund(evidence),
        check_delete(evidence),
        check_secret(evidence),
        check_credentials(evidence),
        check_finished(evidence),
    ]


def check_trace(decisions: Sequence[str], traced: Sequence[str], trace_id: str) -> Check:
    """Every decision of the run is a span of the run's one trace. Both arguments are ids of decisions."""
    claim = "Jaeger has the whole run, from prompt to refund, in one trace"
    missing = set(decisions) - set(traced)
    if not decisions or missing:
        return Check(claim, False, f"{len(missing)} of {len(decisions)} decisions are not in trace {trace_id}")
    return Check(claim, True, f"all {len(decisions)} decisions are spans of trace {trace_id}, which the agent began")


def check_silence(places: Mapping[str, bytes], values: Mapping[str, str]) -> Check:
    """None of `values` (what it is -> the value) is anywhere in `places` (a file's name -> what is in it)."""
    claim = "no secret is in the gateway's journal, logs, stores or traces"
    found = [
        f"{what} in {name}"
        for name, content in places.items()
        for what, value in values.items()
        if value.encode() in content
    ]
    if found or not places:
        return Check(claim, False, short("; ".join(found)) or "there was nothing to look through")
    return Check(claim, True, f"{len(places)} files and traces do not have {', '.join(values)}")


def results_of(transcript: Sequence[dict[str, Any]], tool: str) -> list[str]:
    """What `tool` answered the agent, call by call."""
    return [
        r["content"] for line in transcript if line["kind"] == "results" for r in line["results"] if r["name"] == tool
    ]


def check_masked(evidence: Evidence) -> Check:
    """Card and social security number reached neither agent nor model, and the masks stand where they were."""
    claim = "the customer's card number and SSN came back masked"
    record = next(iter(results_of(evidence.transcript, "read_customer")), "")
    if not record.startswith("HTTP 200"):
        return Check(claim, False, f"reading the customer answered: {short(record) or 'nothing'}")
    seen = digits(json.dumps(list(evidence.transcript)) + json.dumps(list(evidence.model_server)))
    leaked = [key for customer in CUSTOMERS for key in MASKED_FIELDS if digits(customer[key]) in seen]
    if leaked:
        return Check(
            claim,
            False,
            f"the agent or the model saw {len(leaked)} of the real values ({', '.join(sorted(set(leaked)))})",
        )
    fields = object_of(record.partition("\n")[2])
    shown = [str(fields.get(key)) for key in MASKED_FIELDS]
    if not all(MASK.fullmatch(value) for value in shown):
        return Check(claim, False, f"{' and '.join(MASKED_FIELDS)} came as {' and '.join(shown)}")
    return Check(claim, True, f"the agent read {' and '.join(shown)}; the real digits are in no line of agent or model")


def check_refund(evidence: Evidence) -> Check:
    """The refund reached the customer API once, as asked, and only after somebody else approved it."""
    claim = f"the refund was held, and approved by {evidence.approver or 'nobody'}"
    arrived = [line for line in evidence.customer_api if line["method"] == "POST" and line["path"] == REFUND_PATH]
    answer = next(iter(results_of(evidence.transcript, "request_refund")), "")
    if len(arrived) != 1:
        return Check(
            claim, False, f"the customer API got {len(arrived)} refunds instead of 1; the agent read: {short(answer)}"
        )
    if evidence.approver is None or evidence.approved_at is None:
        return Check(claim, False, "the refund reached the customer API though nobody approved it")
    if datetime.fromisoformat(arrived[0]["at"]) <= datetime.fromisoformat(evidence.approved_at):
        return Check(claim, False, f"it arrived at {arrived[0]['at']}, before the approval at {evidence.approved_at}")
    asked = _arguments(evidence.transcript, "request_refund")
    got = object_of(arrived[0]["body"])
    if asked is None or got != {key: value for key, value in asked.items() if key != "customer_id"}:
        return Check(claim, False, f"what arrived is not what was asked: {short(arrived[0]['body'])}")
    if not answer.startswith("HTTP 201"):
        return Check(claim, False, f"the agent read: {short(answer)}")
    return Check(
        claim, True, f"it reached the customer API after the approval, once, unchanged: {short(arrived[0]['body'])}"
    )


def check_delete(evidence: Evidence) -> Check:
    """No deletion reached the customer API, the model was told why, and the agent went on."""
    claim = "deleting all customers was blocked; the model read why and went on"
    arrived = [line for line in evidence.customer_api if line["method"] == "DELETE"]
    if arrived:
        return Check(claim, False, f"{len(arrived)} deletions reached the customer API")
    answer = next(iter(results_of(evidence.transcript, "delete_all_customers")), "")
    reasons = object_of(answer.partition("\n")[2]).get("reasons") or []
    message = str(reasons[0].get("message", "")) if reasons else ""
    if not answer.startswith("HTTP 403") or not message:
        return Check(claim, False, f"the agent read: {short(answer) or 'nothing'}")
    last = object_of(evidence.model_server[-1]["body"]) if evidence.model_server else {}
    told = any(
        message in str(entry.get("content")) for entry in last.get("messages") or [] if entry.get("role") == "tool"
    )
    if not told:
        return Check(claim, False, f"the model was never told the reason ({short(message)})")
    listed = next(iter(results_of(evidence.transcript, "list_customers")), "")
    count = len(object_of(listed.partition("\n")[2]).get("customers") or [])
    if not listed.startswith("HTTP 200") or count != len(CUSTOMERS):
        return Check(claim, False, f"after the block, listing the customers answered: {short(listed) or 'nothing'}")
    return Check(
        claim, True, f"the model read “{short(message)}”; its next step found all {count} customers still there"
    )


def check_secret(evidence: Evidence) -> Check:
    """The pasted secret is in nothing that the model server received."""
    claim = "the secret pasted into the prompt left masked"
    if not evidence.model_server:
        return Check(claim, False, "the model server received nothing")
    pasted = any(evidence.secret in str(line.get("content")) for line in evidence.transcript if line["kind"] == "task")
    if not pasted:
        return Check(claim, False, "the agent's task has no secret in it, so nothing was shown")
    leaks = sum(evidence.secret in line["body"] for line in evidence.model_server)
    if leaks:
        return Check(claim, False, f"the model server received it {leaks} times")
    unmarked = sum(MASKED_KEY not in line["body"] for line in evidence.model_server)
    if unmarked:
        return Check(
            claim, False, f"{unmarked} prompts reached the model server without {MASKED_KEY} in the secret's place"
        )
    return Check(
        claim,
        True,
        f"{len(evidence.model_server)} prompts reached the model server, each with {MASKED_KEY} in its place",
    )


def check_credentials(evidence: Evidence) -> Check:
    """Every request that reached an upstream brought the real credential, which the agent never had."""
    claim = "upstreams saw their real credentials, never the agent's token"
    arrived = [*evidence.customer_api, *evidence.model_server]
    others = [line for line in arrived if line["credential"] != "real"]
    if others or not arrived:
        return Check(claim, False, f"{len(others)} of {len(arrived)} requests came without the real credential")
    return Check(claim, True, f"all {len(arrived)} requests")


def check_finished(evidence: Evidence) -> Check:
    """The agent's run came to its end, and its text came streaming."""
    claim = "the agent finished its work, its model's text streaming"
    end = evidence.transcript[-1] if evidence.transcript else {"kind": "nothing"}
    if end["kind"] != "end" or not end["chunks"]:
        return Check(claim, False, f"its transcript ends with: {short(str(end.get('content', end['kind'])))}")
    streamed = sum(object_of(line["body"]).get("stream") is True for line in evidence.model_server)
    return Check(
        claim, streamed == len(evidence.model_server), f"{end['chunks']} pieces in {streamed} streamed answers"
    )


def digits(text: str) -> str:
    # Groups may be parted by spaces or hyphens; whatever else stands between digits parts two numbers.
    return re.sub(r"(?<=\d)[ -](?=\d)", "", text)


def _arguments(transcript: Sequence[dict[str, Any]], tool: str) -> dict[str, Any] | None:
    calls = [call for line in transcript if line["kind"] == "calls" for call in line["calls"] if call["name"] == tool]
    return object_of(calls[0]["arguments"]) if calls else None


def object_of(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else f"{flat[:159]}…"
