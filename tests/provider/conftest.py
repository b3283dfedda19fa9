"""One Keycloak for all tests with a real identity provider; each test that changes anything has a realm of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.idp import Browser, Keycloak, Realm, running_keycloak
from tests.support.idp_person import Person


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """The provider."""
    with running_keycloak() as started:
        yield started


@pytest.fixture(scope="session")
def shared_realm(keycloak: Keycloak) -> Realm:
    """A realm for tests that only read from it."""
    return keycloak.realm()


@pytest.fixture
def realm(keycloak: Keycloak) -> Realm:
    """A realm for one test."""
    return keycloak.realm()


@pytest.fixture
def page() -> Browser:
    """A browser in which nobody is signed in."""
    return Browser()


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """A person who is not logged in."""
    somebody = Person(tmp_path)
    yield somebody
    somebody.end()
