"""The generator by itself: plans that it refuses, modes that it refuses, files that it writes."""

import json
import stat
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any as Anything

import pytest
from envoy_data_plane.envoy.config.route.v3 import RetryPolicy, Route, RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcPerRoute,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerUpgradeConfig,
)
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.ca import ensure_ca, ensure_leaf
from extproc.adapters.envoy.clusters import QUEUED_FRAMES
from extproc.adapters.envoy.destinations import intercepted
from extproc.adapters.envoy.files import command, write
from extproc.adapters.envoy.generate import Resources, documents, generate
from extproc.adapters.envoy.modes import UnsafeModes, check_modes
from extproc.adapters.envoy.plan import (
    BadPlan,
    Credential,
    EnvoyPlan,
    ProxyPlan,
    Scheme,
    TargetPlan,
    TlsFiles,
    Upstream,
)
from extproc.adapters.envoy.processor import EXT_PROC, RBAC
from extproc.adapters.envoy.secrets import LEAVES
from extproc.adapters.envoy.validate import EnvoyRefused, inline, validate
from extproc.domain.target import Inspect
from tests.support.envoy import envoy_program
from tests.support.envoy_tls import self_signed

CRM = TargetPlan("crm", Upstream(Scheme.HTTP, "127.0.0.1", 9001), credential=Credential("crm.secret"))
FILES = TargetPlan("files", Upstream(Scheme.HTTP, "files.test", 80), inspect=Inspect.HEADERS)
PLAN = EnvoyPlan("127.0.0.1", 8080, "holdpoint.test", (CRM, FILES), 2)


def test_plan_gives_these_files() -> None:
    """What is pointed to stands before what points to it."""
    assert list(documents(generate(PLAN))) == ["secrets/crm-0.json", "cds.json", "lds.json", "rds.json"]


def test_generation_is_stable() -> None:
    """The same plan gives the same bytes, so that nothing is replaced in vain."""
    assert documents(generate(PLAN)) == documents(generate(PLAN))


def test_target_touches_no_listener() -> None:
    """Targets, their limits and credentials are routes, clusters and secrets: none of them drains the listener."""
    first = documents(generate(PLAN))
    second = documents(generate(replace(PLAN, targets=(FILES,), workers=4)))
    assert first["lds.json"] == second["lds.json"]
    assert first["rds.json"] != second["rds.json"]


def test_tunnels_are_told_apart() -> None:
    """Envoy keeps connections with different tickets apart only where it can hash those; a plain string it ignores."""
    text = documents(generate(replace(PLAN, proxy=ProxyPlan("127.0.0.1", 8081))))["routes/proxy.json"]
    assert "envoy.hashable_string" in text
    assert "envoy.string" not in text


def test_write_replaces_what_differs(tmp_path: Path) -> None:
    """Nothing is written twice, what is no longer named goes, and only the owner can read any of it."""
    directory = tmp_path / "envoy"
    everything = ("eds/files-0.json", "bootstrap.yaml", "secrets/crm-0.json", "cds.json", "lds.json", "rds.json")
    assert write(generate(PLAN), directory) == everything
    assert write(generate(PLAN), directory) == ()
    without = replace(PLAN, targets=(FILES,))
    assert write(generate(without), directory) == ("cds.json", "rds.json", "secrets/crm-0.json")
    assert not (directory / "secrets" / "crm.json").exists()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*") if path.is_file()}
    assert (modes, stat.S_IMODE(directory.stat().st_mode)) == ({0o600}, 0o700)
    assert sorted(path.name for path in directory.iterdir() if path.name.startswith(".")) == []


def test_a_worker_may_be_sent_many_resets() -> None:
    """Envoy resets at a worker what a client resets: no number of that may end the connection that all share."""
    workers = json.loads(documents(generate(PLAN))["cds.json"])["resources"][0]
    [protocol] = workers["typed_extension_protocol_options"].values()
    options = protocol["explicit_http_config"]["http2_protocol_options"]
    assert options["max_outbound_frames"] == options["max_outbound_control_frames"] == QUEUED_FRAMES


