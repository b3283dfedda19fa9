"""One whole gateway for each test module."""

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, running


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway with targets of each kind, all before one upstream."""
    yield from running()


@pytest.fixture
def gateway(started: Gateway) -> Gateway:
    """The module's gateway, its upstream's memory empty."""
    started.upstream.reset()
    return started
