"""The routes of the forward proxy, and those inside the tunnels that it intercepts.

A request that names a target's whole http address goes to the target. A CONNECT goes to the internal listener of the
one target that its authority names, whose route configuration knows that target's hosts and no others. Nothing else
leads anywhere, and no name is ever resolved on the way.
"""

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteActionUpgradeConfig,
    RouteActionUpgradeConfigConnectConfig,
    RouteConfiguration,
    RouteMatch,
    RouteMatchConnectMatcher,
    VirtualHost,
)

from extproc.adapters.envoy.destinations import Destination, destinations
from extproc.adapters.envoy.handover import hand_over
from extproc.adapters.envoy.messages import exactly, once_per_target, pattern, seconds
from extproc.adapters.envoy.plan import EnvoyPlan, Scheme, TargetPlan, Via
from extproc.adapters.envoy.processor import target_filters
from extproc.adapters.envoy.routes import (
    IDLE_SECONDS,
    configuration,
    forward,
    named,
    nowhere,
    refuse,
    refused,
    virtual_host,
)

PROXY_ROUTES = "proxy"
"""Name of the proxy's route configuration."""

PROXY_ROUTES_FILE = "routes/proxy.json"

TUNNEL_PREFIX = "tunnel-"
"""Of the names of everything that a tunnel leads through."""

_UNEXPECTED = "unexpected-destination"


def tunnel_name(target: str) -> str:
    """Name of a target's internal listener, of the cluster that leads there and of its route configuration."""
    return f"{TUNNEL_PREFIX}{target}"


def tunnel_routes_file(target: str) -> str:
    """Where the routes inside a target's tunnels are found, relative to Envoy's working directory."""
    return f"routes/{tunnel_name(target)}.json"


def proxy_configuration(plan: EnvoyPlan) -> RouteConfiguration:
    """What the proxy listener leads to."""
    found = destinations(plan)
    hosts = [host for target in plan.targets for host in _proxied(target, found[target.name])]
    any_tunnel = refuse(RouteMatch(connect_matcher=RouteMatchConnectMatcher()), Via.CONNECT, _UNEXPECTED)
    rest = virtual_host("any", ["*"], [any_tunnel, nowhere(Via.PROXY, _UNEXPECTED)])
    return configuration(PROXY_ROUTES, [*hosts, rest])


@once_per_target
def tunnel_configuration(target: TargetPlan, destination: Destination) -> RouteConfiguration:
    """What is inside a target's intercepted tunnels: this target, or nothing."""
    hosts = _hosts(target, destination, Via.TUNNEL, [], "unknown-target")
    rest = virtual_host("any", ["*"], [*refused(Via.TUNNEL), nowhere(Via.TUNNEL, "misdirected")])
    return configuration(tunnel_name(target.name), [*hosts, rest])


@once_per_target
def _proxied(target: TargetPlan, destination: Destination) -> list[VirtualHost]:
    connects = [
        _connect(target),
        # An authority without its port.
        refuse(RouteMatch(connect_matcher=RouteMatchConnectMatcher()), Via.CONNECT, _UNEXPECTED),
    ]
    return _hosts(target, destination, Via.PROXY, connects, _UNEXPECTED)


def _hosts(
    target: TargetPlan, destination: Destination, via: Via, first: list[Route], otherwise: str
) -> list[VirtualHost]:
    """The hosts that are the upstream's own, where its base path is part of what is asked for, and those that stand
    for the target."""
    both = (("real", destination.real, _real(target, via)), ("named", destination.given, named(target, via)))
    hosts = []
    for name, domains, routes in both:
        plain = [*refused(via), *_unencrypted(target, routes, via), nowhere(via, otherwise)]
        if domains:
            hosts.append(virtual_host(f"{target.name}-{name}", list(domains), [*first, *plain]))
    return hosts


def _unencrypted(target: TargetPlan, routes: list[Route], via: Via) -> list[Route]:
    """On the proxy itself, only what is asked for by an http address: https goes through a tunnel or not at all."""
    if via is not Via.PROXY:
        return routes
    if target.opaque or target.upstream.scheme is not Scheme.HTTP:
        return []
    for route in routes:
        if route.match is not None:
            route.match.headers.append(HeaderMatcher(name=":scheme", string_match=exactly("http")))
    return routes


def _real(target: TargetPlan, via: Via) -> list[Route]:
    base = target.upstream.path.rstrip("/")
    if not base:
        return named(target, via)
    matches = (RouteMatch(path=base), RouteMatch(prefix=f"{base}/"))
    return [forward(target, via, match, strip=base) for match in matches]


def _connect(target: TargetPlan) -> Route:
    port = HeaderMatcher(name=":authority", string_match=pattern(r".*:[0-9]{1,5}"))
    return Route(
        name=target.name,
        match=RouteMatch(connect_matcher=RouteMatchConnectMatcher(), headers=[port]),
        route=RouteAction(
            cluster=tunnel_name(target.name),
            timeout=seconds(0),
            idle_timeout=seconds(IDLE_SECONDS),
            upgrade_configs=[
                RouteActionUpgradeConfig(upgrade_type="CONNECT", connect_config=RouteActionUpgradeConfigConnectConfig())
            ],
        ),
        typed_per_filter_config={**target_filters(target, Via.CONNECT, ""), **hand_over()},
    )
