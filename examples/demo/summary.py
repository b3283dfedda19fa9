"""What the demo shows at its end: the trail as a table, the claims with their evidence, and commands to go on with."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from examples.demo.checks import Check
from examples.demo.people import AGENT_SUBJECT
from examples.demo.workplace import DATABASE, Addresses, Workplace

EFFECTS = {"allow": "allowed", "hold": "held", "block": "blocked"}


def trail_lines(rows: Sequence[dict[str, Any]], jaeger: bool) -> list[str]:
    """The trail, oldest first, in two lines for each action: who did what and what was decided; and which policies
    decided. With `jaeger`, traces are numbered, and their addresses named at the end."""
    if not rows:
        return ["The journal has no decisions."]
    traces: dict[str, int] = {}
    cells = []
    for row in rows:
        address = trace_of(row) if jaeger else ""
        number = f"[{traces.setdefault(address, len(traces) + 1)}]" if address else ""
        cells.append((clock(row), _text(row, "principal", "subject"), what(row), decided(row), number))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for row, line in zip(rows, cells, strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        lines.append(f"{'':{widths[0]}}  because of {', '.join(policies(row)) or 'no policy'}")
    return [*lines, *(f"{'':{widths[0]}}  trace [{number}]: {address}" for address, number in traces.items())]


def clock(row: dict[str, Any]) -> str:
    """The time of day of a record, in UTC and whole seconds."""
    return str(row.get("at", ""))[11:19]


def what(row: dict[str, Any]) -> str:
    """Verb, target and resource."""
    return f"{_text(row, 'action', 'verb')} {_text(row, 'target', 'name')} {_text(row, 'action', 'resource')}"


def decided(row: dict[str, Any]) -> str:
    """The effect; who approved, where somebody did; what was masked on the way."""
    parts = [EFFECTS.get(_text(row, "decision", "effect"), _text(row, "decision", "effect"))]
    approvers = [str(one.get("subject")) for one in row.get("approvers") or [] if isinstance(one, dict)]
    if approvers:
        parts = [f"held, approved by {' and '.join(approvers)}"]
    delivery = row.get("delivery")
    if isinstance(delivery, dict) and (masked := counts(delivery.get("masked"))):
        parts.append(f"masked {', '.join(masked)}")
    return "; ".join(parts)


def counts(masked: Any) -> list[str]:
    """Counts by kind as words, from {kind: n} or {lane: {kind: n}}."""
    if not isinstance(masked, dict):
        return []
    flat: dict[str, int] = {}
    for lane, value in masked.items():
        for kind, number in value.items() if isinstance(value, dict) else [(lane, value)]:
            if isinstance(number, int) and number > 0:
                # A value that is masked for its name is counted under `key:<name>`.
                name = kind.removeprefix("key:")
                flat[name] = flat.get(name, 0) + number
    return [f"{number} {kind}" for kind, number in sorted(flat.items())]


def policies(row: dict[str, Any]) -> list[str]:
    """The policies behind the decision: of a refusal those that refused, of an approval those that asked for
    it, else all."""
    decision = row.get("decision")
    reasons = decision.get("reasons") if isinstance(decision, dict) else None
    live = [one for one in reasons or [] if isinstance(one, dict) and one.get("mode") != "shadow"]
    effect = _text(row, "decision", "effect")
    strongest = [one for one in live if one.get("effect") == effect and effect != "allow"]
    approved = [one for one in live if one.get("code") == "approved"]
    return list(dict.fromkeys(_reason(one) for one in strongest or approved or live))


def _reason(one: dict[str, Any]) -> str:
    # Of what the gateway refuses by itself, the code says more than the name.
    name = str(one.get("policy"))
    return f"{name}/{one.get('code')}" if name == "holdpoint" else name


def trace_of(row: dict[str, Any]) -> str:
    """The address of the trace in Jaeger."""
    return _text(row, "trace_address")


def check_lines(checks: Iterable[Check]) -> list[str]:
    """One line for each claim, one for its evidence."""
    return [
        line for check in checks for line in (f"{'✓' if check.true else '✗'} {check.claim}", f"    {check.evidence}")
    ]


def isolation_lines(attempts: Sequence[dict[str, Any]], apart: bool) -> list[str]:
    """What the agent's user could reach of what it must not."""
    shut = sum(one["held"] for one in attempts)
    if not apart:
        return [
            f"! the agent ran as the gateway's own user: {len(attempts) - shut} of {len(attempts)} ways in were open",
            "    Only root can start it as another user (try `sudo make demo`).",
            "    In production an agent must be another user, or on another host.",
        ]
    mark = "✓" if shut == len(attempts) else "✗"
    lines = [f"{mark} from the agent's user, {shut} of {len(attempts)} ways into the gateway and past it are shut"]
    if shut == len(attempts):
        tried = sorted({str(one["what"]).split(" ", 1)[0] for one in attempts})
        return [
            *lines,
            f"    tried: {', '.join(tried)} on its files, sockets and memory, the upstreams with the agent's token",
        ]
    return lines + [f"    open: {one['what']}: {one['how']}" for one in attempts if not one["held"]]


