"""JSON's grammar (RFC 8259), token by token, over a buffer that may end anywhere. It keeps no text, only where it is.

Several documents may follow each other (NDJSON). NaN and Infinity are let by, since common writers emit them.
"""

import re
from collections.abc import Callable
from enum import IntEnum
from functools import cache

from extproc.masking.engine._re2 import Pattern
from extproc.masking.stage import MaskError

DEPTH = 128
"""Containers inside one another, at most."""

SCALAR = 1024
"""Bytes of a number, at most."""

# Whole values are stepped over by google-re2: linear whatever the input, and without the possessive quantifiers that
# CPython's re would need for that (before 3.11.5 it gets those wrong around groups, python/cpython#106052).
_WS = r"[ \t\r\n]*"
_INNER = r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*'
_STR = rf'"{_INNER}"'
_NUM = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_SCALAR = f"(?:{_STR}|{_NUM}|true|false|null)"
_NAME = _STR + _WS + ":" + _WS


def _nest(item: str) -> str:
    """A scalar, or a container of such items."""
    array = rf"\[{_WS}(?:{item}{_WS}(?:,{_WS}{item}{_WS})*)?\]"
    record = rf"\{{{_WS}(?:{_NAME}{item}{_WS}(?:,{_WS}{_NAME}{item}{_WS})*)?\}}"
    return f"(?:{_SCALAR}|{array}|{record})"


class _Steps:
    """What `skip` steps over in one go, as functions of (data, start, limit) that give the end or -1."""

    __slots__ = ("value", "member", "items", "members", "openers", "closers")

    def __init__(self) -> None:
        # Three levels deep: a try that fails because the buffer ends costs as many looks at the same bytes, and the
        # program grows fourfold with each level.
        item = _nest(_nest(_nest(_SCALAR)))
        self.value = Pattern(_WS + item).match_end
        self.member = Pattern(_WS + _NAME + item).match_end
        self.items = Pattern(f"(?:{_WS},{_WS}{item})*").match_end
        self.members = Pattern(f"(?:{_WS},{_WS}{_NAME}{item})*").match_end
        self.openers = Pattern(rf"(?:{_WS}(?:\[|\{{{_WS}{_NAME}))+").match_end
        self.closers = Pattern(rf"(?:{_WS}[\]}}])+").match_end


@cache
def _steps() -> _Steps:
    """Compiled once, when first needed: it takes some 30 ms."""
    return _Steps()


