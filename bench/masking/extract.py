"""Cases out of the test files and data of other projects, whose code is parsed and never run."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.masking.cases import Case, Label
from bench.masking.literal import NotLiteral, names, value

_COUNT = "expected_len"
_PLACES = frozenset({"expected_positions", "expected_position", "expected_res"})
_TEXTS = frozenset({"text", "iban"})
_LINES = frozenset({"payload", "line", "file_content"})


@dataclass(slots=True)
class Extracted:
    """The cases of a file, and how many rows of its tables could not be read."""

    cases: list[Case] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _Table:
    """One `@pytest.mark.parametrize` on a function: column names and rows. Rows that are no literals are None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...] | None, ...]
    wants_none: bool


def spans(document: str, source: str) -> Extracted:
    """Cases of presidio-research's data: a list of {"full_text", "spans": [{"entity_type", "start_position",
    "end_position"}]}, offsets in characters. Raises ValueError."""
    found = Extracted()
    entries = json.loads(document)
    entities = frozenset(span["entity_type"] for entry in entries for span in entry["spans"])
    for entry in entries:
        labels = tuple(
            Label(span["entity_type"], span["start_position"], span["end_position"]) for span in entry["spans"]
        )
        found.cases.append(Case(source, entities, entry["full_text"], labels))
    return found


def recognizer(code: str, source: str) -> Extracted:
    """Cases of a recogniser test of presidio: tables with a text, a number of values, and mostly their positions; or
    only texts, in a test that says there are none. Raises SyntaxError."""
    tree = ast.parse(code)
    entities = _entities(tree)
    found = Extracted()
    for table in _tables(tree):
        if table.columns[0] not in _TEXTS or ("leniency" in table.columns):
            continue
        if _COUNT not in table.columns and not (table.columns == ("text",) and table.wants_none):
            continue
        for row in table.rows:
            case = None if row is None else _recognized(dict(zip(table.columns, row, strict=False)), entities, source)
            if case is None:
                found.skipped += 1
            else:
                found.cases.append(case)
    return found


def plugin(code: str, source: str, entity: str) -> Extracted:
    """Cases of a plugin test of detect-secrets: tables of lines with whether they are to be flagged, lines that are
    all to be, or (keywords) module-level tables of lines with the secret or None. Raises SyntaxError."""
    tree = ast.parse(code)
    found = Extracted()
    only = frozenset({entity})
    for table in _tables(tree):
        if table.columns[0] not in _LINES or table.columns[1:] not in ((), ("should_flag",)):
            continue
        for row in table.rows:
            if row is None or not isinstance(row[0], str):
                found.skipped += 1
                continue
            flagged = bool(row[1]) if len(row) > 1 else not table.wants_none
            found.cases.append(Case(source, only, row[0], count=int(flagged)))
    found.cases += _keyword_cases(names(tree), source, entity)
    return found


def _keyword_cases(bound: Mapping[str, object], source: str, entity: str) -> Iterator[Case]:
    """Lines with a secret, and lines without any. Tables differ by kind of file, and nobody tells us which file it was:
    what is a secret in one of them is one, and a line with a known secret that its table does not want found, because
    such files quote otherwise, says nothing."""
    secrets: dict[str, str | None] = {}
    for name, table in bound.items():
        if not name.endswith("_TEST_CASES") or not isinstance(table, tuple):
            continue
        for row in table:
            if isinstance(row, tuple) and len(row) == 2 and isinstance(row[0], str):
                secret = row[1] if isinstance(row[1], str) else None
                secrets[row[0]] = secrets.get(row[0]) or secret
    known = {secret for secret in secrets.values() if secret is not None}
    for text, secret in secrets.items():
        if secret is None and any(other in text for other in known):
            continue
        at = -1 if secret is None else text.find(secret)
        labels = (Label(entity, at, at + len(secret)),) if secret is not None and at >= 0 else ()
        yield Case(source, frozenset({entity}), text, labels, None if labels else int(secret is not None))


