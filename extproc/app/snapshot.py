"""The configuration in force, whole, as one file: what `up` publishes and the programs that it started read.

They never read what people edit: so all of them serve the same, and a file that is half saved, or wrong, reaches none.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from extproc.app.layout import Layout, StateUnusable
from extproc.config import Place, Settings, SettingsError, from_document, load
from extproc.config.settings import root

SNAPSHOT = "active.json"
"""The snapshot in force."""

IN_FORCE = "in-force.json"
"""Beside it: the `version` that every program and Envoy have; `pending` says why a later one is not in force yet."""

REFUSED = "refused.json"
"""Beside it while the files are not what is in force: `why`, `at`, and the `version` that was refused, if it could be
read."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration and its version: 16 hex digits that change with anything in it."""

    settings: Settings
    version: str


def snapshot(settings: Settings) -> Snapshot:
    """What these settings are as a snapshot."""
    return Snapshot(settings, hashlib.sha256(_text(settings)).hexdigest()[:16])


def publish(taken: Snapshot, path: Path) -> None:
    """Put a snapshot where `read` finds it: by rename, mode 0600, forced to the disk. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    replace_file(path, _text(taken.settings))


def read(path: Path) -> Snapshot:
    """The published snapshot, through the reader that reads configurations. The files that it names are not looked at:
    that was done before it was published. Raises StateUnusable."""
    try:
        data = path.read_bytes()
        document = orjson.loads(data)
        settings = from_document(document["settings"], Path(document["file"]), files=False)
        places = {name: Place(Path(file), line) for name, (file, line) in document["places"].items()}
        targets = tuple(replace(target, place=places[target.name]) for target in settings.targets)
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}; start the gateway with `holdpoint up`") from error
    except (SettingsError, ValueError, KeyError, TypeError) as error:
        raise StateUnusable(f"{path}: not a configuration that this version wrote; start the gateway again") from error
    return Snapshot(replace(settings, targets=targets), hashlib.sha256(data).hexdigest()[:16])


def settings_for(config: Path) -> Settings:
    """The configuration for one of the programs that `up` starts: from a snapshot where the path is one, else from the
    file. Raises StateUnusable, SettingsError."""
    return read(config).settings if config.name == SNAPSHOT else load(config)


def active(layout: Layout) -> Path:
    """Where the snapshot in force is."""
    return layout.config / SNAPSHOT


def replace_file(path: Path, data: bytes) -> None:
    """Write a file by rename, mode 0600, forced to the disk. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _text(settings: Settings) -> bytes:
    document: dict[str, Any] = {
        "format": _FORMAT,
        "file": str(settings.file),
        "settings": root().write(settings),
        "places": {t.name: [str(t.place.file), t.place.line] for t in settings.targets},
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
