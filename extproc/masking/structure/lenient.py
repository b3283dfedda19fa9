"""JSON that is masked as text from where it is malformed on, where policy wants that rather than a refusal."""

from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.ahead import Ahead
from extproc.masking.structure.jsonstage import SLICE, JsonStage
from extproc.masking.text import TextStage


class LenientStage:
    """A JsonStage, and behind it a TextStage for what no JSON is. Raises MaskError only where the document breaks off
    inside a value that is masked whole: nobody could say where that ends."""

    __slots__ = ("_plan", "_json", "_ahead", "_text")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._json = JsonStage(plan)
        self._ahead = Ahead()
        self._text: Stage | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(self._json.counts, self._text.counts if self._text is not None else {})

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        return b"".join(self._step(data[at : at + SLICE], False) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = self._step(b"", True)
        if self._text is None:
            if self._ahead.idle:
                return out + self._json.finish()
            out += self._broken()
        return out + (b"" if self._text is None else self._text.finish())

    def _step(self, data: bytes, final: bool) -> bytes:
        if self._text is not None:
            return self._text.feed(data)
        sound, more = self._ahead.take(data, final)
        out = self._json.feed(sound)
        return out if more else out + self._broken()

    def _broken(self) -> bytes:
        """From here on it is text."""
        held = self._json.held
        if held is None:
            raise MaskError("malformed JSON inside a value that is masked whole")
        self._text = TextStage(self._plan.in_text())
        return self._text.feed(held + self._ahead.rest)
