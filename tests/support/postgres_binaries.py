"""Where PostgreSQL's programs are, and as whom its server runs: it refuses to run as root."""

import os
import pwd
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE, NEWER_VARIABLE = "HOLDPOINT_POSTGRES", "HOLDPOINT_POSTGRES_NEWER"
PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")


@cache
def system_binaries() -> Path:
    """The folder of this machine's PostgreSQL: $HOLDPOINT_POSTGRES, the newest where packages put it, or that of the
    `initdb` on the PATH. Raises FileNotFoundError that says what to do."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    found = [folder for place in PLACES for folder in Path("/").glob(place) if (folder / "initdb").exists()]
    if found:
        return max(found, key=_numbers)
    if place := shutil.which("initdb"):
        return Path(place).resolve().parent
    raise FileNotFoundError(f"no PostgreSQL server: install Debian's `postgresql`, or name its folder with ${VARIABLE}")


@cache
def newer_binaries() -> Path:
    """The folder of a newer major: $HOLDPOINT_POSTGRES_NEWER, what stands beside this interpreter, or the newest in the
    cache of deploy/tools/fetch. Raises FileNotFoundError that says what to do."""
    if named := os.environ.get(NEWER_VARIABLE):
        return Path(named)
    beside = Path(sys.executable).parent / "postgres"  # one on the PATH is the system's
    if os.access(beside, os.X_OK):
        return beside.resolve().parent
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cached = Path(os.environ.get("HOLDPOINT_CACHE") or Path(home) / "holdpoint") / "postgres"
    found = [path for path in cached.glob("*/bin") if os.access(path / "postgres", os.X_OK)]
    if not found:
        raise FileNotFoundError(
            f"no newer PostgreSQL in {cached}; run `make postgres`, or name its folder with ${NEWER_VARIABLE}"
        )
    return max(found, key=_numbers)


@cache
def program(name: str) -> str:
    """A client's program: psql, pgbench, pgbouncer. Raises FileNotFoundError that says what to do."""
    beside = system_binaries() / name  # Debian's /usr/bin/psql is a Perl script that finds this one
    found = str(beside) if beside.exists() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise FileNotFoundError(f"no {name}: install Debian's `postgresql-client`, `postgresql-contrib` or `pgbouncer`")
    return found


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a server runs as, in subprocess's terms; None: whoever we are."""

    user: int | None = None
    group: int | None = None

    @property
    def groups(self) -> list[int] | None:
        """Its further groups: none of root's."""
        return None if self.user is None else []

    def give(self, folder: Path) -> None:
        """Make all in the folder this user's."""
        if self.user is not None and self.group is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.user, self.group, follow_symlinks=False)

    def reaches(self, path: Path) -> bool:
        """Whether this user may enter it and all above it."""
        return self.user is None or all(p.stat().st_mode & 0o001 for p in (path, *path.parents))


@cache
def owner() -> Owner:
    """Whom a server of ours runs as. Raises LookupError for root on a machine that knows nobody else."""
    if os.geteuid():
        return Owner()
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_uid, entry.pw_gid)
    raise LookupError("PostgreSQL does not run as root, and this machine has no user `postgres` or `nobody`")


def reachable_folder() -> Path:
    """A new folder, which the server's owner can get at (pytest's folders it can't, under root). It is theirs."""
    places = [Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")]
    place = next((p for p in places if owner().reaches(p)), None)
    assert place is not None, f"none of {places} can be reached by another user"
    folder = Path(tempfile.mkdtemp(prefix="hp-pg-", dir=place))
    owner().give(folder)
    return folder


def reachable_copy(binaries: Path, folder: Path) -> Path:
    """These programs, or a copy below `folder` where the owner can't get at them (root's cache)."""
    if owner().reaches(binaries):
        return binaries
    shutil.copytree(binaries.parent, folder / "program", symlinks=True, copy_function=_link)
    return folder / "program" / "bin"


def clean_environment() -> dict[str, str]:
    """Ours, without what changes how PostgreSQL's programs behave."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def literal(text: str) -> str:
    """Text as SQL's and postgresql.conf's string constant."""
    return "'" + text.replace("'", "''") + "'"


def _link(source: str, place: str) -> str:
    try:
        os.link(source, place)
    except OSError:  # another file system
        shutil.copy2(source, place)
    return place


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(path))))
