"""Does to the gateway what a plan says, and waits after each fault until requests pass again."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from tests.soak.plan import Event, Fault, faults
from tests.soak.stack import Stack

_PASSED_AGAIN = 40
_AWAY = 60


class Injector:
    """Runs decks of faults until told to stop. `counts` says how many of each there were."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self._stack, self._say = stack, say
        self.counts: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        self._pause = threading.Event()
        """Never set: what is waited on while a fault lasts."""

    def run(self, enough: Callable[[], bool]) -> None:
        """Deck after deck until there is enough, the first one always whole. Raises SoakFailed when the gateway does
        not come back."""
        stack = self._stack
        decks = faults(stack.options.seed, stack.gateway.programs, stack.options.gap, not stack.disk.why_not)
        for number, deck in enumerate(decks):
            for event in deck:
                if number and enough():
                    return
                before = stack.clients.answers.total()
                stack.clients.wait(lambda now, b=before, e=event: now.total() >= b + e.after, "answers")  # type: ignore[misc]
                self._do(event)
            if enough():
                return

    def _do(self, event: Event) -> None:
        self._say(f"{event.label} ({event.victim})" if event.victim else event.label)
        self.counts[event.label] += 1
        began = time.monotonic()
        match event.fault:
            case Fault.KILL:
                self._kill(event.victim)
            case Fault.PAUSE:
                self._hold_still(event.victim, event.seconds)
            case Fault.JAEGER:
                self._jaeger(event.seconds)
            case Fault.DISK:
                self._disk(event.seconds)
            case Fault.POWER:
                self._stack.gateway.kill()
                self._stack.gateway.start()
        self._passes(event.label)
        self.slowest[event.label] = max(self.slowest.get(event.label, 0.0), time.monotonic() - began)

    def _passes(self, after: str) -> None:
        clients, before = self._stack.clients, self._stack.clients.answers["200"]
        clients.wait(lambda now: now["200"] >= before + _PASSED_AGAIN, f"requests that pass after {after!r}")

    def _kill(self, program: str) -> None:
        gateway = self._stack.gateway
        known = gateway.pids(program)
        # It may be between two lives by itself, after an earlier fault.
        with suppress(ProcessLookupError):
            os.kill(gateway.pid(program), signal.SIGKILL)
        gateway.wait_anew(program, known)

    def _hold_still(self, program: str, seconds: float) -> None:
        pid = self._stack.gateway.pid(program)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                self._pause.wait(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)

    def _jaeger(self, seconds: float) -> None:
        """Away for some answers, which have to wait in the journal, and a while more."""
        clients, jaeger = self._stack.clients, self._stack.jaeger
        jaeger.kill()
        before = clients.answers["200"]
        clients.wait(lambda now: now["200"] >= before + _AWAY, "requests that pass without Jaeger")
        self._pause.wait(seconds)
        jaeger.start()

    def _disk(self, seconds: float) -> None:
        """Full until requests are refused, and a while more: the other programs want to write too."""
        clients, disk = self._stack.clients, self._stack.disk
        before = clients.answers["503"]
        disk.fill()
        try:
            clients.wait(lambda now: now["503"] >= before + _AWAY, "requests that are refused because the disk is full")
            self._pause.wait(seconds)
        finally:
            disk.empty()
