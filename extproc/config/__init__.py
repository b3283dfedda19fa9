"""Configuration: `load` turns holdpoint.yaml into one frozen Settings, or raises SettingsError with every problem
at once. Imports only the domain, so that every process can read it cheaply."""

import os
from pathlib import Path

from extproc.config import files as looks
from extproc.config.advice import advice
from extproc.config.audit import AuditSettings, ObjectStoreSettings, RecordSettings, RoleSettings, WitnessSettings
from extproc.config.checks import cross_check
from extproc.config.folder import Replaced, with_folder
from extproc.config.identity import AgentIssuer, Identity, Issuer
from extproc.config.masking import MaskingSettings
from extproc.config.postgres import Login, ServerTls
from extproc.config.reading import Reading, Reported
from extproc.config.sections import literal
from extproc.config.settings import Dns, Limits, Listen, PolicySettings, Settings, Tls, root
from extproc.config.source import WHOLE_FILE, Node, Problem, Unreadable, bytes_of, read_tree
from extproc.config.targets import Credential, Place, TargetSettings
from extproc.config.values import Address, Inspection, Network, Url, Wrong

__all__ = [
    "Address",
    "AgentIssuer",
    "AuditSettings",
    "Credential",
    "Dns",
    "Identity",
    "Inspection",
    "Issuer",
    "Limits",
    "Listen",
    "Login",
    "MaskingSettings",
    "Network",
    "ObjectStoreSettings",
    "Place",
    "PolicySettings",
    "Problem",
    "RecordSettings",
    "RoleSettings",
    "ServerTls",
    "Settings",
    "SettingsError",
    "TargetSettings",
    "Tls",
    "Url",
    "WitnessSettings",
    "advice",
    "from_document",
    "load",
    "parse",
]


class SettingsError(Exception):
    """A configuration that can't be used. `problems` are all of them, in the file's order; the text has one a line,
    as `file:line:column: what is wrong; what would be right`."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.mark.file, p.mark.line, p.mark.column, p.message)))
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        file = problem.mark.file or str(self.file)
        place = f"{file}:{problem.mark.line}:{problem.mark.column}" if problem.mark.line else file
        return f"{place}: {problem.message}"


def load(file: str | os.PathLike[str], *, files: bool = True, replaced: Replaced | None = None) -> Settings:
    """Read a configuration file, and the targets' folder that goes with it. Raises SettingsError.

    With `files` false the files that it names are not looked at: for commands of people, such as approvers, who may
    read the configuration and not the gateway's secrets. The gateway itself always looks. `replaced` are files of the
    targets' folder as they are to be, to find out before they are written whether they would do."""
    path = Path(file)
    if files:
        try:
            looks.closed(path)
        except Wrong as error:
            raise SettingsError(path, [Problem(WHOLE_FILE, str(error))]) from None
    try:
        return parse(bytes_of(path), path, files=files, replaced=replaced)
    except Unreadable as error:
        raise SettingsError(path, [error.problem]) from None


def parse(data: bytes, file: Path, *, files: bool = True, replaced: Replaced | None = None) -> Settings:
    """Read a configuration from memory, as if it stood in `file`: relative paths start there. Raises SettingsError."""
    reading = Reading(file, Path(os.path.abspath(file)).parent, files=files)
    try:
        tree, refused = read_tree(data)
    except Unreadable as error:
        raise SettingsError(file, [error.problem]) from None
    tree, more = with_folder(tree, file, reading.base, replaced or {}, strict=files)
    return _settings(tree, reading, [*refused, *more])


def from_document(document: object, file: Path, *, files: bool = True) -> Settings:
    """Read a configuration from what `root().write` made of one. `file` is where it once came from. No targets' folder
    is looked at: its targets are in the document. Raises SettingsError."""
    reading = Reading(file, Path(os.path.abspath(file)).parent, files=files)
    return _settings(literal(document, WHOLE_FILE), reading, [])


def _settings(tree: Node, reading: Reading, refused: list[Problem]) -> Settings:
    settings: Settings | None = None
    try:
        settings = root().read(tree, reading)
    except Reported:
        # Its problem is among reading.problems, or among those that the tree's reader refused.
        settings = None
    problems = [*refused, *reading.problems, *cross_check(reading)]
    if problems or settings is None:
        raise SettingsError(reading.file, problems)
    return settings
