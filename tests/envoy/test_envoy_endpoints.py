"""Addresses of names: written by the gateway, never asked for by Envoy."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from extproc.adapters.envoy.endpoints import endpoints_document, write_endpoints
from extproc.adapters.envoy.plan import Scheme, TargetPlan, Upstream
from tests.support.envoy import Gateway, start, until
from tests.support.envoy_upstream import RecordingUpstream


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[RecordingUpstream, RecordingUpstream]]:
    """Two places that a name may lead to."""
    found = (RecordingUpstream(), RecordingUpstream())
    yield found
    for upstream in found:
        upstream.stop()


@pytest.fixture(scope="module")
def gateway(upstreams: tuple[RecordingUpstream, RecordingUpstream]) -> Iterator[Gateway]:
    """A gateway whose one target has a name that nobody has resolved."""
    target = TargetPlan("crm", Upstream(Scheme.HTTP, "crm.test", upstreams[0].port))
    found = start(lambda _: (target,))
    yield found
    found.stop()


def test_name_leads_where_it_is_said_to(
    gateway: Gateway, upstreams: tuple[RecordingUpstream, RecordingUpstream]
) -> None:
    """Nowhere at first, then to each address in turn, then nowhere again; what goes there has the name in its Host."""
    first, second = upstreams
    directory = gateway.state / "envoy"
    assert gateway.request("/crm/a").status == 503
    assert write_endpoints(directory, "crm-0", [("127.0.0.1", first.port)])
    until(lambda: gateway.request("/crm/a").status == 200, "the first address")
    assert first.seen[0].headers["host"] == [f"crm.test:{first.port}"]
    assert write_endpoints(directory, "crm-0", [("127.0.0.1", second.port)])
    until(lambda: gateway.request("/crm/b").status == 200 and len(second.seen) > 0, "the second address")
    assert write_endpoints(directory, "crm-0", [])
    until(lambda: gateway.request("/crm/c").status == 503, "no address")


def test_address_survives_other_changes(gateway: Gateway, upstreams: tuple[RecordingUpstream, object]) -> None:
    """Another configuration does not forget where a name leads, and forgets what no target names."""
    upstream = upstreams[0]
    directory = gateway.state / "envoy"
    write_endpoints(directory, "crm-0", [("127.0.0.1", upstream.port)])
    until(lambda: gateway.request("/crm/a").status == 200, "the address")
    before = gateway.plan
    other = replace(before.targets[0], name="other", upstream=Upstream(Scheme.HTTP, "other.test", 80))
    assert gateway.apply(replace(before, targets=(*before.targets, other))) == (
        "eds/other-0.json",
        "cds.json",
        "rds.json",
    )
    assert gateway.request("/crm/a").status == 200
    until(lambda: gateway.request("/other/a").status == 503, "the other target")
    assert gateway.apply(before) == ("cds.json", "rds.json", "eds/other-0.json")
    assert gateway.request("/crm/a").status == 200


def test_document_is_stable() -> None:
    """The same addresses are the same bytes, others are another version, and IPv6 stands without brackets."""
    one = endpoints_document("target-crm", [("192.0.2.1", 443), ("2001:db8::1", 443)])
    assert one == endpoints_document("target-crm", [("192.0.2.1", 443), ("2001:db8::1", 443)])
    empty = endpoints_document("target-crm", [])
    assert json.loads(one)["version_info"] != json.loads(empty)["version_info"]
    assert "2001:db8::1" in one
    assert "endpoints" not in json.loads(empty)["resources"][0]
