"""The rules that come with Holdpoint: the YAML files beside this module."""

from dataclasses import replace
from functools import cache
from importlib.resources import files

from extproc.masking.checks import named
from extproc.masking.rules.model import Family, Rule
from extproc.masking.rules.reading import read, unique

_NOT_FILLED = "not_filled"


@cache
def rules() -> tuple[Rule, ...]:
    """All of them, read once. Raises RulesInvalid where the installation is damaged."""
    here = files("extproc.masking.rules")
    texts = sorted((item.name, item.read_text("utf-8")) for item in here.iterdir() if item.name.endswith(".yaml"))
    return unique((_unfilled(rule) for name, text in texts for rule in read(text, name)), "shipped rules")


def _unfilled(rule: Rule) -> Rule:
    """A rule for secrets without what templates have in place of one (`ghp_xxxx…`): docs are full of it, and it opens
    nothing. A private key is one whatever stands in it."""
    if rule.family is not Family.SECRET or rule.kind == "private-key":
        return rule
    own, not_filled = rule.check, named(_NOT_FILLED)

    def check(data: bytes, start: int, end: int) -> int:
        end = own(data, start, end) if own is not None else end
        return end and not_filled(data, start, end)

    return replace(rule, check=check, checks=", ".join(filter(None, (rule.checks, _NOT_FILLED))))
