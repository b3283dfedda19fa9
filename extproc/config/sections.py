"""Sections, lists and maps of settings. A section is a frozen dataclass whose fields are annotated with a Setting:

    wait_seconds: Annotated[float, Setting(duration("0s", "3540s"), "How long ...", key="wait", default="30s")]

Reading, writing, the JSON schema and the reference all come from these annotations."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar, get_type_hints

from extproc.config.kinds import Kind, found, suggestion
from extproc.config.reading import Reading, Reported
from extproc.config.source import Items, Mark, Members, Node, Refused, Scalar, ScalarType, quote

T = TypeVar("T")


class Absent(Enum):
    """REQUIRED: a setting that has no default."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Derived:
    """A default that follows from other settings: how the reference puts it, and how to compute it from the
    setting's own place. Settings that come earlier in their dataclass are read by then."""

    text: str
    value: Callable[[Reading], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it can be, what it means, and what holds when it is left out.

    `default` is in the file's own notation (None: the setting is off). `off` says what null means, and a setting may
    be written as null exactly when it has one; where the default is derived, null is as good as nothing. `key` is its
    name in the file where the field's differs.
    """

    kind: Kind[Any]
    doc: str
    example: Any
    default: Any = Absent.REQUIRED
    off: str = ""
    key: str = ""

    @property
    def required(self) -> bool:
        """Whether it must be written."""
        return self.default is Absent.REQUIRED


def settings_of(section: type[Any]) -> Mapping[str, tuple[str, Setting]]:
    """A section's settings: file key -> (field name, Setting), in the order of the dataclass."""
    hints = get_type_hints(section, include_extras=True)
    annotated = ((f.name, m) for f in fields(section) for m in getattr(hints[f.name], "__metadata__", ()))
    return {setting.key or name: (name, setting) for name, setting in annotated if isinstance(setting, Setting)}


class Section(Kind[T]):
    """A mapping with known keys. `fill` gives the fields that are not settings, from the section's place.
    With `short`, a plain text stands for the mapping with that one key."""

    def __init__(
        self, build: type[T], *, short: str = "", fill: Callable[[Reading], dict[str, Any]] = lambda reading: {}
    ) -> None:
        self.build, self._short, self._fill = build, short, fill
        self.settings = settings_of(build)
        self.says = "a mapping"
        if short:
            self.says = f"{self.settings[short][1].kind.says}, or a mapping"

    def read(self, node: Node, reading: Reading) -> T:
        if isinstance(node, Refused):
            raise Reported
        if self._short and isinstance(node, Scalar) and node.type is ScalarType.TEXT:
            key = Scalar(node.mark, self._short, ScalarType.TEXT)
            node = Members(node.mark, ((key, node),))
        if isinstance(node, Scalar) and node.type is ScalarType.NULL:
            node = Members(node.mark, ())
        if not isinstance(node, Members):
            reading.fail(node, f"expected {self.says}, found {found(node)}")
        known = ", ".join(self.settings)
        for key, _ in node.members:
            if key.text not in self.settings:
                hint = suggestion(key.text, self.settings) or f"; the settings here are: {known}"
                reading.note(key, f"there is no setting {quote(key.text)}{hint}")
        given = {key.text: value for key, value in node.members}
        values: dict[str, Any] = {}
        for key_text, (name, setting) in self.settings.items():
            try:
                values[name] = _member(node, given.get(key_text), setting, reading.member(key_text))
            except Reported:
                continue
        if len(values) < len(self.settings):
            raise Reported
        return self.build(**self._fill(reading), **values)

    def schema(self) -> dict[str, Any]:
        mapping = {
            "type": "object",
            "properties": {key: _described(setting) for key, (_, setting) in self.settings.items()},
            "required": [key for key, (_, setting) in self.settings.items() if setting.required],
            "additionalProperties": False,
        }
        if not self._short:
            return mapping
        return {"anyOf": [self.settings[self._short][1].kind.schema(), mapping]}

    def write(self, value: T) -> dict[str, Any]:
        def member(name: str, setting: Setting) -> Any:
            held = getattr(value, name)
            return None if held is None and setting.off else setting.kind.write(held)

        return {key: member(name, setting) for key, (name, setting) in self.settings.items()}


class ListOf(Kind[tuple[T, ...]]):
    """A list of one kind of thing, at least `least` of them."""

    def __init__(self, kind: Kind[T], least: int = 0) -> None:
        self.kind, self._least = kind, least
        self.says = "a list"

    def read(self, node: Node, reading: Reading) -> tuple[T, ...]:
        if isinstance(node, Refused):
            raise Reported
        if not isinstance(node, Items):
            reading.fail(node, f"expected a list, found {found(node)}; start each of its entries with `- `")
        if len(node.items) < self._least:
            reading.fail(node, f"is empty; it needs {self._least} or more")
        return tuple(_each((item, reading.item(i), self.kind) for i, item in enumerate(node.items)))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.kind.schema(), "minItems": self._least}

    def write(self, value: tuple[T, ...]) -> list[Any]:
        return [self.kind.write(item) for item in value]


