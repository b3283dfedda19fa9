"""Who changed the configuration: the administrator whom the control process let do it, or whoever owns the files."""

import hashlib
import pwd
from dataclasses import dataclass
from pathlib import Path

import orjson

from extproc.app.layout import Layout
from extproc.app.snapshot import replace_file
from extproc.config import Settings
from extproc.domain.json import JSON, Document

_NOTE = "change.json"


@dataclass(frozen=True, slots=True)
class Author:
    """The principal document of an administrator, or the names of the changed files' owners."""

    principal: Document | None
    owners: tuple[str, ...]

    def document(self) -> JSON:
        """As records carry it."""
        return dict(self.principal) if self.principal is not None else {"owners": list(self.owners)}


def announce(layout: Layout, path: Path, data: bytes | None, by: Document) -> None:
    """Say whose doing it will be when this file of the targets' folder has this content, or is gone (None). Raises
    OSError."""
    replace_file(layout.config / _NOTE, orjson.dumps({"path": str(path), "sha256": _hash(data), "by": by}))


def announced(layout: Layout) -> bool:
    """Whether the change that was announced last is written, and not read yet. Such a file is whole."""
    try:
        note = orjson.loads((layout.config / _NOTE).read_bytes())
        return bool(_hash(_content(Path(note["path"]))) == note["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def author_of(layout: Layout, settings: Settings, changed: frozenset[Path]) -> Author:
    """Whose doing it is that these paths are not what they were. What was announced counts for one change of its
    file: whoever brings the same content back later did that themselves."""
    files, kept = changed - {settings.targets_folder}, layout.config / _NOTE
    try:
        note = orjson.loads(kept.read_bytes())
        path = Path(note["path"])
        if path in files:
            kept.unlink()
        if files == {path} and _hash(_content(path)) == note["sha256"]:
            return Author(note["by"], ())
    except (OSError, ValueError, KeyError, TypeError):
        # Nobody announced anything that we could read: the files say it.
        pass
    return Author(None, tuple(sorted({_owner(path) for path in changed})))


def _hash(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _owner(path: Path) -> str:
    """The owner of the file, or of the folder that it was in."""
    try:
        uid = (path if path.exists() else path.parent).stat().st_uid
    except OSError:
        return "unknown"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
