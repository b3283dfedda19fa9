"""A result that is about to be sent: what its rows go through, and what has to be found out for that first."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import (
    Catalogue,
    CatalogueError,
    CopyOptions,
    Question,
    copy_columns,
    copy_mask,
    named_in,
    origins,
    row_mask,
)
from extproc.protocols.postgres.sql import UNKNOWN, Copy, Origins
from extproc.protocols.postgres.wire.results import CopyOutResponse, Field
from extproc.protocols.postgres.work import Mask, Work

_RESPONSE = "response"
_READ = frozenset({"format", "delimiter", "null", "quote", "escape", "header"})
_OPTIONS = _READ | {"force_quote"}
_FLAGS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_ROUNDS = 20
"""Questions about one result: views behind views are found one after the other."""


class Result(ABC):
    """The rows of one result, before the first of them. `question` is what is not known yet of where they come from,
    and of interest."""

    def __init__(self, work: Work, catalogue: Catalogue) -> None:
        self.work = work
        self._catalogue = catalogue
        self._relations = named_in(work.script)
        self._rounds = 0

    @property
    def question(self) -> Question | None:
        """What has to be asked before `mask` knows all that it can."""
        return self._missing() if self._rounds < _ROUNDS else None

    def learn(self, question: Question, rows: Sequence[Sequence[str | None]] | None) -> None:
        """Take the answer; None where there is none. Raises MaskError for what is no answer."""
        self._rounds += 1
        try:
            self._catalogue.learn(question, rows)
        except CatalogueError as error:
            raise MaskError(str(error)) from error

    @abstractmethod
    def mask(self, known: Knowledge) -> Mask | None:
        """What the rows go through; None where they pass as they are. Raises MaskError."""

    @abstractmethod
    def _missing(self) -> Question | None:
        """What has to be asked next."""


class Rows(Result):
    """DataRow messages, whose columns RowDescription has told."""

    def __init__(self, work: Work, fields: Sequence[Field], catalogue: Catalogue) -> None:
        super().__init__(work, catalogue)
        self._fields = fields
        # By values alone it does not matter where they come from.
        self._by_name = any(mask.keys and _RESPONSE in mask.lanes for mask in work.grant.decision.masks)
        self._lineage = self._read() if self._by_name else [UNKNOWN] * len(fields)

    def mask(self, known: Knowledge) -> Mask | None:
        """See Result."""
        found = origins(self._fields, self._lineage, self._catalogue, self._relations)
        return row_mask(self.work.grant.decision.masks, known, self._fields, found)

    def _missing(self) -> Question | None:
        return self._catalogue.missing(self._fields, self._lineage, self._relations) if self._by_name else None

    def _read(self) -> list[Origins]:
        """Where the text of the statement says that its columns come from."""
        work, labels = self.work, [field.name for field in self._fields]
        if work.statement >= len(work.script.results) or work.script.results[work.statement] is None:
            return [UNKNOWN] * len(labels)
        return work.script.lineage(labels, work.statement)


class Copied(Result):
    """The rows of a COPY, of which the server says only how many columns they have."""

    def __init__(self, work: Work, response: CopyOutResponse, catalogue: Catalogue) -> None:
        """Raises MaskError for a COPY that no statement asked for, or with options that are not read here."""
        super().__init__(work, catalogue)
        number, script = work.statement, work.script
        asked = script.outer[number].copy if number < len(script.outer) else None
        if asked is None:
            raise MaskError("rows of a COPY that no statement asked for")
        self._count = len(response.columns)
        self._options = _options(asked)
        self._lineage = [output.origins for output in script.results[number] or ()]

    def mask(self, known: Knowledge) -> Mask | None:
        """See Result."""
        work = self.work
        columns, found = copy_columns(work.script, work.statement, self._count, self._catalogue)
        return copy_mask(work.grant.decision.masks, known, columns, found, self._options)

    def _missing(self) -> Question | None:
        return self._catalogue.missing_of(self._lineage, self._relations)


def _options(copy: Copy) -> CopyOptions:
    """How a COPY writes its rows. Raises MaskError for what is not read here: another encoding, above all."""
    said = dict(copy.options)
    if len(said) != len(copy.options) or not said.keys() <= _OPTIONS or None in (said[n] for n in said.keys() & _READ):
        raise MaskError("a COPY with options that are not read here")
    header = (said.get("header") or "false").lower()
    if header not in _FLAGS:
        raise MaskError("a COPY with a header that is not read here")
    try:
        return CopyOptions(
            form=(said.get("format") or "text").lower(),
            delimiter=said.get("delimiter") or "",
            null=said.get("null"),
            quote=said.get("quote") or '"',
            escape=said.get("escape") or "",
            header=_FLAGS[header],
        )
    except ValueError as error:
        raise MaskError(str(error)) from error
