"""What records say of a statement: the same members whatever became of it, and no value that nobody should read there.

Values are masked by what they are (kinds, known credentials) and by what they are called: those of columns named like
secrets, and of the columns that policy governs, are left out whatever they look like.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from extproc.domain.json import JSON, Document
from extproc.domain.mask import Mask
from extproc.masking.operators import mask_text
from extproc.masking.plan import Knowledge
from extproc.masking.redact import SECRET_NAMES, redact_json
from extproc.protocols.postgres.masks.whole import COLUMN
from extproc.protocols.postgres.sql import Relation, Script
from extproc.protocols.postgres.sql.facts import Object
from extproc.protocols.postgres.sql.hiding import cover
from extproc.protocols.shown import MARGIN, excerpt

MOST_VALUES = 16
MOST_TABLES = 16
VALUE_CHARACTERS = 128
MOST_CHARACTERS = 512
"""Bind values and tables that are named; characters of a value, and of a path or any other thing that is said of where
a statement runs."""

_RELATIONS = frozenset({"table", "view", "materialized_view", "foreign_table"})
_MOST_NAMES = 64
_SHORTEST = 5
"""Characters of a value that a name alone could make one of a kind; names of a statement that are looked at."""
_LONGEST_TEXT = 64 << 10
_WORD = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)')
_NOT_NAME = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class Told:
    """A statement as it is recorded: where and how it runs (`scene`, as Scene.facts), what it says, and the values that
    it is bound to. `tables` are those that it reads or writes, as far as its text could be read."""

    scene: Document
    known: Knowledge
    sql: str = ""
    values: Sequence[JSON] = ()
    tables: tuple[str, ...] = ()

    def document(self, keys: frozenset[str] = frozenset()) -> Document:
        """The summary of an action, masked; `keys` are the columns that policy governs, in lower case."""
        hidden, known = self._hidden(keys), self.known
        values = hidden.values[:MOST_VALUES]
        contexts = self._contexts() if any(isinstance(one, str) and len(one) >= _SHORTEST for one in values) else ()
        shown = [_shown(value, known, contexts) for value in values]
        return {
            **{name: _cut(value, MOST_CHARACTERS) for name, value in self.scene.items()},
            "tables": [*self.tables[:MOST_TABLES], *_more(len(self.tables) - MOST_TABLES)],
            "statement": excerpt(hidden.sql, known),
            "values": [*shown, *_more(len(hidden.values) - len(shown))],
        }

    def under(self, before: Document, masks: Iterable[Mask]) -> Document:
        """The same under the masks of a decision; `before` is what it was without any."""
        keys = frozenset(key.lower() for mask in masks for key in mask.keys)
        return self.document(keys) if any(name in keys for name in self._names()) else before

    def _contexts(self) -> list[str]:
        """The names in it that make values of some kinds known that nothing else gives away (`ssn`, `iban`)."""
        detector = self.known.detector()
        names = dict.fromkeys(self._names()[:_MOST_NAMES])
        return [name for name in names if detector.named(name) and not _is_secret(name)]

    def _names(self) -> list[str]:
        """Whatever may be a name in it, in lower case."""
        return [(quoted or word).lower() for quoted, word in _WORD.findall(self.sql[:_LONGEST_TEXT])]

    def _hidden(self, keys: frozenset[str]) -> "Told":
        """The same without the values of columns that are named like secrets, or as policy's `keys`."""

        def named(name: str) -> bool:
            return name.lower() in keys or _is_secret(name)

        if not any(map(named, self._names())):
            return self
        instead = mask_text(COLUMN)
        if len(self.sql) > _LONGEST_TEXT:
            return replace(self, sql=instead, values=[instead for _ in self.values])
        covered = cover(self.sql, named, f"'{instead}'")
        numbers = covered.parameters
        values = [
            instead if value is not None and (numbers is None or place in numbers) else value
            for place, value in enumerate(self.values, 1)
        ]
        return replace(self, sql=covered.text, values=values)


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


def _shown(value: JSON, known: Knowledge, contexts: Iterable[str]) -> JSON:
    """A value, masked. Which name of the statement is its column's nobody says: it is looked at under each."""
    if not isinstance(value, str):
        return value
    text = value[: VALUE_CHARACTERS + MARGIN]
    for name in contexts:
        masked, counts = redact_json({name: text}, known)
        if counts and isinstance(masked, dict):
            text = str(next(iter(masked.values())))
    return excerpt(text, known, VALUE_CHARACTERS)


def _cut(value: JSON, most: int) -> JSON:
    return f"{value[:most]}…" if isinstance(value, str) and len(value) > most else value


def _more(count: int) -> list[JSON]:
    return [f"… {count} more"] if count > 0 else []
