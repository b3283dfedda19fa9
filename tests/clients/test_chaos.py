"""Any process killed at any moment, under load: nothing passes undecided, unmasked or twice, no decision is lost."""

import contextlib
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from extproc.cli._common import CommandError
from extproc.cli._control_client import Client
from tests.clients.world import CARD, CUSTOMER, chunk, plain, response
from tests.support.envoy import until
from tests.support.envoy_upstream import Seen
from tests.support.gateway import Gateway, running
from tests.support.jaeger import Jaeger, tags

SEED = 20261121
SUBJECTS = [f"chaos-{n}" for n in range(4)]
PROGRAMS = ["worker-0", "worker-1", "envoy", "opa", "control", "shipper", "supervisor"]
PAUSE_SECONDS = 0.02


def spelled(request: str) -> str:
    """A request id in letters: a random one with digits can look like a card, and would come back masked."""
    return request.translate(str.maketrans("0123456789", "ghijklmnop"))


def upstream(seen: Seen) -> Iterable[bytes]:
    """Tells each time which request it answers; a read comes in pieces, with a card number over the cut."""
    request = spelled(seen.headers["x-request-id"][0])
    if not seen.line.startswith("GET "):
        return [response({"request": request}, "201 Created")]
    data = json.dumps({**CUSTOMER, "request": request}).encode()
    cut = data.index(CARD.encode()) + 7
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return [head, chunk(data[:cut]), chunk(data[cut:]) + b"0\r\n\r\n"]


@dataclass
class Reply:
    """What came of one request, as much as came: status 0 where there was not even a head."""

    status: int = 0
    body: bytes = b""
    whole: bool = False


@dataclass
class Load:
    """Agents that read, delete and ask for refunds without waiting, and a person who approves, until `stop`."""

    gateway: Gateway
    seed: int
    replies: list[Reply] = field(default_factory=list)
    votes: int = 0
    _enough: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        work = [(self._act, (subject, random.Random(f"{self.seed} {subject}"))) for subject in SUBJECTS]
        self._threads = [threading.Thread(target=target, args=words) for target, words in work]
        self._threads.append(threading.Thread(target=self._approve))
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        """Wait until so many more requests came to an end, well or not."""
        with self._enough:
            wanted = len(self.replies) + count
            assert self._enough.wait_for(lambda: len(self.replies) >= wanted, 60)

    def stop(self) -> None:
        """End, every request with its answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _act(self, subject: str, chance: random.Random) -> None:
        with self.gateway.client(subject) as agent:
            while not self._stop.wait(PAUSE_SECONDS):
                method = chance.choice(["GET", "GET", "POST", "DELETE"])
                if method == "POST":
                    amount = {"amount": chance.randint(1, 6)}
                    reply = _ask(agent, method, "/customers/7/refunds", json=amount, headers={"prefer": "wait=0"})
                else:
                    reply = _ask(agent, method, "/customers/1042" if method == "GET" else "/customers")
                with self._enough:
                    self.replies.append(reply)
                    self._enough.notify_all()

    def _approve(self) -> None:
        token = self.gateway.people.token("bob", groups=["finance"])
        person = Client(self.gateway.state / "run" / "control.sock", token)
        while not self._stop.wait(10 * PAUSE_SECONDS):
            with contextlib.suppress(CommandError):
                for hold in person.holds()[:2]:
                    person.vote(hold["id"], approve=True, reason="fine")
                    self.votes += 1


def _ask(agent: httpx.Client, method: str, path: str, **options: object) -> Reply:
    reply = Reply()
    with contextlib.suppress(httpx.HTTPError), agent.stream(method, path, **options) as answer:  # type: ignore[arg-type]
        reply.status = answer.status_code
        for data in answer.iter_raw():
            reply.body += data
        reply.whole = True
    return reply


@pytest.fixture(scope="module")
def gateway(jaeger: Jaeger) -> Iterator[Gateway]:
    """A gateway with two workers and a trail that goes to Jaeger."""
    yield from running(workers=2, audit=f'otlp: "{jaeger.otlp}"')


def _decided(gateway: Gateway) -> set[str]:
    return {d["decision"]["id"] for d in gateway.records("decision")}


def _gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def _kill(gateway: Gateway, program: str) -> None:
    """Kill one process and wait until it is back."""
    if program != "supervisor":
        os.kill(gateway.pid(program), signal.SIGKILL)
        gateway.wait_ready_again(program)
        return
    pids = [gateway.pid(name) for name in PROGRAMS if name != program]
    gateway.kill()
    until(lambda: _gone(pids), "the programs of a supervisor that is gone to end too")
    gateway.start()


def test_killing_any_process_lets_nothing_through_and_loses_nothing(gateway: Gateway, jaeger: Jaeger) -> None:
    """One process at a time, in an order and at moments that the seed gives."""
    chance = random.Random(SEED)
    gateway.upstream.answer = upstream
    load = Load(gateway, SEED)
    known: set[str] = set()
    load.start()
    try:
        for program in chance.sample(PROGRAMS, len(PROGRAMS)):
            load.more(chance.randint(20, 80))
            known |= _decided(gateway)
            _kill(gateway, program)
        load.more(100)
    finally:
        load.stop()

    decisions = {d["decision"]["id"]: d for d in gateway.records("decision")}
    granted = Counter(d["request"] for d in decisions.values() if d["outcome"] == "granted")
    arrived = Counter(s.headers["x-request-id"][0] for s in gateway.upstream.seen)
    # The load was one: each kind of answer came, and so did people's.
    assert {200, 201, 202, 403} <= {r.status for r in load.replies}
    assert load.votes

    # Nothing passed that was not granted and recorded, and nothing twice.
    assert set(arrived) <= set(granted)
    assert [request for request, count in arrived.items() if count > 1] == []
    assert {s.line.split()[0] for s in gateway.upstream.seen} <= {"GET", "POST"}
    used = Counter(d["hold"] for d in decisions.values() if d["outcome"] == "granted" and d["hold"])
    assert [hold for hold, count in used.items() if count > 1] == []
    refunds = [plain(s) for s in gateway.upstream.seen if s.line.startswith("POST ")]
    assert len(refunds) <= len(used)
    assert gateway.records("alarm") == []

    # No client saw an unmasked value, not even in an answer that broke off.
    assert [r for r in load.replies if CARD.encode() in r.body] == []
    reads = [json.loads(r.body) for r in load.replies if r.whole and r.status in (200, 201)]
    assert {r["request"] for r in reads} <= {spelled(request) for request in granted}

    # No decision is lost: neither one that was recorded, nor one that a client was told.
    refused = [json.loads(r.body) for r in load.replies if r.whole and r.body.startswith(b'{"type"')]
    assert refused
    assert {r["decision"] for r in refused} <= set(decisions)
    assert known <= set(decisions)
    verified = gateway.holdpoint("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    # All of them reach Jaeger, and nothing else does.
    for subject in SUBJECTS:
        wanted = {i for i, d in decisions.items() if d["principal"]["subject"] == subject}

        def exported(subject: str = subject, wanted: set[str] = wanted) -> set[str] | None:
            spans = [tags(s) for s in jaeger.find({"user.id": subject}, 10_000)]
            found = {s["holdpoint.decision.id"] for s in spans if "holdpoint.decision.id" in s}
            return found if found >= wanted else None

        assert until(exported, f"the decisions on {subject} in Jaeger", 30) == wanted
