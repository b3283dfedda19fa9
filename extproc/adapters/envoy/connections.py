"""Connections that are handed over whole: Envoy takes them, and passes them on to a worker with a PROXY head that says
whose they are. What is in them, TLS too, is the worker's to read."""

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterCommonLbConfig, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HealthCheck,
    HealthCheckPayload,
    HealthCheckTcpHealthCheck,
    ProxyProtocolConfig,
    ProxyProtocolConfigVersion,
    ProxyProtocolPassThroughTlVs,
    ProxyProtocolPassThroughTlVsPassTlVsMatchType,
    SubstitutionFormatString,
    TcpKeepalive,
    TlvEntry,
    TransportSocket,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.connection_limit.v3 import ConnectionLimit
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol.v3 import ProxyProtocolUpstreamTransport
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer
from envoy_data_plane.envoy.type.v3 import Percent

from extproc.adapters.envoy.access import CONNECTION_ID, handed_over_log
from extproc.adapters.envoy.clusters import assigned, breakers, ejecting
from extproc.adapters.envoy.messages import WINDOW, seconds, tcp, unix
from extproc.adapters.envoy.plan import EnvoyPlan, Via
from extproc.adapters.envoy.render import packed
from extproc.protocols.handover import ALIVE, UNIQUE_ID

POSTGRES_LISTENER = "postgres"
POSTGRES_WORKERS = "postgres-workers"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
CONNECTION_LIMIT = "envoy.filters.network.connection_limit"

AT_ONCE = 2048
"""Connections to databases at one time."""

IDLE_SECONDS = 86_400
"""How long a connection may be silent."""


def connection_listeners(plan: EnvoyPlan) -> list[Listener]:
    """One, where databases can be reached. It is the same whatever targets there are: a listener update drains its
    connections, and with them sessions that lost nothing."""
    if plan.postgres is None:
        return []
    listener = Listener(
        name=POSTGRES_LISTENER,
        address=tcp(plan.postgres.address, plan.postgres.port),
        filter_chains=[FilterChain(filters=[_bounded(), _handed_over()])],
        per_connection_buffer_limit_bytes=WINDOW,
        # Sessions may be silent for as long as they like; a client whose host is gone is not silent but gone.
        tcp_keepalive=TcpKeepalive(keepalive_time=60, keepalive_interval=15, keepalive_probes=4),
    )
    return [listener]


def connection_clusters(plan: EnvoyPlan) -> list[Cluster]:
    """The workers that connections are handed over to. A dead one is found like those of `workers_cluster`: it gets
    nothing from the first connection on that fails, and what its event loop answers says when it is back."""
    if plan.postgres is None:
        return []
    cluster = Cluster(
        name=POSTGRES_WORKERS,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        load_assignment=assigned(
            POSTGRES_WORKERS, [unix(f"{plan.run}/postgres-{i}.sock") for i in range(plan.workers)]
        ),
        per_connection_buffer_limit_bytes=WINDOW,
        circuit_breakers=breakers(),
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0.0)),
        health_checks=[
            HealthCheck(
                tcp_health_check=HealthCheckTcpHealthCheck(receive=[HealthCheckPayload(text=ALIVE.hex())]),
                timeout=seconds(3),
                interval=seconds(0.25),
                no_traffic_interval=seconds(0.25),
                unhealthy_threshold=1,
                healthy_threshold=1,
                # Each is one question and one answer; the kernel alone would accept a connection for a worker that
                # hangs.
                reuse_connection=False,
            )
        ],
        outlier_detection=ejecting(),
        transport_socket=_announced(),
    )
    return [cluster]


def _bounded() -> Filter:
    """Connections that are too many are closed at once: all listeners share one limit (`envoy/bootstrap.yaml`), of
    which those of databases, which are open for long, leave the others their part."""
    limit = ConnectionLimit(stat_prefix=POSTGRES_LISTENER, max_connections=AT_ONCE)
    return Filter(name=CONNECTION_LIMIT, typed_config=packed(limit))


def _handed_over() -> Filter:
    unique_id = SubstitutionFormatString(text_format_source=DataSource(inline_string=CONNECTION_ID))
    proxy = TcpProxy(
        stat_prefix=POSTGRES_LISTENER,
        cluster=POSTGRES_WORKERS,
        # Longer than any hold, and than pools are silent. Envoy does not notice by itself that a client which was told
        # of the end keeps its own side open.
        idle_timeout=seconds(IDLE_SECONDS),
        # Of the connection to a worker, before it got anything: nothing is ever sent twice.
        max_connect_attempts=3,
        proxy_protocol_tlvs=[TlvEntry(type=UNIQUE_ID, format_string=unique_id)],
        access_log=[handed_over_log(Via.POSTGRES)],
    )
    return Filter(name=TCP_PROXY, typed_config=packed(proxy))


def _announced() -> TransportSocket:
    """Whose connection it is, before its first byte. A connection that was made for one client is never another's: what
    is said of it is part of what connections are told apart by."""
    plain = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=packed(RawBuffer()))
    everything = ProxyProtocolPassThroughTlVs(match_type=ProxyProtocolPassThroughTlVsPassTlVsMatchType.INCLUDE_ALL)
    head = ProxyProtocolUpstreamTransport(
        config=ProxyProtocolConfig(version=ProxyProtocolConfigVersion.V2, pass_through_tlvs=everything),
        transport_socket=plain,
        tlv_as_pool_key=True,
    )
    return TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=packed(head))
