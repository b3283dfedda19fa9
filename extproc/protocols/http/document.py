"""JSON in a request's body, read strictly: what two parsers could read differently is no document. Pure."""

import codecs
import json
import re
from typing import Any

from extproc.protocols.http.message import MalformedRequest

MOST_VALUES = 50_000
"""Values in one document. Policy is asked about all of them, and its cost depends on their number, not on bytes."""

_BLANK = b" \t\r\n\x1e"
# JSON by one of its words (application/json, x-json, vnd.a+json), but for those that are several documents.
_SAID = re.compile(r"(?:^|[^a-z0-9])json(?![a-z0-9])(?!-(?:seq|stream|lines))")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJson(ValueError):
    """No JSON document at all; how far a lenient parser would get with it is not known."""


def says_json(content_type: str) -> bool:
    """Whether a type (lower-case essence) says that the body is one JSON document."""
    return _SAID.search(content_type) is not None


def like_json(data: bytes) -> bool:
    """Whether a parser that pays no regard to the type may find a document here."""
    return data.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)[:1] in (b"{", b"[")


def otherwise_encoded(data: bytes) -> bool:
    """Whether this is JSON in UTF-16 or UTF-32, which some parsers find out by themselves (RFC 4627, section 3)."""
    encoding = json.detect_encoding(data)
    if encoding in ("utf-8", "utf-8-sig"):
        return False
    if data[:64].decode(encoding, "ignore").lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return False
    try:
        json.loads(data.decode(encoding))
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def read_json(data: bytes) -> Any:
    """The document. Raises NotJson, and MalformedRequest for one that parsers read differently: a member twice, NaN,
    half a surrogate pair, deeper than some can go."""
    faults: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            faults.append("an object with the same member twice")
        return members

    def constant(name: str) -> None:
        faults.append(f"{name}, which is not JSON")

    try:
        parsed = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
        if _HALF.search(data):
            # Half a surrogate pair is no character: in its place policy would be shown U+FFFD.
            json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise MalformedRequest("the JSON is nested too deeply") from None
    except UnicodeEncodeError:
        raise MalformedRequest("the JSON has half a surrogate pair") from None
    except ValueError as error:
        raise NotJson(f"the body says it is JSON and is not: {_why(error)}") from error
    if faults:
        raise MalformedRequest(f"the JSON has {faults[0]}")
    if _many(data) and _too_many(parsed):
        raise MalformedRequest(f"the JSON has more than {MOST_VALUES} values")
    return parsed


def _why(error: ValueError) -> str:
    """What and where, without a word of the body."""
    match error:
        case json.JSONDecodeError():
            return f"{error.msg[:1].lower()}{error.msg[1:]}, line {error.lineno}, column {error.colno}"
        case UnicodeDecodeError():
            return f"byte {error.start + 1} is not UTF-8, in which JSON has to be"
    return "a number with too many digits"


def _many(data: bytes) -> bool:
    """Whether there could be more values than policy is asked about; costs no more than looking for a byte."""
    return sum(map(data.count, (b",", b"[", b"{"))) >= MOST_VALUES


def _too_many(parsed: Any) -> bool:
    left, waiting = MOST_VALUES, [parsed]
    while waiting and left > 0:
        value = waiting.pop()
        left -= 1
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        if len(waiting) > left:
            return True
    return bool(waiting)