def keep_lines(place: Workplace, at: Addresses, command: Sequence[str]) -> list[str]:
    """Commands to copy into another terminal while the demo stays up."""
    gateway = f"http://{at.listen}"
    holdpoint = shlex.join(command)
    lines = [
        "Try it yourself, in this directory of another terminal. As the agent:",
        f"  export GATEWAY={gateway} PROXY={at.proxy} TOKEN={place.agent_token}",
        '  curl -H "Authorization: Bearer $TOKEN" $GATEWAY/crm/customers/1042',
        '  curl -X DELETE -H "Authorization: Bearer $TOKEN" $GATEWAY/crm/customers',
        '  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -H "Prefer: wait=60" \\',
        '    -d \'{"amount": 15.0, "reason": "late delivery"}\' $GATEWAY/crm/customers/1042/refunds  # waits',
        "  examples/clients/read_refund_delete.sh",
        "  curl -x http://any:$TOKEN@$PROXY https://files.example.net/  # refused, whatever the name",
        *(_database_lines(at.sql) if at.sql else []),
        "As the approver:",
        f"  export HOLDPOINT_CONFIG={place.config}",
        f"  export HOLDPOINT_TOKEN=$(cat {place.approver_file})",
        f"  {holdpoint} holds list",
        f"  {holdpoint} holds approve ID --reason 'late delivery'",
        "As the operator:",
        f"  {holdpoint} tokens list --token-file {place.operator_file}",
        f"  {holdpoint} freeze {AGENT_SUBJECT} --reason 'asks for too much' --token-file {place.operator_file}",
    ]
    lines += [
        "As the auditor (what was exported is in the same folder as its token: open report.html in a browser):",
        f"  export HOLDPOINT_CONFIG={place.config}",
        f"  export HOLDPOINT_TOKEN=$(cat {place.auditor_file})",
        f"  {holdpoint} sessions list refunds --principal {AGENT_SUBJECT}",
        f"  {holdpoint} sessions show ID",
        f"  {holdpoint} sessions replay ID",
        f"  {holdpoint} sessions export ID --format har",
        f"  {holdpoint} audit list",
        f"  {holdpoint} audit verify --key {place.auditor / 'audit.pub'}",
        f"  {holdpoint} audit report --html report.html",
    ]
    if at.jaeger:
        lines.append(f"Traces: http://{at.jaeger}   ")
    return [line.rstrip() for line in lines]


def _database_lines(sql: str) -> list[str]:
    host, _, port = sql.rpartition(":")
    return [
        f"  export PGHOST={host} PGPORT={port} PGDATABASE={DATABASE} PGUSER=me PGPASSWORD=$TOKEN",
        "  psql -c 'SELECT name, card_number FROM customers WHERE id = 1042'",
        "  psql -c 'DELETE FROM customers'",
    ]


def _text(row: dict[str, Any], *path: str) -> str:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else "?"
