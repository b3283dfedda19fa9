"""Configuration: `load` turns holdpoint.yaml into one frozen Settings, or raises SettingsError with every problem
at once. Imports only the domain, so that every process can read it cheaply."""

import os
import stat
from pathlib import Path

from extproc.config.advice import advice
from extproc.config.checks import cross_check
from extproc.config.identity import AgentIssuer, Identity, Issuer
from extproc.config.reading import Reading, Reported
from extproc.config.settings import AuditSettings, Listen, PolicySettings, Settings, Tls, root
from extproc.config.source import MAX_BYTES, WHOLE_FILE, Problem, Unreadable, read_tree
from extproc.config.targets import Credential, TargetSettings
from extproc.config.values import Address, Inspection, Url

__all__ = [
    "Address",
    "AgentIssuer",
    "AuditSettings",
    "Credential",
    "Identity",
    "Inspection",
    "Issuer",
    "Listen",
    "PolicySettings",
    "Problem",
    "Settings",
    "SettingsError",
    "TargetSettings",
    "Tls",
    "Url",
    "advice",
    "load",
    "parse",
]


class SettingsError(Exception):
    """A configuration that can't be used. `problems` are all of them, in the file's order; the text has one a line,
    as `file:line:column: what is wrong; what would be right`."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        place = f"{self.file}:{problem.mark.line}:{problem.mark.column}" if problem.mark.line else f"{self.file}"
        return f"{place}: {problem.message}"


def load(file: str | os.PathLike[str], *, files: bool = True) -> Settings:
    """Read a configuration file. Raises SettingsError.

    With `files` false the files that it names are not looked at: for commands of people, such as approvers, who may
    read the configuration and not the gateway's secrets. The gateway itself always looks."""
    path = Path(file)
    try:
        return parse(_bytes(path), path, files=files)
    except Unreadable as error:
        raise SettingsError(path, [error.problem]) from None


def parse(data: bytes, file: Path, *, files: bool = True) -> Settings:
    """Read a configuration from memory, as if it stood in `file`: relative paths start there. Raises SettingsError."""
    reading = Reading(file, Path(os.path.abspath(file)).parent, files=files)
    try:
        tree, refused = read_tree(data)
    except Unreadable as error:
        raise SettingsError(file, [error.problem]) from None
    settings: Settings | None = None
    try:
        settings = root().read(tree, reading)
    except Reported:
        # Its problem is among reading.problems, or among those that the tree's reader refused.
        settings = None
    problems = [*refused, *reading.problems, *cross_check(reading)]
    if problems or settings is None:
        raise SettingsError(file, problems)
    return settings


def _bytes(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most. Raises Unreadable."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise Unreadable(WHOLE_FILE, f"a folder; name the file in it, such as {path / 'holdpoint.yaml'}")
        if not stat.S_ISREG(mode):
            raise Unreadable(WHOLE_FILE, "not a regular file; a configuration is read from one")
        with path.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable(WHOLE_FILE, "there is no such file; name one with --config FILE") from None
    except OSError as error:
        raise Unreadable(WHOLE_FILE, f"can't be read ({error.strerror})") from None
    except ValueError:
        raise Unreadable(WHOLE_FILE, "not a file name (it holds a NUL)") from None
