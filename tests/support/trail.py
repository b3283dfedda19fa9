"""The audit trail of a gateway that runs: what tests wait for in it, and agents that write to it all the time."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.checkpoints import Wish
from extproc.audit.index import BodyTexts, Indexer
from extproc.audit.reader import records
from tests.sessions.test_index import content, drain
from tests.support.envoy import until
from tests.support.gateway import Gateway
from tests.support.s3 import ACCESS, BUCKET, SECRET, S3Server

AGENTS = 4


def checkpoint(gateway: Gateway) -> None:
    """Have all that is written signed now, and given to witnesses that are there."""
    until(lambda: Wish(gateway.state).make(20), "a checkpoint")


def indexed(gateway: Gateway) -> None:
    """Wait until all that is written can be searched for."""

    def known() -> bool:
        with gateway.control() as asked:
            answer = asked.get("/v1/sessions?limit=1")
        return answer.status_code == 200 and answer.json()["behind"] == 0

    until(known, "the index to know all")


def index_made_anew(gateway: Gateway, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the index of a gateway that ended says, and what one says that is made from its journal in `folder`."""
    shutil.copytree(gateway.state / "journal", folder / "journal")
    for state in (gateway.state, folder):
        indexer = Indexer(state, BodyTexts(Bodies(BodyFolder(gateway.state / "bodies"))))
        drain(indexer)
        indexer.close()
    return content(gateway.state), content(folder)


def checkpoints(state: Path) -> list[dict[str, Any]]:
    """All checkpoints that the journal has."""
    return [dict(r.body) for r in records(state / "journal" / "archivist") if r.kind == "checkpoint"]


def bucket(store: S3Server, prefix: str) -> str:
    """The store in a gateway's configuration; `keys_of_store` gives it the keys."""
    return f"{{endpoint: '{store.url}', bucket: {BUCKET}, prefix: {prefix}, access_key: id, secret_key: key}}"


def keys_of_store(gateway: Gateway) -> None:
    """The files that `bucket` names."""
    for name, secret in (("id", ACCESS), ("key", SECRET)):
        (gateway.folder / name).touch(0o600)
        (gateway.folder / name).write_text(secret)


def segments(gateway: Gateway, stream: str) -> list[Path]:
    """The segments of a stream, oldest first."""
    return sorted((gateway.state / "journal" / stream).glob("*.segment"))


def metric(gateway: Gateway, name: str) -> float:
    """The sum of a metric's values; 0 where there is none yet."""
    _, page = gateway.get_ops("/metrics")
    lines = [line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


class Load:
    """Agents that ask without a pause, each on its own connection. `answers` are the statuses by path; a request that
    broke off has none. `path` makes the path of the n-th request."""

    def __init__(self, gateway: Gateway, path: Callable[[int], str], agents: int = AGENTS) -> None:
        self.answers: dict[str, int] = {}
        self._gateway, self._path = gateway, path
        self._numbers: Iterator[int] = iter(range(1_000_000))
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(f"agent-{n}",)) for n in range(agents)]

    def _ask(self, name: str) -> None:
        agent = self._gateway.client(name)
        while not self._stop.is_set():
            with self._lock:
                path = self._path(next(self._numbers))
            try:
                self.answers[path] = agent.get(path).status_code
            except httpx.HTTPError:
                agent.close()
                agent = self._gateway.client(name)
        agent.close()

    @property
    def passed(self) -> int:
        """How many were let through and answered."""
        return list(self.answers.values()).count(200)

    def wait(self, more: int) -> None:
        """Until so many more were let through and answered."""
        wanted = self.passed + more
        until(lambda: self.passed >= wanted, f"{more} more answers", 60)

    def end(self) -> None:
        """Ask no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()


@contextmanager
def load(gateway: Gateway, path: Callable[[int], str], agents: int = AGENTS) -> Iterator[Load]:
    """Load until the end of the block."""
    running = Load(gateway, path, agents)
    running.start()
    try:
        yield running
    finally:
        running.end()


def undecided(gateway: Gateway) -> set[str]:
    """The paths of requests that the upstream saw and no decision in the journal allows."""
    allowed = {
        str(d["action"]["resource"])
        for d in gateway.records("decision")
        if d["decision"]["effect"] == "allow" and d["outcome"] == "granted"
    }
    return {seen.path for seen in gateway.upstream.seen} - allowed
