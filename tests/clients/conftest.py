"""One gateway and one Jaeger for all clients: a customer API and a model behind it, policies as shipped."""

from collections.abc import Iterator

import pytest

from tests.clients.world import DATA, World
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.gateway import Gateway
from tests.support.jaeger import Jaeger, running_jaeger


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """Where all traces of this folder's tests go."""
    with running_jaeger(tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="session")
def started(jaeger: Jaeger) -> Iterator[World]:
    """The world, started once."""
    upstream = RecordingUpstream()
    more = "environment: production, credential: credential"
    targets = [f'{name}: {{upstream: "http://127.0.0.1:{upstream.port}", {more}}}' for name in ("models", "reviewed")]
    gateway = Gateway(
        targets="\n".join(targets),
        policy="data: data.yaml",
        audit=f'otlp: "{jaeger.otlp}", jaeger: "{jaeger.page}"',
    )
    (gateway.folder / "data.yaml").write_text(DATA)
    world = World(gateway, upstream, jaeger)
    world.reset()
    try:
        gateway.start()
        yield world
    finally:
        gateway.stop()
        upstream.stop()


@pytest.fixture
def world(started: World) -> World:
    """The world, its upstreams' memory empty. Each test has agents of its own."""
    started.reset()
    return started
