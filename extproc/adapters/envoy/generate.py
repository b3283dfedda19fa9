"""From a plan to Envoy's resources, and from those to the documents that Envoy reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any as Anything
from typing import cast

from betterproto2 import Casing, Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.clusters import http_cluster, opaque_cluster, workers_cluster
from extproc.adapters.envoy.connections import connection_clusters, connection_listeners
from extproc.adapters.envoy.destinations import intercepted
from extproc.adapters.envoy.listener import listeners
from extproc.adapters.envoy.modes import check_modes
from extproc.adapters.envoy.plan import EnvoyPlan, is_address
from extproc.adapters.envoy.proxy import (
    PROXY_ROUTES_FILE,
    proxy_configuration,
    tunnel_configuration,
    tunnel_routes_file,
)
from extproc.adapters.envoy.routes import ROUTES_FILE, route_configuration
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
from extproc.adapters.envoy.tunnels import tunnel_clusters, tunnel_listeners

Document = dict[str, Anything]
"""One JSON document in Envoy's shape, whose members only Envoy's own schema describes."""

# Either casing of the library breaks `consecutive_5xx` (into `5Xx` or `5_xx`). It only ever calls its argument.
_AS_WRITTEN = cast(Casing, str)


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
    targets = [opaque_cluster(t) if t.opaque else http_cluster(t, upstream_filters(t)) for t in plan.targets]
    resources = Resources(
        listeners=(*listeners(plan), *connection_listeners(plan), *tunnel_listeners(plan)),
        routes=_routes(plan),
        clusters=(workers_cluster(plan), *connection_clusters(plan), *targets, *tunnel_clusters(plan)),
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


def _routes(plan: EnvoyPlan) -> dict[str, RouteConfiguration]:
    found = {ROUTES_FILE: route_configuration(plan)}
    if plan.proxy is not None:
        found[PROXY_ROUTES_FILE] = proxy_configuration(plan)
        found |= {tunnel_routes_file(t.name): tunnel_configuration(plan, t) for t in plan.targets if not t.opaque}
    return found


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


def as_document(message: Message) -> Document:
    """A message in protobuf's JSON form, its members named as in the schema."""
    return dict(message.to_dict(casing=_AS_WRITTEN))


def _response(messages: Sequence[Message]) -> str:
    response = DiscoveryResponse(resources=[Any.pack(message) for message in messages])
    body = as_document(response)
    version = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, **body}, indent=1) + "\n"
