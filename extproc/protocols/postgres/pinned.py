"""What a session may not change of itself: what the gateway chose for it when it logged in."""

from extproc.protocols.postgres.sql import Script, Setting, Statement

READ_ONLY = "default_transaction_read_only"

_OF_READING = frozenset({READ_ONLY, "transaction_read_only"})
_OF_ROLE = frozenset({"role", "session_authorization"})
_RUNS_TEXT = frozenset({"do", "call"})
_ROUTINES = frozenset({"function", "procedure", "routine", "aggregate"})
_TRUE = frozenset({"on", "true", "yes", "1", "t", "y"})


class Pins:
    """`role` is the one that was taken on; with `read_only` no transaction may write. `reported` is what servers say of
    it by themselves (from 14 on), by setting."""

    def __init__(self, role: str | None = None, read_only: bool = False) -> None:
        self.role = role
        self.reported = {READ_ONLY: "on"} if read_only else {}
        self._names = (_OF_ROLE if role is not None else frozenset()) | (_OF_READING if read_only else frozenset())

    def touched(self, script: Script) -> str | None:
        """The pinned setting that a script would change, or could change; None where it changes none."""
        for statement in script.statements if self._names else ():
            if statement.kind in _RUNS_TEXT or "dynamic-sql" in statement.unknown or self._keeps_text(statement):
                return "what was chosen when it began, which text that is run could do,"
            for setting in statement.settings:
                if setting.name is None or (setting.name in self._names and not _keeps(setting)):
                    return setting.name or "a setting whose name is computed"
            # RESET ALL goes back to what the gateway chose; DISCARD ALL gives up the role as well.
            if self.role is not None and statement.kind == "discard" and "all" in statement.action:
                return "role"
        if self.role is not None and script.strays(moved=False):
            return "role, which what stands before another statement in this text could do,"
        return None

    def _keeps_text(self, statement: Statement) -> bool:
        """Whether it makes a function, whose body may be any text, or whose own settings may be any."""
        routines = any(one.type in _ROUTINES for one in statement.objects)
        return self.role is not None and statement.kind in ("create", "alter") and routines


def _keeps(setting: Setting) -> bool:
    """Whether it says only what holds in any case, as BEGIN READ ONLY does."""
    return setting.name in _OF_READING and setting.value is not None and setting.value.lower() in _TRUE
