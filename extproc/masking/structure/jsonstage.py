"""Masking of JSON as it streams by. What is not masked keeps its bytes: order, spacing, duplicate keys, number forms.

Values are looked for in what strings mean, never in the bytes that spell them. Each slice is first only checked: its
grammar, then one look for values over all its strings at once. Most slices pass that way untouched; the others are
walked token by token, except where they are clean.
"""

import codecs
import json
import re
from decimal import Decimal, InvalidOperation

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.engine.span import add, tally
from extproc.masking.operators import Cover, mask_text
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.escaped import EscapedMasker, mask_escaped, spelling, unescape, unfinished
from extproc.masking.structure.jsonlook import JsonLook
from extproc.masking.structure.jsontokens import Grammar, Token, body_end
from extproc.masking.structure.names import names

SLICE = 4 << 10
LONG = 1 << 10
"""Bytes of an unfinished string that are kept before it is masked as a stream of its own."""

_BOM = codecs.BOM_UTF8
_Utf8 = codecs.getincrementaldecoder("utf-8")

INNER = 256 << 10
"""Bytes of a string that is a document itself, at most, where names are masked."""

STRINGS = 4
"""How many times a document may stand in a string of another one, where names are masked."""

_DOCUMENT = re.compile(rb'"(?:[ \t\r\n]|\\[nrt]|\\u00(?:20|0[9aAdD]))*(?:[{\[]|\\u00[57][bB])')


class TooDeep(MaskError):
    """Documents in strings of documents, more often than we follow."""


DROPPED = b'"[masked:drop]"'
"""What stands for a value whose member is to be left out; a DropStage behind leaves it out."""


def whole_number(token: bytes) -> bytes:
    """The digits of a JSON number that is a whole one, in whatever form (4111111111111111.0, 4.1E15); the token itself
    where it is not, or has more than 40 digits."""
    if token.isdigit():
        return token
    try:
        value = Decimal(token.decode("ascii"))
    except InvalidOperation:
        return token  # an exponent beyond what Decimal has
    if not 0 <= value.adjusted() <= 40 or value != value.to_integral_value():
        return token
    return str(int(value)).encode()


