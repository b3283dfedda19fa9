"""Where upstreams' names lead, looked up and checked by us: Envoy connects to the addresses that we write down for it
and to no others, so that nothing can change between the check and the use."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from extproc.adapters.addresses import is_listener, is_our_own, permitted, plain
from extproc.adapters.resolve import Resolver, Unresolved
from extproc.app.layout import Layout
from extproc.config import Settings, TargetSettings
from extproc.domain.json import JSON
from extproc.domain.ports import Journal, JournalUnwritable

KEPT_SECONDS = 3600.0
"""How long the last good addresses are used while no DNS server can be asked."""

_log = logging.getLogger("holdpoint.upstreams")

Write = Callable[[Path, TargetSettings, Sequence[str]], bool]
"""Writes a target's addresses down for Envoy (its folder, the target, addresses); True where they changed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address that a target may not be reached at, and why."""

    address: str
    why: str


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[str, ...]
    at: float


def refusals(target: TargetSettings, addresses: Sequence[str], settings: Settings) -> tuple[Refusal, ...]:
    """Those of the addresses that this target may not be reached at. Binds sockets, opens no connection."""
    found = ((address, _refusal(target, address, settings)) for address in addresses)
    return tuple(Refusal(address, why) for address, why in found if why is not None)


def _refusal(target: TargetSettings, address: str, settings: Settings) -> str | None:
    listen, host = settings.listen, target.upstream.host
    listeners = [(a.host, a.port) for a in (listen.address, listen.ops, listen.proxy, listen.postgres) if a is not None]
    if not is_named(target):
        why = None
    else:
        why = permitted(address, target.networks, host)
        local = host == "localhost" or (why is None and any(plain(address) in network for network in target.networks))
        if why is None and not local and is_our_own(address):
            why = "this machine's own"
    return (
        "the gateway's own listener" if why is None and is_listener(address, target.upstream.port, listeners) else why
    )


def is_named(target: TargetSettings) -> bool:
    """Whether the upstream is a name that has to be looked up, and not an address."""
    try:
        ip_address(target.upstream.host)
    except ValueError:
        return True
    return False


class Upstreams:
    """Keeps every named upstream's addresses. Belongs to one event loop. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        write: Write,
        resolver: Callable[[Sequence[tuple[str, int]]], Resolver] = Resolver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._journal, self._write = settings, journal, write
        self._make, self._clock = resolver, clock
        self._folder = Layout(settings.state).envoy
        self._known: dict[str, _Known] = {}
        self._said: dict[str, str] = {}

    def use(self, settings: Settings) -> None:
        """Look up the targets of this configuration from now on."""
        self._settings = settings
        about = {t.name for t in settings.targets} | {f"{t.upstream.host}." for t in settings.targets}
        self._said = {name: said for name, said in self._said.items() if name in about}

    async def refresh(self, targets: Sequence[TargetSettings] | None = None) -> None:
        """Look up each name once, and write down what it leads to. Raises OSError where that can't be written."""
        named = [t for t in (self._settings.targets if targets is None else targets) if is_named(t)]
        if not named:
            return
        servers = [(a.host, a.port) for a in self._settings.dns.servers]
        async with self._make(servers) as resolver:
            hosts = {target.upstream.host for target in named}
            answers = dict(zip(hosts, await asyncio.gather(*(self._ask(resolver, h) for h in hosts)), strict=True))
        for target in named:
            self._take(target, answers)

    async def keep(self) -> None:
        """Look up again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.dns.refresh_seconds)
            try:
                await self.refresh()
            except OSError as error:
                _log.error("addresses of upstreams can't be written, and stay as they are: %s", error)

    async def _ask(self, resolver: Resolver, host: str) -> tuple[str, ...] | Unresolved:
        try:
            addresses = await resolver.addresses(host)
        except Unresolved as error:
            known = self._known.get(host)
            if error.final or known is None or self._clock() - known.at > KEPT_SECONDS:
                self._known.pop(host, None)
                return error
            self._say(f"{host}.", logging.WARNING, f"{error}; its last addresses stay in use for an hour")
            return known.addresses
        self._known[host] = _Known(addresses, self._clock())
        self._said.pop(f"{host}.", None)
        return addresses

    def _take(self, target: TargetSettings, answers: Mapping[str, tuple[str, ...] | Unresolved]) -> None:
        answer = answers[target.upstream.host]
        if isinstance(answer, Unresolved):
            self._write(self._folder, target, ())
            self._say(target.name, logging.ERROR, f"target {target.name} can't be reached: {answer}")
            return
        refused = refusals(target, answer, self._settings)
        if refused:
            # An answer with one such address in it is not to be trusted with the others either. First nothing is
            # reached any more, then it is told.
            self._write(self._folder, target, ())
            self._alarm(target, refused)
            return
        # One kind only: where there is no route for IPv6, every other request would go nowhere.
        used = [address for address in answer if ":" not in address] or answer
        changed = self._write(self._folder, target, used)
        self._say(target.name, logging.INFO, f"target {target.name} is at {', '.join(used)}", quiet=not changed)

    def _alarm(self, target: TargetSettings, refused: Sequence[Refusal]) -> None:
        shown = ", ".join(f"{r.address} ({r.why})" for r in refused)
        message = (
            f"target {target.name} is closed: {target.upstream.host} leads to {shown}; where that is right, name its "
            f"network in `networks` of the target"
        )
        if not self._say(target.name, logging.ERROR, message):
            return
        addresses: list[JSON] = [{"address": r.address, "why": r.why} for r in refused]
        body: dict[str, JSON] = {
            "code": "address-refused",
            "target": target.target.document(),
            "host": target.upstream.host,
            "addresses": addresses,
            "message": message,
        }
        try:
            self._journal.append("refusal", body)
        except JournalUnwritable as error:
            _log.error("%s", error)

    def _say(self, about: str, level: int, message: str, *, quiet: bool = False) -> bool:
        """Log a message unless it was the last one about this; True where it was not."""
        if self._said.get(about) == message:
            return False
        self._said[about] = message
        if not quiet:
            _log.log(level, "%s", message)
        return True
