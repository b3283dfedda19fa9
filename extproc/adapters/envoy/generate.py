"""From a plan to Envoy's resources, and from those to the documents that Envoy reads."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import orjson
from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from extproc.adapters.envoy.clusters import http_cluster, opaque_cluster, workers_cluster
from extproc.adapters.envoy.connections import connection_clusters, connection_listeners
from extproc.adapters.envoy.destinations import destinations, intercepted
from extproc.adapters.envoy.listener import LISTENER, PROXY_LISTENER, listeners
from extproc.adapters.envoy.messages import once_per_target
from extproc.adapters.envoy.modes import check_modes
from extproc.adapters.envoy.plan import EnvoyPlan, TargetPlan, is_address
from extproc.adapters.envoy.proxy import (
    PROXY_ROUTES,
    PROXY_ROUTES_FILE,
    proxy_configuration,
    tunnel_configuration,
    tunnel_routes_file,
)
from extproc.adapters.envoy.render import document, packed
from extproc.adapters.envoy.routes import ROUTES, ROUTES_FILE, route_configuration
from extproc.adapters.envoy.secrets import (
    CLIENT_CA,
    LISTENER_TLS,
    SECRETS,
    client_ca_secret,
    credential_secret,
    leaf_file,
    leaf_secret,
    listener_secret,
    upstream_filters,
)
from extproc.adapters.envoy.tunnels import TUNNELS, tunnel_clusters, tunnel_listeners

_VERSION = '{"version_info":"'
_VERSION_DIGITS = 16
_STATS = {
    "cds.json": "cluster_manager.cds",
    "lds.json": "listener_manager.lds",
    ROUTES_FILE: f"http.{LISTENER}.rds.{ROUTES}",
    PROXY_ROUTES_FILE: f"http.{PROXY_LISTENER}.rds.{PROXY_ROUTES}",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that Envoy reads, still typed. `secrets` and `routes` map a file name, relative to Envoy's working
    directory, to the one resource in it; a secret names files and never contains what is in them. `resolved` are the
    targets whose addresses come from files that the resolver writes, also where workers read them and not Envoy."""

    listeners: tuple[Listener, ...]
    routes: Mapping[str, RouteConfiguration]
    clusters: tuple[Cluster, ...]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    resolved: tuple[str, ...] = ()


def generate(plan: EnvoyPlan) -> Resources:
    """The resources of a plan. Pure: reads no file. Raises UnsafeModes if they broke a rule that Envoy lets pass."""
    resources = Resources(
        listeners=(*listeners(plan), *connection_listeners(plan), *tunnel_listeners(plan)),
        routes=_routes(plan),
        clusters=(
            workers_cluster(plan),
            *connection_clusters(plan),
            *(_cluster(target) for target in plan.targets),
            *tunnel_clusters(plan),
        ),
        secrets=_secrets(plan),
        resolved=(*(t.key for t in plan.targets if not is_address(t.upstream.host)), *plan.dialled),
    )
    check_modes(resources.listeners, tuple(resources.routes.values()))
    return resources


def documents(resources: Resources) -> dict[str, str]:
    """File name to content, in the order in which they should be replaced: what is pointed to comes first, and Envoy's
    entrance last."""
    routes = {name: _response([route]) for name, route in resources.routes.items()}
    entrances = {name: routes.pop(name) for name in (PROXY_ROUTES_FILE, ROUTES_FILE) if name in routes}
    return {
        **{name: _response([secret]) for name, secret in sorted(resources.secrets.items())},
        "cds.json": _response(resources.clusters),
        **routes,
        # A tunnel's listener has its routes by now, and is there before the proxy leads to it.
        "lds.json": _response(resources.listeners),
        **entrances,
    }


def taken_line(file: str, text: str) -> str:
    """The line of Envoy's statistics that says that it has this document, by the file's name."""
    stat = _STATS.get(file) or f"http.{TUNNELS}.rds.{PurePath(file).stem}"
    return f'{stat}.version_text: "{text.removeprefix(_VERSION)[:_VERSION_DIGITS]}"'


def _routes(plan: EnvoyPlan) -> dict[str, RouteConfiguration]:
    found = {ROUTES_FILE: route_configuration(plan)}
    if plan.proxy is not None:
        found[PROXY_ROUTES_FILE] = proxy_configuration(plan)
        known = destinations(plan)
        tunnels = (target for target in plan.targets if not target.opaque)
        found |= {tunnel_routes_file(t.name): tunnel_configuration(t, known[t.name]) for t in tunnels}
    return found


@once_per_target
def _cluster(target: TargetPlan) -> Cluster:
    return opaque_cluster(target) if target.opaque else http_cluster(target, upstream_filters(target))


def _secrets(plan: EnvoyPlan) -> dict[str, Secret]:
    found = {
        f"{SECRETS}/{target.key}.json": credential_secret(target.key, target.credential)
        for target in plan.targets
        if target.credential is not None
    }
    found |= {leaf_file(name): leaf_secret(name) for name in intercepted(plan)}
    if plan.tls is not None:
        found[f"{LISTENER_TLS}.json"] = listener_secret(plan.tls)
        if plan.tls.client_ca is not None:
            found[f"{CLIENT_CA}.json"] = client_ca_secret(plan.tls)
    return found


def _response(messages: Sequence[Message]) -> str:
    body = document(DiscoveryResponse(resources=[packed(message) for message in messages]))
    text = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE).decode()
    version = hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]
    return f'{_VERSION}{version}",{text.removeprefix("{")}'
