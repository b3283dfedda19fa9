"""Brings Envoy from one configuration to the next while requests are under way.

A request is sent on by the route that it met when it came, so what that route leads to has to outlive it: first what
is new is added, then the routes change, and what nothing leads to any more goes last, when it can have no requests.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extproc.adapters.ca import ensure_ca, ensure_leaf
from extproc.adapters.envoy.destinations import intercepted
from extproc.adapters.envoy.endpoints import cluster_name, write_endpoints
from extproc.adapters.envoy.files import write
from extproc.adapters.envoy.generate import Resources, documents, generate, taken_line
from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.adapters.envoy.secrets import LEAVES
from extproc.app import probe
from extproc.app.layout import Layout
from extproc.config import TargetSettings

REMOVED_SECONDS = 10.0
"""How long a target that was removed can still be reached by what was decided before."""

_SPARE_SECONDS = 60.0
_CERTIFY_SECONDS = 3600.0
_TAKEN_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_ASKED = "GET /stats?filter=version_text$|_warming$|warming_clusters$"
_SETTLED = frozenset({"cluster_manager.warming_clusters: 0", "listener_manager.total_listeners_warming: 0"})


def write_addresses(folder: Path, target: TargetSettings, addresses: Sequence[str]) -> bool:
    """Write down for Envoy where a target is, below its working directory; True if something changed. Raises
    OSError."""
    return write_endpoints(folder, target.key, [(address, target.upstream.port) for address in addresses])


@dataclass(frozen=True, slots=True)
class _Leftover:
    """What only requests of an older configuration can still lead to, and until when: resources of Envoy's, whose
    types are the generator's own affair."""

    until: float
    clusters: tuple[Any, ...]
    secrets: Mapping[str, Any]
    resolved: tuple[str, ...]


class NotTaken(Exception):
    """A change is not in force yet; the message names the programs or files that lack it."""


class Door:
    """Envoy's configuration files. Belongs to one event loop; `clock` is monotonic, in seconds."""

    def __init__(self, layout: Layout, clock: Callable[[], float] = time.monotonic) -> None:
        self._layout, self._clock = layout, clock
        self._plan: EnvoyPlan | None = None
        self._resources: Resources | None = None
        # Those whose routes Envoy goes by: the former ones until it has the clusters of the others.
        self._led: Resources | None = None
        self._leftovers: list[_Leftover] = []
        self._certified = 0.0

    async def start(self, plan: EnvoyPlan) -> None:
        """Write everything, before Envoy is started. Raises BadPlan, CaUnusable, OSError."""
        self._plan, self._resources = plan, await asyncio.to_thread(generate, plan)
        self._led = self._resources
        await self._certify()
        await self._write(self._resources)

    async def change(self, plan: EnvoyPlan) -> None:
        """Bring Envoy from what it has to this plan. Raises BadPlan, CaUnusable, OSError, and NotTaken where Envoy does
        not have it in time. What was written then stays; called with the same plan again, it goes on from there."""
        if self._plan is None or self._resources is None:
            raise RuntimeError("there is nothing yet that could be changed")
        if plan != self._plan:
            before, after = self._resources, await asyncio.to_thread(generate, plan)
            self._leftovers += _leftovers(self._plan, plan, before, after, self._clock())
            self._plan, self._resources = plan, after
        bridge = self._with_leftovers(self._resources)
        await self._certify()
        if self._led is not None and self._led is not self._resources:
            await self._write(replace(bridge, listeners=self._led.listeners, routes=self._led.routes))
            await self._taken({"cds.json"}, bridge)
        self._led = self._resources
        await self._write(bridge)
        # Before anybody is told that the change is in force.
        await self._taken({"lds.json", *bridge.routes}, bridge)

    async def sweep(self) -> None:
        """Take away what nothing leads to any more, and renew certificates. Raises CaUnusable, OSError."""
        if self._resources is None:
            return
        now = self._clock()
        if now - self._certified > _CERTIFY_SECONDS:
            await self._certify()
        if self._led is self._resources and any(old.until <= now for old in self._leftovers):
            self._leftovers = [old for old in self._leftovers if old.until > now]
            await self._write(self._with_leftovers(self._resources))
            await self._certify()

    def _with_leftovers(self, resources: Resources) -> Resources:
        old_clusters = [cluster for old in self._leftovers for cluster in old.clusters]
        clusters = {cluster.name: cluster for cluster in [*old_clusters, *resources.clusters]}
        secrets = {name: s for old in self._leftovers for name, s in old.secrets.items()} | dict(resources.secrets)
        resolved = dict.fromkeys([*resources.resolved, *(name for old in self._leftovers for name in old.resolved)])
        return replace(resources, clusters=tuple(clusters.values()), secrets=secrets, resolved=tuple(resolved))

    async def _certify(self) -> None:
        self._certified = self._clock()
        if self._plan is not None:
            await asyncio.to_thread(certify, self._plan, self._layout.keys, self._layout.envoy)
            if not self._leftovers:
                await asyncio.to_thread(_discard, self._plan, self._layout.envoy / LEAVES)

    async def _write(self, resources: Resources) -> None:
        await asyncio.to_thread(write, resources, self._layout.envoy)

    async def _taken(self, files: AbstractSet[str], resources: Resources) -> None:
        """Wait until Envoy has these files of the resources, and all that they name. Where Envoy does not run, it reads
        everything at once when it starts. Raises NotTaken."""
        written = await asyncio.to_thread(documents, resources)
        missing = {taken_line(name, written[name]) for name in files} | _SETTLED
        deadline = self._clock() + _TAKEN_SECONDS
        while True:
            try:
                said = await probe.text(self._layout.envoy_admin, _ASKED)
            except OSError:
                return
            missing -= set(said.splitlines())
            if not missing:
                return
            if self._clock() > deadline:
                raise NotTaken(f"Envoy has not taken {', '.join(sorted(files))} within {_TAKEN_SECONDS:g} s")
            await asyncio.sleep(_LOOK_SECONDS)


