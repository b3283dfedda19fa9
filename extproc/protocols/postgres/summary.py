"""What records say of a statement: the same members whatever became of it, and no value that nobody should read there.

Values are masked by what they are (kinds, known credentials) and by what they are called: those of columns named like
secrets, and of the columns that policy governs, are left out whatever they look like. Of those that policy governs it
is enough that the text does not tell otherwise.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from extproc.domain.json import JSON, Document
from extproc.domain.mask import Mask
from extproc.masking.operators import mask_text
from extproc.masking.plan import Knowledge
from extproc.masking.redact import SECRET_NAMES, redact_json
from extproc.protocols.postgres.masks.whole import COLUMN
from extproc.protocols.postgres.sql import Relation, Script
from extproc.protocols.postgres.sql.covering import for_record
from extproc.protocols.postgres.sql.facts import Object
from extproc.protocols.postgres.sql.hiding import Covered, cover
from extproc.protocols.postgres.sql.renaming import speaks
from extproc.protocols.shown import MARGIN, excerpt

MOST_VALUES = 16
MOST_TABLES = 16
VALUE_CHARACTERS = 128
MOST_CHARACTERS = 512
"""Bind values and tables that are named; characters of a value, and of a path or any other thing that is said of where
a statement runs."""

_LOOKED = VALUE_CHARACTERS + MARGIN
"""Characters of a value that are looked at: what is cut off is not shown."""

_RELATIONS = frozenset({"table", "view", "materialized_view", "foreign_table"})
_MOST_NAMES = 64
_SHORTEST = 5
"""Characters of a value that a name alone could make one of a kind; names of a statement that are looked at."""
_LONGEST_TEXT = 64 << 10
_KEPT_TEXTS = 256
_LONGEST_KEPT = 4 << 10
"""Texts whose names and hidden values are remembered, and characters of one."""
_NONE: frozenset[str] = frozenset()
_INSTEAD = mask_text(COLUMN)
_WORD = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)')
_NOT_NAME = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class Told:
    """A statement as it is recorded: where and how it runs (`scene`, as Scene.facts), what it says, and the values that
    it is bound to. `tables` are those that it reads or writes, as far as its text could be read. `plain`: the values
    were looked through already, and are nothing but for what a name makes of them."""

    scene: Document
    known: Knowledge
    sql: str = ""
    values: Sequence[JSON] = ()
    tables: tuple[str, ...] = ()
    plain: bool = False

    def document(self, keys: frozenset[str] = _NONE) -> Document:
        """The summary of an action, masked; `keys` are the columns that policy governs, in lower case."""
        hidden, known = self._hidden(keys), self.known
        values = hidden.values[:MOST_VALUES]
        contexts = self._contexts() if any(isinstance(one, str) and len(one) >= _SHORTEST for one in values) else ()
        shown = [_shown(value, known, contexts, self.plain) for value in values]
        return {
            **{name: _cut(value, MOST_CHARACTERS) for name, value in self.scene.items()},
            "tables": [*self.tables[:MOST_TABLES], *_more(len(self.tables) - MOST_TABLES)],
            "statement": for_record(hidden.sql, known),
            "values": [*shown, *_more(len(hidden.values) - len(shown))],
        }

    def under(self, before: Document, masks: Iterable[Mask]) -> Document:
        """The same under the masks of a decision; `before` is what it was without any."""
        # A key may say the table before the column, and the schema before that.
        named = [key.lower() for mask in masks for key in mask.keys]
        keys = frozenset((*named, *(name.rpartition(".")[2] for name in named)))
        if not keys or (_hidden_in(self.sql, keys) == _hidden_in(self.sql, _NONE) and not self._spoken(keys)):
            return before
        return self.document(keys)

    def _contexts(self) -> list[str]:
        """The names in it that make values of some kinds known that nothing else gives away (`ssn`, `iban`)."""
        detector = self.known.detector()
        names = dict.fromkeys(_names_in(self.sql)[:_MOST_NAMES])
        return [name for name in names if detector.named(name) and not _is_secret(name)]

    def _hidden(self, keys: frozenset[str]) -> "Told":
        """The same without the values of columns that are named like secrets, or as policy's `keys`."""
        covered, spoken = _hidden_in(self.sql, keys), self._spoken(keys)
        if not spoken and covered == Covered(self.sql, frozenset()):
            return self
        numbers = covered.parameters
        values = [
            _INSTEAD if value is not None and (numbers is None or place in numbers or place in spoken) else value
            for place, value in enumerate(self.values, 1)
        ]
        return replace(self, sql=covered.text, values=values)

    def _spoken(self, keys: frozenset[str]) -> frozenset[int]:
        """The places of values in which one of policy's names is a word: a document, or SQL."""
        if not keys:
            return frozenset()
        values = enumerate(self.values[:MOST_VALUES], 1)
        return frozenset(at for at, one in values if isinstance(one, str) and speaks(one[:_LOOKED], _one_of(keys)))


