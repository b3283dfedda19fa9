"""A heavy evaluation that timed out keeps its principal's slot until OPA itself has stopped."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from extproc.adapters.opa.client import LIGHT, OpaClient, UnixAddress
from extproc.adapters.opa.slots import Slots
from extproc.domain.ports import PolicyUnavailable
from tests.policy.conftest import wait_for

# Nine million steps: seconds.
SLOW = """
package holdpoint.main

decision := {"effect": "allow"} if not input.slow

decision := {"n": n} if {
	input.slow
	n := count([1 |
		some i in numbers.range(1, 3000)
		some j in numbers.range(1, 3000)
		i * j == 7
	])
}
"""
MANY = list(range(2 * LIGHT))
WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running OPA."""

    process: "subprocess.Popen[bytes]"
    socket: Path

    def ended(self) -> int:
        """How many evaluations it has ended."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.socket))
            asking.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
        counts = re.findall(r'http_request_duration_seconds_count\{[^}]*handler="v1/data"[^}]*\} (\S+)', text)
        return sum(int(float(count)) for count in counts)


@pytest.fixture
def slow(opa: Path, tmp_path: Path) -> Iterator[Engine]:
    """An OPA that takes seconds for `slow` input."""
    (tmp_path / "slow.rego").write_text(SLOW)
    at = tmp_path / "opa.sock"
    argv = [
        str(opa),
        "run",
        "--server",
        f"--addr=unix://{at}",
        "--log-level=error",
        "--skip-version-check",
        "slow.rego",
    ]
    process = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(at.exists)
        yield Engine(process, at)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def test_a_timed_out_evaluation_keeps_its_slot_until_the_engine_has_stopped(slow: Engine, tmp_path: Path) -> None:
    """The engine is told, and ends it well before it would be done; only then another one has the slot."""

    async def scene() -> tuple[str, bool, int, object]:
        client = OpaClient(UnixAddress(slow.socket), None, deadline_seconds=0.5, slots=Slots(tmp_path))
        assert await client.evaluate({"many": MANY}, "agent") == {"effect": "allow"}
        with pytest.raises(PolicyUnavailable) as caught:
            await client.evaluate({"slow": True, "many": MANY}, "agent")
        async with asyncio.timeout(WAIT_SECONDS):
            (await client._slots.take("agent"))()
        assert slow.ended() == 2
        # As long as the engine can't run it can't stop either, though nobody waits for it any more.
        os.kill(slow.process.pid, signal.SIGSTOP)
        with pytest.raises(PolicyUnavailable):
            await client.evaluate({"slow": True, "many": MANY}, "agent")
        taking = asyncio.create_task(client._slots.take("agent"))
        for _ in range(100):
            await asyncio.sleep(0)
        kept = not taking.done()
        os.kill(slow.process.pid, signal.SIGCONT)
        async with asyncio.timeout(WAIT_SECONDS):
            release = await taking
        ended = slow.ended()
        release()
        answer = await client.evaluate({"many": MANY}, "agent")
        client.close()
        return caught.value.code, kept, ended, answer

    assert asyncio.run(scene()) == ("policy-timeout", True, 3, {"effect": "allow"})


def test_a_cancelled_light_evaluation_keeps_its_place_until_the_engine_has_stopped(slow: Engine) -> None:
    """Whoever leaves early has no more of the engine than whoever waits."""

    async def scene() -> tuple[bool, int]:
        client = OpaClient(UnixAddress(slow.socket), None, deadline_seconds=30.0, connections=1)
        await client.evaluate({}, "agent")
        os.kill(slow.process.pid, signal.SIGSTOP)
        asking = asyncio.create_task(client.evaluate({"slow": True}, "agent"))
        for _ in range(100):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        kept = not client._places.idle
        os.kill(slow.process.pid, signal.SIGCONT)
        async with asyncio.timeout(WAIT_SECONDS):
            await client._places.take("other")
        ended = slow.ended()
        client.close()
        return kept, ended

    assert asyncio.run(scene()) == (True, 2)
