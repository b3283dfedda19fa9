"""How long a change of targets takes until it is in force: `python -m bench.targets [COUNT …]`.

A target is added through the control API and removed again. The time is that until the API answers that the change is
in force; a request after it has to agree: 200 with the target, 404 without it.
"""

import contextlib
import http.client
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.children import BenchFailed, python
from bench.gateway import DOMAIN, Gateway, Identity, configure
from bench.net import free_port
from bench.tables import aligned
from extproc.cli._control_client import Client
from extproc.config import load
from extproc.config.settings import CONTROL_SOCKET

COUNTS = (2, 10, 100)
ROUNDS = 5
HEAD = ("targets", "start s", "add s", "remove s")


@dataclass(frozen=True, slots=True)
class TargetsLine:
    """Seconds, of a gateway with so many targets that also has a forward proxy: to start it, and the medians of ROUNDS
    changes."""

    targets: int
    start: float
    add: float
    remove: float

    def cells(self) -> tuple[str, ...]:
        """As a row under HEAD."""
        return (f"{self.targets:,}", f"{self.start:.1f}", f"{self.add:.2f}", f"{self.remove:.2f}")


def measure(counts: Sequence[int], say: Callable[[str], None]) -> Iterator[TargetsLine]:
    """A line for each count. Raises BenchFailed where what is said to be in force is not."""
    for count in counts:
        say(f"targets: changes beside {count:,}")
        with _gateway(count) as running:
            times = [_change(running) for _ in range(ROUNDS)]
        adds, removes = (sorted(of) for of in zip(*times, strict=True))
        yield TargetsLine(count, running.start, adds[ROUNDS // 2], removes[ROUNDS // 2])


@dataclass(frozen=True, slots=True)
class _Running:
    port: int
    token: str
    control: Client
    upstream: str
    start: float


@contextmanager
def _gateway(count: int) -> Iterator[_Running]:
    with tempfile.TemporaryDirectory(prefix="hp-") as name, contextlib.ExitStack() as end:
        upstream = python("bench.upstream")
        end.callback(upstream.stop)
        folder, identity, port = Path(name), Identity(), int(upstream.line())
        settings = configure(folder, identity, port, 2)
        at = f"http://127.0.0.1:{port}"
        (folder / "targets.d").mkdir(mode=0o700)
        # Two are in the configuration's own file.
        for number in range(count - 2):
            more = f"more-{number}: {{upstream: {at}, environment: test}}\n"
            (folder / "targets.d" / f"more-{number}.yaml").write_text(more)
        text = settings.file.read_text().replace("listen: {", f"listen: {{proxy: 127.0.0.1:{free_port()}, ", 1)
        settings.file.write_text(f"targets_folder: targets.d\n{text}")
        began = time.monotonic()
        gateway = Gateway(load(settings.file))
        end.callback(gateway.stop)
        start = time.monotonic() - began
        yield _Running(gateway.port, identity.token(), Client(settings.state / CONTROL_SOCKET, None), at, start)


def _change(running: _Running) -> tuple[float, float]:
    """Seconds to add a target, and to remove it again."""
    settings = {"upstream": running.upstream, "environment": "test"}
    began = time.monotonic()
    running.control.call("POST", "/targets", {"name": "new", "settings": settings, "replace": False})
    added = time.monotonic() - began
    _expect(running, 200)
    began = time.monotonic()
    running.control.call("DELETE", "/targets/new")
    removed = time.monotonic() - began
    _expect(running, 404)
    return added, removed


def _expect(running: _Running, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/x", headers={"Host": f"new.{DOMAIN}", "Authorization": f"Bearer {running.token}"})
        found = connection.getresponse().status
    if found != status:
        raise BenchFailed(f"targets: a change is said to be in force, and a request got {found} instead of {status}")


def main() -> None:
    """Measure and print."""
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    print(
        aligned(HEAD, [line.cells() for line in measure(counts, lambda text: print(text, file=sys.stderr, flush=True))])
    )


if __name__ == "__main__":
    main()
