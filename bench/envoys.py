"""The two Envoys beside the gateway's own: the same generated configuration, with one thing different in each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from bench.cases import Payload
from bench.children import START_SECONDS, BenchFailed, Child, python
from bench.clock import Pids
from bench.net import free_port
from extproc import resources
from extproc.adapters.envoy.files import command, write
from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.processor import EXT_PROC, RBAC
from extproc.app import probe
from extproc.app.plan import envoy_plan
from extproc.config import Settings

_OURS = (EXT_PROC, RBAC)
_PAUSE_SECONDS = 0.05
_KEPT_SECONDS = 10.0


class Bare:
    """An Envoy and its processors, if it has any, in a folder of its own."""

    def __init__(self, settings: Settings, folder: Path, *, processors: bool) -> None:
        self.port = free_port()
        self.run = folder / "run"
        (self.run / "workers").mkdir(parents=True)
        self._processors: list[Child] = []
        self._envoy: Child | None = None
        plan = replace(envoy_plan(settings), port=self.port)
        directory = folder / "envoy"
        write(generate(plan), directory)
        try:
            if processors:
                for i in range(plan.workers):
                    self._processors.append(python("bench.passes", str(self.run / "workers" / f"worker-{i}.sock")))
                for processor in self._processors:
                    processor.line()
            else:
                for name in ("lds.json", "rds.json"):
                    _edit(directory / name, without_processor)
            program = command(str(resources.executable("envoy")))
            self._envoy = Child(program, cwd=directory, read_errors=True)
            _await_ready(self._envoy, self.run / "envoy-admin.sock")
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> Pids:
        """Its processes, under the names of `Gateway.pids`."""
        envoy = [self._envoy.pid] if self._envoy is not None else []
        return {"envoy": envoy, "python": [p.pid for p in self._processors]}

    def exchanges(self) -> dict[str, str]:
        """Files with one exchange of each payload, as Envoy sent it. Raises BenchFailed before there are any."""
        deadline = time.monotonic() + _KEPT_SECONDS
        while time.monotonic() < deadline:
            found = {payload.value: sorted((self.run / "workers").glob(f"*.{payload}.json")) for payload in Payload}
            if all(found.values()):
                return {payload: str(files[0]) for payload, files in found.items()}
            time.sleep(_PAUSE_SECONDS)
        raise BenchFailed("the processor that only continues kept no exchange")

    def stop(self) -> None:
        """End them all."""
        for child in (self._envoy, *self._processors):
            if child is not None:
                child.stop()


def without_processor(document: Any) -> Any:
    """An Envoy document without the ext_proc filter, the RBAC filter that guards it, and their settings on routes."""
    if isinstance(document, list):
        return [without_processor(item) for item in document]
    if not isinstance(document, dict):
        return document
    kept = {name: without_processor(value) for name, value in document.items()}
    if "http_filters" in kept:
        kept["http_filters"] = [f for f in kept["http_filters"] if f["name"] not in _OURS]
    if "typed_per_filter_config" in kept:
        settings = kept["typed_per_filter_config"]
        kept["typed_per_filter_config"] = {name: value for name, value in settings.items() if name not in _OURS}
    return kept


def _edit(file: Path, change: Callable[[Any], Any]) -> None:
    file.write_bytes(orjson.dumps(change(orjson.loads(file.read_bytes()))))


def _await_ready(envoy: Child, admin: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and envoy.process.poll() is None:
        try:
            if asyncio.run(probe.http(admin, "GET /ready")) == 200:
                return
        except (OSError, ValueError):
            pass
        time.sleep(_PAUSE_SECONDS)
    raise BenchFailed(f"Envoy in {admin.parent.parent.name} did not get ready; its last word:\n{envoy.line(1)!r}")
