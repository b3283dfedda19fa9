"""The ext_proc service as Envoy meets it on the wire: no stream it did not see through ends with OK."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from extproc.adapters.holds import SqliteHolds
from extproc.approvals.service import Holds
from extproc.domain.json import Document
from extproc.domain.principal import Kind
from extproc.domain.target import Inspect, Protocol, Target
from extproc.server.claims import ClaimRules
from extproc.server.ext_proc import SERVICE, Service
from extproc.server.gate import Gate
from extproc.server.metrics import Metrics
from extproc.server.wire import ext_proc_pb2 as wire
from extproc.server.worker import serve, thread_pool

ISSUER = "https://issuer.test"
TARGET = (("x-holdpoint-target", "crm"),)
DUPLEX = wire.ProtocolConfiguration.FULL_DUPLEX_STREAMED
ALLOW = {
    "schema": 1,
    "effect": "allow",
    "revision": "r1",
    "reasons": [
        {"policy": "p", "code": "c", "message": "m", "severity": "low", "mode": "enforce", "effect": "allow"}
    ],
    "obligations": {"mask": [], "approval": [], "record": "full"},
}  # fmt: skip


class Engine:
    """Allows everything, as soon as it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()

    async def evaluate(self, _: Document) -> object:
        """The decision."""
        await asyncio.to_thread(self.let.wait, 30)
        return ALLOW


