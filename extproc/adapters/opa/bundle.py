"""From a folder of policies to the bundle that OPA serves. A bundle that is not good enough is never written."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import orjson

from extproc.adapters.counters import USED, wants_counters
from extproc.adapters.opa import library as libraries
from extproc.adapters.opa.binary import find_opa
from extproc.adapters.opa.check import Checked, check
from extproc.adapters.opa.files import write_private
from extproc.adapters.opa.metadata import Policy
from extproc.adapters.opa.reach import Paths
from extproc.domain.decision import Mode

READS = "reads.json"
_REVISION_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory. `revision` is hex, the start of a SHA-256 over its contents; `archive` a tar.gz; `counters`
    the gravest mode of a rule in it that reads exact counters, None where no rule does; `reach` what its policies can
    read of their input, None where that can't be told."""

    revision: str
    policies: tuple[Policy, ...]
    archive: bytes
    counters: Mode | None
    reach: Paths | None = None


def build(
    folder: Path | None = None, user_data: Path | None = None, *, opa: Path | None = None, tests: bool = True
) -> Bundle:
    """Load, check, test and pack a library (None: the shipped one). Blocks for about a second.
    Raises PolicyRefused, OpaMissing, OpaFailed."""
    checked = check(libraries.load(folder, user_data), opa or find_opa(), tests=tests)
    return pack(checked)


def publish(bundle: Bundle, destination: Path) -> None:
    """Put a bundle where the managed OPA watches, in one step, and before that, beside it, what workers need to know
    of it (reads.json, for counters.Wanted and published.Published). Raises OSError; the old bundle stays then."""
    reads = {
        USED: None if bundle.counters is None else bundle.counters.value,
        "revision": bundle.revision,
        "reach": bundle.reach,
    }
    write_private(destination.parent / READS, orjson.dumps(reads))
    write_private(destination, bundle.archive)


def revision(checked: Checked) -> str:
    """What names these contents: the same modules and data give the same revision anywhere."""
    digest = hashlib.sha256()
    for place, content in _members(checked, ""):
        name = place.encode()
        digest.update(b"%d %b %d %b" % (len(name), name, len(content), content))
    return digest.hexdigest()[:_REVISION_CHARACTERS]


def pack(checked: Checked) -> Bundle:
    """Write the archive: the same library gives the same bytes."""
    name = revision(checked)
    manifest = orjson.dumps({"revision": name, "roots": ["holdpoint"], "rego_version": 1})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for place, content in [("/.manifest", manifest), *_members(checked, name)]:
            entry = tarfile.TarInfo(place)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    counters = wants_counters(checked.metadata())
    return Bundle(name, checked.policies, gzip.compress(buffer.getvalue(), mtime=0), counters, checked.reach)


def _members(checked: Checked, name: str) -> list[tuple[str, bytes]]:
    modules = [(f"/{m.place}", m.text) for m in checked.library.modules if not m.is_test]
    return [("/data.json", orjson.dumps(checked.data(name), option=orjson.OPT_SORT_KEYS)), *modules]
