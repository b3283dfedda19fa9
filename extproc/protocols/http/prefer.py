"""RFC 7240: how long the client says it can wait for people."""

import re

MAX_WAIT_SECONDS = 3540.0
_ITEM = re.compile(r'^([a-z-]+)(?:\s*=\s*"?([^";]*)"?)?(?:;.*)?$')


def wait_seconds(header_values: list[str], default: float) -> float:
    """The time to wait: `wait=N` (section 4.3) if the client says so, else 0 for a bare `respond-async`
    (section 4.1), else the target's own. Never above MAX_WAIT_SECONDS; what can't be read is ignored, as the RFC asks.
    """
    preferences: dict[str, str] = {}
    for value in header_values:
        for item in value.split(","):
            match = _ITEM.match(item.strip().lower())
            if match:
                preferences.setdefault(match.group(1), (match.group(2) or "").strip())
    wait = preferences.get("wait", "")
    if wait.isascii() and wait.isdigit():
        return min(float(wait[:9]), MAX_WAIT_SECONDS)
    if "respond-async" in preferences:
        return 0.0
    return min(default, MAX_WAIT_SECONDS)
