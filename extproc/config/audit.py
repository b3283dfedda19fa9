"""The settings of the audit trail: how it is kept, who vouches for it, who may read it, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from extproc.config import kinds
from extproc.config.identity import authorities_for
from extproc.config.reading import Reading
from extproc.config.sections import Derived, ListOf, Section, Setting
from extproc.config.values import Url
from extproc.domain.decision import Recording

_BODIES = (
    "How much of bodies is kept, as they were masked: `full`, the `head` alone, or `metadata`, which is sizes and "
    "types. Policy may ask for less of an action, never for more."
)
_HEAD = "How much of each body is its head."
_INDEX = "Whether words of its bodies can be searched for."
_KEEP = "How long records are kept. What is on legal hold stays."
_KEEP_BODIES = "How long bodies are kept; no longer than records."
_HEAD_SIZE = kinds.size("1KiB", "64MiB")
_AGE = kinds.duration("1h", "36500d")
RECORDINGS = kinds.Choice(Recording, list(Recording))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """What is kept of a target's actions, beside the records themselves."""

    bodies: Annotated[Recording, Setting(RECORDINGS, _BODIES, "full", default="head")]
    head_bytes: Annotated[int, Setting(_HEAD_SIZE, _HEAD, "1MiB", default="64KiB", key="head")]
    index: Annotated[bool, Setting(kinds.FLAG, _INDEX, True, default=False)]
    keep_seconds: Annotated[float, Setting(_AGE, _KEEP, "730d", default="365d", key="keep")]
    keep_bodies_seconds: Annotated[float, Setting(_AGE, _KEEP_BODIES, "90d", default="30d", key="keep_bodies")]


