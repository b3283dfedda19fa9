"""The rules that `holdpoint masking` works with: those that come with Holdpoint, and those that are named."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from extproc.app.rule_files import RulesRefused, compiled, load
from extproc.cli._common import CommandError, load_settings
from extproc.config import Settings
from extproc.config.kinds import suggestion
from extproc.domain.mask import EVERY, GROUPS, among
from extproc.masking.engine.engine import Engine
from extproc.masking.rules import shipped
from extproc.masking.rules.model import Rule
from extproc.masking.rules.reading import RulesInvalid, read, unique


def settings_of(arguments: argparse.Namespace) -> Settings | None:
    """The configuration, if one is named: what is tried here need not be what a gateway has."""
    return load_settings(arguments, files=False) if arguments.config is not None else None


def engine_of(arguments: argparse.Namespace) -> Engine:
    """The shipped rules, those of --rules, and those of the configuration if one is named. Raises CommandError."""
    named, place = list(arguments.rules), "--rules"
    disabled: tuple[str, ...] = ()
    if settings := settings_of(arguments):
        named = [*settings.masking.rules, *named]
        disabled, place = settings.masking.disable, f"{arguments.config}: masking.disable"
    loaded = load(named)
    if loaded.problems:
        raise CommandError("\n".join(loaded.problems))
    try:
        return compiled(loaded.files, disabled, place)
    except RulesRefused as error:
        raise CommandError(str(error)) from error


def kinds_of(engine: Engine, names: Iterable[str]) -> frozenset[str]:
    """The kinds that --kind selects; all without one. Raises CommandError."""
    names = list(names)
    for name in names:
        if name not in engine.families and name not in GROUPS and name != EVERY:
            raise CommandError(f"--kind: {_unknown(engine, name)}")
    return frozenset(kind for kind, family in engine.families.items() if among(kind, family, names or [EVERY]))


def rule_of(engine: Engine, name: str) -> list[Rule]:
    """The rules of this id or kind, one or more. Raises CommandError."""
    found = [rule for rule in engine.rules if name in (rule.id, rule.kind)]
    if not found:
        known = {name for rule in engine.rules for name in (rule.id, rule.kind)}
        raise CommandError(f"there is no rule or kind {name!r}{_hint(name, known)}")
    return found


def _unknown(engine: Engine, name: str) -> str:
    if rule := next((rule for rule in engine.rules if rule.id == name), None):
        return f"{name!r} is a rule; its kind is {rule.kind!r}"
    return f"there is no kind or family {name!r}{_hint(name, [*engine.families, *GROUPS])}"


def _hint(name: str, known: Iterable[str]) -> str:
    listed = suggestion(name, known) or "; `holdpoint masking list` has them"
    return f"{listed} (rules of your own: --rules or --config)"


def shipped_rules() -> tuple[Rule, ...]:
    """Those that come with Holdpoint. Raises CommandError where the installation is damaged."""
    try:
        return shipped.rules()
    except RulesInvalid as error:
        raise CommandError(f"the installation is damaged; install Holdpoint anew: {error}") from error


def rules_of(paths: Iterable[Path]) -> tuple[Rule, ...]:
    """The rules of these files alone, if they can be used together and beside the shipped ones. Raises CommandError
    with every file's problem, one a line."""
    loaded = load(paths)
    problems = list(loaded.problems)
    together = shipped_rules()
    where = {rule.id: "a rule that comes with Holdpoint" for rule in together}
    own: list[Rule] = []
    for file in loaded.files:
        try:
            rules = read(file.text, file.where)
            for rule in rules:
                if other := where.get(rule.id):
                    problems.append(f"{file.where}: rule {rule.id}: {other} has this id; choose one of your own")
            fresh = [rule for rule in rules if rule.id not in where]
            together = unique((*together, *fresh), file.where)
        except RulesInvalid as error:
            problems.append(str(error))
            continue
        where |= {rule.id: f"a rule of {file.where}" for rule in fresh}
        own += fresh
    if problems:
        raise CommandError("\n".join(problems))
    return tuple(own)
