"""Plays a session again: each exchange at its time, request and response beside each other."""

import argparse
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from extproc.cli._holds_view import Screen
from extproc.cli._panes import draw
from extproc.cli._recorded import Recorded
from extproc.cli._sessions_source import Source
from extproc.cli._sessions_view import effect_of, ended, head, moment, part, title
from extproc.cli._terminal import columns, span
from extproc.domain.display import visible

SHORTEST_SECONDS = 0.02


@dataclass(slots=True)
class Pace:
    """How time goes. `speed` 0 waits for nothing; with `keys` (of a terminal) each exchange waits for one. A wait of
    more than `longest` seconds is shortened, and that is said."""

    speed: float
    longest: float
    keys: "Keys | None" = None
    step: bool = False
    say: Callable[[str], None] = field(default=print)

    def wait(self, seconds_: float) -> None:
        """Let so much of the session's time pass. Raises KeyboardInterrupt where somebody has seen enough."""
        due = seconds_ / self.speed if self.speed > 0 else 0.0
        if due > self.longest:
            self.say(f"          … {span(seconds_)} passed")
            due = self.longest
        if due < SHORTEST_SECONDS:
            return
        if self.keys is None:
            time.sleep(due)
        else:
            self.keys.wait(due)

    def next(self) -> None:
        """Wait for a key, where each exchange is to wait for one."""
        if self.step and self.keys is not None:
            self.keys.wait(None)


class Keys:
    """Keys of the terminal, one at a time: q ends, any other goes on at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds_: float | None) -> None:
        """Until a key, or for so long. Raises KeyboardInterrupt for q, and where the terminal is gone."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds_)
        if ready and os.read(self._descriptor, 64)[:1] in (b"q", b"Q", b"\x03", b"\x04", b""):
            raise KeyboardInterrupt


@contextmanager
def keys() -> Iterator[Keys | None]:
    """The terminal's keys, without Enter and unechoed, for as long as the context lasts; None without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def play(arguments: argparse.Namespace, source: Source) -> None:
    """Play the session that the arguments name. Raises CommandError, and KeyboardInterrupt where it is ended."""
    screen = Screen()
    session, exchanges = source.session(arguments.id)
    terminal = sys.stdout.isatty()
    # Into a pipe or a file nobody watches: there is no waiting unless a speed is named.
    speed = arguments.speed if arguments.speed is not None else 1.0 if terminal else 0.0
    with keys() as pressed:
        pace = Pace(speed, arguments.longest_wait, pressed, arguments.step)
        bodies = Recorded(source, arguments.bodies)
        began = session["first"]
        now = moment(began)
        for i, exchange in enumerate(exchanges):
            if i == 0:
                _show(head(screen, session, exchange))
                if pressed is not None:
                    _show(screen.style("any key: go on now; q: end", "dim"))
            pace.next()
            now = _one(screen, exchange, pace, bodies, began, now, arguments.lines)
        _show(screen.style("end of the session", "dim"))


def _one(
    screen: Screen, exchange: dict[str, Any], pace: Pace, bodies: Recorded, began: str, now: float, lines: int
) -> float:
    """One exchange, from `now` in the session's time (seconds since the epoch); gives what time it is then."""
    asked = moment(exchange["at"])
    pace.wait(asked - now)
    _show("")
    _show(title(screen, exchange, began))
    for line in _held(screen, exchange):
        _show(line)
    delivery = part(exchange, "delivery")
    request = bodies.pane(exchange, "request", f"→ {visible(_asked(exchange))}", columns())
    duration = delivery.get("duration_us")
    answered = asked + (duration / 1e6 if isinstance(duration, int) else 0.0)
    # Exchanges overlap; each is told whole before the next.
    pace.wait(answered - max(now, asked))
    response = bodies.pane(exchange, "response", f"← {visible(_answered(exchange))}", columns())
    for line in draw(screen, request, response, columns(), lines):
        _show(line)
    return max(now, answered)


def _held(screen: Screen, exchange: dict[str, Any]) -> Iterator[str]:
    if exchange.get("hold"):
        waited = part(exchange, "timings_us").get("hold")
        people = [part(row, "approver") for row in exchange.get("votes", []) if row.get("approve")]
        names = ", ".join(visible(str(person.get("subject", "?"))) for person in people)
        said = f"held{f' for {span(waited / 1e6)}' if waited else ''}{f'; approved by {names}' if names else ''}"
        yield " " * 11 + screen.style(said, "yellow")
    if effect_of(exchange) in ("block", "hold"):
        for reason in part(exchange, "decision").get("reasons", []):
            if reason.get("mode") == "enforce" and reason.get("effect") in ("block", "hold"):
                yield " " * 11 + visible(f"{reason.get('message')} ({reason.get('policy')})")


def _asked(exchange: dict[str, Any]) -> str:
    asked = part(exchange, "action")
    return f"{asked.get('verb', '?')} {asked.get('resource', '')}"


def _answered(exchange: dict[str, Any]) -> str:
    delivery = part(exchange, "delivery")
    if not delivery:
        return str(exchange.get("outcome") or "nothing is known of an answer")
    return f"{ended(exchange)} {delivery.get('outcome', '')}".strip()


def _show(line: str) -> None:
    # At once: somebody watches.
    print(line, flush=True)
