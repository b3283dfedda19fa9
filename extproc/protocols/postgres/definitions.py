"""For how long what was learnt of tables may be believed: until somebody may have changed them."""

from typing import Final, Protocol

BELIEVED_SECONDS: Final = 1.0
"""For how long what was learnt is believed at most: changes that no session makes are seen after that."""


class Definitions(Protocol):
    """Told of whatever may change tables and views, by all sessions of a gateway."""

    def mark(self, seconds: float = BELIEVED_SECONDS) -> object | None:
        """What was learnt may be believed as long as this is the same as before it was asked for, and not None, as it
        is while somebody changes definitions. What is changed unseen it tells by being another after so many
        seconds."""
        ...

    def begin(self) -> None:
        """Something is about to run that may change definitions, in a transaction of its own for each call."""
        ...

    def end(self) -> None:
        """That transaction is over."""
        ...


class Unbelieved:
    """Definitions of which nobody hears anything: nothing is believed for longer than one statement."""

    def mark(self, seconds: float = BELIEVED_SECONDS) -> None:
        """See Definitions."""

    def begin(self) -> None:
        """See Definitions."""

    def end(self) -> None:
        """See Definitions."""
