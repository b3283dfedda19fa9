"""The demo's directory: the gateway's part, the upstreams', the approver's and the agent's, closed to one another."""

import os
import secrets
import shutil
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.demo import people
from examples.demo.processes import DemoFailed, Owner

DIRECTORY_VARIABLE = "HOLDPOINT_DEMO_DIR"
# A unix socket's path has 108 bytes on Linux and 104 elsewhere, its end included. This is the longest name below us.
LONGEST_SOCKET = "gateway/state/run/envoy-admin.sock"
SOCKET_PATH_LIMIT = 103
POLICY_DATA_FILE = "policy-data.yaml"
DATABASE, DATABASE_NAME, DATABASE_LOGIN = "crm-db", "crm", "crm_app"
"""The target before PostgreSQL, the database there, and the role that the gateway logs in as."""
COMPANY = Path(__file__).with_name("company")
"""What a company adds: a rule for its customer numbers, and a policy that says what is left of them, and of cards."""
SHIPPED = yaml.safe_load((Path(__file__).parents[2] / "policies/http/pii_in_responses/data.yaml").read_text("utf-8"))
# A credential that is seen in two networks is blocked in both: nobody can tell which of the two is its owner.
POLICY_DATA = {
    "policies": {
        "any.copied_token": {"mode": "enforce", "networks": {"hold_at": 0, "block_at": 2}},
        # Of several masks the strictest counts, and this one redacts: so it has to leave out what is shown in part.
        "http.pii_in_responses": {"except_kinds": [*SHIPPED["except_kinds"], "card", "acme-customer"]},
    },
}


@dataclass(frozen=True, slots=True)
class Workplace:
    """Paths and secrets of one run.

    root (0711) holds gateway, upstreams, people, witness, logs (0700, the user who runs the demo), agent (0700, the
    agent's) and database (0700, its server's).
    """

    root: Path
    customer_credential: str
    model_credential: str
    database_password: str
    agent_token: str
    approver_token: str
    operator_token: str
    auditor_token: str
    pasted_secret: str

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.gateway / "holdpoint.yaml"

    @property
    def gateway(self) -> Path:
        """The gateway's directory."""
        return self.root / "gateway"

    @property
    def agent(self) -> Path:
        """The agent's home."""
        return self.root / "agent"

    @property
    def transcript(self) -> Path:
        """What the agent wrote of its run."""
        return self.agent / "transcript.jsonl"

    @property
    def database(self) -> Path:
        """What PostgreSQL keeps."""
        return self.root / "database"

    @property
    def database_secret(self) -> Path:
        """The password of the gateway's login there."""
        return self.gateway / "secrets" / DATABASE

    @property
    def database_transcript(self) -> Path:
        """What the agent wrote of its run at the database."""
        return self.agent / "database.jsonl"

    @property
    def scripts(self) -> Path:
        """Where the agent's scripts run."""
        return self.agent / "scripts"

    @property
    def approver_file(self) -> Path:
        """The approver's token."""
        return self.root / "people" / "approver.token"

    @property
    def operator_file(self) -> Path:
        """The operator's token."""
        return self.root / "people" / "operator.token"

    @property
    def auditor_file(self) -> Path:
        """The auditor's token."""
        return self.auditor / "auditor.token"

    @property
    def auditor(self) -> Path:
        """What the auditor keeps: a copy of the gateway's public key, and evidence."""
        return self.root / "people" / "auditor"

    @property
    def witness(self) -> Path:
        """What the witness keeps of the trail. Elsewhere this is a file on another machine."""
        return self.root / "witness" / "checkpoints.jsonl"

    def upstream(self, name: str, suffix: str) -> Path:
        """A file of one upstream: `credential`, `address` or `received`."""
        return self.root / "upstreams" / f"{name}.{suffix}"

    def log(self, name: str) -> Path:
        """The output of one process."""
        return self.root / "logs" / f"{name}.log"


