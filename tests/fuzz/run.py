"""One target under atheris (libFuzzer that sees which Python was reached); started by `python -m tests.fuzz`, for
libFuzzer owns its process and ends it."""

import hashlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped]

_SEEN = [
    *("extproc.masking", "extproc.protocols.postgres", "extproc.server.terminator.proxy_v2"),
    "tests.fuzz.targets.work",
]
"""Packages and modules whose branches libFuzzer sees."""


class Findings:
    """Keeps what a target raises and lets the fuzzer go on: the smallest input for each place and message."""

    def __init__(self, target: Callable[[bytes], None], folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._sizes: dict[str, int] = {}

    def __call__(self, data: bytes) -> None:
        try:
            self._target(data)
        except Exception as error:
            frames = [(frame.filename, frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__)]
            said = str(error) if isinstance(error, AssertionError) else ""
            name = hashlib.sha1(repr((type(error), said, frames[-2:])).encode(), usedforsecurity=False).hexdigest()[:12]
            if len(data) < self._sizes.get(name, sys.maxsize):
                self._sizes[name] = len(data)
                self._folder.joinpath(name).write_bytes(data)
                self._folder.joinpath(f"{name}.txt").write_text(traceback.format_exc())


def main() -> None:
    """argv: the target's name, the folder for what is found, then libFuzzer's own arguments."""
    # What is C (pglast, RE2) is not seen.
    with atheris.instrument_imports(include=_SEEN):
        from tests.fuzz.targets import TARGETS

    target, folder = TARGETS[sys.argv.pop(1)], Path(sys.argv.pop(1))
    atheris.Setup(sys.argv, Findings(target, folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
