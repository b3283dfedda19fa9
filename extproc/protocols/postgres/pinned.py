"""What a session may not change of itself: what the gateway chose for it when it logged in."""

from extproc.protocols.postgres.sql import Script, Setting

READ_ONLY = "default_transaction_read_only"

_OF_READING = frozenset({READ_ONLY, "transaction_read_only"})
_OF_ROLE = frozenset({"role", "session_authorization"})
_RUNS_TEXT = frozenset({"do", "call"})
_TRUE = frozenset({"on", "true", "yes", "1", "t", "y"})


class Pins:
    """`role` is the one that was taken on; with `read_only` no transaction may write."""

    def __init__(self, role: str | None = None, read_only: bool = False) -> None:
        self.role = role
        self._names = (_OF_ROLE if role is not None else frozenset()) | (_OF_READING if read_only else frozenset())

    def touched(self, script: Script) -> str | None:
        """The pinned setting that a script would change, or could change; None where it changes none."""
        for statement in script.statements if self._names else ():
            if statement.kind in _RUNS_TEXT or "dynamic-sql" in statement.unknown:
                return "what was chosen when it began, which text that is run could do,"
            for setting in statement.settings:
                if setting.name is None or (setting.name in self._names and not _keeps(setting)):
                    return setting.name or "a setting whose name is computed"
            # RESET ALL goes back to what the gateway chose; DISCARD ALL gives up the role as well.
            if self.role is not None and statement.kind == "discard" and "all" in statement.action:
                return "role"
        return None


def _keeps(setting: Setting) -> bool:
    """Whether it says only what holds in any case, as BEGIN READ ONLY does."""
    return setting.name in _OF_READING and setting.value is not None and setting.value.lower() in _TRUE
