"""Puts the generated documents where Envoy reads them, and says how Envoy is started on them."""

from pathlib import Path

from extproc import resources as shipped
from extproc.adapters.envoy.endpoints import ENDPOINTS, endpoints_file, write_endpoints
from extproc.adapters.envoy.generate import Resources, documents
from extproc.adapters.envoy.replace import replace_file
from extproc.adapters.envoy.secrets import LEAVES, SECRETS

_FOLDERS = (ENDPOINTS, LEAVES, "routes", SECRETS)

_WATCH_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")

DRAIN_SECONDS = 3660
"""How long a drained listener keeps its connections: longer than any hold (Envoy's own 600 s is not)."""


def bootstrap_text() -> str:
    """The shipped bootstrap document, YAML. Raises FileNotFoundError for a damaged installation."""
    return shipped.bootstrap().read_text(encoding="utf-8")


def write(resources: Resources, directory: Path) -> tuple[str, ...]:
    """Bring `directory` (Envoy's working directory) to these resources; returns the files that changed, in order.

    Each file is replaced by rename, so Envoy never reads half of one, and only where its content differs: a listener
    that did not change must not be touched. A target whose addresses nobody has written yet has none: its requests
    are refused until it does. What no resource names any more is removed last. Folders are 0700 and files 0600.
    Raises OSError; what was already replaced then stays.
    """
    for folder in (directory, *(directory / name for name in _FOLDERS)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {"bootstrap.yaml": bootstrap_text(), **documents(resources)}
    kept = {endpoints_file(target) for target in resources.resolved}
    changed = [endpoints_file(target) for target in resources.resolved if _unresolved(directory, target)]
    changed += [name for name, text in wanted.items() if replace_file(directory / name, text.encode())]
    for stale in sorted(path for folder in _FOLDERS for path in (directory / folder).glob("*.json")):
        name = f"{stale.parent.name}/{stale.name}"
        if name not in wanted and name not in kept:
            stale.unlink()
            changed.append(name)
    return tuple(changed)


def watches(resources: Resources) -> frozenset[str]:
    """The file watches of an Envoy on these resources, by name. Each is an inotify instance, of which Linux gives a
    user 128 by default; Envoy aborts where it gets none. A secret has two: of the resource, and of what it names."""
    named = (c.name for c in resources.clusters if c.eds_cluster_config is not None)
    secrets = (f"{kind} {name}" for name in resources.secrets for kind in ("resource", "content"))
    return frozenset({"cds.json", "lds.json", *resources.routes, *named, *secrets})


def watch_limit() -> int | None:
    """The kernel's limit of inotify instances for one user; None where it can't be read."""
    try:
        return int(_WATCH_LIMIT.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _unresolved(directory: Path, target: str) -> bool:
    return not (directory / endpoints_file(target)).exists() and write_endpoints(directory, target, ())


def command(envoy: str, *, concurrency: int | None = None, log_level: str = "warning") -> list[str]:
    """Arguments that start Envoy in the directory that `write` filled. `concurrency` is its worker threads (default:
    one a core)."""
    arguments = [envoy, "-c", "bootstrap.yaml", "--disable-hot-restart", "--log-level", log_level]
    arguments += ["--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"]
    # The shipper joins the access log to the journal; by default Envoy keeps lines back for ten seconds.
    arguments += ["--file-flush-interval-msec", "250"]
    return arguments if concurrency is None else [*arguments, "--concurrency", str(concurrency)]
