"""How the columns of a result are masked: chosen once, then applied to many rows at a time.

For each batch of rows one look goes over all values that are masked by what is in them, joined: most batches pass it
untouched. Where it found something the values there are looked at one by one, alone, so that what is masked does not
depend on which rows came together.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from extproc.masking.engine.span import add
from extproc.masking.stage import MaskError
from extproc.masking.structure.llm.whole import mask_whole
from extproc.protocols.postgres.masks import types
from extproc.protocols.postgres.masks.asking import asked, operator
from extproc.protocols.postgres.masks.cells import UNREADABLE, Cell, JsonCell, Masking, StrictCell, TextCell, XmlCell
from extproc.protocols.postgres.masks.inner import cell
from extproc.protocols.postgres.masks.together import ALONE, LONG, Together
from extproc.protocols.postgres.masks.types import Sort
from extproc.protocols.postgres.masks.whole import WholeCell
from extproc.protocols.postgres.sql import Member, Origins
from extproc.protocols.postgres.wire.results import Field

Value = bytes | None
V = TypeVar("V", bytes, bytes | None)
_DOCUMENTS = frozenset({Sort.JSON, Sort.JSONB, Sort.XML, Sort.RECORD, Sort.OWN})
_OPENING = (b"{", b"[")
_BLANK = b" \t\r\n"
_FIRST = frozenset(b"{[" + _BLANK)
_UNNAMED: frozenset[int] = frozenset()


class Columns:
    """The cells of a result's columns, by place; a column without one is not masked. Raises MaskError for a mask that
    can't be carried out."""

    def __init__(self, masking: Masking, fields: Sequence[Field], origins: Sequence[Origins]) -> None:
        self.masking = masking
        plan = masking.plan
        self.cells: dict[int, Cell] = {}
        self.named: dict[int, frozenset[int]] = {}
        self._whole: list[int] = []
        self._alone: list[int] = []
        self._json: list[int] = []
        self._texts: list[int] = []
        self._looks: dict[frozenset[int], list[int]] = {}
        self._of_members = [any(isinstance(one, Member) for one in origin or ()) for origin in origins]
        for at, (field, origin) in enumerate(zip(fields, origins, strict=True)):
            wanted = asked(plan, field.name, origin)
            binary = field.format == 1
            if wanted.kind is not None:
                how = operator(plan, wanted.kind, origin)
                self.cells[at] = WholeCell(masking, wanted.kind, how, field.type, binary)
                self._whole.append(at)
                continue
            found = cell(masking, field.type, binary, wanted.named)
            is_text = isinstance(found, TextCell) and bool(plan.keys)
            if not plan.detector.any and not is_text and _is_flat(field.type):
                continue
            self.cells[at], self.named[at] = found, wanted.named
            if is_text:
                self._texts.append(at)
            if isinstance(found, XmlCell) and not masking.guarded:
                self._alone.append(at)
            elif isinstance(found, JsonCell) and not masking.guarded:
                self._json.append(at)
            else:
                self._looks.setdefault(wanted.named, []).append(at)
        self.together = Together(plan)
        self.width = len(fields)
        self.fields = tuple(fields)

    @property
    def documents(self) -> bool:
        """Whether documents in text are looked into."""
        return bool(self._texts)

    @property
    def alike(self) -> bool:
        """Whether all that is masked is what can be found in values as they stand, whatever their column is called; but
        for documents in text (`documents`)."""
        return (
            set(self._looks) == {_UNNAMED}
            and len(self._looks[_UNNAMED]) == len(self.cells)
            and all(map(self._is_plain, self.cells))
        )

    def mask(self, flat: list[Value]) -> set[int]:
        """Mask rows, which are given one after the other in one list; gives the numbers of those that changed."""
        changed: set[int] = set()
        width = self.width
        for column in self._whole:
            here = self.cells[column]
            assert isinstance(here, WholeCell)
            for at in range(column, len(flat), width):
                self._put(flat, at, self._one(here.mask, flat[at]), changed)
        for column in self._alone:
            mask = self.cells[column].mask
            for at in range(column, len(flat), width):
                if (value := flat[at]) is not None:
                    self._put(flat, at, self._one(mask, value), changed)
        for column in self._json:
            self._documents(flat, column, changed)
        for column in self._texts:
            self._documents_in_text(flat, column, changed)
        for named, columns in self._looks.items():
            self._look(flat, named, columns, changed)
        return changed

    @cached_property
    def awaited(self) -> frozenset[int]:
        """Columns by the length of whose values a governed one could be told: those that are masked whole, documents,
        and the text of their members."""
        if not self.masking.plan.keys:
            return frozenset()
        documents = {
            at
            for at, here in self.cells.items()
            if self._of_members[at] or types.sort_of(self.fields[at].type) in _DOCUMENTS
        }
        return frozenset(documents.union(self._whole))

    def _one(self, mask: Callable[[V], Value], value: V) -> Value:
        try:
            return mask(value)
        except MaskError:
            self.masking.count(UNREADABLE)
            return None

    def _put(self, flat: list[Value], at: int, masked: Value, changed: set[int]) -> None:
        if masked != flat[at]:
            flat[at] = masked
            changed.add(at // self.width)

    def _documents(self, flat: list[Value], column: int, changed: set[int]) -> None:
        """Mask all values of a column of JSON together."""
        here = self.cells[column]
        places = [at for at in range(column, len(flat), self.width) if flat[at] is not None]
        values = [value for value in flat[column :: self.width] if value is not None]
        if not isinstance(here, JsonCell) or not places:
            return
        try:
            masked = here.each(values)
        except MaskError:
            masked = [self._one(here.mask, value) for value in values]
        for at, value in zip(places, masked, strict=True):
            self._put(flat, at, value, changed)

    def _documents_in_text(self, flat: list[Value], column: int, changed: set[int]) -> None:
        """Mask JSON in a column of text. What only begins like it is text, but NULL where it is a document's member."""
        plan, counts = self.masking.plan, self.masking.counts
        for at, value in zip(range(column, len(flat), self.width), flat[column :: self.width], strict=True):
            if value and value[0] in _FIRST and value.lstrip(_BLANK)[:1] in _OPENING:
                own: dict[str, int] = {}
                try:
                    self._put(flat, at, mask_whole(value, plan, own), changed)
                    add(counts, own)
                except MaskError:
                    if self._of_members[column]:
                        self.masking.count(UNREADABLE)
                        self._put(flat, at, None, changed)

    def _look(self, flat: list[Value], named: frozenset[int], columns: list[int], changed: set[int]) -> None:
        """Mask the columns whose names are context for the same rules."""
        texts, places = list[Value](), list[int]()
        for column in columns:
            values = flat[column :: self.width]
            texts += values if self._is_plain(column) else [self._text(self.cells[column], one) for one in values]
            places += range(column, len(flat), self.width)
        alone: list[int] = []
        together: list[tuple[int, bytes]] = []
        for found in self.together.suspects(texts, named):
            text, at = texts[found], places[found]
            here = self.cells[at % self.width]
            if text is not None and len(text) < LONG and isinstance(here, TextCell | StrictCell) and text is not ALONE:
                together.append((at, text))
            else:
                alone.append(at)
        for (at, _), spans in zip(together, self.together.spans([text for _, text in together], named), strict=True):
            here, value = self.cells[at % self.width], flat[at]
            if spans and value is not None and isinstance(here, TextCell | StrictCell):
                self._put(flat, at, here.cover(value, spans), changed)
        for at in alone:
            value = flat[at]
            if value is not None:
                self._put(flat, at, self._one(self.cells[at % self.width].mask, value), changed)

    def _is_plain(self, column: int) -> bool:
        here = self.cells[column]
        return type(here) is TextCell or (type(here) is StrictCell and here.read is None and not here.fractional)

    def _text(self, here: Cell, value: Value) -> Value:
        """What of a value is looked through; what can't be said to be in it is a mark of its own."""
        if value is None:
            return None
        try:
            text = here.text(value)
        except MaskError:
            return ALONE
        return ALONE if text is None else text


def _is_flat(oid: int) -> bool:
    """Whether values of a type have no names in them, so that only kinds could be found there."""
    return types.sort_of(types.ARRAYS.get(oid, oid)) in (Sort.TEXT, Sort.STRICT, Sort.BYTES)
