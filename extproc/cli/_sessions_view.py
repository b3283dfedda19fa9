"""Sessions drawn on a terminal: the list, and one as a timeline. What came from elsewhere goes through `visible`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from extproc.cli._holds_view import Screen
from extproc.cli._terminal import fit, size, span, widths_of
from extproc.domain.display import visible, visible_lines

EFFECTS = {"allow": "green", "mask": "yellow", "hold": "yellow", "block": "red"}
ID_LENGTH = 10
"""Characters of an id in lists; as good as unique."""
_LABEL = 10
# Columns of the list that give way, the last first: the least that they need and the most that they get.
_FLEXIBLE = {8: (12, 400), 7: (8, 24), 2: (8, 28)}


def table(screen: Screen, sessions: list[dict[str, Any]], most: int) -> str:
    """One line for each session, in at most so many columns."""
    heads = ("SESSION", "LAST SEEN", "WHO", "ALLOW", "MASK", "HOLD", "BLOCK", "TARGETS", "LAST OF IT")
    shown = 9 if most >= 100 else 8 if most >= 80 else 7
    rows = [_row(session, short=shown == 7) for session in sessions]
    widths = widths_of([row[:shown] for row in (heads, *rows)], _FLEXIBLE, most)
    lines = [screen.style("  ".join(fit(c, w) for c, w in zip(heads, widths, strict=False)).rstrip(), "bold")]
    for row in rows:
        cells = [c.rjust(w) if 3 <= i <= 6 else fit(c, w) for i, (c, w) in enumerate(zip(row, widths, strict=False))]
        for i, name in ((4, "yellow"), (5, "yellow"), (6, "red")):
            if row[i] != "-":
                cells[i] = screen.style(cells[i], name)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def head(screen: Screen, session: dict[str, Any], first: dict[str, Any] | None) -> str:
    """Who, from where, when, and how much."""
    who = part(first, "principal") or session["principal"]
    name, kind, issuer = (visible(str(who.get(member, "?"))) for member in ("subject", "kind", "issuer"))
    said = f"{name} ({kind}) of {issuer}"
    if who.get("acts_for"):
        said += f", for {visible(str(who['acts_for']))}"
    lasted = seconds(session["first"], session["last"])
    ended = "closed" if session["closed"] else "not known to be closed"
    counts = ", ".join(f"{session[name]} {name}" for name in ("allowed", "masked", "held", "blocked") if session[name])
    lines = [
        screen.style(f"session {visible(session['id'])}", "bold"),
        _line("who", said),
        _line("from", visible(session["source"]) or "?"),
        _line("when", f"{session['first'][:19]}Z, for {span(lasted)}; {ended}"),
        _line("targets", visible(", ".join(session["targets"])) or "none"),
        _line("actions", f"{session['actions']}" + (f": {counts}" if counts else "")),
    ]
    return "\n".join(lines)


def entry(screen: Screen, exchange: dict[str, Any], began: str, jaeger: str | None) -> list[str]:
    """One exchange: what was asked for and what was said, then why, who approved, what was masked, and how it ended."""
    lines = [title(screen, exchange, began)]
    told = (*_statement(exchange), *_why(exchange), *_people(screen, exchange), *_ending(exchange))
    lines += [f"    {line}" for line in told]
    page = f"{jaeger.rstrip('/')}/trace/" if jaeger else ""
    lines.append(f"    trace     {page}{visible(exchange['trace_id'])}")
    return lines


def title(screen: Screen, exchange: dict[str, Any], began: str) -> str:
    """The first line of an exchange."""
    asked, effect = part(exchange, "action"), effect_of(exchange)
    since = seconds(began, exchange["at"])
    what = f"{asked.get('verb', '?')} {part(exchange, 'target').get('name', '?')} {asked.get('resource', '')}"
    delivery = part(exchange, "delivery")
    status = delivery.get("status") or delivery.get("sqlstate")
    return "  ".join(
        (
            screen.style(f"+{span(since)}".rjust(9), "dim"),
            exchange["at"][11:23],
            screen.style(effect.ljust(5), EFFECTS.get(effect, "red")),
            visible(str(status if status is not None else "-")).rjust(3),
            visible(what),
            screen.style(visible(decision_id(exchange))[:ID_LENGTH], "dim"),
        )
    )


def decision_id(exchange: dict[str, Any]) -> str:
    """The id of an exchange's decision."""
    return str(part(exchange, "decision").get("id", "?"))


