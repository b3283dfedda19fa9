"""A scripted ext_proc processor: what Envoy meets in the place of our workers.

A script is called once a stream and yields answers; it reads what Envoy sends with `exchange.next()`.
Run as a program (`python -m tests.support.envoy_processor SOCKET`) it allows everything until it is killed.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from extproc.server.wire import ext_proc_pb2 as wire

WAIT_SECONDS = 20
Script = Callable[["Exchange"], Iterator[wire.ProcessingResponse]]


REFUSALS = {
    "unknown-target": 404,
    "method-refused": 405,
    "ambiguous-path": 400,
    "unexpected-destination": 403,
    "misdirected": 421,
}
"""Status by the code that a route refuses with."""


TICKET = "ticket-1_="


class Exchange:
    """One stream, that is one HTTP exchange: everything Envoy sent so far, and how the stream ended."""

    def __init__(self, requests: Iterator[wire.ProcessingRequest], context: grpc.ServicerContext) -> None:
        self._requests = requests
        self.context = context
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.messages: list[wire.ProcessingRequest] = []
        self.first = threading.Event()
        self.answered = threading.Event()
        self.ended = threading.Event()
        self.cancelled = False
        self._returned = False
        if not context.add_callback(self._end):
            self._end()

    def next(self) -> wire.ProcessingRequest | None:
        """What Envoy says next; None once it has said everything."""
        try:
            message = next(self._requests)
        except (StopIteration, grpc.RpcError):
            return None
        self.messages.append(message)
        self.first.set()
        if message.HasField("response_headers"):
            self.answered.set()
        return message

    def fail(self) -> None:
        """End the stream with a status that is not OK. Does not return."""
        self.context.abort(grpc.StatusCode.INTERNAL, "scripted failure")

    @property
    def headers(self) -> dict[str, list[str]]:
        """The request's header lines, as Envoy showed them."""
        found: dict[str, list[str]] = {}
        for message in self.messages:
            for line in message.request_headers.headers.headers:
                found.setdefault(line.key, []).append(line.raw_value.decode("latin-1"))
        return found

    @property
    def told(self) -> dict[str, str]:
        """What the route says, without the prefix of its names."""
        prefix = "x-holdpoint-"
        return {key.removeprefix(prefix): value for key, value in self.metadata.items() if key.startswith(prefix)}

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that came with the request."""
        return MessageToDict(self.messages[0].attributes["envoy.filters.http.ext_proc"])

    @property
    def kinds(self) -> list[str]:
        """Which messages came, in order, body chunks merged."""
        kinds = [str(message.WhichOneof("request")) for message in self.messages]
        return [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]

    def returned(self) -> None:
        """Note that the script came to its end by itself."""
        self._returned = True

    def _end(self) -> None:
        self.cancelled = not self._returned
        self.ended.set()


def allow_headers(**fields: Any) -> wire.ProcessingResponse:
    """The answer that lets a request on."""
    answer = wire.ProcessingResponse(request_headers=wire.HeadersResponse(**fields))
    told = {"decision": "allow", "id": "d-1", "iss": "https://id.test", "sub": "agent-1"}
    ParseDict({"holdpoint": told}, answer.dynamic_metadata)
    return answer


def allow_connect(ticket: str = TICKET) -> wire.ProcessingResponse:
    """The answer that opens a tunnel, with a ticket for what is inside."""
    answer = allow_headers()
    answer.dynamic_metadata.fields["holdpoint"].struct_value.fields["ticket"].string_value = ticket
    return answer


def mutation(*, set_: dict[str, str] | None = None, remove: tuple[str, ...] = ()) -> dict[str, wire.CommonResponse]:
    """Fields of a headers answer that change header lines."""
    options = [
        wire.HeaderValueOption(
            header=wire.HeaderValue(key=key, raw_value=value.encode()),
            append_action=wire.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for key, value in (set_ or {}).items()
    ]
    return {
        "response": wire.CommonResponse(
            header_mutation=wire.HeaderMutation(set_headers=options, remove_headers=list(remove))
        )
    }


def chunk(data: bytes, end: bool) -> wire.BodyResponse:
    """A piece of body to send on."""
    streamed = wire.StreamedBodyResponse(body=data, end_of_stream=end)
    return wire.BodyResponse(response=wire.CommonResponse(body_mutation=wire.BodyMutation(streamed_response=streamed)))


def immediate(status: int, body: bytes, details: str) -> wire.ProcessingResponse:
    """A refusal."""
    return wire.ProcessingResponse(
        immediate_response=wire.ImmediateResponse(status=wire.HttpStatus(code=status), body=body, details=details)
    )


def answer(message: wire.ProcessingRequest) -> wire.ProcessingResponse:
    """The answer that passes one message on unchanged."""
    kind = message.WhichOneof("request")
    if kind == "request_headers":
        return allow_headers()
    if kind == "response_headers":
        return wire.ProcessingResponse(response_headers=wire.HeadersResponse())
    if kind == "request_body":
        body = message.request_body
        return wire.ProcessingResponse(request_body=chunk(body.body, body.end_of_stream))
    if kind == "response_body":
        body = message.response_body
        return wire.ProcessingResponse(response_body=chunk(body.body, body.end_of_stream))
    if kind == "request_trailers":
        return wire.ProcessingResponse(request_trailers=wire.TrailersResponse())
    return wire.ProcessingResponse(response_trailers=wire.TrailersResponse())


def allow(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Pass everything on unchanged; as a worker does, refuse what leads nowhere and give tunnels a ticket."""
    refusal = exchange.told.get("refuse")
    while (message := exchange.next()) is not None:
        if refusal is not None and message.HasField("request_headers"):
            yield immediate(REFUSALS[refusal], refusal.encode(), f"holdpoint:d-1:{refusal}")
        elif exchange.told.get("via") == "connect" and message.HasField("request_headers"):
            yield allow_connect()
        else:
            yield answer(message)


