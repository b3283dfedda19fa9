"""The rules that come with Holdpoint: the YAML files beside this module."""

from functools import cache
from importlib.resources import files

from extproc.masking.rules.model import Rule
from extproc.masking.rules.reading import read, unique


@cache
def rules() -> tuple[Rule, ...]:
    """All of them, read once. Raises RulesInvalid where the installation is damaged."""
    here = files("extproc.masking.rules")
    texts = sorted((item.name, item.read_text("utf-8")) for item in here.iterdir() if item.name.endswith(".yaml"))
    return unique((rule for name, text in texts for rule in read(text, name)), "shipped rules")