def test_drain_outlasts_every_hold() -> None:
    """Envoy's own 600 s would end a hold."""
    arguments = command("envoy")
    assert int(arguments[arguments.index("--drain-time-s") + 1]) > 3600


BAD_PLANS: list[tuple[str, Callable[[], EnvoyPlan]]] = [
    ("address", lambda: replace(PLAN, address="localhost")),
    ("port", lambda: replace(PLAN, port=70000)),
    ("domain", lambda: replace(PLAN, domain="Holdpoint Test")),
    ("proxy.address", lambda: replace(PLAN, proxy=ProxyPlan("localhost", 1))),
    ("proxy.port", lambda: replace(PLAN, proxy=ProxyPlan("127.0.0.1", -1))),
    ("tls.crl", lambda: replace(PLAN, tls=TlsFiles("c", "k", crl="r"))),
    ("targets.crm.opaque", lambda: replace(PLAN, targets=(replace(CRM, opaque=True),))),
    ("workers", lambda: replace(PLAN, workers=0)),
    ("run", lambda: replace(PLAN, run="/run/holdpoint")),
    ("two have the same name", lambda: replace(PLAN, targets=(CRM, CRM))),
    ("targets.a/b", lambda: replace(PLAN, targets=(replace(CRM, name="a/b"),))),
    ("targets.crm.hosts", lambda: replace(PLAN, targets=(replace(CRM, hosts=("*.test",)),))),
    ("already belongs", lambda: replace(PLAN, targets=(CRM, replace(FILES, hosts=("crm.holdpoint.test",))))),
    ("targets.crm.revision", lambda: replace(PLAN, targets=(replace(CRM, revision=""),))),
    ("targets.crm.wait", lambda: replace(PLAN, targets=(replace(CRM, wait_seconds=3601),))),
    ("upstream.host", lambda: replace(PLAN, targets=(replace(CRM, upstream=replace(CRM.upstream, host="a b")),))),
    ("upstream.port", lambda: replace(PLAN, targets=(replace(CRM, upstream=replace(CRM.upstream, port=0)),))),
    ("upstream.path", lambda: replace(PLAN, targets=(replace(CRM, upstream=replace(CRM.upstream, path="/../x")),))),
    ("upstream.ca", lambda: replace(PLAN, targets=(replace(CRM, upstream=Upstream(Scheme.HTTPS, "a.test", 443)),))),
    ("credential.file", lambda: replace(PLAN, targets=(replace(CRM, credential=Credential("")),))),
    ("credential.header", lambda: replace(PLAN, targets=(replace(CRM, credential=Credential("f", "Host")),))),
    ("credential.prefix", lambda: replace(PLAN, targets=(replace(CRM, credential=Credential("f", prefix="a\r\n")),))),
]


@pytest.mark.parametrize(("where", "make"), BAD_PLANS, ids=[row[0] for row in BAD_PLANS])
def test_bad_plan_is_refused(where: str, make: Callable[[], EnvoyPlan]) -> None:
    """A plan that no safe configuration comes from says where it is wrong."""
    with pytest.raises(BadPlan) as refused:
        make()
    assert where in str(refused.value)


def change_override(resources: Resources, change: Callable[[ExtProcPerRoute], None]) -> Resources:
    """Change the processor's settings of the first route that forwards."""
    route = forwarding(resources)
    settings = route.typed_per_filter_config[EXT_PROC].unpack()
    if not isinstance(settings, ExtProcPerRoute):
        raise TypeError("no settings")
    change(settings)
    route.typed_per_filter_config[EXT_PROC] = Any.pack(settings)
    return resources


def change_manager(resources: Resources, change: Callable[[HttpConnectionManager], None]) -> Resources:
    """Change the listener's connection manager."""
    network_filter = resources.listeners[0].filter_chains[0].filters[0]
    manager = network_filter.typed_config.unpack() if network_filter.typed_config else None
    if not isinstance(manager, HttpConnectionManager):
        raise TypeError("no connection manager")
    change(manager)
    network_filter.typed_config = Any.pack(manager)
    return resources


def forwarding(resources: Resources) -> Route:
    """The first route that forwards."""
    return next(r for r in resources.routes["rds.json"].virtual_hosts[0].routes if r.route is not None)


