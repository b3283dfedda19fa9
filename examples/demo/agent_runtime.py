"""Where the demo's agent lives: another user where possible, a Python which that user can run, packages of its own."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.demo.processes import DemoFailed, Owner

AGENT_FILES = Path(__file__).resolve().parent.parent / "autogen"
LOCK_FILE = AGENT_FILES / "requirements.txt"
# Numbers that no distribution hands out: above Debian's and Fedora's ranges for people, below 65534 (nobody).
UNUSED_IDS = range(64101, 64200)
OLDEST_PYTHON = (3, 11)  # requirements.txt is resolved for 3.11 and later
CACHE_VARIABLE = "HOLDPOINT_DEMO_CACHE"
PYTHON_VARIABLE = "HOLDPOINT_DEMO_PYTHON"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What starts the agent: the interpreter of its virtual environment, and its user (None: the same as ours)."""

    python: Path
    owner: Owner | None


def other_user() -> Owner | None:
    """A user and group number that nobody has, or None when this process may not change its user."""
    if os.geteuid() != 0:
        return None
    for number in UNUSED_IDS:
        try:
            pwd.getpwuid(number)
        except KeyError:
            return Owner(number, number)
    raise DemoFailed(
        f"every user number from {UNUSED_IDS.start} to {UNUSED_IDS.stop - 1} is taken; the agent needs a free one"
    )


def prepare(owner: Owner | None, say: Callable[[str], None]) -> Runtime:
    """The agent's virtual environment, made on first use and kept for the next run.

    Raises DemoFailed when no interpreter can be run by `owner`, or when the packages can't be installed.
    """
    interpreter = find_interpreter(owner)
    content = f"{interpreter}\n{interpreter.stat().st_mtime_ns}\n".encode() + LOCK_FILE.read_bytes()
    cache = cache_directory(owner)
    place = cache / f"agent-{hashlib.sha256(content).hexdigest()[:16]}"
    runtime = Runtime(place / "bin" / "python", owner)
    with _lock(cache / f"{place.name}.lock"):
        # The mark is written last: a directory without it is what an interrupted run left.
        mark = place / "complete"
        if not mark.exists():
            say(f"installing AutoGen for the agent, once ({_installer_name()}, {place})")
            shutil.rmtree(place, ignore_errors=True)
            _install(interpreter, place)
            mark.touch()
    return runtime


def find_interpreter(owner: Owner | None) -> Path:
    """A Python that `owner` can run, tried by running it. Raises DemoFailed with what would help."""
    if (named := os.environ.get(PYTHON_VARIABLE)) is not None:
        candidates = [named]
    else:
        names = [f"python3.{minor}" for minor in (11, 12, 13)]
        folders = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
        candidates = [getattr(sys, "_base_executable", sys.executable) or sys.executable]
        candidates += [f"{folder}/{name}" for folder in folders for name in names]
    for candidate in candidates:
        path = Path(candidate).resolve()
        if path.exists() and _runs(path, owner):
            return path
    raise DemoFailed(
        f"found no Python 3.{OLDEST_PYTHON[1]} to 3.13 with `venv` that the agent's user can run; "
        f"tried {', '.join(candidates)}. "
        f"Install one for all users (for example `apt install python3`), or name it in {PYTHON_VARIABLE}"
    )


def _runs(python: Path, owner: Owner | None) -> bool:
    program = f"import sys, venv, ssl; sys.exit(not ({OLDEST_PYTHON} <= sys.version_info < (3, 14)))"
    return run_as(owner, [str(python), "-I", "-c", program], cwd=Path("/")).returncode == 0


def run_as(
    owner: Owner | None, argv: list[str], cwd: Path, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a short program as `owner` and collect what it says. Return code 126 means that `owner` may not run it."""
    identity: dict[str, object] = {} if owner is None else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    try:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            argv,
            cwd=cwd,
            env=env if env is not None else {"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **identity,
        )
    except OSError as error:
        return subprocess.CompletedProcess(argv, 126, "", str(error))


def cache_directory(owner: Owner | None) -> Path:
    """A directory of ours that `owner` can enter. Raises DemoFailed when the place is taken by somebody else."""
    if (named := os.environ.get(CACHE_VARIABLE)) is not None:
        cache = Path(named).resolve()
    elif owner is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "holdpoint-demo"
    else:
        # Not below the home of root, which others can't enter. /var/tmp outlives a reboot.
        lasting = Path("/var/tmp")  # noqa: S108 - the directory below is checked to be ours alone
        base = lasting if lasting.is_dir() else Path(tempfile.gettempdir())
        cache = base / f"holdpoint-demo-{os.geteuid()}"
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    found = cache.lstat()
    # In a directory that everybody can write to, somebody may have been there first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise DemoFailed(
            f"{cache} must be a directory of this user that nobody else can write to; set {CACHE_VARIABLE} to another"
        )
    if owner is not None and found.st_mode & 0o055 != 0o055:
        # Made under a strict umask; the agent's user has to enter it.
        cache.chmod(0o755)
    return cache


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Two demos at once: one installs, the other waits for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _installer_name() -> str:
    return "uv, some seconds" if _uv() else "pip, up to a minute"


def _install(interpreter: Path, place: Path) -> None:
    # `--without-pip` works where a distribution leaves ensurepip out. The packages come from uv or from our own pip.
    _step([str(interpreter), "-I", "-m", "venv", "--without-pip", str(place)])
    python = str(place / "bin" / "python")
    if (uv := _uv()) is not None:
        # Copied, not linked: a link into this user's cache could be closed to the agent.
        _step(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--link-mode",
                "copy",
                "--python",
                python,
                "--requirement",
                str(LOCK_FILE),
            ]
        )
    else:
        _step([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--requirement", str(LOCK_FILE)])
    _step([python, "-I", "-m", "compileall", "-q", str(place / "lib")], may_fail=True)


def _step(argv: list[str], may_fail: bool = False) -> None:
    # With a PYTHONPATH, pip takes what is on it for installed already.
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, umask=0o022, env=env
        )
    except OSError as error:
        raise DemoFailed(f"could not run {argv[0]}: {error}") from error
    if done.returncode != 0 and not may_fail:
        raise DemoFailed(
            f"could not make the agent's environment: `{' '.join(argv)}` said:\n{(done.stdout + done.stderr)[-2000:]}"
        )
