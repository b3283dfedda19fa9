"""Times that people give to commands."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from extproc.cli._common import CommandError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def record_time(option: str, text: str) -> str:
    """What `text` means as record time: an RFC 3339 time or a date (of UTC, where it does not say), or an age such as
    90s, 15m, 6h or 2d. Raises CommandError."""
    try:
        if text and text[-1] in _UNITS and text[:-1].isdigit():
            moment = datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError):
        right = "a time such as 2026-01-31T12:00:00Z, or an age such as 15m, 6h or 2d"
        raise CommandError(f"{option} {text!r}: expected {right}") from None


def duration(text: str) -> float:
    """Seconds, of an argument such as `20s`; a number alone is in seconds. Raises argparse.ArgumentTypeError."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a number and a unit (ms, s, m, h), such as 20s or 500ms")
    return float(found[1]) * _SECONDS[found[2] or "s"]
