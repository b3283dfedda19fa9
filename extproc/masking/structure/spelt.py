"""JSON that nobody asked to be well-formed: credentials alone are looked for, in what its strings mean."""

from extproc.masking.engine.scanner import SLICE
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import Stage
from extproc.masking.structure.escaped import EscapedMasker
from extproc.masking.text import TextStage


class SpeltStage:
    """Masks JSON, or what calls itself so, without reading its grammar: escapes are read as in a string, everywhere,
    and what is not masked keeps its bytes. In a string or a name a value becomes a mask, elsewhere null. Raises
    nothing. Only for values that no boundary belongs to, for it does not know where a string begins."""

    __slots__ = ("_masker", "_counts")

    def __init__(self, plan: Plan) -> None:
        self._counts: dict[str, int] = {}
        self._masker = EscapedMasker(plan, self._counts, bare=True)

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        if len(data) <= SLICE:
            return self._masker.feed(data)
        return b"".join(self._masker.feed(data[at : at + SLICE]) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        return self._masker.feed(b"", final=True)


class RawBehind:
    """A stage that reads escapes, and behind it a look at the bytes themselves for credentials, which are all that
    `credentials` finds: after a backslash, one that begins with a `t` is read as a tab and the rest, and its bytes are
    there all the same. There is no saying what such JSON means once it is masked; it may be none any more."""

    __slots__ = ("_stage", "_raw")

    def __init__(self, stage: Stage, credentials: Plan) -> None:
        self._stage = stage
        self._raw = TextStage(credentials)

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(dict(self._stage.counts), self._raw.counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError where the stage does."""
        return self._raw.feed(self._stage.feed(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError where the stage does."""
        return self._raw.feed(self._stage.finish()) + self._raw.finish()
