"""Real credentials lying about where an agent runs. Their places are told, never anything of what they say."""

import base64
import binascii
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from extproc.app.doctor.finding import Finding, Severity, closed
from extproc.app.doctor.network import end_of
from extproc.app.doctor.plan import Plan

_SECRET_VARIABLE = re.compile(
    r".*(?:_|^)(?:API_?KEY|ACCESS_KEY|SECRET(?:_ACCESS)?_KEY|TOKEN|SECRET|PASSWORD|PASSWD|PGPASSWORD|CREDENTIALS?)"
)
_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_HARMLESS = frozenset({"", "0", "1", "true", "false", "none", "null", "dummy", "unused", "placeholder"})
_MOST = 1 << 20

# Files under the home folder that hold credentials whatever they say.
_FILES = {
    "AWS": (".aws/credentials", ".aws/sso/cache", ".aws/cli/cache"),
    "Google Cloud": (
        ".config/gcloud/application_default_credentials.json", ".config/gcloud/credentials.db",
        ".config/gcloud/access_tokens.db", ".config/gcloud/legacy_credentials",
    ),
    "Azure": (".azure/msal_token_cache.json", ".azure/msal_token_cache.bin", ".azure/accessTokens.json",
              ".azure/service_principal_entries.json"),
    "PostgreSQL": (".pgpass",),
    "MySQL": (".my.cnf", ".mylogin.cnf"),
    "Git": (".git-credentials", ".config/git/credentials"),
    "GitHub": (".config/gh/hosts.yml", ".config/hub"),
    "Vault": (".vault-token",),
    "Terraform": (".terraform.d/credentials.tfrc.json",),
    "PyPI": (".pypirc",),
    "Cargo": (".cargo/credentials.toml", ".cargo/credentials"),
}  # fmt: skip

# Files that are harmless unless they say one of these, or name hosts other than the gateway.
_SAYING = {
    "Docker": (".docker/config.json", re.compile(rb'"(?:auth|identitytoken|registrytoken)"\s*:\s*"[^"]')),
    "npm": (".npmrc", re.compile(rb"_(?:authToken|auth|password)\s*=\s*[^\s$]")),
}
_HOSTS = {
    "Kubernetes": (".kube/config", re.compile(rb"^\s*server:\s*[\"']?([^\s\"']+)", re.MULTILINE)),
    "netrc": (".netrc", re.compile(rb"\bmachine\s+(\S+)")),
}
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def variables(plan: Plan, gateway: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Environment variables with secrets that are not the gateway's own tokens."""
    found = sorted(
        name
        for name, value in environment.items()
        if (_SECRET_VARIABLE.fullmatch(name.upper()) or _PASSWORD_IN_URL.search(value))
        and value.strip().lower() not in _HARMLESS
        and not _gateways(value, plan.issuers)
        and not _names_a_file(value)
    )
    if not found:
        yield closed("secret", "no variable with a secret of another")
    for name in found:
        yield _leak(f"variable {name}", f"unset {name}, or give the agent a token of the gateway's in its place.")


def files(plan: Plan, gateway: str, environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    """Files with credentials that this user can read."""
    places = [(who, home / name) for who, names in _FILES.items() for name in names]
    places += [
        (f"{name} names it", Path(named))
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE",
                     "AZURE_FEDERATED_TOKEN_FILE", "PGPASSFILE")
        if (named := environment.get(name))
    ]  # fmt: skip
    places.append(("Kubernetes service account", Path(_SERVICE_ACCOUNT)))
    found = [(who, path) for who, path in places if _has_content(path)]
    for who, (name, saying) in _SAYING.items():
        if (content := _content(home / name)) and saying.search(content):
            found.append((who, home / name))
    ours = {end[0] for url in (gateway, plan.gateway, plan.proxy) if url and (end := end_of(url))}
    for who, (name, hosts) in _HOSTS.items():
        named = environment.get("KUBECONFIG", "").partition(":")[0] if who == "Kubernetes" else ""
        where = Path(named) if named else home / name
        if (content := _content(where)) and not _leads_to(hosts.findall(content), ours, plan.domain):
            found.append((who, where))
    found += [("SSH", path) for path in _ssh_keys(home / ".ssh")]
    if not found:
        yield closed("secret", "no file with credentials in its usual place")
    for who, path in found:
        yield _leak(f"{who}: {path}", "Take it away from the agent's user; the gateway adds credentials itself.")


def ssh_agent(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether an SSH agent signs for whoever asks."""
    path = environment.get("SSH_AUTH_SOCK", "")
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(path)
    except (OSError, ValueError):
        yield closed("secret", "no SSH agent")
        return
    yield _leak("SSH agent: SSH_AUTH_SOCK takes connections", "unset SSH_AUTH_SOCK, and do not forward agents here.")


def trusted(plan: Plan, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the certificates that clients trust are what somebody else may change."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"):
        path = environment.get(name, "")
        if path and not os.access(path, os.R_OK):
            yield Finding(
                "trust",
                Severity.NOTE,
                True,
                f"{name} names {path}, which can't be read",
                "Clients fail, or take other certificates.",
                "Let the agent read it; `holdpoint ca` writes the gateway's.",
            )
    if plan.proxy and not environment.get("SSL_CERT_FILE"):
        yield Finding(
            "trust",
            Severity.NOTE,
            True,
            "SSL_CERT_FILE is not set, and the gateway has a forward proxy",
            "Clients do not know the gateway's authority and refuse what it intercepts.",
            "Set SSL_CERT_FILE to a bundle with the gateway's authority.",
        )


def _leak(what: str, fix: str) -> Finding:
    return Finding(
        "secret",
        Severity.HIGH,
        True,
        what,
        "With a credential of its own the agent needs no gateway, wherever the network lets it through.",
        fix,
    )


def _gateways(value: str, issuers: tuple[str, ...]) -> bool:
    """Whether this is a token for the gateway: a JWT of one of its issuers. It says so itself, which is enough to
    tell it from an API key."""
    token = value.removeprefix("Bearer ").strip()
    parts = token.split(".")
    if len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return False
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return isinstance(issuer, str) and (issuer in issuers or issuer.startswith("urn:holdpoint:"))


def _names_a_file(value: str) -> bool:
    """Whether a value is a path rather than a secret: what it names is looked at as a file."""
    return value.startswith(("/", "~/", "./"))


def _leads_to(hosts: list[bytes], ours: set[str], domain: str) -> bool:
    """Whether each of these hosts or addresses is the gateway's."""
    named = {(end_of(host.decode("utf-8", "replace")) or ("?", 0))[0] for host in hosts}
    return bool(named) and all(host in ours or (domain and f".{host}".endswith(f".{domain}")) for host in named)


def _has_content(path: Path) -> bool:
    """Whether a file has something in it, or a folder has files, that can be read."""
    try:
        if path.is_dir():
            return any(_has_content(entry) for entry in path.iterdir() if entry.is_file())
        return path.is_file() and path.stat().st_size > 0 and os.access(path, os.R_OK)
    except OSError:
        return False


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as opened:
            return opened.read(_MOST)
    except OSError:
        return b""


def _ssh_keys(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if b"PRIVATE KEY-----" in _content(entry)[:4096]:
            yield entry
