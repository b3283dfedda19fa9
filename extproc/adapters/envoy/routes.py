"""Which request belongs to which target on the gateway's own listener, and what the routes of each are made of."""

import json
from functools import cache

from envoy_data_plane.envoy.config.core.v3 import DataSource, HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    RouteMatchConnectMatcher,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from extproc.adapters.envoy.destinations import authority
from extproc.adapters.envoy.endpoints import cluster_name
from extproc.adapters.envoy.headers import NOT_FOR_UPSTREAM
from extproc.adapters.envoy.messages import once_per_target, pattern, seconds
from extproc.adapters.envoy.plan import LONGEST_WAIT_SECONDS, EnvoyPlan, TargetPlan, Upstream, Via
from extproc.adapters.envoy.processor import refusal_filters, target_filters
from extproc.protocols.http.edge import AMBIGUOUS_PATH, REFUSED_METHODS
from extproc.protocols.http.headers import NOT_FOR_AGENTS

ROUTES = "holdpoint"
"""Name of the agents' route configuration."""

ROUTES_FILE = "rds.json"

IDLE_SECONDS = LONGEST_WAIT_SECONDS + 60
"""How long a stream may be silent: longer than any hold."""

REFUSALS = {
    "unknown-target": (404, "No target of this gateway has this host or path."),
    "method-refused": (405, "This method is never forwarded."),
    "ambiguous-path": (
        400,
        "This path reads differently at different servers; write it without escaped escapes or '..;'.",
    ),
    "unexpected-destination": (403, "This is no destination of this gateway."),
    "misdirected": (421, "This tunnel was opened to another host."),
}
"""Status and message by the code that the processor is told. It answers itself, and has a record of it; the message
is what comes where it, by mistake, lets such a request through."""


def route_configuration(plan: EnvoyPlan) -> RouteConfiguration:
    """Each target by its own hosts, and by its name as the first path segment on any other host."""
    targets = [target for target in plan.targets if not target.opaque]
    own = [_host(plan.domain, target) for target in targets]
    shared = [route for target in targets for route in _mounted(target)]
    rest = virtual_host("any", ["*"], [*refused(Via.DIRECT), *shared, nowhere(Via.DIRECT, "unknown-target")])
    return configuration(ROUTES, [*own, rest], any_port=True)


def configuration(name: str, hosts: list[VirtualHost], *, any_port: bool = False) -> RouteConfiguration:
    """A route configuration. With `any_port` hosts are compared without their port."""
    return RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
        ignore_port_in_host_matching=any_port,
        request_headers_to_remove=list(NOT_FOR_UPSTREAM),
        # The processor takes them out too. This holds whatever it was shown of an answer.
        response_headers_to_remove=sorted(NOT_FOR_AGENTS),
    )


def virtual_host(name: str, domains: list[str], routes: list[Route]) -> VirtualHost:
    """Routes that are tried in their order."""
    return VirtualHost(name=name, domains=domains, routes=routes)


def named(target: TargetPlan, via: Via) -> list[Route]:
    """Everything on a host that stands for the target: its upstream's base path is put in front."""
    return [forward(target, via, RouteMatch(prefix="/"), rewrite=_base(target.upstream))]


def forward(target: TargetPlan, via: Via, match: RouteMatch, *, rewrite: str = "", strip: str = "") -> Route:
    """A route to a target's upstream. `rewrite` replaces what matched; `strip` is the prefix of the path that is not
    part of what is asked of the target."""
    return Route(
        name=target.name,
        match=match,
        route=RouteAction(
            cluster=cluster_name(target.key),
            prefix_rewrite="" if match.prefix == rewrite else rewrite,
            host_rewrite_literal=authority(target.upstream),
            # The answer may come as late as a person's; only silence for longer than any hold ends a stream.
            timeout=seconds(0),
            idle_timeout=seconds(IDLE_SECONDS),
        ),
        typed_per_filter_config=target_filters(target, via, strip),
    )


@cache
def refused(via: Via) -> tuple[Route, ...]:
    """What no target gets to see. It stands first, so that no other route can match it."""
    method = HeaderMatcher(name=":method", string_match=pattern(REFUSED_METHODS))
    return (
        refuse(RouteMatch(connect_matcher=RouteMatchConnectMatcher()), via, "method-refused"),
        refuse(RouteMatch(prefix="/", headers=[method]), via, "method-refused"),
        refuse(RouteMatch(safe_regex=RegexMatcher(regex=AMBIGUOUS_PATH)), via, "ambiguous-path"),
    )


@cache
def nowhere(via: Via, code: str) -> Route:
    """The last route: what got here is refused."""
    return refuse(RouteMatch(prefix="/"), via, code)


def refuse(match: RouteMatch, via: Via, code: str) -> Route:
    """A route that leads nowhere; `code` is one of REFUSALS."""
    status, message = REFUSALS[code]
    body = json.dumps({"error": {"code": code, "message": message}}) + "\n"
    return Route(
        match=match,
        direct_response=DirectResponseAction(status=status, body=DataSource(inline_string=body)),
        response_headers_to_add=[
            HeaderValueOption(header=HeaderValue(key="content-type", value="application/json")),
        ],
        typed_per_filter_config=refusal_filters(code, via),
    )


@once_per_target
def _host(domain: str, target: TargetPlan) -> VirtualHost:
    domains = [f"{target.name}.{domain}", *target.hosts]
    return virtual_host(target.name, domains, [*refused(Via.DIRECT), *named(target, Via.DIRECT)])


@once_per_target
def _mounted(target: TargetPlan) -> tuple[Route, ...]:
    """`/crm` and whatever is below `/crm/`, and not `/crmx`; the mount is replaced by the upstream's base path."""
    mount = f"/{target.name}"
    base = _base(target.upstream)
    bare = base.rstrip("/") or "/"
    return (
        forward(target, Via.DIRECT, RouteMatch(path=mount), rewrite=bare, strip=mount),
        forward(target, Via.DIRECT, RouteMatch(prefix=f"{mount}/"), rewrite=base, strip=mount),
    )


def _base(upstream: Upstream) -> str:
    """The upstream's base path with a slash at its end."""
    return upstream.path.rstrip("/") + "/"
