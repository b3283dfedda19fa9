"""The ext_proc service as Envoy meets it on the wire: no stream it did not see through ends with OK."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from extproc.adapters.holds import SqliteHolds
from extproc.adapters.opa.slots import Slots
from extproc.approvals.service import Holds
from extproc.domain.json import Document
from extproc.domain.target import Inspect, Protocol, Target
from extproc.masking.shipped import knowledge
from extproc.server.caps import Caps, Knocks, Limits
from extproc.server.entrance import Entrance
from extproc.server.ext_proc import SERVICE, Service
from extproc.server.gate import Gate
from extproc.server.live import Exchanges
from extproc.server.metrics import Metrics
from extproc.server.tickets import TUNNEL_SECONDS, Tickets
from extproc.server.turns import Turns
from extproc.server.upkeep import thread_pool
from extproc.server.wire import ext_proc_pb2 as wire
from extproc.server.worker import serve
from tests.server.making import Checks, Known, NoHistory, OneRevision, recorder

KEY = b"k" * 32


def route(target: str = "crm", via: str = "direct", **more: str) -> tuple[tuple[str, str], ...]:
    """What Envoy's route says."""
    told = {"x-holdpoint-target": target, "x-holdpoint-revision": "v1", "x-holdpoint-via": via}
    told |= {f"x-holdpoint-{name}": value for name, value in more.items()}
    return tuple(told.items())


TARGET = route()
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
        self.asked = threading.Event()

    async def evaluate(self, _: Document, principal: str) -> object:
        """The decision."""
        self.asked.set()
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
        self.checks = Checks()
        metrics = Metrics(CollectorRegistry())
        gate = Gate(self.engine, Holds(store), self.journal, metrics, NoHistory(), self.checks, recorder(folder))
        targets = OneRevision(
            Target("crm", Protocol.HTTP, "production", revision="v1"),
            Target("files", Protocol.HTTP, "production", Inspect.HEADERS, revision="v1"),
            Target("bank", Protocol.TUNNEL, "production", Inspect.OPAQUE, revision="v1"),
        )
        self.exchanges = Exchanges(self.checks, lambda target: target.name not in self.gone)
        self.gone: set[str] = set()
        caps = Caps(Limits(exchanges=2, held_bytes=1000))
        who, tickets, knocks = Known(), Tickets(KEY), Knocks(50)
        self.identities, self.knocks = who, knocks
        service = Service(
            gate,
            targets,
            Entrance(who, knocks),
            tickets,
            self.exchanges,
            caps,
            knowledge,
            KEY,
            "e1",
            thread_pool(),
            Turns(Slots(None)),
        )
        await serve(service, self.socket, self._stop)
        await store.close()

    def review(self) -> None:
        """Look at who may still be here, as after somebody was frozen."""
        self._loop.call_soon_threadsafe(self.exchanges.review)

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
    running.checks.out.clear()
    running.engine.let.set()
    running.engine.asked.clear()
    return running


def request(mode: int = DUPLEX, *, who: str = "agent-1", end: bool = True, **more: str) -> wire.ProcessingRequest:
    """The message that begins an exchange."""
    message = wire.ProcessingRequest()
    pairs = {":method": "GET", ":path": "/x", ":authority": "crm", ":scheme": "http"}
    pairs |= {"authorization": f"Bearer {who}"} if who else {}
    pairs |= {name.replace("_", "-").replace("pseudo-", ":"): value for name, value in more.items()}
    for name, value in pairs.items():
        message.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    message.request_headers.end_of_stream = end
    told = message.attributes["envoy.filters.http.ext_proc"].fields
    told["source.address"].string_value, told["connection.id"].number_value = "127.0.0.1:40000", 1.0
    message.protocol_config.request_body_mode = mode  # type: ignore[assignment]
    message.protocol_config.response_body_mode = mode  # type: ignore[assignment]
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
    assert [kind for kind, _ in worker.journal.records if kind != "session"] == ["decision", "delivery"]
    assert worker.journal.records[-1][1]["outcome"] == "aborted:peer-ended-early"


def test_a_headers_only_exchange_ends_with_ok_once_it_is_answered(worker: Running) -> None:
    """Nothing more is owed there; trailers may come, or none."""
    status, answers = exchange(worker, [request(0, end=False), response(None, "200")], route("files"))
    assert status is grpc.StatusCode.OK
    assert [a.WhichOneof("response") for a in answers] == ["request_headers", "response_headers"]
    fields = answers[0].dynamic_metadata.fields["holdpoint"].struct_value.fields
    assert fields["decision"].string_value == "allow"


