"""What an Envoy that somebody else runs needs, so that it asks our workers: the very resources that ours runs on, in
one document that stands for itself, or as patches for Istio.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any as Anything

import yaml
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType

from extproc.adapters.envoy.access import ACCESS_LOG
from extproc.adapters.envoy.clusters import WORKERS, assigned
from extproc.adapters.envoy.endpoints import cluster_name
from extproc.adapters.envoy.generate import Resources, generate
from extproc.adapters.envoy.manager import ANSWERS, MANAGER, ROUTER
from extproc.adapters.envoy.messages import tcp
from extproc.adapters.envoy.plan import BadPlan, EnvoyPlan, is_address
from extproc.adapters.envoy.processor import EXT_PROC, RBAC
from extproc.adapters.envoy.render import Document, document
from extproc.adapters.envoy.validate import inline

_LONGEST_SOCKET = 107

_HEAD = """\
# For an Envoy of your own in front of Holdpoint's workers, generated from {source}.
# Generate it again after every change of a target: its routes name the targets' revisions, and a worker
# refuses those that it does not know. What is your duty from here on: docs/own-envoy.md.
"""
_STATIC = (
    (
        "listeners",
        """
# Where agents connect. Keep the order of the filters (ext_proc, rbac, header_mutation, router) and what stands before
# them: nothing between ext_proc and the router may change a request, for it would change what was decided.
# header_mutation takes off answers what a worker may not change, and so could not mask.
""",
    ),
    (
        "clusters",
        """
# The workers, on unix sockets of the gateway's user (this Envoy runs as that user, on that host or in that pod), and
# the upstreams. A name is resolved by this Envoy now, and no address that it gets is checked.
""",
    ),
    (
        "secrets",
        """
# Files only, never what is in them. Without SDS they are read when Envoy starts.
""",
    ),
)
_ISTIO = """\
# For an Istio gateway: put `workloadSelector` and `namespace` right. Every route of that gateway has to be one of
# Holdpoint's: what is not is refused with 500. Name the HTTP routes of your VirtualService as the targets, let each
# have `retries: {attempts: 0}` and send nothing to a mirror. The real credentials are not in here; see
# docs/own-envoy.md.
"""


def envoy_snippet(plan: EnvoyPlan, source: str, run: str, log: str) -> str:
    """The listener, routes, clusters and secrets of this plan as one YAML document that Envoy can start on, or that
    can be merged into another bootstrap. `source` names the configuration for its first comment, `run` is the folder
    of the workers' sockets as that Envoy sees it, and `log` its access log. The forward proxy is left out.

    Pure. Raises BadPlan, UnsafeModes."""
    plan = _direct(plan, run)
    resources = generate(plan)
    static = inline(replace(resources, clusters=_reachable(plan, resources)), "{}")["static_resources"]
    static = _moved(static, _files(plan, run, log))
    parts = [_HEAD.format(source=source), "static_resources:\n"]
    for name, comment in _STATIC:
        if static[name]:
            parts.append(_indented(comment + _yaml({name: static[name]})))
    return "".join(parts)


def istio_snippet(plan: EnvoyPlan, source: str, run: str, log: str) -> str:
    """The same as an EnvoyFilter document for an Istio gateway: hardening of its connection manager, the filters, what
    each target's route tells the workers, and the workers' cluster. Routes and upstreams stay Istio's. Databases are
    left out: what a listener of Istio's does with their bytes first is not ours to say.

    Pure. Raises BadPlan, UnsafeModes."""
    plan = replace(_direct(plan, run), postgres=None, dialled=())
    resources = generate(plan)
    manager = document(resources.listeners[0].filter_chains[0].filters[0])
    config = manager["typed_config"]
    filters = {f["name"]: f for f in config.pop("http_filters")}
    for ours in ("rds", "stat_prefix", "codec_type", "server_name", "server_header_transformation"):
        config.pop(ours, None)
    within = {"listener": {"filterChain": {"filter": {"name": MANAGER}}}}
    before = {"listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": ROUTER}}}}}
    patches = [_patch("NETWORK_FILTER", within, "MERGE", {"name": MANAGER, "typed_config": config})]
    patches += [_patch("HTTP_FILTER", before, "INSERT_BEFORE", filters[name]) for name in (EXT_PROC, RBAC, ANSWERS)]
    patches += [_patch("HTTP_ROUTE", match, "MERGE", value) for match, value in _istio_routes(plan, resources)]
    workers = next(cluster for cluster in resources.clusters if cluster.name == WORKERS)
    patches.append(_patch("CLUSTER", {}, "ADD", document(workers)))
    patched = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "holdpoint", "namespace": "holdpoint"},
        "spec": {
            "workloadSelector": {"labels": {"istio": "holdpoint-gateway"}},
            "configPatches": _moved(patches, _files(plan, run, log)),
        },
    }
    return _HEAD.format(source=source) + _ISTIO + _yaml(patched)


def _direct(plan: EnvoyPlan, run: str) -> EnvoyPlan:
    """Without the forward proxy, whose tunnels end with certificates of the gateway's own authority."""
    longest = f"{run}/{'worker' if plan.postgres is None else 'postgres'}-{plan.workers - 1}.sock"
    if len(longest.encode()) > _LONGEST_SOCKET:
        raise BadPlan(
            f"{longest}: a unix socket's path has at most {_LONGEST_SOCKET} bytes; mount the folder elsewhere"
        )
    return replace(plan, proxy=None, targets=tuple(target for target in plan.targets if not target.opaque))


