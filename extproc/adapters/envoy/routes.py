"""Which request belongs to which target, and what Envoy answers by itself."""

import json

from envoy_data_plane.envoy.config.core.v3 import DataSource, HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from extproc.adapters.envoy.headers import AMBIGUOUS_PATH, NOT_FOR_UPSTREAM, REFUSED_METHODS
from extproc.adapters.envoy.messages import pattern, seconds
from extproc.adapters.envoy.plan import LONGEST_WAIT_SECONDS, EnvoyPlan, Scheme, TargetPlan, Upstream
from extproc.adapters.envoy.processor import target_filters, unasked_filters

ROUTES = "holdpoint"
"""Name of the route configuration."""

IDLE_SECONDS = LONGEST_WAIT_SECONDS + 60
"""How long a stream may be silent: longer than any hold."""


def route_configuration(plan: EnvoyPlan) -> RouteConfiguration:
    """Each target by its own hosts, and by its name as the first path segment on any other host."""
    own = [_host(plan, target) for target in plan.targets]
    shared = [route for target in plan.targets for route in _mounted(target)]
    rest = VirtualHost(name="any", domains=["*"], routes=[*_refused(), *shared, _unknown()])
    return RouteConfiguration(
        name=ROUTES,
        virtual_hosts=[*own, rest],
        ignore_port_in_host_matching=True,
        request_headers_to_remove=list(NOT_FOR_UPSTREAM),
    )


def _host(plan: EnvoyPlan, target: TargetPlan) -> VirtualHost:
    route = _route(target, RouteMatch(prefix="/"), rewrite=_base(target.upstream), strip="")
    return VirtualHost(
        name=target.name,
        domains=[f"{target.name}.{plan.domain}", *target.hosts],
        routes=[*_refused(), route, _unknown()],
    )


def _mounted(target: TargetPlan) -> list[Route]:
    """`/crm` and whatever is below `/crm/`, and not `/crmx`; the mount is replaced by the upstream's base path."""
    mount = f"/{target.name}"
    base = _base(target.upstream)
    bare = base.rstrip("/") or "/"
    return [
        _route(target, RouteMatch(path=mount), rewrite=bare, strip=mount),
        _route(target, RouteMatch(prefix=f"{mount}/"), rewrite=base, strip=mount),
    ]


def _route(target: TargetPlan, match: RouteMatch, *, rewrite: str, strip: str) -> Route:
    return Route(
        name=target.name,
        match=match,
        route=RouteAction(
            cluster=cluster_name(target.name),
            prefix_rewrite="" if match.prefix == rewrite else rewrite,
            host_rewrite_literal=_authority(target.upstream),
            # The answer may come as late as a person's; only silence for longer than any hold ends a stream.
            timeout=seconds(0),
            idle_timeout=seconds(IDLE_SECONDS),
        ),
        typed_per_filter_config=target_filters(target.name, target.inspect, strip),
    )


def cluster_name(target: str) -> str:
    """The cluster of a target's upstream; the prefix keeps it apart from our own clusters."""
    return f"target-{target}"


def _refused() -> list[Route]:
    """What no target gets to see. It stands first, so that no other route can match it."""
    method = HeaderMatcher(name=":method", string_match=pattern(REFUSED_METHODS))
    return [
        _answer(RouteMatch(prefix="/", headers=[method]), 405, "method-refused", "This method is never forwarded."),
        _answer(
            RouteMatch(safe_regex=RegexMatcher(regex=AMBIGUOUS_PATH)),
            400,
            "ambiguous-path",
            "This path reads differently at different servers; write it without escaped escapes or '..;'.",
        ),
    ]


def _unknown() -> Route:
    return _answer(RouteMatch(prefix="/"), 404, "unknown-target", "No target of this gateway has this host or path.")


def _answer(match: RouteMatch, status: int, code: str, message: str) -> Route:
    body = json.dumps({"error": {"code": code, "message": message}}) + "\n"
    return Route(
        match=match,
        direct_response=DirectResponseAction(status=status, body=DataSource(inline_string=body)),
        response_headers_to_add=[
            HeaderValueOption(header=HeaderValue(key="content-type", value="application/json")),
        ],
        typed_per_filter_config=unasked_filters(),
    )


def _base(upstream: Upstream) -> str:
    """The upstream's base path with a slash at its end."""
    return upstream.path.rstrip("/") + "/"


def _authority(upstream: Upstream) -> str:
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    usual = 443 if upstream.scheme is Scheme.HTTPS else 80
    return host if upstream.port == usual else f"{host}:{upstream.port}"
