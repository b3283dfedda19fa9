"""Commands for a running gateway go on while its file is refused: with what was last in force, of that very file."""

import socket
from argparse import Namespace
from pathlib import Path

import pytest

from extproc.app.layout import Layout
from extproc.app.snapshot import active, publish, snapshot
from extproc.cli import main
from extproc.cli._common import CommandError
from extproc.cli._in_force import control_socket, settings_in_force
from extproc.config import load
from tests.live.making import configuration

GOOD = "version: 1\n"
TYPOS = {
    "a setting that there is not": "versoin: 1\nversion: 1\n",
    "no YAML": "version: 1\nlimits: {requests: 5\n",
    "a tab": "version: 1\n\tworkers: 2\n",
    "not UTF-8": "version: 1\n# \udcff\n",
    "twice": "version: 1\nversion: 1\n",
    "an alias": "version: 1\nworkers: *n\n",
}


def in_force(home: Path, more: str) -> Path:
    """A configuration that is in force; its file."""
    file = configuration(home, more=more)
    settings = load(file)
    settings.state.mkdir(mode=0o700, parents=True)
    publish(snapshot(settings), active(Layout(settings.state)))
    return file


def mistype(file: Path, typo: str) -> None:
    """Save it with a mistake."""
    text = file.read_text().replace(GOOD, typo, 1)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("typo", TYPOS.values(), ids=TYPOS)
@pytest.mark.parametrize(
    ("more", "state"),
    [
        ("", ".holdpoint"),
        ("state: elsewhere   # a comment", "elsewhere"),
        ("state: 'else where'", "else where"),
        ("listen: {address: 127.0.0.1:8001, control: other.sock}", ".holdpoint"),
    ],
)
def test_a_file_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, state: str, typo: str
) -> None:
    """Wherever its state is; one line says that the file is refused, and why, however often it is asked for."""
    file = in_force(tmp_path, more)
    arguments = Namespace(config=str(file))
    assert settings_in_force(arguments).state == tmp_path / state
    assert capsys.readouterr().err == ""
    mistype(file, typo)
    arguments = Namespace(config=str(file))
    expected = tmp_path / ("other.sock" if "control" in more else f"{state}/run/control.sock")
    assert control_socket(arguments) == expected
    assert settings_in_force(arguments).listen.control == expected
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}:")
    assert line.endswith("the configuration that was last in force is used, for the file is refused")


def test_what_was_in_force_of_another_file_is_another_gateways(tmp_path: Path) -> None:
    """A freeze there would be of no use here, and look like one."""
    file = in_force(tmp_path, "")
    copy = tmp_path / "other.yaml"
    copy.write_text(file.read_text())
    mistype(copy, "versoin: 1\n")
    with pytest.raises(CommandError, match=r"versoin[\s\S]*\n--control SOCKET names a running gateway's socket"):
        control_socket(Namespace(config=str(copy)))
    with pytest.raises(CommandError, match="versoin") as raised:
        settings_in_force(Namespace(config=str(copy)))
    assert "--control" not in str(raised.value)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    """What was in force once does not stand for it."""
    in_force(tmp_path, "").unlink()
    with pytest.raises(CommandError, match="there is no such file"):
        control_socket(Namespace(config=str(tmp_path / "holdpoint.yaml")))


@pytest.mark.parametrize("typo", [TYPOS["no YAML"], TYPOS["twice"]])
@pytest.mark.parametrize(
    "more", ["listen: {ops: 127.0.0.1:8002, control: c.sock}", "listen:\n  control: c.sock\nstate: s", "state: s"]
)
def test_who_may_not_enter_the_state_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: str, typo: str
) -> None:
    """As approvers may not: the socket that the file names is asked, where there is one."""
    file = configuration(tmp_path, more=more)
    mistype(file, typo)
    with pytest.raises(CommandError, match="--control"):
        control_socket(Namespace(config=str(file)))
    path = tmp_path / ("c.sock" if "control" in more else "s/run/control.sock")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A socket's path is short, and that of a test's folder need not be.
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
        assert control_socket(Namespace(config=str(file))) == path
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"; {path}, which it names, is asked, for the file is refused")


@pytest.mark.parametrize("command", [("audit", "verify"), ("audit", "report"), ("sessions", "index")])
def test_what_reads_the_state_folder_finds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Though no gateway is asked."""
    file = in_force(tmp_path, "state: elsewhere")
    mistype(file, TYPOS["twice"])
    assert main([*command, "--config", str(file)]) == 2
    refused, nothing = capsys.readouterr().err.splitlines()
    assert refused.endswith("for the file is refused")
    assert str(tmp_path / "elsewhere") in nothing


def test_the_first_problem_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And how many more there are; nothing of it moves a cursor."""
    file = in_force(tmp_path, "")
    mistype(file, "version: 1\nwrokers: 2\nsatte: x\n")
    settings_in_force(Namespace(config=str(file)))
    (line,) = capsys.readouterr().err.splitlines()
    assert "wrokers" in line
    assert " (and 1 more); " in line
