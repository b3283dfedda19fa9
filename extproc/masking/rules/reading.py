"""Rules and word lists, read from YAML. Shipped ones and a company's own have the same form (docs/masking-rules.md).

Whatever is wrong is said with the file, the rule and what would be right; nothing is skipped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from extproc.masking.checks import named
from extproc.masking.rules.model import CERTAIN, WORD, Check, Family, Rule, Tail
from extproc.masking.rules.pattern import Alt, Chars, Lit, Seq
from extproc.masking.rules.regex import LONGEST, PatternInvalid, parse

PEM = Tail(r"A-Za-z0-9+/=\s:,\\-", block=True)

_DEEPEST = 100  # lists and mappings in one another
_SHALLOW = 20_000  # characters; libyaml makes a document of a shorter text, however nested, without the stack's end
_STREAM = ' in "<unicode string>"'  # how YAML's errors call what they read
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NOT_NAME = re.compile(r"[^0-9a-z]")
_REPEATED = re.compile(r"\{\{(.+?)\*([0-9]{1,5})\}\}", re.DOTALL)
_IN_CONTEXT = 0.85
_MOST_RULES = 2000
_MOST_WORDS = 2000
_WORD_LENGTH = 100
_RULE = {
    "id", "kind", "family", "about", "source", "pattern", "before", "after", "check", "tail", "context", "keys",
    "score", "score_in_context", "positive", "negative",
}  # fmt: skip
_WORDS = {"id", "kind", "family", "about", "source", "words", "fold", "score", "positive", "negative"}
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


class RulesInvalid(ValueError):
    """A file of rules that is not what it should be. The message says where, what, and what would be right."""


class _Loader(_Safe):  # type: ignore[misc]
    """YAML in which a name stands once: of two `rules:` the first would go unread, and what it finds would pass."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # of 2024-02-31, or `!!int x`
            what = f"`{str(node.value)[:40]}` is no {node.tag.rpartition(':')[2]}; text stands in quotes"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        pairs = node.value if isinstance(node, yaml.MappingNode) else []  # of anything else it is said below
        for key in (key for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"a second `{key.value}:`", key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


def load(text: str, where: str) -> Any:
    """What the YAML of a file of rules says; `where` names it in errors. Raises RulesInvalid."""
    try:
        if len(text) > _SHALLOW and _too_deep(text):
            raise RulesInvalid(f"{where}: not YAML: nested too deep")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, in C where there is one
    except yaml.YAMLError as error:
        what = " ".join(str(error).replace(_STREAM, "").split()).replace(" , ", ", ")
        hint = " (YAML is indented with spaces)" if "\t" in text and "cannot start any token" in what else ""
        raise RulesInvalid(f"{where}: not YAML: {what}{hint}") from None
    except RecursionError:  # `<<: {<<: {…`
        raise RulesInvalid(f"{where}: not YAML: nested too deep") from None


def _too_deep(text: str) -> bool:
    level = 0
    for event in yaml.parse(text, Loader=_Safe):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > _DEEPEST:
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file we are, for messages."""

    file: str
    rule: str

    def error(self, message: str) -> RulesInvalid:
        return RulesInvalid(f"{self.file}: {self.rule}: {message}")


def read(text: str, where: str) -> tuple[Rule, ...]:
    """The rules of a file's text; `where` names it in errors. Raises RulesInvalid."""
    document = load(text, where)
    top = _Place(where, "top level")
    if not isinstance(document, dict) or not document or set(document) - {"rules", "words"}:
        raise top.error("expected `rules:` and `words:`, lists of them")
    rules = [
        one(item, _Place(where, _title(item, name, index)))
        for name, one in (("rules", _rule), ("words", _words))
        for index, item in enumerate(_list(document.get(name), top, name))
    ]
    if len(rules) > _MOST_RULES:
        raise top.error(f"{len(rules)} rules; {_MOST_RULES} at most")
    return unique(rules, where)


def unique(rules: Iterable[Rule], where: str) -> tuple[Rule, ...]:
    """The rules, if no id is there twice and each kind is of one family. Raises RulesInvalid."""
    seen: dict[str, Rule] = {}
    families: dict[str, Family] = {}
    for rule in rules:
        place = _Place(where, f"rule {rule.id}")
        if rule.id in seen:
            raise place.error("this id is taken by another rule; choose one of your own")
        if families.setdefault(rule.kind, rule.family) is not rule.family:
            raise place.error(f"the kind {rule.kind} is of the family {families[rule.kind]} in another rule")
        seen[rule.id] = rule
    return tuple(seen.values())


def expand(case: str) -> str:
    """A case with its repetitions written out: `{{ab*3}}` is `ababab`."""
    return _REPEATED.sub(lambda found: found[1] * int(found[2]), case)


def _title(item: Any, name: str, index: int) -> str:
    known = item.get("id") if isinstance(item, dict) else None
    return f"rule {known}" if isinstance(known, str) and known else f"{name}[{index}]"


def _rule(item: Any, place: _Place) -> Rule:
    members = _members(item, place, _RULE, ("id", "kind", "family", "pattern", "positive", "negative"))
    try:
        parsed = parse(_text(members, "pattern", place))
    except PatternInvalid as error:
        raise place.error(f"pattern: {error}") from None
    pem = members.get("tail")
    if pem not in (None, "pem"):
        raise place.error("tail: there is `pem`; other tails are a run that ends the pattern, as in [a-z]{4,}")
    tail = PEM if pem else Tail(parsed.run) if parsed.run else None
    if tail is not None and members.get("after") is not None:
        raise place.error("after: not with a pattern that ends in a run; the run ends by itself")
    context, keys = _texts(members, "context", place), _texts(members, "keys", place)
    if bad := next((word for word in context if not word.isprintable() or not word.strip(" _.-")), None):
        raise place.error(f"context: {bad!r} is no word")
    if bad := next((key for key in keys if not _plain(key)), None):
        raise place.error(f"keys: {bad!r} has none of a-z and 0-9, by which names are compared")
    score = _score(members, "score", place, 1.0)
    rule = Rule(
        **_common(members, place),
        value=parsed.value,
        lead=parsed.lead,
        before=_class(members, "before", place),
        after="" if tail is not None else _class(members, "after", place),
        check=_check(members, place),
        checks=", ".join(_names(members)),
        text=members["pattern"],
        tail=tail,
        context=tuple(word.encode().decode("latin-1") for word in context),
        keys=frozenset(map(_plain, keys)),
        score=score,
        context_score=_score(members, "score_in_context", place, max(score, _IN_CONTEXT) if context or keys else score),
    )
    if rule.contextual and not context and not keys:
        raise place.error(f"score: below {CERTAIN} it is found in context only, and has neither `context` nor `keys`")
    if rule.context_score < max(rule.score, CERTAIN):
        raise place.error(f"score_in_context: not below `score`, nor below {CERTAIN}")
    if rule.reach > LONGEST:
        raise place.error(f"pattern: it can match {rule.reach} bytes; {LONGEST} at most, then a run: [a-z]{{20,}}")
    return rule


def _plain(name: str) -> str:
    return _NOT_NAME.sub("", name.lower())


def _words(item: Any, place: _Place) -> Rule:
    members = _members(item, place, _WORDS, ("id", "kind", "family", "words"))
    words = _texts(members, "words", place)
    if not words or len(words) > _MOST_WORDS:
        raise place.error(f"words: expected between 1 and {_MOST_WORDS}")
    if bad := next((word for word in words if not word.strip() or len(word.encode()) > _WORD_LENGTH), None):
        raise place.error(f"words: {bad[:30]!r} is empty, or longer than {_WORD_LENGTH} bytes")
    fold = members.get("fold", True)
    if not isinstance(fold, bool):
        raise place.error("fold: expected true (either case) or false")
    raw = sorted({word.strip().encode().decode("latin-1") for word in words})
    score = _score(members, "score", place, 1.0)
    if score < CERTAIN:
        raise place.error(f"score: not below {CERTAIN}; words are found without context")
    return Rule(
        **_common(members, place),
        value=(Alt(tuple(_spelt(word, fold) for word in raw)),),
        before=WORD + r"_\x80-\xff",
        after=WORD + r"_\x80-\xff",
        score=score,
        context_score=score,
    )


def _spelt(word: str, fold: bool) -> Seq:
    """A word (UTF-8 as Latin-1) of which only what is ASCII may come in either case: RE2 would fold bytes."""
    parts = re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]+", word)
    return tuple(Lit(part, fold and part.isascii()) for part in parts)


