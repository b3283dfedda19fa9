"""SQL read by PostgreSQL's own parser: what statements do, as facts for policy, and where results come from.

reader = Reader(512)
script = reader.read("SELECT email FROM customers")      # raises Unparsable
script.document                                          # → action.facts.statements
script.lineage(["email"])                                # → [(Column(None, "customers", "email"),)]
"""

from extproc.protocols.postgres.sql.facts import (
    CURSOR_POSITION,
    UNKNOWNS,
    Column,
    Columns,
    Copy,
    Function,
    Member,
    Object,
    Privileges,
    Relation,
    Setting,
    Statement,
    Unparsable,
    whole,
)
from extproc.protocols.postgres.sql.reader import Reader, read
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins, Output, Script

__all__ = [
    "CURSOR_POSITION",
    "UNKNOWN",
    "UNKNOWNS",
    "Column",
    "Columns",
    "Copy",
    "Function",
    "Member",
    "Object",
    "Origins",
    "Output",
    "Privileges",
    "Reader",
    "Relation",
    "Script",
    "Setting",
    "Statement",
    "Unparsable",
    "read",
    "whole",
]
