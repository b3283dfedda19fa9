"""What the clients of these tests meet: a customer API, a model, people who approve, and a trail to look into."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tests.support.envoy import until
from tests.support.envoy_upstream import RecordingUpstream, Seen
from tests.support.gateway import Gateway
from tests.support.jaeger import Jaeger, Span, tags

CARD, SSN, KEY = "4111111111111111", "078-05-1120", "AKIAIOSFODNN7EXAMPLE"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
READS, PII, WRITES = "http.allow_reads", "http.pii_in_responses", "http.writes_in_production"
DELETES, MODELS, SECRETS = "http.destructive_methods", "http.llm_chat", "http.secrets_in_requests"
CUSTOMER = {"id": "1042", "name": "Ada", "card_number": CARD, "ssn": SSN, "balance": 12.5, "note": f"pays with {CARD}"}
# A chat that is no call to a known model is a write like any other, and waits for a person.
DATA = "llm:\n  targets: [crm, models]\n"
JSON_TYPE, EVENTS = "application/json", "text/event-stream"
T = TypeVar("T")


def response(document: object, status: str = "200 OK") -> bytes:
    """A whole HTTP response with a JSON body."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def plain(seen: Seen) -> bytes:
    """A request's body without the framing of its chunks."""
    if "transfer-encoding" not in seen.headers:
        return seen.body
    body, left = b"", seen.body
    while (size := int(left.partition(b"\r\n")[0], 16)) > 0:
        left = left.partition(b"\r\n")[2]
        body, left = body + left[:size], left[size + 2 :]
    return body


def customers(seen: Seen) -> Iterable[bytes]:
    """The customer API: a read shows everything it has, a refund is booked, a deletion is done at once."""
    if seen.line.startswith("POST "):
        return [response({"refund": {"id": "R-1", "amount": json.loads(plain(seen))["amount"]}}, "201 Created")]
    return [response({"deleted": 3} if seen.line.startswith("DELETE ") else CUSTOMER)]


def model(seen: Seen) -> Iterable[bytes]:
    """A model that repeats the last message and tells a card number; a stream tells it in pieces."""
    asked = json.loads(plain(seen))
    pieces = [f"You said: {asked['messages'][-1]['content']} ", "The card is ", CARD[:6], CARD[6:11], CARD[11:], "."]
    head = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
    if asked.get("stream") is not True:
        message = {"role": "assistant", "content": "".join(pieces)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        yield response({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        return
    yield f"HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece}, None) for piece in pieces] + [({}, "stop")]
    for delta, finish in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]})
        yield chunk(f"data: {event}\n\n".encode())
    yield chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Background(Generic[T]):
    """Something that runs in a thread while the test goes on."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # handed to whoever asks for the result
            self._error = error

    @property
    def running(self) -> bool:
        """Whether there is no result yet."""
        return self._thread.is_alive()

    def result(self, seconds: float = 60.0) -> T:
        """What it came to; raises what it raised."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        if not self._found:
            raise TimeoutError(f"no result after {seconds} s")
        return self._found[0]


@dataclass(frozen=True)
class World:
    """Everything together. `gateway.upstream` is the customer API (target `crm`); `model` is behind two targets:
    `models`, which may be asked freely, and `reviewed`, of which each call waits for a person."""

    gateway: Gateway
    model: RecordingUpstream
    jaeger: Jaeger

    def reset(self) -> None:
        """Both upstreams forget what they saw, and answer as ever."""
        self.gateway.upstream.reset()
        self.model.reset()
        self.gateway.upstream.answer, self.model.answer = customers, model

    def token(self, subject: str) -> str:
        """An agent's own token."""
        return self.gateway.agents.token(subject)

    def held(self, subject: str) -> dict[str, Any]:
        """The record of this agent's hold, once it waits and has not been answered."""

        def pending() -> dict[str, Any] | None:
            holds = [h for h in self.gateway.records("hold") if h["principal"]["subject"] == subject]
            ended = {h["hold"] for h in holds if h["state"] != "pending"}
            ended |= {v["hold"] for v in self.gateway.records("vote")}
            return next((h for h in holds if h["hold"] not in ended), None)

        return until(pending, f"a hold of {subject}", 30) or {}

    def approve(self, hold: str, *groups: str) -> None:
        """Bob, who is not the agent, says yes."""
        done = self.gateway.holdpoint("holds", "approve", hold, "--reason", "seen in the order", groups=groups)
        if done.returncode:
            raise AssertionError(done.stderr)

    def decisions(self, subject: str) -> list[dict[str, Any]]:
        """The journal's decisions on what this agent asked."""
        return [d for d in self.gateway.records("decision") if d["principal"]["subject"] == subject]

    def traced(self, subject: str, *wanted: tuple[str, str]) -> list[Span]:
        """The agent's actions as people find them in Jaeger: by identity, and by identity with each (effect, policy).

        Fails unless exactly the journal's decisions on this agent are there."""
        who = {"user.id": subject, "holdpoint.principal.subject": subject}
        ids = {d["decision"]["id"] for d in self.decisions(subject)}

        def actions() -> list[Span]:
            return [s for s in self.jaeger.find(who) if "holdpoint.decision.id" in tags(s)]

        until(lambda: {tags(s)["holdpoint.decision.id"] for s in actions()} >= ids, f"the spans of {subject}")
        found = actions()
        assert {tags(s)["holdpoint.decision.id"] for s in found} == ids
        for effect, policy in wanted:
            by = {"holdpoint.decision.effect": effect, f"holdpoint.policy.{policy}": "true"}
            assert self.jaeger.find({**who, **by}), f"no span of {subject} with {by}"
        return found
