"""Public labelled data: which files of which commit, where they come from, and that they are the right ones.

The files stay out of this repository. They are downloaded when asked for, into the folder that make clean removes, or
read from a folder with checkouts or bare mirrors. Either way each file has to have the hash of its manifest.
"""

import hashlib
import io
import os
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

VARIABLE = "HOLDPOINT_EVAL_SOURCES"
_MANIFESTS = Path(__file__).parent / "manifests"
_CACHE = Path(__file__).parents[2] / ".make" / "masking-eval"
_HOST = "https://raw.githubusercontent.com"
_SECONDS = 30.0


class SourceMissing(Exception):
    """A file can't be had, or is not the one that was pinned. The message says what would help."""


@dataclass(frozen=True, slots=True)
class Source:
    """A repository of GitHub (`owner/name`), the commit that was read, and sha256 by path."""

    repository: str
    commit: str
    files: Mapping[str, str]

    def read(self, folder: Path | None, say: Callable[[str], None]) -> dict[str, str]:
        """Every file's text by path: from `folder` if there is one, else from the cache, else downloaded. Raises
        SourceMissing."""
        contents = self._local(folder) if folder is not None else self._fetched(say)
        for path, expected in self.files.items():
            found = hashlib.sha256(contents[path]).hexdigest()
            if found != expected:
                raise SourceMissing(
                    f"{self.repository}: {path} has sha256 {found[:12]}…, and the manifest says {expected[:12]}…; "
                    f"it has to be of commit {self.commit}"
                )
        return {path: data.decode("utf-8") for path, data in contents.items()}

    def _local(self, folder: Path) -> dict[str, bytes]:
        owner, _, name = self.repository.partition("/")
        places = [folder / f"{owner}+{name}" / "repo", folder / f"{owner}+{name}", folder / owner / name, folder / name]
        place = next((p for p in places if p.is_dir()), None)
        if place is None:
            shown = ", ".join(str(p.relative_to(folder)) for p in places)
            raise SourceMissing(f"{folder} has no copy of {self.repository}; one of these would be read: {shown}")
        git = next((p for p in (place / ".git", place) if (p / "objects").is_dir() or p.is_file()), None)
        if git is not None:
            return self._archived(["git", "--git-dir", str(git)] if git == place else ["git", "-C", str(place)])
        try:
            return {path: (place / path).read_bytes() for path in self.files}
        except OSError as error:
            raise SourceMissing(f"{self.repository}: {error.strerror}: {error.filename}") from None

    def _archived(self, git: list[str]) -> dict[str, bytes]:
        done = subprocess.run([*git, "archive", self.commit, *self.files], capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise SourceMissing(f"{self.repository} at {self.commit}: git archive: {said}")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            members = {m.name: tar.extractfile(m) for m in tar if m.isfile()}
        return {path: file.read() for path, file in members.items() if file is not None}

    def _fetched(self, say: Callable[[str], None]) -> dict[str, bytes]:
        kept = _CACHE / self.repository.replace("/", "+") / self.commit
        if missing := [path for path in self.files if not (kept / path).is_file()]:
            say(f"downloading {len(missing)} files of {self.repository}")
        return {path: self._one(kept / path, path) for path in self.files}

    def _one(self, kept: Path, path: str) -> bytes:
        if kept.is_file():
            return kept.read_bytes()
        address = f"{_HOST}/{self.repository}/{self.commit}/{path}"
        try:
            with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme is ours
                data: bytes = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise SourceMissing(
                f"{address} can't be had ({error}). Where there is no network, put checkouts or bare mirrors of "
                f"{', '.join(s.repository for s in sources().values())} into a folder, and give it: --sources FOLDER "
                f"(or {VARIABLE}=FOLDER)"
            ) from None
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
        part.write_bytes(data)
        part.rename(kept)
        return data


def sources() -> dict[str, Source]:
    """What is read, by the name of its manifest: lines like sha256sum's below `# repository` and `# commit`."""
    return {path.stem: parse(path.read_text("utf-8")) for path in sorted(_MANIFESTS.glob("*.sha256"))}


def parse(manifest: str) -> Source:
    """One manifest. Raises ValueError where it is not well-formed."""
    head: dict[str, str] = {}
    files: dict[str, str] = {}
    for number, line in enumerate(manifest.splitlines(), 1):
        if line.startswith("#"):
            name, _, given = line[1:].strip().partition(" ")
            head[name] = given.strip()
            continue
        digest, _, path = line.partition("  ")
        if len(digest) != 64 or not path or ".." in PurePosixPath(path).parts or path.startswith("/"):
            raise ValueError(f"line {number}: expected `<sha256>  <path>`, got {line[:80]!r}")
        files[path] = digest
    if not files or set(head) != {"repository", "commit"} or len(head["commit"]) != 40:
        raise ValueError("expected `# repository owner/name`, `# commit <40 hex digits>` and at least one file")
    return Source(head["repository"], head["commit"], files)


def given_folder(argument: Path | None) -> Path | None:
    """The folder with copies: the argument's, else the environment's, else None. Raises SourceMissing where it is
    none."""
    named = os.environ.get(VARIABLE)
    folder = argument or (Path(named) if named else None)
    if folder is not None and not folder.is_dir():
        raise SourceMissing(f"{folder} is not a folder; expected one with copies of the sources")
    return folder
