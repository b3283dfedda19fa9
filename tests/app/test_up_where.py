"""What `holdpoint up` says of where agents connect."""

from pathlib import Path

import pytest

from extproc.app.up import where
from tests.live.making import settings


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("{address: 127.0.0.1:8080}", "127.0.0.1:8080"),
        ("{postgres: 127.0.0.1:5433}", "127.0.0.1:8080, and to 127.0.0.1:5433 for databases"),
        ("{envoy: own}", "an Envoy of your own"),
        ("{envoy: own, postgres: 127.0.0.1:5433}", "an Envoy of your own, for databases too"),
    ],
)
def test_all_of_it(tmp_path: Path, listen: str, said: str) -> None:
    """Databases have an address of their own."""
    assert where(settings(tmp_path, more=f"listen: {listen}")) == said
