"""The pieces that the demo starts around its agent: OPA, upstreams, the gateway and its command line."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from examples.demo.processes import Child, DemoFailed, Processes
from examples.demo.workplace import Addresses, Workplace, configuration, write_configuration

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FETCH = REPOSITORY / "deploy" / "tools" / "fetch"
JAEGER_LIMIT_SECONDS = 180.0
OPA_LIMIT_SECONDS = 900.0
POSTGRES_LIMIT_SECONDS = 180.0
NEWS_SECONDS = 15.0

Say = Callable[[str], None]
# Everything here is on loopback; a proxy of the environment must not get between.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_addresses(count: int) -> list[str]:
    """Addresses on loopback whose ports are free now. All are held while choosing, so none comes twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with success now."""
    try:
        with direct.open(url, timeout=2) as response:
            return bool(200 <= response.status < 300)
    except OSError:
        return False


def get_json(url: str) -> Any:
    """The JSON at `url`. Raises OSError or ValueError."""
    with direct.open(url, timeout=10) as response:
        return json.load(response)


class ToolFetch:
    """`deploy/tools/fetch`, running: it prints the path of a tool, which it has, downloads or builds."""

    def __init__(self, processes: Processes, place: Workplace, name: str) -> None:
        self._processes = processes
        self._name = name
        self._child = processes.start(f"fetch {name}", [FETCH, "--prefer-release", name], place.log(f"fetch-{name}"))
        self._started = time.monotonic()

    def path(self, limit: float, say: Say) -> Path | None:
        """The tool's path; None when it can't be had, or was not there `limit` seconds after the start."""
        news = time.monotonic() + 3.0
        while self._child.process.poll() is None:
            elapsed = time.monotonic() - self._started
            if elapsed > limit:
                self._processes.end(self._child)
                return None
            if time.monotonic() > news:
                say(f"making {self._name}, once; {elapsed:.0f} s so far, at most {limit:.0f} s")
                news = time.monotonic() + NEWS_SECONDS
            time.sleep(0.1)
        self._processes.forget(self._child)
        lines = self._child.log.read_text(encoding="utf-8", errors="replace").splitlines()
        path = Path(lines[-1]) if lines else None
        return path if self._child.process.returncode == 0 and path is not None and path.is_file() else None

    def why(self) -> str:
        """Why it did not come, on one line: what `fetch` said last."""
        lines = self._child.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines and self._child.process.returncode > 0 else "it took too long"

    def tail(self) -> str:
        """What `fetch` said."""
        return self._child.tail()


def start_upstream(processes: Processes, place: Workplace, name: str) -> Callable[[], str]:
    """Start one of the demo's upstreams; the function that is returned waits for its address."""
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        f"examples.demo.{name}",
        "--credential-file",
        place.upstream(name, "credential"),
    ]
    argv += ["--log", place.upstream(name, "received"), "--address-file", place.upstream(name, "address")]
    child = processes.start(name, argv, place.log(name), cwd=REPOSITORY)

    def address() -> str:
        processes.wait_for(child, place.upstream(name, "address").exists, 30, f"the address of {name}")
        return place.upstream(name, "address").read_text(encoding="utf-8")

    return address


class Gateway:
    """The running gateway and its command line."""

    def __init__(self, processes: Processes, place: Workplace, at: Addresses, opa: Path) -> None:
        write_configuration(place, configuration(at))
        self.place = place
        self.at = at
        self._processes = processes
        # `holdpoint` looks for opa on the PATH.
        self._env = {**os.environ, "PATH": f"{opa.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        argv: list[str | Path] = [*command(), "up", "--config", place.config]
        self._child = processes.start("holdpoint", argv, place.log("holdpoint"), env=self._env, cwd=REPOSITORY)
        processes.wait_for(self._child, lambda: answers(f"http://{at.ops}/readyz"), 60, "the gateway")

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._child.process.pid

    @property
    def shell_environment(self) -> dict[str, str]:
        """What makes `holdpoint` speak to this gateway as the approver."""
        return {"HOLDPOINT_CONFIG": str(self.place.config), "HOLDPOINT_TOKEN": self.place.approver_token}

    def run(self, *arguments: str) -> str:
        """Run one command of `holdpoint` as the approver; returns what it printed. Raises DemoFailed when it fails."""
        return self._run(self.place.approver_token, arguments)

    def administer(self, *arguments: str) -> str:
        """The same as the operator."""
        return self._run(self.place.operator_token, arguments)

    def audit(self, *arguments: str) -> str:
        """The same as the auditor."""
        return self._run(self.place.auditor_token, arguments)

    def refusal(self, *arguments: str) -> str:
        """What the approver, who has no role with the trail, is told; empty where the command succeeds all the same."""
        done = self._done(self.place.approver_token, arguments)
        return (done.stdout + done.stderr).strip() if done.returncode else ""

    def _run(self, token: str, arguments: Sequence[str]) -> str:
        done = self._done(token, arguments)
        if done.returncode != 0:
            shown = shlex.join(["holdpoint", *arguments])
            raise DemoFailed(
                f"`{shown}` ended with status {done.returncode} and said:\n{(done.stdout + done.stderr)[-2000:]}"
            )
        return done.stdout

    def _done(self, token: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        env = self._env | self.shell_environment | {"HOLDPOINT_TOKEN": token}
        argv = [*command(), *arguments]
        return subprocess.run(argv, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False, timeout=60)

    def trail(self) -> list[dict[str, Any]]:
        """The journal's decisions, oldest first, each with what became of it."""
        return [json.loads(line) for line in self.administer("audit", "list", "--limit", "1000", "--json").splitlines()]

    def wait_for_hold(self, errand: str) -> Child:
        """Start `holdpoint holds wait`: it ends, with the hold as JSON in its log, once one waits for the approver.
        `errand` is what the log is called by."""
        argv = [*command(), "holds", "wait", "--json"]
        log = self.place.log(f"holds-wait-{errand}")
        return self._processes.start("holds wait", argv, log, env=self._env | self.shell_environment, cwd=REPOSITORY)


def command() -> list[str]:
    """How to start `holdpoint` with the interpreter that runs the demo."""
    script = Path(sys.executable).parent / "holdpoint"
    return [str(script)] if script.exists() else [sys.executable, "-m", "extproc.cli"]