class MapOf(Kind[tuple[T, ...]]):
    """A mapping with names of the user's choice, at least one. It becomes a tuple of things that know their `name`."""

    def __init__(self, label: str, name: Kind[str], kind: Kind[T]) -> None:
        self.label, self.kind, self._name = label, kind, name
        self.says = "a mapping"

    def read(self, node: Node, reading: Reading) -> tuple[T, ...]:
        if isinstance(node, Refused):
            raise Reported
        if not isinstance(node, Members):
            reading.fail(node, f"expected a mapping, found {found(node)}")
        if not node.members:
            reading.fail(node, "is empty; it needs 1 or more")
        sound = True
        for key, _ in node.members:
            try:
                self._name.read(Scalar(key.mark, key.text, ScalarType.TEXT), reading)
            except Reported:
                sound = False
        things = _each((value, reading.named_member(key.text, key.mark), self.kind) for key, value in node.members)
        if not sound:
            raise Reported
        return tuple(things)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self._name.schema(),
            "additionalProperties": self.kind.schema(),
            "minProperties": 1,
        }

    def write(self, value: tuple[T, ...]) -> dict[str, Any]:
        return {str(getattr(thing, "name", "")): self.kind.write(thing) for thing in value}


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A setting with its full path, as the reference lists it."""

    path: str
    setting: Setting


def entries(kind: Kind[Any], path: str = "") -> Iterator[Entry[Any]]:
    """Every setting in and below a kind, sections before what is in them."""
    if isinstance(kind, ListOf):
        yield from entries(kind.kind, f"{path}[]")
    elif isinstance(kind, MapOf):
        yield from entries(kind.kind, f"{path}.<{kind.label}>")
    elif isinstance(kind, Section):
        for key, (_, setting) in kind.settings.items():
            below = f"{path}.{key}" if path else key
            yield Entry(below, setting)
            yield from entries(setting.kind, below)


def literal(value: Any, mark: Mark) -> Node:
    """A node for a value in the file's notation, as if it stood at this place."""
    if isinstance(value, dict):
        return Members(mark, tuple((Scalar(mark, k, ScalarType.TEXT), literal(v, mark)) for k, v in value.items()))
    if isinstance(value, list):
        return Items(mark, tuple(literal(v, mark) for v in value))
    if value is None:
        return Scalar(mark, "null", ScalarType.NULL)
    if isinstance(value, bool):
        return Scalar(mark, str(value).lower(), ScalarType.BOOLEAN)
    if isinstance(value, int):
        return Scalar(mark, str(value), ScalarType.INTEGER)
    return Scalar(mark, str(value), ScalarType.TEXT)


def _member(section: Members, node: Node | None, setting: Setting, reading: Reading) -> Any:
    """One setting's value, from its node or its default. Raises Reported."""
    if node is None and setting.required:
        key = reading.path.rpartition(".")[2]
        reading.fail(section, f"is missing; write for example {key}: {_shown(setting.example)}")
    value: Any
    null = bool(setting.off) and isinstance(node, Scalar) and node.type is ScalarType.NULL
    if (node is None or null) and isinstance(setting.default, Derived):
        value = setting.default.value(reading)
    elif null or (node is None and setting.default is None):
        value = None
    else:
        value = setting.kind.read(literal(setting.default, section.mark) if node is None else node, reading)
    reading.keep(node or section, value)
    return value


def _each(parts: Iterator[tuple[Node, Reading, Kind[T]]]) -> list[T]:
    """All of them, so that every problem is noted. Raises Reported at the end when one failed."""
    values: list[T] = []
    failed = False
    for node, reading, kind in parts:
        try:
            values.append(kind.read(node, reading))
        except Reported:
            failed = True
    if failed:
        raise Reported
    return values


def _described(setting: Setting) -> dict[str, Any]:
    shape = setting.kind.schema()
    if setting.off:
        shape = {"anyOf": [shape, {"type": "null"}]}
    extras: dict[str, Any] = {"description": setting.doc, "examples": [setting.example]}
    if not setting.required and not isinstance(setting.default, Derived):
        extras["default"] = setting.default
    return shape | extras


def _shown(example: Any) -> str:
    """An example on one line; a section's is too long for a message, so its keys are shown."""
    if isinstance(example, dict):
        return "{" + ", ".join(f"{key}: …" for key in example) + "}"
    if isinstance(example, list):
        return f"[{', '.join(_shown(item) for item in example)}]"
    return str(example)
