"""Parts of a worker, made for tests that need no whole gateway."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.domain.identity import Identified, IdentityRefused, Shown, Why
from extproc.domain.json import Document
from extproc.domain.principal import Kind, Principal
from extproc.domain.target import Target

ISSUER = "https://issuer.test"


def recorder(folder: Path) -> Recorder:
    """A recorder of bodies below a folder."""
    return Recorder(Shelf(folder / "bodies", bytes(32)), "worker-0", lambda kind, body: None)


class NoHistory:
    """Nobody did anything before."""

    async def of(self, _: Principal, __: str, ___: str, ____: str) -> Document:
        """Nothing."""
        return {"known": False}


class Known:
    """Knows whoever shows `Bearer <name>` as an agent of that name, but for `forged`."""

    def __init__(self) -> None:
        self.proven: set[str] = set()

    def remembered(self, shown: Shown) -> Identified | None:
        """Nobody is remembered."""
        return None

    def ours(self, shown: Shown) -> frozenset[str]:
        """None of them."""
        return frozenset()

    def unproven(self, shown: Shown) -> bool:
        """Every token but of those who are `proven`."""
        scheme, _, name = dict(shown.headers).get("authorization", "").partition(" ")
        return scheme == "Bearer" and name not in self.proven

    async def identify(self, shown: Shown) -> Identified:
        """The agent. Raises IdentityRefused."""
        value = dict(shown.headers).get("authorization", "")
        if not value.startswith("Bearer "):
            raise IdentityRefused("show a token", Why.MISSING)
        if value == "Bearer forged":
            raise IdentityRefused("not by a key of ours")
        return Identified(Principal(ISSUER, value.removeprefix("Bearer "), Kind.AGENT), frozenset({"authorization"}))


@dataclass
class Checks:
    """Lets everybody be but those whose subject is in `out`."""

    out: set[str] = field(default_factory=set)
    asked: threading.Event = field(default_factory=threading.Event)

    def __call__(self, principal: Principal, _: float) -> None:
        """Raises IdentityRefused."""
        self.asked.set()
        if principal.subject in self.out:
            raise IdentityRefused("frozen", Why.FROZEN, principal)


class OneRevision:
    """Targets of one configuration."""

    def __init__(self, *targets: Target) -> None:
        self._targets = {t.name: t for t in targets}

    def target(self, name: str, revision: str) -> Target | None:
        """The target, where the revision is its own."""
        found = self._targets.get(name)
        return found if found is not None and found.revision == revision else None
