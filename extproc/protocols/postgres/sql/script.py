"""What a whole text of SQL means, and where the columns of its results come from."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

from extproc.domain.json import JSON
from extproc.protocols.postgres.sql.effects import Effects, effects_of, strays
from extproc.protocols.postgres.sql.facts import Column, Function, Member, Statement, is_scalar_value, whole

_FROM_CLIENT = ("in", "client")

UNKNOWN: Final = None
"""In the place of origins: the text alone does not tell where the values come from."""

Origins = tuple[Column, ...] | None
"""The columns that values are made of: () is none, so constants; None is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result, or with `star` as many as `*` stands for.

    `label` is its name as far as the text tells. An origin `*` of a star's stands for the column that has the name of
    the label; elsewhere it is a whole row, or any column of that table.
    """

    label: str | None
    origins: Origins
    star: bool = False

    def named(self, label: str) -> Origins:
        """Of a star: the origins of the column with this name."""
        if self.origins is UNKNOWN:
            return UNKNOWN
        return tuple(
            Column(one.schema, one.table, label) if type(one) is Column and one.is_star else one for one in self.origins
        )


@dataclass(frozen=True, eq=False)
class Script:
    """What a text of SQL means: the content of one Query or Parse. What is asked of it again and again it works out
    once. Compared by identity.

    `statements`: flattened, in the order of the text, outer before inner; never empty (kind `empty`).
    `results`: one for each statement of the text itself, so for each CommandComplete: the columns of the rows that it
    returns (COPY … TO STDOUT, too), or None where it returns none.
    `prepared`, `cursors`: what PREPARE and DECLARE in it leave behind, to be given back to `read` for what comes later.
    """

    statements: tuple[Statement, ...]
    results: tuple[tuple[Output, ...] | None, ...]
    prepared: Mapping[str, "Script"] = field(default_factory=lambda: MappingProxyType({}))
    cursors: Mapping[str, "Script"] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def effects(self) -> Effects:
        """What it may change."""
        return effects_of(self.statements)

    def strays(self, moved: bool) -> bool:
        """See effects.strays."""
        return len(self.statements) > 1 and strays(self.statements, moved)

    @cached_property
    def complete(self) -> bool:
        """True when no statement has an `unknown`."""
        return not any(one.unknown for one in self.statements)

    @cached_property
    def outer(self) -> tuple[Statement, ...]:
        """The statements of the text itself, one for each of `results`."""
        return tuple(one for one in self.statements if one.within is None)

    @cached_property
    def copies_in(self) -> bool:
        """Whether the server will ask the client for data."""
        return any(
            one.copy is not None and (one.copy.direction, one.copy.place) == _FROM_CLIENT for one in self.statements
        )

    @property
    def outputs(self) -> tuple[Output, ...] | None:
        """The columns of the result where exactly one statement returns rows; else None."""
        found = [one for one in self.results if one is not None]
        return found[0] if len(found) == 1 else None

    def calling(self, names: Collection[str]) -> "Script":
        """The same, where functions with these names take a row: PostgreSQL reads `t.f` as `f(t)` where `t` has no
        column `f`, which the text does not tell ("Using Composite Types in Queries")."""
        return replace(
            self,
            statements=tuple(_calling(one, names) for one in self.statements),
            prepared=MappingProxyType({name: one.calling(names) for name, one in self.prepared.items()}),
            cursors=MappingProxyType({name: one.calling(names) for name, one in self.cursors.items()}),
        )

    def bound(self, values: Sequence[JSON]) -> "Script":
        """The same, bound to these values: a member of a document that is compared with a document, or with what nobody
        can tell, is compared whole."""
        if not any(one.scalars for one in self.statements):
            return self
        scalar = {number for number, value in enumerate(values, 1) if is_scalar_value(value)}
        statements = tuple(one if scalar.issuperset(one.scalars) else _compared_whole(one) for one in self.statements)
        return self if statements == self.statements else replace(self, statements=statements)

    @cached_property
    def document(self) -> list[JSON]:
        """`action.facts.statements`; not to be changed."""
        return [one.document() for one in self.statements]

    @cached_property
    def names(self) -> int:
        """How many relations, columns, functions, objects and settings its statements have in their facts, all told."""
        return sum(one.names for one in self.statements)

    def lineage(self, labels: Sequence[str], result: int | None = None) -> list[Origins]:
        """The origins of each column of a result whose RowDescription names `labels`, None where they can't be told.

        `result` is an index into `results`; without it the only one that returns rows is meant. No origin is `*`. A
        number of columns, or a label, that is not what the text says makes origins unknown: a rule or a view may have
        made another statement of it.
        """
        outputs = self.outputs if result is None else self.results[result]
        return [UNKNOWN] * len(labels) if outputs is None else _match(outputs, labels)


def _match(outputs: tuple[Output, ...], labels: Sequence[str]) -> list[Origins]:
    """Columns in front of the first star and behind the last have a place; those between have only a name."""
    stars = [place for place, output in enumerate(outputs) if output.star]
    if not stars:
        if len(outputs) != len(labels):
            return [UNKNOWN] * len(labels)
        return [_one(output, label) for output, label in zip(outputs, labels, strict=True)]
    front, back = stars[0], len(outputs) - 1 - stars[-1]
    if len(labels) < front + back:
        return [UNKNOWN] * len(labels)
    middle = outputs[front : len(outputs) - back]
    named: dict[str, Origins] = {}
    for label in labels[front : len(labels) - back]:
        if label not in named:
            named[label] = _any(middle, label)
    return [
        *(_one(output, label) for output, label in zip(outputs[:front], labels, strict=False)),
        *(named[label] for label in labels[front : len(labels) - back]),
        *(_one(outputs[-left], labels[-left]) for left in range(back, 0, -1)),
    ]


def _one(output: Output, label: str) -> Origins:
    if output.origins is UNKNOWN or output.label not in (None, label):
        return UNKNOWN
    return UNKNOWN if any(one.is_star for one in output.origins) else output.origins


def _any(outputs: Iterable[Output], label: str) -> Origins:
    """A column that one of these is, nobody knows which: all that have the name, or could have it."""
    found: dict[Column, None] = {}
    for output in outputs:
        if not output.star and output.label not in (None, label):
            continue
        origins = output.named(label) if output.star else _one(output, label)
        if origins is UNKNOWN:
            return UNKNOWN
        found.update(dict.fromkeys(origins))
    return tuple(found)


def _compared_whole(statement: Statement) -> Statement:
    filtered = statement.columns.filtered
    within = (whole(one) for one in filtered if isinstance(one, Member))
    columns = replace(statement.columns, filtered=tuple(dict.fromkeys((*filtered, *within))))
    return replace(statement, columns=columns, scalars=())


def _calling(statement: Statement, names: Collection[str]) -> Statement:
    """A statement in which a column that has one of these names may be a call."""
    columns = statement.columns
    places = (columns.read, columns.written, columns.filtered, columns.sorted, columns.grouped, columns.joined)
    found = dict.fromkeys(one.name for place in places for one in place if one.name in names)
    if not found:
        return statement
    functions = (*statement.functions, *(Function(None, name) for name in found))
    return replace(statement, functions=functions, unknown=tuple(dict.fromkeys((*statement.unknown, "function"))))
