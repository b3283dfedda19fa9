"""Labelled cases: a text, and which values of which entity it has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """Characters [start, end) of a text are a value of this entity (the name its source gives it)."""

    entity: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Case:
    """A text of a source. `entities` are those that its source looked for: a finding of another entity says nothing.

    `labels` has the values, where the source says where they are. Where it says only how many, `count` is that number
    and there are no labels."""

    source: str
    entities: frozenset[str]
    text: str
    labels: tuple[Label, ...] = ()
    count: int | None = None