class Memory:
    """A journal that keeps its records in memory."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Document]] = []

    def append(self, kind: str, body: Document) -> int:
        """Keep one record."""
        self.records.append((kind, body))
        return len(self.records)


class Running:
    """A worker in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.engine, self.journal = Engine(), Memory()
        self.socket = folder / "w.sock"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(folder),))
        self._thread.start()
        grpc.channel_ready_future(grpc.insecure_channel(f"unix:{self.socket}")).result(30)

    async def _run(self, folder: Path) -> None:
        store = await SqliteHolds.open(folder / "holds.db")
        gate = Gate(self.engine, Holds(store), self.journal, Metrics(CollectorRegistry()))
        targets = {
            "crm": Target("crm", Protocol.HTTP, "production"),
            "files": Target("files", Protocol.HTTP, "production", Inspect.HEADERS),
        }
        service = Service(
            gate, targets, {(ISSUER, "agents"): ClaimRules(Kind.AGENT, "groups")}, b"k" * 32, "e1", thread_pool()
        )
        await serve(service, self.socket, self._stop)
        await store.close()

    def stop(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A worker on a unix socket, whose path must be short."""
    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        worker = Running(Path(folder))
        yield worker
        worker.stop()


@pytest.fixture
def worker(running: Running) -> Running:
    """The module's worker, its journal empty."""
    running.journal.records.clear()
    return running


def request(mode: int = DUPLEX, *, claims: bool = True, end: bool = True) -> wire.ProcessingRequest:
    """The message that begins an exchange."""
    message = wire.ProcessingRequest()
    pairs = {":method": "GET", ":path": "/x", ":authority": "crm", ":scheme": "http"}
    for name, value in pairs.items():
        message.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    message.request_headers.end_of_stream = end
    message.protocol_config.request_body_mode = mode  # type: ignore[assignment]
    message.protocol_config.response_body_mode = mode  # type: ignore[assignment]
    if claims:
        told = message.metadata_context.filter_metadata["envoy.filters.http.jwt_authn"].fields["claims"].struct_value
        told.fields["iss"].string_value = ISSUER
        told.fields["aud"].string_value = "agents"
        told.fields["sub"].string_value = "agent-1"
    return message


def response(details: str | None, status: str = "401") -> wire.ProcessingRequest:
    """A response's head as the first message of a stream."""
    message = wire.ProcessingRequest()
    message.response_headers.headers.headers.add(key=":status", raw_value=status.encode())
    message.protocol_config.request_body_mode = DUPLEX
    message.protocol_config.response_body_mode = DUPLEX
    if details is not None:
        seen = message.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"]
        seen.string_value = details
    return message


def exchange(
    worker: Running, messages: list[wire.ProcessingRequest], metadata: tuple[tuple[str, str], ...] = TARGET
) -> tuple[grpc.StatusCode, list[wire.ProcessingResponse]]:
    """Send messages, end our side, and give the stream's status and answers."""
    with grpc.insecure_channel(f"unix:{worker.socket}") as channel:
        call: Any = channel.stream_stream(
            f"/{SERVICE}/Process",
            request_serializer=wire.ProcessingRequest.SerializeToString,
            response_deserializer=wire.ProcessingResponse.FromString,
        )(iter(messages), metadata=metadata, timeout=30)
        answers: list[wire.ProcessingResponse] = []
        try:
            for answer in call:
                answers.append(answer)
        except grpc.RpcError:
            return call.code(), answers
        return call.code(), answers


def test_a_peer_that_ends_before_the_response_does_not_get_ok(worker: Running) -> None:
    """An OK would tell Envoy to go on by itself."""
    status, answers = exchange(worker, [request()])
    assert status is grpc.StatusCode.ABORTED
    assert [a.WhichOneof("response") for a in answers] == ["request_headers"]
    assert [kind for kind, _ in worker.journal.records] == ["decision", "delivery"]
    assert worker.journal.records[-1][1]["outcome"] == "aborted:peer-ended-early"


def test_a_headers_only_exchange_ends_with_ok_once_it_is_granted(worker: Running) -> None:
    """Nothing more is owed there."""
    status, answers = exchange(worker, [request(0)], (("x-holdpoint-target", "files"),))
    assert status is grpc.StatusCode.OK
    fields = answers[0].dynamic_metadata.fields["holdpoint"].struct_value.fields
    assert fields["decision"].string_value == "allow"


@pytest.mark.parametrize(
    ("messages", "metadata"),
    [
        ([], TARGET),
        ([request()], ()),
        ([request()], (("x-holdpoint-target", "unknown"),)),
        ([request(claims=False)], TARGET),
        ([request(wire.ProtocolConfiguration.STREAMED)], TARGET),
        ([request(wire.ProtocolConfiguration.BUFFERED)], TARGET),
        ([request(wire.ProtocolConfiguration.NONE)], TARGET),
        ([request()], (("x-holdpoint-target", "files"),)),
        ([response(None)], TARGET),
        ([response("via_upstream")], TARGET),
        ([response("via_upstream", "200")], TARGET),
    ],
    ids=str,
)
def test_streams_that_are_not_as_we_configure_them_are_refused(
    worker: Running, messages: list[wire.ProcessingRequest], metadata: tuple[tuple[str, str], ...]
) -> None:
    """Unknown targets, missing claims, modes in which bytes could slip past, responses from nowhere."""
    status, answers = exchange(worker, messages, metadata)
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert answers == []


def test_an_unknown_message_is_an_error(worker: Running) -> None:
    """A contract that grew is not guessed at."""
    status, _ = exchange(worker, [request(), wire.ProcessingRequest()])
    assert status is grpc.StatusCode.ABORTED


def test_envoys_own_refusal_passes(worker: Running) -> None:
    """A 401 of jwt_authn also comes here; it holds nothing of an upstream's."""
    status, answers = exchange(worker, [response("jwt_authn_access_denied{Jwt_is_missing}")])
    assert status is grpc.StatusCode.OK
    assert [a.WhichOneof("response") for a in answers] == ["response_headers"]


def test_an_upstreams_answer_before_the_decision_ends_the_exchange(worker: Running) -> None:
    """Bytes that no decision covers don't exist."""
    worker.engine.let.clear()
    threading.Timer(0.2, worker.engine.let.set).start()
    body = wire.ProcessingRequest()
    body.response_body.body = b"early"
    status, answers = exchange(worker, [request(), body])
    assert status is grpc.StatusCode.ABORTED
    assert not [a for a in answers if a.WhichOneof("response") == "response_body"]


def test_a_body_that_stalls_is_answered_408(worker: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session keeps its own time: in full duplex Envoy keeps none."""
    monkeypatch.setattr("extproc.protocols.http.session.REQUEST_PATIENCE_SECONDS", 0.2)
    answered = threading.Event()

    def messages() -> Iterator[wire.ProcessingRequest]:
        yield request(end=False)
        answered.wait(30)

    with grpc.insecure_channel(f"unix:{worker.socket}") as channel:
        call: Any = channel.stream_stream(
            f"/{SERVICE}/Process",
            request_serializer=wire.ProcessingRequest.SerializeToString,
            response_deserializer=wire.ProcessingResponse.FromString,
        )(messages(), metadata=TARGET, timeout=30)
        seen = []
        for answer in call:
            seen.append(answer.WhichOneof("response"))
            if answer.WhichOneof("response") == "immediate_response":
                assert answer.immediate_response.status.code == 408
                answered.set()
    # The first has no response: it asks Envoy to wait for the head's answer.
    assert seen == [None, "immediate_response"]
