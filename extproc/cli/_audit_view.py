"""Decisions and other records drawn as tables on a terminal. What came from elsewhere goes through `visible`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from extproc.cli._holds_view import Screen
from extproc.cli._sessions_view import EFFECTS, ID_LENGTH, decision_id, effect_of, objects, part
from extproc.cli._terminal import fit, widths_of
from extproc.domain.display import visible

# Columns that give way, the last first: the least that they need and the most that they get.
_FLEXIBLE = {4: (12, 400), 6: (8, 48), 5: (8, 32), 2: (8, 28), 3: (5, 24)}
_OF_EVENTS = {4: (12, 400), 3: (8, 28), 2: (8, 24), 1: (8, 20)}
_WITH_HOLDS, _WITH_POLICIES, _WITH_TRACES = 100, 80, 200
"""Columns of the terminal from which on these are shown."""


def decisions(
    screen: Screen, rows: Sequence[dict[str, Any]], trace_of: Callable[[dict[str, Any]], str], most: int
) -> str:
    """One line for each decision, in at most so many columns."""
    heads = ("TIME", "DECISION", "WHO", "EFFECT", "ACTION", "POLICY", "HOLD", "TRACE")
    shown = 5 + (most >= _WITH_POLICIES) + (most >= _WITH_HOLDS) + (most >= _WITH_TRACES)
    cells = [_decision(row, trace_of(row), most) for row in rows]
    styles = [{3: EFFECTS.get(effect_of(row), "red")} for row in rows]
    return "\n".join(_table(screen, [line[:shown] for line in (heads, *cells)], styles, _FLEXIBLE, most))


def events(screen: Screen, rows: Sequence[dict[str, Any]], most: int) -> str:
    """One line for each record, likewise."""
    cells = [_event(row, most) for row in rows]
    heads = ("TIME", "KIND", "WHAT", "WHO", "ABOUT")
    return "\n".join(_table(screen, [heads, *cells], [{} for _ in rows], _OF_EVENTS, most))


def _table(
    screen: Screen,
    lines: Sequence[tuple[str, ...]],
    styles: Sequence[dict[int, str]],
    flexible: dict[int, tuple[int, int]],
    most: int,
) -> Iterator[str]:
    widths = widths_of(lines, flexible, most)
    for number, line in enumerate(lines):
        cells = [fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        for i, name in styles[number - 1].items() if number else ():
            cells[i] = screen.style(cells[i], name)
        drawn = "  ".join(cells).rstrip()
        yield drawn if number else screen.style(drawn, "bold")


def _decision(row: dict[str, Any], trace: str, most: int) -> tuple[str, ...]:
    effect, asked = effect_of(row), part(row, "action")
    reasons = objects(part(row, "decision").get("reasons"))
    said = part(row, "decision").get("effect")
    decisive = [r for r in reasons if r.get("mode") == "enforce" and r.get("effect") == said]
    people = [str(one.get("subject")) for one in objects(row.get("approvers"))]
    people = people or [str(part(vote, "approver").get("subject")) for vote in objects(row.get("votes"))]
    hold = str(row["hold"]) if row.get("hold") else ""
    cells = (
        _time(row, most),
        decision_id(row)[:ID_LENGTH],
        str(part(row, "principal").get("subject", "?")),
        f"hold, {row.get('outcome') or 'pending'}" if effect == "hold" and most >= _WITH_POLICIES else effect,
        f"{asked.get('verb', '?')} {part(row, 'target').get('name', '?')} {asked.get('resource', '')}",
        ", ".join(dict.fromkeys(str(r.get("policy")) for r in decisive)) or "-",
        (f"{hold[:ID_LENGTH]} by {', '.join(people)}" if people else hold[:ID_LENGTH]) or "-",
        trace,
    )
    return tuple(map(visible, cells))


def _event(row: dict[str, Any], most: int) -> tuple[str, ...]:
    body = part(row, "body")
    who = next((part(body, name) for name in ("by", "approver", "principal") if part(body, name)), {})
    what = next((body[name] for name in _WHAT if isinstance(body.get(name), str)), "-")
    told = (f"{name} {text}" for name, text in sorted(_told(body), key=_rank) if text and name not in _SHOWN)
    cells = (_time(row, most), str(row.get("kind")), what, str(who.get("subject") or "-"), ", ".join(told))
    return tuple(map(visible, cells))


_WHAT = ("what", "code", "state")
_NAMES = ("subject", "name", "address")
_SELECTING = {"selects", "query"}
"""What a legal hold is on, and what a purge looks for: each member by itself."""
_SHOWN = {"at", "what", "code", "by", "approver"}
_FIRST = ("subject", "principal", "name", "target", "session", "decision", "hold", "lane", "reason", "why", "words")
_LAST = ("expires", "expires_at", "address", "addresses", "digest", "previous", "key", "signature")
"""Lines are cut at their end: what people know things by is said first, and what only programs compare last."""


def _rank(told: tuple[str, str]) -> int:
    name = told[0]
    middle = len(_FIRST)
    return _FIRST.index(name) if name in _FIRST else middle + (1 + _LAST.index(name) if name in _LAST else 0)


def _told(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The members of a record that can be said in a word or a few."""
    for name, value in body.items():
        if isinstance(value, dict) and name in _SELECTING:
            yield from _told(value)
        elif isinstance(value, dict):
            yield name, str(next((value[member] for member in _NAMES if value.get(member)), ""))
        elif isinstance(value, list):
            yield name, " ".join(item for item in value if isinstance(item, str))
        elif value is not None:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _time(row: dict[str, Any], most: int) -> str:
    at = str(row["at"]).replace("T", " ")
    return at[5:16] if most < _WITH_HOLDS else at[:19]
