"""A result that is about to be sent: what its rows go through, and what has to be found out for that first."""

from collections.abc import Sequence

from extproc.domain.mask import Mask as Wanted
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.catalogue import Catalogue, CatalogueError
from extproc.protocols.postgres.masks.copying import copy_mask
from extproc.protocols.postgres.masks.copyrow import CopyOptions
from extproc.protocols.postgres.masks.origins import origins
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.masks.rows import row_mask
from extproc.protocols.postgres.sql import UNKNOWN, Copy, Origins
from extproc.protocols.postgres.wire.results import CopyOutResponse, Field
from extproc.protocols.postgres.work import Mask, Work

_RESPONSE = "response"
_READ = frozenset({"format", "delimiter", "null", "quote", "escape", "header"})
_OPTIONS = _READ | {"force_quote"}
_FLAGS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_ROUNDS = 20
"""Questions about one result: views behind views are found one after the other."""


class Result:
    """The rows of one result, before the first of them. `question` is what is not known yet of where they come from,
    and of interest."""

    def __init__(self, work: Work, fields: Sequence[Field], catalogue: Catalogue, copy: Copy | None = None) -> None:
        """`copy` is what the statement says of a COPY."""
        self.work = work
        self._fields = fields
        self._copy = copy
        self._catalogue = catalogue
        self._masks: tuple[Wanted, ...] = work.grant.decision.masks
        self._lineage = self._read() if self._by_name else [UNKNOWN] * len(fields)
        self._rounds = 0

    @property
    def question(self) -> Question | None:
        """What has to be asked before `mask` knows all that it can."""
        if not self._by_name or self._rounds > _ROUNDS:
            return None
        return self._catalogue.missing(self._fields, self._lineage)

    def learn(self, question: Question, rows: Sequence[Sequence[str | None]] | None) -> None:
        """Take the answer; None where there is none. Raises MaskError for what is no answer."""
        self._rounds += 1
        try:
            self._catalogue.learn(question, rows)
        except CatalogueError as error:
            raise MaskError(str(error)) from error

    def mask(self, known: Knowledge) -> Mask | None:
        """What the rows go through; None where they pass as they are. Raises MaskError."""
        found = origins(self._fields, self._lineage, self._catalogue)
        if self._copy is None:
            return row_mask(self._masks, known, self._fields, found)
        columns = [(field.name, field.type) for field in self._fields]
        return copy_mask(self._masks, known, columns, found, _options(self._copy))

    @property
    def _by_name(self) -> bool:
        """Whether a mask selects columns by their names: by values alone it does not matter where they come from."""
        return any(mask.keys and _RESPONSE in mask.lanes for mask in self._masks)

    def _read(self) -> list[Origins]:
        """Where the text of the statement says that its columns come from."""
        work, labels = self.work, [field.name for field in self._fields]
        if work.statement >= len(work.script.results) or work.script.results[work.statement] is None:
            return [UNKNOWN] * len(labels)
        return work.script.lineage(labels, work.statement)


def copied(work: Work, response: CopyOutResponse, catalogue: Catalogue) -> Result:
    """The rows of a COPY, of which the server says only how many columns they have. Raises MaskError where the text
    does not say which."""
    script = work.script
    outer = script.outer[work.statement] if work.statement < len(script.outer) else None
    if outer is None or outer.copy is None:
        raise MaskError("rows of a COPY that no statement asked for")
    outputs = script.results[work.statement] or ()
    names = [output.label or "" for output in outputs]
    if len(names) != len(response.columns) or any(output.star for output in outputs):
        names = [""] * len(response.columns)
    fields = [Field(name, 0, 0, 0, -1, -1, response.format) for name in names]
    return Result(work, fields, catalogue, outer.copy)


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
