"""Where the agent of the demo may live."""

import os
import sys
from pathlib import Path

import pytest

from examples.demo.agent_runtime import CACHE_VARIABLE, PYTHON_VARIABLE, cache_directory, find_interpreter, run_as
from examples.demo.processes import DemoFailed, Owner

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def test_an_interpreter_is_one_that_runs() -> None:
    """What is found is a Python with venv."""
    assert run_as(None, [str(find_interpreter(None)), "-c", "import venv"], Path("/")).returncode == 0


def test_an_interpreter_that_does_not_run_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what was tried and how to name another."""
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(DemoFailed, match=f"{tmp_path}.*{PYTHON_VARIABLE}"):
        find_interpreter(None)


def test_a_cache_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else could have put the agent's packages there."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    assert cache_directory(None) == (tmp_path / "cache").resolve()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(DemoFailed, match=CACHE_VARIABLE):
        cache_directory(None)


@needs_root
def test_another_user_is_really_another(tmp_path: Path) -> None:
    """User, group and groups are the other's; what is closed to others stays closed."""
    tmp_path.chmod(0o700)
    closed = tmp_path / "closed"
    closed.write_text("secret")
    program = f"import os; print(os.getuid(), os.getgid(), os.getgroups()); open({str(closed)!r})"
    python = find_interpreter(Owner(64101, 64101))
    done = run_as(Owner(64101, 64101), [str(python), "-c", program], Path("/"))
    assert (done.stdout.strip(), "Permission denied" in done.stderr) == ("64101 64101 []", True)


def test_a_program_that_may_not_run_is_no_exception() -> None:
    """The caller sees status 126, as in a shell."""
    assert run_as(None, [str(Path(sys.executable).parent)], Path("/")).returncode == 126
