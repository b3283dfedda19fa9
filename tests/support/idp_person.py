"""Somebody's own machine for tests of `holdpoint login`: a home, and the commands that are run there."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.idp import APPROVERS, Realm


class Person:
    """Somebody's own machine: a home without a configuration of the gateway."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: list[subprocess.Popen[str]] = []

    @property
    def file(self) -> Path:
        """Where the login is kept."""
        return self.home / "holdpoint" / "credentials.json"

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command; no browser is opened by itself."""
        kept = {n: v for n, v in os.environ.items() if n not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
        process = subprocess.Popen(
            [sys.executable, "-m", "extproc.cli", *words],
            env={**kept, "XDG_CONFIG_HOME": str(self.home), "HOLDPOINT_TOKEN": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, output, errors."""
        return finish(self.start(*words))

    def login(self, realm: Realm, *words: str, client: str = APPROVERS) -> "subprocess.Popen[str]":
        """Start a login without a configuration."""
        return self.start("login", "--issuer", realm.issuer, "--client-id", client, *words)

    def end(self) -> None:
        """End what still runs."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def shown(process: "subprocess.Popen[str]", pattern: str) -> str:
    """The first thing of this pattern that the command tells."""
    told = ""
    assert process.stderr is not None
    for line in process.stderr:
        told += line
        if found := re.search(pattern, line):
            return found.group(1)
    raise AssertionError(f"the command ended without telling it:\n{told}")


def device_address(process: "subprocess.Popen[str]") -> str:
    """Where a person is sent to with the code already in the address."""
    return shown(process, r"or open (\S+) ")


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code, output, and the rest of the errors."""
    # Not `communicate`: it would miss what `shown` has read ahead. Little is printed, so no pipe fills up meanwhile.
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        assert process.stdout is not None
        errors, output = process.stderr.read(), process.stdout.read()
        return process.wait(), output, errors
    finally:
        watchdog.cancel()
