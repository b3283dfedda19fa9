"""An Envoy of somebody else in front of our workers: made from the snippet it serves, and whatever is then changed in
it for the worse is refused by the worker, or is on the list of the operator's duties (docs/own-envoy.md)."""

import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.envoy import Reply, envoy_program, read_reply, until
from tests.support.envoy_upstream import Seen
from tests.support.gateway import CREDENTIAL, Gateway, running

Listener = dict[str, Any]
Change = Callable[[Listener], None]
EXT_PROC = "envoy.filters.http.ext_proc"
LOOPBACK = {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}


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


def without_header_mutation(listener: Listener) -> None:
    """Names that a worker may not change stay in answers."""
    del manager(listener)["http_filters"][2]


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
    """What fails is sent again, to a cluster whose circuit breakers let it."""
    for route in routes(listener):
        route["route"].update(cluster="loose", retry_policy={"retry_on": "5xx", "num_retries": 2})


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
        loose = deepcopy(
            next(c for c in document["static_resources"]["clusters"] if c["name"].startswith("target-crm-"))
        )
        loose["name"] = "loose"
        del loose["circuit_breakers"]
        document["static_resources"]["clusters"] += [nobody, loose]
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


@dataclass(frozen=True, slots=True)
class Case:
    """A change, what is then sent, and what comes of it: the status, and how often the upstream is asked."""

    name: str
    change: Change
    status: int
    asked: int = 0
    path: str = "/accounts/1"
    headers: tuple[str, ...] = ()
    method: str = "GET"


BODY_MODES = ("NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL")
REFUSED = [
    *(
        Case(f"{lane} {m}", set_mode(**{f"{lane}_body_mode": m}), 500)
        for lane in ("request", "response")
        for m in BODY_MODES
    ),
    Case("no bodies", set_mode(request_body_mode="NONE", response_body_mode="NONE"), 500),
    Case("response unseen", set_mode(response_header_mode="SKIP", response_body_mode="NONE"), 500),
    Case("no settings on routes", say_nothing, 500),
    Case("no target told", tell("x-holdpoint-target", None), 500),
    Case("no revision told", tell("x-holdpoint-revision", None), 500),
    Case("no way told", tell("x-holdpoint-via", None), 500),
    Case("old revision told", tell("x-holdpoint-revision", "0000000000000000"), 500),
    Case("no attributes", set_ext_proc(request_attributes=[]), 500),
    Case("only observed", set_ext_proc(observability_mode=True), 403),
    Case("request's head unseen", set_mode(request_header_mode="SKIP"), 403),
    Case("no answers of ours", set_ext_proc(disable_immediate_response=True), 500, path="/a%zz"),
    *(
        Case(f"path {p}", as_typed, 400, path=p)
        for p in ("/a/../b", "/a//b", "/a%2fb", "/a/%2e%2e/b", "/a/..;/b", "/%61", "/a\\b")
    ),
    *(
        Case(f"client says {h}", both(without_strips, set_manager(use_remote_address=False)), 400, headers=(f"{h}: x",))
        for h in (
            "x-holdpoint-ticket",
            "x-forwarded-for",
            "forwarded",
            "x-original-url",
            "x-http-method-override",
        )
    ),
    Case(
        "underscores",
        set_manager(common_http_protocol_options={"headers_with_underscores_action": "ALLOW"}),
        400,
        headers=("a_b: c",),
    ),
    Case(
        "upgrades",
        set_manager(upgrade_configs=[{"upgrade_type": "websocket"}]),
        400,
        headers=("Connection: upgrade", "Upgrade: websocket"),
    ),
    Case("somebody is internal", set_manager(internal_address_config=LOOPBACK), 400),
    Case(
        "switches of somebody internal",
        both(without_strips, set_manager(internal_address_config=LOOPBACK, use_remote_address=False)),
        400,
        headers=("x-envoy-retry-on: 5xx", "x-forwarded-for: 127.0.0.1"),
    ),
    Case("trace", without_refusals, 405, method="TRACE"),
    Case("fail open, workers gone", both(ask_nobody, set_ext_proc(failure_mode_allow=True)), 403),
    Case("no rbac, workers gone", both(ask_nobody, without_rbac), 500),
]
HARMLESS = [
    Case("as it is", untouched, 200, 1),
    Case("allow_mode_override", set_ext_proc(allow_mode_override=True), 200, 1),
    Case("no rbac", without_rbac, 200, 1),
    Case("no removals", without_removals, 200, 1),
    Case("trailers of answers unseen", set_mode(response_trailer_mode="SKIP"), 200, 1),
]
# Nobody but the operator can see to these: docs/own-envoy.md says so of each.
DUTIES = [
    Case(
        "fail open, no rbac, workers gone",
        both(ask_nobody, set_ext_proc(failure_mode_allow=True), without_rbac),
        200,
        1,
    ),
    Case("retries", retrying, 500, 3),
]
TELLING = Case("no header_mutation", without_header_mutation, 200, 1)
CASES = [*REFUSED, *HARMLESS, *DUTIES, TELLING]


