"""The ext_proc filter, its settings for each target, and the RBAC filter that stands behind it."""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc, HeaderValue
from envoy_data_plane.envoy.config.rbac.v3 import (
    MetadataSource,
    Permission,
    Policy,
    Principal,
    RbacAction,
    SourcedMetadata,
)
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as RbacRules
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ExternalProcessorRouteCacheAction,
    ExtProcOverrides,
    ExtProcPerRoute,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    ValueMatcher,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.clusters import WORKERS
from extproc.adapters.envoy.headers import IMMUTABLE
from extproc.adapters.envoy.messages import exactly, seconds
from extproc.adapters.envoy.plan import LONGEST_WAIT_SECONDS, TargetPlan, Via
from extproc.adapters.envoy.render import packed
from extproc.domain.target import Inspect

EXT_PROC = "envoy.filters.http.ext_proc"
RBAC = "envoy.filters.http.rbac"
NAMESPACE = "holdpoint"
"""Dynamic metadata namespace of the processor: `decision` is `allow` where it let a request through, `id` names why,
`iss` and `sub` say who asked. `ticket`, on a CONNECT, is what it will be shown of the tunnel by each request inside."""

ATTRIBUTES = (
    "source.address",
    "source.port",
    "connection.id",
    "request.id",
    "xds.route_name",
    # Of a client certificate that the listener verified; absent where none was shown.
    "connection.mtls",
    "connection.sha256_peer_certificate_digest",
    "connection.uri_san_peer_certificate",
    "connection.dns_san_peer_certificate",
    "connection.subject_peer_certificate",
    "connection.requested_server_name",
)
RESPONSE_ATTRIBUTES = ("response.code_details",)
"""Tells an answer of Envoy's own, of a filter behind the processor, from an upstream's."""

_SEND = ProcessingModeHeaderSendMode.SEND
_SKIP = ProcessingModeHeaderSendMode.SKIP
_NONE = ProcessingModeBodySendMode.NONE
_DUPLEX = ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED


def processing_mode(inspect: Inspect) -> ProcessingMode:
    """What of an exchange goes to the processor.

    Full duplex always comes with its trailers: without them Envoy silently drops what the processor held back. Where
    bodies stay away the heads of both directions go, and the trailers: a request's, because the processor refuses it
    for them; an answer's, because waiting for those Envoy keeps the stream for as long as the exchange lasts, so that
    the processor sees its end and can bring it about. A CONNECT has no body, hence no trailers.
    """
    if inspect in (Inspect.HEADERS, Inspect.OPAQUE):
        return ProcessingMode(
            request_header_mode=_SEND,
            request_body_mode=_NONE,
            request_trailer_mode=_SKIP if inspect is Inspect.OPAQUE else _SEND,
            response_header_mode=_SEND,
            response_body_mode=_NONE,
            response_trailer_mode=_SEND,
        )
    return ProcessingMode(
        request_header_mode=_SEND,
        request_body_mode=_DUPLEX,
        request_trailer_mode=_SEND,
        response_header_mode=_SEND,
        response_body_mode=_DUPLEX,
        response_trailer_mode=_SEND,
    )


def asked_once() -> ProcessingMode:
    """The request's head alone: for what leads nowhere, whose only answer is the processor's refusal."""
    return ProcessingMode(
        request_header_mode=_SEND,
        request_body_mode=_NONE,
        request_trailer_mode=_SKIP,
        response_header_mode=_SKIP,
        response_body_mode=_NONE,
        response_trailer_mode=_SKIP,
    )


def ext_proc_filter() -> ExternalProcessor:
    """The filter for every route. Whatever goes wrong with the processor, nothing passes.

    A processor that fails answers 500, which promises nothing: 503 would say that the request was not carried out,
    and Envoy gives the same status when the failure comes after the upstream did its work.
    """
    return ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=WORKERS, skip_envoy_headers=True)),
        failure_mode_allow=False,
        # Each route says more (modes.py sees to it). Here responses are left out, because what has no route is Envoy's
        # own refusal of a malformed request: were that sent to the processor too, Envoy would close the connection
        # before the answer is back, and the client would get no status at all.
        processing_mode=asked_once(),
        request_attributes=list(ATTRIBUTES),
        response_attributes=list(RESPONSE_ATTRIBUTES),
        message_timeout=seconds(1),
        max_message_timeout=seconds(LONGEST_WAIT_SECONDS),
        stat_prefix="holdpoint",
        mutation_rules=HeaderMutationRules(
            disallow_system=True,
            disallow_expression=RegexMatcher(regex=IMMUTABLE),
            disallow_is_error=True,
        ),
        allow_mode_override=False,
        metadata_options=MetadataOptions(
            receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=[NAMESPACE]),
        ),
        # What was decided on is what goes on: the route is chosen once, before the processor is asked.
        route_cache_action=ExternalProcessorRouteCacheAction.RETAIN,
        status_on_error=HttpStatus(code=StatusCode.InternalServerError),
    )


def rbac_filter() -> Rbac:
    """Lets a request on only where the processor said so of this very request.

    A processor that ends its stream with OK before it answers makes Envoy go on in spite of `failure_mode_allow`;
    this is what stops it.
    """
    allowed = MetadataMatcher(
        filter=NAMESPACE,
        path=[MetadataMatcherPathSegment(key="decision")],
        value=ValueMatcher(string_match=exactly("allow")),
    )
    decided = Principal(
        sourced_metadata=SourcedMetadata(metadata_matcher=allowed, metadata_source=MetadataSource.DYNAMIC)
    )
    policy = Policy(permissions=[Permission(any=True)], principals=[decided])
    return Rbac(rules=RbacRules(action=RbacAction.ALLOW, policies={"decided": policy}))


def target_filters(target: TargetPlan, via: Via, strip: str) -> dict[str, Any]:
    """A target route's settings. The processor is told of it as gRPC metadata, which no client can write:
    `x-holdpoint-target` and `x-holdpoint-revision`, `x-holdpoint-via`, and `x-holdpoint-strip`, the path prefix that
    is not part of what is asked of the target (absent where none)."""
    told = {"target": target.name, "revision": target.revision, "via": via.value}
    if strip:
        told["strip"] = strip
    inspect = Inspect.OPAQUE if via is Via.CONNECT else target.inspect
    return _told(told, processing_mode(inspect))


def refusal_filters(code: str, via: Via) -> dict[str, Any]:
    """The settings of a route that leads nowhere: the processor finds out who asks, records it and answers. It is told
    why as `x-holdpoint-refuse`."""
    return _told({"refuse": code, "via": via.value}, asked_once())


def _told(values: dict[str, str], mode: ProcessingMode) -> dict[str, Any]:
    metadata = [HeaderValue(key=f"x-holdpoint-{name}", value=value) for name, value in values.items()]
    overrides = ExtProcOverrides(grpc_initial_metadata=metadata, processing_mode=mode)
    return {EXT_PROC: packed(ExtProcPerRoute(overrides=overrides))}
