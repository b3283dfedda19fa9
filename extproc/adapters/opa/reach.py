"""What the policies of a library can read of their input, as OPA's compiler follows it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from extproc import resources
from extproc.adapters.opa.binary import OpaFailed, run
from extproc.adapters.opa.library import Library

Paths = tuple[tuple[str, ...], ...]
_MAIN = "lib/main.rego"
_DECISION = "data.holdpoint.main.decision"


def reach(library: Library, namespaces: Mapping[str, Any], opa: Path, place: Path) -> Paths | None:
    """The members of the input that a decision of the library can depend on: `opa deps` lists what any rule names, a
    whole member where a rule picks in it by a name that is not written out. `place` is a folder with its modules,
    without tests, which put inputs of their own together. `namespaces` are those of `opa inspect`.

    None where it can't be told, and for an entrypoint other than the shipped one: that a decision is made of `outcomes`
    and data alone, on which `settling` builds, is known of the shipped one."""
    sources = [f for f in namespaces.get("data.holdpoint.main", []) if not f.endswith("_test.rego")]
    if len(sources) != 1 or not _shipped(library):
        return None
    try:
        done = run(opa, ["deps", "--bundle", ".", "--format=json", _DECISION], place)
        return tuple(sorted(set(_input(orjson.loads(done.stdout)["base"])))) if done.returncode == 0 else None
    except (OpaFailed, LookupError, TypeError, ValueError):
        return None


def _shipped(library: Library) -> bool:
    ours = (resources.policies() / _MAIN).read_bytes()
    return [m.text for m in library.modules if m.place == _MAIN] == [ours]


def _input(base: Any) -> Iterator[tuple[str, ...]]:
    for reference in base:
        head, *rest = reference
        if head["value"] != "input":
            continue
        path: list[str] = []
        for step in rest:
            if step["type"] != "string":
                # An item of a list, or a key that is no text: all of what it is in.
                break
            path.append(step["value"])
        yield tuple(path)
