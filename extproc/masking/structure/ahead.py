"""How far bytes are sound JSON, for whoever goes on with what is not: wherever they were cut, it is the same."""

import codecs
import re

from extproc.masking.engine._re2 import Pattern
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import LONG
from extproc.masking.structure.jsontokens import Grammar, Token

_BOM = codecs.BOM_UTF8
_BLANK = b" \t\r\n"
_BODY = Pattern(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*').match_end
_ESCAPE = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")  # the beginning of one, or nothing at all
_Utf8 = codecs.getincrementaldecoder("utf-8")


class Ahead:
    """Goes ahead of a stage, which is given whole tokens, and as much as there is of a long string. `rest` is what came
    and was not given."""

    __slots__ = ("_grammar", "_utf8", "_begun", "_inside", "rest")

    def __init__(self) -> None:
        self._grammar = Grammar()
        self._utf8 = _Utf8()
        self._begun = False
        self._inside = False  # a long string
        self.rest = b""

    @property
    def idle(self) -> bool:
        """Whether the input may end here."""
        return self._grammar.idle and not self._inside and not self.rest

    def take(self, data: bytes, final: bool) -> tuple[bytes, bool]:
        """What is sound of the next bytes, and whether sound ones may follow it."""
        known = self.rest + data
        limit, readable = self._readable(data, final, len(known))
        upto, sound = self._sound(known[:limit], final and readable)
        self.rest = known[upto:]
        return known[:upto], sound and readable

    def _readable(self, data: bytes, final: bool, end: int) -> tuple[int, bool]:
        """Where the last whole character ends, and whether what follows may become one."""
        try:
            self._utf8.decode(data, final)
        except UnicodeDecodeError as error:
            return end - len(error.object) + error.start, False
        return end - len(self._utf8.getstate()[0]), True

    def _sound(self, data: bytes, final: bool) -> tuple[int, bool]:
        at = 0
        if not self._begun:
            if _BOM.startswith(data[:3]) and len(data) < 3 and not final:
                return 0, True
            self._begun = True
            at = 3 * data.startswith(_BOM)
        while True:
            if self._inside:
                at = _BODY(data, at, len(data))
                if data[at : at + 1] != b'"':
                    return at, _ESCAPE.match(data, at) is not None
                at, self._inside = at + 1, False
                self._grammar.string_ended()
            at = self._grammar.skip(data, at, len(data))
            sound = True
            try:
                token, start, end = self._grammar.next(data, at, final)
            except MaskError:
                token, start, end, sound = Token.MORE, len(data) - len(data[at:].lstrip(_BLANK)), at, False
            if token is not Token.MORE:
                at = end
            elif (
                data[start : start + 1] == b'"'
                and self._grammar.takes_string
                and _BODY(data, start + 1, len(data)) - start >= LONG
            ):
                at, self._inside = start + 1, True
            else:
                return start, sound
