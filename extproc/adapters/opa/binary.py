"""Finding OPA's program and running its one-shot commands."""

import os
import re
import subprocess
from pathlib import Path

from extproc import resources

OPA_VARIABLE = "HOLDPOINT_OPA"
# The longest that checking and testing a library takes is some seconds; a test that never ends must not hang a start.
COMMAND_SECONDS = 120.0


class OpaMissing(Exception):
    """There is no OPA to run. The message says where we looked and what to do."""


class OpaFailed(Exception):
    """OPA could not be run, or ended in a way that its command does not explain."""


def find_opa() -> Path:
    """The path of OPA's program: $HOLDPOINT_OPA, else beside this interpreter or on PATH, else the newest one that
    deploy/tools/fetch put in the cache. Raises OpaMissing."""
    named = os.environ.get(OPA_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise OpaMissing(f"${OPA_VARIABLE} is {named}, which is not a program that this user can run")
        return Path(named).absolute()
    try:
        return resources.executable("opa")
    except FileNotFoundError:
        pass
    cached = [p for p in (_cache() / "opa").glob("*/opa") if os.access(p, os.X_OK)]
    if cached:
        return max(cached, key=lambda p: tuple(map(int, re.findall(r"\d+", p.parent.name))))
    raise OpaMissing(
        f"there is no opa on PATH or in {_cache()}; run deploy/tools/fetch opa, or name one with ${OPA_VARIABLE}"
    )


def run(opa: Path, arguments: list[str], cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run one command of OPA to its end, whatever its exit status. Raises OpaFailed when it can't run or never ends."""
    try:
        return subprocess.run(
            [str(opa), *arguments], cwd=cwd, input=stdin, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
    except OSError as error:
        raise OpaFailed(f"{opa} can't be run ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise OpaFailed(f"`opa {arguments[0]}` did not end within {COMMAND_SECONDS:.0f} s") from error


def _cache() -> Path:
    # The same places, in the same order, as deploy/tools/fetch.
    own = os.environ.get("HOLDPOINT_CACHE")
    if own:
        return Path(own)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "holdpoint"