class JsonStage:
    """Masks JSON: one document, several, or NDJSON. Where names are masked, so is a string that is a document
    itself. Raises MaskError for what is not JSON in UTF-8, is nested deeper than 128 or has a number over 1 KiB: what a
    reader downstream would make of it can't be known; and for documents in strings that are too long, or too deep. It
    stands in so many strings of other documents as `inside` says."""

    __slots__ = (
        "_plan", "_names", "_grammar", "_rest", "_counts", "_utf8", "_select", "_contexts", "_mute", "_long",
        "_dropping", "_cover", "_begun", "_look", "_inside",
    )  # fmt: skip

    def __init__(self, plan: Plan, inside: int = 0) -> None:
        self._plan = plan
        self._inside = inside  # how many strings of other documents it stands in
        self._names = names(plan)
        self._grammar = Grammar()
        self._rest = b""
        self._counts: dict[str, int] = {}
        self._utf8 = _Utf8()
        self._select: str | None = None
        self._contexts: dict[int, frozenset[int]] = {}  # by depth: for which rules the last name there is context
        self._look = JsonLook(plan)
        self._mute: int | None = None  # the depth at which a masked container began
        self._long: EscapedMasker | None = None
        self._dropping = False  # inside a long string that is masked whole
        self._cover: Cover | None = None  # what stands in its place, if that depends on it
        self._begun = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._counts)

    @property
    def held(self) -> bytes | None:
        """What came and has not gone on; None inside a value that is masked whole."""
        whole = self._select is not None or self._mute is not None or self._dropping
        if whole or (self._long is not None and self._long.inside):
            return None
        return self._rest if self._long is None else self._long.held + self._rest

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
            if final or len(buffer) < LONG or buffer[0] != 34 or self._may_be_document(buffer):
                break
            self._open(out)
            buffer = buffer[1:]
        self._rest = buffer
        return b"".join(out)

    def _pass(self, data: bytes, out: list[bytes], final: bool) -> int:
        """Take the whole tokens; gives how far they go."""
        if self._mute is not None or self._select is not None:
            return self._walk(data, out, final, [(0, len(data))])
        if self._contexts:
            return self._walk(data, out, final, self._look.at(data, self._contexts.values()))
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
        dirty = self._look.at(data[:start], ())
        # Of names whose value is not all here, the walk takes note.
        if not dirty and not self._look.asked:
            out.append(data[:start])
            return start
        self._grammar.restore(before)
        return self._walk(data, out, final, dirty)

    def _walk(self, data: bytes, out: list[bytes], final: bool, dirty: list[tuple[int, int]]) -> int:
        grammar, copied, at = self._grammar, 0, 0
        ahead = iter([*dirty, (len(data), len(data) + 1)])
        limit, until = next(ahead)
        while True:
            if self._mute is not None:
                at = grammar.skip(data, at, len(data))
            elif self._select is None:
                while until <= at:
                    limit, until = next(ahead)
                # Below that a try costs more than the tokens.
                if limit - at > 32 and not (self._contexts and self._minded()):
                    at = grammar.skip(data, at, limit)
            token, start, at = grammar.next(data, at, final)
            if token is Token.MORE:
                break
            if self._mute is not None:
                if token is Token.CLOSE and grammar.depth == self._mute:
                    self._mute, copied = None, at
                continue
            if token is Token.MARK:
                continue
            if token is Token.CLOSE:
                if self._contexts:
                    self._contexts.pop(grammar.depth + 1, None)
                    self._used()
                continue
            if token is Token.KEY:
                self._name(data[start + 1 : at - 1])
            while until <= start:
                limit, until = next(ahead)
            masked = self._value(token, data[start:at], at <= limit)
            if token is not Token.KEY:
                self._select = None
            if masked is not None:
                out += (data[copied:start], masked)
                copied = at
        if self._mute is None:
            out.append(data[copied:start])
        return start

    def _minded(self) -> bool:
        """Whether the values that come next have to be taken one by one, because of their name."""
        named = self._contexts.get(self._grammar.depth)
        return named is not None and (self._grammar.in_object or self._look.minds(named))

    def _name(self, raw: bytes) -> None:
        text = unescape(raw).decode("utf-8", "surrogatepass")
        self._select = self._names.selected(text)
        if not self._select and (named := self._plan.detector.named(text)):
            self._contexts[self._grammar.depth] = named

    def _named(self) -> frozenset[int]:
        """For which rules the name is context under which the next value stands."""
        return self._contexts.get(self._grammar.depth, NOTHING) if self._contexts else NOTHING

    def _used(self) -> None:
        """A value has ended: in an object its name is used up, in an array it goes on to the next."""
        if self._grammar.in_object:
            self._contexts.pop(self._grammar.depth, None)

    def _value(self, token: Token, raw: bytes, clean: bool) -> bytes | None:
        """What stands in a token's place, or None to keep it. `clean`: it has no value, but for those that a name is
        context for which has to be minded."""
        if self._select is not None and token is not Token.KEY:
            return self._selected(self._select, token, raw)
        if token is Token.OPEN:
            # What a name is context for, it is for each item of an array; an object has names of its own.
            if self._contexts and raw == b"[" and (named := self._contexts.get(self._grammar.depth - 1)):
                self._contexts[self._grammar.depth] = named
            return None
        if clean and self._contexts and token is not Token.KEY:
            clean = not self._look.minds(self._named(), token is Token.STRING)
        masked = self._found(token, raw) if not clean else None
        if token is not Token.KEY and self._contexts:
            self._used()
        return masked

    def _selected(self, kind: str, token: Token, raw: bytes) -> bytes | None:
        """What stands in the place of a value under a masked name."""
        if raw == b"null" and not self._plan.alike:
            return None
        self._count(kind)
        if token is Token.OPEN:
            self._mute = self._grammar.depth - 1
        return self._whole(kind, unescape(raw[1:-1]) if token is Token.STRING else None, token)

    def _found(self, token: Token, raw: bytes) -> bytes | None:
        """A string, name or number with its values masked, or None where it has none."""
        if token in (Token.STRING, Token.KEY):
            if token is Token.STRING and self._plan.keys and _DOCUMENT.match(raw):
                document = self._document(raw)
                if document is not None:
                    return document
            named = self._named() if token is Token.STRING else NOTHING
            masked = mask_escaped(self._plan, raw[1:-1], self._counts, named)
            if masked is None:
                return None
            inner, kind = masked
            # One that comes in pieces does not wait for its end.
            whole = kind and token is Token.STRING and len(raw) <= LONG
            if whole and self._plan.operator(kind) in (Operator.NULL, Operator.DROP):
                return self._whole(kind, b"", token)
            return b'"' + inner + b'"'
        if token is Token.NUMBER:
            spans = scan(self._plan.detector, raw, named := self._named())
            if not spans and (digits := whole_number(raw)) != raw:
                spans = scan(self._plan.detector, digits, named)
            if spans:
                for span in spans:
                    tally(self._counts, span)
                return self._whole(spans[0].kind, None, token)
        return None

    def _may_be_document(self, raw: bytes) -> bool:
        """Whether a string that has begun has to be kept until it ends, for names in it may be masked. Raises MaskError
        for one that is too long for that."""
        if not self._plan.keys or self._select is not None or self._mute is not None or self._grammar.expects_key:
            return False
        if not _DOCUMENT.match(raw):
            return False
        if len(raw) > INNER:
            raise MaskError(f"a JSON document of more than {INNER} bytes in a string, where names are masked")
        return True

    def _document(self, raw: bytes) -> bytes | None:
        """A string that is a document, with that masked; the string itself where nothing in it is, None where it is no
        document. Raises MaskError for one in too many strings."""
        text = unescape(raw[1:-1])
        stage = JsonStage(self._plan, self._inside + 1)
        try:
            masked = stage.feed(text) + stage.finish()
        except TooDeep:
            raise
        except MaskError:
            return None
        if self._inside >= STRINGS:
            raise TooDeep(f"JSON in strings of JSON more than {STRINGS} times")
        add(self._counts, stage.counts)
        return raw if masked == text else _spelt_again(raw, text, masked)

    def _whole(self, kind: str, text: bytes | None, token: Token) -> bytes:
        """What stands in the place of a whole value; of a string, `text` is what it means."""
        operator = self._plan.operator(kind)
        if operator is Operator.DROP:
            return DROPPED
        if operator is Operator.NULL:
            return b"null"
        if self._select is not None and self._plan.alike and (not text or operator is Operator.REDACT):
            return _quoted(mask_text(kind).encode())
        if token in (Token.NUMBER, Token.WORD):
            return b"null"
        if text is None:
            return _quoted(mask_text(kind).encode())
        cover = self._plan.cover(kind)
        return _quoted(cover.feed(text) + cover.end())

    def _open(self, out: list[bytes]) -> None:
        """A string too long to keep begins."""
        name = self._grammar.expects_key
        if self._mute is not None:
            self._dropping = True
        elif self._select is not None and not name:
            self._count(self._select)
            self._dropping = True
            operator = self._plan.operator(self._select)
            if operator is Operator.DROP:
                out.append(DROPPED)
            elif operator is Operator.NULL:
                out.append(b"null")
            else:
                self._cover = self._plan.cover(self._select)
                out.append(b'"')
        else:
            self._long = EscapedMasker(self._plan, self._counts, named=NOTHING if name else self._named())
            out.append(b'"')
            if name:
                self._select = None
                self._contexts.pop(self._grammar.depth, None)

    def _string(self, data: bytes, out: list[bytes], final: bool) -> bytes:
        end, ended = body_end(data, 0, final)
        if not ended and self._cover is not None:
            end = unfinished(data[:end])
        if self._long is not None:
            out.append(self._long.feed(data[:end], ended))
        elif self._cover is not None:
            out.append(_plain(self._cover.feed(unescape(data[:end]))))
        if not ended:
            return data[end:]
        if self._cover is not None:
            out.append(_plain(self._cover.end()))
        if self._long is not None or self._cover is not None:
            out.append(b'"')
        self._long, self._cover, self._dropping = None, None, False
        if self._grammar.string_ended() is Token.STRING and self._mute is None:
            self._select = None
            if self._contexts:
                self._used()
        return data[end + 1 :]

    def _count(self, kind: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1


def _plain(text: bytes) -> bytes:
    """Text of ours as it stands inside a string: names in it are the upstream's, or policy's."""
    return re.sub(rb"[\x00-\x1f]", b"?", text.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _continues(text: bytes, at: int) -> bool:
    """Whether an offset lies inside a UTF-8 character."""
    return at < len(text) and text[at] & 0xC0 == 0x80


def _spelt_again(raw: bytes, text: bytes, masked: bytes) -> bytes:
    """A string whose meaning was masked. What stands before and behind all that was masked keeps its bytes."""
    same = _shared(text, masked)
    while same and (_continues(text, same) or _continues(masked, same)):
        same -= 1  # not inside a character
    tail = _shared(text[same:][::-1], masked[same:][::-1])
    while tail and _continues(text, len(text) - tail):
        tail -= 1
    start, end = spelling(raw[1:-1], [same, len(text) - tail])
    inner = json.dumps(masked[same : len(masked) - tail].decode("utf-8", "surrogatepass"), ensure_ascii=False)
    return raw[: start + 1] + inner.encode("utf-8", "surrogatepass")[1:-1] + raw[end + 1 :]


def _quoted(text: bytes) -> bytes:
    return b'"' + _plain(text) + b'"'


def mask_document(data: bytes, plan: Plan, counts: dict[str, int]) -> bytes:
    """One whole document (or several), masked; what was masked is added to `counts`. Raises MaskError."""
    stage = JsonStage(plan)
    out = stage.feed(data) + stage.finish()
    add(counts, stage.counts)
    return out
