"""What a COPY TO STDOUT says of its output: the options, and what its columns are ("COPY")."""

from collections.abc import Sequence
from typing import Any

from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.catalogue import Catalogue, Table
from extproc.protocols.postgres.masks.copyrow import CopyOptions
from extproc.protocols.postgres.masks.origins import behind
from extproc.protocols.postgres.masks.types import ANY
from extproc.protocols.postgres.sql import Origins, Output, Relation, Unparsable
from extproc.protocols.postgres.sql.tree import parse

_UTF8 = frozenset({"utf8", "utf-8", "unicode"})
_IDLE = frozenset({"force_quote", "oids", "freeze"})
"""Options that rows are read without: which values are in quotes is seen."""

_TRUE, _FALSE = frozenset({"true", "on", "1"}), frozenset({"false", "off", "0"})


def copy_options(sql: str, statement: int = 0) -> CopyOptions:
    """The options of the COPY that is this one of a text's statements, counted from 0. Raises MaskError where it is no
    COPY, or has an option that is not known here."""
    try:
        statements = parse(sql)
    except Unparsable:
        raise MaskError("rows of a COPY, and a statement that can't be read") from None
    node = statements[statement].get("CopyStmt") if statement < len(statements) else None
    if node is None:
        raise MaskError("rows of a COPY, and no COPY in the statement")
    said: dict[str, Any] = {}
    for option in node.get("options", ()):
        name = option["DefElem"]["defname"].lower()
        if name not in _IDLE:
            said[name] = _value(option["DefElem"].get("arg"))
    if said.pop("encoding", "utf8").lower() not in _UTF8:
        raise MaskError("a COPY in another encoding than UTF-8")
    header = _boolean(said.pop("header", "false"))
    form = said.pop("format", "text").lower()
    known = {key: said.pop(key) for key in ("delimiter", "null", "quote", "escape") if key in said}
    if said or ("" in known.values() and known.get("null") != ""):
        raise MaskError("a COPY with options that are not known here")
    try:
        return CopyOptions(form, header=header, **known)
    except ValueError:
        raise MaskError("a COPY that PostgreSQL would refuse") from None


def copy_columns(
    outputs: Sequence[Output] | None,
    count: int,
    catalogue: Catalogue,
    relations: Sequence[Relation] = (),
) -> tuple[list[tuple[str, int]], list[Origins]]:
    """Names, types and origins of a COPY's columns, as `copy_mask` takes them, by the result of its statement
    (`Script.results`). Where these are not `count`, as CopyOutResponse says, all is unknown. What to ask the server
    before, `catalogue.missing_of` says."""
    columns: list[tuple[str, int]] = []
    origins: list[Origins] = []
    for output in outputs or ():
        if not output.star:
            columns.append((output.label or "", ANY))
            origins.append(behind(output.origins, catalogue, relations))
            continue
        for table in _one_of(output, catalogue):
            for _, label in sorted(table.columns.items()):
                columns.append((label, table.types.get(label, ANY)))
                origins.append(behind(output.named(label), catalogue, relations))
    if len(columns) != count:
        return [("", ANY)] * count, [None] * count
    return columns, origins


def _one_of(output: Output, catalogue: Catalogue) -> list[Table]:
    """The table that a star stands for; none where nobody can tell which it is, or what columns it has."""
    if output.origins is None or len(output.origins) != 1 or output.origins[0].table is None:
        return []
    tables = catalogue.tables(output.origins[0].schema, output.origins[0].table)
    alike = len({(tuple(sorted(one.columns.items())), tuple(sorted(one.types.items()))) for one in tables}) == 1
    return tables[:1] if alike else []


def _value(argument: Any) -> str:
    """An option's value as text; one without is on."""
    if argument is None:
        return "true"
    (kind, said), *_ = argument.items()
    match kind:
        case "String":
            return str(said.get("sval", ""))
        case "Boolean":
            return "true" if said.get("boolval") else "false"
        case "Integer":
            return str(said.get("ival", 0))
    raise MaskError("a COPY with an option that is not known here")


def _boolean(said: str) -> bool:
    if said.lower() not in _TRUE | _FALSE:
        raise MaskError("a COPY with an option that is not known here")
    return said.lower() in _TRUE
