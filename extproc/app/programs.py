"""The names of a gateway's programs. Each worker's is that of its journal stream, its recordings and its heartbeat."""

from extproc.config import Settings

HELPERS = ("control", "watcher", "shipper", "archivist")


def workers(settings: Settings) -> tuple[str, ...]:
    """Those that serve HTTP."""
    return tuple(f"worker-{index}" for index in range(settings.workers))


def database_workers(settings: Settings) -> tuple[str, ...]:
    """Those that serve databases; none where none can be reached. They are there before the first target is, which may
    come while the gateway runs."""
    served = settings.listen.postgres is not None
    return tuple(f"postgres-{index}" for index in range(settings.workers)) if served else ()


def following(settings: Settings) -> tuple[str, ...]:
    """Those that take a new configuration while they run."""
    return (*workers(settings), *database_workers(settings), "control", "archivist")
