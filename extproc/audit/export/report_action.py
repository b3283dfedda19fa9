"""One action in an evidence report: decision, approvals, masks, both bodies side by side, and its records."""

import re
from collections.abc import Mapping

from extproc.audit.attributes import part, rows
from extproc.audit.bodies.heads import POSTGRES
from extproc.audit.dialogue.postgres import messages
from extproc.audit.dialogue.text import lines
from extproc.audit.export.exchange import Bodies, BodyGone, Exchange, Lane, of, read, text
from extproc.audit.export.page import chip, clock, code, cut, duration, effect_chip, shown, small
from extproc.audit.frame import Record
from extproc.audit.reader import Joined

CHARACTERS = 6000
"""Of a body; a report is read, and what is longer is whole in its own file."""
_DEEPEST = 24
_WIDTH = 56
"""Characters of a line beside which another body stands."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)


def detail(n: int, joined: Joined, bodies: Bodies, gone: Mapping[str, str]) -> str:
    """The whole of one action, as HTML. `gone` says of bodies that are not in the bundle why not."""
    found = read(joined)
    took = "" if found.duration is None else f", {duration(found.duration / 1e6)} in all"
    asked = f"<code>{shown(found.verb)} {shown(cut(found.path, 400))}</code>"
    ended = f"{shown(found.at)}{shown(took)}; target {shown(found.target)}; {shown(found.outcome)}"
    parts = [
        f'<article id="action-{n}"><h3>{n}. {asked} {effect_chip(found.effect)} {ruling(found)}</h3>',
        f'<p class="when">{ended}; decision {code(found.decision)}</p>',
        f"<h3>Decision</h3>{_reasons(found)}",
        _approvals(joined, found),
    ]
    masked = [
        f"{shown(lane)}: " + " ".join(chip(f"{kind} {n}", "mask") for kind, n in sorted(kinds.items()))
        for lane, kinds in found.masked.items()
        if kinds
    ]
    if masked:
        parts.append("<h3>Masked</h3><p>" + "<br>".join(masked) + "</p>")
    if found.statement and found.request.address is None:
        parts.append(f"<h3>Statement, masked</h3><pre>{shown(found.statement)}</pre>")
    parts.append('<div class="sides">')
    parts += [
        _side(name, lane, found, bodies, gone)
        for name, lane in (("Request", found.request), ("Response", found.response))
    ]
    parts.append("</div><h3>Records</h3>" + _places(joined) + "</article>")
    return "".join(parts)


def ruling(found: Exchange) -> str:
    """What became of a hold, in a word."""
    if found.effect != "hold":
        return ""
    if found.outcome.startswith("refused:"):
        why = found.outcome.removeprefix("refused:")
        return chip(why, "hold" if why == "pending" else "bad")
    return chip(found.outcome, "hold") if found.outcome == "pending" else chip("approved", "good")


def _reasons(found: Exchange) -> str:
    lines = []
    for reason in found.reasons:
        effect, shadow = text(reason.get("effect")), reason.get("mode") == "shadow"
        note = ' <span class="note">(in shadow: it changed nothing)</span>' if shadow else ""
        lines.append(
            f"<li>{effect_chip(effect)}<b>{shown(reason.get('policy'))}</b> "
            f"{shown(reason.get('message'))}{note} "
            f'<span class="note">{shown(reason.get("code"))}, {shown(reason.get("severity"))}</span></li>'
        )
    revision = f'<p class="note">policy revision {code(found.revision or "none")}</p>'
    return f'<ul class="plain">{"".join(lines)}</ul>{revision}'


def _approvals(joined: Joined, found: Exchange) -> str:
    if found.hold is None and not found.votes:
        return ""
    lines = []
    for record in sorted((*joined.holds, *joined.votes), key=lambda r: (r.at, r.stream, r.seq)):
        lines.append(f'<li><span class="note">{shown(clock(record.at))}</span> {_step(record)}</li>')
    saw = {vote.digest for vote in found.votes}
    told = ""
    if found.votes:
        same = "this very request" if saw == {found.digest} else "a request with another digest"
        told = (
            f'<p class="note">People were shown {same}, as it was to go on after masking, in full: the text is '
            f"bound to the action's digest {code(' '.join(sorted(saw)))}.</p>"
        )
    return f'<h3>Approval, hold {code(found.hold or "-")}</h3><ul class="plain">{"".join(lines)}</ul>{told}'


def _step(record: Record) -> str:
    body = record.body
    if record.kind == "vote":
        by = part(body, "approver")
        said = chip("approved", "good") if body.get("approve") is True else chip("denied", "bad")
        reason = f": {shown(body['reason'])}" if text(body.get("reason")) else ""
        return f'{said}<b>{shown(by.get("subject"))}</b> <span class="note">{shown(by.get("issuer"))}</span>{reason}'
    asked = ", ".join(f"{r.get('quorum')} of {r.get('group')}" for r in rows(body.get("requirements")))
    wanted = f' <span class="note">asks for {shown(asked)}, until {shown(clock(text(body.get("expires_at"))))}</span>'
    return f"{chip(text(body.get('state')) or '?', 'hold')}{wanted if body.get('state') == 'pending' else ''}"


def _side(name: str, lane: Lane, found: Exchange, bodies: Bodies, gone: Mapping[str, str]) -> str:
    size = "nothing" if not lane.passed else f"{lane.passed:,} bytes"
    kind = f", {lane.type}" if lane.type and lane.passed else ""
    heads = "".join(f"{shown(n)}: {shown(v)}\n" for n, v in lane.headers)
    parts = [f"<div><h3>{shown(name)}: {shown(size)}{shown(kind)}</h3>"]
    if heads:
        parts.append(f"<pre>{heads}</pre>")
    if lane.address is not None and lane.address not in gone:
        parts.append(_body(name.lower(), lane, lane.address, found, bodies))
    elif lane.address is not None:
        parts.append(f'<p class="cut">Not here: {shown(gone[lane.address])}</p>')
    elif lane.passed:
        parts.append(f'<p class="cut">Not kept: recorded as {shown(lane.mode)}.</p>')
    return "".join(parts) + "</div>"


def _body(name: str, lane: Lane, address: str, found: Exchange, bodies: Bodies) -> str:
    where = f"bodies/{address[:12]}….body"
    spoken = lane.type == POSTGRES
    if not lane.text and not spoken:
        return f'<p class="cut">{shown(lane.coding or "binary")}, {lane.kept:,} bytes: {code(where)}</p>'
    data = bytearray()
    try:
        for piece in bodies.content(address):
            data += piece
            if len(data) > 4 * CHARACTERS:
                break
    except BodyGone as error:
        return f'<p class="cut">Not here: {shown(error)}</p>'
    if spoken:
        content = "\n".join(lines(messages(bytes(data), name, found.columns), _WIDTH))
    else:
        content = data.decode("utf-8", "replace")
    laid_out = "json" in lane.type and len(data) >= lane.kept
    content = _laid_out(content) if laid_out else content
    notes = ["JSON laid out for reading"] if laid_out else []
    if len(content) > CHARACTERS or len(data) < lane.kept:
        content = content[:CHARACTERS]
        notes.insert(0, f"cut to its first {CHARACTERS:,} characters; whole in {where}")
    if lane.passed is not None and lane.kept < lane.passed:
        notes.insert(0, f"the first {lane.kept:,} of {lane.passed:,} bytes were kept")
    return f"<pre>{shown(content)}</pre>" + (f'<p class="cut">{shown("; ".join(notes))}</p>' if notes else "")


def _laid_out(content: str) -> str:
    """JSON with line breaks; nothing but white space is changed, so that it stays what was recorded."""
    out: list[str] = []
    depth, before = 0, ""
    for word in _TOKEN.findall(content):
        opened = before in ("{", "[")
        if word in ("}", "]"):
            depth -= 1
            out.append(word if opened else _line(depth) + word)
        else:
            out.append(_line(depth) + word if opened or before == "," else word)
            depth += word in ("{", "[")
        if word == ":":
            out.append(" ")
        before = word
    return "".join(out)


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)


def _places(joined: Joined) -> str:
    return small((shown(r.kind), code(f"{r.stream}-{r.seq}"), shown(r.at), code(r.hash)) for r in of(joined))
