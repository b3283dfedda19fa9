"""PostgreSQL's messages as lines of text, with results as tables. Who shows them makes them safe to show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from extproc.audit.dialogue.postgres import Message

MOST_ROWS = 200
CELL = 48
"""Rows of one result that are drawn, and characters of one value in a table."""

_NOTHING = frozenset(
    {"sync", "flush", "describe", "terminate", "parsed", "bound", "closed", "ready", "parameters", "copy-in"}
)
"""Messages that say nothing to people who read what was asked and answered."""

_NOTES = {
    "no-rows": "(no rows)",
    "empty": "(no statement)",
    "suspended": "(more rows were left)",
    "copy-done": "(end of the data)",
    "copy-out": "(data follows)",
    "cut": "… (cut here)",
}


def lines(told: Sequence[Message], width: int = 120) -> Iterator[str]:
    """The messages for people. A result that is no wider than `width` characters is a table, any other one a list of
    names and values."""
    names: list[str] = []
    for number, message in enumerate(told):
        kind = message["kind"]
        if kind == "columns":
            names = [str(column["name"]) for column in _objects(message.get("columns"))]
            if number + 1 == len(told) or told[number + 1]["kind"] != "rows":
                yield from _table(names, [], width)
        elif kind == "rows":
            yield from _table(names, _rows(message.get("rows")), width)
        elif kind not in _NOTHING:
            yield from _one(str(kind), message)


def words(told: Sequence[Message]) -> str:
    """The messages for a search: texts of statements, names of columns, values, words of errors; a line each."""
    return "\n".join(_words(told))


def _one(kind: str, message: Message) -> Iterator[str]:
    """A message that is no result."""
    if kind in ("query", "parse"):
        named = message.get("name")
        yield from ([f"-- as {named}"] if named else [])
        yield from str(message["text"]).split("\n")
    elif kind == "bind":
        values = message.get("values")
        for place, value in enumerate(values if isinstance(values, list) else [], 1):
            yield f"-- ${place} = {_shown(value)}"
    elif kind in ("error", "notice"):
        yield f"{message.get('severity', kind.upper())} {message.get('sqlstate', '')}: {message.get('message', '')}"
        yield from (f"  {name}: {message[name]}" for name in ("detail", "hint", "where") if message.get(name))
    elif kind == "complete":
        yield str(message["tag"])
    elif kind == "copy":
        text = message.get("text")
        if text is None:
            yield f"({message['bytes']} bytes of COPY)"
        else:
            yield from str(text).rstrip("\n").replace("\t", "  ").split("\n")
    elif kind == "execute":
        if message.get("rows"):
            yield f"-- up to {message['rows']} rows"
    elif kind in _NOTES:
        yield _NOTES[kind]
    else:
        said = (f"{name} {value}" for name, value in message.items() if name != "kind" and value not in ("", None))
        yield f"({', '.join([kind, *said])})"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> Iterator[str]:
    """A result as psql draws it: beside each other, or one below the other where that is too wide."""
    columns = max([len(names), *(len(row) for row in rows[:MOST_ROWS])])
    heads = [_cell(names[i]) if i < len(names) else f"column {i + 1}" for i in range(columns)]
    cells = [[_cell(_shown(value)) for value in row] for row in rows[:MOST_ROWS]]
    widths = [max([len(heads[i]), *(len(row[i]) for row in cells if i < len(row))]) for i in range(columns)]
    if sum(widths) + 3 * (columns - 1) <= width:
        yield " │ ".join(head.ljust(most) for head, most in zip(heads, widths, strict=True)).rstrip()
        yield "─┼─".join("─" * most for most in widths)
        for row in cells:
            yield " │ ".join(cell.ljust(most) for cell, most in zip(row, widths, strict=False)).rstrip()
    else:
        label = max(map(len, heads))
        for number, row in enumerate(cells, 1):
            yield f"─[ {number} ]─"
            yield from (f"{head.ljust(label)} │ {cell}".rstrip() for head, cell in zip(heads, row, strict=False))
    if len(rows) > MOST_ROWS:
        yield f"… {len(rows) - MOST_ROWS} more rows"


def _cell(text: str) -> str:
    flat = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") if not text.isprintable() else text
    return flat if len(flat) <= CELL else flat[: CELL - 1] + "…"


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Mapping):
        return f"({value.get('bytes')} bytes, {value.get('why')})"
    return str(value)


def _words(told: Sequence[Message]) -> Iterator[str]:
    for message in told:
        match message["kind"]:
            case "query" | "parse" | "copy":
                yield str(message.get("text", ""))
            case "bind":
                yield " ".join(_strings(message.get("values")))
            case "columns":
                yield " ".join(str(column["name"]) for column in _objects(message.get("columns")))
            case "rows":
                for row in _rows(message.get("rows")):
                    yield " ".join(_strings(row))
            case "error" | "notice":
                yield " ".join(str(text) for name, text in message.items() if name != "kind")


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _rows(value: object) -> list[list[object]]:
    return [row for row in value if isinstance(row, list)] if isinstance(value, list) else []
