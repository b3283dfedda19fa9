"""Where Envoy connects to: the workers' sockets and each target's upstream."""

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
    TransportSocket,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions as UpstreamProtocol,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsExplicitHttpConfig
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.endpoints import ENDPOINTS, cluster_name, endpoints_file
from extproc.adapters.envoy.messages import WINDOW, exactly, seconds, tcp, unix, watched
from extproc.adapters.envoy.plan import EnvoyPlan, Scheme, TargetPlan, Upstream, is_address
from extproc.adapters.envoy.render import packed

WORKERS = "workers"
"""Name of the processors' cluster."""

HELD_AT_ONCE = 10_000
"""Streams to the processors at one time, over all workers. Held requests count, so Envoy's 1,024 would be too few."""

QUEUED_FRAMES = 1 << 20
"""Frames that may wait for a worker to read them. Each stream that a client resets is reset at the worker as well. With
Envoy's 1,000, which are meant for peers that flood, a client that resets many would end the connection to the worker,
and the exchanges of all others with it. A worker that reads nothing is given up after two seconds anyway."""

WORKER_CONNECTION_WINDOW = 4 * WINDOW
"""Of one connection to a worker, which all requests of an Envoy thread share. It bounds throughput and memory; a client
that stalls does not use it up, because Envoy reads what the processor sends and stops reading the upstream instead."""

_PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def workers_cluster(plan: EnvoyPlan) -> Cluster:
    """One unix socket a worker, in turn.

    The first failed connection ejects a worker at once, and a health check four times a second says when it is back.
    It takes both: by ejection alone Envoy tries a dead worker again and again, and by the checks alone it finds
    out late. Nothing else ejects: statuses of a stream are answers, and an agent that can provoke them must not be
    able to take the workers away from everyone else. With none left nothing passes (no panic routing).
    """
    return Cluster(
        name=WORKERS,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        lb_policy=ClusterLbPolicy.ROUND_ROBIN,
        load_assignment=assigned(WORKERS, [unix(f"{plan.run}/worker-{i}.sock") for i in range(plan.workers)]),
        per_connection_buffer_limit_bytes=WINDOW,
        circuit_breakers=breakers(),
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0.0)),
        health_checks=[
            # Answered by the worker's event loop, so a worker that hangs gets no new requests.
            HealthCheck(
                grpc_health_check=HealthCheckGrpcHealthCheck(),
                timeout=seconds(3),
                interval=seconds(0.25),
                no_traffic_interval=seconds(0.25),
                unhealthy_threshold=1,
                healthy_threshold=1,
            )
        ],
        outlier_detection=ejecting(),
        typed_extension_protocol_options=_protocol(
            HttpProtocolOptionsExplicitHttpConfig(
                http2_protocol_options=Http2ProtocolOptions(
                    initial_stream_window_size=WINDOW,
                    initial_connection_window_size=WORKER_CONNECTION_WINDOW,
                    max_concurrent_streams=HELD_AT_ONCE,
                    max_outbound_frames=QUEUED_FRAMES,
                    max_outbound_control_frames=QUEUED_FRAMES,
                    # In full duplex there is no message timeout. A worker that is stopped answers no ping, and its
                    # requests end with its connection; one whose loop hangs is ended by its supervisor.
                    connection_keepalive=KeepaliveSettings(interval=seconds(1), timeout=seconds(2)),
                )
            ),
            [],
        ),
    )


def http_cluster(target: TargetPlan, filters: list[HttpFilter]) -> Cluster:
    """A target's HTTP/1.1 upstream, with TLS verified where its scheme says so; `filters` see what goes there.

    No retries and no hedging anywhere: an approved action runs at most once. Idle connections are given up after
    a minute, because a request that meets a closing one is lost.
    """
    cluster = _upstream_cluster(target)
    cluster.transport_socket = _tls(target.upstream) if target.upstream.scheme is Scheme.HTTPS else None
    cluster.typed_extension_protocol_options = _protocol(
        HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions(enable_trailers=True)),
        filters,
    )
    return cluster


def opaque_cluster(target: TargetPlan) -> Cluster:
    """A target's upstream for bytes that nobody reads: what is inside, TLS too, is between the client and it."""
    return _upstream_cluster(target)


def _upstream_cluster(target: TargetPlan) -> Cluster:
    """An address stands in it; what a name stands for comes from a file, because Envoy must not resolve names that
    nobody has checked."""
    name, upstream = cluster_name(target.key), target.upstream
    cluster = Cluster(
        name=name,
        connect_timeout=seconds(5),
        per_connection_buffer_limit_bytes=WINDOW,
        circuit_breakers=breakers(),
    )
    if is_address(upstream.host):
        cluster.type = ClusterDiscoveryType.STATIC
        cluster.load_assignment = assigned(name, [tcp(upstream.host, upstream.port)])
    else:
        cluster.type = ClusterDiscoveryType.EDS
        cluster.eds_cluster_config = ClusterEdsClusterConfig(
            eds_config=watched(endpoints_file(target.key), ENDPOINTS), service_name=name
        )
    return cluster


def assigned(cluster: str, addresses: list[Address]) -> ClusterLoadAssignment:
    """These addresses, in use in turn."""
    return ClusterLoadAssignment(
        cluster_name=cluster,
        endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=Endpoint(address=a)) for a in addresses])],
    )


def ejecting() -> OutlierDetection:
    """A worker that could not be connected to once gets nothing for a second; see `workers_cluster`."""
    return OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=1,
        enforcing_consecutive_local_origin_failure=100,
        interval=seconds(0.5),
        base_ejection_time=seconds(1),
        max_ejection_time=seconds(10),
        max_ejection_percent=100,
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
        enforcing_failure_percentage=0,
        enforcing_failure_percentage_local_origin=0,
    )


def breakers() -> CircuitBreakers:
    """As much as may be held at one time, and no retries."""
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(
                max_connections=HELD_AT_ONCE,
                max_pending_requests=HELD_AT_ONCE,
                max_requests=HELD_AT_ONCE,
                max_retries=0,
            )
        ]
    )


def _protocol(config: HttpProtocolOptionsExplicitHttpConfig, filters: list[HttpFilter]) -> dict[str, Any]:
    options = UpstreamProtocol(
        explicit_http_config=config,
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=seconds(60)),
        http_filters=filters,
    )
    return {_PROTOCOL: packed(options)}


def _tls(upstream: Upstream) -> TransportSocket:
    kind = SubjectAltNameMatcherSanType.IP_ADDRESS if is_address(upstream.host) else SubjectAltNameMatcherSanType.DNS
    context = UpstreamTlsContext(
        sni="" if is_address(upstream.host) else upstream.host,
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
            alpn_protocols=["http/1.1"],
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(filename=upstream.ca or ""),
                match_typed_subject_alt_names=[SubjectAltNameMatcher(san_type=kind, matcher=exactly(upstream.host))],
            ),
        ),
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context))
