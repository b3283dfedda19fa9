"""Masking of what a PostgreSQL server answers: rows, COPY, errors; and where the columns of an answer come from."""

from extproc.protocols.postgres.masks.catalogue import Catalogue, CatalogueError, Table, named_in
from extproc.protocols.postgres.masks.copying import CopyMask, copy_mask
from extproc.protocols.postgres.masks.copyrow import CopyOptions
from extproc.protocols.postgres.masks.copystatement import copy_columns
from extproc.protocols.postgres.masks.notice import mask_notice
from extproc.protocols.postgres.masks.origins import origins
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.masks.rows import RowMask, row_mask

__all__ = [
    "Catalogue",
    "CatalogueError",
    "CopyMask",
    "CopyOptions",
    "Question",
    "RowMask",
    "Table",
    "copy_columns",
    "copy_mask",
    "mask_notice",
    "named_in",
    "origins",
    "row_mask",
]
