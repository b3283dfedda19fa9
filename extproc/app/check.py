"""`holdpoint check`: everything that can be found wrong before anything is started."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc import resources
from extproc.adapters.opa.binary import OpaFailed, OpaMissing, find_opa
from extproc.adapters.opa.bundle import build
from extproc.adapters.opa.refused import PolicyRefused
from extproc.app.config_watch import ConfigRefused, checked
from extproc.app.engine import policy_folder
from extproc.app.fingerprints import collect
from extproc.app.layout import Layout
from extproc.app.masking_rules import collect as collect_rules
from extproc.app.place import Taken, addresses, check_free, runs, state_problem
from extproc.app.rule_files import RulesRefused
from extproc.config import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `problem` is None where it is as it should be."""

    what: str
    detail: str
    problem: str | None


def check(settings: Settings) -> Iterator[Finding]:
    """Check the place to run in, programs, Envoy's configuration, rules and policies, in this order, each finding as
    soon as it is known. Nothing is changed."""
    yield Finding("state", str(settings.state), state_problem(settings.state))
    yield _ports(settings)
    finding, envoy = _program("envoy", lambda: resources.executable("envoy"))
    yield finding
    if envoy is not None:
        yield _found("envoy configuration", f"{len(settings.targets)} targets", lambda: checked(settings, str(envoy)))
    yield _credentials(settings)
    own = ", ".join(map(str, settings.masking.rules)) or "those that come with Holdpoint"
    yield _found("masking rules", own, lambda: collect_rules(settings, bytes(32)))
    if settings.policy.managed:
        finding, opa = _program("opa", find_opa)
        yield finding
        if opa is not None:
            detail = str(policy_folder(settings))
            yield _found("policies", detail, lambda: _policies(settings))


def _ports(settings: Settings) -> Finding:
    listed = ", ".join(str(address) for address in addresses(settings))
    if runs(Layout(settings.state)):
        return Finding("ports", f"{listed}, in use by the gateway that runs on this state", None)
    taken: list[str] = []
    for address in addresses(settings):
        try:
            check_free(address)
        except Taken as error:
            taken.append(str(error))
    return Finding("ports", listed, "\n".join(taken) or None)


def _credentials(settings: Settings) -> Finding:
    """Whether each credential would be known again in an answer that repeats it."""
    count = sum(len(target.secrets) for target in settings.targets)
    return Finding("credentials", f"{count} files", "\n".join(collect(settings, bytes(32)).problems) or None)


def _program(name: str, find: Callable[[], Path]) -> tuple[Finding, Path | None]:
    try:
        path = find()
    except (FileNotFoundError, OpaMissing) as error:
        return Finding(name, "", str(error)), None
    return Finding(name, str(path), None), path


def _found(what: str, detail: str, run: Callable[[], object]) -> Finding:
    try:
        run()
    except (ConfigRefused, PolicyRefused, RulesRefused, OpaFailed, OSError) as error:
        return Finding(what, detail, str(error))
    return Finding(what, detail, None)


def _policies(settings: Settings) -> None:
    build(settings.policy.path, settings.policy.data)
