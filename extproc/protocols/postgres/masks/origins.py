"""Where the columns of an answer come from: what the server says of them, what the statement's text says, and what the
catalogue knows of tables and views."""

from collections.abc import Sequence

from extproc.protocols.postgres.masks.catalogue import Catalogue
from extproc.protocols.postgres.sql import UNKNOWN, Column, Origins, Relation
from extproc.protocols.postgres.wire.results import Field


def origins(
    fields: Sequence[Field], lineage: Sequence[Origins], catalogue: Catalogue, relations: Sequence[Relation] = ()
) -> tuple[Origins, ...]:
    """The columns that each field's values are made of, those behind views among them; None where it can't be told.

    `fields` are RowDescription's: a table and an attribute number there are what the server itself says, and count
    more than the text. `lineage` is `Script.lineage` of the fields' names, all None where there is none; `relations`
    are `named_in` of the script, for columns of which the text alone does not tell whose they are. Of what the
    catalogue does not know yet, `catalogue.missing` says how to find out; as long as it does not, it is unknown.
    """
    return tuple(
        catalogue.column(field.table, field.column) if field.table else behind(origin, catalogue, relations)
        for field, origin in zip(fields, lineage, strict=True)
    )


def behind(origin: Origins, catalogue: Catalogue, relations: Sequence[Relation]) -> Origins:
    """Columns that the text names, and those behind them."""
    if origin is UNKNOWN:
        return UNKNOWN
    found: dict[Column, None] = {}
    for one in origin:
        behind = catalogue.named(one, relations)
        if behind is UNKNOWN:
            return UNKNOWN
        found.update(dict.fromkeys(behind))
    return tuple(found)
