"""Why the gateway could not log in to a server: all of it for operators, and what a client may know."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extproc.protocols.postgres.wire.backend import ErrorResponse

REJECTED = "08004"
UNABLE = "08001"
"""SQLSTATEs of connections that cannot be had, by the server's fault and by anybody's ("Appendix A")."""

# Errors that are not about the gateway's password: a client may know, and some wait and try again.
_TOLD = {
    "53300": "the server has too many connections",
    "57P03": "the server does not accept connections now",
    "57P01": "the server is shutting down",
    "57P02": "the server is shutting down",
    "3D000": "the server has no such database",
    # Of a database without CONNECT, and of a setting that is not for everybody.
    "42501": "the server does not let this login into the database, or not with these settings",
}
# What a server says to startup parameters, which are the client's settings but for the gateway's two; the last is
# PgBouncer's for those that it does not pass on.
_SETTINGS = frozenset({"22023", "42704", "55P02", "08P01"})
_MAX_FIELD = 400
_FIELDS = {"C": "sqlstate", "M": "message", "D": "detail", "H": "hint"}


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """`code` is a word for the trail. `sqlstate` and `told` are for the client; `detail` are the server's own words, or
    ours, for operators only: no password is in them, but a server's names and addresses may be."""

    code: str
    sqlstate: str
    told: str
    detail: Mapping[str, str] = field(default_factory=dict)


class Fault(Exception):
    """The connection to the server failed, or the server does what no server should. The text is for operators, ours,
    and quotes nothing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def failed(self) -> LoginFailed:
        """What it comes to. A client is told no more than that it is not its own fault."""
        told = "the gateway could not log in to the server"
        return LoginFailed(self.code, UNABLE, told, {"message": str(self)})


def refused_by_server(error: ErrorResponse, password: bytes | None) -> LoginFailed:
    """The server said no. What it says may be meant to hurt: fields are cut, and a password in them is taken out."""
    state = error.get("C") or ""
    state = state if len(state) == 5 and state.isascii() and state.isalnum() else ""
    detail = {
        name: _without(text, password)[:_MAX_FIELD]
        for code, name in _FIELDS.items()
        if (text := error.get(code)) is not None
    }
    if state in _TOLD:
        return LoginFailed("server-refused", state, _TOLD[state], detail)
    if state in _SETTINGS:
        told = "the server refused the session; one of its settings may not be set like that"
        return LoginFailed("settings-refused", state, told, detail)
    told = "the server refused the gateway's login"
    return LoginFailed("login-refused" if state.startswith("28") else "server-refused", REJECTED, told, detail)


def _without(text: str, password: bytes | None) -> str:
    """The text less the password, also as the wire's reading of errors writes bytes that are not UTF-8."""
    if password:
        text = text.replace(password.decode("utf-8", "backslashreplace"), "***")
    return text
