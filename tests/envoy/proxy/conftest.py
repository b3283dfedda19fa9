"""One Envoy with a forward proxy, one processor, and an upstream with TLS and one without, for each test module."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import Credential, ProxyPlan, Scheme, TargetPlan, Upstream
from extproc.domain.target import Inspect
from tests.support.envoy import Gateway, start, state_directory
from tests.support.envoy_processor import (
    Processor,
)
from tests.support.envoy_tls import self_signed
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"
WITH_PROXY = ProxyPlan("127.0.0.1", 0)


@pytest.fixture(scope="module")
def state() -> Path:
    """A state directory with the TLS upstream's certificate, for `localhost`, and a credential."""
    found = state_directory()
    (found / "back").mkdir()
    self_signed(found / "back", "back")
    (found / "secret").write_text(SECRET)
    return found


@pytest.fixture(scope="module")
def secure(state: Path) -> Iterator[RecordingUpstream]:
    """An upstream that speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(state / "back" / "cert.pem", state / "back" / "key.pem")
    server = RecordingUpstream(context)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plain() -> Iterator[RecordingUpstream]:
    """An upstream that does not."""
    server = RecordingUpstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running(state: Path, secure: RecordingUpstream, plain: RecordingUpstream) -> Iterator[Gateway]:
    """A gateway with a proxy: web (https below /v1, with a credential), plain (http), based (http below /v1), numeric
    (https, an address that nobody listens on) and dark (opaque, https)."""
    ca = str(state / "back" / "cert.pem")
    web = Upstream(Scheme.HTTPS, "localhost", secure.port, "/v1", ca=ca)
    targets = (
        TargetPlan("web", web, ("localhost",), Credential(str(state / "secret")), revision="r1"),
        TargetPlan("plain", Upstream(Scheme.HTTP, "127.0.0.1", plain.port)),
        TargetPlan("based", Upstream(Scheme.HTTP, "localhost", plain.port, "/v1")),
        TargetPlan("numeric", Upstream(Scheme.HTTPS, "127.0.0.2", secure.port, ca=ca)),
        TargetPlan("dark", replace(web, path="/"), ("dark.test",), inspect=Inspect.OPAQUE, opaque=True),
    )
    found = start(lambda _: targets, change=lambda plan: replace(plan, proxy=WITH_PROXY), state=state)
    yield found
    found.stop()


@pytest.fixture
def gateway(running: Gateway, secure: RecordingUpstream, plain: RecordingUpstream) -> Gateway:
    """The module's gateway with nothing left over from an earlier test."""
    if running.processor is not None:
        running.processor.reset()
    secure.reset()
    plain.reset()
    return running


@pytest.fixture
def processor(gateway: Gateway) -> Processor:
    """The module's scripted processor."""
    if gateway.processor is None:
        raise RuntimeError("no processor")
    return gateway.processor
