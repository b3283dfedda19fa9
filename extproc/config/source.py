"""From bytes to a small tree in which every node knows its place. YAML without its surprises.

Read are mappings, lists and plain values, with the value types of YAML 1.2's core schema (`no` is text, `12:30` is
text). Aliases, anchors, tags and merge keys are refused: each makes a file mean something that its reader doesn't see.
The tree is bounded in size and depth before it is built.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1. (0, 0) is the file as a whole. `file` is empty in the
    configuration itself, and names a file of the targets' folder."""

    line: int
    column: int
    file: str = ""


WHOLE_FILE = Mark(0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong: where, and in words that say what would be right."""

    mark: Mark
    message: str


class ScalarType(StrEnum):
    """What a plain value is; the words are those that people read in a message."""

    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    NULL = "nothing"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value: its text as written, and its type."""

    mark: Mark
    text: str
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    mark: Mark
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Members:
    """A mapping, in the file's order, without duplicates."""

    mark: Mark
    members: tuple[tuple[Scalar, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was reported already; readers pass over it in silence."""

    mark: Mark


Node = Scalar | Items | Members | Refused


class Unreadable(Exception):
    """The file can't be read any further; carries the one problem that says so."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(mark, message)


def quote(text: str) -> str:
    """A value as messages show it: in quotes, cut at 60 characters, nothing in it that could move a cursor."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut) + '"'


def bytes_of(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most. Raises Unreadable."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise Unreadable(WHOLE_FILE, f"a folder; name the file in it, such as {path / 'holdpoint.yaml'}")
        if not stat.S_ISREG(mode):
            raise Unreadable(WHOLE_FILE, "not a regular file; a configuration is read from one")
        with path.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable(WHOLE_FILE, "there is no such file; name one with --config FILE") from None
    except OSError as error:
        raise Unreadable(WHOLE_FILE, f"can't be read ({error.strerror})") from None
    except ValueError:
        raise Unreadable(WHOLE_FILE, "not a file name (it holds a NUL)") from None


def read_tree(data: bytes) -> tuple[Node, list[Problem]]:
    """The file's tree, and what was refused in it. Raises Unreadable where nothing can be made of the file."""
    if len(data) > MAX_BYTES:
        raise Unreadable(WHOLE_FILE, f"larger than {MAX_BYTES // 1024} KiB; is this the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        raise Unreadable(Mark(before.count(b"\n") + 1, column), "not UTF-8 text; save the file as UTF-8") from None
    try:
        builder = _Builder(text)
        return builder.document(), builder.problems
    except ReaderError as error:
        before_text = text[: error.position]
        mark = Mark(before_text.count("\n") + 1, error.position - (before_text.rfind("\n") + 1) + 1)
        raise Unreadable(mark, "a control character, which YAML does not allow; remove it") from None
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = _mark(place) if place else WHOLE_FILE
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise Unreadable(mark, f"not YAML: {why}") from None
    except (ValueError, OverflowError):
        # PyYAML lets int() and chr() fail on absurd %YAML versions and \U escapes.
        raise Unreadable(WHOLE_FILE, "not YAML: a number or an escape in it is out of range") from None


class _Events(Reader, Scanner, Parser):
    """PyYAML's parser alone: no composer, no constructor, so that no tag can ever build an object."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


# YAML 1.2's core schema. What matches none of these is text.
_TYPES = (
    (ScalarType.NULL, re.compile(r"null|Null|NULL|~|")),
    (ScalarType.BOOLEAN, re.compile(r"true|True|TRUE|false|False|FALSE")),
    (ScalarType.INTEGER, re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    (ScalarType.NUMBER, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")),
)


class _Builder:
    """Turns parser events into nodes, and notes what it refuses on the way."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._events: Any = _Events(text)

    def document(self) -> Node:
        self._next()
        if self._events.check_event(yaml.StreamEndEvent):
            raise Unreadable(WHOLE_FILE, "empty; a configuration starts with `version: 1`")
        self._next()
        root = self._node(self._next(), 0)
        self._next()
        if not self._events.check_event(yaml.StreamEndEvent):
            mark = _mark(self._events.peek_event().start_mark)
            self.problems.append(Problem(mark, "a second document starts here; a configuration is one document"))
        return root

    def _next(self) -> Any:
        return self._events.get_event()

    def _node(self, event: Any, depth: int) -> Node:
        mark = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise Unreadable(mark, f"nested deeper than {MAX_DEPTH} levels; a configuration needs fewer")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(mark, f"the alias {quote(str(event.anchor))} is not read here; write the value out")
            return Refused(mark)
        if event.anchor is not None:
            self._refuse(mark, f"the anchor {quote(event.anchor)} is not read here; remove it")
        tagged = event.tag is not None
        if event.tag is not None:
            self._refuse(mark, f"the tag {quote(event.tag)} is not read here; remove it")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Items(mark, tuple(self._node(e, depth + 1) for e in self._until(yaml.SequenceEndEvent)))
        else:
            node = Members(mark, tuple(self._members(depth + 1)))
        return Refused(mark) if tagged else node

    def _scalar(self, event: Any, mark: Mark) -> Scalar | Refused:
        if not event.value.isprintable():
            self._refuse(mark, "the value holds a line break or a character that does not print; no setting has one")
            return Refused(mark)
        plain = event.style is None
        kind = next((t for t, r in _TYPES if plain and r.fullmatch(event.value)), ScalarType.TEXT)
        return Scalar(mark, event.value, kind)

    def _members(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        first: dict[str, Mark] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._node(event, depth)
            value = self._node(self._next(), depth)
            if isinstance(key, Refused):
                continue
            if not isinstance(key, Scalar):
                self._refuse(key.mark, "a list or a mapping can't be the name of a setting")
            elif key.text == "<<":
                self._refuse(key.mark, "merge keys (<<) are not read here; write the settings out")
            elif key.text in first:
                self._refuse(key.mark, f"{quote(key.text)} is written twice, first on line {first[key.text].line}")
            else:
                first[key.text] = key.mark
                yield key, value

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := self._next(), end):
            yield event

    def _refuse(self, mark: Mark, message: str) -> None:
        self.problems.append(Problem(mark, message))


def _mark(place: Any) -> Mark:
    return Mark(place.line + 1, place.column + 1)
