"""What goes on while a file is read: where we are, what was found so far, and what is wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Never

from extproc.config.source import WHOLE_FILE, Mark, Node, Problem


class Reported(Exception):
    """A value could not be had. Its problem is noted already; whoever reads a neighbour goes on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A setting that was read well: its value and its place (its section's, when it is a default)."""

    value: Any
    mark: Mark


@dataclass(frozen=True, slots=True)
class Reading:
    """One place in the file. `file` is the configuration as its user named it, `base` the folder that relative
    paths start from, `path` the dotted name of the setting. `files` says whether the files that settings name are
    looked at. `named` is where the name stands that the user gave to what is read here. The two collections are shared
    by all places."""

    file: Path
    base: Path
    path: str = ""
    files: bool = True
    named: Mark = WHOLE_FILE
    problems: list[Problem] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)

    def member(self, name: str) -> "Reading":
        """The place of a section's member."""
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def named_member(self, name: str, mark: Mark) -> "Reading":
        """The place of what a user named so at that mark."""
        return replace(self.member(name), named=mark)

    def item(self, index: int) -> "Reading":
        """The place of a list's item."""
        return replace(self, path=f"{self.path}[{index}]")

    def note(self, node: Node, message: str) -> None:
        """Note a problem of this setting and go on."""
        self.problems.append(Problem(node.mark, f"{self.path}: {message}" if self.path else message))

    def fail(self, node: Node, message: str) -> Never:
        """Note a problem of this setting. Raises Reported, always."""
        self.note(node, message)
        raise Reported

    def keep(self, node: Node, value: Any) -> None:
        """Remember a value that was read well, for the checks that compare settings."""
        self.seen[self.path] = Seen(value, node.mark)

    def value(self, path: str) -> Any:
        """The value at a full path, or None while it has none (absent, wrong, or not read yet)."""
        seen = self.seen.get(path)
        return seen.value if seen else None

    def matching(self, pattern: str) -> Iterator[tuple[str, Seen]]:
        """The settings whose full path matches, in the file's order."""
        found = re.compile(pattern)
        return ((path, seen) for path, seen in self.seen.items() if found.fullmatch(path))
