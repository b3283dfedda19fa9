"""Spans over OTLP/HTTP, through the OpenTelemetry SDK's exporter."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from extproc import __version__
from extproc.audit import service, spans
from extproc.audit.attributes import SCHEMA_URL
from extproc.audit.journal import FileJournal
from extproc.audit.service import Pace
from extproc.audit.shipper import Lag, Step
from extproc.domain.json import Document

TIMEOUT_SECONDS = 5.0
_KINDS = {
    spans.Kind.SERVER: SpanKind.SERVER,
    spans.Kind.CLIENT: SpanKind.CLIENT,
    spans.Kind.INTERNAL: SpanKind.INTERNAL,
}
# Every span is sampled, whatever a client's traceparent says: the audit is not a sample.
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class OtlpExporter:
    """Sends spans to `<endpoint>/v1/traces`; `endpoint` is the base, such as http://127.0.0.1:4318. It keeps nothing:
    what was not taken is the caller's to send again."""

    def __init__(self, endpoint: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        # Our caller backs off and says once that the collector is away; the SDK would say so every time.
        logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").setLevel(logging.CRITICAL)
        self._exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=timeout_seconds, compression=Compression.Gzip
        )
        # Given whole rather than created: Resource.create would add what the environment says.
        self._resource = Resource({"service.name": "holdpoint", "service.version": __version__}, schema_url=SCHEMA_URL)
        self._scope = InstrumentationScope("holdpoint.audit", __version__, SCHEMA_URL)

    def export(self, batch: list[spans.Span]) -> bool:
        """Send a batch; True only when the collector answered with success."""
        return self._exporter.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """End a running export's retries and close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK gives it no annotation

    def _readable(self, span: spans.Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.id, remote=False),
            parent=_context(span.trace_id, span.parent, span.remote) if span.parent else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(event.name, dict(event.attributes), event.at) for event in span.events],
            links=[Link(_context(span.link.trace_id, span.link.span_id, remote=True))] if span.link else [],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


async def run_shipper(
    state: Path,
    otlp: str | None,
    stop: asyncio.Event,
    *,
    open_journal: Callable[[Path], FileJournal] = lambda folder: FileJournal(folder, "gateway"),
    on_lag: Callable[[Lag], None] = lambda lag: None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_alarm: Callable[[Document], None] = lambda body: None,
    clock: Callable[[], float] = time.time,
    pace: Pace | None = None,
) -> None:
    """What the shipper process runs until `stop`; see audit.service.run for what is raised. `otlp` is the collector's
    base address, or None: then nothing is exported, and Envoy's refusals are still recorded."""
    exporter = None if otlp is None else OtlpExporter(otlp)
    await service.run(
        state,
        exporter,
        stop,
        open_journal=open_journal,
        on_lag=on_lag,
        on_step=on_step,
        on_alarm=on_alarm,
        clock=clock,
        pace=pace,
    )


def _context(trace_id: str, span_id: str, remote: bool) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, _SAMPLED)
