"""Where a document of a known shape has pieces of text, and a document of our own that carries one piece."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from extproc.masking.stage import MaskError
from extproc.masking.structure.llm.shapes import END, ID, KEPT, PART, SPARE, VARIES, Mark, Shape, Tree

ID_LENGTH = 256
"""Characters of what tells one text from another, at most."""

_MEMBERS = 32
"""Members of a document's outermost object that a document of ours has too, at most."""

_SMALL = 10**6
_GOING_ON = (None, False, "", "null")

Ids = tuple[tuple[str, str | int], ...]
Step = str | int


@dataclass(frozen=True, slots=True)
class Name:
    """Which text: where it stands, its ids, and what else tells it from others."""

    place: str
    ids: Ids
    parts: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a document that holds a piece of a text."""

    name: Name
    mark: Mark
    holder: dict[str, Any]
    member: str
    path: tuple[Step, ...]

    @property
    def piece(self) -> str | int:
        """The text that stands there; what VARIES may be a number of few digits."""
        piece: str | int = self.holder[self.member]
        return piece


@dataclass(slots=True)
class Reading:
    """The pieces in a document, in order, and the ids of the texts that it ends."""

    slots: list[Slot] = field(default_factory=list)
    ends: list[Ids] = field(default_factory=list)


class _Node:
    """An object in a shape's picture, at a place with a name of its own."""

    __slots__ = ("ids", "spare", "parts", "ends", "kept", "texts", "varies", "inner", "items")

    def __init__(self, tree: Mapping[str, Tree], place: str) -> None:
        forms = [(name, form) for name, item in tree.items() for form in _forms(item)]
        marks = [(name, form) for name, form in forms if isinstance(form, Mark)]
        self.ids = tuple((name, f"{place}.{name}") for name, mark in marks if mark is ID)
        self.spare = tuple((name, f"{place}.{name}") for name, mark in marks if mark is SPARE)
        self.parts = tuple(name for name, mark in marks if mark is PART)
        self.ends = tuple(name for name, mark in marks if mark is END)
        self.kept = frozenset(name for name, mark in marks if mark in (ID, SPARE, PART, END, KEPT))
        others = (ID, SPARE, PART, END, KEPT, VARIES)
        self.texts = tuple((name, mark, f"{place}.{name}") for name, mark in marks if mark not in others)
        self.varies = tuple((name, f"{place}.{name}") for name, mark in marks if mark is VARIES)
        inner = [(name, form) for name, form in forms if isinstance(form, Mapping)]
        items = [(name, form[0]) for name, form in forms if isinstance(form, list) and isinstance(form[0], Mapping)]
        self.inner = {name: _Node(form, f"{place}.{name}") for name, form in inner}
        self.items = {name: _Node(form, f"{place}.{name}") for name, form in items}

    def walk(
        self, value: dict[str, Any], ids: Ids, parts: tuple[object, ...], path: tuple[Step, ...], into: Reading
    ) -> None:
        """Read an object that stands at a path, among texts of these ids and parts."""
        if self.ids:
            ids += self.found(value)
        if self.parts:
            parts += tuple(_id(value.get(part)) for part in self.parts)
        for member in self.ends:
            if value.get(member) not in _GOING_ON:
                into.ends.append(ids)
        for member, mark, place in self.texts:
            if type(value.get(member)) is str:
                into.slots.append(Slot(Name(place, ids, parts), mark, value, member, (*path, member)))
        for member, place in self.varies:
            piece = value.get(member)
            if type(piece) is str or (type(piece) is int and 0 <= piece < _SMALL):
                into.slots.append(Slot(Name(place, ids, parts), VARIES, value, member, (*path, member)))
        for member, node in self.inner.items():
            if type(below := value.get(member)) is dict:
                node.walk(below, ids, parts, (*path, member), into)
        for member, node in self.items.items():
            if type(below := value.get(member)) is list:
                for index, item in enumerate(below):
                    if type(item) is dict:
                        own = ids
                        if node.ids and _id(item.get(node.ids[0][0])) is None:
                            own += ((node.ids[0][1], index),)
                        node.walk(item, own, parts, (*path, member, index), into)

    def found(self, value: dict[str, Any]) -> Ids:
        """The ids in an object."""
        for names in (self.ids, self.spare):
            ids = tuple((place, one) for member, place in names if (one := _id(value.get(member))) is not None)
            if ids:
                return ids
        return ()

    def carry(self, value: dict[str, Any], path: tuple[Step, ...], text: str) -> dict[str, Any]:
        """An object like this one with nothing in it but the text at the path, and what has to be there."""
        member, rest = path[0], path[1:]
        made = {name: item for name, item in value.items() if name in self.kept and _short(item)}
        if not isinstance(member, str):
            raise TypeError("a path leads from an object to a member")
        below = value[member]
        if not rest:
            made[member] = text
        elif isinstance(below, dict):
            made[member] = self.inner[member].carry(below, rest, text)
        else:
            index, node = rest[0], self.items[member]
            item = node.carry(below[index], rest[1:], text)
            if node.ids:
                item.setdefault(node.ids[0][0], index)
            made[member] = [item]
        return made


def _forms(tree: Tree) -> tuple[Tree, ...]:
    return tree if isinstance(tree, tuple) else (tree,)


def _id(value: object) -> str | int | None:
    if isinstance(value, str) and len(value) > ID_LENGTH:
        raise MaskError(f"a piece of a streamed text with an id of more than {ID_LENGTH} characters")
    return value if isinstance(value, str | int) else None


def _short(value: object) -> bool:
    return (
        value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= ID_LENGTH)
    )


@cache
def _node(shape: Shape) -> _Node:
    return _Node(shape.tree, shape.api)


def read(shape: Shape, document: dict[str, Any]) -> Reading:
    """The pieces and ends in a document of this shape. Raises MaskError for an id that is too long."""
    found = Reading()
    # What says which shape it is tells texts apart, too: a refusal is no part of an answer.
    parts = (document[shape.member],) if shape.value else ()
    node = _node(shape)
    node.walk(document, (), parts, (), found)
    if shape.ends:
        found.ends.append(node.found(document))
    return found


def carrier(shape: Shape, document: dict[str, Any], slot: Slot, text: str) -> dict[str, Any]:
    """A document of this shape that has this text in the slot's place, and nothing else but what all documents of its
    stream have."""
    node = _node(shape)
    texts = {name for name, _, _ in node.texts}
    some = [name for name, item in document.items() if name not in texts and _short(name) and _short(item)][:_MEMBERS]
    made = {shape.member: document[shape.member]} if shape.value else {}
    made |= {name: document[name] for name in some}
    return made | node.carry(document, slot.path, text)