def allow_all(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
    """Pass everything on unchanged, also what leads nowhere."""
    while (message := exchange.next()) is not None:
        yield answer(message)


def hold_until(release: threading.Event, seconds: int = 60) -> Script:
    """Ask for more time once, wait for the event, then pass everything on."""

    def script(exchange: Exchange) -> Iterator[wire.ProcessingResponse]:
        first = exchange.next()
        if first is None:
            return
        wait = wire.ProcessingResponse()
        wait.override_message_timeout.FromSeconds(seconds)
        yield wait
        release.wait(seconds)
        yield answer(first)
        yield from allow(exchange)

    return script


class Processor:
    """A gRPC server on a unix socket that plays `script` for every stream and keeps the exchanges."""

    def __init__(self, socket: Path) -> None:
        self.script: Script = allow
        self.exchanges: list[Exchange] = []
        self._arrived = threading.Condition()
        # Envoy asks its workers every second whether they are there; by default that is too often for gRPC.
        options = [("grpc.http2.max_ping_strikes", 0)]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=64), options=options)
        method = grpc.stream_stream_rpc_method_handler(
            self._process,
            request_deserializer=wire.ProcessingRequest.FromString,
            response_serializer=wire.ProcessingResponse.SerializeToString,
        )
        service = "envoy.service.ext_proc.v3.ExternalProcessor"
        health: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\x08\x01")
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(service, {"Process": method}),
                grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": health}),
            )
        )
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def _process(
        self, requests: Iterator[wire.ProcessingRequest], context: grpc.ServicerContext
    ) -> Iterator[wire.ProcessingResponse]:
        exchange = Exchange(requests, context)
        with self._arrived:
            self.exchanges.append(exchange)
            self._arrived.notify_all()
        yield from self.script(exchange)
        exchange.returned()

    def reset(self) -> None:
        """Forget what happened and pass everything on again."""
        self.script = allow
        self.exchanges = []

    def exchange(self, number: int = 0) -> Exchange:
        """The exchange with this number, waiting for it to begin."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.exchanges) > number, WAIT_SECONDS):
                raise TimeoutError("no exchange reached the processor")
            return self.exchanges[number]

    def stop(self) -> None:
        """End every stream and the server."""
        self._server.stop(None).wait(WAIT_SECONDS)


if __name__ == "__main__":
    Processor(Path(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()
