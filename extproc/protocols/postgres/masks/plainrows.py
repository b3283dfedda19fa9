"""Rows of a COPY in which one look at their bytes, as they stand, finds nothing: most of them, at a third of what it
costs to take rows apart."""

from collections.abc import Sequence
from operator import itemgetter

from extproc.protocols.postgres.masks.columns import Columns
from extproc.protocols.postgres.masks.copyrow import CopyOptions
from extproc.protocols.postgres.masks.together import BETWEEN, Together

_NULL = b"\\N"
_LAST = itemgetter(-1)


class PlainRows:
    """Says of rows in text or csv that no value in them is one to be masked. Of rows in which a value may be written
    otherwise than it is nobody can tell."""

    __slots__ = ("_csv", "_documents", "_mark", "_null", "_quote", "_together", "_width")

    def __init__(self, together: Together, width: int, options: CopyOptions, documents: bool) -> None:
        """With `documents` a value may be JSON, in which members are masked by name."""
        self._together = together
        self._documents = documents
        self._width = width
        self._csv = options.form == "csv"
        self._mark = (options.delimiter or ("," if self._csv else "\t")).encode()
        self._quote = options.quote.encode() or b'"'
        self._null = self._csv or options.null is None

    def clear(self, bodies: Sequence[bytes], text: bytes) -> bool:
        """Whether these messages, which are `text` together, are a row each and nothing in them is to be masked."""
        mark = self._mark
        if text.count(b"\n") != len(bodies) or {body.count(mark) for body in bodies} != {self._width - 1}:
            return False
        if b"" in bodies or set(map(_LAST, bodies)) != {ord("\n")} or self._written(text):
            return False
        # Between two values, where else a delimiter is, so stands what stands around one that is looked at alone.
        return not self._together.any(text.replace(mark, BETWEEN))

    def _written(self, text: bytes) -> bool:
        """Whether a value may be written otherwise than it is, or be a document, or the end of all is there."""
        if self._documents and (b"{" in text or b"[" in text):
            return True
        if self._csv:
            return self._quote in text
        slashes = text.count(b"\\")
        return bool(slashes) and not (self._null and slashes == text.count(_NULL))


def plain_rows(columns: Columns, options: CopyOptions) -> PlainRows | None:
    """What looks at rows of these columns; None where there are some that have to be taken out to be masked."""
    if options.form == "binary" or not columns.alike:
        return None
    return PlainRows(columns.together, columns.width, options, columns.documents)
