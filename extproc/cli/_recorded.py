"""What was recorded of an exchange's bodies, read for a terminal and for programs."""

from collections.abc import Iterator
from typing import Any

from extproc.cli._common import CommandError
from extproc.cli._panes import MOST_BYTES, NARROW, Pane, body
from extproc.cli._sessions_source import Source
from extproc.cli._sessions_view import decision_id, objects, part
from extproc.cli._terminal import size
from extproc.domain.display import visible, visible_lines

LANES = ("request", "response")
POSTGRES = "application/vnd.postgresql"
"""As audit.bodies.heads.POSTGRES, which is not worth loading for a word."""


class Recorded:
    """Bodies of what a source has; without `wanted` none is read. What can't be read is said where it would stand."""

    def __init__(self, source: Source, wanted: bool) -> None:
        self._source, self._wanted = source, wanted

    def pane(self, exchange: dict[str, Any], lane: str, title: str, columns: int) -> Pane:
        """The lane's headers that were recorded, and its body; on a screen of so many columns."""
        said = part(exchange, "recorded", lane)
        rows = part(exchange, "delivery", "heads").get(lane)
        heads = (
            [visible(f"{row[0]}: {row[1]}") for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
        )
        passed, kept = _passed(exchange, lane), said.get("kept", 0)
        asked = list(statement(exchange)) if lane == "request" else []
        if asked and not said.get("address"):
            text, note = asked, "of the record: masked"
        elif not isinstance(said.get("address"), str) or not self._wanted:
            why = "not shown" if said.get("address") else "nothing of it is recorded" if passed else "no body"
            text, note = [f"({size(passed)}, {why})" if passed else f"({why})"], ""
        else:
            try:
                text, note = self._lines(exchange, lane, kept, passed, _width(columns))
            except CommandError as error:
                text, note = [f"({size(passed)}, not to be had)"], visible(str(error))
        return Pane(title, (*heads, *([""] if heads else []), *text), note)

    def lines(self, exchange: dict[str, Any], columns: int) -> Iterator[str]:
        """Both bodies, one below the other, as far as there are any."""
        for lane, mark in zip(LANES, "→←", strict=True):
            if self._wanted and part(exchange, "recorded", lane).get("address"):
                pane = self.pane(exchange, lane, mark, columns)
                yield from (f"{pane.title if n == 0 else ' '} {line}".rstrip() for n, line in enumerate(pane.lines))
                if pane.note:
                    yield f"  ({pane.note})"

    def document(self, exchange: dict[str, Any]) -> dict[str, Any]:
        """The exchange, with `messages` or `text` beside what is known of each body, or `unread`, and why."""
        if not self._wanted:
            return exchange
        lanes = part(exchange, "recorded")
        return {**exchange, "recorded": {lane: {**said, **self._told(exchange, lane)} for lane, said in lanes.items()}}

    def _told(self, exchange: dict[str, Any], lane: str) -> dict[str, Any]:
        said = part(exchange, "recorded", lane)
        if not isinstance(said.get("address"), str):
            return {}
        try:
            if said.get("type") == POSTGRES:
                return {"messages": self._messages(exchange, lane)}
            lines, _ = self._text(exchange, lane, 0, 0)
            return {"text": "\n".join(lines)}
        except CommandError as error:
            return {"unread": str(error)}

    def _lines(self, exchange: dict[str, Any], lane: str, kept: int, passed: int, width: int) -> tuple[list[str], str]:
        if part(exchange, "recorded", lane).get("type") != POSTGRES:
            return self._text(exchange, lane, kept, passed)
        from extproc.audit.dialogue.text import lines

        told = self._messages(exchange, lane)
        shown = [visible(line) for line in lines(told, width)]
        if lane == "request" and not any(message["kind"] in ("query", "parse") for message in told):
            # It was prepared before: what it says is in the record.
            shown = [*statement(exchange), *shown]
        recorded = f"the first {size(kept)} of {size(passed)} were recorded" if kept < passed else ""
        return shown, recorded or (f"shown: the first {size(MOST_BYTES)}" if kept > MOST_BYTES else "")

    def _text(self, exchange: dict[str, Any], lane: str, kept: int, passed: int) -> tuple[list[str], str]:
        said = part(exchange, "recorded", lane)
        return body(self._open(exchange, lane), str(said.get("type", "")), str(said.get("coding", "")), kept, passed)

    def _messages(self, exchange: dict[str, Any], lane: str) -> list[dict[str, Any]]:
        """What was said, as `audit.dialogue` reads it."""
        from extproc.audit.dialogue.postgres import messages, start

        columns = objects(part(exchange, "delivery").get("columns"))
        told: list[dict[str, Any]] = [
            dict(one) for one in messages(start(self._open(exchange, lane), MOST_BYTES), lane, columns)
        ]
        values = part(exchange, "action", "summary").get("values")
        for message in told:
            if message["kind"] == "bind" and isinstance(values, list):
                # The gateway knew of what types they are, so the record has as text what is binary here.
                known = [*values, *[None] * len(message["values"])]
                pairs = zip(message["values"], known, strict=False)
                message["values"] = [
                    here if there is None or not isinstance(here, dict) else there for here, there in pairs
                ]
        return told

    def _open(self, exchange: dict[str, Any], lane: str) -> Iterator[bytes]:
        return self._source.body(decision_id(exchange), str(part(exchange, "recorded", lane).get("address")))


def _passed(exchange: dict[str, Any], lane: str) -> int:
    passed = part(exchange, "recorded", lane).get("bytes", part(exchange, "delivery", "bytes").get(lane))
    return passed if isinstance(passed, int) else 0


def statement(exchange: dict[str, Any]) -> Iterator[str]:
    """What was asked of a database, as its record has it: masked, and not all of a long one."""
    said = part(exchange, "action", "summary").get("statement")
    for line in visible_lines(said) if isinstance(said, str) else []:
        if line.strip():
            yield line


def _width(columns: int) -> int:
    """What a pane has of them."""
    return columns - 2 if columns < NARROW else (columns - 3) // 2
