"""What a session's database defines beside PostgreSQL's own operators and functions, while it may be believed."""

from collections.abc import Callable
from typing import Final

from extproc.protocols.postgres.definitions import Definitions
from extproc.protocols.postgres.masks.catalogue import Answer
from extproc.protocols.postgres.masks.defined import custom
from extproc.protocols.postgres.sql import Reader, Script
from extproc.protocols.postgres.sql.custom import PLAIN, UNTOLD, defined

_BELIEVED_SECONDS: Final = 10.0
"""For how long the answer is believed at most. What a session of this gateway changes is asked for at once; what is
changed at the server is only missed where it has a name of PostgreSQL's own."""


class Customs:
    """Has `reader` read texts by what is known. `changed` is called each time that this becomes something else, so that
    whatever was read before may mean something else."""

    def __init__(self, reader: Reader, definitions: Definitions, changed: Callable[[], None]) -> None:
        self._reader = reader
        self._definitions = definitions
        self._changed = changed
        self._told = UNTOLD
        self._made = PLAIN
        self._mark: object | None = None
        self._for: object | None = None
        reader.custom = UNTOLD

    def known(self, message: object) -> bool:
        """Whether enough is known to read this message of the client; else the server is to be asked first, once."""
        if message is self._for:
            return True
        mark = self._definitions.mark(_BELIEVED_SECONDS)
        if mark is not None and mark == self._mark:
            return True
        self._mark, self._for = mark, message
        return False

    def learn(self, answer: Answer | None) -> None:
        """Take the answer; None where there was none."""
        self._told = custom(answer)
        if answer is None:
            self._mark = None
        self._apply()

    def begin(self, script: Script) -> None:
        """This is about to run: nobody else sees what it defines before its transaction is committed."""
        if script.effects.defines:
            self._made = defined(self._made, script.statements)
            self._apply()

    def idle(self) -> None:
        """The transaction is over."""
        self._made = PLAIN
        self._apply()

    def _apply(self) -> None:
        now = self._told.joined(self._made)
        if now != self._reader.custom:
            self._reader.custom = now
            self._changed()
