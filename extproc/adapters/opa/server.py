"""The managed OPA: its command line, and who may ask it what.

It listens on a unix socket of the gateway's user, reads the bundle file and watches it, and asks for a token. Its API
can't change policy: that takes a bundle that was checked (bundle.py).
"""

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extproc.adapters.opa.files import write_private
from extproc.adapters.opa.settling import SETTLE

_AUTHZ = """\
package system.authz

# Only reading and deciding. Policy comes from the watched bundle, never over the API.
default allow := false

allow if {{
	known
	input.method == "POST"
	input.path == ["v1", "data", "holdpoint", "main", "decision"]
}}

allow if {{
	known
	input.method == "POST"
	input.path == ["v1", "compile"]
	input.body.query == {settle}
	object.keys(input.body) == {{"query", "input", "unknowns"}}
}}

allow if {{
	known
	input.method == "GET"
	readable
}}

known if crypto.sha256(input.identity) == "{digest}"

readable if input.path == ["health"]

readable if input.path == ["metrics"]

readable if input.path in [["v1", "policies"], ["v1", "policies", ""]]

readable if {{
	array.slice(input.path, 0, 3) == ["v1", "data", "holdpoint"]
	input.path[3] in {{"revision", "metadata"}}
}}
"""
_MANIFEST = '{"revision": "", "roots": ["system"], "rego_version": 1}\n'


@dataclass(frozen=True, slots=True)
class ManagedOpa:
    """Where a managed OPA keeps what it needs. `directory` is the state directory's `policy/`."""

    opa: Path
    directory: Path
    socket: Path
    token_file: Path

    @property
    def bundle(self) -> Path:
        """The bundle that it serves and watches."""
        return self.directory / "bundle.tar.gz"

    @property
    def authz(self) -> Path:
        """The folder of the policy that guards its API, a bundle of its own."""
        return self.directory / "authz"

    def argv(self) -> Sequence[str]:
        """The command line. Both bundles must be there (`prepare`, and a built bundle) before it starts."""
        return (
            str(self.opa),
            "run",
            "--server",
            f"--addr=unix://{self.socket}",
            "--unix-socket-perm=600",
            "--authentication=token",
            "--authorization=basic",
            "--log-level=error",
            "--log-format=json",
            "--skip-version-check",
            "--optimize-store-for-read-speed",
            "--shutdown-grace-period=2",
            "--watch",
            "--bundle",
            str(self.bundle),
            str(self.authz),
        )


def prepare(managed: ManagedOpa) -> str:
    """Write what guards the API, and return the token that it asks for; a token file that is there is kept.
    Files are 0600, folders 0700. Raises OSError."""
    managed.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    managed.authz.mkdir(mode=0o700, exist_ok=True)
    token = _token(managed.token_file)
    write_private(managed.authz / ".manifest", _MANIFEST.encode())
    write_private(managed.authz / "authz.rego", authorization(token).encode())
    # A socket file that a killed OPA left behind would keep the new one from listening.
    managed.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    managed.socket.unlink(missing_ok=True)
    return token


def authorization(token: str) -> str:
    """The policy that guards OPA's API. It holds the token's SHA-256, not the token."""
    digest = hashlib.sha256(token.encode("ascii")).hexdigest()
    return _AUTHZ.format(digest=digest, settle=json.dumps(SETTLE))


def _token(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = secrets.token_urlsafe(32)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(token)
        return token
