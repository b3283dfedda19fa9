"""Runs programs and keeps them running: readiness, restart with backoff, liveness, stop in order, one log.

It knows nothing of what the programs are; `app` says that.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger("holdpoint.up")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 30.0
_STABLE_SECONDS = 30.0
_PROBE_SECONDS = 1.0
_LINE_LIMIT = 1 << 20
_PASSED = frozenset(
    {"HOLDPOINT_CACHE", "HOLDPOINT_OPA", "HOME", "LANG", "PATH", "PYTHONPATH", "SSL_CERT_FILE", "TMPDIR", "TZ"}
    | {"VIRTUAL_ENV", "XDG_CACHE_HOME"}
)

Probe = Callable[[], Awaitable[bool]]
Say = Callable[[str, str], None]


class StartFailed(Exception):
    """A program did not become ready. The message names it and what to look at."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program to run.

    `alive` tells whether it serves: asked until it is ready, and then every second; `patience` failures in a row end
    the process, so that a hung one is started anew. `before_stop` may drain it, `after_end` is told the process id."""

    name: str
    argv: Sequence[str]
    alive: Probe
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    patience: int = 3
    ready_seconds: float = 30.0
    stop_seconds: float = 10.0
    before_stop: Callable[[], Awaitable[None]] | None = None
    before_start: Callable[[], None] | None = None
    after_end: Callable[[int], None] | None = None


class Supervisor:
    """Starts stages of programs in the order given, those of a stage together; stops them in the reverse order."""

    def __init__(self, stages: Sequence[Sequence[Program]], say: Say) -> None:
        self._stages = [[_Running(program, say) for program in stage] for stage in stages]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all, each stage once the one before it is ready. Raises StartFailed."""
        for stage in self._stages:
            starting = [asyncio.create_task(running.start()) for running in stage]
            try:
                await asyncio.gather(*starting)
            finally:
                for task in starting:
                    task.cancel()
                await asyncio.gather(*starting, return_exceptions=True)
            self._tasks += [asyncio.create_task(running.keep(), name=running.program.name) for running in stage]

    async def stop(self) -> None:
        """Stop all, last started first, each with time to drain; then by force."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stage in reversed(self._stages):
            await asyncio.gather(*(running.stop() for running in stage))

    async def failed(self) -> None:
        """Waits until a keeper ends, which none does by itself, and raises what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


class _Running:
    """One program and its current process."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.process: asyncio.subprocess.Process | None = None
        self._say = say
        self._since = 0.0
        self._output: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises StartFailed."""
        await self._spawn()
        deadline = time.monotonic() + self.program.ready_seconds
        while not await self._probe():
            if self.process is None or self.process.returncode is not None:
                code = self.process.returncode if self.process else None
                await self._drained()
                raise StartFailed(
                    f"{self.program.name} ended while it started ({_ended(code)}); its last lines say why"
                )
            if time.monotonic() > deadline:
                await self.stop()
                raise StartFailed(f"{self.program.name} was not ready after {self.program.ready_seconds:g} s")
            await asyncio.sleep(0.02)
        took = time.monotonic() - self._since
        _log.info(
            "%s is ready",
            self.program.name,
            extra={"took_ms": round(took * 1000), "pid": self.process and self.process.pid},
        )

    async def keep(self) -> None:
        """Keep it running until cancelled."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            code = await self._watch()
            await self._ended()
            if time.monotonic() - self._since > _STABLE_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            _log.error("%s ended (%s); starting it again in %.1f s", self.program.name, _ended(code), backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
            try:
                await self.start()
            except (StartFailed, OSError) as error:
                _log.error("%s", error)

    async def stop(self) -> None:
        """Stop it: drain, ask, and after `stop_seconds` force."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        if self.program.before_stop is not None:
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(self.program.before_stop(), self.program.stop_seconds)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.program.stop_seconds)
        except TimeoutError:
            _log.warning("%s did not stop in %g s; ending it", self.program.name, self.program.stop_seconds)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._ended()

    async def _spawn(self) -> None:
        if self.program.before_start is not None:
            self.program.before_start()
        self._since = time.monotonic()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.program.argv,
                env={**_environment(), **self.program.env},
                cwd=self.program.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=_LINE_LIMIT,
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"{self.program.name}: {self.program.argv[0]}: {error.strerror}") from error
        self._output = asyncio.create_task(self._relay(self.process))

    async def _relay(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:
                line = b"(a line of more than 1 MiB was left out)\n"
            if not line:
                return
            self._say(self.program.name, line.decode("utf-8", "replace").rstrip("\n"))

    async def _ended(self) -> None:
        await self._drained()
        if self.program.after_end is not None and self.process is not None:
            self.program.after_end(self.process.pid)

    async def _drained(self) -> None:
        if self._output is not None:
            await asyncio.wait([self._output], timeout=1.0)

    async def _watch(self) -> int | None:
        """Wait for its end, or make it end when it stops serving. Returns the exit code."""
        process, failures = self.process, 0
        if process is None:
            return None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_SECONDS):
                    return await process.wait()
            failures = 0 if await self._probe() else failures + 1
            if failures >= self.program.patience:
                _log.error("%s does not answer; ending it", self.program.name)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _probe(self) -> bool:
        try:
            # Not wait_for: where a probe ends in the moment in which its keeper is cancelled, that would be forgotten
            # (Python 3.11), and the gateway would never stop.
            async with asyncio.timeout(2.0):
                return await self.program.alive()
        except (OSError, TimeoutError, EOFError, ValueError):
            return False


def _die_with_parent() -> None:
    # A supervisor that is killed takes its programs with it, hung ones too: none may go on unwatched.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What every program may know of whoever started us; the rest may be somebody's secrets."""
    return {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith("LC_")}


def _ended(code: int | None) -> str:
    if code is None:
        return "never ran"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
