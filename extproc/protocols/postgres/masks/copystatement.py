"""What the columns of a COPY TO STDOUT are: the server says only how many ("COPY Operations")."""

from collections.abc import Sequence

from extproc.protocols.postgres.masks.catalogue import Catalogue, Table, named_in
from extproc.protocols.postgres.masks.origins import behind
from extproc.protocols.postgres.masks.types import ANY
from extproc.protocols.postgres.sql import Origins, Output, Script


def copy_columns(
    script: Script, statement: int, count: int, catalogue: Catalogue
) -> tuple[list[tuple[str, int]], list[Origins]]:
    """Names, types and origins of the columns of a COPY, which is this one of a script's statements, as `copy_mask`
    takes them. Where these are not `count`, as CopyOutResponse says, all is unknown. What to ask the server before,
    `catalogue.missing_of` says of the origins of `script.results[statement]`."""
    columns: list[tuple[str, int]] = []
    origins: list[Origins] = []
    relations = named_in(script)
    # Of a table's own columns the types are the table's; of a query's, what is made of these may have others.
    bare = all(one.within != "copy" for one in script.statements)
    for output in script.results[statement] or () if statement < len(script.results) else ():
        if not output.star:
            tables = _one_of(output, catalogue) if bare else []
            columns.append((output.label or "", _type(tables, output.label)))
            origins.append(behind(output.origins, catalogue, relations))
            continue
        for table in _one_of(output, catalogue):
            for _, label in sorted(table.columns.items()):
                if bare and label in table.made:
                    # A COPY of a table leaves its generated columns out (COPY, "Notes").
                    continue
                columns.append((label, _type([table], label)))
                origins.append(behind(output.named(label), catalogue, relations))
    if len(columns) != count:
        return [("", ANY)] * count, [None] * count
    return columns, origins


def _type(tables: Sequence[Table], label: str | None) -> int:
    return tables[0].types.get(label or "", ANY) if tables else ANY


def _one_of(output: Output, catalogue: Catalogue) -> list[Table]:
    """The table that a column, or a star, is of; none where nobody can tell which, or what columns it has."""
    if output.origins is None or len(output.origins) != 1 or output.origins[0].table is None:
        return []
    tables = catalogue.tables(output.origins[0].schema, output.origins[0].table)
    alike = len({(tuple(sorted(one.columns.items())), tuple(sorted(one.types.items()))) for one in tables}) == 1
    return tables[:1] if alike else []
