"""RFC 7240: how long the client says it can wait for people."""

MAX_WAIT_SECONDS = 3540.0
# A preference is a few words. A longer header says nothing that we would do.
_LONGEST = 256
_OURS = frozenset({"wait", "respond-async"})


def wait_seconds(header_values: list[str], default: float) -> float:
    """The time to wait: `wait=N` (section 4.3) if the client says so, else 0 for a bare `respond-async`
    (section 4.1), else the target's own. Never above MAX_WAIT_SECONDS; what can't be read is ignored, as the RFC asks.
    """
    preferences: dict[str, str] = {}
    for name, value in _preferences(header_values):
        preferences.setdefault(name, value)
    wait = preferences.get("wait", "")
    if wait.isascii() and wait.isdigit():
        return min(float(wait[:9]), MAX_WAIT_SECONDS)
    if "respond-async" in preferences:
        return 0.0
    return min(default, MAX_WAIT_SECONDS)


def for_upstream(header_values: list[str]) -> list[str]:
    """The preferences that are not addressed to us, as they were written. They may change what an upstream does (an
    insert into an upsert), so an approval binds them."""
    kept = []
    for value in header_values:
        if len(value) > _LONGEST:
            kept.append(value)
            continue
        others = [item.strip() for item in value.split(",") if _read(item)[0] not in _OURS]
        kept += [", ".join(others)] if others else []
    return kept


def _preferences(header_values: list[str]) -> list[tuple[str, str]]:
    return [_read(item) for value in header_values if len(value) <= _LONGEST for item in value.split(",")]


def _read(item: str) -> tuple[str, str]:
    name, _, value = item.partition(";")[0].partition("=")
    return name.strip().lower(), value.strip().strip('"').strip()
