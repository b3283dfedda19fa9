"""What the soak starts beside the gateway: Jaeger, the upstream, the clients; and the small disk."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.soak.load import Given, News, pack
from tests.support.envoy import until
from tests.support.gateway import free_port
from tests.support.jaeger import ON_DISK, find_jaeger

STALLED_SECONDS = 120.0
_END_SECONDS = 90.0


class SoakFailed(Exception):
    """The gateway did not come back, or a part of the soak itself broke. The message says what."""


class JaegerProcess:
    """A Jaeger that keeps its traces on the ordinary disk, to be killed and started again on the same ports."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "jaeger.log"
        self._ports = {name: free_port() for name in ("HTTP", "GRPC", "HEALTH", "OTLP")}
        self._data = folder / "traces"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def otlp(self) -> str:
        """Where it takes spans."""
        return f"http://127.0.0.1:{self._ports['OTLP']}"

    @property
    def page(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self._ports['HTTP']}"

    def start(self) -> None:
        """Start it, and wait until it takes spans."""
        values = {**self._ports, "DATA": self._data}
        environment = {f"HOLDPOINT_JAEGER_{name}": str(value) for name, value in values.items()}
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(find_jaeger()), "--config", str(ON_DISK)],
                env={**os.environ, **environment, "OTEL_TRACES_SAMPLER": "always_off"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until(self._healthy, "Jaeger", 120)

    def _healthy(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise SoakFailed(f"Jaeger ended while it started: {self._log.read_text()[-2000:]}")
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._ports['HEALTH']}/status") as answer:
            return bool(json.load(answer)["healthy"])
        return False

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Upstream:
    """The upstream's process. Its log is a file that no fault touches."""

    def __init__(self, log: Path) -> None:
        self._process = _python("tests.soak.upstream", str(log))
        self.port = int(_lines(self._process).readline())

    def stop(self) -> None:
        """End it; its input ends, and so does it."""
        _end(self._process)


class Clients:
    """The load generator's process, and what it told last."""

    def __init__(self, given: Given) -> None:
        self._process = _python("tests.soak.load")
        self._changed = threading.Condition()
        self._answers: Counter[str] = Counter()
        self._done = False
        if self._process.stdin is not None:
            self._process.stdin.write(pack(given))
            self._process.stdin.flush()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in _lines(self._process):
            news = News(**json.loads(line))
            with self._changed:
                self._answers, self._done = Counter(news.answers), news.done
                self._changed.notify_all()
        with self._changed:
            if not self._done:
                self._answers["wrong"] += 1
            self._done = True
            self._changed.notify_all()

    @property
    def answers(self) -> Counter[str]:
        """Requests so far, by what became of them (see tests.soak.load)."""
        with self._changed:
            return Counter(self._answers)

    def wait(self, enough: Callable[[Counter[str]], bool], what: str, seconds: float = STALLED_SECONDS) -> None:
        """Wait until the counts are as wanted. Raises SoakFailed when that takes too long, or the clients ended."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._done or enough(self._answers), seconds)
            if not came or not enough(self._answers):
                why = "the clients ended" if came else f"that did not happen within {seconds:g} s"
                raise SoakFailed(f"waited for {what}: {why}; answers so far: {dict(self._answers)}")

    def finish(self) -> Counter[str]:
        """Tell them to stop, and wait until every request has ended. Raises SoakFailed when one does not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with self._changed:
            if not self._changed.wait_for(lambda: self._done, _END_SECONDS):
                raise SoakFailed(f"the clients did not end within {_END_SECONDS:g} s of being told to")
        return self.answers

    def stop(self) -> None:
        """End them, whatever is under way."""
        _end(self._process)


class SmallDisk:
    """A tmpfs of so many bytes, mounted on a folder in this process's own mount namespace; it goes away with it."""

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self._filling = folder, folder / "filling"
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        self.why_not = "" if done.returncode == 0 else done.stderr.strip() or "mount failed"

    def used(self) -> int:
        """Bytes that are taken on it now."""
        room = os.statvfs(self._folder)
        return (room.f_blocks - room.f_bfree) * room.f_frsize

    def fill(self) -> None:
        """Take all the room there is, to the last block."""
        with suppress(OSError), self._filling.open("ab", 0) as file:
            room = os.statvfs(self._folder)
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize))
        with suppress(OSError), self._filling.open("ab", 0) as file:
            while True:
                file.write(b"x" * 4096)

    def empty(self) -> None:
        """Give it back."""
        self._filling.unlink(missing_ok=True)

    def stop(self) -> None:
        """Unmount it, even where something still runs on it."""
        if not self.why_not:
            subprocess.run(["umount", "--lazy", str(self._folder)], capture_output=True, check=False)


def _python(module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _lines(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    if process.stdout is None:
        raise SoakFailed("a process without output")
    return process.stdout


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
