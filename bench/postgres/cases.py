"""What is measured: the ways to the server, and what is asked of it on each."""

from dataclasses import dataclass
from enum import StrEnum

SCALE = 2
"""pgbench's: 100,000 accounts each, of about 97 bytes as COPY sends them."""

READ = f"\\set aid random(1, {100_000 * SCALE})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
"""What `pgbench --select-only` does, without the questions about partitions that it asks of the catalogue first."""

COPY = "COPY pgbench_accounts TO STDOUT"


class Way(StrEnum):
    """What stands between client and server."""

    DIRECT = "direct"
    ENVOY = "envoy"
    RELAY = "relay"
    PGBOUNCER = "pgbouncer"
    ASKED = "asked"
    REMEMBERED = "remembered"
    LEAN = "lean"


LABELS = {
    Way.DIRECT: "the server alone",
    Way.ENVOY: "plain Envoy (tcp_proxy)",
    Way.RELAY: "plain Envoy, then a relay in Python",
    Way.PGBOUNCER: "pgbouncer, by session",
    Way.ASKED: "Holdpoint, as it comes",
    Way.REMEMBERED: "Holdpoint, decisions remembered",
    Way.LEAN: "Holdpoint, and no bodies kept",
}
HOLDPOINT = (Way.ASKED, Way.REMEMBERED, Way.LEAN)


class Mode(StrEnum):
    """pgbench's protocols."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured. A cell is one way, mode and number of clients; each round measures every cell once."""

    rounds: int = 3
    seconds: int = 3
    clients: tuple[int, ...] = (1, 8, 32)
    modes: tuple[Mode, ...] = tuple(Mode)
    copies: int = 3


QUICK = Options(rounds=1, seconds=1, clients=(1, 8), modes=(Mode.PREPARED,), copies=1)
"""For a look."""

AIMS = {(Mode.PREPARED, 1): 0.35, (Mode.PREPARED, 8): 0.45}
"""Least rates with decisions remembered, as shares of the server's alone."""
COPY_AIM = 0.5
"""The same of COPY out."""
