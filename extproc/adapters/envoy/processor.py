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
    HeaderForwardingRules,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute
from envoy_data_plane.envoy.type.matcher.v3 import (
    ListStringMatcher,
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    ValueMatcher,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.clusters import WORKERS
from extproc.adapters.envoy.headers import IMMUTABLE, NOT_FOR_PROCESSOR
from extproc.adapters.envoy.identity import JWT_NAMESPACE
from extproc.adapters.envoy.messages import exactly, seconds
from extproc.adapters.envoy.plan import LONGEST_WAIT_SECONDS
from extproc.domain.target import Inspect

EXT_PROC = "envoy.filters.http.ext_proc"
RBAC = "envoy.filters.http.rbac"
NAMESPACE = "holdpoint"
"""Dynamic metadata namespace of the processor: `decision` is `allow` where it let a request through, `id` names why."""

ATTRIBUTES = ("source.address", "source.port", "connection.id", "request.id", "xds.route_name")
RESPONSE_ATTRIBUTES = ("response.code_details",)
"""Tells an answer of Envoy's own (a 401 of jwt_authn also comes to the processor) from an upstream's."""

_SEND = ProcessingModeHeaderSendMode.SEND
_SKIP = ProcessingModeHeaderSendMode.SKIP
_NONE = ProcessingModeBodySendMode.NONE
_DUPLEX = ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED


def processing_mode(inspect: Inspect) -> ProcessingMode:
    """What of an exchange goes to the processor. Full duplex always comes with its trailers: without them Envoy
    silently drops what the processor held back."""
    if inspect is Inspect.HEADERS:
        return ProcessingMode(
            request_header_mode=_SEND,
            request_body_mode=_NONE,
            request_trailer_mode=_SKIP,
            response_header_mode=_SKIP,
            response_body_mode=_NONE,
            response_trailer_mode=_SKIP,
        )
    return ProcessingMode(
        request_header_mode=_SEND,
        request_body_mode=_DUPLEX,
        request_trailer_mode=_SEND,
        response_header_mode=_SEND,
        response_body_mode=_DUPLEX,
        response_trailer_mode=_SEND,
    )


def ext_proc_filter() -> ExternalProcessor:
    """The filter for every route. Whatever goes wrong with the processor, nothing passes.

    A processor that fails answers 500, which promises nothing: 503 would say that the request was not carried out,
    and Envoy gives the same status when the failure comes after the upstream did its work.
    """
    return ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=WORKERS, skip_envoy_headers=True)),
        failure_mode_allow=False,
        # Each route that forwards says more (modes.py sees to it). Here responses are left out, because what has no
        # route is Envoy's own refusal of a malformed request: were that sent to the processor too, Envoy would close
        # the connection before the answer is back, and the client would get no status at all.
        processing_mode=processing_mode(Inspect.HEADERS),
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
        forward_rules=HeaderForwardingRules(
            disallowed_headers=ListStringMatcher(patterns=[exactly(name) for name in NOT_FOR_PROCESSOR])
        ),
        allow_mode_override=False,
        metadata_options=MetadataOptions(
            forwarding_namespaces=MetadataOptionsMetadataNamespaces(untyped=[JWT_NAMESPACE]),
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


def target_filters(target: str, inspect: Inspect, strip: str) -> dict[str, Any]:
    """A target route's settings. The processor is told the target as gRPC metadata, which no client can write:
    `x-holdpoint-target`, and `x-holdpoint-strip`, the path prefix that Envoy will take away (absent where none)."""
    told = [HeaderValue(key="x-holdpoint-target", value=target)]
    if strip:
        told.append(HeaderValue(key="x-holdpoint-strip", value=strip))
    overrides = ExtProcOverrides(grpc_initial_metadata=told, processing_mode=processing_mode(inspect))
    return {EXT_PROC: Any.pack(ExtProcPerRoute(overrides=overrides))}


def unasked_filters() -> dict[str, Any]:
    """For routes that Envoy answers itself, so that there is nothing to decide: no processor, no RBAC."""
    return {EXT_PROC: Any.pack(ExtProcPerRoute(disabled=True)), RBAC: Any.pack(RbacPerRoute())}
