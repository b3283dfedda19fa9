"""JSON that a language model writes, bit by bit: it may break off anywhere, and may turn out to be none."""

from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import Stage
from extproc.masking.structure.ahead import Ahead
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.jsonstage import SLICE, JsonStage
from extproc.masking.text import TextStage


class Arguments:
    """Masks the arguments of a tool call as the JSON that they are. From where they are no JSON, or break off, they are
    masked as text; what would be the rest of a value that is masked whole is left out. Raises nothing."""

    __slots__ = ("_plan", "_json", "_stage", "_ahead", "_text", "_closed")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._json = JsonStage(plan)
        self._stage: Stage = DropStage(self._json, lenient=True) if plan.drops else self._json
        self._ahead = Ahead()
        self._text: Stage | None = None
        self._closed = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(self._json.counts, self._text.counts if self._text is not None else {})

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        return b"".join(self._step(data[at : at + SLICE], final=False) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        out = self._step(b"", final=True)
        if self._closed:
            return out
        if self._text is None and self._ahead.idle:
            return out + self._stage.finish()
        return out + self._broken() + (self._text.finish() if self._text is not None else b"")

    def _step(self, data: bytes, final: bool) -> bytes:
        if self._closed:
            return b""
        if self._text is not None:
            return self._text.feed(data)
        sound, more = self._ahead.take(data, final)
        out = self._stage.feed(sound)
        return out if more else out + self._broken()

    def _broken(self) -> bytes:
        """From here on it is text."""
        if self._text is not None:
            return b""
        held = self._json.held
        if held is None or self._plan.drops or self._plan.keys:
            self._closed = True
            return b""
        self._text = TextStage(self._plan.in_text())
        return self._text.feed(held + self._ahead.rest)
