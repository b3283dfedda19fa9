"""A result that is about to be sent: what its rows go through, and what has to be found out for that first."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from extproc.domain.mask import Mask as Policy
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
from extproc.protocols.postgres.masks.rows import masking_of
from extproc.protocols.postgres.sql import UNKNOWN, Copy, Origins, Script
from extproc.protocols.postgres.wire.frame import Frame
from extproc.protocols.postgres.wire.results import CopyOutResponse, Field
from extproc.protocols.postgres.work import Mask, Work

_RESPONSE = "response"
_READ = frozenset({"format", "delimiter", "null", "quote", "escape", "header", "encoding"})
_OPTIONS = _READ | {"force_quote"}
_FLAGS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_SEPARATORS = re.compile("[^a-zA-Z0-9]")
_ENCODINGS = frozenset({"utf8", "unicode"})
_ANY_ENCODING = "sqlascii"
_AS_TEXT = "Copy it in text or CSV format, by a statement of its own."
UNREADABLE = "This COPY can't be masked"
_ROUNDS = 20
"""Questions about one result: views behind views are found one after the other."""


class Unreadable(MaskError):
    """The rows of a statement can't be read, so that they can't be masked; the statement as it is meant is at fault.
    `hint` says what can be done instead."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


class Result(ABC):
    """The rows of one result, before the first of them. `question` is what is not known yet of where they come from,
    and of interest; `opening` is what the client gets in front of them, once `mask` has been found."""

    opening = b""

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

    def __init__(self, work: Work, frame: Frame, catalogue: Catalogue) -> None:
        """`frame` is the CopyOutResponse. Raises MaskError for a COPY that no statement asked for."""
        super().__init__(work, catalogue)
        number, script = work.statement, work.script
        asked = script.outer[number].copy if number < len(script.outer) else None
        if asked is None:
            raise MaskError("rows of a COPY that no statement asked for")
        self.opening = frame.data
        self._count = len(CopyOutResponse.decode(frame.body).columns)
        self._copy = asked
        self._lineage = [output.origins for output in script.results[number] or ()]

    def mask(self, known: Knowledge) -> Mask | None:
        """See Result. Raises Unreadable where these rows can't be masked."""
        work, masks = self.work, self.work.grant.decision.masks
        masking = masking_of(masks, known)
        if masking is None:
            return None
        options = _options(self._copy, masking.guarded)
        columns, found = copy_columns(work.script, work.statement, self._count, self._catalogue)
        if len(work.types) == self._count:
            columns = [(name, oid) for (name, _), oid in zip(columns, work.types, strict=True)]
        try:
            return copy_mask(masks, known, columns, found, options)
        except MaskError as error:
            raise Unreadable(str(error), _AS_TEXT) from error

    def _missing(self) -> Question | None:
        return self._catalogue.missing_of(self._lineage, self._relations)


def unreadable(script: Script, masks: Sequence[Policy], known: Knowledge) -> Unreadable | None:
    """Why a COPY in a script can't be masked, as far as its text tells; None where it can, or nothing masks it."""
    copies = [one.copy for one in script.outer if one.copy is not None and one.copy.answers]
    try:
        masking = masking_of(masks, known) if copies else None
        if masking is None:
            return None
        binary = [_options(copy, masking.guarded).form == "binary" for copy in copies]
    except Unreadable as error:
        return error
    except MaskError:
        return Unreadable("the mask that policy asks for can't be carried out", "Ask the owner of the policy.")
    of_query = any(one.within == "copy" for one in script.statements)
    if any(binary) and of_query and len(script.outer) > 1 and not masking.guarded:
        return Unreadable("the types of its columns are not known among other statements", _AS_TEXT)
    return None


def _options(copy: Copy, guarded: bool) -> CopyOptions:
    """How a COPY writes its rows. Raises Unreadable for what is not read here. SQL_ASCII is the database's own
    encoding, whichever that is: credentials are found in any (`guarded`), words are not."""
    said = dict(copy.options)
    if len(said) != len(copy.options) or not said.keys() <= _OPTIONS or None in (said[n] for n in said.keys() & _READ):
        raise Unreadable("it has options that are not read here", _AS_TEXT)
    encoding = _SEPARATORS.sub("", said.get("encoding") or "utf8").lower()
    if encoding not in _ENCODINGS and not (guarded and encoding == _ANY_ENCODING):
        raise Unreadable("it is in another encoding than UTF-8", "Leave out ENCODING.")
    header = (said.get("header") or "false").lower()
    if header not in _FLAGS:
        raise Unreadable("it has a header that is not read here", _AS_TEXT)
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
        raise Unreadable("it has options that are not read here", _AS_TEXT) from error
