"""What `publish` wrote of the bundle that is served or about to be, for whoever remembers decisions (reads.json)."""

import os
from pathlib import Path
from typing import Any

import orjson

from extproc.adapters.counters import USED
from extproc.domain.ports import Reach


class Published:
    """Looks at the file each time, which takes a microsecond: it is written before the engine sees the bundle, so
    what was decided under another one is known to be old before anything is decided under the new one."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._known: tuple[int, int] | None = None
        self._reach: Reach | None = None

    def __call__(self) -> Reach | None:
        """The reach of its policies. None where it can't be told, or where each action is counted: what is remembered
        would count for nothing."""
        try:
            there = os.stat(self._file)
            known = (there.st_ino, there.st_mtime_ns)
            if known != self._known:
                with open(self._file, "rb") as file:
                    self._reach = _read(orjson.loads(file.read()))
                self._known = known
        except (OSError, LookupError, TypeError, ValueError):
            self._known = self._reach = None
        return self._reach


def _read(document: Any) -> Reach | None:
    paths, revision = document["reach"], document["revision"]
    if document[USED] is not None or paths is None or not isinstance(revision, str):
        return None
    return Reach(revision, tuple(tuple(map(str, path)) for path in paths))
