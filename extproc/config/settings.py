"""What holdpoint.yaml says, as one frozen value. Each field carries its own reference entry.

Paths are absolute, durations are seconds, sizes are bytes. Nothing here holds a secret: a credential is the path of
its file, and only Envoy reads it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from extproc.config import kinds
from extproc.config.audit import AuditSettings
from extproc.config.folder import DEFAULT_FOLDER
from extproc.config.identity import AGENTS, APPROVERS, Identity
from extproc.config.masking import MaskingSettings
from extproc.config.reading import Reading
from extproc.config.sections import Derived, ListOf, MapOf, Section, Setting
from extproc.config.targets import TARGET, TargetSettings
from extproc.config.values import Address, Url

CONTROL_SOCKET = Path("run", "control.sock")


def _control(reading: Reading) -> Path | None:
    state = reading.value("state")
    return state / CONTROL_SOCKET if state else None


class EnvoyOwner(StrEnum):
    """Whose Envoy it is."""

    MANAGED = "managed"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The gateway's own certificate, for agents that connect over TLS."""

    certificate: Annotated[
        Path, Setting(kinds.CERTIFICATES, "The certificate chain that agents are shown, in PEM.", "tls/gateway.crt")
    ]
    key: Annotated[Path, Setting(kinds.PRIVATE_KEY, "Its private key, in PEM and with mode 600.", "tls/gateway.key")]
    client_ca: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The certificate authorities of agents' client certificates, in PEM. An agent may show one; who must, is "
            "for `identity` to say.",
            "tls/agents-ca.crt",
            default=None,
            off="no client certificate is asked for",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the gateway can be reached."""

    address: Annotated[
        Address,
        Setting(kinds.ADDRESS, "Where agents connect.", "0.0.0.0:8080", default="127.0.0.1:8080"),
    ]
    envoy: Annotated[
        EnvoyOwner,
        Setting(
            kinds.Choice(EnvoyOwner),
            "Whose Envoy agents connect to: `managed` (Holdpoint starts one), or `own`, configured with what "
            "`holdpoint envoy snippet` prints; then nobody listens on `address`.",
            "own",
            default="managed",
        ),
    ]
    ops: Annotated[
        Address,
        Setting(
            kinds.ADDRESS,
            "Where health, readiness and Prometheus metrics are served. Keep it from agents.",
            "127.0.0.1:9464",
            default="127.0.0.1:9464",
        ),
    ]
    proxy: Annotated[
        Address | None,
        Setting(
            kinds.ADDRESS,
            "Where agents connect that are told to use a forward proxy (`HTTPS_PROXY`). Only targets are reached "
            "through it, by the names that they have upstream.",
            "127.0.0.1:8081",
            default=None,
            off="there is no forward proxy",
        ),
    ]
    postgres: Annotated[
        Address | None,
        Setting(
            kinds.ADDRESS,
            "Where agents connect to the targets with `protocol: postgres`, as if each were its server. With `tls` "
            "clients may ask for TLS; a token as the password is taken in TLS, or from this machine itself.",
            "0.0.0.0:5432",
            default=None,
            off="no database can be reached",
        ),
    ]
    domain: Annotated[
        str,
        Setting(
            kinds.HOST,
            "The domain under which each target has a host of its own: target `crm` is asked for as `crm.<domain>`, or "
            "on any other host under the path `/crm/`.",
            "gateway.example.com",
            default="holdpoint.internal",
        ),
    ]
    tls: Annotated[
        Tls | None,
        Setting(
            Section(Tls),
            "The gateway's certificate. Without one, agents' tokens cross the network in clear text.",
            {"certificate": "tls/gateway.crt", "key": "tls/gateway.key"},
            default=None,
            off="agents connect without TLS",
        ),
    ]
    control: Annotated[
        Path,
        Setting(
            kinds.PATH,
            "The unix socket on which holds are listed and answered.",
            "/run/holdpoint/control.sock",
            default=Derived(f"`<state>/{CONTROL_SOCKET}`", _control),
        ),
    ]

    @property
    def managed(self) -> bool:
        """Whether Holdpoint starts Envoy itself."""
        return self.envoy is EnvoyOwner.MANAGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one principal may have under way at one time."""

    requests: Annotated[
        int,
        Setting(
            kinds.Count(1, 10_000),
            "Requests of one principal that are served at one time, held ones included.",
            256,
            default=64,
        ),
    ]
    holds: Annotated[
        int,
        Setting(kinds.Count(1, 1_000), "Holds of one principal that wait for people at one time.", 50, default=20),
    ]
    bytes: Annotated[
        int,
        Setting(
            kinds.size("1MiB", "16GiB"),
            "Bodies of one principal that are in memory at one time. Each worker has its share of it.",
            "256MiB",
            default="64MiB",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """How the names of upstreams become addresses."""

    servers: Annotated[
        tuple[Address, ...],
        Setting(
            ListOf(kinds.ADDRESS),
            "The servers to ask. Without any, those of the system (/etc/resolv.conf). /etc/hosts comes first either "
            "way.",
            ["10.0.0.2:53"],
            default=[],
        ),
    ]
    refresh_seconds: Annotated[
        float,
        Setting(
            kinds.duration("1s", "1h"),
            "How often each name is asked for again.",
            "30s",
            default="5s",
            key="refresh",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """What is allowed, and who works it out."""

    path: Annotated[
        Path | None,
        Setting(
            kinds.FOLDER,
            "The folder of Rego policies.",
            "policies",
            default=None,
            off="the policies that come with Holdpoint",
        ),
    ]
    data: Annotated[
        Path | None,
        Setting(
            kinds.FILE_OR_FOLDER,
            "Your own data for them: thresholds, groups, tables. A JSON or YAML file, or a folder of such.",
            "policy-data.yaml",
            default=None,
            off="the policies' own data only",
        ),
    ]
    engine: Annotated[
        Path | Url | None,
        Setting(
            kinds.Engine(),
            "The OPA that decides: `managed` (Holdpoint starts one), or your own on a unix socket or at an address.",
            "unix:///run/opa/opa.sock",
            default="managed",
        ),
    ]
    deadline_seconds: Annotated[
        float,
        Setting(
            kinds.duration("1ms", "10s"),
            "How long the engine may take for a decision. A light one that is late is asked for once more; then it is "
            "a block. Before, a light one waits as long for its turn at most, and a heavy one ten times as long.",
            "500ms",
            default="250ms",
            key="deadline",
        ),
    ]
    token: Annotated[
        Path | None,
        Setting(
            kinds.CREDENTIAL,
            "The file that holds the bearer token of an engine of your own: mode 600, no newline at its end.",
            "secrets/opa",
            default=None,
            off="no token is sent",
        ),
    ]

    @property
    def managed(self) -> bool:
        """Whether Holdpoint starts the engine itself (`engine` is None then)."""
        return self.engine is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole configuration. `file` is where it was read from, absolute."""

    file: Path
    version: Annotated[int, Setting(kinds.Count(1, 1), "The version of this format.", 1)]
    state: Annotated[
        Path,
        Setting(
            kinds.PATH,
            "The folder of keys, journal, holds and sockets. It belongs to the gateway's user alone; keep its path "
            "short, for a unix socket's can have 107 bytes.",
            "/var/lib/holdpoint",
            default=".holdpoint",
        ),
    ]
    workers: Annotated[
        int,
        Setting(kinds.Count(1, 64), "How many processes inspect traffic; one a core is a good start.", 4, default=2),
    ]
    listen: Annotated[
        Listen, Setting(Section(Listen), "Where the gateway can be reached.", {"address": "0.0.0.0:8080"}, default={})
    ]
    identity: Annotated[
        Identity,
        Setting(Section(Identity), "Who may ask, and who may approve.", {"agents": [AGENTS], "approvers": [APPROVERS]}),
    ]
    audit: Annotated[
        AuditSettings,
        Setting(Section(AuditSettings), "The journal, where it is sent, and what is kept.", {"sync": "0s"}, default={}),
    ]
    targets: Annotated[
        tuple[TargetSettings, ...],
        Setting(
            MapOf("name", kinds.NAME, TARGET),
            "What agents may ask for, by name: 1 to 40 of the characters a-z, 0-9 and, inside, -. Those of "
            "`targets_folder` belong to them. They can change while the gateway runs.",
            {"crm": {"upstream": "http://127.0.0.1:9001", "credential": "secrets/crm"}},
        ),
    ]
    targets_folder: Annotated[
        Path | None,
        Setting(
            kinds.PATH,
            "A folder of more targets, which need not be there: each `*.yaml` in it is a mapping of names to targets. "
            "`holdpoint targets add` writes into it.",
            "/etc/holdpoint/targets.d",
            default=DEFAULT_FOLDER,
            off="there is no such folder",
        ),
    ]
    limits: Annotated[
        Limits,
        Setting(
            Section(Limits),
            "What one principal may have under way at one time, so that none takes the gateway from the others.",
            {"requests": 256},
            default={},
        ),
    ]
    dns: Annotated[
        Dns,
        Setting(
            Section(Dns),
            "How the names of upstreams become addresses. The gateway asks, checks each address, and connects to no "
            "other.",
            {"servers": ["10.0.0.2:53"]},
            default={},
        ),
    ]
    policy: Annotated[
        PolicySettings,
        Setting(Section(PolicySettings), "What is allowed, and who works it out.", {"path": "policies"}, default={}),
    ]
    masking: Annotated[
        MaskingSettings,
        Setting(
            Section(MaskingSettings),
            "What sensitive values are looked for, beside those that Holdpoint knows.",
            {"rules": ["rules/acme.yaml"]},
            default={},
        ),
    ]


def root() -> Section[Settings]:
    """The kind of a whole file."""
    return Section(Settings, fill=lambda reading: {"file": reading.base / reading.file.name})
