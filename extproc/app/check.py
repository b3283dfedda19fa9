"""`holdpoint check`: everything that can be found wrong before anything is started."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc import resources
from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.plan import BadPlan
from extproc.adapters.envoy.validate import EnvoyRefused, validate
from extproc.adapters.opa.binary import OpaFailed, OpaMissing, find_opa
from extproc.adapters.opa.bundle import build
from extproc.adapters.opa.refused import PolicyRefused
from extproc.app.engine import policy_folder
from extproc.app.plan import envoy_plan
from extproc.config import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `problem` is None where it is as it should be."""

    what: str
    detail: str
    problem: str | None


def check(settings: Settings) -> Iterator[Finding]:
    """Check programs, Envoy's configuration and policies, in this order, each finding as soon as it is known."""
    finding, envoy = _program("envoy", lambda: resources.executable("envoy"))
    yield finding
    if envoy is not None:
        yield _found("envoy configuration", f"{len(settings.targets)} targets", lambda: _envoy(settings, envoy))
    if settings.policy.managed:
        finding, opa = _program("opa", find_opa)
        yield finding
        if opa is not None:
            detail = str(policy_folder(settings))
            yield _found("policies", detail, lambda: _policies(settings))


def _program(name: str, find: Callable[[], Path]) -> tuple[Finding, Path | None]:
    try:
        path = find()
    except (FileNotFoundError, OpaMissing) as error:
        return Finding(name, "", str(error)), None
    return Finding(name, str(path), None), path


def _found(what: str, detail: str, run: Callable[[], None]) -> Finding:
    try:
        run()
    except (BadPlan, EnvoyRefused, PolicyRefused, OpaFailed, OSError) as error:
        return Finding(what, detail, str(error))
    return Finding(what, detail, None)


def _envoy(settings: Settings, envoy: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="holdpoint-check-") as folder:
        validate(generate(envoy_plan(settings)), Path(folder), str(envoy))


def _policies(settings: Settings) -> None:
    build(settings.policy.path, settings.policy.data)
