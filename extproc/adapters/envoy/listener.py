"""The one listener: what may come in, what is taken off it, and the order of the filters."""

from betterproto2 import Message
from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    SubstitutionFormatString,
    TransportSocket,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpFilter,
    Rds,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    TlsParameters,
    TlsParametersTlsProtocol,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any, Struct, Value

from extproc.adapters.envoy.headers import STRIPPED, STRIPPED_PREFIXES
from extproc.adapters.envoy.identity import CLAIMS, JWT_NAMESPACE, jwt_filter
from extproc.adapters.envoy.messages import WINDOW, extension, seconds, tcp, watched
from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.adapters.envoy.processor import EXT_PROC, NAMESPACE, RBAC, ext_proc_filter, rbac_filter
from extproc.adapters.envoy.routes import ROUTES
from extproc.adapters.envoy.secrets import listener_secret_source

LISTENER = "agents"
ACCESS_LOG = "access.log"
ACCESS_FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "status": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "decision": f"%DYNAMIC_METADATA({NAMESPACE}:id)%",
    "target": "%ROUTE_NAME%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "upstream_host": "%UPSTREAM_HOST%",
    "source": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "iss": f"%DYNAMIC_METADATA({JWT_NAMESPACE}:{CLAIMS}:iss)%",
    "sub": f"%DYNAMIC_METADATA({JWT_NAMESPACE}:{CLAIMS}:sub)%",
}
"""The access log's members, one JSON object a line; what is not known is null.

There is no path: it may carry what nobody should read in a log, and nothing masks this one. Of what was decided, the
decision's record has it, masked."""


def listener(plan: EnvoyPlan) -> Listener:
    """The listener. It changes only when what it is made of changes: a listener update drains its connections, and
    with them whatever is held, so routes, clusters and secrets are resources of their own."""
    chain = FilterChain(
        filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=Any.pack(_manager(plan)))],
        transport_socket=_tls() if plan.tls is not None else None,
        transport_socket_connect_timeout=seconds(10),
    )
    return Listener(
        name=LISTENER,
        address=tcp(plan.address, plan.port),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=WINDOW,
    )


def _manager(plan: EnvoyPlan) -> HttpConnectionManager:
    escaped = HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST
    underscores = HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST
    return HttpConnectionManager(
        stat_prefix="agents",
        codec_type=HttpConnectionManagerCodecType.AUTO,
        rds=Rds(route_config_name=ROUTES, config_source=watched("rds.json", ".")),
        http_filters=[
            _filter(JWT_NAMESPACE, jwt_filter(plan.providers)),
            _filter(EXT_PROC, ext_proc_filter()),
            _filter(RBAC, rbac_filter()),
            _filter("envoy.filters.http.router", Router(suppress_envoy_headers=True)),
        ],
        # The path that is matched, decided on and forwarded is one and the same.
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=escaped,
        strip_trailing_host_dot=True,
        # Nobody is internal, and nothing that a client says of itself is believed. internal_address_config stays
        # unset on purpose: an empty one makes Envoy take loopback and private addresses for internal.
        use_remote_address=True,
        skip_xff_append=True,
        early_header_mutation_extensions=[_strip()],
        generate_request_id=True,
        preserve_external_request_id=False,
        always_set_request_id_in_response=True,
        server_name="holdpoint",
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.OVERWRITE,
        # No upgrade_configs: CONNECT and Upgrade are refused.
        max_request_headers_kb=60,
        request_headers_timeout=seconds(10),
        stream_idle_timeout=seconds(60),
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(300),
            max_headers_count=100,
            headers_with_underscores_action=underscores,
        ),
        http_protocol_options=Http1ProtocolOptions(enable_trailers=True),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=100,
            initial_stream_window_size=WINDOW,
            initial_connection_window_size=4 * WINDOW,
            allow_connect=False,
        ),
        access_log=[AccessLog(name="envoy.access_loggers.file", typed_config=Any.pack(_access_log()))],
    )


def _filter(name: str, message: Message) -> HttpFilter:
    return HttpFilter(name=name, typed_config=Any.pack(message))


def _strip() -> TypedExtensionConfig:
    matchers = [StringMatcher(prefix=prefix, ignore_case=True) for prefix in STRIPPED_PREFIXES]
    matchers += [StringMatcher(exact=name, ignore_case=True) for name in STRIPPED]
    mutations = [HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=m)) for m in matchers]
    return extension("envoy.http.early_header_mutation.header_mutation", EarlyHeaderMutation(mutations=mutations))


def _access_log() -> FileAccessLog:
    members = {name: Value(string_value=text) for name, text in ACCESS_FIELDS.items()}
    return FileAccessLog(
        path=ACCESS_LOG,
        log_format=SubstitutionFormatString(json_format=Struct(fields=members), omit_empty_values=False),
    )


def _tls() -> TransportSocket:
    context = DownstreamTlsContext(
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
            alpn_protocols=["h2", "http/1.1"],
            tls_certificate_sds_secret_configs=[listener_secret_source()],
        )
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=Any.pack(context))
