"""All that takes part in a soak, started in order and stopped in the reverse one."""

import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.soak.load import Given
from tests.soak.plan import PRINCIPALS
from tests.soak.processes import STALLED_SECONDS, Clients, JaegerProcess, SmallDisk, SoakFailed, Upstream
from tests.support.gateway import Gateway

_TOKEN_SECONDS = 24 * 3600
_TARGETS = """\
shop: {{upstream: "{upstream}", environment: production, wait: 5s}}
lab: {{upstream: "{upstream}", environment: test}}
"""


@dataclass(frozen=True, slots=True)
class Options:
    """How large a soak is. `rate` limits requests a second (0: as many as there can be), `gap` is the average number of
    answers between two faults, `disk` the bytes of the small disk."""

    requests: int
    seed: int
    minutes: float
    connections: int
    rate: float
    gap: int
    workers: int
    disk: int


class SoakGateway(Gateway):
    """A gateway whose programs are killed, and that is verified once it has stopped."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs it has told to be ready, without its door, which loses lines of its log when it is killed."""
        told = [str(e.get("message", "")) for e in self.log]
        names = {text.removesuffix(" is ready") for text in told if text.endswith(" is ready")}
        return tuple(sorted(names - {"envoy"}))

    def wait_anew(self, program: str, known: set[int]) -> None:
        """Wait until a program is ready as a process that was not known. Raises SoakFailed."""
        ready = f"{program} is ready"
        try:
            self.wait_log(lambda e: e.get("message") == ready and e["pid"] not in known, STALLED_SECONDS)
        except AssertionError as error:
            raise SoakFailed(f"{program} did not come back: {error}") from None

    def pids(self, program: str) -> set[int]:
        """All process ids that a program had so far."""
        return {int(e["pid"]) for e in self.log if e.get("message") == f"{program} is ready"}

    def finish(self) -> int:
        """Stop it as a user would, and keep what it wrote; its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(120)
        self._reader.join(10)
        return code


class Stack:
    """Use it as a context manager."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self._stack = ExitStack()
        self._say = say

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        options = self.options
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hp-soak-")))
        self.received, self.results = self.folder / "received", self.folder / "results"
        self.jaeger = JaegerProcess(self.folder)
        self._stack.callback(self.jaeger.kill)
        self.jaeger.start()
        upstream = Upstream(self.received)
        self._stack.callback(upstream.stop)
        self.gateway = SoakGateway(
            workers=options.workers,
            targets=_TARGETS.format(upstream=f"http://127.0.0.1:{upstream.port}"),
            audit=f'otlp: "{self.jaeger.otlp}", jaeger: "{self.jaeger.page}", segment: 1MiB, checkpoint: 2s, '
            f'witnesses: [{{file: "{self.folder / "witness.jsonl"}"}}], record: {{bodies: full, index: true}}',
            limits="requests: 10000, bytes: 4GiB, holds: 200",
            # A decision that is late because the machine is busy is no fault that we look for.
            policy="deadline: 2s",
        )
        self.disk = SmallDisk(self.gateway.state, options.disk)
        # The other way round than they began: the gateway ends, the disk goes, and then what is left of the folder.
        self._stack.callback(self.gateway.stop)
        self._stack.callback(self.disk.stop)
        self._stack.callback(self.gateway.kill)
        self.gateway.start()
        tokens = [
            self.gateway.agents.token(f"agent-{i}", expires_in=_TOKEN_SECONDS, groups=[f"team-{i % 4}"])
            for i in range(PRINCIPALS)
        ]
        given = Given(self.gateway.port, options.seed, options.connections, options.rate, tokens, str(self.results))
        self.clients = Clients(given)
        self._stack.callback(self.clients.stop)
