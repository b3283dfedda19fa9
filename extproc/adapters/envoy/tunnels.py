"""The internal listeners: one for each target that the forward proxy leads to, reached by its tunnels alone."""

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Address, EnvoyInternalAddress, TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    Listener,
    ListenerFilter,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import TlsInspector
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.extensions.transport_sockets.internal_upstream.v3 import InternalUpstreamTransport
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer

from extproc.adapters.envoy.access import connections_log
from extproc.adapters.envoy.clusters import assigned, breakers
from extproc.adapters.envoy.destinations import Destination, destinations, server_names
from extproc.adapters.envoy.endpoints import cluster_name
from extproc.adapters.envoy.manager import manager
from extproc.adapters.envoy.messages import WINDOW, once_per_target, seconds, watched
from extproc.adapters.envoy.plan import EnvoyPlan, Scheme, TargetPlan, Via, is_address
from extproc.adapters.envoy.proxy import tunnel_name, tunnel_routes_file
from extproc.adapters.envoy.render import packed
from extproc.adapters.envoy.secrets import leaf_source
from extproc.adapters.envoy.transport import downstream_tls

TCP_PROXY = "envoy.filters.network.tcp_proxy"
TUNNELS = "tunnels"
"""Of the names of their statistics."""


def tunnel_listeners(plan: EnvoyPlan) -> list[Listener]:
    """One for each target, where there is a proxy."""
    if plan.proxy is None:
        return []
    found = destinations(plan)
    return [_listener(target, found[target.name]) for target in plan.targets]


def tunnel_clusters(plan: EnvoyPlan) -> list[Cluster]:
    """The way to each of them."""
    return [_cluster(tunnel_name(target.name)) for target in plan.targets] if plan.proxy is not None else []


@once_per_target
def _listener(target: TargetPlan, destination: Destination) -> Listener:
    """It takes TLS for the target's names where the upstream speaks TLS, and plain bytes where it does not. Anything
    else finds no filter chain: the connection ends there, with a line in the access log."""
    encrypted = target.upstream.scheme is Scheme.HTTPS
    match = FilterChainMatch(transport_protocol="tls" if encrypted else "raw_buffer")
    if encrypted and not is_address(target.upstream.host):
        match.server_names = list(server_names(destination))
    chain = FilterChain(
        filter_chain_match=match,
        filters=[_through(target) if target.opaque else _read(target)],
        transport_socket=downstream_tls(leaf_source(target.name)) if encrypted and not target.opaque else None,
        transport_socket_connect_timeout=seconds(10),
    )
    # What speaks in plain may wait for the server to speak first, and an inspector would wait with it.
    looks = encrypted or not target.opaque
    inspector = ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=packed(TlsInspector()))
    return Listener(
        name=tunnel_name(target.name),
        internal_listener=ListenerInternalListenerConfig(),
        listener_filters=[inspector] if looks else [],
        listener_filters_timeout=seconds(10),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=WINDOW,
        # The connection that it came through is counted already.
        ignore_global_conn_limit=True,
        access_log=[connections_log(Via.TUNNEL, target.name)],
    )


def _read(target: TargetPlan) -> Filter:
    name = tunnel_name(target.name)
    return manager(TUNNELS, Via.TUNNEL, name, watched(tunnel_routes_file(target.name), "routes"))


def _through(target: TargetPlan) -> Filter:
    proxy = TcpProxy(stat_prefix="opaque", cluster=cluster_name(target.key))
    return Filter(name=TCP_PROXY, typed_config=packed(proxy))


@once_per_target
def _cluster(name: str) -> Cluster:
    plain = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=packed(RawBuffer()))
    internal = InternalUpstreamTransport(transport_socket=plain)
    address = Address(envoy_internal_address=EnvoyInternalAddress(server_listener_name=name))
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(5),
        load_assignment=assigned(name, [address]),
        per_connection_buffer_limit_bytes=WINDOW,
        circuit_breakers=breakers(),
        transport_socket=TransportSocket(
            name="envoy.transport_sockets.internal_upstream", typed_config=packed(internal)
        ),
    )
