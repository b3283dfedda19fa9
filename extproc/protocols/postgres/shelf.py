"""Masks of results that were sent, for the next ones of the same columns: to choose one takes longer than to use it."""

from collections.abc import Sequence
from typing import NamedTuple

from extproc.domain.mask import Mask
from extproc.protocols.postgres.masks.rows import RowMask
from extproc.protocols.postgres.sql import Script

_MOST = 64


class Columns(NamedTuple):
    """What a mask was chosen for: a RowDescription as it came, and which statement of what text it describes."""

    described: bytes
    script: Script
    statement: int


class Shelf:
    """What is on it is in nobody's hands: a mask counts for one result at a time. None is a mask too: nothing to do."""

    def __init__(self) -> None:
        self._kept: dict[Columns, tuple[Sequence[Mask], RowMask | None]] = {}

    def take(self, columns: Columns, masks: Sequence[Mask]) -> tuple[RowMask | None] | None:
        """The mask for these columns under a decision's `masks`; None where there is none here."""
        kept = self._kept.pop(columns, None)
        return None if kept is None or kept[0] != masks else (kept[1],)

    def put(self, columns: Columns, masks: Sequence[Mask], mask: RowMask | None) -> None:
        """The result is complete that it was for."""
        if mask is not None:
            mask.again()
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[columns] = masks, mask

    def clear(self) -> None:
        """Tables may be others now."""
        self._kept.clear()
