"""How retention, legal holds and purges are shown to people."""

from collections.abc import Iterator, Sequence
from typing import Any

from extproc.domain.display import visible

DAY = 86400


def hold_lines(holds: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Each legal hold in two lines."""
    for hold in holds:
        selected = ", ".join(f"{name} {visible(value)}" for name, value in hold["selects"].items())
        yield f"{hold['id']}  {selected}"
        yield f"  since {hold['at']} by {visible(str(hold['by'].get('subject')))}: {visible(hold['reason'])}"


def counts(found: dict[str, Any]) -> Iterator[str]:
    """What a purge would do."""
    yield f"{found['decisions']} actions fit; {found['bodies']} recorded bodies of them would be deleted"
    if found["kept"]:
        yield f"{found['kept']} more are on legal hold, and stay"
    if found["others"]:
        yield f"{found['others']} other actions sent or received the very same content, and lose it too"
    if found["examples"]:
        yield f"for example: {', '.join(found['examples'])} (`holdpoint sessions show` has them)"


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """Records and bodies of each target in a table."""
    rows = [("TARGET", "RECORDS KEPT", "ACTIONS", "OVER", "NEXT", "BODIES KEPT", "BODIES", "OVER", "NEXT")]
    for actions, bodies in zip(report["actions"], report["bodies"], strict=True):
        rows.append((visible(actions["target"]) or "(none)", *_cells(actions), *_cells(bodies)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield f"legal holds: {report['legal_holds']}; purges under way: {report['purges']}"
    yield "what is over its time goes within the hour; records once their segment is complete, within a day"
    if report["behind"] is not None:
        yield f"nothing goes for now: {visible(report['behind'])}"


def _cells(line: dict[str, Any]) -> tuple[str, str, str, str]:
    upcoming = "-" if line["next"] is None else f"{line['next'][:16]}Z"
    return f"{line['keep_seconds'] / DAY:g}d", str(line["count"]), str(line["over"]), upcoming
