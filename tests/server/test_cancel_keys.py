"""Which session a CancelRequest means."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, PROTOCOL_3_2, CancelRequest
from extproc.server.terminator.cancels import Cancels, Route

PID = 4711


class Others(Route):
    """The other workers, which hear of requests here only. `heard` are those."""

    def __init__(self) -> None:
        super().__init__([])
        self.heard: list[bytes] = []

    async def __call__(self, message: bytes) -> None:
        self.heard.append(message)


def cancelling(cancelled: list[str], name: str) -> Callable[[], Awaitable[None]]:
    """What cancels a session, and says so."""

    async def cancel() -> None:
        cancelled.append(name)

    return cancel


@pytest.mark.parametrize("version", [PROTOCOL_3_0, PROTOCOL_3_2])
def test_each_of_several_with_one_number_has_a_secret(version: int) -> None:
    """Servers count for themselves, so two sessions may have one number: the secret says which is meant."""
    cancels, cancelled = Cancels(Others()), list[str]()
    with ExitStack() as stack:
        keys = {
            name: stack.enter_context(cancels.known(version, lambda: PID, cancelling(cancelled, name)))
            for name in ("one", "two", "three")
        }
        asyncio.run(cancels.asked(CancelRequest(PID, keys["two"]), relayed=False))
    assert cancelled == ["two"]


def test_whom_nobody_here_knows_the_others_are_asked_once() -> None:
    """Another secret, another number, a session that is over, one that has no number yet: nothing is cancelled here."""
    others, cancelled = Others(), list[str]()
    cancels = Cancels(others)
    with cancels.known(PROTOCOL_3_0, lambda: None, cancelling(cancelled, "no number")) as early:
        asyncio.run(cancels.asked(CancelRequest(PID, early), relayed=False))
    with cancels.known(PROTOCOL_3_0, lambda: PID, cancelling(cancelled, "over")) as over:
        pass
    with cancels.known(PROTOCOL_3_0, lambda: PID, cancelling(cancelled, "there")) as secret:
        wrong = [
            CancelRequest(PID, over),
            CancelRequest(PID, secret[:3] + bytes([secret[3] ^ 1])),
            CancelRequest(PID, secret + bytes(4)),
            CancelRequest(PID + 1, secret),
        ]
        for request in wrong:
            asyncio.run(cancels.asked(request, relayed=False))
            asyncio.run(cancels.asked(request, relayed=True))
    assert cancelled == []
    assert others.heard == [CancelRequest(PID, early).encode(), *(request.encode() for request in wrong)]
