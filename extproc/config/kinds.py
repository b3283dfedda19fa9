"""What a setting can be. One Kind reads a node, writes the value back, and describes itself for the JSON schema and
the reference, so that the three can't disagree."""

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from extproc.config import files, values
from extproc.config.reading import Reading, Reported
from extproc.config.source import Items, Members, Node, Refused, Scalar, ScalarType, quote
from extproc.config.values import Address, Inspection, Network, Url, Wrong
from extproc.domain.target import Protocol

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

URL_PATTERN = "[Hh][Tt][Tt][Pp][Ss]?://.+"
_UPSTREAM = rf"({URL_PATTERN}|[Pp][Oo][Ss][Tt][Gg][Rr][Ee][Ss]([Qq][Ll])?://.+/.+)"


class Kind(ABC, Generic[T]):
    """One sort of value. `says` names it with its article, as in "expected a duration"."""

    says: str

    @abstractmethod
    def read(self, node: Node, reading: Reading) -> T:
        """The value. Raises Reported after noting what is wrong."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Its JSON schema (draft 7)."""

    def write(self, value: T) -> Any:
        """The JSON value that reads back as this value."""
        return str(value)


class Text(Kind[T]):
    """A value that is written as text. `parse` may raise Wrong."""

    def __init__(
        self, says: str, parse: Callable[[str], T], *, pattern: str | None = None, write: Callable[[T], str] = str
    ) -> None:
        self.says = says
        self._parse, self._pattern, self._write = parse, pattern, write

    def read(self, node: Node, reading: Reading) -> T:
        return self._checked(node, reading, self._parse)

    def _checked(self, node: Node, reading: Reading, parse: Callable[[str], T]) -> T:
        text = scalar(node, reading, self.says, ScalarType.TEXT)
        try:
            return parse(text)
        except Wrong as error:
            reading.fail(node, str(error))

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} | ({"pattern": f"^({self._pattern})$"} if self._pattern else {"minLength": 1})

    def write(self, value: T) -> str:
        return self._write(value)


class Count(Kind[int]):
    """A whole number in a range."""

    def __init__(self, least: int, most: int) -> None:
        self.says = f"a whole number from {least} to {most}" if least < most else f"the number {least}"
        self._least, self._most = least, most

    def read(self, node: Node, reading: Reading) -> int:
        text = scalar(node, reading, self.says, ScalarType.INTEGER)
        if not re.fullmatch(r"[0-9]{1,9}", text) or not self._least <= int(text) <= self._most:
            reading.fail(node, f"{text[:20]} is not {self.says}")
        return int(text)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self._least, "maximum": self._most}

    def write(self, value: int) -> int:
        return value


class Flag(Kind[bool]):
    """Yes or no."""

    says = "true or false"

    def read(self, node: Node, reading: Reading) -> bool:
        return scalar(node, reading, self.says, ScalarType.BOOLEAN).lower() == "true"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def write(self, value: bool) -> bool:
        return value


class Choice(Kind[E]):
    """One of a closed vocabulary, or of some words of it."""

    def __init__(self, choices: type[E], some: Iterable[E] | None = None) -> None:
        self._choices = choices
        self._words = [choice.value for choice in (choices if some is None else some)]
        self.says = f"one of: {', '.join(self._words)}" if len(self._words) > 1 else f"the word {self._words[0]}"

    def read(self, node: Node, reading: Reading) -> E:
        text = scalar(node, reading, self.says, ScalarType.TEXT)
        if text not in self._words:
            hint = suggestion(text, self._words) if len(self._words) > 1 else ""
            reading.fail(node, f"{quote(text)} is not {self.says}{hint}")
        return self._choices(text)

    def schema(self) -> dict[str, Any]:
        return {"enum": self._words}


class File(Text[Path]):
    """A path, taken from the configuration's folder; `check` looks at what is there. Symbolic links are kept, for
    they are how secrets are rotated."""

    def __init__(self, says: str, check: Callable[[Path], None] | None) -> None:
        super().__init__(says, Path)
        self._check = check

    def read(self, node: Node, reading: Reading) -> Path:
        return self._checked(node, reading, lambda text: self.locate(text, reading))

    def locate(self, text: str, reading: Reading) -> Path:
        """The absolute path. Raises Wrong."""
        if not text:
            raise Wrong(f"is empty; write {self.says}")
        path = reading.base / text
        if self._check and reading.files:
            self._check(path)
        return path


class Upstream(Text[Url]):
    """Where a target is, in the way of the protocol that it speaks: the setting `protocol` beside this one."""

    def __init__(self) -> None:
        super().__init__(
            "an http:// or https:// address, or postgres://host:port/database", values.parse_upstream, pattern=_UPSTREAM
        )

    def read(self, node: Node, reading: Reading) -> Url:
        protocol = reading.value(f"{reading.path.rpartition('.')[0]}.protocol")
        if protocol is Protocol.POSTGRES:
            return self._checked(node, reading, values.parse_database)
        if protocol is Protocol.HTTP and isinstance(node, Scalar) and re.match("(?i)postgres(ql)?://", node.text):
            reading.fail(node, "is the address of a database; write `protocol: postgres` too")
        return self._checked(node, reading, values.parse_upstream)


