"""One readable log. Each process writes JSON lines; `up` joins them, for people on a terminal, else as JSON."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
_COLOURS = {"ERROR": "\x1b[31m", "WARNING": "\x1b[33m", "CRITICAL": "\x1b[31m"}


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, logger, message, and the record's own extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update({k: v for k, v in record.__dict__.items() if k not in _PLAIN})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


def configure(stream: TextIO | None = None) -> None:
    """Log this process as JSON lines to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class Console:
    """Where the lines of all processes come together."""

    def __init__(self, out: TextIO, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._colours = not as_json and out.isatty()

    def say(self, program: str, line: str) -> None:
        """Write one line of a program. A line that is no JSON object is that program's plain text."""
        if not line.strip():
            return
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict):
            entry = {"message": line}
        self.write({"program": program, **entry})

    def write(self, entry: dict[str, Any]) -> None:
        """Write one entry."""
        if self._as_json:
            self._out.write(orjson.dumps(entry, default=str).decode() + "\n")
        else:
            self._out.write(self._readable(entry) + "\n")
        self._out.flush()

    def _readable(self, entry: dict[str, Any]) -> str:
        at = str(entry.pop("at", "") or entry.pop("time", "") or datetime.now(UTC).isoformat(timespec="milliseconds"))
        level = str(entry.pop("level", "INFO")).upper()
        message = str(entry.pop("message", "") or entry.pop("msg", ""))
        program = str(entry.pop("program", ""))
        exception = entry.pop("exception", None)
        entry.pop("logger", None)
        extras = " ".join(f"{k}={v}" for k, v in entry.items())
        text = f"{at[11:23].rstrip('Z'):<12} {program:<9} {'' if level == 'INFO' else level + ': '}{message}"
        text += f"  {extras}" if extras else ""
        text += f"\n{exception}" if exception else ""
        text = "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
        colour = _COLOURS.get(level, "") if self._colours else ""
        return f"{colour}{text}\x1b[0m" if colour else text


class ConsoleHandler(logging.Handler):
    """The supervisor's own records, into the same log."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._console.say("up", self.format(record))
