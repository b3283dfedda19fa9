"""The state folder: where everything of one gateway lies, and who may read it (its user alone)."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from extproc.audit.keys import KeyUnusable, Signer, publish
from extproc.audit.keys import make as make_keys

_KEY_BYTES = 32


class StateUnusable(Exception):
    """The state folder can't be used. The message says what, where and what would be right."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths under `state`, absolute."""

    state: Path

    @property
    def run(self) -> Path:
        """Sockets and locks."""
        return self.state / "run"

    @property
    def journal(self) -> Path:
        """The journal's streams."""
        return self.state / "journal"

    @property
    def bodies(self) -> Path:
        """What was recorded of bodies."""
        return self.state / "bodies"

    @property
    def index(self) -> Path:
        """The database that the trail is searched with; it can be made again from the journal."""
        return self.state / "index.db"

    @property
    def retention(self) -> Path:
        """The database of legal holds, and of what is to be deleted."""
        return self.state / "retention.db"

    @property
    def body_key(self) -> Path:
        """The key of recorded bodies' addresses."""
        return self.keys / "body.key"

    @property
    def audit_key(self) -> Path:
        """The key that the journal is sealed with."""
        return self.keys / "audit.key"

    @property
    def audit_public(self) -> Path:
        """The key that seals are checked with."""
        return self.keys / "audit.pub"

    @property
    def envoy(self) -> Path:
        """Envoy's working directory: generated configuration and its access log."""
        return self.state / "envoy"

    @property
    def config(self) -> Path:
        """The configuration in force, and why a later one was refused."""
        return self.state / "config"

    @property
    def metrics(self) -> Path:
        """prometheus_client's files."""
        return self.state / "metrics"

    @property
    def bundle(self) -> Path:
        """The policy bundle that OPA watches."""
        return self.state / "policy" / "bundle.tar.gz"

    @property
    def holds(self) -> Path:
        """The database of holds."""
        return self.state / "holds.db"

    @property
    def access(self) -> Path:
        """The database of agent tokens and freezes."""
        return self.state / "access.db"

    @property
    def signals(self) -> Path:
        """The database of what principals did before."""
        return self.state / "signals.db"

    @property
    def counters(self) -> Path:
        """The database of exact counters."""
        return self.state / "counters.db"

    @property
    def policy_reads(self) -> Path:
        """What the policies in force read beside their input."""
        return self.bundle.with_name("reads.json")

    @property
    def tokens_key(self) -> Path:
        """The key that signs agent tokens; the control process reads it."""
        return self.keys / "tokens.key"

    @property
    def tokens_public(self) -> Path:
        """The key that agent tokens are checked with; workers read it."""
        return self.keys / "tokens.pub"

    @property
    def opa_socket(self) -> Path:
        """Where the managed OPA listens."""
        return self.run / "opa.sock"

    @property
    def opa_token(self) -> Path:
        """The token of its management API."""
        return self.keys / "opa.token"

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self.state / "keys"

    @property
    def digest_key(self) -> Path:
        """The key of action digests."""
        return self.keys / "digest.key"

    @property
    def mask_key(self) -> Path:
        """The key of masks that hash, where the configuration names none."""
        return self.keys / "mask.key"

    @property
    def envoy_admin(self) -> Path:
        """Envoy's admin interface."""
        return self.run / "envoy-admin.sock"

    @property
    def workers(self) -> Path:
        """The workers' sockets alone: the one folder that an Envoy of somebody's own has to see."""
        return self.run / "workers"

    def worker_socket(self, index: int) -> Path:
        """Where worker `index` listens."""
        return self.workers / f"worker-{index}.sock"

    def postgres_socket(self, index: int) -> Path:
        """Where `postgres-<index>` takes connections: beside the workers, for who may speak to one may to the other."""
        return self.workers / f"postgres-{index}.sock"

    @property
    def definitions(self) -> Path:
        """What sessions of databases tell one another of changed tables."""
        return self.run / "definitions"

    def beat(self, program: str) -> Path:
        """What a program of ours touches while its event loop runs."""
        return self.run / f"{program}.beat"

    def journal_of(self, stream: str) -> Path:
        """The folder of one stream's segments."""
        return self.journal / stream

    def prepare(self) -> None:
        """Make folders and keys that are not there. Raises StateUnusable."""
        os.umask(0o077)
        try:
            inner = (
                *(self.run, self.workers, self.journal, self.bodies, self.envoy, self.config, self.metrics),
                *(self.bundle.parent, self.keys),
            )
            for folder in (self.state, *inner):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.state.stat().st_uid != os.geteuid():
                raise StateUnusable(f"{self.state}: belongs to another user; the gateway's own must own it")
            if self.state.stat().st_mode & 0o077:
                raise StateUnusable(f"{self.state}: others can enter it; chmod 700 {self.state}")
            fresh = {
                self.digest_key: secrets.token_bytes(_KEY_BYTES),
                self.body_key: secrets.token_bytes(_KEY_BYTES),
                self.mask_key: secrets.token_bytes(_KEY_BYTES),
                self.opa_token: secrets.token_urlsafe(32).encode(),
            }
            for key, content in fresh.items():
                if not key.exists():
                    _write_key(key, content)
            if not self.audit_key.exists():
                make_keys(self.audit_key, self.audit_public)
            publish(self.signer(), self.audit_public)
        except OSError as error:
            advice = "`state` must name a folder that this user can write to"
            raise StateUnusable(f"{error.filename or self.state}: {error.strerror}; {advice}") from error

    def read_digest_key(self) -> bytes:
        """The key of action digests, 32 bytes. Raises StateUnusable."""
        return _read_key(self.digest_key)

    def read_body_key(self) -> bytes:
        """The key of recorded bodies' addresses, 32 bytes. Raises StateUnusable."""
        return _read_key(self.body_key)

    def read_mask_key(self) -> bytes:
        """The key of masks that hash, 32 bytes. Raises StateUnusable."""
        return _read_key(self.mask_key)

    def signer(self) -> Signer:
        """What seals the journal. Raises StateUnusable."""
        try:
            return Signer.load(self.audit_key)
        except (OSError, KeyUnusable) as error:
            raise StateUnusable(f"{self.audit_key}: the journal can't be sealed: {error}") from error

    def lock(self) -> int:
        """Take the folder for this process; the descriptor holds it. Raises StateUnusable."""
        descriptor = os.open(self.run / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StateUnusable(
                f"{self.state}: another gateway runs on this state; stop it, or name another `state`"
            ) from None
        return descriptor


def _read_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}") from error
    if len(key) != _KEY_BYTES:
        raise StateUnusable(f"{path}: {len(key)} bytes, expected {_KEY_BYTES}; remove it and start again")
    return key


def _write_key(path: Path, key: bytes) -> None:
    """Whole or not at all: a key cut short by a crash must not be used."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(key)
        out.flush()
        os.fsync(out.fileno())
    os.rename(fresh, path)