class FileOrUrl(Kind[Path | Url]):
    """A path, or an address when it starts with a scheme: one whose answer can't be replaced on the way."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.says = f"{file.says} or an address"

    def read(self, node: Node, reading: Reading) -> Path | Url:
        if isinstance(node, Scalar) and "://" in node.text:
            return TRUSTED_URL.read(node, reading)
        return self._file.read(node, reading)

    def schema(self) -> dict[str, Any]:
        return self._file.schema()


class Engine(Kind[Path | Url | None]):
    """`managed` (None), a unix socket, or an http address."""

    says = "one of: managed, unix:///path, http://host:port"

    def read(self, node: Node, reading: Reading) -> Path | Url | None:
        text = scalar(node, reading, self.says, ScalarType.TEXT)
        if text == "managed":
            return None
        if text.startswith("unix:"):
            path = text.removeprefix("unix:").removeprefix("//")
            if not path:
                reading.fail(node, f"{quote(text)} names no socket; write unix:///path/of/the/socket")
            return reading.base / path
        try:
            url = values.parse_url(text)
        except Wrong as error:
            reading.fail(node, str(error) if "://" in text or "@" in text else f"{quote(text)} is not {self.says}")
        if url.base:
            reading.fail(node, f"{quote(text)} has a path; write {url.scheme}://{url.authority} alone")
        return url

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(managed|unix:.+|https?://.+)$"}

    def write(self, value: Path | Url | None) -> str:
        if value is None:
            return "managed"
        return f"unix://{value}" if isinstance(value, Path) else str(value)


def scalar(node: Node, reading: Reading, says: str, wanted: ScalarType) -> str:
    """The text of a plain value of this type. Raises Reported."""
    if isinstance(node, Refused):
        raise Reported
    if not isinstance(node, Scalar):
        reading.fail(node, f"expected {says}, found {found(node)}")
    if node.type is wanted:
        return node.text
    if node.type is ScalarType.NULL:
        reading.fail(node, f"has no value; write {says}")
    number = wanted is ScalarType.TEXT and node.type in (ScalarType.INTEGER, ScalarType.NUMBER)
    shown = f"the number {node.text[:20]}" if number else quote(node.text)
    return reading.fail(node, f"expected {says}, found {shown}")


def found(node: Node) -> str:
    """What a node is, for "expected this, found that"."""
    if isinstance(node, Members):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Scalar) and node.type is ScalarType.TEXT:
        return quote(node.text)
    return node.type.value if isinstance(node, Scalar) else "nothing"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word[:100], list(known), 1)
    return f"; did you mean {quote(near[0])}?" if near else ""


def matching(says: str, pattern: str) -> Text[str]:
    """Text that matches the whole of a pattern."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Wrong(f"{quote(text)} is not {says}")
        return text

    return Text(says, parse, pattern=pattern)


def duration(least: str, most: str) -> Text[float]:
    """Seconds, in a range whose ends are written as durations."""
    bottom, top = values.parse_duration(least), values.parse_duration(most)

    def parse(text: str) -> float:
        seconds = values.parse_duration(text)
        if not bottom <= seconds <= top:
            raise Wrong(f"{text} is out of range; write {least} to {most}")
        return seconds

    says = f"a duration from {least} to {most}"
    return Text(says, parse, pattern=values.DURATION_PATTERN, write=values.duration_text)


def size(least: str, most: str) -> Text[int]:
    """Bytes, in a range whose ends are written as sizes."""
    bottom, top = values.parse_size(least), values.parse_size(most)

    def parse(text: str) -> int:
        found = values.parse_size(text)
        if not bottom <= found <= top:
            raise Wrong(f"{text} is out of range; write {least} to {most}")
        return found

    says = f"a size from {least} to {most}"
    return Text(says, parse, pattern=values.SIZE_PATTERN, write=values.size_text)


def inspection(largest: str) -> Text[Inspection]:
    """How much of a body is read, at most `largest`."""
    most = values.parse_size(largest)
    says = f"a size from 1B to {largest}, or one of: stream, headers"
    return Text(says, lambda text: values.parse_inspection(text, most), pattern=f"{values.SIZE_PATTERN}|stream|headers")


FLAG = Flag()
ADDRESS: Text[Address] = Text("an IP address and a port", values.parse_address, pattern=r".+:[0-9]{1,5}")
URL: Text[Url] = Text("an http:// or https:// address", values.parse_url, pattern=URL_PATTERN)
TRUSTED_URL: Text[Url] = Text("an https:// address", values.parse_trusted_url, pattern=URL_PATTERN)
UPSTREAM = Upstream()
NETWORK: Text[Network] = Text(
    "a network, such as 10.1.0.0/16", values.parse_network, pattern=r"[0-9A-Fa-f.:]+/[0-9]{1,3}"
)
HOST: Text[str] = Text("a host name in lower case", values.parse_host, pattern=values.HOST_PATTERN)
NAME = matching("1 to 40 of the characters a-z, 0-9 and, inside, -", r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
WORD = matching("text without spaces", r"\S{1,512}")
ROLE = matching("the name of a role: 1 to 63 characters", r"[^\x00-\x1f\x7f]{1,63}")
DATABASE = matching("the name of a database, or *", r"[^\x00-\x1f\x7f/]{1,63}")
HEADER: Text[str] = Text("the name of a header", values.parse_header, pattern=values.HEADER_PATTERN)
PREFIX = matching("up to 40 plain characters", r"[ -~]{0,40}")
PATH = File("a path", None)
RULE = matching("the name of a rule or a kind: a-z, 0-9 and, inside, -", r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?")
FILE = File("a file", files.file)
KEY = File("a file with a key", files.key)
FILE_OR_FOLDER = File("a file or a folder", files.file_or_folder)
FOLDER = File("a folder", files.folder)
CREDENTIAL = File("a file with a secret", files.credential)
CERTIFICATES = File("a PEM file of certificates", files.certificates)
PRIVATE_KEY = File("a PEM file of a private key", files.private_key)
JWKS = FileOrUrl(File("a file with a JSON Web Key Set", files.jwks))
