"""Under which other names values of certain columns go within one text: labels, and the lists of aliases and CTEs.

What the text alone can't tell (a list that renames a table's columns) counts as such a name. Those that a view gives
them are not in the text at all.
"""

import re
from collections.abc import Callable
from typing import Any, Final

Named = Callable[[str], bool]

_LISTS: Final = ("colnames", "aliascolnames")
_ROWS: Final = ("aliasname", "relname")
_CALLED: Final = ("NamedArgExpr", "ResTarget")
_WORD: Final = re.compile(r"[\w$]+")
_PATH: Final = re.compile(r"[\w.~-]*(?:/[\w.~-]+)+/?")
_STAR: Final = "*"


class Names:
    """The names of columns, those that `named` tells and those that they go under in these statements."""

    def __init__(self, named: Named, nodes: list[Any]) -> None:
        self._named = named
        self._others: set[str] = set()
        self._rows: set[str] = {_STAR}
        self._found: list[str] = []
        # What each name of a column is made into: labels, of which some have no name that could be used.
        self._becomes: dict[str, set[str]] = {}
        self._look(nodes)
        while self._found:
            name = self._found.pop()
            if name not in self._others:
                self._others.add(name)
                self._found += self._becomes.get(name, ())

    def column(self, name: str) -> bool:
        """Whether a column of this name is one of them, or may be."""
        return name in self._others or self._named(name)

    def mentioned(self, node: dict[str, Any]) -> bool:
        """Whether this very node is such a column, or something that is called so; a row that may have one; or a text
        that speaks of one."""
        if (reference := node.get("ColumnRef")) is not None:
            parts = _parts(reference)
            return any(map(self.column, parts)) or not self._rows.isdisjoint(parts[-1:])
        if any(self.column(node[tag].get("name") or "") for tag in _CALLED if tag in node):
            return True
        return (constant := node.get("A_Const")) is not None and self.spoken(constant)

    def spoken(self, constant: dict[str, Any]) -> bool:
        """Whether a constant is a text in which there is such a name as a word: SQL, or a document with members."""
        text = constant.get("sval", {}).get("sval", "")
        return isinstance(text, str) and speaks(text, self._named)

    def _look(self, nodes: list[Any]) -> None:
        """Go through a tree once; with each node comes the label that its value is given, None where it has none."""
        todo: list[tuple[Any, str | None]] = [(nodes, None)]
        while todo:
            node, label = todo.pop()
            if isinstance(node, list):
                todo += [(one, label) for one in node]
            elif isinstance(node, dict):
                if "val" in node.get("ResTarget", ()):
                    # Where it has no name, one that none can be.
                    inner = node["ResTarget"].get("name") or f"\0{len(self._becomes)}"
                    self._flows(inner, label)
                    label = inner
                self._note(node, label)
                todo += [(value, label) for value in node.values()]

    def _note(self, node: dict[str, Any], label: str | None) -> None:
        for key in _LISTS:
            self._found += [str(one.get("String", {}).get("sval", "")) for one in node.get(key, ())]
        self._rows.update(str(node[key]) for key in _ROWS if key in node)
        if label is None:
            return
        for part in _parts(node.get("ColumnRef", {})):
            self._flows(part, label)
        if self.spoken(node.get("A_Const", {})):
            self._found.append(label)

    def _flows(self, name: str, label: str | None) -> None:
        """What has this name is, or is a part of, what has that label."""
        into = self._becomes.setdefault(name, set())
        if label is not None and self._named(name):
            self._found.append(label)
        elif label is not None:
            into.add(label)


def speaks(text: str, named: Named) -> bool:
    """Whether one of the names is in a text as a word. A path is called what it is called, and has no values."""
    return any(map(named, _WORD.findall(text))) and _PATH.fullmatch(text) is None


def _parts(reference: dict[str, Any]) -> list[str]:
    """The names that a column's reference is made of."""
    parts = reference.get("fields", ())
    return [_STAR if "A_Star" in one else str(one.get("String", {}).get("sval", "")) for one in parts]