@pytest.mark.parametrize(
    ("messages", "metadata"),
    [
        ([], TARGET),
        ([request()], ()),
        ([request()], (("x-holdpoint-target", "crm"),)),
        ([request()], route("unknown")),
        ([request()], route(revision="v0")),
        ([request()], route(via="elsewhere")),
        ([request()], route(refuse="for-no-reason")),
        ([request(0)], route("bank")),
        ([request(wire.ProtocolConfiguration.STREAMED)], TARGET),
        ([request(wire.ProtocolConfiguration.BUFFERED)], TARGET),
        ([request(wire.ProtocolConfiguration.NONE)], TARGET),
        ([request()], route("files")),
        ([request()], route("files", via="connect")),
        ([response(None)], TARGET),
        ([response("via_upstream")], TARGET),
        ([response("via_upstream", "200")], TARGET),
    ],
    ids=str,
)
def test_streams_that_are_not_as_we_configure_them_are_refused(
    worker: Running, messages: list[wire.ProcessingRequest], metadata: tuple[tuple[str, str], ...]
) -> None:
    """Unknown targets and revisions, modes in which bytes could slip past, responses from nowhere."""
    status, answers = exchange(worker, messages, metadata)
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert answers == []


def test_an_unknown_message_is_an_error(worker: Running) -> None:
    """A contract that grew is not guessed at."""
    status, _ = exchange(worker, [request(), wire.ProcessingRequest()])
    assert status is grpc.StatusCode.ABORTED


def test_envoys_own_refusal_passes(worker: Running) -> None:
    """What Envoy answers before a request is whole also comes here; it holds nothing of an upstream's."""
    status, answers = exchange(worker, [response("request_header_timeout")])
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


def refused(answers: list[wire.ProcessingResponse]) -> tuple[int, dict[str, str]]:
    """Status and headers of the one answer, which is our own."""
    (answer,) = answers
    said = answer.immediate_response
    headers = {o.header.key: o.header.raw_value.decode() for o in said.headers.set_headers}
    return said.status.code, headers


@pytest.mark.parametrize(
    ("via", "status", "asks"),
    [("direct", 401, "www-authenticate"), ("proxy", 407, "proxy-authenticate"), ("connect", 407, "proxy-authenticate")],
)
def test_nobody_is_turned_away_with_a_record(worker: Running, via: str, status: int, asks: str) -> None:
    """The answer says how to identify oneself, in the words of an origin or of a proxy."""
    ended, answers = exchange(worker, [request(who="")], route(f"for-{via}", via=via))
    assert ended is grpc.StatusCode.OK
    found, headers = refused(answers)
    assert (found, headers[asks]) == (status, 'Bearer realm="holdpoint", Basic realm="holdpoint"')
    ((kind, body),) = worker.journal.records
    assert (kind, body["code"], body["principal"]) == ("refusal", "identity-missing", None)


@pytest.mark.parametrize(
    ("code", "status", "resource"),
    [
        ("unknown-target", 404, "crm"),
        ("method-refused", 405, "crm"),
        ("ambiguous-path", 400, "crm"),
        ("unexpected-destination", 403, "crm"),
        ("misdirected", 421, "crm"),
    ],
)
def test_a_dead_end_is_a_decision_with_a_record(worker: Running, code: str, status: int, resource: str) -> None:
    """Who knocked at a door that leads nowhere is known by name."""
    ended, answers = exchange(worker, [request(0)], (("x-holdpoint-via", "proxy"), ("x-holdpoint-refuse", code)))
    assert ended is grpc.StatusCode.OK
    assert refused(answers)[0] == status
    ((kind, body),) = worker.journal.records
    assert kind == "decision"
    assert body["decision"]["reasons"][0]["code"] == code  # type: ignore[index,call-overload]
    assert body["action"]["resource"] == resource  # type: ignore[index,call-overload]
    assert body["principal"]["subject"] == "agent-1"  # type: ignore[index,call-overload]


def test_a_tunnel_carries_who_opened_it(worker: Running) -> None:
    """The ticket of a CONNECT names its principal to the requests inside, for its target alone."""
    _, answers = exchange(
        worker, [request(0, pseudo_method="CONNECT", pseudo_authority="crm:443")], route(via="connect")
    )
    ticket = answers[0].dynamic_metadata.fields["holdpoint"].struct_value.fields["ticket"].string_value
    assert (Tickets(KEY).read(ticket)[1].expires_at or inf) <= time.time() + TUNNEL_SECONDS
    worker.journal.records.clear()
    _, answers = exchange(worker, [request(who="mallory", x_holdpoint_ticket=ticket)], route(via="tunnel"))
    assert answers[0].WhichOneof("response") == "request_headers"
    assert worker.journal.records[0][1]["principal"]["subject"] == "agent-1"  # type: ignore[index,call-overload]
    for told, shown in [
        (route("files", via="tunnel"), ticket),
        (route(via="tunnel"), "A" + ticket[1:] if ticket[0] != "A" else "B" + ticket[1:]),
        (route(via="tunnel"), "no base64!"),
    ]:
        status, answers = exchange(worker, [request(x_holdpoint_ticket=shown)], told)
        assert (status, refused(answers)[0]) == (grpc.StatusCode.OK, 401)


