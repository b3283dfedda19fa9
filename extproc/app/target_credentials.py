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
    if wanted.credential is None or by.credential == MACHINE:
        return
    file = os.path.realpath(wanted.credential.file)
    folder = os.path.realpath(now.file.parent / FOLDER)
    if file != folder and os.path.commonpath([folder, file]) == folder:
        return
    used = [t.credential.file for t in now.targets if t.credential is not None and _origin(t) == _origin(wanted)]
    if file in map(os.path.realpath, used):
        return
    raise TargetRefused(
        "credential-not-yours",
        f"credential: by a token you may name files below {now.file.parent / FOLDER}, and those that a target of "
        f"{wanted.upstream.scheme}://{wanted.upstream.authority} uses already; others are for root and the gateway's "
        "user on its machine, without a token",
    )


def _origin(target: TargetSettings) -> tuple[str, str, int]:
    return target.upstream.scheme, target.upstream.host, target.upstream.port
