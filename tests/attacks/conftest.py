"""One gateway for all attacks: the most careless policy, and upstreams that keep every byte."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from extproc import resources
from tests.attacks import wire
from tests.attacks.tap import Connection, Tap
from tests.attacks.witness import Journal, faults
from tests.support.gateway import CREDENTIAL, Gateway

# What the shipped library has beside its policies, and the little that decides here.
_KEPT = ("lib", "data")


@dataclass(slots=True)
class Range:
    """Where attacks are tried. `taps` are upstreams by target; `replies` all answers that clients got so far."""

    gateway: Gateway
    taps: dict[str, Tap]
    journal: Journal
    replies: list[wire.Reply] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def identity(self) -> tuple[str, str]:
        """A new agent: subject and token."""
        subject = f"attacker-{next(self._numbers)}"
        return subject, self.gateway.agents.token(subject)

    def marks(self) -> frozenset[int]:
        """Which connections have brought bytes so far. Not which there are: Envoy may open one and use it later."""
        return frozenset(id(c) for tap in self.taps.values() for c in tap.connections if c.data)

    def since(self, marks: frozenset[int]) -> list[tuple[str, Connection]]:
        """The connections that brought bytes since then, with the target each came to."""
        return [(n, c) for n, t in self.taps.items() for c in list(t.connections) if c.data and id(c) not in marks]

    def judge(self, connection: Connection, target: str, token: str = "") -> list[str]:
        """What is wrong with a connection's bytes."""
        connection.ended.wait(wire.SECONDS)
        self.journal.follow()
        return faults(bytes(connection.data), self.journal.decisions, token=token, credential=CREDENTIAL, target=target)


@pytest.fixture(scope="module")
def everywhere() -> Iterator[Range]:
    """The started gateway."""
    taps = {name: Tap() for name in ("tap", "other", "lean", "flow")}
    modes = {"lean": ", inspect: headers", "flow": ", inspect: stream"}
    lines = [
        f'{name}: {{upstream: "http://127.0.0.1:{tap.port}", credential: credential{modes.get(name, "")}}}'
        for name, tap in taps.items()
    ]
    gateway = Gateway(targets="\n".join(lines), policy="path: policies, deadline: 10s")
    policies = gateway.folder / "policies"
    for name in _KEPT:
        shutil.copytree(resources.policies() / name, policies / name)
    place = policies / "http" / "told"
    place.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("told.rego"), place / "told.rego")
    try:
        gateway.start()
        yield Range(gateway, taps, Journal(gateway.state / "journal"))
    finally:
        gateway.stop()
        for tap in taps.values():
            tap.stop()
