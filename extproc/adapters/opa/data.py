"""Policies' data: defaults that come beside them, and a user's own values over these.

A rule compares values of different types without complaint, and a missing value makes it silent. So a user's value must
have its default's name and its default's type; then no threshold can be misspelt away.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import orjson

from extproc.adapters.opa.refused import PolicyRefused, Problem
from extproc.config.source import Items, Members, Node, Scalar, ScalarType, Unreadable, read_tree
from extproc.domain.decision import Mode, Recording
from extproc.domain.json import JSON
from extproc.domain.mask import Operator

SUFFIXES = (".yaml", ".yml", ".json")
# Settings that every policy has, beside those of its own data file.
COMMON = ("enabled", "mode")
# In a default, stands for any name of the user's; what it has is the default for those names.
ANY = "*"
_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


class Complaint(Exception):
    """One value that won't do, by its path in the data."""


def read(path: Path) -> dict[str, JSON]:
    """One file of data, a mapping. YAML without aliases, tags and duplicates; JSON is YAML. Raises PolicyRefused."""
    try:
        tree, problems = read_tree(path.read_bytes())
    except OSError as error:
        raise PolicyRefused([Problem(str(path), 0, f"can't be read ({error.strerror})")]) from None
    except Unreadable as error:
        raise PolicyRefused([Problem(str(path), error.problem.mark.line, error.problem.message)]) from None
    if problems:
        raise PolicyRefused([Problem(str(path), p.mark.line, p.message) for p in problems])
    if not isinstance(tree, Members):
        raise PolicyRefused([Problem(str(path), tree.mark.line, "expected a mapping at the top")])
    try:
        return cast(dict[str, JSON], _plain(tree))
    except Complaint as error:
        raise PolicyRefused([Problem(str(path), 0, str(error))]) from None


def files(place: Path) -> list[Path]:
    """The data files that a setting names: the file, or those right in the folder, sorted by name."""
    if not place.is_dir():
        return [place]
    return sorted(p for p in place.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))


def overlay(defaults: Mapping[str, JSON], place: Path | None) -> dict[str, JSON]:
    """The defaults with a user's values over them. Mappings merge, anything else is replaced; of two files with the
    same value the later by name wins. Raises PolicyRefused."""
    merged: JSON = dict(defaults)
    shape = _with_common(defaults)
    problems: list[Problem] = []
    for file in files(place) if place is not None else []:
        complaints: list[str] = []
        merged = _over(merged, shape, read(file), "", complaints)
        problems += [Problem(str(file), 0, c) for c in complaints]
    if problems:
        raise PolicyRefused(problems)
    return cast(dict[str, JSON], merged)


def _with_common(defaults: Mapping[str, JSON]) -> dict[str, JSON]:
    policies = cast(Mapping[str, Mapping[str, JSON]], defaults.get("policies", {}))
    common: dict[str, JSON] = dict(zip(COMMON, (True, Mode.ENFORCE.value), strict=True))
    return {**defaults, "policies": {name: {**own, **common} for name, own in policies.items()}}


def _over(base: JSON, shape: JSON, value: JSON, where: str, complaints: list[str]) -> JSON:
    """`value` over `base`, if it has the shape of the default `shape`."""
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            complaints.append(f"{where or 'the data'}: expected a mapping, found {_name(value)}")
            return base
        result = dict(cast(Mapping[str, JSON], base))
        for name, member in value.items():
            place = f"{where}.{name}" if where else name
            if not shape:
                # An empty mapping in the defaults is a table of the user's own; its rows say what they are.
                result[name] = member
            elif name in shape or ANY in shape:
                like = shape[name] if name in shape else shape[ANY]
                result[name] = _over(
                    result.get(name, {} if isinstance(like, Mapping) else like), like, member, place, complaints
                )
            else:
                complaints.append(f"{place}: unknown; there are: {', '.join(sorted(shape))}")
        return result
    if isinstance(shape, list):
        if not isinstance(value, list):
            complaints.append(f"{where}: expected a list, found {_name(value)}")
        else:
            kind = str if not shape else type(shape[0])
            complaints += [
                f"{where}[{i}]: expected {_NAMES[kind]}, found {_name(v)}"
                for i, v in enumerate(value)
                if type(v) is not kind
            ]
        return value
    if type(value) is not type(shape):
        complaints.append(f"{where}: expected {_name(shape)}, found {_name(value)}")
    else:
        complaints += _closed(where, value)
    return value


def _closed(where: str, value: JSON) -> list[str]:
    """The settings that every library has and whose words are ours."""
    words: list[str] = []
    if where.startswith("policies.") and where.endswith(".mode"):
        words = [m.value for m in Mode]
    elif where.startswith("policies.") and where.endswith(".operator"):
        words = [o.value for o in Operator]
    elif where == "record.default":
        words = [r.value for r in Recording]
    elif where == "history.unknown":
        words = ["block", "ignore"]
    if words and value not in words:
        return [f"{where}: expected one of {', '.join(words)}, found {value!r}"]
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return [f"{where}: expected 0 or more, found {value}"]
    return []


def _name(value: JSON) -> str:
    return "nothing" if value is None else _NAMES.get(type(value), "another type")


def _plain(node: Node) -> JSON:
    if isinstance(node, Members):
        return {key.text: _plain(value) for key, value in node.members}
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    if isinstance(node, Scalar):
        return _scalar(node)
    raise Complaint("a value that was refused")


def _scalar(scalar: Scalar) -> JSON:
    match scalar.type:
        case ScalarType.TEXT:
            return scalar.text
        case ScalarType.NULL:
            return None
        case ScalarType.BOOLEAN:
            return scalar.text.lower() == "true"
        case ScalarType.INTEGER | ScalarType.NUMBER:
            try:
                number: JSON = orjson.loads(scalar.text)
            except ValueError:
                raise Complaint(f"line {scalar.mark.line}: write the number {scalar.text!r} as JSON would") from None
            return number
