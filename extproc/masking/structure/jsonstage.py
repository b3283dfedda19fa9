"""Masking of JSON as it streams by. What is not masked keeps its bytes: order, spacing, duplicate keys, number forms.

Values are looked for in what strings mean, never in the bytes that spell them. Each slice is first only checked: its
grammar, then one look for values over all its strings at once. Most slices pass that way untouched; the others are
walked token by token, except where they are clean.
"""

import codecs
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from extproc.masking.checks import values as checks
from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.detect import Detector
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.rules.builtin import Kind
from extproc.masking.stage import MaskError
from extproc.masking.structure.escaped import EscapedMasker, mask_escaped, spelling, unescape
from extproc.masking.structure.jsontokens import Grammar, Token, body_end
from extproc.masking.text import mask_text

SLICE = 4 << 10
LONG = 1 << 10
"""Bytes of an unfinished string that are kept before it is masked as a stream of its own."""

_BOM = codecs.BOM_UTF8
_Utf8 = codecs.getincrementaldecoder("utf-8")
_NOT_NAME = re.compile(r"[^0-9a-z]")


class KeyRules:
    """Which member names ask for what. `select` names are compared without regard to case; names that a rule of the
    detector lists (`ssn`, `social_security_number`) also without regard to punctuation."""

    __slots__ = ("_selected", "_keyed", "_hint", "_always", "cards")

    def __init__(self, detector: Detector, selected: Iterable[str] = ()) -> None:
        self._selected = {name.casefold(): f"key:{name.lower()}" for name in selected}
        self._keyed = {
            key: (str(rule.kind), re.compile(rule.keyed.encode())) for rule in detector.rules for key in rule.keys
        }
        self.cards = any(rule.kind == Kind.CARD for rule in detector.rules)  # whether a number can be a value
        self._always = not all(name.isascii() for name in self._selected)
        gap = r"[^\x220-9A-Za-z]*"
        spelt = [re.escape(name) for name in self._selected if name.isascii()]
        spelt += [gap + gap.join(key) + gap for key in self._keyed]
        self._hint = Pattern(r"\x22(?i:" + "|".join(spelt) + r")\x22") if spelt else None

    @property
    def any(self) -> bool:
        """Whether any name asks for anything."""
        return bool(self._selected or self._keyed)

    def hints(self, flat: bytes) -> list[tuple[int, int]]:
        """Where unescaped JSON text may have names that ask for something."""
        if self._always:
            return [(0, len(flat))]
        if self._hint is None:
            return []
        return self._hint.spans(flat)

    def selected(self, name: str) -> str | None:
        """The kind (`key:<name>`) under which everything below this name is masked."""
        return self._selected.get(name.casefold())

    def keyed(self, name: str) -> tuple[str, re.Pattern[bytes]] | None:
        """The kind and shape of a value that is masked because it stands under this name."""
        return self._keyed.get(_NOT_NAME.sub("", name.lower())) if self._keyed else None


@lru_cache(maxsize=64)
def key_rules(detector: Detector, selected: frozenset[str]) -> KeyRules:
    """Shared KeyRules; they have no state."""
    return KeyRules(detector, selected)


def number_is_card(token: bytes) -> bool:
    """Whether a JSON number is a whole number that is a card's, in whatever form (4111111111111111.0, 4.1E15)."""
    if len(token) > 40 or not token[:1].isdigit():
        return False
    if not token.isdigit():
        try:
            value = Decimal(token.decode("ascii"))
        except InvalidOperation:
            return False  # an exponent beyond what Decimal has
        if not 12 <= value.adjusted() <= 18 or value != value.to_integral_value():
            return False
        token = str(int(value)).encode()
    return 13 <= len(token) <= 19 and checks.card(b"  " + token + b" ", 2, 2 + len(token)) > 0


def is_credential(detector: Detector, number: bytes) -> bool:
    """Whether a number has a credential in its digits."""
    return any(span.kind == CREDENTIAL or CREDENTIAL in span.more for span in detector.scan(number))


