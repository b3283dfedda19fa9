"""Documents are what betterproto2 itself would write of the same messages, and are written once."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any as Anything
from typing import cast

import pytest
from betterproto2 import Casing, Message
from envoy_data_plane.envoy.config.core.v3 import HeaderValue
from envoy_data_plane.google.protobuf import Any, Duration, Struct

from extproc.adapters.envoy.generate import documents, generate
from extproc.adapters.envoy.plan import (
    Credential,
    EnvoyPlan,
    PostgresPlan,
    ProxyPlan,
    Scheme,
    TargetPlan,
    TlsFiles,
    Upstream,
)
from extproc.adapters.envoy.render import Packed, document, packed
from extproc.domain.target import Inspect

# Either casing of the library breaks `consecutive_5xx` (into `5Xx` or `5_xx`). It only ever calls its argument.
AS_WRITTEN = cast(Casing, str)
TARGETS = (
    TargetPlan("crm", Upstream(Scheme.HTTP, "127.0.0.1", 9000, "/v1"), credential=Credential("crm.secret")),
    TargetPlan("web", Upstream(Scheme.HTTPS, "example.com", 443, ca="ca.pem"), hosts=("web.test",)),
    TargetPlan("files", Upstream(Scheme.HTTPS, "::1", 443, ca="ca.pem"), inspect=Inspect.HEADERS),
    TargetPlan("dark", Upstream(Scheme.HTTP, "dark.test", 22), inspect=Inspect.OPAQUE, opaque=True),
)
PLAN = EnvoyPlan(
    "127.0.0.1",
    8080,
    "holdpoint.internal",
    TARGETS,
    2,
    tls=TlsFiles("c", "k", client_ca="ca", crl="crl"),
    proxy=ProxyPlan("127.0.0.1", 8081),
    postgres=PostgresPlan("127.0.0.1", 5432),
)


def resources(plan: EnvoyPlan) -> Iterator[Message]:
    """Everything that Envoy is told."""
    found = generate(plan)
    yield from (*found.listeners, *found.routes.values(), *found.clusters, *found.secrets.values())


def test_documents_are_the_librarys() -> None:
    """Of every resource, after a round trip through bytes."""
    seen = set()
    for message in resources(PLAN):
        assert document(message) == type(message).parse(bytes(message)).to_dict(casing=AS_WRITTEN)
        seen.add(type(message).__name__)
    assert seen == {"Listener", "RouteConfiguration", "Cluster", "Secret"}


@pytest.mark.parametrize(
    "inner", [Duration(seconds=1, nanos=5), Struct(), HeaderValue(key="a", value="b"), HeaderValue()]
)
def test_what_is_packed(inner: Message) -> None:
    """A message that protobuf has a JSON form of its own for stands under `value`."""
    ours, theirs = packed(inner), Any.pack(inner)
    assert document(ours) == theirs.to_dict(casing=AS_WRITTEN) == document(theirs)
    assert bytes(ours) == bytes(theirs)
    assert ours


def test_a_packed_message_is_compared_and_copied_as_a_whole() -> None:
    """Its type alone does not make it the same; a copy can be changed by itself."""
    one = packed(HeaderValue(key="a"))
    assert one == packed(HeaderValue(key="a"))
    assert one != packed(HeaderValue(key="b"))
    assert one != Any.pack(HeaderValue(key="a"))
    assert document(one)["key"] == "a"
    other = copy.deepcopy(one)
    inner = other.unpack()
    assert isinstance(inner, HeaderValue)
    inner.key = "b"
    assert isinstance(other, Packed)
    assert (document(other)["key"], document(one)["key"]) == ("b", "a")


def test_an_any_without_a_type_is_refused() -> None:
    """Envoy would refuse it later, in words about a file."""
    with pytest.raises(TypeError, match="an Any without a type"):
        document(Any())


def test_what_did_not_change_is_not_built_again() -> None:
    """A change of one target leaves the resources of the others the same objects."""
    before = generate(PLAN)
    document(before.clusters[2])
    after = generate(replace(PLAN, targets=(*TARGETS, TargetPlan("new", Upstream(Scheme.HTTP, "127.0.0.1", 9001)))))
    kept: dict[str, Anything] = {cluster.name: cluster for cluster in before.clusters}
    same = {cluster.name for cluster in after.clusters if kept.get(cluster.name) is cluster}
    assert same == {f"target-{t.key}" for t in TARGETS} | {f"tunnel-{t.name}" for t in TARGETS}
    assert documents(after)["lds.json"] != documents(before)["lds.json"]