def _reachable(plan: EnvoyPlan, resources: Resources) -> tuple[Cluster, ...]:
    """Upstreams with a name are found by that Envoy's own resolver, for nobody writes it their addresses."""
    named = {cluster_name(t.key): t.upstream for t in plan.targets if not is_address(t.upstream.host)}
    clusters = []
    for cluster in resources.clusters:
        if (upstream := named.get(cluster.name)) is not None:
            cluster = deepcopy(cluster)
            cluster.type, cluster.eds_cluster_config = ClusterDiscoveryType.STRICT_DNS, None
            cluster.load_assignment = assigned(cluster.name, [tcp(upstream.host, upstream.port)])
        clusters.append(cluster)
    return tuple(clusters)


def _istio_routes(plan: EnvoyPlan, resources: Resources) -> Iterator[tuple[Document, Document]]:
    """What each target's route adds to the one of the same name in Istio's configuration. The route by the target's
    own host is the one: there is no prefix in front of what is asked for."""
    configuration = next(iter(resources.routes.values()))
    own = {host.name: host.routes[-1] for host in configuration.virtual_hosts}
    for target in plan.targets:
        route = document(own[target.name])
        action = {name: route["route"][name] for name in ("timeout", "idle_timeout")}
        value = {
            "route": action,
            "request_headers_to_remove": list(configuration.request_headers_to_remove),
            "typed_per_filter_config": route["typed_per_filter_config"],
        }
        yield {"routeConfiguration": {"vhost": {"route": {"name": target.name}}}}, value


def _patch(apply_to: str, match: Document, operation: str, value: Document) -> Document:
    patch = {"operation": operation, "value": value}
    return {"applyTo": apply_to, "match": {"context": "GATEWAY", **match}, "patch": patch}


def _files(plan: EnvoyPlan, run: str, log: str) -> dict[str, str]:
    """Files by their names relative to our Envoy's working directory, and what they are called elsewhere."""
    sockets = (f"{kind}-{index}.sock" for kind in ("worker", "postgres") for index in range(plan.workers))
    return {ACCESS_LOG: log, **{f"{plan.run}/{name}": f"{run}/{name}" for name in sockets}}


def _moved(node: Anything, files: Mapping[str, str]) -> Anything:
    if isinstance(node, list):
        return [_moved(item, files) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {name: _moved(value, files) for name, value in node.items()}
    if isinstance(path := moved.get("path"), str):
        moved["path"] = files.get(path, path)
    return moved


def _yaml(value: Anything) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)


def _indented(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))