def _recognized(row: dict[str, object], entities: tuple[str, ...], source: str) -> Case | None:
    text = next(iter(row.values()))
    count = row.get(_COUNT, 0)
    own = row.get("entities")
    wanted = tuple(e for e in own if isinstance(e, str)) if isinstance(own, tuple) else entities
    if not isinstance(text, str) or not isinstance(count, int) or not wanted:
        return None
    if count == 0:
        return Case(source, frozenset(wanted), text)
    places = _places(row)
    if len(places) != count:
        return Case(source, frozenset(wanted[:1]), text, count=count)
    each = wanted if len(wanted) == count else wanted[:1] * count
    labels = tuple(Label(entity, start, end) for entity, (start, end) in zip(each, places, strict=True))
    return Case(source, frozenset(each), text, labels)


def _places(row: dict[str, object]) -> list[tuple[int, int]]:
    given: object = next((row[name] for name in row if name in _PLACES), None)
    if given is None and "expected_start" in row:
        given = (row["expected_start"], row.get("expected_end"))
    if not isinstance(given, tuple):
        return []
    pairs: Sequence[object] = (given,) if len(given) == 2 and all(isinstance(at, int) for at in given) else given
    found = []
    for pair in pairs:
        match pair:
            case (int() as start, int() as end):
                found.append((start, end))
    return found


def _entities(tree: ast.Module) -> tuple[str, ...]:
    """What the fixture `entities` returns."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "entities":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    try:
                        given = value(inner.value, {})
                    except NotLiteral:
                        return ()
                    return tuple(e for e in given if isinstance(e, str)) if isinstance(given, tuple) else ()
    return ()


def _tables(tree: ast.Module) -> Iterator[_Table]:
    bound = names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        # Two tables on one function multiply: no case stands in either alone.
        calls = [
            d for d in node.decorator_list if isinstance(d, ast.Call) and ast.unparse(d.func).endswith("parametrize")
        ]
        if len(calls) == 1 and len(calls[0].args) >= 2 and (table := _table(calls[0], bound, _wants_none(node))):
            yield table


def _table(call: ast.Call, bound: Mapping[str, object], wants_none: bool) -> _Table | None:
    try:
        columns = value(call.args[0], {})
    except NotLiteral:
        return None
    if isinstance(columns, str):
        columns = tuple(name.strip() for name in columns.split(",") if name.strip())
    if not isinstance(columns, tuple) or not columns:
        return None
    rows = call.args[1]
    if isinstance(rows, ast.Tuple | ast.List):
        read = tuple(_row(row, bound, len(columns)) for row in rows.elts)
    elif isinstance(rows, ast.Name) and isinstance(given := bound.get(rows.id), tuple):
        read = tuple(row if isinstance(row, tuple) else (row,) for row in given)
    else:
        return None
    return _Table(tuple(str(name) for name in columns), read, wants_none)


def _row(node: ast.expr, bound: Mapping[str, object], columns: int) -> tuple[object, ...] | None:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("param"):
        node = ast.Tuple(elts=list(node.args), ctx=ast.Load()) if columns > 1 else node.args[0]
    if columns > 1 and isinstance(node, ast.Tuple):
        cells: list[object] = []
        for cell in node.elts:
            try:
                cells.append(value(cell, bound))
            except NotLiteral:
                if len(cells) < 2:  # the text and what is expected of it; scores may be what they like
                    return None
                cells.append(None)
        return tuple(cells)
    try:
        return (value(node, bound),)
    except NotLiteral:
        return None


def _wants_none(function: ast.FunctionDef) -> bool:
    """Whether the test asserts that nothing is found."""
    said = [ast.unparse(node.test) for node in ast.walk(function) if isinstance(node, ast.Assert)]
    return any(text.startswith("not ") or text.endswith(("== 0", "== []")) for text in said)