def _general(name: str) -> Derived:
    path = f"audit.record.{name}"
    value: Callable[[Reading], Any] = lambda reading: reading.value(path)  # noqa: E731
    return Derived(f"`{path}`", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecordSettings(RecordSettings):
    """The same for one target; whatever is left out is as for all of them."""

    bodies: Annotated[Recording, Setting(RECORDINGS, _BODIES, "full", default=_general("bodies"))]
    head_bytes: Annotated[int, Setting(_HEAD_SIZE, _HEAD, "1MiB", default=_general("head"), key="head")]
    index: Annotated[bool, Setting(kinds.FLAG, _INDEX, True, default=_general("index"))]
    keep_seconds: Annotated[float, Setting(_AGE, _KEEP, "730d", default=_general("keep"), key="keep")]
    keep_bodies_seconds: Annotated[
        float, Setting(_AGE, _KEEP_BODIES, "90d", default=_general("keep_bodies"), key="keep_bodies")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreSettings:
    """A bucket of an S3-compatible object store."""

    endpoint: Annotated[Url, Setting(kinds.URL, "The store's address.", "https://s3.eu-central-1.example.com")]
    bucket: Annotated[
        str, Setting(kinds.matching("a bucket's name", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "The bucket.", "audit")
    ]
    region: Annotated[str, Setting(kinds.WORD, "Its region.", "eu-central-1", default="us-east-1")]
    prefix: Annotated[
        str,
        Setting(
            kinds.matching("up to 200 of the characters a-z, A-Z, 0-9, /, - and _", r"[A-Za-z0-9/_-]{0,200}"),
            "What the names of objects begin with.",
            "gateway-1/",
            default="",
        ),
    ]
    access_key: Annotated[
        Path, Setting(kinds.CREDENTIAL, "The file that holds the access key's id, with mode 600.", "secrets/s3-id")
    ]
    secret_key: Annotated[
        Path, Setting(kinds.CREDENTIAL, "The file that holds the secret key, with mode 600.", "secrets/s3-key")
    ]
    ca: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The certificate authorities that the store is checked against, in PEM.",
            "tls/internal-ca.crt",
            default=Derived("the system's, for an https endpoint", authorities_for("endpoint")),
            off="the default",
        ),
    ]


def _store(bucket: str) -> dict[str, str]:
    """An example of a store."""
    keys = {"access_key": "secrets/s3-id", "secret_key": "secrets/s3-key"}
    return {"endpoint": "https://s3.example.com", "bucket": bucket, **keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """Somebody outside this machine who is given every checkpoint. One of the three."""

    file: Annotated[
        Path | None,
        Setting(
            kinds.PATH,
            "A file that checkpoints are appended to, one JSON document a line; on a disk of another machine.",
            "/mnt/witness/checkpoints.jsonl",
            default=None,
            off="no file",
        ),
    ]
    webhook: Annotated[
        Url | None,
        Setting(
            kinds.URL,
            "An address that each checkpoint is sent to (POST, JSON); any status from 200 to 299 says that it is kept.",
            "https://witness.example.com/checkpoints",
            default=None,
            off="no webhook",
        ),
    ]
    objects: Annotated[
        ObjectStoreSettings | None,
        Setting(
            Section(ObjectStoreSettings),
            "A bucket in which each checkpoint becomes an object; best one that lets nothing be changed (object lock).",
            _store("witness"),
            default=None,
            off="no bucket",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """Which groups of approvers may do what with the trail. Administrators may do all of it."""

    list: Annotated[
        tuple[str, ...],
        Setting(ListOf(kinds.WORD), "Find sessions and see decisions.", ["auditors", "security"], default=[]),
    ]
    read: Annotated[
        tuple[str, ...], Setting(ListOf(kinds.WORD), "Read what was recorded of bodies.", ["auditors"], default=[])
    ]
    export: Annotated[tuple[str, ...], Setting(ListOf(kinds.WORD), "Take evidence away.", ["auditors"], default=[])]
    administer: Annotated[
        tuple[str, ...],
        Setting(ListOf(kinds.WORD), "Purge bodies, and set legal holds.", ["privacy-office"], default=[]),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The journal, where it is sent, and what is kept."""

    otlp: Annotated[
        Url | None,
        Setting(
            kinds.URL,
            "The OTLP/HTTP receiver that the journal is sent to.",
            "http://collector.example.com:4318",
            default="http://127.0.0.1:4318",
            off="the journal stays on this machine",
        ),
    ]
    sync_seconds: Annotated[
        float,
        Setting(
            kinds.duration("0s", "10s"),
            "How long a record may wait to be forced to the disk together with others; a power cut loses no more. `0s` "
            "forces every record before its bytes go on.",
            "0s",
            default="20ms",
            key="sync",
        ),
    ]
    jaeger: Annotated[
        Url | None,
        Setting(
            kinds.URL,
            "Where people read the traces; it is only shown to them.",
            "https://jaeger.example.com",
            default="http://127.0.0.1:16686",
            off="no address is shown",
        ),
    ]
    segment_bytes: Annotated[
        int,
        Setting(
            kinds.size("1MiB", "1GiB"),
            "The size at which a file of the journal is sealed and the next is begun. That happens daily at least.",
            "256MiB",
            default="64MiB",
            key="segment",
        ),
    ]
    checkpoint_seconds: Annotated[
        float,
        Setting(
            kinds.duration("1s", "1h"),
            "How often the heads of all streams are signed and given to witnesses. Whoever has the signing key can "
            "rewrite what no witness has heard of yet.",
            "10s",
            default="1m",
            key="checkpoint",
        ),
    ]
    witnesses: Annotated[
        tuple[WitnessSettings, ...],
        Setting(
            ListOf(Section(WitnessSettings)),
            "Who is given the checkpoints, beside the trace store.",
            [{"file": "/mnt/witness/checkpoints.jsonl"}],
            default=[],
        ),
    ]
    record: Annotated[
        RecordSettings,
        Setting(
            Section(RecordSettings),
            "What is kept of actions; a target may say otherwise.",
            {"bodies": "full"},
            default={},
        ),
    ]
    objects: Annotated[
        ObjectStoreSettings | None,
        Setting(
            Section(ObjectStoreSettings),
            "Where bodies are moved to once they are whole.",
            _store("bodies"),
            default=None,
            off="they stay in the state folder",
        ),
    ]
    roles: Annotated[
        RoleSettings,
        Setting(Section(RoleSettings), "Who may do what with the trail.", {"list": ["auditors"]}, default={}),
    ]
