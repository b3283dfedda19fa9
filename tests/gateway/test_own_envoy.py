"""An Envoy of somebody else in front of our workers: made from the snippet it serves, and whatever is then changed in
it for the worse is refused by the worker, or is on the list of the operator's duties (docs/own-envoy.md)."""

import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support.envoy import Reply, envoy_program, read_reply, until
from tests.support.gateway import Gateway

Listener = dict[str, Any]
Change = Callable[[Listener], None]
EXT_PROC = "envoy.filters.http.ext_proc"
HEADERS = "headers-only"


def manager(listener: Listener) -> dict[str, Any]:
    """The connection manager's settings."""
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def ext_proc(listener: Listener) -> dict[str, Any]:
    """The settings of the ext_proc filter for all routes."""
    found: dict[str, Any] = manager(listener)["http_filters"][0]["typed_config"]
    return found


def routes(listener: Listener) -> list[dict[str, Any]]:
    """The routes that lead to targets."""
    hosts = manager(listener)["route_config"]["virtual_hosts"]
    return [route for host in hosts for route in host["routes"] if "route" in route]


def overrides(listener: Listener) -> list[dict[str, Any]]:
    """What each of them changes of ext_proc."""
    return [route["typed_per_filter_config"][EXT_PROC]["overrides"] for route in routes(listener)]


def untouched(_: Listener) -> None:
    """The snippet as it is."""


def set_manager(**values: Any) -> Change:
    """Other settings of the connection manager."""
    return lambda listener: manager(listener).update(values)


def set_ext_proc(**values: Any) -> Change:
    """Other settings of ext_proc, for all routes."""
    return lambda listener: ext_proc(listener).update(values)


def set_mode(**values: str) -> Change:
    """Another processing mode on the routes."""

    def change(listener: Listener) -> None:
        for override in overrides(listener):
            override["processing_mode"].update(values)

    return change


def tell(name: str, value: str | None) -> Change:
    """Other metadata on the routes, or less."""

    def change(listener: Listener) -> None:
        for override in overrides(listener):
            kept = [m for m in override["grpc_initial_metadata"] if m["key"] != name]
            override["grpc_initial_metadata"] = kept + ([{"key": name, "value": value}] if value is not None else [])

    return change


def say_nothing(listener: Listener) -> None:
    """Routes without settings of ext_proc."""
    for route in routes(listener):
        del route["typed_per_filter_config"]


def ask_nobody(listener: Listener) -> None:
    """Workers that are not there."""
    ext_proc(listener)["grpc_service"]["envoy_grpc"]["cluster_name"] = "nobody"


def without_rbac(listener: Listener) -> None:
    """No second lock behind ext_proc."""
    del manager(listener)["http_filters"][1]


def without_strips(listener: Listener) -> None:
    """Whatever a client says of itself stays."""
    del manager(listener)["early_header_mutation_extensions"]


def without_refusals(listener: Listener) -> None:
    """None of the routes that lead nowhere."""
    for host in manager(listener)["route_config"]["virtual_hosts"]:
        host["routes"] = [route for route in host["routes"] if "route" in route]


def without_removals(listener: Listener) -> None:
    """What says who asks is not taken off on the way to the upstream."""
    del manager(listener)["route_config"]["request_headers_to_remove"]


def as_typed(listener: Listener) -> None:
    """Paths go on as they come."""
    manager(listener).update(
        normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED"
    )
    without_refusals(listener)


def retrying(listener: Listener) -> None:
    """What fails is sent again."""
    for route in routes(listener):
        route["route"]["retry_policy"] = {"retry_on": "5xx", "num_retries": 2}


def both(*changes: Change) -> Change:
    """Several changes."""

    def change(listener: Listener) -> None:
        for one in changes:
            one(listener)

    return change


class Own:
    """An Envoy on a snippet's document, with a listener for each change of it."""

    def __init__(self, gateway: Gateway, changes: dict[str, Change]) -> None:
        shown = gateway.holdpoint("envoy", "snippet")
        if shown.returncode:
            raise AssertionError(shown.stderr)
        document = yaml.safe_load(shown.stdout)
        (listener,) = document["static_resources"]["listeners"]
        document["static_resources"]["listeners"] = [_changed(listener, name, do) for name, do in changes.items()]
        workers = next(c for c in document["static_resources"]["clusters"] if c["name"] == "workers")
        nobody = deepcopy(workers)
        nobody["name"] = nobody["load_assignment"]["cluster_name"] = "nobody"
        for endpoint in nobody["load_assignment"]["endpoints"][0]["lb_endpoints"]:
            endpoint["endpoint"]["address"]["pipe"]["path"] = "nobody.sock"
        document["static_resources"]["clusters"].append(nobody)
        document["admin"] = {"address": {"pipe": {"path": "own.sock"}}}
        self._folder = tempfile.TemporaryDirectory(prefix="hp-")
        self._admin = Path(self._folder.name) / "own.sock"
        (Path(self._folder.name) / "own.yaml").write_text(yaml.safe_dump(document))
        self._process = subprocess.Popen(
            [envoy_program(), "-c", "own.yaml", "--disable-hot-restart", "--concurrency", "1", "-l", "error"],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
        )
        try:
            self.ports = until(self._listening, "the listeners of our own Envoy")
        except TimeoutError:
            self.stop()
            raise

    def _listening(self) -> dict[str, int]:
        if self._process.poll() is not None:
            raise RuntimeError("our own Envoy ended")
        if not self._admin.exists() or not self._ask("/ready").startswith("LIVE"):
            return {}
        found = json.loads(self._ask("/listeners?format=json")).get("listener_statuses", [])
        return {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in found}

    def _ask(self, path: str) -> str:
        connection = http.client.HTTPConnection("own")
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self._admin))
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def send(self, change: str, data: bytes) -> Reply:
        """Send these bytes to a listener and read one response."""
        with socket.create_connection(("127.0.0.1", self.ports[change]), timeout=30) as connection:
            connection.sendall(data)
            return read_reply(connection)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()


def _changed(listener: Listener, name: str, change: Change) -> Listener:
    changed = deepcopy(listener)
    changed["name"] = name
    changed["address"]["socket_address"]["port_value"] = 0
    change(changed)
    return changed
