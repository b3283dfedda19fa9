"""What the doctor has to look for, written on the gateway's host and read on the agent's. Holds no secret."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extproc.config import Settings

_VERSION = 1
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class BadPlan(Exception):
    """The plan can't be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP port, and what is behind it. `tls` says that it speaks TLS under the name `host`."""

    what: str
    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """A path on the gateway's host, and what it is."""

    what: str
    path: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is around one gateway. `machine` tells one running kernel from another; `issuers` are those of the
    tokens that agents show to the gateway. `proxy` is empty without a forward proxy."""

    machine: str = ""
    uid: int = -1
    control_group: int = -1
    gateway: str = ""
    proxy: str = ""
    domain: str = ""
    issuers: tuple[str, ...] = ()
    targets: tuple[Endpoint, ...] = ()
    admin: tuple[Endpoint, ...] = ()
    sockets: tuple[Place, ...] = ()
    files: tuple[Place, ...] = ()

    @property
    def here(self) -> bool:
        """Whether this machine is the gateway's, in a container or not."""
        return bool(self.machine) and self.machine == machine()

    def document(self) -> str:
        """The plan as JSON."""
        return json.dumps({"version": _VERSION, **asdict(self)}, indent=1)


def machine() -> str:
    """What tells this running kernel from others, the same in its containers; empty where it can't be known."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def read_plan(text: str) -> Plan:
    """The plan of a document. Raises BadPlan."""
    lists = {"targets": Endpoint, "admin": Endpoint, "sockets": Place, "files": Place}
    try:
        document: dict[str, Any] = json.loads(text)
        if document.pop("version") != _VERSION:
            raise BadPlan(f"a plan of another version; this program reads version {_VERSION}")
        known = {field.name for field in fields(Plan)}
        values: dict[str, Any] = {name: value for name, value in document.items() if name in known}
        for name, kind in lists.items():
            items = values.get(name, ())
            if not all(_well_formed(item) for item in items):
                raise ValueError
            values[name] = tuple(kind(**item) for item in items)
        values["issuers"] = tuple(values.get("issuers", ()))
        plan = Plan(**values)
    except BadPlan:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadPlan("this is no plan; write one with `holdpoint doctor --plan` on the gateway's host") from None
    return plan


def _well_formed(item: dict[str, Any]) -> bool:
    return all(isinstance(item.get(name, ""), str) for name in ("what", "host", "path")) and (
        0 < item.get("port", 1) < 65536
    )


def plan_of(settings: "Settings") -> Plan:
    """The plan of a gateway, made on its host by whoever may look at its state folder."""
    scheme = "https" if settings.listen.tls else "http"
    parties = (*settings.identity.agents, *settings.identity.approvers)
    issuers = {party.issuer for party in parties}
    return Plan(
        machine(),
        _owner(settings.state),
        _group(settings.listen.control),
        f"{scheme}://{settings.listen.address}",
        str(settings.listen.proxy or ""),
        settings.listen.domain,
        (f"urn:holdpoint:{settings.listen.domain}", *sorted(issuers)),
        tuple(
            Endpoint(target.name, target.upstream.host, target.upstream.port, target.upstream.scheme == "https")
            for target in settings.targets
        ),
        tuple(_admin(settings)),
        tuple(_sockets(settings)),
        tuple(_files(settings)),
    )


def _admin(settings: "Settings") -> list[Endpoint]:
    found = [Endpoint("health and metrics (listen.ops)", settings.listen.ops.host, settings.listen.ops.port)]
    urls = {
        "the trace collector (audit.otlp)": settings.audit.otlp,
        "Jaeger (audit.jaeger)": settings.audit.jaeger,
        "the policy engine (policy.engine)": settings.policy.engine,
    }
    for what, url in urls.items():
        if url is not None and not isinstance(url, Path):
            found.append(Endpoint(what, url.host, url.port, url.scheme == "https"))
    # A wildcard is an address to listen on; it is reached on this host's own.
    wild = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
    return [Endpoint(end.what, wild.get(end.host, end.host), end.port, end.tls) for end in found]


def _sockets(settings: "Settings") -> list[Place]:
    run = settings.state / "run"
    found = [Place("the control socket", str(settings.listen.control))]
    engine = settings.policy.engine
    found.append(Place("the policy engine's socket", str(engine if isinstance(engine, Path) else run / "opa.sock")))
    found.append(Place("Envoy's admin socket", str(run / "envoy-admin.sock")))
    kinds = ("worker", "postgres") if settings.listen.postgres is not None else ("worker",)
    names = [f"{kind}-{i}.sock" for kind in kinds for i in range(settings.workers)]
    return [*found, *(Place("a worker's socket", str(run / "workers" / name)) for name in names)]


def _files(settings: "Settings") -> list[Place]:
    found = [Place("the state folder", str(settings.state)), Place("the configuration", str(settings.file))]
    for target in settings.targets:
        found += [Place(f"the credential of {target.name}", str(file)) for file in target.secrets]
    if settings.listen.tls is not None:
        found.append(Place("the gateway's TLS key", str(settings.listen.tls.key)))
    if settings.policy.token is not None:
        found.append(Place("the policy engine's token", str(settings.policy.token)))
    for what, path in (("the policies", settings.policy.path), ("the policies' data", settings.policy.data)):
        if path is not None:
            found.append(Place(what, str(path)))
    return found


def _owner(state: Path) -> int:
    try:
        return state.stat().st_uid
    except OSError:
        return os.geteuid()


def _group(control: Path) -> int:
    """The group whose members may use the control socket."""
    for path in (control, control.parent):
        with suppress(OSError):
            return path.stat().st_gid
    return -1