def effect_of(exchange: dict[str, Any]) -> str:
    """allow, mask, hold or block: an allowed action in which something was masked is a mask."""
    effect = visible(str(part(exchange, "decision").get("effect", "?")))
    masked = any(n for lane in part(exchange, "delivery", "masked").values() for n in _dict(lane).values())
    return "mask" if effect == "allow" and masked else effect


def _row(session: dict[str, Any], *, short: bool) -> tuple[str, ...]:
    newest = session["newest"] or {}
    count = [str(session[name]) if session[name] else "-" for name in ("allowed", "masked", "held", "blocked")]
    return (
        visible(session["id"])[:ID_LENGTH],
        visible(session["last"])[5 if short else 0 : 16 if short else 19].replace("T", " "),
        visible(session["principal"]["subject"]),
        *count,
        visible(", ".join(session["targets"])),
        visible(f"{newest['verb']} {newest['resource']}") if newest else "",
    )


def ended(exchange: dict[str, Any]) -> str:
    """What came back, in a word or a few: a status, or a database's words for what it did."""
    delivery = part(exchange, "delivery")
    if part(exchange, "action").get("protocol") != "postgres":
        return str(delivery.get("status") or "no status")
    tags = delivery.get("tags")
    said = [*(tags if isinstance(tags, list) else []), delivery.get("sqlstate")]
    return ", ".join(str(one) for one in said if one)


def _statement(exchange: dict[str, Any]) -> Iterator[str]:
    """What was asked of a database, as its record has it: masked, and not all of a long one."""
    asked = part(exchange, "action", "summary")
    for number, line in enumerate(visible_lines(str(asked.get("statement") or ""))):
        if line.strip():
            yield f"{'' if number else 'statement':10}{line}"
    values = asked.get("values")
    if isinstance(values, list):
        yield f"values    {visible(', '.join(map(_value, values)))}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"({value.get('bytes')} bytes, {value.get('why')})"
    return "NULL" if value is None else repr(value)


def _why(exchange: dict[str, Any]) -> Iterator[str]:
    for reason in objects(part(exchange, "decision").get("reasons")):
        shadow = " [shadow: changed nothing]" if reason.get("mode") == "shadow" else ""
        said = f"{reason.get('effect')}: {reason.get('message')} ({reason.get('policy')}, {reason.get('code')})"
        yield f"because   {visible(said)}{shadow}"


def _people(screen: Screen, exchange: dict[str, Any]) -> Iterator[str]:
    if not exchange.get("hold"):
        return
    waited = part(exchange, "timings_us").get("hold")
    yield f"hold      {visible(str(exchange['hold']))}" + (f", waited {span(waited / 1e6)}" if waited else "")
    for vote in objects(exchange.get("votes")):
        said = screen.style("approved", "green") if vote.get("approve") else screen.style("denied", "red")
        who = visible(str(part(vote, "approver").get("subject", "?")))
        yield f"          {said} by {who}: {visible(str(vote.get('reason', '')))}"


def _ending(exchange: dict[str, Any]) -> Iterator[str]:
    delivery = part(exchange, "delivery")
    for lane in ("request", "response"):
        masked = ", ".join(f"{visible(str(kind))} {n}" for kind, n in part(delivery, "masked", lane).items())
        if masked:
            yield f"masked    {lane}: {masked}"
    if not delivery:
        outcome = exchange.get("outcome") or "nothing is known of how it ended"
        yield f"ended     {visible(str(outcome))}"
        return
    if isinstance(delivery.get("tags"), list):
        yield f"answered  {visible(ended(exchange) or 'nothing')}; {_int(delivery.get('rows'))} rows"
    passed, took = part(delivery, "bytes"), delivery.get("duration_us")
    sizes = f"{size(_int(passed.get('request')))} up, {size(_int(passed.get('response')))} down"
    lasted = f", {span(took / 1e6)}" if isinstance(took, int) else ""
    yield f"ended     {visible(str(delivery.get('outcome', '?')))}: {sizes}{lasted}"
    kept = [
        f"{lane} {size(_int(said.get('kept')))}" for lane, said in exchange["recorded"].items() if said.get("address")
    ]
    if kept:
        yield f"recorded  {', '.join(kept)}"


def seconds(begin: str, end: str) -> float:
    """From one moment to another; 0 where that is not known, or less."""
    return max(0.0, moment(end) - moment(begin))


def moment(at: str) -> float:
    """A record's time in seconds since the epoch; 0 where it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _line(label: str, text: str) -> str:
    return f"  {label.ljust(_LABEL)}{text}"


def part(value: Any, *path: str) -> dict[str, Any]:
    """The object at this path, or an empty one."""
    for name in path:
        value = _dict(value).get(name)
    return _dict(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list, or none."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0
