"""One Envoy, one processor and one upstream for each test module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import Credential, Scheme, TargetPlan, Upstream
from extproc.domain.target import Inspect
from tests.support.envoy import Gateway, start
from tests.support.envoy_processor import Processor
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"


@pytest.fixture(scope="module")
def server() -> Iterator[RecordingUpstream]:
    """The upstream of every target."""
    upstream = RecordingUpstream()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def envoy(server: RecordingUpstream) -> Iterator[Gateway]:
    """A gateway with a target of each kind: crm (full, with a credential), files (headers only), api (below /v1)."""

    def targets(state: Path) -> tuple[TargetPlan, ...]:
        (state / "creds").mkdir()
        (state / "creds" / "crm").write_text(SECRET)
        here = Upstream(Scheme.HTTP, "127.0.0.1", server.port)
        return (
            TargetPlan("crm", here, credential=Credential(str(state / "creds" / "crm")), revision="r1"),
            TargetPlan("files", here, inspect=Inspect.HEADERS),
            TargetPlan("api", Upstream(Scheme.HTTP, "127.0.0.1", server.port, "/v1"), hosts=("api.example.com",)),
        )

    gateway = start(targets)
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(envoy: Gateway, server: RecordingUpstream) -> Gateway:
    """The module's gateway with nothing left over from an earlier test."""
    if envoy.processor is not None:
        envoy.processor.reset()
    server.reset()
    return envoy


@pytest.fixture
def processor(gateway: Gateway) -> Processor:
    """The module's scripted processor."""
    if gateway.processor is None:
        raise RuntimeError("this gateway was started with workers of its own")
    return gateway.processor


@pytest.fixture
def upstream(gateway: Gateway, server: RecordingUpstream) -> RecordingUpstream:
    """The module's upstream."""
    return server
