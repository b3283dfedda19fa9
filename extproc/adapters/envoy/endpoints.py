"""Which addresses a target's name stands for. Envoy resolves no names: it reads these files, whose writer has checked
each address. Light to import: no generated messages."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any as Anything

from extproc.adapters.envoy.replace import replace_file

ENDPOINTS = "eds"
"""Folder of the documents, below Envoy's working directory."""

_ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def cluster_name(target: str) -> str:
    """The cluster of a target's upstream; the prefix keeps it apart from our own clusters."""
    return f"target-{target}"


def endpoints_file(target: str) -> str:
    """The name of a target's document, relative to Envoy's working directory."""
    return f"{ENDPOINTS}/{target}.json"


def endpoints_document(cluster: str, addresses: Sequence[tuple[str, int]]) -> str:
    """The document that gives a cluster these IP addresses and ports, in use in turn. With none every request is
    refused with 503."""
    endpoints: list[Anything] = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}} for host, port in addresses
    ]
    assignment: dict[str, Anything] = {"@type": _ASSIGNMENT, "cluster_name": cluster}
    if endpoints:
        assignment["endpoints"] = [{"lb_endpoints": endpoints}]
    resources = [assignment]
    version = hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "resources": resources}, indent=1) + "\n"


def read_endpoints(directory: Path, target: str) -> tuple[tuple[str, int], ...]:
    """The addresses and ports that were last written for a target, in their order; none where none were. `directory` is
    Envoy's working directory. Raises OSError, and ValueError for what `write_endpoints` did not write."""
    try:
        document = json.loads((directory / endpoints_file(target)).read_bytes())
    except FileNotFoundError:
        return ()
    try:
        (assignment,) = document["resources"]
        found = [end for group in assignment.get("endpoints", ()) for end in group["lb_endpoints"]]
        sockets = [end["endpoint"]["address"]["socket_address"] for end in found]
        return tuple((str(socket["address"]), int(socket["port_value"])) for socket in sockets)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{endpoints_file(target)}: not a document of addresses") from error


def write_endpoints(directory: Path, target: str, addresses: Sequence[tuple[str, int]]) -> bool:
    """Bring a target to these addresses, in their order; `directory` is Envoy's working directory. True if something
    changed. Raises OSError."""
    folder = directory / ENDPOINTS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = endpoints_document(cluster_name(target), addresses)
    return replace_file(directory / endpoints_file(target), document.encode())
