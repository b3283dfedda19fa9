"""A server's process, run as the user that it may run as, and its log."""

import signal
import subprocess
import threading
from pathlib import Path

from tests.support.postgres_binaries import clean_environment, owner

SECONDS = 60.0


class Log:
    """Lines, which may be waited for."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._over = False

    @property
    def text(self) -> str:
        """All so far."""
        with self._more:
            return "".join(self._lines)

    @property
    def length(self) -> int:
        """How many lines there are."""
        with self._more:
            return len(self._lines)

    def wait_for(self, text: str, *, after: int = 0, seconds: float = SECONDS) -> None:
        """Return when a line with this text is there, from line number `after` on. Raises AssertionError when the
        process ends before, or time runs out."""

        def logged() -> bool:
            return any(text in line for line in self._lines[after:])

        with self._more:
            self._more.wait_for(lambda: logged() or self._over, seconds)
            assert logged(), "".join(self._lines[-40:])

    def follow(self, process: "subprocess.Popen[str]") -> threading.Thread:
        """Take what a process writes to standard error, until all that have it open are gone."""
        with self._more:
            self._over = False
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        return reader

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
        with self._more:
            self._over = True
            self._more.notify_all()


class Process:
    """Runs from now on. `command` is run in `folder`, which its user can get at."""

    def __init__(self, command: list[str], folder: Path, log: Log) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=clean_environment(),
            user=owner().user,
            group=owner().group,
            extra_groups=owner().groups,
        )
        self._reader = log.follow(self._process)

    @property
    def pid(self) -> int:
        """Of the first process, which the others are children of."""
        return self._process.pid

    def wait(self) -> int:
        """Its exit status, when it and all its children are gone: before, PostgreSQL may not start again."""
        status = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status

    def end(self, number: signal.Signals) -> None:
        """End it by a signal."""
        self._process.send_signal(number)
        self.wait()
