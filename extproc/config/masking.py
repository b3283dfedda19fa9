"""The settings of masking: rules of one's own, what is not looked for, and the key of hashes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from extproc.config import kinds
from extproc.config.sections import ListOf, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingSettings:
    """What is found, beside what the rules that come with Holdpoint find. What is masked is for policy to say."""

    rules: Annotated[
        tuple[Path, ...],
        Setting(
            ListOf(kinds.FILE),
            "Files of your own rules and word lists, in YAML, beside the rules that come with Holdpoint. A change of "
            "one is followed like one of this file.",
            ["rules/acme.yaml"],
            default=[],
        ),
    ]
    disable: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(kinds.RULE),
            "What is not looked for: ids of rules, and kinds, which is all rules of a kind. Nothing of it is masked "
            "then, neither in traffic nor in the journal; a policy that names the kind stays a good one.",
            ["phone", "generic-api-key"],
            default=[],
        ),
    ]
    hash_key: Annotated[
        Path | None,
        Setting(
            kinds.KEY,
            "The key of masks that hash, so that a value has the same mask at each gateway with this key: a file of 32 "
            "bytes or more, mode 600.",
            "secrets/mask.key",
            default=None,
            off="a key of this gateway's own, `<state>/keys/mask.key`, made at its first start",
        ),
    ]