class JsonStage:
    """Masks JSON: one document, several, or NDJSON. Raises MaskError for what is not JSON in UTF-8, is nested deeper
    than 128 or has a number over 1 KiB: what a reader downstream would make of it can't be known."""

    __slots__ = (
        "_detector", "_keys", "_grammar", "_rest", "_counts", "_utf8", "_select", "_keyed", "_mute", "_long",
        "_dropping", "_begun",
    )  # fmt: skip

    def __init__(self, detector: Detector, keys: Iterable[str] = ()) -> None:
        self._detector = detector
        self._keys = key_rules(detector, frozenset(keys))
        self._grammar = Grammar()
        self._rest = b""
        self._counts: dict[str, int] = {}
        self._utf8 = _Utf8()
        self._select: str | None = None
        self._keyed: tuple[str, re.Pattern[bytes]] | None = None
        self._mute: int | None = None  # the depth at which a masked container began
        self._long: EscapedMasker | None = None
        self._dropping = False  # inside a long string that is masked whole
        self._begun = False

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        if len(data) <= SLICE:
            return self._step(data, False)
        return b"".join(self._step(data[i : i + SLICE], False) for i in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError when a document is unfinished."""
        out = self._step(b"", True)
        if self._rest or not self._grammar.idle:
            raise MaskError("malformed JSON: it ends before its document does")
        return out

    def _step(self, data: bytes, final: bool) -> bytes:
        try:
            self._utf8.decode(data, final)
        except UnicodeDecodeError:
            raise MaskError("malformed JSON: not UTF-8") from None
        buffer = self._rest + data
        out: list[bytes] = []
        if not self._begun:
            if _BOM.startswith(buffer[:3]) and len(buffer) < 3 and not final:
                self._rest = buffer
                return b""
            self._begun = True
            if buffer.startswith(_BOM):
                out.append(_BOM)
                buffer = buffer[3:]
        while True:
            if self._long is not None or self._dropping:
                buffer = self._string(buffer, out, final)
                if self._long is not None or self._dropping:
                    break
            stop = self._pass(buffer, out, final)
            buffer = buffer[stop:]
            if final or len(buffer) < LONG or buffer[0] != 34:
                break
            self._open(out)
            buffer = buffer[1:]
        self._rest = buffer
        return b"".join(out)

    def _pass(self, data: bytes, out: list[bytes], final: bool) -> int:
        """Take the whole tokens; gives how far they go."""
        if self._mute is not None or self._select is not None or self._keyed is not None:
            return self._walk(data, out, final, [(0, len(data))])
        before = self._grammar.save()
        at = 0
        while True:
            stepped = self._grammar.skip(data, at, len(data))
            if stepped == at or not self._grammar.idle:
                stepped = self._grammar.leap(data, stepped)
            if stepped > at and self._grammar.idle:
                at = stepped
                continue  # the next document is best stepped over whole
            at = stepped
            token, start, at = self._grammar.next(data, at, final)
            if token is Token.MORE:
                break
        if not start:
            return 0
        dirty = self._dirty(data[:start])
        if not dirty:
            out.append(data[:start])
            return start
        self._grammar.restore(before)
        return self._walk(data, out, final, dirty)

    def _dirty(self, data: bytes) -> list[tuple[int, int]]:
        """Where in whole tokens there may be something to mask. A value that lies in a string is one here too, for
        quotes are boundaries; what seems to be one across strings only makes the walk longer."""
        flat = unescape(data)
        found = [(span.start, span.end) for span in self._detector.scan(flat)]
        found += self._keys.hints(flat)
        if self._keys.cards:
            found += _EXPONENT.spans(flat)
        if not found:
            return []
        found.sort()
        merged = [found[0]]
        for start, end in found[1:]:
            if start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        bounds = spelling(data, [offset for pair in merged for offset in pair])
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def _walk(self, data: bytes, out: list[bytes], final: bool, dirty: list[tuple[int, int]]) -> int:
        grammar, copied, at = self._grammar, 0, 0
        ahead = iter([*dirty, (len(data), len(data) + 1)])
        limit, until = next(ahead)
        while True:
            if self._mute is not None:
                at = grammar.skip(data, at, len(data))
            elif self._select is None and self._keyed is None:
                while until <= at:
                    limit, until = next(ahead)
                if limit - at > 32:  # below that a try costs more than the tokens
                    at = grammar.skip(data, at, limit)
            token, start, at = grammar.next(data, at, final)
            if token is Token.MORE:
                break
            if self._mute is not None:
                if token is Token.CLOSE and grammar.depth == self._mute:
                    self._mute, copied = None, at
                continue
            if token is Token.KEY:
                self._name(data[start + 1 : at - 1])
            elif token in (Token.MARK, Token.CLOSE):
                continue
            masked = self._value(token, data[start:at])
            if token is not Token.KEY:
                self._select = self._keyed = None
            if masked is not None:
                out += (data[copied:start], masked)
                copied = at
        if self._mute is None:
            out.append(data[copied:start])
        return start

    def _name(self, raw: bytes) -> None:
        text = raw.decode()
        if "\\" in text:
            text = _CODE.sub(lambda found: chr(int(found[1], 16)), text)
        self._select = self._keys.selected(text)
        self._keyed = None if self._select else self._keys.keyed(text)

    def _value(self, token: Token, raw: bytes) -> bytes | None:
        """What stands in a token's place, or None to keep it."""
        if self._select is not None and token is not Token.KEY:
            if raw == b"null":
                return None
            if token is Token.OPEN:
                self._mute = self._grammar.depth - 1
            self._count(self._select)
            return b"null" if token in (Token.NUMBER, Token.WORD) else _quoted(mask_text(self._select))
        if self._keyed is not None and token in (Token.STRING, Token.NUMBER):
            kind, shape = self._keyed
            text = unescape(raw[1:-1]).strip() if token is Token.STRING else raw
            if shape.fullmatch(text):
                self._count(kind)
                return b"null" if token is Token.NUMBER else _quoted(mask_text(kind))
        if token in (Token.STRING, Token.KEY):
            inner = mask_escaped(self._detector, raw[1:-1], self._counts)
            return None if inner is None else b'"' + inner + b'"'
        if token is Token.NUMBER and self._keys.cards and number_is_card(raw):
            self._count(Kind.CARD.value)
            return b"null"
        if token is Token.NUMBER and self._detector.needles is not None and is_credential(self._detector, raw):
            self._count(CREDENTIAL)
            return b"null"
        return None

    def _open(self, out: list[bytes]) -> None:
        """A string too long to keep begins."""
        name = self._grammar.expects_key
        if self._mute is not None:
            self._dropping = True
        elif self._select is not None and not name:
            self._count(self._select)
            out.append(_quoted(mask_text(self._select)))
            self._dropping = True
        else:
            self._long = EscapedMasker(self._detector, self._counts)
            out.append(b'"')
            if name:
                self._select = self._keyed = None

    def _string(self, data: bytes, out: list[bytes], final: bool) -> bytes:
        end, ended = body_end(data, 0, final)
        if self._long is not None:
            out.append(self._long.feed(data[:end], ended))
            if ended:
                out.append(b'"')
        if not ended:
            return data[end:]
        self._long, self._dropping = None, False
        if self._grammar.string_ended() is Token.STRING and self._mute is None:
            self._select = self._keyed = None
        return data[end + 1 :]

    def _count(self, kind: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1


# A number with an exponent: what it amounts to can be a card's number though its digits are not.
_EXPONENT = Pattern(r"(?:\A|[^-+.0-9A-Za-z])[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]+(?:\z|[^-+.0-9A-Za-z])")
_CODE = re.compile(r"\\u([0-9a-fA-F]{4})")


def _quoted(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return b'"' + re.sub(r"[\x00-\x1f]", "?", escaped).encode() + b'"'


def mask_document(data: bytes, detector: Detector, keys: Iterable[str], counts: dict[str, int]) -> bytes:
    """One whole document (or several), masked; what was masked is added to `counts`. Raises MaskError."""
    stage = JsonStage(detector, keys)
    out = stage.feed(data) + stage.finish()
    for kind, count in stage.counts.items():
        counts[kind] = counts.get(kind, 0) + count
    return out