def certify(plan: EnvoyPlan, keys: Path, envoy: Path) -> None:
    """Have certificates for the tunnels that this plan intercepts, below Envoy's working directory; they are signed
    with the authority in the folder of keys. Raises CaUnusable, OSError."""
    wanted = intercepted(plan)
    if wanted:
        authority = ensure_ca(keys)
        for target, hosts in wanted.items():
            ensure_leaf(authority, envoy / LEAVES, target, hosts)


def _discard(plan: EnvoyPlan, leaves: Path) -> None:
    """Remove the keys and certificates that this plan has no use for. Raises OSError."""
    kept = {f"{target}{end}" for target in intercepted(plan) for end in (".key", ".crt")}
    for file in (*leaves.glob("*.key"), *leaves.glob("*.crt")):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def _leftovers(old: EnvoyPlan, new: EnvoyPlan, before: Resources, after: Resources, now: float) -> list[_Leftover]:
    """What goes with this change. A request may be held for as long as its target lets it wait, and then finds what
    it was decided for; a target that was removed is gone as soon as nobody can be on the way to it."""
    there, names = {c.name for c in after.clusters}, {t.name for t in new.targets}
    waits = {cluster_name(t.key): t.wait_seconds + _SPARE_SECONDS for t in old.targets if t.name in names}
    longest = max(waits.values(), default=REMOVED_SECONDS)
    gone = [c for c in before.clusters if c.name not in there]
    soon, late = [c for c in gone if c.name not in waits], [c for c in gone if c.name in waits]
    secrets = {name: secret for name, secret in before.secrets.items() if name not in after.secrets}
    resolved = tuple(name for name in before.resolved if name not in after.resolved)
    found = [
        _Leftover(now + (longest if late else REMOVED_SECONDS), tuple(late), secrets, resolved),
        _Leftover(now + REMOVED_SECONDS, tuple(soon), {}, ()),
    ]
    return [old for old in found if old.clusters or old.secrets or old.resolved]
