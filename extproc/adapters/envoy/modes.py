"""The rules that Envoy does not check of a configuration, and that would let bytes pass undecided or lose them.

Envoy refuses a listener whose full-duplex body comes without its trailers, but accepts the same in a route's override
and then silently drops what the processor held back. It has body modes that pass on what they could not inspect.
And a route can switch filters off, or tunnel bytes past them.
"""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ExtProcPerRoute,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.network.connection_limit.v3 import ConnectionLimit
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.connections import POSTGRES_LISTENER, POSTGRES_WORKERS
from extproc.adapters.envoy.handover import HAND_OVER
from extproc.adapters.envoy.listener import PROXY_LISTENER
from extproc.adapters.envoy.manager import ANSWERS, ROUTER
from extproc.adapters.envoy.processor import EXT_PROC, RBAC
from extproc.adapters.envoy.proxy import TUNNEL_PREFIX

_BODIES = frozenset({ProcessingModeBodySendMode.NONE, ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED})
_ORDER = (EXT_PROC, RBAC, ANSWERS, ROUTER)
_PROXY_ORDER = (EXT_PROC, RBAC, HAND_OVER, ANSWERS, ROUTER)


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
            if isinstance(manager, TcpProxy) and listener.internal_listener is not None:
                # Only an opaque target's tunnels lead here, by a CONNECT that was decided.
                continue
            if isinstance(manager, ConnectionLimit) and listener.name == POSTGRES_LISTENER:
                # It reads nothing, and closes what is too much.
                continue
            if isinstance(manager, TcpProxy) and listener.name == POSTGRES_LISTENER:
                if manager.cluster != POSTGRES_WORKERS:
                    yield f"{where}: leads to {manager.cluster!r}; its bytes go to {POSTGRES_WORKERS} or nowhere"
                continue
            if not isinstance(manager, HttpConnectionManager):
                yield f"{where}: {network_filter.name} is not an HTTP connection manager; its bytes have no decision"
                continue
            yield from _manager(where, manager, listener.name == PROXY_LISTENER)


def _manager(where: str, manager: HttpConnectionManager, proxy: bool) -> Iterator[str]:
    names = tuple(f.name for f in manager.http_filters)
    order = _PROXY_ORDER if proxy else _ORDER
    if names != order:
        yield f"{where}: filters are {list(names)}; expected {list(order)}, in this order"
    for http_filter in manager.http_filters:
        if http_filter.disabled or http_filter.is_optional:
            yield f"{where}: {http_filter.name} may be left out; every filter is required"
    if any(not proxy or upgrade.upgrade_type != "CONNECT" or upgrade.filters for upgrade in manager.upgrade_configs):
        yield f"{where}: upgrade_configs let bytes through that no filter reads; the proxy has CONNECT and no more"
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
            action = route.route
            tunnel = action is not None and bool(action.upgrade_configs)
            yield from _overrides(here, route.typed_per_filter_config, tunnel)
            if action is None:
                continue
            if tunnel != (action.cluster or "").startswith(TUNNEL_PREFIX) or (tunnel and not _connects(route)):
                yield f"{here}: CONNECT, and nothing else, leads to an internal listener, and nowhere else"
            again = (action.retry_policy, action.hedge_policy, action.internal_redirect_policy)
            if action.weighted_clusters or any(policy is not None for policy in again):
                yield f"{here}: an action goes to one upstream, once: no weights, retries, hedging, internal redirects"
            if action.request_mirror_policies:
                yield f"{here}: mirroring sends bytes that no decision covers"


def _only_on_routes(where: str, settings: dict[str, Any]) -> Iterator[str]:
    if settings:
        yield f"{where}: filter settings above the routes: {sorted(settings)}; they belong on routes"


def _connects(route: Route) -> bool:
    upgrades = route.route.upgrade_configs if route.route is not None else []
    matches = route.match is not None and route.match.connect_matcher is not None
    return matches and all(upgrade.upgrade_type == "CONNECT" for upgrade in upgrades)


def _overrides(where: str, settings: dict[str, Any], tunnel: bool) -> Iterator[str]:
    for name in sorted(set(settings) - {EXT_PROC} - ({HAND_OVER} if tunnel else set())):
        yield f"{where}: {name} is changed for one route; only ext_proc may be"
    packed = settings.get(EXT_PROC)
    message = packed.unpack() if packed else None
    if not isinstance(message, ExtProcPerRoute):
        yield f"{where}: tells the processor nothing, neither a target nor a refusal"
        return
    if message.disabled:
        yield f"{where}: the processor is disabled; it answers on every route"
    overrides = message.overrides
    if overrides is None:
        yield f"{where}: no overrides; a route says itself what the processor sees"
        return
    told = {value.key for value in overrides.grpc_initial_metadata}
    if "x-holdpoint-via" not in told or ("x-holdpoint-target" in told) == ("x-holdpoint-refuse" in told):
        yield f"{where}: the processor has to be told x-holdpoint-via, and either a target or a refusal"
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
