"""Leaving members out of JSON: what a JsonStage marked is taken out, with its name and its comma."""

from codecs import BOM_UTF8

from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.jsonstage import DROPPED, LONG
from extproc.masking.structure.jsontokens import Grammar, Token, body_end

HELD = 64 << 10
"""Bytes of a member's name, and of blanks, that are held back until its value is seen, at most."""


class DropStage:
    """Behind a stage that gives JSON: leaves out every member and item whose value is the mark. Whoever sends the mark
    himself has his own member left out. Raises MaskError where the stage does, and for more than HELD bytes of name and
    blanks. With `lenient`, what is no JSON goes on as the stage gave it."""

    __slots__ = ("_stage", "_lenient", "_grammar", "_rest", "_before", "_kept", "_inside", "_raw", "_begun")

    def __init__(self, stage: Stage, lenient: bool = False) -> None:
        self._stage = stage
        self._lenient = lenient
        self._grammar = Grammar()
        self._rest = b""
        self._before = b""  # a comma, blanks and a name: what goes on only with the value that follows
        self._kept = [False]  # by depth: whether something of the container has gone on
        self._inside = False  # a long string, which is no mark
        self._raw = False  # no JSON any more
        self._begun = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return self._stage.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        return self._take(self._stage.feed(data), False)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._take(self._stage.finish(), True)

    def _take(self, data: bytes, final: bool) -> bytes:
        data, self._rest = self._rest + data, b""
        if self._raw:
            return data
        if not self._begun and len(data) < len(BOM_UTF8) and not final:
            self._rest = data
            return b""
        at = 0 if self._begun or not data.startswith(BOM_UTF8) else len(BOM_UTF8)
        out, self._begun = [data[:at]], True
        try:
            while True:
                if self._inside:
                    end, ended = body_end(data, at, final)
                    out.append(data[at:end])
                    at = end
                    if not ended:
                        break
                    out.append(b'"')
                    at += 1
                    self._inside = False
                    self._grammar.string_ended()
                token, start, end = self._grammar.next(data, at, final)
                if token is Token.MORE:
                    self._blanks(data[at:start], out)
                    at = start
                    if len(data) - start <= LONG or data[start] != 34:
                        break
                    if self._grammar.expects_key:
                        if len(data) - start > HELD:
                            raise MaskError(f"a member's name of more than {HELD} bytes")
                        break
                    self._value(data[at : start + 1], out)
                    at, self._inside = start + 1, True
                    continue
                self._token(token, data[at:start], data[start:end], out)
                at = end
        except MaskError:
            if not self._lenient:
                raise
            self._raw = True
            out += (self._before, data[at:])
            self._before = b""
            return b"".join(out)
        self._rest = data[at:]
        if final:  # a document that breaks off, or blanks
            out += (self._before, self._rest)
        return b"".join(out)

    def _blanks(self, gap: bytes, out: list[bytes]) -> None:
        """What stands before a token that is not here yet: it must not pile up."""
        if self._grammar.idle:
            out.append(gap)
            return
        self._before += gap
        if len(self._before) > HELD:
            raise MaskError(f"more than {HELD} bytes of blanks and a name before a value")

    def _token(self, token: Token, gap: bytes, raw: bytes, out: list[bytes]) -> None:
        if token is Token.KEY or token is Token.MARK:
            self._before += gap + raw
        elif token is Token.CLOSE:
            self._kept.pop()
            out += (self._before, gap + raw)
            self._before = b""
        elif raw == DROPPED and self._grammar.depth:
            self._before = b""
        else:
            self._value(gap + (b"null" if raw == DROPPED else raw), out)
            if token is Token.OPEN:
                self._kept.append(False)

    def _value(self, piece: bytes, out: list[bytes]) -> None:
        """A value, or its beginning, goes on, and what stands before it."""
        before, self._before = self._before, b""
        if not self._kept[-1]:
            self._kept[-1] = True
            if before.lstrip(_BLANK).startswith(b","):  # what it followed was left out
                before = before.replace(b",", b"", 1)
        out += (before, piece)


_BLANK = b" \t\r\n"
