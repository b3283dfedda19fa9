"""How much one principal may have under way in this worker, so that none takes the gateway from the others."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """For one principal in one worker: exchanges at one time, and bytes of theirs held in memory at one time."""

    exchanges: int
    held_bytes: int

    def share(self, workers: int) -> "Limits":
        """One worker's share. Envoy deals exchanges out in turn, so a principal has about as many in each; rounded up,
        for a share too small would refuse what the whole allows."""
        return Limits(-(-self.exchanges // workers), -(-self.held_bytes // workers))


class Capped(Exception):
    """A limit is reached; the message is for the client. `code` is the refusal's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Account:
    """What one principal has under way here."""

    __slots__ = ("_limits", "exchanges", "held", "turn")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.exchanges = 0
        self.held = 0
        # Heavy work (reading, masking and deciding on large bodies) of one principal is done one after the other, so
        # that others never wait for more than one piece of it.
        self.turn = asyncio.Lock()

    def hold(self, change: int) -> None:
        """Count bytes that an exchange holds in memory more than before (or, negative, fewer). Raises Capped, and
        counts nothing, where they would be too many."""
        if change > 0 and self.held + change > self._limits.held_bytes:
            raise Capped(
                "too-many-bytes",
                f"Bodies of at most {self._limits.held_bytes} bytes of one principal are read at one time; try again "
                "when others of yours have ended.",
            )
        self.held += change


class Caps:
    """Accounts of the principals that have something under way. Belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._accounts: dict[str, Account] = {}

    @contextmanager
    def exchange(self, key: str) -> Iterator[Account]:
        """One exchange of the principal with this key. Raises Capped where it has too many under way."""
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(self.limits)
        if account.exchanges >= self.limits.exchanges:
            raise Capped(
                "too-many-requests",
                f"At most {self.limits.exchanges} requests of one principal are served at one time; try again when "
                "others of yours have ended.",
            )
        account.exchanges += 1
        try:
            yield account
        finally:
            account.exchanges -= 1
            if not account.exchanges:
                del self._accounts[key]


class Knocks:
    """Credentials that were found wanting lately, by peer: to check a signature costs more than anything else that
    nobody can make us do. Whoever is remembered is not asked about here. Belongs to one event loop."""

    def __init__(self, most: int = 200, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` is how many a peer may show within a second. `clock` gives seconds."""
        self._most = most
        self._clock = clock
        self._second = float("-inf")
        self._failed: dict[str, int] = {}

    def check(self, peer: str) -> None:
        """Raises Capped where this peer has shown too many."""
        now = self._clock()
        if now - self._second >= 1.0:
            self._second = now
            self._failed.clear()
        if self._failed.get(peer, 0) >= self._most:
            raise Capped("too-many-failures", "Too many credentials from here did not count; try again in a second.")

    def failed(self, peer: str) -> None:
        """One more of this peer's did not count."""
        self._failed[peer] = self._failed.get(peer, 0) + 1
