"""How much one principal may have under way in this worker, so that none takes the gateway from the others."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from extproc.domain.identity import neighbourhood


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
        # Heavy work (reading and masking large bodies) of one principal is done one after the other, so that others
        # never wait for more than one piece of it.
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
        self._accounts: dict[tuple[str, bool], Account] = {}

    @contextmanager
    def exchange(self, principal: str, *, tunnel: bool = False) -> Iterator[Account]:
        """One exchange of the principal with this key; tunnels have an account of their own. Raises Capped where it
        has too many under way."""
        key = principal, tunnel
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
    """Credentials whose signature has to be checked for the first time, by peer: that costs more than anything else
    that nobody can make us do. What was found good before is not asked about here. Belongs to one event loop."""

    def __init__(self, most: int = 200, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` is how many that turn out bad, or are being looked at, a peer may show within a second. `clock` gives
        seconds."""
        self._most = most
        self._clock = clock
        self._second = float("-inf")
        self._shown: dict[str, int] = {}

    def knock(self, peer: str) -> Callable[[], None]:
        """One more of this peer's is looked at, so that many at once count too; what it gives is called to take it back
        where nothing was wrong with it. Raises Capped where the peer has shown too many."""
        now = self._clock()
        if now - self._second >= 1.0:
            self._second, self._shown = now, {}
        shown, peer = self._shown, neighbourhood(peer)
        if shown.get(peer, 0) >= self._most:
            raise Capped("too-many-failures", "Too many credentials from here did not count; try again in a second.")
        shown[peer] = shown.get(peer, 0) + 1

        def take_back() -> None:
            shown[peer] -= 1

        return take_back
