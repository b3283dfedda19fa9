"""Envoy's external processing service (envoy.service.ext_proc.v3.ExternalProcessor), one stream for each exchange.

Two rules keep it from ever failing open. A stream ends with OK only after Envoy has ended its side: an early OK makes
Envoy go on by itself. And whatever is unexpected ends the stream with an error.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from extproc.domain.grant import Lane
from extproc.domain.json import JSON
from extproc.domain.target import Inspect, Target
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Answer, Event, HeadReceived, Send, SendHead, SendTrailers
from extproc.server.claims import NoPrincipal, Rules, principal_of
from extproc.server.driver import Aborted, Driver
from extproc.server.gate import Asker, Gate
from extproc.server.wire import translate
from extproc.server.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse, ProtocolConfiguration
from extproc.server.wire.structs import plain

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_JWT = "envoy.filters.http.jwt_authn"
_CLAIMS = "claims"
_EXT_PROC = "envoy.filters.http.ext_proc"
# Envoy accepts one extension for each head, of max_message_timeout at the most; the session has limits of its own.
_LONGEST_SECONDS = 3600
_VIA_UPSTREAM = "via_upstream"
_FULL_DUPLEX = ProtocolConfiguration.FULL_DUPLEX_STREAMED
_log = logging.getLogger("holdpoint.ext_proc")

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]


class Refused(Exception):
    """This stream can't be served; the message says why, for Envoy's log and ours."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every exchange needs. `epoch` tells one life of the gateway from the next."""

    gate: Gate
    targets: Mapping[str, Target]
    rules: Rules
    digest_key: bytes
    epoch: str
    pool: ThreadPoolExecutor

    def handler(self) -> grpc.GenericRpcHandler:
        """The generic handler to add to a grpc.aio server."""
        method = grpc.stream_stream_rpc_method_handler(
            self.process,
            request_deserializer=ProcessingRequest.FromString,
            response_serializer=ProcessingResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Process": method})

    async def process(self, _: object, context: Context) -> None:
        """Serve one exchange."""
        with self.gate.metrics.exchanges.track_inprogress():
            try:
                await self._serve(context)
            except Aborted as error:
                await context.abort(grpc.StatusCode.ABORTED, str(error))
            except Refused as error:
                _log.error("stream refused", extra={"why": str(error)})
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception:
                # A fault of ours must never look like an end: Envoy would go on without us.
                _log.exception("fault in an exchange")
                await context.abort(grpc.StatusCode.INTERNAL, "internal")

    async def _serve(self, context: Context) -> None:
        first = await context.read()
        if not isinstance(first, ProcessingRequest):
            raise Refused("the stream ended before a request")
        told = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        target = self.targets.get(told.get("x-holdpoint-target", ""))
        if target is None:
            raise Refused("the route names no target of ours")
        _check_modes(first.protocol_config, target)
        event = translate.event_of(first)
        if isinstance(event, HeadReceived) and event.lane is Lane.RESPONSE:
            await self._pass_local_reply(context, first, event)
            return
        if not isinstance(event, HeadReceived) or event.lane is not Lane.REQUEST:
            raise Refused("the stream does not start with a request's head")
        asker = self._asker(first, event, target)
        session = HttpSession(target, asker.principal, told.get("x-holdpoint-strip", ""), self.digest_key)
        await Driver(_GrpcWire(context), session, self.gate, asker, self.pool).run(event)

    async def _pass_local_reply(self, context: Context, first: ProcessingRequest, event: Event | None) -> None:
        """Pass on what Envoy itself answers when a filter before us refused (the 401 of jwt_authn).

        It holds nothing of an upstream's: no request was let through on this stream, for it would have begun with
        one. Envoy's own word for where the answer comes from is checked all the same."""
        details = plain(first.attributes[_EXT_PROC]).get("response.code_details")
        if not isinstance(details, str) or not details or details.startswith(_VIA_UPSTREAM):
            raise Refused("a response without a request that is not Envoy's own")
        wire = _GrpcWire(context)
        while event is not None:
            for answer in translate.echo(event):
                await context.write(answer)
            event = await wire.read()

    def _asker(self, first: ProcessingRequest, event: HeadReceived, target: Target) -> Asker:
        claims = plain(first.metadata_context.filter_metadata[_JWT]).get(_CLAIMS)
        attributes = plain(first.attributes[_EXT_PROC])
        if not isinstance(claims, Mapping):
            raise Refused("no verified claims came with the request")
        try:
            principal = principal_of(claims, self.rules)
        except NoPrincipal as error:
            raise Refused(str(error)) from error
        headers = dict(event.head.headers)
        trace: dict[str, JSON] | None = None
        if "traceparent" in headers:
            trace = {"traceparent": headers["traceparent"], "tracestate": headers.get("tracestate", "")}
        return Asker(
            principal,
            target,
            self._session_id(attributes),
            str(attributes.get("request.id") or headers.get("x-request-id", "")),
            str(attributes.get("source.address", "")).rpartition(":")[0],
            {"trace": trace},
        )

    def _session_id(self, attributes: Mapping[str, Any]) -> str:
        """One client connection is one session. Envoy counts connections anew in each of its lives, hence the epoch."""
        seen = (self.epoch, attributes.get("source.address"), attributes.get("connection.id"))
        return hashlib.blake2b(repr(seen).encode(), digest_size=16).hexdigest()


def _check_modes(config: ProtocolConfiguration, target: Target) -> None:
    """Refuse body modes in which Envoy could pass bytes that we have not vouched for."""
    expected = ProtocolConfiguration.NONE if target.inspect is Inspect.HEADERS else _FULL_DUPLEX
    if config.request_body_mode != expected or config.response_body_mode != expected:
        raise Refused(f"unsafe body modes for target {target.name}: expected {expected} both ways")


class _GrpcWire:
    """driver.Wire over one grpc.aio stream."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self) -> Event | None:
        message = await self._context.read()
        if not isinstance(message, ProcessingRequest):
            return None
        try:
            return translate.event_of(message)
        except translate.UnknownMessage as error:
            raise Aborted("unknown-message") from error

    async def write(self, command: SendHead | Send | SendTrailers) -> None:
        if isinstance(command, Send):
            for message in translate.send(command):
                await self._context.write(message)
        elif isinstance(command, SendHead):
            await self._context.write(translate.send_head(command))
        else:
            await self._context.write(translate.send_trailers(command))

    async def answer(self, command: Answer, decision_id: str) -> None:
        await self._context.write(translate.answer(command, decision_id))

    async def keep_waiting(self, lane: Lane) -> None:
        await self._context.write(translate.keep_waiting(_LONGEST_SECONDS))
