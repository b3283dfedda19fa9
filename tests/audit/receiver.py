"""An OTLP/HTTP collector in a thread: keeps the spans that it is sent, and can be told to answer otherwise."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver:
    """`spans` are protobuf spans in the order of arrival; `status` is what it answers; `got` is set by each request."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.status = 200
        self.got = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A running collector, on a port of the system's choosing unless one is given."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take an export."""
            data = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            if kept.status == 200 and self.path == "/v1/traces":
                request = ExportTraceServiceRequest.FromString(data)
                kept.requests.append(request)
                kept.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
            self.send_response(kept.status)
            self.send_header("content-length", "0")
            self.end_headers()
            kept.got.set()

        def log_message(self, *message: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
