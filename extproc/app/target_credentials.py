"""Which files an administrator may have sent to a target."""

import os

from extproc.config import Settings, TargetSettings
from extproc.console.callers import MACHINE
from extproc.console.targets import TargetRefused
from extproc.domain.principal import Principal

FOLDER = "secrets"
"""The folder beside the configuration whose files every administrator may give to any target."""


def check_credential(wanted: TargetSettings, now: Settings, by: Principal) -> None:
    """Raises TargetRefused where somebody who is known by a token alone names a file of their own choice: the gateway
    reads it for them and sends it where they say. Nothing of the file is looked at, so that nothing is told of it."""
    if by.credential == MACHINE:
        return
    folder = os.path.realpath(now.file.parent / FOLDER)
    used = {os.path.realpath(file) for t in now.targets if _origin(t) == _origin(wanted) for file in t.secrets}
    if all(file in used or _within(folder, file) for file in map(os.path.realpath, wanted.secrets)):
        return
    what = "logins" if wanted.logins else "credential"
    raise TargetRefused(
        "credential-not-yours",
        f"{what}: by a token you may name files below {now.file.parent / FOLDER}, and those that a target of "
        f"{wanted.upstream.scheme}://{wanted.upstream.authority} uses already; others are for root and the gateway's "
        "user on its machine, without a token",
    )


def _within(folder: str, file: str) -> bool:
    return file != folder and os.path.commonpath([folder, file]) == folder


def _origin(target: TargetSettings) -> tuple[str, str, int]:
    return target.upstream.scheme, target.upstream.host, target.upstream.port
