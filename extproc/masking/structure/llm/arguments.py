"""JSON that a language model writes, bit by bit: it may break off anywhere, and may turn out to be none."""

import re

from extproc.masking.engine._re2 import Pattern
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.jsonstage import LONG, JsonStage
from extproc.masking.structure.jsontokens import Grammar, Token
from extproc.masking.text import TextStage

_BLANK = b" \t\r\n"
_BODY = Pattern(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*').match_end
_ESCAPE = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")  # the beginning of one, or nothing at all


class Arguments:
    """Masks the arguments of a tool call as the JSON that they are. From where they are no JSON, or break off, they are
    masked as text; what would be the rest of a value that is masked whole is left out. Raises nothing."""

    __slots__ = ("_plan", "_json", "_stage", "_grammar", "_rest", "_inside", "_text", "_closed")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._json = JsonStage(plan)
        self._stage: Stage = DropStage(self._json, lenient=True) if plan.drops else self._json
        self._grammar = Grammar()  # ahead of the stage's, so that what it is given is sound
        self._rest = b""  # the beginning of a token
        self._inside = False  # a long string
        self._text: Stage | None = None
        self._closed = False

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        counts = self._json.counts
        for kind, count in self._text.counts.items() if self._text is not None else ():
            counts[kind] = counts.get(kind, 0) + count
        return counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        return self._step(data, final=False)

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        out = self._step(b"", final=True)
        if self._closed:
            return out
        if self._text is None and self._grammar.idle and not self._inside and not self._rest:
            return out + self._stage.finish()
        return out + self._broken() + (self._text.finish() if self._text is not None else b"")

    def _step(self, data: bytes, final: bool) -> bytes:
        if self._closed:
            return b""
        if self._text is not None:
            return self._text.feed(data)
        data, self._rest = self._rest + data, b""
        upto, sound = self._sound(data, final)
        out = self._stage.feed(data[:upto])
        self._rest = data[upto:]
        return out if sound else out + self._broken()

    def _sound(self, data: bytes, final: bool) -> tuple[int, bool]:
        """How far the data is JSON in whole tokens, and as much as there is of a long string, and whether it may go on
        there. That must not depend on where the data was cut."""
        at = 0
        while True:
            if self._inside:
                at = _BODY(data, at, len(data))
                if data[at : at + 1] != b'"':
                    return at, _ESCAPE.match(data, at) is not None
                at, self._inside = at + 1, False
                self._grammar.string_ended()
            sound = True
            try:
                token, start, end = self._grammar.next(data, at, final)
            except MaskError:
                token, start, end, sound = Token.MORE, len(data) - len(data[at:].lstrip(_BLANK)), at, False
            if token is not Token.MORE:
                at = end
            elif data[start : start + 1] == b'"' and _BODY(data, start + 1, len(data)) - start >= LONG:
                at, self._inside = start + 1, True
            else:
                return start, sound

    def _broken(self) -> bytes:
        """From here on it is text."""
        if self._text is not None:
            return b""
        held = self._json.held
        if held is None or self._plan.drops or self._plan.keys:
            self._closed = True
            return b""
        self._text = TextStage(self._plan.in_text())
        return self._text.feed(held + self._rest)