def test_an_opaque_tunnel_has_no_ticket(worker: Running) -> None:
    """Nothing inside it is ever asked about."""
    status, answers = exchange(
        worker, [request(0, pseudo_method="CONNECT", pseudo_authority="bank:443")], route("bank", via="connect")
    )
    assert status is grpc.StatusCode.OK
    assert "ticket" not in answers[0].dynamic_metadata.fields["holdpoint"].struct_value.fields
    assert worker.journal.records[-1][1]["opaque"] is True


def test_freezing_answers_who_waits_and_breaks_off_what_flows(worker: Running) -> None:
    """Within moments, wherever the exchange is."""
    for let, expected in ((False, grpc.StatusCode.OK), (True, grpc.StatusCode.ABORTED)):
        worker.checks.out.clear()
        worker.engine.let.set() if let else worker.engine.let.clear()
        frozen = threading.Event()
        worker.engine.asked.clear()

        def messages(frozen: threading.Event = frozen) -> Iterator[wire.ProcessingRequest]:
            yield request(who="mallory")
            frozen.wait(30)

        with grpc.insecure_channel(f"unix:{worker.socket}") as channel:
            call: Any = channel.stream_stream(
                f"/{SERVICE}/Process",
                request_serializer=wire.ProcessingRequest.SerializeToString,
                response_deserializer=wire.ProcessingResponse.FromString,
            )(messages(), metadata=TARGET, timeout=30)
            if let:
                assert next(call).WhichOneof("response") == "request_headers"
            else:
                assert worker.engine.asked.wait(30)
            worker.checks.out.add("mallory")
            worker.review()
            if not let:
                assert refused([next(call)])[0] == 403
            else:
                with pytest.raises(grpc.RpcError):
                    next(call)
            frozen.set()
            list(call) if not let else None
            assert call.code() is expected
    worker.engine.let.set()


def test_who_is_frozen_while_they_wait_for_a_turn_is_turned_away(
    worker: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No exchange of theirs is under way yet that a review could end; policy is never asked."""
    monkeypatch.setattr("extproc.server.turns.ACTIVE_SECONDS", 1e9)
    worker.engine.let.clear()
    over = threading.Event()

    def of(who: str) -> Iterator[wire.ProcessingRequest]:
        yield request(who=who)
        over.wait(30)

    with grpc.insecure_channel(f"unix:{worker.socket}") as channel:
        process: Any = channel.stream_stream(
            f"/{SERVICE}/Process",
            request_serializer=wire.ProcessingRequest.SerializeToString,
            response_deserializer=wire.ProcessingResponse.FromString,
        )
        other = process(of("agent-1"), metadata=TARGET, timeout=30)
        assert worker.engine.asked.wait(30)
        worker.engine.asked.clear()
        first = process(of("mallory"), metadata=TARGET, timeout=30)
        assert worker.engine.asked.wait(30)
        worker.engine.asked.clear()
        second = process(of("mallory"), metadata=TARGET, timeout=30)
        assert next(second).HasField("override_message_timeout")
        worker.checks.out.add("mallory")
        worker.review()
        # The turn is the next one's although Envoy has not ended the first one's stream yet.
        assert refused([next(first)])[0] == 403
        assert refused([next(second)])[0] == 403
        assert not worker.engine.asked.is_set()
        worker.engine.let.set()
        assert next(other).HasField("request_headers")
        over.set()
        # Its last record is written when its stream has ended.
        with pytest.raises(grpc.RpcError):
            next(other)


def test_a_principals_caps_answer_429(worker: Running) -> None:
    """One too many at one time, and bodies of more bytes than may be held."""
    big = wire.ProcessingRequest()
    big.request_body.body = b"x" * 1001
    _, answers = exchange(worker, [request(end=False), big])
    assert refused(answers[-1:])[0] == 429
    codes = {r["code"] for k, b in worker.journal.records if k == "decision" for r in b["decision"]["reasons"]}  # type: ignore[index,call-overload,union-attr]
    assert codes == {"too-many-bytes"}


def test_who_guesses_is_slowed_down(worker: Running) -> None:
    """After so many forged credentials none that is new is looked at for the rest of the second; to show none, or what
    is no credential, locks nobody out."""
    worker.knocks._clock = lambda: 0.0
    worker.knocks._second = -1.0
    for shown in ("", "good"):
        for _ in range(10):
            exchange(worker, [request(who=shown)])
    statuses = [refused(exchange(worker, [request(who="forged")])[1])[0] for _ in range(51)]
    assert statuses == [401] * 50 + [429]
    assert refused(exchange(worker, [request(who="")])[1])[0] == 401
    assert refused(exchange(worker, [request(who="good")])[1])[0] == 429
    worker.identities.proven.add("good")
    _, answers = exchange(worker, [request(who="good")])
    assert answers[0].WhichOneof("response") == "request_headers"
    worker.knocks._clock = lambda: 1.0