def _common(members: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    for name in ("id", "kind"):
        if not _NAME.fullmatch(_text(members, name, place)) or len(members[name]) > 60:
            raise place.error(f"{name}: lower case letters, digits and single dashes, 60 at most")
    if members["kind"] in {*Family, "pii", "credential"}:
        raise place.error(f"kind: `{members['kind']}` has a meaning of its own in masks")
    try:
        family = Family(members["family"])
    except ValueError:
        raise place.error(f"family: one of {', '.join(Family)}") from None
    return {
        "id": members["id"],
        "kind": members["kind"],
        "family": family,
        "about": members.get("about") or "",
        "source": members.get("source") or "",
        "positive": tuple(map(expand, _texts(members, "positive", place))),
        "negative": tuple(map(expand, _texts(members, "negative", place))),
    }


def _check(members: Mapping[str, Any], place: _Place) -> Check | None:
    names = _names(members)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise place.error("check: expected a name, or a list of names")
    try:
        checks = [named(name) for name in names]
    except ValueError as error:
        raise place.error(f"check: {error}") from None
    if len(checks) < 2:
        return checks[0] if checks else None

    def every(data: bytes, start: int, end: int) -> int:
        for check in checks:
            end = check(data, start, end)
            if not end:
                return 0
        return end

    return every


def _names(members: Mapping[str, Any]) -> Any:
    names = members.get("check")
    return [names] if isinstance(names, str) else names or []


def _class(members: Mapping[str, Any], name: str, place: _Place) -> str:
    value = members.get(name, WORD)
    if not isinstance(value, str):
        raise place.error(f"{name}: the inside of a class of characters, as in '0-9A-Za-z'")
    if not value:
        return ""
    try:
        parsed = parse(f"[{value}]")
    except PatternInvalid as error:
        raise place.error(f"{name}: {error}") from None
    first, *others = parsed.value
    if others or not isinstance(first, Chars) or value.startswith("^"):
        raise place.error(f"{name}: the inside of a class of characters, as in '0-9A-Za-z', not {value!r}")
    return first.members


def _score(members: Mapping[str, Any], name: str, place: _Place, default: float) -> float:
    value = members.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise place.error(f"{name}: expected a number from 0 to 1")
    return float(value)


def _members(item: Any, place: _Place, known: set[str], needed: Iterable[str]) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise place.error(f"expected members as in `id: …`, found {type(item).__name__}")
    if unknown := sorted(str(name) for name in item if name not in known):
        raise place.error(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := [name for name in needed if item.get(name) in (None, "", [])]:
        raise place.error(f"missing: {', '.join(missing)}")
    return item


def _text(members: Mapping[str, Any], name: str, place: _Place) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise place.error(f"{name}: expected text; put it in single quotes")
    return value


def _texts(members: Mapping[str, Any], name: str, place: _Place) -> list[str]:
    values = _list(members.get(name), place, name)
    for value in values:
        if not isinstance(value, str) or not value:
            raise place.error(f"{name}: {value!r} is not text; put it in single quotes")
    return values


def _list(value: Any, place: _Place, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise place.error(f"{name}: expected a list")
    return value
