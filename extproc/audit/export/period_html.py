"""The page of a period's report."""

from collections.abc import Iterator, Mapping

from extproc.audit.export.gaps import Trail
from extproc.audit.export.page import bar, by_effect, clock, code, duration, facts, figures, page, shown, span, table
from extproc.audit.export.period import Period, Rows, Tally

EFFECTS = {"allowed": "allow", "held": "hold", "blocked": "block"}
_TOP = 20


def period_page(found: Period, told: Trail, where: str) -> Iterator[bytes]:
    """The page in pieces; `where` names the gateway."""
    first, last = found.since or found.first, found.until or found.last
    lead = f'<p class="lead">{shown(where)}, {shown(span(first, last))}</p>'
    title = "What agents asked for, and what was decided"
    return page(title, "Audit report", lead, _sections(found, told), f"Holdpoint audit report: {span(first, last)}")


def _sections(found: Period, told: Trail) -> Iterator[str]:
    total = found.total
    effects = {kind: total[name] for name, kind in EFFECTS.items()}
    shown_effects = [row for row in by_effect(effects) if row[2] != "mask" and row[0] != "allowed, masked"]
    yield _trail(told)
    yield "<section><h2>Summary</h2>" + figures(
        [
            ("actions", f"{sum(effects.values()):,}", ""),
            *((name, f"{n:,}", kind) for name, n, kind in shown_effects),
            ("with values masked", f"{total['masked']:,}", "mask" if total["masked"] else "quiet"),
        ]
    )
    yield bar(list(effects.items()))
    wait = "nobody was asked" if found.median_wait is None else duration(found.median_wait)
    revisions = "more than one" if len(found.revisions) > 3 else ", ".join(sorted(found.revisions))
    yield facts(
        [
            ("Records read", f"{found.records:,}"),
            ("Median wait for people", shown(wait)),
            ("Policy revisions in use", shown(revisions or "none")),
            ("Turned away before a decision", f"{sum(found.turned_away.values()):,}"),
            ("Ended early", f"{found.outcomes['aborted']:,}"),
            ("Ends that were lost", f"{found.lost:,}"),
        ]
    )
    yield "</section><section><h2>Actions by target</h2>"
    lines = (
        (
            shown("none of the targets" if name == "-" else name),
            *(f"{tally[column]:,}" for column in ("allowed", "held", "blocked", "masked")),
        )
        for name, tally in sorted(found.actions.items())
    )
    yield table(("Target", "Allowed", "Held", "Blocked", "With masks"), lines, (1, 2, 3, 4), "There was no action.")
    yield "</section><section><h2>Blocked</h2>"
    yield _tops(("Policy", found.blocked_by_policy), ("Principal", found.blocked_by_principal))
    yield _top("Most frequent reasons", found.blocked_why, "Nothing was blocked.")
    yield "</section><section><h2>Held for people</h2>"
    yield _tops(("Approved by", found.approved_by), ("Denied by", found.denied_by))
    yield _top("Holds, by the state they reached", found.holds, "Nothing was held.")
    yield "</section><section><h2>Masked</h2>"
    yield _tops(("Kind of value", found.masked), ("Direction", found.masked_lanes)) + "</section>"
    yield "<section><h2>Policies, configuration, tokens, freezes, targets</h2>" + _acts(found.changes) + "</section>"
    yield "<section><h2>Recordings that were read or exported</h2>" + _acts(found.readings) + "</section>"
    yield "<section><h2>Other acts</h2>" + _acts(found.acts) + "</section>"
    yield "<section><h2>Would have been stopped</h2>"
    yield _top("By policies in shadow mode", found.unenforced, "Nothing.") + "</section>"
    yield "<section><h2>Turned away, and alarms</h2>"
    yield _tops(("Refused before a decision", found.turned_away), ("Alarm", found.alarms)) + "</section>"


def _trail(told: Trail) -> str:
    notes = "".join(f"<li>{shown(note)}</li>" for note in told.notes)
    notes = f'<ul class="note">{notes}</ul>' if notes else ""
    if not told.gaps:
        keys = f"under key {', '.join(map(code, told.keys))}" if told.keys else "though no signature was checked"
        return (
            '<div class="fine"><p><b>Gaps: none.</b> Every stream was read from end to end; frames, numbers, hashes, '
            f"seals, checkpoints and bodies hold, {keys}.</p>{notes}</div>"
        )
    lines = "".join(f"<li>{shown(gap)}</li>" for gap in told.gaps)
    return f'<div class="warn"><p><b>Gaps: {len(told.gaps)}.</b></p><ul>{lines}</ul>{notes}</div>'


def _tops(*tallies: tuple[str, Tally]) -> str:
    return (
        '<div class="sides">' + "".join(f"<div>{_top(name, tally, 'none')}</div>" for name, tally in tallies) + "</div>"
    )


def _top(name: str, tally: Tally, none: str) -> str:
    rows = ((shown(what), f"{n:,}") for what, n in tally.top(_TOP))
    left = len(tally) - _TOP
    more = f'<p class="note">and {left:,} more</p>' if left > 0 else ""
    return table((name, ""), rows, (1,), f"{name}: {none}") + more


def _acts(acts: Rows) -> str:
    rows = (
        (f'<span class="line">{shown(clock(a.at))}</span>', *map(shown, (a.kind, a.what, a.about, a.by)))
        for a in acts.first
    )
    left = acts.total - len(acts.first)
    more = f'<p class="note">and {left:,} more, which are in the journal</p>' if left else ""
    return table(("Time", "Kind", "What", "About", "By"), rows, none="None.") + more


def document(found: Period, told: Trail) -> Mapping[str, object]:
    """The same as one JSON document."""
    rows = {
        name: {"total": acts.total, "first": [_act(a) for a in acts.first]}
        for name, acts in (("changes", found.changes), ("readings", found.readings), ("acts", found.acts))
    }
    tallies = {
        name: dict(tally.top(len(tally)))
        for name in (
            "blocked_by_policy", "blocked_by_principal", "blocked_why", "unenforced", "turned_away", "holds",
            "approved_by", "denied_by", "masked", "masked_lanes", "outcomes", "alarms", "revisions",
        )
        for tally in (getattr(found, name),)
    }  # fmt: skip
    return {
        "since": found.since or found.first,
        "until": found.until or found.last,
        "records": found.records,
        "actions": {name: dict(tally) for name, tally in sorted(found.actions.items())},
        "median_wait_seconds": found.median_wait,
        **tallies,
        **rows,
        "lost": found.lost,
        "open": found.open,
        "gaps": told.gaps,
        "notes": told.notes,
        "keys": list(told.keys),
    }


def _act(act: object) -> dict[str, str]:
    return {name: getattr(act, name) for name in ("at", "kind", "what", "by", "about")}