def _hidden_in(sql: str, keys: frozenset[str]) -> Covered:
    """A text and its parameters without those values, as they were found when the same was looked at before."""
    return _kept(sql, keys) if len(sql) <= _LONGEST_KEPT else _cover(sql, keys)


def _cover(sql: str, keys: frozenset[str]) -> Covered:
    is_named = _one_of(keys)

    def named(name: str) -> bool:
        return is_named(name) or _is_secret(name)

    if not keys and not any(map(named, _names_in(sql))):
        return Covered(sql, frozenset())
    if len(sql) > _LONGEST_TEXT:
        return Covered(_INSTEAD, None)
    return cover(sql, named, f"'{_INSTEAD}'", strict=bool(keys))


_kept = lru_cache(_KEPT_TEXTS)(_cover)


def _one_of(keys: frozenset[str]) -> Callable[[str], bool]:
    return lambda name: name.lower() in keys


def _names_in(sql: str) -> tuple[str, ...]:
    """Whatever may be a name in a text, in lower case."""
    return _kept_names(sql) if len(sql) <= _LONGEST_KEPT else _read_names(sql)


def _read_names(sql: str) -> tuple[str, ...]:
    return tuple((quoted or word).lower() for quoted, word in _WORD.findall(sql[:_LONGEST_TEXT]))


_kept_names = lru_cache(_KEPT_TEXTS)(_read_names)


@lru_cache(_KEPT_TEXTS)
def tables_of(script: Script) -> tuple[str, ...]:
    """The relations that a script reads, writes or is about, by name, in the order of the text."""
    found: dict[str, None] = {}
    for statement in script.statements:
        found |= dict.fromkeys(map(written, (*statement.writes, *statement.reads)))
        found |= dict.fromkeys(written(one) for one in statement.objects if one.type in _RELATIONS)
    return tuple(found)


def written(relation: Relation | Object) -> str:
    """A name as it was written; the parser leaves 63 bytes of each part, as a server does."""
    return relation.name if relation.schema is None else f"{relation.schema}.{relation.name}"


def _is_secret(name: str) -> bool:
    return _NOT_NAME.sub("", name.lower()) in SECRET_NAMES


def _shown(value: JSON, known: Knowledge, contexts: Iterable[str], plain: bool) -> JSON:
    """A value, masked. Which name of the statement is its column's nobody says: it is looked at under each."""
    if not isinstance(value, str) or (plain and not contexts and len(value) <= VALUE_CHARACTERS):
        return value
    text = value[:_LOOKED]
    for name in contexts:
        masked, counts = redact_json({name: text}, known)
        if counts and isinstance(masked, dict):
            text = str(next(iter(masked.values())))
    return excerpt(text, known, VALUE_CHARACTERS)


def _cut(value: JSON, most: int) -> JSON:
    return f"{value[:most]}…" if isinstance(value, str) and len(value) > most else value


def _more(count: int) -> list[JSON]:
    return [f"… {count} more"] if count > 0 else []