def create(owner: Owner | None) -> Workplace:
    """Make the directory, keys, tokens and credentials of one run. Raises DemoFailed when the place is not usable."""
    parent = _parent()
    try:
        root = Path(tempfile.mkdtemp(prefix="holdpoint-demo-", dir=parent)).resolve()
        os.chmod(root, 0o711)  # noqa: S103 - the agent passes through to its own directory, and sees no names
        for name in (
            "gateway",
            "gateway/secrets",
            "upstreams",
            "people",
            "people/auditor",
            "witness",
            "logs",
            "agent",
            "database",
        ):
            (root / name).mkdir(mode=0o700)
        agents = people.Issuer.create(people.AGENT_ISSUER, people.AGENT_AUDIENCE)
        approvers = people.Issuer.create(people.APPROVER_ISSUER, people.APPROVER_AUDIENCE)
        place = Workplace(
            root=root,
            customer_credential=secrets.token_urlsafe(32),
            model_credential=secrets.token_urlsafe(32),
            database_password=secrets.token_urlsafe(32),
            agent_token=agents.token(people.AGENT_SUBJECT, people.AGENT_GROUPS),
            approver_token=approvers.token(people.APPROVER_SUBJECT, people.APPROVER_GROUPS),
            operator_token=approvers.token(people.OPERATOR_SUBJECT, people.OPERATOR_GROUPS),
            auditor_token=approvers.token(people.AUDITOR_SUBJECT, people.AUDITOR_GROUPS),
            # Made up at each start, so that no scanner takes this repository for a leak.
            pasted_secret="AKIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16)),
        )
        _write(place.gateway / "agents.jwks.json", agents.key_set())
        _write(place.gateway / "approvers.jwks.json", approvers.key_set())
        for name, target, credential in (
            ("customer_api", "crm", place.customer_credential),
            ("model_server", "models", place.model_credential),
        ):
            _write(place.gateway / "secrets" / target, credential)
            _write(place.upstream(name, "credential"), credential)
        _write(place.database_secret, place.database_password)
        _write(place.approver_file, place.approver_token)
        _write(place.operator_file, place.operator_token)
        _write(place.auditor_file, place.auditor_token)
        if owner is not None:
            os.chown(place.agent, owner.uid, owner.gid)
    except OSError as error:
        raise DemoFailed(
            f"could not make the demo's directory below {parent}: {error}; set {DIRECTORY_VARIABLE}"
        ) from error
    return place


def _parent() -> Path:
    """Where the run's directory goes: where told to, else the place for temporary files if its path is short enough."""
    if (named := os.environ.get(DIRECTORY_VARIABLE)) is not None:
        parent = Path(named).resolve()
        parent.mkdir(parents=True, exist_ok=True)
        if not _short(parent):
            raise DemoFailed(
                f"{parent} ({DIRECTORY_VARIABLE}) is too long a path for unix sockets below it; choose a shorter one"
            )
        return parent
    parent = Path(tempfile.gettempdir()).resolve()
    return parent if _short(parent) else Path("/tmp").resolve()  # noqa: S108 - mkdtemp makes a directory of its own


def _short(parent: Path) -> bool:
    return len(os.fsencode(parent / "holdpoint-demo-12345678" / LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who listens where, as `host:port`; the two of Jaeger are None when it does not run, and so are PostgreSQL's and
    that of the gateway before it (`sql`)."""

    listen: str
    ops: str
    proxy: str
    customer_api: str
    model_server: str
    names: str
    otlp: str | None = None
    jaeger: str | None = None
    database: str | None = None
    sql: str | None = None


def configuration(at: Addresses) -> dict[str, Any]:
    """The gateway's configuration as a document."""
    targets = {"crm": _target(at.customer_api, "secrets/crm"), "models": _target(at.model_server, "secrets/models")}
    listen: dict[str, str | None] = {"address": at.listen, "ops": at.ops, "proxy": at.proxy}
    if at.database is not None:
        targets[DATABASE] = database_target(at.database)
        listen["postgres"] = at.sql
    return {
        "version": 1,
        "listen": listen,
        "identity": {
            "agents": [
                {
                    "issuer": people.AGENT_ISSUER,
                    "audience": people.AGENT_AUDIENCE,
                    "jwks": "agents.jwks.json",
                    "kind": "agent",
                }
            ],
            "approvers": [
                {"issuer": people.APPROVER_ISSUER, "audience": people.APPROVER_AUDIENCE, "jwks": "approvers.jwks.json"}
            ],
            "administrators": list(people.OPERATOR_GROUPS),
        },
        "targets": targets,
        "dns": {"servers": [at.names]},
        "policy": {"path": str(COMPANY / "policies"), "data": POLICY_DATA_FILE},
        "masking": {"rules": [str(COMPANY / "rules.yaml")]},
        "audit": {
            "otlp": at.otlp and f"http://{at.otlp}",
            "jaeger": at.jaeger and f"http://{at.jaeger}",
            "witnesses": [{"file": "../witness/checkpoints.jsonl"}],
            "roles": {role: list(people.AUDITOR_GROUPS) for role in ("list", "read", "export")},
        },
        "workers": 2,
        "state": "state",
    }


def _target(address: str, credential: str) -> dict[str, Any]:
    return {"protocol": "http", "upstream": f"http://{address}", "environment": "production", "credential": credential}


def database_target(address: str) -> dict[str, Any]:
    """The target before the demo's PostgreSQL, which has no TLS on this machine's own network."""
    return {
        "protocol": "postgres",
        "upstream": f"postgres://{address}/{DATABASE_NAME}",
        "tls": "off",
        "environment": "production",
        "wait": "60s",
        "logins": [{"user": DATABASE_LOGIN, "password": f"secrets/{DATABASE}"}],
    }


def write_configuration(place: Workplace, document: dict[str, Any]) -> None:
    """Write holdpoint.yaml, and the data of its policies."""
    _write(place.gateway / POLICY_DATA_FILE, yaml.safe_dump(POLICY_DATA, sort_keys=False))
    _write(place.config, yaml.safe_dump(document, sort_keys=False))


def remove(place: Workplace) -> None:
    """Remove the run's directory, the agent's part included."""
    shutil.rmtree(place.root, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    """Write without a trailing newline, for this user alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
