"""Holds drawn on a terminal. All that came from elsewhere goes through `visible`: agents write much of what is shown
here, and the person who reads it decides by it."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from extproc.domain.display import visible, visible_lines

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_STATES = {"pending": "yellow", "approved": "green", "used": "green", "denied": "red"}
_LABEL = 12
_SCREEN = 40
"""Lines that a terminal may show without scrolling: of more, the end alone is seen."""


class Screen:
    """Colours, or none: only on a terminal, and not where NO_COLOR is set (no-color.org)."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def style(self, text: str, name: str) -> str:
        """The text in a style of _STYLES."""
        return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if self._colours and name else text

    def state(self, state: str, width: int = 0) -> str:
        """A hold's state, padded to `width`, in its colour."""
        return self.style(visible(state).ljust(width), _STATES.get(state, "dim"))


def table(screen: Screen, holds: list[dict[str, Any]], now: datetime) -> str:
    """One line for each hold. The last column is never cut."""
    head = ("ID", "STATE", "TIME LEFT", "WHO", "TARGET", "NEEDS", "WHAT")
    rows = [
        (
            visible(h["id"]),
            visible(h["state"]),
            time_left(h, now),
            visible(h["principal"]["subject"]),
            visible(h["target"]),
            ", ".join(_need(r) for r in h["requirements"]),
            f"{visible(h['verb'])} {visible(h['resource'])}",
        )
        for h in holds
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]
    lines = [screen.style("  ".join([*(c.ljust(w) for c, w in zip(head, widths, strict=False)), head[-1]]), "bold")]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        cells[1] = screen.state(row[1], widths[1])
        lines.append("  ".join([*cells, row[-1]]))
    return "\n".join(lines)


def detail(screen: Screen, hold: dict[str, Any], now: datetime) -> str:
    """A whole hold. What will go on comes last but for the votes, complete, each line of it behind a bar that
    nothing inside can draw at a line's start."""
    who = hold["principal"]
    lines = [
        f"{screen.style('hold ' + visible(hold['id']), 'bold')}  {screen.state(hold['state'])}",
        _line("who", f"{visible(who['subject'])} ({visible(who['kind'])}) of {visible(who['issuer'])}"),
    ]
    if who.get("acts_for"):
        lines.append(_line("acts for", visible(who["acts_for"])))
    lines += [
        _line("target", visible(hold["target"])),
        _line("asks for", f"{visible(hold['verb'])} {visible(hold['resource'])}"),
        _line("asked at", visible(hold["created_at"])),
        _line("expires", f"{visible(hold['expires_at'])} ({time_left(hold, now)})"),
    ]
    for reason in hold["reasons"]:
        shadow = " [shadow: changes nothing]" if reason["mode"] == "shadow" else ""
        why = f"{reason['effect']}: {reason['message']} ({reason['policy']}, {reason['code']}, {reason['severity']})"
        lines.append(_line("because", visible(why) + shadow))
    lines += [_line("needs", f"{_need(r)}, for {visible(r['policy'])}") for r in hold["requirements"]]
    lines += [_line("digest", visible(hold["digest"])), _line("revision", visible(hold["revision"]))]
    # Without the text of the request nobody is told that this is all of it.
    whole = "request" in hold["summary"]
    title = "what will go on (masked values are shown as such)" if whole else "what was asked, without its text"
    lines += ["", screen.style(f"{title}:", "bold")]
    shown = [f"  | {line}" for line in _render(hold["summary"])]
    lines += shown
    if len(shown) > _SCREEN:
        lines += ["", f"these were {len(shown)} lines: read them from the first one"]
    if hold["votes"]:
        lines += ["", screen.style("votes:", "bold")]
    for vote in hold["votes"]:
        said = screen.style("approve", "green") if vote["approve"] else screen.style("deny", "red")
        lines.append(
            f"  {visible(vote['at'])}  {said}  {visible(vote['approver']['subject'])}: {visible(vote['reason'])}"
        )
    you = hold["you"]
    lines += ["", "you may vote" if you["may_vote"] else f"you can't vote: {visible(you['why_not'])}"]
    return "\n".join(lines)


def time_left(hold: dict[str, Any], now: datetime) -> str:
    """How long a live hold has, in words; `-` for one that has ended."""
    if hold["state"] not in ("pending", "approved"):
        return "-"
    seconds = max(0, int((datetime.fromisoformat(hold["expires_at"]) - now).total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    return f"{seconds}s" if not minutes else f"{minutes}m {seconds % 60}s" if not hours else f"{hours}h {minutes % 60}m"


def utc_now() -> datetime:
    """The time by this machine's clock, which is the store's."""
    return datetime.now(UTC)


def _line(label: str, text: str) -> str:
    return f"  {label.ljust(_LABEL)}{text}"


def _need(requirement: dict[str, Any]) -> str:
    have = len(requirement["approvers"])
    return f"{have}/{requirement['quorum']} {visible(requirement['group'])}"


def _render(value: Any) -> Iterator[str]:
    """A JSON value as indented lines: members by name, long text line by line, nothing left out."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _labelled(f"{visible(str(name))}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _labelled("-", inner)
    elif isinstance(value, str) and value:
        yield from visible_lines(value)
    else:
        yield json.dumps(value)


def _labelled(label: str, value: Any) -> Iterator[str]:
    lines = list(_render(value))
    if len(lines) == 1 and not (isinstance(value, dict | list) and value):
        yield f"{label} {lines[0]}"
        return
    yield label
    yield from (f"  {line}" for line in lines)
