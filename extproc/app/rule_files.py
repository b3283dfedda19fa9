"""The files of a company's own rules, as the configuration names them: read, and made one with the shipped rules."""

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from extproc.config.kinds import suggestion
from extproc.masking.engine.engine import Engine
from extproc.masking.rules import shipped
from extproc.masking.rules.model import Rule
from extproc.masking.rules.reading import RulesInvalid, read, unique
from extproc.masking.rules.reading import load as parsed
from extproc.masking.trial import tried

_LARGEST = 4 << 20


class RulesRefused(Exception):
    """Rules that can't be used. The message has one line for each thing that is wrong, with its file and rule."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file: how messages name it, and its text, with the words of its lists in it."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """All of them. `paths` are the files that were looked at, lists of words too; `problems` what can't be read."""

    files: tuple[RuleFile, ...]
    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def load(named: Iterable[Path]) -> RuleFiles:
    """Read these files, and the lists of words that they name."""
    files: list[RuleFile] = []
    paths: list[Path] = []
    problems: list[str] = []
    for path in named:
        paths.append(path)
        try:
            text = _text(path)
        except RulesRefused as error:
            problems.append(str(error))
            continue
        known = len(problems)
        text = _with_words(text, path, paths, problems)
        # Without its words a list is wrong in ways that nobody needs to hear of.
        if len(problems) == known:
            files.append(RuleFile(str(path), text))
    return RuleFiles(tuple(files), tuple(paths), tuple(problems))


def compiled(files: Iterable[RuleFile], disabled: Sequence[str], place: str) -> Engine:
    """An engine with the shipped rules and those of the files, without what is disabled; `place` names the setting that
    says so. Takes some tenths of a second. Raises RulesRefused."""
    try:
        rules = shipped.rules()
    except RulesInvalid as error:
        raise RulesRefused(f"the installation is damaged; install Holdpoint anew: {error}") from error
    problems: list[str] = []
    for file in files:
        try:
            rules = unique((*rules, *read(file.text, file.where)), file.where)
        except RulesInvalid as error:
            problems.append(str(error))
    known = {name for rule in rules for name in (rule.id, rule.kind)}
    # What a file that can't be read has may be what is disabled.
    for name in disabled if not problems else ():
        if name not in known:
            problems.append(f"{place}: there is no rule or kind {name}{suggestion(name, known)}")
    if problems:
        raise RulesRefused("\n".join(problems))
    off = frozenset(disabled)
    try:
        return Engine(_silent(rule) if {rule.id, rule.kind} & off else rule for rule in rules)
    except ValueError as error:
        raise RulesRefused(f"{place.partition(':')[0]}: the rules can't be compiled: {error}") from error


def failing(files: Iterable[RuleFile]) -> Iterator[str]:
    """One line for each case that a rule of the files does not keep. The files are such as `compiled` takes."""
    for file in files:
        for failure in tried(read(file.text, file.where)):
            yield f"{file.where}: rule {failure.rule}: {failure.case!r}: {failure.why}"


def _silent(rule: Rule) -> Rule:
    """The rule, finding nothing. Its kind stays known, for a mask that names an unknown kind stops every message."""
    return replace(rule, score=0.0, context_score=0.0, context=(), keys=frozenset())


def _with_words(text: str, path: Path, paths: list[Path], problems: list[str]) -> str:
    """The text with the words of the files that its `words:` name in their place. What is no such file of rules stays
    as it is: its reader says what is wrong."""
    try:
        document = parsed(text, str(path))
    except RulesInvalid:
        return text
    lists = document.get("words") if isinstance(document, dict) else None
    named = [one for one in lists if isinstance(one, dict) and "file" in one] if isinstance(lists, list) else []
    for one in named:
        _take_words(one, path, paths, problems)
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)) if named else text


def _take_words(one: dict[str, Any], path: Path, paths: list[Path], problems: list[str]) -> None:
    name, title = one.pop("file"), f"{path}: rule {one.get('id')}"
    if not isinstance(name, str) or not name or not isinstance(one.get("words", []), list):
        problems.append(f"{title}: file: expected the path of a list, one word a line; words: a list")
        return
    words = path.parent / name
    paths.append(words)
    try:
        lines = _text(words).splitlines()
    except RulesRefused as error:
        problems.append(f"{title}: file: {error}")
        return
    one["words"] = [*one.get("words", []), *filter(None, map(str.strip, lines))]
    if not one["words"]:
        problems.append(f"{title}: file: {words} has no words; write one a line")


def _text(path: Path) -> str:
    try:
        # A pipe would keep whoever opens it waiting, and a gateway with it.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise RulesRefused(f"{path}: neither a file nor a link to one")
        with path.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise RulesRefused(f"{path}: larger than {_LARGEST >> 20} MiB; is it the right file?")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise RulesRefused(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise RulesRefused(f"{path}: not UTF-8 (byte {error.start})") from None
