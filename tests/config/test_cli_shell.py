"""The command's shell: help, exit codes, errors on one line, and what is imported when."""

import os
import subprocess
import sys
import types
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

import pytest

import extproc
from extproc.cli import COMMANDS, main
from extproc.cli._common import CommandError, add_command, load_settings
from extproc.cli._times import duration
from tests.live.making import CRM, configuration
from tests.support.envoy import envoy_program

GOOD = """\
version: 1
identity: {agents: [{issuer: x, audience: a, jwks: keys.json}]}
targets: {crm: {upstream: "http://x"}}
"""


def install(monkeypatch: pytest.MonkeyPatch, run: object) -> None:
    """Put a command `up` in place that does this."""
    module = types.ModuleType("extproc.cli.up")
    module.register = lambda subparsers: add_command(subparsers, "up", "start", run)  # type: ignore[attr-defined,arg-type]
    monkeypatch.setitem(sys.modules, "extproc.cli.up", module)


def test_help_lists_the_commands_and_hides_the_internal_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every public command with its line, and the exit codes."""
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"    {command.name}" in out for command in COMMANDS if command.help)
    assert not any(f"    {command.name}" in out for command in COMMANDS if not command.help)
    assert "exit codes:" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the package's version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"holdpoint {extproc.__version__}\n"


def test_no_command_shows_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """`holdpoint` alone is wrong usage, and says what there is."""
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


def test_mistyped_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A near miss is met with the right word, and no module is imported for it."""
    assert main(["confg", "show"]) == 2
    assert capsys.readouterr().err.endswith("there is no command 'confg'; did you mean 'config'?\n")


def test_noun_without_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """A noun asks for its verb."""
    assert main(["config"]) == 2
    assert "name what to do" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["show", "schema", "docs"])
def test_verbs_have_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help of every verb ends with commands to copy."""
    assert main(["config", verb, "--help"]) == 0
    assert f"examples:\n  holdpoint config {verb}" in capsys.readouterr().out


def test_config_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file is shown with its defaults."""
    (home / "c.yaml").write_text(GOOD)
    assert main(["config", "show", "--config", str(home / "c.yaml")]) == 0
    assert "workers: 2\n" in capsys.readouterr().out


def test_config_show_with_mistakes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a bad file every mistake goes to stderr, one a line, and the code is 2."""
    (home / "c.yaml").write_text(f"{GOOD}workers: 0\nstat: x\n")
    assert main(["config", "show", "-c", str(home / "c.yaml")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        f"{home}/c.yaml:4:10: workers: 0 is not a whole number from 1 to 64",
        f'{home}/c.yaml:5:1: there is no setting "stat"; did you mean "state"?',
    ]


def test_config_variable_names_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --config, $HOLDPOINT_CONFIG says where the file is."""
    (home / "c.yaml").write_text(GOOD)
    monkeypatch.setenv("HOLDPOINT_CONFIG", str(home / "c.yaml"))
    assert main(["config", "show"]) == 0
    assert capsys.readouterr().out.startswith("version: 1\n")


def test_load_settings_tells_every_mistake(home: Path) -> None:
    """Commands get one error that carries all of the configuration's."""
    with pytest.raises(CommandError, match="no such file"):
        load_settings(Namespace(config=str(home / "none.yaml")))


def test_exit_code_is_the_command_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command returns is the exit code."""
    install(monkeypatch, lambda arguments: 1)
    assert main(["up"]) == 1


def raising(error: BaseException) -> object:
    """A command that fails in this way."""

    def run(arguments: Namespace) -> int:
        raise error

    return run


FAILURES = [
    (CommandError("no gateway runs here"), 2, "no gateway runs here\n"),
    (
        RuntimeError("two\nlines"),
        2,
        "holdpoint: unexpected error: RuntimeError: two lines (`holdpoint --debug ...` shows where)\n",
    ),
    (
        PermissionError(13, "Permission denied", "state/journal"),
        2,
        "state/journal: Permission denied; a gateway's files are for its own user and root\n",
    ),
    (KeyboardInterrupt(), 130, ""),
    (SystemExit("bad"), 2, "bad\n"),
]


@pytest.mark.parametrize(("error", "code", "text"), FAILURES, ids=[type(f[0]).__name__ for f in FAILURES])
def test_failures(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No failure is a success, none shows a traceback, and each says what it is on one line."""
    install(monkeypatch, raising(error))
    assert main(["up"]) == code
    assert capsys.readouterr().err == text


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--debug before the command shows where an unexpected error came from."""
    install(monkeypatch, raising(RuntimeError("x")))
    assert main(["--debug", "up"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_reader_that_leaves_is_no_error() -> None:
    """`holdpoint ... | head` ends quietly."""
    script = "import sys; from extproc.cli import main; sys.exit(main(['config', 'docs']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


IMPORTS = [
    (["--help"], {"yaml", "extproc.config", "asyncio", "envoy_data_plane", "grpc", "aiohttp"}),
    (["config", "--help"], {"yaml", "asyncio", "envoy_data_plane", "grpc", "aiohttp"}),
    (["config", "docs"], {"asyncio", "envoy_data_plane", "grpc", "aiohttp"}),
    (["holds", "--help"], {"envoy_data_plane"}),
    (["audit", "--help"], {"envoy_data_plane"}),
]


@pytest.mark.parametrize(("arguments", "heavy"), IMPORTS, ids=[" ".join(i[0]) for i in IMPORTS])
def test_nothing_heavy_is_imported(arguments: list[str], heavy: set[str]) -> None:
    """Help is quick, and what only generates Envoy's configuration stays out of the other commands."""
    script = (
        "import io, sys; from contextlib import redirect_stdout\n"
        "from extproc.cli import main\n"
        f"with redirect_stdout(io.StringIO()): main({arguments!r})\n"
        "print(' '.join(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert heavy & set(out.split()) == set()


def test_a_snippet_is_good_for_an_envoy_that_starts_first(home: Path) -> None:
    """In a folder where no gateway ran yet, with the file that the access log goes to."""
    document, config = home / "envoy.yaml", configuration(home, CRM, more="state: s")
    command = [sys.executable, "-m", "extproc.cli", "envoy", "snippet", "--config", str(config)]
    document.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    told = subprocess.run(
        [envoy_program(), "--mode", "validate", "-c", document], cwd=home, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20.0), ("20", 20.0), ("500ms", 0.5), ("1.5m", 90.0), ("1h", 3600.0)]
)
def test_durations(text: str, seconds: float) -> None:
    """With a unit, or in seconds."""
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1d", "-1s", "1 s", "1e3"])
def test_what_is_no_duration(text: str) -> None:
    """The message says what would be one."""
    with pytest.raises(ArgumentTypeError, match="such as 20s or 500ms"):
        duration(text)
