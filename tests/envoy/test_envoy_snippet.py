"""What `holdpoint envoy snippet` prints: Envoy takes it, and it says the same as our own configuration."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.plan import BadPlan, Credential, EnvoyPlan, ProxyPlan, Scheme, TargetPlan, Upstream
from extproc.adapters.envoy.render import document
from extproc.adapters.envoy.snippet import envoy_snippet, istio_snippet
from extproc.domain.target import Inspect
from tests.support.envoy import envoy_program

LOG = "/dev/stdout"
RUN = "/var/run/holdpoint"


@pytest.fixture
def plan(tmp_path: Path) -> EnvoyPlan:
    """A target of each kind, and a forward proxy, which is left out."""
    (tmp_path / "secret").write_text("s")
    here = Upstream(Scheme.HTTP, "127.0.0.1", 9001)
    targets = (
        TargetPlan("crm", here, credential=Credential(str(tmp_path / "secret")), revision="r1"),
        TargetPlan("files", Upstream(Scheme.HTTP, "files.example.com", 80, "/v1"), inspect=Inspect.HEADERS),
        TargetPlan("bank", Upstream(Scheme.HTTPS, "bank.example.com", 443, ca="ca.pem"), opaque=True),
    )
    return EnvoyPlan("127.0.0.1", 8080, "holdpoint.test", targets, 2, proxy=ProxyPlan("127.0.0.1", 8081))


def accepted(folder: Path, document: Any) -> None:
    """Envoy would run it."""
    (folder / "own.yaml").write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    arguments = [envoy_program(), "--mode", "validate", "--disable-hot-restart", "-l", "error", "-c", "own.yaml"]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def merged(base: Any, patch: Any) -> Any:
    """As Envoy's messages merge: maps by member, lists one after the other."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{k: merged(base[k], v) if k in base else v for k, v in patch.items()}}
    return base + patch if isinstance(base, list) and isinstance(patch, list) else patch


def test_envoy_starts_on_the_snippet(plan: EnvoyPlan, tmp_path: Path) -> None:
    """The document is whole, and its files are where that Envoy sees them."""
    text = envoy_snippet(plan, "holdpoint.yaml", RUN, LOG)
    accepted(tmp_path, text)
    assert "access.log" not in text
    assert "../run" not in text
    assert f"{RUN}/worker-1.sock" in text
    assert "bank" not in text


def test_the_snippet_says_what_our_own_configuration_says(plan: EnvoyPlan) -> None:
    """Filters, routes and the workers' cluster are the same."""
    static = yaml.safe_load(envoy_snippet(plan, "holdpoint.yaml", "../run/workers", "access.log"))["static_resources"]
    ours = generate(plan)
    manager = document(ours.listeners[0].filter_chains[0].filters[0])["typed_config"]
    theirs = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert theirs.pop("route_config") == document(ours.routes["rds.json"])
    del manager["rds"]
    assert theirs == manager
    assert static["clusters"][0] == document(ours.clusters[0])
    assert [cluster.get("type") for cluster in static["clusters"]] == ["STATIC", "STATIC", "STRICT_DNS"]


def test_istio_patches_make_a_gateway_that_envoy_takes(plan: EnvoyPlan, tmp_path: Path) -> None:
    """Applied as Istio says it does, to a gateway as it makes them."""
    document = yaml.safe_load(istio_snippet(plan, "holdpoint.yaml", RUN, LOG))
    assert (document["apiVersion"], document["kind"]) == ("networking.istio.io/v1alpha3", "EnvoyFilter")
    patches: dict[str, list[Any]] = {}
    for patch in document["spec"]["configPatches"]:
        assert patch["match"]["context"] == "GATEWAY"
        patches.setdefault(patch["applyTo"], []).append(patch)
    kinds = {kind: [p["patch"]["operation"] for p in found] for kind, found in patches.items()}
    assert kinds == {
        "NETWORK_FILTER": ["MERGE"],
        "HTTP_FILTER": ["INSERT_BEFORE"] * 3,
        "HTTP_ROUTE": ["MERGE"] * 2,
        "CLUSTER": ["ADD"],
    }
    patched = {p["match"]["routeConfiguration"]["vhost"]["route"]["name"]: p for p in patches["HTTP_ROUTE"]}
    routes = [
        merged({"name": name, "match": {"prefix": "/"}, "route": {"cluster": "up"}}, p["patch"]["value"])
        for name, p in patched.items()
    ]
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    hosts = [{"name": r["name"], "domains": [r["name"]], "routes": [r]} for r in routes]
    value = patches["NETWORK_FILTER"][0]["patch"]["value"]
    base = {
        "name": value["name"],
        "typed_config": {
            "@type": value["typed_config"]["@type"],
            "stat_prefix": "outbound",
            "route_config": {"name": "http.8080", "virtual_hosts": hosts},
            "http_filters": [*(p["patch"]["value"] for p in patches["HTTP_FILTER"]), router],
            "upgrade_configs": [{"upgrade_type": "websocket"}],
        },
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "gateway", "address": address, "filter_chains": [{"filters": [merged(base, value)]}]}
    clusters = [{"name": "up", "type": "STATIC"}, *(p["patch"]["value"] for p in patches["CLUSTER"])]
    accepted(tmp_path, {"static_resources": {"listeners": [listener], "clusters": clusters}})
    names = [f["name"].rpartition(".")[2] for f in base["typed_config"]["http_filters"]]
    assert names == ["ext_proc", "rbac", "header_mutation", "router"]


def test_a_socket_whose_path_is_too_long_is_refused(plan: EnvoyPlan) -> None:
    """Envoy would say so only when it starts."""
    with pytest.raises(BadPlan, match="at most 107 bytes"):
        envoy_snippet(plan, "holdpoint.yaml", f"/{'x' * 100}", LOG)