@pytest.fixture(scope="module")
def behind() -> Iterator[Gateway]:
    """A gateway with a target that has a credential, and one that has none."""
    yield from running(targets="open: {upstream: UPSTREAM, environment: production}", listen="envoy: own")


@pytest.fixture(scope="module")
def own(behind: Gateway) -> Iterator[Own]:
    """An Envoy of our own before its workers."""
    envoy = Own(behind, {case.name: case.change for case in CASES})
    yield envoy
    envoy.stop()


def ask(own: Own, gateway: Gateway, case: Case, target: str = "crm") -> Reply:
    """Send a case's request as an agent."""
    gateway.upstream.reset()
    token = gateway.agents.token("agent-1")
    head = [
        f"{case.method} {case.path} HTTP/1.1",
        f"Host: {target}.holdpoint.internal",
        f"Authorization: Bearer {token}",
    ]
    return own.send(case.name, "\r\n".join([*head, *case.headers, "", ""]).encode())


@pytest.mark.parametrize("case", REFUSED + HARMLESS, ids=lambda case: case.name)
def test_a_mistake_in_an_envoy_of_somebody_else_lets_nothing_pass(own: Own, behind: Gateway, case: Case) -> None:
    """What a worker can see it refuses, and what is harmless stays so."""
    reply = ask(own, behind, case)
    assert (reply.status, len(behind.upstream.seen)) == (case.status, case.asked)


@pytest.mark.parametrize("target", ["crm", "open"])
def test_the_agents_token_stays_behind(own: Own, behind: Gateway, target: str) -> None:
    """Also where Envoy was not told to take it off."""
    ask(own, behind, next(case for case in HARMLESS if case.name == "no removals"), target)
    (seen,) = behind.upstream.seen
    assert seen.headers.get("authorization") == ([f"Bearer {CREDENTIAL}"] if target == "crm" else None)


def test_a_refusal_of_the_workers_is_a_record(own: Own, behind: Gateway) -> None:
    """Of what they can answer there is a decision with its code."""
    case = next(case for case in REFUSED if case.path == "/a/../b")
    reply = ask(own, behind, case)
    found = [r for r in behind.records("decision") if r["request"] == reply.headers["x-request-id"]]
    assert [reason["code"] for reason in found[0]["decision"]["reasons"]] == ["ambiguous-path"]


@pytest.mark.parametrize(("name", "told"), [("as it is", False), (TELLING.name, True)])
def test_what_a_worker_may_not_change_is_taken_off_answers(own: Own, behind: Gateway, name: str, told: bool) -> None:
    """By the snippet's filter; without it nobody does: the operator's duty."""
    behind.upstream.reset()
    behind.upstream.answer = lambda _: [
        f"HTTP/1.1 200 OK\r\nhost: {CREDENTIAL}\r\nx-envoy-a: {CREDENTIAL}\r\ncontent-length: 0\r\n\r\n".encode()
    ]
    token = behind.agents.token("agent-1")
    head = f"GET /accounts/1 HTTP/1.1\r\nHost: crm.holdpoint.internal\r\nAuthorization: Bearer {token}\r\n\r\n"
    reply = own.send(name, head.encode())
    assert (reply.status, CREDENTIAL in reply.headers.values()) == (200, told)


@pytest.mark.parametrize("case", DUTIES, ids=lambda case: case.name)
def test_duties_are_duties(own: Own, behind: Gateway, case: Case) -> None:
    """What no worker sees passes: were this to change, the document would have to."""

    def fails(_: Seen) -> list[bytes]:
        return [b"HTTP/1.1 500 Failed\r\ncontent-length: 0\r\n\r\n"]

    behind.upstream.reset()
    token = behind.agents.token("agent-1")
    if case.status == 500:
        behind.upstream.answer = fails
    data = f"GET /accounts/1 HTTP/1.1\r\nHost: crm.holdpoint.internal\r\nAuthorization: Bearer {token}\r\n\r\n"
    reply = own.send(case.name, data.encode())
    assert (reply.status, len(behind.upstream.seen)) == (case.status, case.asked)


def test_no_envoy_of_ours_runs_beside_it(behind: Gateway) -> None:
    """Nobody listens on the agents' address, and the gateway is ready without."""
    assert not [e for e in behind.log if e.get("message") == "envoy is ready"]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", behind.port), 5):
        pass
    assert behind.get_ops("/readyz")[0] == 200
