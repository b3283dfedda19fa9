"""The contract of a stage: one step that bytes pass through on a lane."""

from typing import Protocol


class MaskError(Exception):
    """The stage can't vouch for what it was given (malformed, unknown coding, over a bound). Nothing more may
    be released; the message is safe to log and quotes no payload."""


class Stage(Protocol):
    """Bytes in, bytes out. Concatenated output must not depend on how the input was cut. What may belong to an
    unfinished match is held back until it is decided; memory held is bounded whatever the input."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        ...

    def finish(self) -> bytes:
        """The input has ended: give the rest. Called once. Raises MaskError."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind (`card`, `ssn`, `key:ssn` …)."""
        ...
