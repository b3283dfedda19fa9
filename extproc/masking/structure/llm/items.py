"""JSON documents in a row, or the items of one array, cut apart."""

import re
from collections.abc import Iterator

from extproc.masking.stage import MaskError
from extproc.masking.structure.jsontokens import Grammar, Token

ITEM = 1 << 20
"""Bytes of one item, at most."""

_OBJECT = ord("{")
_BLANKS = re.compile(rb"[ \t\r\n]*")


class Items:
    """Bytes in; out come items, and what stands between them: blanks, commas, and the brackets of the array. Whether
    there is one, the first byte says."""

    __slots__ = ("_grammar", "_held", "_given", "_at", "_begin", "_base", "ended")

    def __init__(self) -> None:
        self._grammar = Grammar()
        self._held = b""
        self._given = 0  # how many bytes of it were given
        self._at = 0  # up to where tokens were taken
        self._begin = -1  # where the item that is under way begins
        self._base = -1  # depth of the items, once it is known
        self.ended = False
        """Whether the array has ended."""

    @property
    def array(self) -> bool:
        """Whether the items are those of an array, which has begun."""
        return self._base == 1

    @property
    def held(self) -> bytes:
        """What came and was not given."""
        return self._held[self._given :]

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Give each item that is complete with what stands before it, and what stands behind the last one with an empty
        item. Documents in a row that are no objects may come as one item. Raises MaskError for what is not JSON, and an
        item that is too long."""
        given = self._given
        self._held, self._given = self._held[given:] + data, 0
        self._at -= given
        self._begin = max(self._begin - given, -1)
        failed: MaskError | None = None
        run = upto = -1  # of documents that are no objects
        try:
            while self._step(final):
                if self._begin < 0 or self._grammar.depth != self._base:
                    continue
                begin, self._begin = self._begin, -1
                if not self._base and self._held[begin] != _OBJECT:
                    run, upto = begin if run < 0 else run, self._at
                    continue
                if run >= 0:
                    yield self._pair(run, upto)
                    run = -1
                yield self._pair(begin, self._at)
        except MaskError as error:
            failed = error
        if run >= 0:
            yield self._pair(run, upto)
        if gap := self._held[self._given : self._at if self._begin < 0 else self._begin]:
            self._given += len(gap)
            yield gap, b""
        if self.ended and self.held:
            raise MaskError("malformed JSON: something follows the array")
        if failed is not None:
            raise failed
        if len(self._held) - self._given > ITEM:
            raise MaskError(f"a JSON document longer than {ITEM} bytes in a stream of them")
        if final and (self.held or self._grammar.depth):
            raise MaskError("malformed JSON: it ends before its document does")

    def _pair(self, begin: int, end: int) -> tuple[bytes, bytes]:
        """What stands before an item, and itself."""
        pair = self._held[self._given : begin], self._held[begin:end]
        self._given = end
        return pair

    def _step(self, final: bool) -> bool:
        """Take a token, or a whole document; False where there is no more."""
        held, grammar = self._held, self._grammar
        if self._begin < 0:
            blanks = _BLANKS.match(held, self._at)
            self._at = blanks.end() if blanks else self._at
        if self.ended:
            return False
        if self._base == 0 and grammar.idle and (end := grammar.skip(held, self._at, len(held))) > self._at:
            self._begin, self._at = self._at, end
            return True
        token, start, end = grammar.next(held, self._at, final)
        if token is Token.MORE:
            return False
        self._at = end
        if self._base < 0:
            self._base = 1 if held[start] == 91 else 0
            if self._base:
                return True
        if self._begin < 0 and token is Token.CLOSE:
            self.ended = True
        elif self._begin < 0 and token is not Token.MARK:
            self._begin = start
        return True
