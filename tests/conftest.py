"""What all tests share."""

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a third of a second, which most tests have no use for
    from tests.support.postgres import Server


def pytest_configure() -> None:
    """A shell that runs tests in its background has them, and all that they start, ignore Ctrl-C."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(scope="session", autouse=True)
def nobody_is_logged_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have a login of their own (`holdpoint login`), and no command may find it."""
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    yield
    if before is None:
        del os.environ["XDG_CONFIG_HOME"]
    else:
        os.environ["XDG_CONFIG_HOME"] = before


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Server]":
    """This machine's PostgreSQL, with TLS and the database `crm`. Who changes it puts it back."""
    from tests.support.postgres import crm_server
    from tests.support.postgres_binaries import system_binaries

    with crm_server(system_binaries()) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_newer() -> "Iterator[Server]":
    """The same on a newer major."""
    from tests.support.postgres import crm_server
    from tests.support.postgres_binaries import newer_binaries

    with crm_server(newer_binaries()) as server:
        yield server


@pytest.fixture(scope="session", params=["postgres", "postgres_newer"])
def either_postgres(request: pytest.FixtureRequest) -> "Server":
    """Each of them in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server
