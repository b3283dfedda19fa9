"""Asks Envoy itself whether it would run these resources.

`envoy --mode validate` says OK of a bootstrap whose listener file is missing or malformed, so every resource is first
put into one static document.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any as Anything

import yaml

from extproc.adapters.envoy.files import bootstrap_text
from extproc.adapters.envoy.generate import Resources
from extproc.adapters.envoy.render import Document, document

_TIMEOUT_SECONDS = 60


class EnvoyRefused(ValueError):
    """Envoy would not run this configuration. The message is its complaint, without time stamps and source lines."""


def inline(resources: Resources, bootstrap: str) -> Document:
    """One static bootstrap document: routes stand in their listeners, secrets beside the clusters, nothing is watched.

    `bootstrap` is the YAML text. Raises EnvoyRefused if that is not a mapping.
    """
    try:
        base = yaml.safe_load(bootstrap)
    except yaml.YAMLError as error:
        raise EnvoyRefused(f"bootstrap.yaml: {error}") from None
    if not isinstance(base, dict):
        raise EnvoyRefused(f"bootstrap.yaml: expected a mapping, found {type(base).__name__}")
    routes = {route.name: document(route) for route in resources.routes.values()}
    found = {name: value for name, value in base.items() if name != "dynamic_resources"}
    found["static_resources"] = {
        "listeners": [_static(document(x), routes) for x in resources.listeners],
        "clusters": [_static(document(x), routes) for x in resources.clusters],
        "secrets": [document(x) for x in resources.secrets.values()],
    }
    return found


def validate(resources: Resources, directory: Path, envoy: str, bootstrap: str | None = None) -> None:
    """Run `envoy --mode validate` over the inlined resources in `directory`, which relative file names start from.

    `envoy` is the program. Raises EnvoyRefused with Envoy's complaint, and OSError where Envoy cannot be started.
    """
    whole = inline(resources, bootstrap_text() if bootstrap is None else bootstrap)
    with tempfile.NamedTemporaryFile("w", prefix=".validate.", suffix=".json", dir=directory, encoding="utf-8") as file:
        json.dump(whole, file)
        file.flush()
        arguments = [envoy, "--mode", "validate", "--disable-hot-restart", "--log-level", "error", "--log-format", "%v"]
        try:
            done = subprocess.run(
                [*arguments, "-c", Path(file.name).name],
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EnvoyRefused(f"envoy --mode validate gave no answer within {_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        raise EnvoyRefused(_complaint(done.stderr or done.stdout, Path(file.name).name))


def _static(node: Anything, routes: dict[str, Document]) -> Anything:
    """The same document with each reference to a file-borne resource replaced by the resource or, for a secret, by
    its bare name."""
    if isinstance(node, list):
        return [_static(item, routes) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "EDS":
        # Its addresses come from a file that may change at any time; a cluster without any is as good to check.
        kept = {name: value for name, value in node.items() if name != "eds_cluster_config"}
        return _static({**kept, "type": "STATIC", "load_assignment": {"cluster_name": node["name"]}}, routes)
    out: Document = {}
    for name, value in node.items():
        if name == "rds":
            found = routes.get(value.get("route_config_name", ""))
            if found is None:
                raise EnvoyRefused(f"listener: no route configuration is called {value.get('route_config_name')!r}")
            out["route_config"] = found
        elif name != "sds_config":
            out[name] = _static(value, routes)
    return out


def _complaint(output: str, file: str) -> str:
    lines = [line.strip().replace(f"'{file}'", "the configuration") for line in output.splitlines()]
    kept = list(dict.fromkeys(line for line in lines if line))
    return "\n".join(kept) or "Envoy refused the configuration and said nothing"
