"""The rules that Envoy does not check of a configuration, and that would let bytes pass undecided or lose them.

Envoy refuses a listener whose full-duplex body comes without its trailers, but accepts the same in a route's override
and then silently drops what the processor held back. It has body modes that pass on what they could not inspect.
And a route can switch filters off.
"""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ExtProcPerRoute,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.identity import JWT_NAMESPACE
from extproc.adapters.envoy.processor import EXT_PROC, RBAC

_BODIES = frozenset({ProcessingModeBodySendMode.NONE, ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED})
_ORDER = (JWT_NAMESPACE, EXT_PROC, RBAC, "envoy.filters.http.router")


class UnsafeModes(ValueError):
    """A configuration through which something could pass undecided or be lost. Names every fault, one a line."""


def check_modes(listeners: tuple[Listener, ...], routes: tuple[RouteConfiguration, ...]) -> None:
    """Raise UnsafeModes unless every listener and every route keeps to the rules."""
    faults = [fault for listener in listeners for fault in _listener(listener)]
    faults += [fault for configuration in routes for fault in _routes(configuration)]
    if faults:
        raise UnsafeModes("\n".join(faults))


def _listener(listener: Listener) -> Iterator[str]:
    where = f"listener {listener.name}"
    for chain in listener.filter_chains:
        for network_filter in chain.filters:
            manager = network_filter.typed_config.unpack() if network_filter.typed_config else None
            if not isinstance(manager, HttpConnectionManager):
                yield f"{where}: {network_filter.name} is not an HTTP connection manager; its bytes have no decision"
                continue
            yield from _manager(where, manager)


def _manager(where: str, manager: HttpConnectionManager) -> Iterator[str]:
    names = tuple(f.name for f in manager.http_filters)
    if names != _ORDER:
        yield f"{where}: filters are {list(names)}; expected {list(_ORDER)}, in this order"
    for http_filter in manager.http_filters:
        if http_filter.disabled or http_filter.is_optional:
            yield f"{where}: {http_filter.name} may be left out; every filter is required"
    if manager.upgrade_configs:
        yield f"{where}: upgrade_configs let bytes through that no filter reads"
    if manager.internal_address_config is not None:
        yield f"{where}: internal_address_config makes Envoy believe x-envoy headers of some clients; leave it unset"
    for processor in _processors(manager.http_filters):
        if processor.failure_mode_allow or processor.observability_mode or processor.allow_mode_override:
            yield f"{where}: failure_mode_allow, observability_mode and allow_mode_override must be off"
        if processor.disable_immediate_response:
            yield f"{where}: disable_immediate_response turns a refusal into a pass"
        yield from _mode(where, processor.processing_mode)


def _processors(filters: list[HttpFilter]) -> Iterator[ExternalProcessor]:
    for http_filter in filters:
        message = http_filter.typed_config.unpack() if http_filter.typed_config else None
        if isinstance(message, ExternalProcessor):
            yield message


def _routes(configuration: RouteConfiguration) -> Iterator[str]:
    yield from _only_on_routes(f"routes {configuration.name}", configuration.typed_per_filter_config)
    for host in configuration.virtual_hosts:
        where = f"host {host.name}"
        yield from _only_on_routes(where, host.typed_per_filter_config)
        for i, route in enumerate(host.routes):
            here = f"{where}, route {i} {route.name}".rstrip()
            unasked = route.direct_response is not None
            yield from _overrides(here, route.typed_per_filter_config, unasked)
            action = route.route
            if action is None:
                continue
            again = (action.retry_policy, action.hedge_policy, action.internal_redirect_policy)
            if action.weighted_clusters or any(policy is not None for policy in again):
                yield f"{here}: an action goes to one upstream, once: no weights, retries, hedging, internal redirects"
            if action.request_mirror_policies or action.upgrade_configs:
                yield f"{here}: mirroring and upgrades send bytes that no decision covers"


def _only_on_routes(where: str, settings: dict[str, Any]) -> Iterator[str]:
    if settings:
        yield f"{where}: filter settings above the routes: {sorted(settings)}; they belong on routes"


def _overrides(where: str, settings: dict[str, Any], unasked: bool) -> Iterator[str]:
    for name in sorted(set(settings) - {EXT_PROC} - ({RBAC} if unasked else set())):
        yield f"{where}: {name} is changed for a route that forwards; only ext_proc may be"
    packed = settings.get(EXT_PROC)
    message = packed.unpack() if packed else None
    if message is None and not unasked:
        yield f"{where}: names no target to the processor"
    if not isinstance(message, ExtProcPerRoute):
        return
    if message.disabled and not unasked:
        yield f"{where}: the processor is disabled on a route that forwards"
    overrides = message.overrides
    if overrides is None:
        if not unasked:
            yield f"{where}: no overrides; a route that forwards says itself what the processor sees"
        return
    if overrides.failure_mode_allow or overrides.async_mode:
        yield f"{where}: failure_mode_allow and async_mode must be off"
    if overrides.grpc_service is not None or overrides.metadata_options is not None:
        yield f"{where}: the processor and its metadata are the listener's to choose"
    yield from _mode(where, overrides.processing_mode)


def _mode(where: str, mode: ProcessingMode | None) -> Iterator[str]:
    if mode is None:
        yield f"{where}: no processing_mode; Envoy's default sends no bodies to the processor"
        return
    if mode.request_header_mode != ProcessingModeHeaderSendMode.SEND:
        yield f"{where}: request_header_mode must be SEND; without it nothing is decided"
    lanes = (
        ("request", mode.request_header_mode, mode.request_body_mode, mode.request_trailer_mode),
        ("response", mode.response_header_mode, mode.response_body_mode, mode.response_trailer_mode),
    )
    for lane, headers, body, trailers in lanes:
        if body not in _BODIES:
            name = ProcessingModeBodySendMode(body).name
            yield f"{where}: {lane}_body_mode {name} passes bytes uninspected; use FULL_DUPLEX_STREAMED or NONE"
        if body == ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED:
            if headers != ProcessingModeHeaderSendMode.SEND:
                yield f"{where}: {lane}_header_mode must be SEND with a FULL_DUPLEX_STREAMED body"
            if trailers != ProcessingModeHeaderSendMode.SEND:
                yield (
                    f"{where}: {lane}_trailer_mode must be SEND with a FULL_DUPLEX_STREAMED body; "
                    "without it the tail that the processor holds back is dropped"
                )