def mode(field: str, value: int) -> Callable[[Resources], Resources]:
    """Set one processing mode of a route."""

    def change(settings: ExtProcPerRoute) -> None:
        if settings.overrides is not None:
            setattr(settings.overrides.processing_mode, field, value)

    return lambda resources: change_override(resources, change)


def drop_route_settings(resources: Resources) -> Resources:
    """Forward without naming a target."""
    forwarding(resources).typed_per_filter_config.clear()
    return resources


def retry(resources: Resources) -> Resources:
    """Ask for retries."""
    action = forwarding(resources).route
    if action is not None:
        action.retry_policy = RetryPolicy(retry_on="5xx")
    return resources


def disable(settings: ExtProcPerRoute) -> None:
    """Switch the processor off."""
    settings.overrides = None
    settings.disabled = True


def fail_open(settings: ExtProcPerRoute) -> None:
    """Go on when the processor fails."""
    if settings.overrides is not None:
        settings.overrides.failure_mode_allow = True


def drop_rbac(manager: HttpConnectionManager) -> None:
    """Leave out the filter that asks for the decision."""
    manager.http_filters = [f for f in manager.http_filters if f.name != RBAC]


def make_optional(manager: HttpConnectionManager) -> None:
    """Let Envoy start without the processor's filter."""
    manager.http_filters[0].is_optional = True


def believe(manager: HttpConnectionManager) -> None:
    """Take clients with private addresses for our own."""
    manager.internal_address_config = HttpConnectionManagerInternalAddressConfig()


SKIP, SEND_BODY = ProcessingModeHeaderSendMode.SKIP, ProcessingModeBodySendMode
UNSAFE: list[tuple[str, Callable[[Resources], Resources]]] = [
    ("response_trailer_mode must be SEND", mode("response_trailer_mode", SKIP)),
    ("request_trailer_mode must be SEND", mode("request_trailer_mode", ProcessingModeHeaderSendMode.DEFAULT)),
    ("response_header_mode must be SEND", mode("response_header_mode", SKIP)),
    ("request_header_mode must be SEND", mode("request_header_mode", SKIP)),
    ("request_body_mode BUFFERED_PARTIAL", mode("request_body_mode", SEND_BODY.BUFFERED_PARTIAL)),
    ("response_body_mode STREAMED", mode("response_body_mode", SEND_BODY.STREAMED)),
    ("request_body_mode BUFFERED", mode("request_body_mode", SEND_BODY.BUFFERED)),
    ("response_body_mode GRPC", mode("response_body_mode", SEND_BODY.GRPC)),
    ("tells the processor nothing", drop_route_settings),
    ("the processor is disabled", lambda r: change_override(r, disable)),
    ("failure_mode_allow", lambda r: change_override(r, fail_open)),
    ("retries", retry),
    ("in this order", lambda r: change_manager(r, lambda m: m.http_filters.reverse())),
    ("in this order", lambda r: change_manager(r, drop_rbac)),
    ("may be left out", lambda r: change_manager(r, make_optional)),
    ("internal_address_config", lambda r: change_manager(r, believe)),
]


def tunnel(change: Callable[[Route], None]) -> Callable[[Resources], Resources]:
    """Change the route of a tunnel."""

    def spoil(resources: Resources) -> Resources:
        routes = resources.routes["routes/proxy.json"].virtual_hosts[0].routes
        change(next(route for route in routes if route.route is not None))
        return resources

    return spoil


def anything(route: Route) -> None:
    """Match more than CONNECT."""
    route.match = RouteMatch(prefix="/")


def elsewhere(route: Route) -> None:
    """Tunnel past the internal listener."""
    if route.route is not None:
        route.route.cluster = "target-crm"


def websocket(route: Route) -> None:
    """Another upgrade."""
    if route.route is not None:
        route.route.upgrade_configs[0].upgrade_type = "websocket"


