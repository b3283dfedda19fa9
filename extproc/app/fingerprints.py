"""Fingerprints of the targets' credentials: made by `up`, which reads the files; known to workers, which do not."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc.app.layout import Layout, StateUnusable
from extproc.app.snapshot import replace_file
from extproc.config import Settings
from extproc.masking.engine.fingerprint import (
    NONE,
    SHORTEST,
    Fingerprint,
    Fingerprints,
    FingerprintsUnreadable,
    dump,
    fingerprints_of,
    load,
    load_current,
)

FILE = "fingerprints.json"
_KEY_BYTES = 32
_LOOK_SECONDS = 0.2
_log = logging.getLogger("holdpoint.credentials")


@dataclass(frozen=True, slots=True)
class Collected:
    """A document for workers, and what it leaves out: lines for people, naming files and targets, never a secret."""

    document: bytes
    problems: tuple[str, ...]


def path_of(layout: Layout) -> Path:
    """Where the document is."""
    return layout.config / FILE


def collect(settings: Settings, key: bytes, former: bytes = b"") -> Collected:
    """Read every credential file. `former` is the document before this one, under the same key: what it knows stays
    known for one more change, since answers on their way may hold a credential that was replaced a moment ago."""
    found: dict[Fingerprint, None] = {}
    problems: list[str] = []
    for shown in _shown(settings):
        try:
            secret = shown.file.read_bytes().strip(b"\r\n")
        except OSError as error:
            problems.append(f"{shown.setting}: {shown.file}: {error.strerror}")
            continue
        made = fingerprints_of(secret, shown.prefix, key)
        if not made:
            problems.append(
                f"{shown.setting}: a secret of less than {SHORTEST} bytes is not recognised when an answer echoes it; "
                "use a longer one"
            )
        found |= dict.fromkeys(made)
    previous: tuple[Fingerprint, ...] = ()
    if former:
        before = load_current(former).items
        gone = tuple(item for item in before if item not in found)
        # Without a replaced credential this is no change: those replaced before are kept on.
        previous = gone or tuple(item for item in load(former).items if item not in found)
    return Collected(dump(found, previous, key), tuple(problems))


def publish(settings: Settings, layout: Layout) -> tuple[str, ...]:
    """Collect, and put the document where workers read it (mode 0600, by rename) if it is another than the one there;
    gives what it leaves out. Call it at the start, and whenever the configuration or a credential's file changed.
    Raises StateUnusable."""
    path = path_of(layout)
    former = _former(path)
    key = load(former).key if former else secrets.token_bytes(_KEY_BYTES)
    collected = collect(settings, key, former)
    if collected.document != former:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, collected.document)
        except OSError as error:
            raise StateUnusable(f"{path}: {error.strerror}") from error
    return collected.problems


def read(layout: Layout) -> Fingerprints:
    """What a worker looks for: load it once, and again when the file is another. NONE where no credential is set.
    Raises StateUnusable where the document is missing or damaged, for then nobody knows what to look for."""
    path = path_of(layout)
    try:
        found = load(path.read_bytes())
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}; start the gateway with `holdpoint up`") from error
    except FingerprintsUnreadable as error:
        raise StateUnusable(f"{path}: {error}") from error
    return found or NONE


class Credentials:
    """Keeps what is published equal to the credentials' files. Its methods block for milliseconds, and may be called
    from any thread, one at a time."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings, self._layout = settings, layout
        self._seen: frozenset[tuple[str, int, int, int]] | None = None
        self._said: tuple[str, ...] = ()

    def use(self, settings: Settings) -> None:
        """Take a new configuration. Raises StateUnusable; until that is mended, each look tries again."""
        # Also with the same files: they may count for other targets, or be sent in another form.
        self._settings, self._seen = settings, None
        self.look()

    def look(self) -> None:
        """Publish anew if a file is another than it was. Raises StateUnusable."""
        seen = self._stamps()
        if seen != self._seen:
            problems = publish(self._settings, self._layout)
            for line in problems if problems != self._said else ():
                _log.warning("%s", line)
            self._seen, self._said = seen, problems

    async def keep(self) -> None:
        """Look five times a second until cancelled: Envoy has a replaced credential within a second. Raises
        StateUnusable."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def _stamps(self) -> frozenset[tuple[str, int, int, int]]:
        found = set()
        for shown in _shown(self._settings):
            with contextlib.suppress(OSError):
                there = shown.file.stat()
                found.add((str(shown.file), there.st_ino, there.st_mtime_ns, there.st_size))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A secret that is shown to a target: the setting that names its file, and what stands before it there."""

    setting: str
    file: Path
    prefix: str


def _shown(settings: Settings) -> Iterator[_Shown]:
    """What could be echoed. Of a certificate's key nothing is ever sent."""
    for target in settings.targets:
        if target.credential is not None:
            yield _Shown(f"targets.{target.name}.credential", target.credential.file, target.credential.prefix)
        for index, login in enumerate(target.logins):
            if login.password is not None:
                yield _Shown(f"targets.{target.name}.logins[{index}].password", login.password, "")


def _former(path: Path) -> bytes:
    """The document that is there, or nothing where there is none that we can go on from."""
    try:
        data = path.read_bytes()
        load(data)
    except (OSError, FingerprintsUnreadable):
        return b""
    return data