_SPACE = re.compile(rb"[ \t\r\n]*")
_BODY = Pattern(_INNER).match_end
_PARTIAL = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_RUN = re.compile(rb"[-+.0-9A-Za-z]*")
_NUMBER = re.compile(_NUM.encode())
_WORDS = frozenset((b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity"))
_CLOSED = frozenset(b'"]}')  # the last byte of a value that has an end of its own
_DELIMITERS = frozenset(b" \t\r\n,]}")
_HALF = SCALAR // 2
_DIGITS = frozenset(b"-+.0123456789eE")
_HALF_RUN = re.compile(rb"[-+.0-9eE]{%d}" % _HALF).match
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_OPENERS = bytes(set(range(256)) - set(b"{["))
_CLOSER_OF = bytes.maketrans(b"{[", b"}]")


class JsonBound(MaskError):
    """JSON as far as it goes, but over a bound of ours."""


class Token(IntEnum):
    """What `next` found. MORE: the buffer ends before the token does."""

    MORE = 0
    KEY = 1
    STRING = 2
    NUMBER = 3
    WORD = 4
    OPEN = 5
    CLOSE = 6
    MARK = 7


class _At(IntEnum):
    TOP = 0
    VALUE = 1
    ITEM = 2  # after [
    MEMBER = 3  # after {
    KEY = 4
    COLON = 5
    AFTER = 6


_OBJECT, _ARRAY = b"{["


class Grammar:
    """Where in a document we are."""

    __slots__ = ("_at", "_stack")

    def __init__(self) -> None:
        self._at = _At.TOP
        self._stack = bytearray()

    @property
    def depth(self) -> int:
        """How many containers are open."""
        return len(self._stack)

    @property
    def idle(self) -> bool:
        """Whether the input may end here."""
        return self._at is _At.TOP

    @property
    def takes_string(self) -> bool:
        """Whether a name or a string value may stand here."""
        return self._at not in (_At.AFTER, _At.COLON)

    @property
    def expects_key(self) -> bool:
        """Whether a string here would be a member's name."""
        return self._at in (_At.MEMBER, _At.KEY)

    @property
    def in_object(self) -> bool:
        """Whether the innermost open container is an object."""
        return bool(self._stack) and self._stack[-1] == _OBJECT

    def save(self) -> tuple[int, bytes]:
        """The state, to come back to."""
        return int(self._at), bytes(self._stack)

    def restore(self, state: tuple[int, bytes]) -> None:
        """Go back to a saved state."""
        self._at, self._stack = _At(state[0]), bytearray(state[1])

    def skip(self, data: bytes, at: int, limit: int) -> int:
        """Step over whole values and members before `limit` at once, where that is possible; gives the offset after
        them."""
        steps = _steps()
        if len(self._stack) > DEPTH - 3:
            return at  # what is stepped over might be too deep
        if self._at is not _At.AFTER:
            if self._at is _At.COLON:
                return at
            end = _over(steps.member if self.expects_key else steps.value, data, at, limit)
            if end < 0 or not _ended(data, end):
                return at
            at = end
            if not self._stack:
                return at
            self._at = _At.AFTER
        record = self._stack[-1] == _OBJECT
        step = steps.members if record else steps.items
        end = _over(step, data, at, limit)
        if end > at and not _ended(data, end):
            # The last value is a number or a word that may go on: stop before it. Nothing follows its mark but itself.
            end = step(data, at, data.rfind(b":" if record else b",", at, end))
        return end

    def leap(self, data: bytes, at: int) -> int:
        """Step over what opens or closes several containers at once (`[[{"a":[`, `]}]]`), for deep documents cost a
        token otherwise for each bracket; gives the offset after it. Raises MaskError for what is too deep."""
        if self._at is _At.AFTER:
            end = _steps().closers(data, at, len(data))
            closers = data[at:end].translate(None, b" \t\r\n") if end > 0 else b""
            # What does not close what is open is left to `next`, which says so.
            if closers and closers == self._stack[-len(closers) :][::-1].translate(_CLOSER_OF):
                del self._stack[-len(closers) :]
                self._at = _At.AFTER if self._stack else _At.TOP
                return end
        elif self._at in (_At.TOP, _At.VALUE, _At.ITEM):
            end = _steps().openers(data, at, len(data))
            if end > 0:
                openers = _STRINGS.sub(b"", data[at:end]).translate(None, _NOT_OPENERS)
                if len(self._stack) + len(openers) > DEPTH:
                    raise JsonBound(f"JSON nested deeper than {DEPTH}")
                self._stack += openers
                self._at = _At.ITEM if openers[-1] == _ARRAY else _At.VALUE
                return end
        return at

    def next(self, data: bytes, at: int, final: bool) -> tuple[Token, int, int]:
        """The next token at or after `at`, as (token, start, end). Raises MaskError for what isn't JSON."""
        start = at
        if start < len(data) and data[start] <= 32 and (space := _SPACE.match(data, at)):
            start = space.end()
        if start == len(data):
            return Token.MORE, start, start
        byte = data[start]
        state = self._at
        if state is _At.AFTER:
            if byte == 44:
                self._at = _At.KEY if self._stack[-1] == _OBJECT else _At.VALUE
                return Token.MARK, start, start + 1
            return self._close(byte, start)
        if state is _At.COLON:
            if byte != 58:
                raise MaskError("malformed JSON: expected a colon")
            self._at = _At.VALUE
            return Token.MARK, start, start + 1
        if byte == 34:
            end, ended = body_end(data, start + 1, final)
            if not ended:
                return Token.MORE, start, start
            return self.string_ended(), start, end + 1
        if state in (_At.MEMBER, _At.KEY):
            if state is _At.MEMBER and byte == 125:
                return self._close(byte, start)
            raise MaskError("malformed JSON: expected a member's name")
        if byte in (_OBJECT, _ARRAY):
            if len(self._stack) >= DEPTH:
                raise JsonBound(f"JSON nested deeper than {DEPTH}")
            self._stack.append(byte)
            self._at = _At.MEMBER if byte == _OBJECT else _At.ITEM
            return Token.OPEN, start, start + 1
        if state is _At.ITEM and byte == 93:
            return self._close(byte, start)
        return self._scalar(data, start, final)

    def string_ended(self) -> Token:
        """Record that a string ended here; says whether it was a name or a value."""
        if self.expects_key:
            self._at = _At.COLON
            return Token.KEY
        self._at = _At.AFTER if self._stack else _At.TOP
        return Token.STRING

    def _close(self, byte: int, start: int) -> tuple[Token, int, int]:
        if byte != (125 if self._stack[-1] == _OBJECT else 93):
            raise MaskError("malformed JSON: expected a comma or the end of the container")
        self._stack.pop()
        self._at = _At.AFTER if self._stack else _At.TOP
        return Token.CLOSE, start, start + 1

    def _scalar(self, data: bytes, start: int, final: bool) -> tuple[Token, int, int]:
        found = _RUN.match(data, start)
        end = found.end() if found else start
        if end - start > SCALAR:
            raise JsonBound(f"a JSON number longer than {SCALAR} bytes")
        if end == len(data) and not final:
            return Token.MORE, start, start
        text = data[start:end]
        token = Token.NUMBER if _NUMBER.fullmatch(text) else Token.WORD
        if token is Token.WORD and text not in _WORDS:
            raise MaskError("malformed JSON: expected a value")
        self._at = _At.AFTER if self._stack else _At.TOP
        return token, start, end


def _over(step: Callable[[bytes, int, int], int], data: bytes, at: int, limit: int) -> int:
    """As far as a step goes, but not over a number of more than SCALAR bytes: in pieces it would be refused."""
    end = step(data, at, limit)
    while end - at > SCALAR and (long := _long(data, at, end)) >= 0:
        end = step(data, at, long)
    return end


def _long(data: bytes, at: int, end: int) -> int:
    """Where something is that may be a number of more than SCALAR bytes, or -1. Each such number has two of the places
    that are looked at, and all between them."""
    for start in range(at, end - _HALF, _HALF):
        if data[start] in _DIGITS and data[start + _HALF] in _DIGITS and _HALF_RUN(data, start):
            return start
    return -1


def _ended(data: bytes, end: int) -> bool:
    """Whether the value that ends here can't go on: it closed itself, or something else follows."""
    return data[end - 1] in _CLOSED or (end < len(data) and data[end] in _DELIMITERS)


def body_end(data: bytes, at: int, final: bool) -> tuple[int, bool]:
    """How far a string's content at `at` goes, whole escapes only, and whether its closing quote follows there.
    Raises MaskError when it is malformed, or unfinished though the input has ended."""
    end = _BODY(data, at, len(data))
    if end < len(data) and data[end] == 34:
        return end, True
    if final or (end < len(data) and not _PARTIAL.match(data, end)):
        raise MaskError("malformed JSON: a string with a control character, a bad escape, or no end")
    return end, False