def connect_everywhere(manager: HttpConnectionManager) -> None:
    """CONNECT on the agents' listener."""
    manager.upgrade_configs.append(HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT"))


UNSAFE += [
    ("CONNECT, and nothing else", tunnel(anything)),
    ("CONNECT, and nothing else", tunnel(elsewhere)),
    ("CONNECT, and nothing else", tunnel(websocket)),
    ("upgrade_configs", lambda r: change_manager(r, connect_everywhere)),
]


@pytest.mark.parametrize(("complaint", "spoil"), UNSAFE, ids=[row[0] for row in UNSAFE])
def test_unsafe_modes_are_refused(complaint: str, spoil: Callable[[Resources], Resources]) -> None:
    """What Envoy would accept and lose bytes by, or let them pass by, is refused before Envoy sees it."""
    spoiled = spoil(deepcopy(generate(replace(PLAN, proxy=ProxyPlan("127.0.0.1", 8081)))))
    with pytest.raises(UnsafeModes) as refused:
        check_modes(spoiled.listeners, tuple(spoiled.routes.values()))
    assert complaint in str(refused.value)


def test_envoy_accepts_every_shape(tmp_path: Path) -> None:
    """TLS in front and behind, names and addresses: Envoy would run it."""
    (tmp_path / "crm.secret").write_text("s")
    certificate, key = self_signed(tmp_path, "any")
    web = TargetPlan("web", Upstream(Scheme.HTTPS, "example.com", 443, "/v1", ca=str(certificate)))
    six = TargetPlan("six", Upstream(Scheme.HTTP, "::1", 8000))
    dark = TargetPlan("dark", Upstream(Scheme.HTTP, "dark.test", 22), inspect=Inspect.OPAQUE, opaque=True)
    tls = TlsFiles(str(certificate), str(key), client_ca=str(certificate))
    plan = replace(PLAN, targets=(CRM, FILES, web, six, dark), tls=tls, proxy=ProxyPlan("127.0.0.1", 8081))
    for target, hosts in intercepted(plan).items():
        ensure_leaf(ensure_ca(tmp_path), tmp_path / LEAVES, target, hosts)
    validate(generate(plan), tmp_path, envoy_program())


def bad_regex(resources: Resources) -> Resources:
    """A route that Envoy cannot compile."""
    for route in resources.routes["rds.json"].virtual_hosts[0].routes:
        if route.match is not None and route.match.safe_regex is not None:
            route.match.safe_regex.regex = "("
    return resources


BROKEN: list[tuple[str, Callable[[Resources], Resources]]] = [
    (r"missing \)", bad_regex),
    ("cluster", lambda r: replace(r, clusters=(*r.clusters, replace_name(r)))),
]


def replace_name(resources: Resources) -> Anything:
    """A cluster without a name."""
    cluster = deepcopy(resources.clusters[0])
    cluster.name = ""
    return cluster


@pytest.mark.parametrize(("complaint", "spoil"), BROKEN, ids=["regex", "nameless cluster"])
def test_envoy_finds_what_is_broken(tmp_path: Path, complaint: str, spoil: Callable[[Resources], Resources]) -> None:
    """A fault in a resource that Envoy would read from a file is found, and said in its words."""
    (tmp_path / "crm.secret").write_text("s")
    with pytest.raises(EnvoyRefused, match=f"(?is){complaint}"):
        validate(spoil(deepcopy(generate(PLAN))), tmp_path, envoy_program())


def test_missing_files_are_found(tmp_path: Path) -> None:
    """So is a file that is named and not there: a certificate, a credential."""
    plan = replace(PLAN, tls=TlsFiles("cert.pem", "key.pem"))
    with pytest.raises(EnvoyRefused, match=r"(cert\.pem|crm\.secret)"):
        validate(generate(plan), tmp_path, envoy_program())


def test_broken_bootstrap_is_found(tmp_path: Path) -> None:
    """A bootstrap that is not YAML, or not Envoy's, is refused."""
    for text in ("[", "- 1", "nonsense: {}\n"):
        with pytest.raises(EnvoyRefused):
            validate(generate(PLAN), tmp_path, envoy_program(), bootstrap=text)


def test_inlining_leaves_nothing_to_fetch() -> None:
    """The static document refers to no file-borne resource."""
    text = json.dumps(inline(generate(replace(PLAN, tls=TlsFiles("c", "k"))), "node: {id: a, cluster: b}"))
    assert not any(word in text for word in ("rds.json", "secrets/", "path_config_source", "dynamic_resources"))
