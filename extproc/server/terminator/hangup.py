"""Noticing that a peer is gone while nobody reads what it sent."""

import asyncio
import select
import socket
from collections.abc import Callable

_SECONDS = 1.0
"""For so long a peer goes unread without a watch: most are read again sooner, and a watch costs system calls."""


class Hangup:
    """Calls `gone` once a connection that is not read is closed both ways, or broken. An end of the peer's own sending
    is no such thing: it may still read answers, and what it sent before comes first. An event loop does not look at a
    connection that is not read at all."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._timer: asyncio.TimerHandle | None = None
        self._poll: select.epoll | None = None
        self._of: socket.socket | None = None

    def watch(self, of: socket.socket) -> None:
        """Nobody reads from this connection from now on."""
        self._of = of
        if self._timer is None:
            # One that was set for an earlier time will do: reading goes on and off hundreds of times a second.
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._begin)

    def unwatch(self) -> None:
        """Somebody reads again."""
        self._of = None
        if self._poll is not None:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None

    def end(self) -> None:
        """There is no connection any more."""
        self.unwatch()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        if self._of is not None and self._of.fileno() >= 0:
            self._poll = select.epoll()
            # EPOLLHUP and EPOLLERR are told in any case, and nothing else is wanted (epoll_ctl(2)).
            self._poll.register(self._of.fileno(), 0)
            asyncio.get_running_loop().add_reader(self._poll.fileno(), self._told)

    def _told(self) -> None:
        self.unwatch()
        self._gone()
