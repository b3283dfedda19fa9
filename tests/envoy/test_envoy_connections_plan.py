"""What is generated for connections that are handed over whole, by itself and as a snippet."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.google.protobuf import Any as Packed

from extproc.adapters.envoy.connections import POSTGRES_LISTENER, POSTGRES_WORKERS, TCP_PROXY
from extproc.adapters.envoy.endpoints import read_endpoints, write_endpoints
from extproc.adapters.envoy.files import write
from extproc.adapters.envoy.generate import documents, generate
from extproc.adapters.envoy.modes import UnsafeModes, check_modes
from extproc.adapters.envoy.plan import BadPlan, EnvoyPlan, PostgresPlan, Scheme, TargetPlan, Upstream
from extproc.adapters.envoy.render import document
from extproc.adapters.envoy.snippet import envoy_snippet, istio_snippet
from extproc.adapters.envoy.validate import inline, validate
from tests.envoy.test_envoy_snippet import accepted
from tests.support.envoy import envoy_program

CRM = TargetPlan("crm", Upstream(Scheme.HTTP, "127.0.0.1", 9001))
BARE = EnvoyPlan("127.0.0.1", 8080, "holdpoint.test", (CRM,), 2)
PLAN = replace(BARE, postgres=PostgresPlan("127.0.0.1", 5433), dialled=("crm-db-r1",))


def test_there_is_a_listener_where_it_is_asked_for() -> None:
    """And without one, everything is as it was."""
    names = [listener.name for listener in generate(PLAN).listeners]
    clusters = [cluster.name for cluster in generate(PLAN).clusters]
    assert (names, clusters) == (["agents", POSTGRES_LISTENER], ["workers", POSTGRES_WORKERS, "target-crm-0"])
    text = "".join(documents(generate(BARE)).values())
    assert "postgres" not in text
    assert generate(PLAN).routes == generate(BARE).routes


def test_targets_do_not_change_the_listener() -> None:
    """A listener update would end its sessions."""
    other = replace(PLAN, targets=(), dialled=("other-r7", "third-r1"))
    assert documents(generate(other))["lds.json"] == documents(generate(PLAN))["lds.json"]


def test_addresses_stay_as_long_as_their_target(tmp_path: Path) -> None:
    """Where databases are, workers read in files that nobody else takes away; Envoy knows nothing of them."""
    write(generate(PLAN), tmp_path)
    assert read_endpoints(tmp_path, "crm-db-r1") == ()
    write_endpoints(tmp_path, "crm-db-r1", [("10.0.0.7", 5432), ("2001:db8::7", 5432)])
    write(generate(PLAN), tmp_path)
    assert read_endpoints(tmp_path, "crm-db-r1") == (("10.0.0.7", 5432), ("2001:db8::7", 5432))
    assert "crm-db" not in "".join(documents(generate(PLAN)).values())
    write(generate(replace(PLAN, dialled=())), tmp_path)
    assert not (tmp_path / "eds" / "crm-db-r1.json").exists()
    assert read_endpoints(tmp_path, "crm-db-r1") == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"resources": []}', '{"resources": [{"endpoints": [{}]}]}'])
def test_what_is_no_document_of_addresses(tmp_path: Path, text: str) -> None:
    """Is an error, and never no address at all."""
    (tmp_path / "eds").mkdir()
    (tmp_path / "eds" / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        read_endpoints(tmp_path, "a")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"postgres": PostgresPlan("localhost", 1)}, "postgres.address: expected an IP address, found 'localhost'"),
    ({"postgres": PostgresPlan("::1", 65536)}, "postgres.port: expected 0 to 65535, found 65536"),
    ({"postgres": None}, "dialled: targets that workers connect to, and no listener that leads to such workers"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=range(len(FAULTS)))
def test_plans_that_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each with what is wrong with it."""
    with pytest.raises(BadPlan) as caught:
        replace(PLAN, **changes)
    assert str(caught.value) == message


def test_bytes_go_to_workers_or_nowhere() -> None:
    """A listener whose bytes went on to an upstream would have no decision, whatever its name is."""
    resources = generate(PLAN)
    elsewhere = Packed.pack(TcpProxy(stat_prefix="x", cluster="target-crm-0"))
    for name, complaint in ((POSTGRES_LISTENER, "its bytes go to postgres-workers or nowhere"), ("x", TCP_PROXY)):
        listeners = copy.deepcopy(resources.listeners)
        listeners[1].name = name
        listeners[1].filter_chains[0].filters[1].typed_config = elsewhere
        with pytest.raises(UnsafeModes, match=complaint):
            check_modes(listeners, tuple(resources.routes.values()))


def test_envoy_would_run_it(tmp_path: Path) -> None:
    """With everything inlined, as every configuration is tried before it is used."""
    resources = generate(PLAN)
    write(resources, tmp_path)
    validate(resources, tmp_path, envoy_program())
    listeners = inline(resources, "{}")["static_resources"]["listeners"]
    assert listeners[1] == document(resources.listeners[1])


def test_an_envoy_of_your_own_gets_the_same(tmp_path: Path) -> None:
    """The listener and its workers are in the snippet, with the sockets where that Envoy sees them; not in Istio's."""
    text = envoy_snippet(PLAN, "holdpoint.yaml", "/var/run/holdpoint", "/dev/stdout")
    static = yaml.safe_load(text)["static_resources"]
    here = {listener["name"]: listener for listener in static["listeners"]}
    assert list(here) == ["agents", "postgres"]
    workers = next(cluster for cluster in static["clusters"] if cluster["name"] == POSTGRES_WORKERS)
    ours = document(next(c for c in generate(PLAN).clusters if c.name == POSTGRES_WORKERS))
    assert workers["transport_socket"] == ours["transport_socket"]
    assert "/var/run/holdpoint/postgres-1.sock" in text
    assert "../run" not in text
    assert "access.log" not in text
    accepted(tmp_path, text)
    assert "postgres" not in istio_snippet(PLAN, "holdpoint.yaml", "/var/run/holdpoint", "/dev/stdout")
    with pytest.raises(BadPlan, match=r"postgres-1\.sock: a unix socket's path has at most 107 bytes"):
        envoy_snippet(PLAN, "holdpoint.yaml", "/" + "r" * 91, "/dev/stdout")
