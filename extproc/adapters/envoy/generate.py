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

from extproc.adapters.envoy.clusters import http_cluster, workers_cluster
from extproc.adapters.envoy.identity import jwks_clusters
from extproc.adapters.envoy.listener import listener
from extproc.adapters.envoy.modes import check_modes
from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.adapters.envoy.routes import cluster_name, route_configuration
from extproc.adapters.envoy.secrets import (
    LISTENER_TLS,
    SECRETS,
    credential_secret,
    listener_secret,
    upstream_filters,
)

Document = dict[str, Anything]
"""One JSON document in Envoy's shape, whose members only Envoy's own schema describes."""

# Either casing of the library breaks `consecutive_5xx` (into `5Xx` or `5_xx`). It only ever calls its argument.
_AS_WRITTEN = cast(Casing, str)


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that Envoy reads, still typed. `secrets` maps a file name, relative to Envoy's working directory,
    to the one secret in it; a secret names files and never contains what is in them."""

    listeners: tuple[Listener, ...]
    routes: tuple[RouteConfiguration, ...]
    clusters: tuple[Cluster, ...]
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def generate(plan: EnvoyPlan) -> Resources:
    """The resources of a plan. Pure: reads no file. Raises UnsafeModes if they broke a rule that Envoy lets pass."""
    secrets = {
        f"{SECRETS}/{target.name}.json": credential_secret(target.name, target.credential)
        for target in plan.targets
        if target.credential is not None
    }
    if plan.tls is not None:
        secrets[f"{LISTENER_TLS}.json"] = listener_secret(plan.tls)
    targets = [http_cluster(cluster_name(t.name), t.upstream, upstream_filters(t)) for t in plan.targets]
    resources = Resources(
        listeners=(listener(plan),),
        routes=(route_configuration(plan),),
        clusters=(workers_cluster(plan), *jwks_clusters(plan.providers), *targets),
        secrets=secrets,
    )
    check_modes(resources.listeners, resources.routes)
    return resources


def documents(resources: Resources) -> dict[str, str]:
    """File name to content, in the order in which they should be replaced: what is pointed to comes first."""
    found = {name: _response([secret]) for name, secret in sorted(resources.secrets.items())}
    found["cds.json"] = _response(resources.clusters)
    found["rds.json"] = _response(resources.routes)
    found["lds.json"] = _response(resources.listeners)
    return found


def as_document(message: Message) -> Document:
    """A message in protobuf's JSON form, its members named as in the schema."""
    return dict(message.to_dict(casing=_AS_WRITTEN))


def _response(messages: Sequence[Message]) -> str:
    response = DiscoveryResponse(resources=[Any.pack(message) for message in messages])
    body = as_document(response)
    version = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, **body}, indent=1) + "\n"
