"""The HTTP connection manager of every listener: what may come in, what is taken off it, and the order of filters."""

import json
from collections.abc import Iterable

from betterproto2 import Message
from envoy_data_plane.envoy.config.accesslog.v3 import AccessLogFilter, ExtensionFilter
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    ConfigSource,
    DataSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    SubstitutionFormatString,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as AnswerMutation
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
    LocalReplyConfig,
    Rds,
    ResponseMapper,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.adapters.envoy.access import exchanges_log
from extproc.adapters.envoy.handover import HAND_OVER, TICKET, filter_state, no_hand_over
from extproc.adapters.envoy.headers import NOT_FOR_CLIENTS, NOT_FOR_CLIENTS_PREFIXES
from extproc.adapters.envoy.messages import WINDOW, extension, seconds
from extproc.adapters.envoy.plan import Via
from extproc.adapters.envoy.processor import EXT_PROC, RBAC, ext_proc_filter, rbac_filter
from extproc.adapters.envoy.render import packed
from extproc.protocols.http.edge import STRIPPED, STRIPPED_PREFIXES, TICKET_HEADER, UPGRADE_REFUSED

MANAGER = "envoy.filters.network.http_connection_manager"
ROUTER = "envoy.filters.http.router"
ANSWERS = "envoy.filters.http.header_mutation"

SILENT_SECONDS = 60
"""How long a connection may stay open on which nothing is asked: each counts towards Envoy's limit, whoever made it."""


def manager(stat: str, via: Via, routes: str, source: ConfigSource) -> Filter:
    """The network filter. `routes` names the route configuration, and `source` is where it is found."""
    escaped = HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST
    underscores = HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST
    # The only upgrade there is, and only on the proxy: elsewhere CONNECT is refused, and Upgrade everywhere.
    upgrades = [HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT")] if via is Via.PROXY else []
    hand_over = [_filter(HAND_OVER, no_hand_over())] if via is Via.PROXY else []
    message = HttpConnectionManager(
        stat_prefix=stat,
        codec_type=HttpConnectionManagerCodecType.AUTO,
        rds=Rds(route_config_name=routes, config_source=source),
        http_filters=[
            _filter(EXT_PROC, ext_proc_filter()),
            _filter(RBAC, rbac_filter()),
            *hand_over,
            _filter(ANSWERS, _answers()),
            _filter(ROUTER, Router(suppress_envoy_headers=True)),
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
        early_header_mutation_extensions=[_strip(via)],
        generate_request_id=True,
        preserve_external_request_id=False,
        always_set_request_id_in_response=True,
        server_name="holdpoint",
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.OVERWRITE,
        upgrade_configs=upgrades,
        max_request_headers_kb=60,
        request_headers_timeout=seconds(10),
        stream_idle_timeout=seconds(60),
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(SILENT_SECONDS),
            # Room for what Envoy and the worker add: more than a client may send (MOST_HEADERS).
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
        access_log=[exchanges_log(via)],
        local_reply_config=LocalReplyConfig(mappers=[_upgrade_refused()]),
    )
    return Filter(name=MANAGER, typed_config=packed(message))


def _filter(name: str, message: Message) -> HttpFilter:
    return HttpFilter(name=name, typed_config=packed(message))


def _upgrade_refused() -> ResponseMapper:
    """Words for what Envoy refuses by itself: an upgrade, above all to WebSocket. No worker hears of it."""
    detail = (
        "WebSocket and other upgrades are not governed, so they do not pass. Use plain HTTP; what has to stream can be "
        "server-sent events. Raw bytes, by CONNECT, go through the forward proxy's address to an opaque target."
    )
    body = {
        "type": f"urn:holdpoint:refusal:{UPGRADE_REFUSED}",
        "title": "Upgrades are not taken",
        "status": 403,
        "detail": detail,
        "message": f"Upgrades are not taken: {detail}",
    }
    expression = ExpressionFilter(expression="response.code_details == 'upgrade_failed'")
    return ResponseMapper(
        filter=AccessLogFilter(
            extension_filter=ExtensionFilter(
                name="envoy.access_loggers.extension_filters.cel", typed_config=packed(expression)
            )
        ),
        body=DataSource(inline_string=json.dumps(body) + "\n"),
        body_format_override=SubstitutionFormatString(
            text_format_source=DataSource(inline_string="%LOCAL_REPLY_BODY%"), content_type="application/problem+json"
        ),
    )


def _answers() -> AnswerMutation:
    """Takes off an answer what the processor could not mask. It stands behind the processor, so it sees answers first;
    requests it leaves as they were decided on."""
    removals = _removals(NOT_FOR_CLIENTS, NOT_FOR_CLIENTS_PREFIXES)
    return AnswerMutation(mutations=Mutations(response_mutations=removals, response_trailers_mutations=removals))


def _removals(names: Iterable[str], prefixes: Iterable[str]) -> list[HeaderMutation]:
    matchers = [StringMatcher(prefix=prefix, ignore_case=True) for prefix in prefixes]
    matchers += [StringMatcher(exact=name, ignore_case=True) for name in names]
    return [HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=m)) for m in matchers]


def _strip(via: Via) -> TypedExtensionConfig:
    """Take off what a client may not say, and only then put on what the tunnel's CONNECT handed over."""
    mutations = _removals(STRIPPED, STRIPPED_PREFIXES)
    if via is Via.TUNNEL:
        ticket = HeaderValueOption(
            header=HeaderValue(key=TICKET_HEADER, value=filter_state(TICKET)),
            append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        mutations.append(HeaderMutation(append=ticket))
    return extension("envoy.http.early_header_mutation.header_mutation", EarlyHeaderMutation(mutations=mutations))
