"""What `holdpoint up` says of where agents and operators connect."""

from pathlib import Path

import pytest

from extproc.app.up import where
from tests.live.making import settings


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("address: 127.0.0.1:8080", "127.0.0.1:8080"),
        ("postgres: 127.0.0.1:5433", "127.0.0.1:8080, databases 127.0.0.1:5433"),
        (
            "proxy: 127.0.0.1:8081, postgres: 127.0.0.1:5433",
            "127.0.0.1:8080, proxy 127.0.0.1:8081, databases 127.0.0.1:5433",
        ),
        ("envoy: own", "an Envoy of your own"),
        ("envoy: own, postgres: 127.0.0.1:5433", "an Envoy of your own, for databases too"),
    ],
)
def test_all_of_it(tmp_path: Path, listen: str, said: str) -> None:
    """Every listener is named."""
    control = tmp_path / "c.sock"
    operators = f"; operators to 127.0.0.1:9901 (metrics, health) and {control} (commands)"
    given = settings(tmp_path, more=f"listen: {{{listen}, ops: 127.0.0.1:9901, control: {control}}}")
    assert where(given) == said + operators
