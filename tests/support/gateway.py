"""A whole gateway for tests: `holdpoint up` as a user starts it, with real parts, and an upstream that records."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from extproc.audit.reader import records, streams
from tests.support.envoy_upstream import RecordingUpstream
from tests.support.jwt import TokenIssuer

START_SECONDS = 180.0
CREDENTIAL = "the-real-credential-of-crm"


def free_port() -> int:
    """A TCP port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """Runs until `stop`. `targets` and `identity` are lines that go into these sections of its holdpoint.yaml, UPSTREAM
    standing for the upstream's address; `policy`, `audit`, `listen` and `limits` are members of theirs. `proxy` opens
    the forward proxy."""

    def __init__(
        self,
        *,
        workers: int = 1,
        targets: str = "",
        policy: str = "",
        audit: str = "otlp: null",
        listen: str = "",
        identity: str = "",
        limits: str = "",
        proxy: bool = False,
    ) -> None:
        # Unix sockets have short paths, and pytest's folders have long ones.
        self.folder = Path(tempfile.mkdtemp(prefix="hp-"))
        self.state = self.folder / "state"
        self.upstream = RecordingUpstream()
        self.agents = TokenIssuer("https://agents.test", "holdpoint-agents")
        self.people = TokenIssuer("https://people.test", "holdpoint-approvers", "p1")
        self.port, self.ops, self.proxy_port = free_port(), free_port(), free_port()
        self.log: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        at = [listen] if listen else []
        if proxy:
            at.append(f"proxy: 127.0.0.1:{self.proxy_port}")
        self._write(workers, targets, policy, audit, at, identity, limits)
        self._process: subprocess.Popen[str] | None = None

    def _write(
        self, workers: int, targets: str, policy: str, audit: str, listen: list[str], identity: str, limits: str
    ) -> None:
        self.agents.write(self.folder / "agents.json")
        self.people.write(self.folder / "people.json")
        secret = self.folder / "credential"
        secret.touch(0o600)
        secret.write_text(CREDENTIAL)
        self.config = self.folder / "holdpoint.yaml"
        upstream = f"http://127.0.0.1:{self.upstream.port}"
        crm = f'crm: {{upstream: "{upstream}", environment: production, credential: credential, wait: 30s}}'
        lines = [
            "version: 1",
            f"listen: {{{', '.join([f'address: 127.0.0.1:{self.port}', f'ops: 127.0.0.1:{self.ops}', *listen])}}}",
            "identity:",
            f"  agents: [{{issuer: {self.agents.issuer}, audience: {self.agents.audience}, jwks: agents.json}}]",
            f"  approvers: [{{issuer: {self.people.issuer}, audience: {self.people.audience}, jwks: people.json}}]",
            *(f"  {line}" for line in identity.splitlines()),
            "targets:",
            *(f"  {line}" for line in [crm, *targets.replace("UPSTREAM", upstream).splitlines()]),
            f"limits: {{{limits}}}",
            f"policy: {{{policy}}}",
            f"audit: {{{audit}}}",
            f"workers: {workers}",
            "state: state",
        ]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self) -> "Gateway":
        """Start it and wait until it says that it is ready. After `kill`, on the state that was left."""
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "extproc.cli", "up", "--json", "--config", str(self.config)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._process,), daemon=True)
        self._reader.start()
        self.wait_log(lambda e: e.get("program") == "up" and str(e.get("message", "")).startswith("ready:"))
        return self

    def _read_log(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stderr or ():
            entry = json.loads(line) if line.startswith("{") else {"program": "up", "message": line}
            self.log.append(entry)
            self._lines.put(entry)
        self._lines.put(None)

    def wait_log(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = START_SECONDS) -> dict[str, Any]:
        """The next log entry that is wanted; fails with the log's tail where the gateway ended or said nothing."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                entry = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if entry is None:
                break
            if wanted(entry):
                return entry
        raise AssertionError("not in the log:\n" + "\n".join(json.dumps(e) for e in self.log[-30:]))

    def pid(self, program: str) -> int:
        """The process id of a program, as the log last told it."""
        told = [e for e in self.log if e.get("message") == f"{program} is ready"]
        return int(told[-1]["pid"])

    def wait_ready_again(self, program: str) -> None:
        """Wait until a program that ended is back."""
        self.wait_log(lambda e: e.get("message") == f"{program} is ready")

    def signal(self, number: int) -> None:
        """Send the supervisor a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def signal_reload(self) -> None:
        """Have it read its configuration and policies again now, and wait until it has."""
        self.signal(signal.SIGHUP)
        self.wait_log(lambda e: e.get("message") == "read everything again")

    def kill(self) -> None:
        """End the supervisor without a word to anyone, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._reader.join(10)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def end(self) -> int:
        """Stop it as a user would, and leave its state where it is; returns its exit code."""
        code = 0
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            code = self._process.wait(60)
            self._reader.join(10)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None
        return code

    def stop(self) -> int:
        """Stop it as a user would, and clean up; returns its exit code."""
        code = self.end()
        self.upstream.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    @property
    def url(self) -> str:
        """Where agents connect."""
        return f"http://127.0.0.1:{self.port}"

    def client(
        self, subject: str = "agent-1", *, target: str = "crm", timeout: float = 30.0, **claims: Any
    ) -> httpx.Client:
        """An agent's HTTP client for one target."""
        token = self.agents.token(subject, **claims)
        headers = {"authorization": f"Bearer {token}", "host": f"{target}.holdpoint.internal"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def holdpoint(
        self, *words: str, subject: str = "bob", groups: tuple[str, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Run a `holdpoint` command as a person of these groups."""
        token = self.people.token(subject, groups=list(groups))
        return subprocess.run(
            [sys.executable, "-m", "extproc.cli", *words, "--config", str(self.config)],
            env={**os.environ, "HOLDPOINT_TOKEN": token}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def administer(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a `holdpoint` command as the user whom the gateway runs as, without a token."""
        environment = {name: value for name, value in os.environ.items() if name != "HOLDPOINT_TOKEN"}
        return subprocess.run(
            [sys.executable, "-m", "extproc.cli", *words, "--config", str(self.config)],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def person(self, *groups: str, subject: str = "bob") -> httpx.Client:
        """A client of the control socket, for a person of these groups."""
        token = self.people.token(subject, groups=list(groups))
        return self.control({"authorization": f"Bearer {token}"})

    def control(self, headers: dict[str, str] | None = None) -> httpx.Client:
        """A client of the control socket, with these headers; without a token it is the gateway's own user."""
        transport = httpx.HTTPTransport(uds=str(self.state / "run" / "control.sock"))
        return httpx.Client(base_url="http://control", transport=transport, headers=headers, timeout=60)

    def verify(self, *words: str) -> dict[str, Any]:
        """What `holdpoint audit verify` finds. Fails where it could not look."""
        done = self.administer("audit", "verify", "--json", *words)
        if done.returncode not in (0, 1):
            raise AssertionError(done.stderr)
        return dict(json.loads(done.stdout))

    def issue(self, subject: str, *words: str) -> tuple[str, str]:
        """A new agent token's id, and the token itself."""
        issued = self.administer("tokens", "issue", "--subject", subject, "--json", *words)
        if issued.returncode:
            raise AssertionError(issued.stderr)
        document = json.loads(issued.stdout)
        return str(document["id"]), str(document["token"])

    def freeze(self, name: str) -> dict[str, Any]:
        """Freeze a principal; what the command says of it."""
        frozen = self.administer("freeze", name, "--reason", "a test", "--json")
        if frozen.returncode:
            raise AssertionError(frozen.stderr)
        return dict(json.loads(frozen.stdout))

    def pending(self) -> list[dict[str, Any]]:
        """The holds that wait for people."""
        shown = self.holdpoint("holds", "list", "--json", groups=("finance", "operators"))
        if shown.returncode:
            raise AssertionError(shown.stderr)
        document = json.loads(shown.stdout)
        return list(document["holds"] if isinstance(document, dict) else document)

    def wait_pending(self, seconds: float = 30.0) -> dict[str, Any]:
        """The first hold that waits, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if held := self.pending():
                return held[0]
        raise AssertionError("no hold came")

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All records of the journal, of one kind if asked; body members beside kind and stream."""
        found = []
        for stream in streams(self.state):
            for record in records(stream):
                if kind in (None, record.kind):
                    found.append({"kind": record.kind, "stream": record.stream, **record.body})
        return found

    def wait_records(self, kind: str, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        """Records of a kind, once there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := self.records(kind)) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} records of kind {kind}, expected {count}")
            time.sleep(0.02)
        return found

    def get_ops(self, path: str) -> tuple[int, str]:
        """Status and text of an operations page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def running(**options: Any) -> Iterator[Gateway]:
    """A started gateway, stopped at the end; for fixtures."""
    gateway = Gateway(**options)
    try:
        yield gateway.start()
    finally:
        gateway.stop()
