"""Child processes that are all gone when the demo ends, however it ends: normally, by failure, by Ctrl-C or two."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

TAIL_LINES = 25
GRACE_SECONDS = 8.0
LOOK_SECONDS = 0.1


class DemoFailed(Exception):
    """The demo can't go on. The message is for a person: what failed, where, and the tail of the log that tells why."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Another user of this machine that a process runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Child:
    """One process that the demo started."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    stop: signal.Signals = signal.SIGTERM

    def tail(self) -> str:
        """The last lines of its log."""
        return tail(self.log)


def tail(log: Path) -> str:
    """The last lines of a log, indented; says so when there is nothing."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:] if log.exists() else []
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP. The first raises KeyboardInterrupt in the main thread, unless shielded; later ones
    only count, so that nobody's second Ctrl-C can break the cleaning up."""

    def __init__(self) -> None:
        self.count = 0
        self._shields = 0

    def install(self) -> None:
        """Take over the three signals. Call it in the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1 and not self._shields:
            raise KeyboardInterrupt

    @contextmanager
    def shielded(self, quiet: bool = False) -> Iterator[None]:
        """Within, no signal raises. After it, a signal that came meanwhile does, unless `quiet`."""
        before = self.count
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if not quiet and before == 0 < self.count:
            raise KeyboardInterrupt


class Processes:
    """The demo's children, in the order in which they were started. Use it as a context manager."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        owner: Owner | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """Start one process with its output in `log`, in a session of its own; `stop` is what asks it to end. Raises
        DemoFailed when that fails."""
        identity: dict[str, object] = (
            {} if owner is None else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
        )
        # Shielded: a signal between fork and append would leave a process that nobody knows of.
        with self._interrupts.shielded(), log.open("ab") as output:
            try:
                process = subprocess.Popen(  # type: ignore[call-overload]
                    [str(part) for part in argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    start_new_session=True,
                    **identity,
                )
            except OSError as error:
                raise DemoFailed(f"{name} did not start: {error} (command: {argv[0]})") from error
            child = Child(name, process, log, stop)
            self._children.append(child)
        return child

    def check(self) -> None:
        """Raise DemoFailed when a child that should run has ended."""
        for child in self._children:
            if (status := child.process.poll()) is not None:
                raise DemoFailed(
                    f"{child.name} ended unexpectedly ({ended(status)}). The tail of its log:\n{child.tail()}"
                )

    def forget(self, child: Child) -> None:
        """The child was meant to end, and has; check() no longer looks at it."""
        self._children.remove(child)

    def end(self, child: Child) -> None:
        """End one child that is no longer needed, and what it started."""
        family = _family({child.process.pid})
        child.process.send_signal(child.stop)
        try:
            child.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        _kill_left(family)
        self.forget(child)

    def wait_for(self, child: Child, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Return once `ready()` is true. Raises DemoFailed when a child ends or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"{what} did not come within {seconds:.0f} s. The tail of {child.name}'s log:\n{child.tail()}"
                )
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End all children and what they started: SIGTERM, or what else a child takes for it; seconds of grace (none
        after a further Ctrl-C); SIGKILL."""
        with self._interrupts.shielded(quiet=True):
            presses = self._interrupts.count
            family = _family({child.process.pid for child in self._children})
            for child in reversed(self._children):
                if child.process.poll() is None:
                    child.process.send_signal(child.stop)
            deadline = time.monotonic() + GRACE_SECONDS
            while any(child.process.poll() is None for child in self._children):
                if time.monotonic() > deadline or self._interrupts.count > presses:
                    break
                time.sleep(LOOK_SECONDS)
            for child in self._children:
                if child.process.poll() is None:
                    child.process.kill()
                    child.process.wait()
            _kill_left(family)
            self._children.clear()


def ended(status: int) -> str:
    """How a process ended, for people."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


@dataclass(frozen=True, slots=True)
class _Row:
    parent: int
    session: int
    started: str


def _table() -> dict[int, _Row]:
    """The machine's processes from /proc. Empty where there is no /proc: then only the children are ended."""
    rows = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        rows[int(entry.parent.name)] = _Row(int(fields[1]), int(fields[3]), fields[19])
    return rows


def _family(pids: set[int]) -> dict[int, str]:
    """Descendants of `pids` (by parent, or by session, which survives the parent), with the time each started."""
    table = _table()
    known = set(pids)
    while new := {
        pid for pid, row in table.items() if pid not in known and (row.parent in known or row.session in pids)
    }:
        known |= new
    return {pid: table[pid].started for pid in known - pids}


def _kill_left(family: Mapping[int, str]) -> None:
    """Kill what is left of a family. The start time tells a process from a later one with the same number."""
    now = _table()
    for pid, started in family.items():
        if pid in now and now[pid].started == started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
