"""The targets' folder: each `*.yaml` in it is a mapping of names to targets, read as if it stood under `targets`."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from extproc.config import files
from extproc.config.source import (
    WHOLE_FILE,
    Items,
    Mark,
    Members,
    Node,
    Problem,
    Refused,
    Scalar,
    ScalarType,
    Unreadable,
    bytes_of,
    quote,
    read_tree,
)
from extproc.config.values import Wrong

DEFAULT_FOLDER = "targets.d"
SUFFIX = ".yaml"

Replaced = Mapping[Path, bytes | None]
"""Files of the folder as they are to be: their content, or None for one that is to go."""

_EMPTY = 'empty; it holds targets, such as crm: {upstream: "https://crm.example.com"}'


def with_folder(tree: Node, file: Path, base: Path, replaced: Replaced, *, strict: bool) -> tuple[Node, list[Problem]]:
    """The configuration's tree with the folder's targets in it, and what is wrong with the folder. Where not `strict`,
    what may not be looked at is passed over in silence."""
    folder = _folder(tree, base)
    if folder is None or not isinstance(tree, Members):
        return tree, []
    problems: list[Problem] = []
    found: list[tuple[Scalar, Node]] = []
    if strict:
        try:
            files.closed(folder)
        except Wrong as error:
            problems.append(Problem(replace(WHOLE_FILE, file=str(folder)), str(error)))
    try:
        for path, data in _contents(folder, replaced, problems):
            found += _targets(path, data, problems)
    except PermissionError as error:
        if strict:
            problems.append(Problem(replace(WHOLE_FILE, file=str(error.filename or folder)), "can't be read"))
        return tree, problems
    except OSError as error:
        where = replace(WHOLE_FILE, file=str(error.filename or folder))
        return tree, [*problems, Problem(where, f"can't be read ({error.strerror})")]
    return (_merged(tree, file, found, problems) if found else tree), problems


def _folder(tree: Node, base: Path) -> Path | None:
    """The folder that the tree names; None for none, or where that is for the reader of settings to complain of."""
    given = (
        next((v for k, v in tree.members if k.text == "targets_folder"), None) if isinstance(tree, Members) else None
    )
    if given is None:
        return base / DEFAULT_FOLDER
    if isinstance(given, Scalar) and given.type is ScalarType.TEXT and given.text:
        return base / given.text
    return None


def _contents(folder: Path, replaced: Replaced, problems: list[Problem]) -> Iterator[tuple[Path, bytes]]:
    """The folder's files in the order of their names. Raises OSError."""
    there = set(folder.iterdir()) if folder.exists() else set()
    for path in sorted(there | {p for p in replaced if p.parent == folder}):
        if path.name.startswith("."):
            continue
        if path in replaced:
            content = replaced[path]
            if content is not None:
                yield path, content
        elif path.suffix == SUFFIX and stat.S_ISREG(path.stat().st_mode):
            try:
                yield path, bytes_of(path)
            except Unreadable as error:
                problems.append(_in(path, error.problem))
        elif path.suffix == ".yml":
            problems.append(Problem(replace(WHOLE_FILE, file=str(path)), f"is not read; name it {path.stem}{SUFFIX}"))


def _targets(path: Path, data: bytes, problems: list[Problem]) -> list[tuple[Scalar, Node]]:
    try:
        tree, refused = read_tree(data)
    except Unreadable as error:
        problem = error.problem if data.strip() else Problem(WHOLE_FILE, _EMPTY)
        problems.append(_in(path, problem))
        return []
    problems += [_in(path, problem) for problem in refused]
    tree = _located(tree, str(path))
    if not isinstance(tree, Members):
        if not isinstance(tree, Refused):
            problems.append(Problem(tree.mark, "expected a mapping of names to targets"))
        return []
    return list(tree.members)


def _merged(tree: Members, file: Path, found: list[tuple[Scalar, Node]], problems: list[Problem]) -> Node:
    own = next((v for k, v in tree.members if k.text == "targets"), None)
    if own is None or (isinstance(own, Scalar) and own.type is ScalarType.NULL):
        own = Members(tree.mark, ())
    if not isinstance(own, Members):
        return tree
    first = {key.text: key.mark for key, _ in own.members}
    kept = list(own.members)
    for key, node in found:
        if key.text in first:
            there = first[key.text]
            place = f"{there.file or file}:{there.line}"
            problems.append(Problem(key.mark, f"the target {quote(key.text)} is in {place} too; keep one of them"))
        else:
            first[key.text] = key.mark
            kept.append((key, node))
    others = tuple((k, v) for k, v in tree.members if k.text != "targets")
    return Members(tree.mark, (*others, (Scalar(own.mark, "targets", ScalarType.TEXT), Members(own.mark, tuple(kept)))))


def _in(path: Path, problem: Problem) -> Problem:
    return Problem(replace(problem.mark, file=str(path)), problem.message)


def _located(node: Node, file: str) -> Node:
    """The same tree, whose places name their file."""
    mark = Mark(node.mark.line, node.mark.column, file)
    if isinstance(node, Scalar):
        return Scalar(mark, node.text, node.type)
    if isinstance(node, Items):
        return Items(mark, tuple(_located(item, file) for item in node.items))
    if isinstance(node, Members):
        members = ((_key(key, file), _located(value, file)) for key, value in node.members)
        return Members(mark, tuple(members))
    return Refused(mark)


def _key(key: Scalar, file: str) -> Scalar:
    return Scalar(Mark(key.mark.line, key.mark.column, file), key.text, key.type)
