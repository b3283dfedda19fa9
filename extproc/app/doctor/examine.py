"""All probes of one look from the agent's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from extproc.app.doctor import leaks, local, network
from extproc.app.doctor.finding import Finding, Probe, Severity, run
from extproc.app.doctor.plan import Plan

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Look:
    """What to look for and from where. `plan` is None where nobody wrote one; `metadata` lists (host, port) of the
    cloud's metadata service, none to leave it alone."""

    plan: Plan | None
    gateway: str
    environment: Mapping[str, str]
    home: Path
    metadata: tuple[tuple[str, int], ...] = ()


def examine(look: Look) -> list[Finding]:
    """Every finding, open ones first, the worst of them first. Takes three seconds at most."""
    plan = look.plan or Plan()
    found = run(_probes(plan, look))
    if look.plan is None:
        found.append(
            Finding(
                "plan",
                Severity.NOTE,
                True,
                "without a plan targets, admin ports and the gateway's files are not looked at",
                "Only what this host itself shows was examined.",
                "Write one with `holdpoint doctor --plan` on the gateway's host and give it with --plan FILE.",
            )
        )
    return sorted(found, key=lambda finding: (not finding.open, _RANK[finding.severity]))


def _probes(plan: Plan, look: Look) -> list[tuple[str, Probe]]:
    environment, home = look.environment, look.home
    gateway = look.gateway or plan.gateway
    probes: list[tuple[str, Probe]] = []
    probes += [(f"target {end.what} at {end}", partial(network.target, end)) for end in plan.targets]
    probes += [(f"{end.what} at {end}", partial(network.admin, end)) for end in plan.admin]
    probes += [(f"metadata at {at[0]}", partial(network.metadata, *at)) for at in look.metadata]
    probes += [(place.path, partial(local.admin_socket, place)) for place in plan.sockets]
    probes += [(path, partial(local.container_runtime, path)) for path in local.RUNTIMES]
    probes += [(place.path, partial(local.file, place)) for place in plan.files]
    if look.plan is not None:
        probes.append(("user and groups", partial(local.same_user, plan)))
        probes.append(("names", partial(network.names, plan)))
    if gateway:
        probes.append(("the gateway", partial(network.gateway, gateway)))
    return [
        *probes,
        ("IPv6", network.second_family),
        ("proxy variables", partial(network.proxies, plan, look.gateway, environment)),
        ("processes", partial(local.processes, plan)),
        ("variables", partial(leaks.variables, plan, gateway, environment)),
        ("files with credentials", partial(leaks.files, plan, gateway, environment, home)),
        ("SSH agent", partial(leaks.ssh_agent, environment)),
        ("trusted certificates", partial(leaks.trusted, plan, environment)),
    ]
