"""Processes that the bench starts, each stopped by its own id."""

import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class BenchFailed(Exception):
    """The bench can't go on, or measured something that is not right. The message says what."""


class Child:
    """A process whose lines on one of its outputs are read as they come; the last ones are kept for error messages."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        read_errors: bool = False,
        accept_input: bool = False,
    ) -> None:
        self.name = " ".join(arguments[-2:])
        self.process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if accept_input else subprocess.DEVNULL,
            stdout=None if read_errors else subprocess.PIPE,
            stderr=subprocess.PIPE if read_errors else None,
        )
        self._stream = self.process.stderr if read_errors else self.process.stdout
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._last: list[bytes] = []
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def line(self, seconds: float = START_SECONDS) -> bytes:
        """The next line. Raises BenchFailed when it ended, or said nothing for so long."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise BenchFailed(f"{self.name} said nothing for {seconds:g} s") from None
        if line is None:
            tail = b"".join(self._last[-10:]).decode("utf-8", "replace")
            raise BenchFailed(f"{self.name} ended (status {self.process.wait()}); its last lines:\n{tail}")
        return line

    def tell(self, line: bytes) -> None:
        """Write to its standard input. Raises BenchFailed when it has none any more."""
        if self.process.stdin is None:
            raise BenchFailed(f"{self.name} takes no input")
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise BenchFailed(f"{self.name} ended (status {self.process.wait()})") from None

    def stop(self) -> None:
        """End it: politely, then by force."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _read(self) -> None:
        if self._stream is not None:
            with self._stream:
                for line in self._stream:
                    self._last = [*self._last[-19:], line]
                    self._lines.put(line)
        self._lines.put(None)


def python(module: str, *arguments: str, accept_input: bool = False, env: Mapping[str, str] | None = None) -> Child:
    """A module of ours in a process of its own."""
    return Child([sys.executable, "-m", module, *arguments], accept_input=accept_input, env=env)
