"""Puts the generated documents where Envoy reads them, and says how Envoy is started on them."""

import contextlib
import os
import ssl
import tempfile
from pathlib import Path

from extproc import resources as shipped
from extproc.adapters.envoy.generate import Resources, documents
from extproc.adapters.envoy.plan import BadPlan, has_keys
from extproc.adapters.envoy.secrets import SECRETS

DRAIN_SECONDS = 3660
"""How long a drained listener keeps its connections: longer than any hold (Envoy's own 600 s is not)."""


def bootstrap_text() -> str:
    """The shipped bootstrap document, YAML. Raises FileNotFoundError for a damaged installation."""
    return shipped.bootstrap().read_text(encoding="utf-8")


def read_jwks(path: Path) -> str:
    """The JWKS document in a file, for a plan's provider. Raises OSError, and BadPlan if it has no keys.

    The keys become part of the listener, so new ones take a new plan; drained connections live on for longer than
    any hold (`DRAIN_SECONDS`)."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if not has_keys(text):
        raise BadPlan(f"{path}: expected a JSON object with a list of `keys`, as an identity provider publishes it")
    return text


def system_roots() -> str:
    """The system's bundle of root certificates, for a plan that names none. Raises FileNotFoundError."""
    paths = ssl.get_default_verify_paths()
    # Envoy reads one bundle; OpenSSL's own default may be a folder, beside which distributions keep theirs.
    candidates = [paths.cafile, f"{paths.openssl_capath}/ca-certificates.crt"]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return candidate
    raise FileNotFoundError("no bundle of root certificates found; name one as `ca`, or install ca-certificates")


def write(resources: Resources, directory: Path) -> tuple[str, ...]:
    """Bring `directory` (Envoy's working directory) to these resources; returns the files that changed, in order.

    Each file is replaced by rename, so Envoy never reads half of one, and only where its content differs: a listener
    that did not change must not be touched. Secrets that no resource names any more are removed last. Folders are
    0700 and files 0600. Raises OSError; what was already replaced then stays.
    """
    for folder in (directory, directory / SECRETS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {"bootstrap.yaml": bootstrap_text(), **documents(resources)}
    changed = [name for name, text in wanted.items() if _replace(directory / name, text)]
    for stale in sorted((directory / SECRETS).glob("*.json")):
        name = f"{SECRETS}/{stale.name}"
        if name not in wanted:
            stale.unlink()
            changed.append(name)
    return tuple(changed)


def command(envoy: str, *, concurrency: int | None = None, log_level: str = "warning") -> list[str]:
    """Arguments that start Envoy in the directory that `write` filled. `concurrency` is its worker threads (default:
    one a core)."""
    arguments = [envoy, "-c", "bootstrap.yaml", "--disable-hot-restart", "--log-level", log_level]
    arguments += ["--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"]
    # The shipper joins the access log to the journal; by default Envoy keeps lines back for ten seconds.
    arguments += ["--file-flush-interval-msec", "250"]
    return arguments if concurrency is None else [*arguments, "--concurrency", str(concurrency)]


def _replace(path: Path, text: str) -> bool:
    """Write by rename unless it is there already; True if it was not."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            return False
    # mkstemp makes the file 0600 from the start.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
