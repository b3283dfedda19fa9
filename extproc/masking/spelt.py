"""JSON that nobody asked to be well-formed: credentials alone are looked for, in what its strings mean."""

from extproc.masking.detect import SLICE, Detector
from extproc.masking.escaped import EscapedMasker


class SpeltStage:
    """Masks JSON, or what calls itself so, without reading its grammar: escapes are read as in a string, everywhere,
    and what is not masked keeps its bytes. In a string or a name a value becomes a mask, elsewhere null. Raises
    nothing. Only for values that no boundary belongs to, for it does not know where a string begins."""

    __slots__ = ("_masker", "_counts")

    def __init__(self, detector: Detector) -> None:
        self._counts: dict[str, int] = {}
        self._masker = EscapedMasker(detector, self._counts, bare=True)

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        if len(data) <= SLICE:
            return self._masker.feed(data)
        return b"".join(self._masker.feed(data[at : at + SLICE]) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        return self._masker.feed(b"", final=True)
