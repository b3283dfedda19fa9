"""Bodies whose type says little: JSON if they look like it, text otherwise.

Text rules know neither escapes nor containers, so JSON that is called text would spill what a mask by name selects.
What begins with a brace or a bracket is therefore read as JSON; if its first 4 KiB are not, it is text.
"""

import codecs
from collections.abc import Callable

from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.jsontokens import JsonBound

TRIAL = 4 << 10
"""Bytes of what looks like JSON that are held back until it has proved to be."""

_BOM = codecs.BOM_UTF8


class SniffStage:
    """Passes leading blanks and a byte order mark, and lets the first byte after them decide: `{` or `[` is JSON.
    JSON that fails within its first 4 KiB, or ends within them unfinished, is text from its first byte; what fails
    later, or is nested too deep, raises MaskError. `trial` is 0 for a JSON stage that takes whatever comes."""

    __slots__ = ("_json", "_text", "_room", "_stage", "_trial", "_held", "_out", "_begun")

    def __init__(self, json: Callable[[], Stage], text: Callable[[], Stage], trial: int = TRIAL) -> None:
        self._json = json
        self._text = text
        self._room = trial
        self._stage: Stage | None = None  # once it is sure
        self._trial: Stage | None = None
        self._held = b""  # while not sure: what came
        self._out: list[bytes] = []  # while not sure: what JSON made of it
        self._begun = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return {} if self._stage is None else self._stage.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        if self._stage is not None:
            return self._stage.feed(data)
        if self._trial is not None:
            return self._try(data)
        data = self._held + data
        self._held = b""
        first = b""
        if not self._begun:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._held = data
                return b""
            self._begun = True
            if data.startswith(_BOM):
                first, data = _BOM, data[len(_BOM) :]
        rest = data.lstrip(b" \t\r\n")
        first += data[: len(data) - len(rest)]
        if not rest:
            return first
        if rest[:1] in (b"{", b"["):
            self._trial = self._json()
            return first + self._try(rest)
        self._stage = self._text()
        return first + self._stage.feed(rest)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        if self._stage is None and self._trial is not None:
            try:
                self._out.append(self._trial.finish())
            except JsonBound:
                raise
            except MaskError:
                return self._as_text() + self.finish()
            self._stage = self._trial
            return b"".join(self._out)
        if self._stage is None:
            self._stage = self._text()
            return self._stage.feed(self._held) + self._stage.finish()
        return self._stage.finish()

    def _try(self, data: bytes) -> bytes:
        if self._trial is None:
            raise TypeError("nothing is on trial")
        room = self._room - len(self._held)
        now, later = data[:room], data[room:]
        self._held += now
        try:
            self._out.append(self._trial.feed(now))
        except JsonBound:
            raise
        except MaskError:
            return self._as_text() + self.feed(later)
        if len(self._held) < self._room:
            return b""
        self._stage, self._held = self._trial, b""
        out, self._out = b"".join(self._out), []
        return out + self._stage.feed(later)

    def _as_text(self) -> bytes:
        held, self._held, self._out, self._trial = self._held, b"", [], None
        self._stage = self._text()
        return self._stage.feed(held)
