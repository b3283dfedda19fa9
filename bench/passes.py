"""A processor that only continues: grpc.aio, uvloop and the same messages as Holdpoint, and nothing decided.

What it costs is what any processor in Python on this transport costs; the rest of Holdpoint's figure is Holdpoint.
"""

import asyncio
import base64
import os
import signal
import sys
from pathlib import Path

import grpc
import grpc.aio
import orjson
import uvloop

from extproc.server.ext_proc import SERVICE
from extproc.server.wire import health
from extproc.server.wire.ext_proc_pb2 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeadersResponse,
    ProcessingRequest,
    ProcessingResponse,
    StreamedBodyResponse,
    TrailersResponse,
)
from extproc.server.worker import OPTIONS

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]


def answer(message: ProcessingRequest) -> ProcessingResponse:
    """What lets one message pass unchanged; with a request's head what the RBAC filter asks for. Raises ValueError."""
    match message.WhichOneof("request"):
        case "request_headers":
            response = ProcessingResponse(request_headers=HeadersResponse())
            verdict = response.dynamic_metadata.fields["holdpoint"].struct_value.fields
            verdict["decision"].string_value = "allow"
            verdict["id"].string_value = "0" * 24
            return response
        case "response_headers":
            return ProcessingResponse(response_headers=HeadersResponse())
        case "request_body":
            return ProcessingResponse(request_body=_body(message.request_body.body, message.request_body.end_of_stream))
        case "response_body":
            part = message.response_body
            return ProcessingResponse(response_body=_body(part.body, part.end_of_stream))
        case "request_trailers":
            return ProcessingResponse(request_trailers=TrailersResponse())
        case "response_trailers":
            return ProcessingResponse(response_trailers=TrailersResponse())
    raise ValueError("a message with no known request")


def _body(data: bytes, end: bool) -> BodyResponse:
    streamed = StreamedBodyResponse(body=data, end_of_stream=end)
    return BodyResponse(response=CommonResponse(body_mutation=BodyMutation(streamed_response=streamed)))


class Passes:
    """The service. It keeps the first exchange of each target in `<socket>.<target>.json`, for bench.stages."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._kept: set[str] = set()

    async def process(self, _: object, context: Context) -> None:
        """Serve one exchange."""
        told = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        target = told.get("x-holdpoint-target", "")
        keep: list[bytes] | None = None
        if target not in self._kept:
            self._kept.add(target)
            keep = []
        try:
            while isinstance(message := await context.read(), ProcessingRequest):
                if keep is not None:
                    keep.append(message.SerializeToString())
                await context.write(answer(message))
        finally:
            # Envoy may end the stream, and with it this task, as soon as it has the last answer.
            if keep is not None:
                self._keep(target, keep)

    def _keep(self, target: str, messages: list[bytes]) -> None:
        text = orjson.dumps([base64.b64encode(m).decode() for m in messages])
        fresh = self._socket.with_name(f"{self._socket.name}.{target}.new")
        fresh.write_bytes(text)
        fresh.rename(fresh.with_suffix(".json"))


async def _main(socket: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = grpc.aio.server(options=OPTIONS)
    method = grpc.stream_stream_rpc_method_handler(
        Passes(socket).process,
        request_deserializer=ProcessingRequest.FromString,
        response_serializer=ProcessingResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler(SERVICE, {"Process": method})
    server.add_generic_rpc_handlers((service, health.handler()))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop(1.0)


def main() -> None:
    """Serve on the unix socket that the one argument names, say `ready`, until SIGTERM."""
    os.umask(0o077)
    uvloop.run(_main(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
