"""What a client's StartupMessage asks for, and what of it may be asked for.

"Frontend/Backend Protocol", StartupMessage: apart from `user`, `database`, `options` and `replication`, and from the
protocol's options `_pq_.`, every parameter is a setting of the session.
"""

import re
from dataclasses import dataclass

from extproc.protocols.postgres.errors import NOT_SUPPORTED, PROTOCOL_VIOLATION
from extproc.protocols.postgres.wire.startup import StartupMessage

PROTOCOL_OPTION = "_pq_."
"""Parameters that begin so are options of the protocol ("Start-up"). There is none yet that a server knows."""
RESERVED = frozenset({"user", "database", "options", "replication"})
"""Parameters that are not settings. They have exactly this case."""
PINNED = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What the gateway sets itself: it reads statements by these."""

INVALID_AUTHORIZATION = "28000"
INVALID_VALUE = "22023"

# The first two change whom the target's policies are about, the others load code into the server.
_NEVER = frozenset({"session_authorization", "role", "local_preload_libraries", "session_preload_libraries"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")
_ENCODINGS = frozenset({"utf8", "unicode", "sqlascii"})
_TRUE = frozenset({"on", "true", "yes", "1", "t", "y"})
# They go into the gateway's own startup message, which has more than they and at most PostgreSQL's 10,000 bytes.
_MAX_SETTINGS_BYTES = 8000


class OpeningRefused(Exception):
    """The session that was asked for is not to be had. The text is for the client and quotes names of settings only;
    `code` is a word for the trail."""

    def __init__(self, code: str, sqlstate: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.sqlstate, self.hint = code, sqlstate, hint


@dataclass(frozen=True, slots=True)
class Opening:
    """The session that a client asks for: as whom, and in which database, by its own words. `settings` are all that it
    wants set, in the order in which a server would; no name is there twice, and those of PINNED are not among them."""

    user: str
    database: str
    application_name: str = ""
    settings: tuple[tuple[str, str], ...] = ()


def read_opening(startup: StartupMessage) -> Opening:
    """The session that this message asks for. Raises OpeningRefused."""
    given = dict(startup.parameters)
    user = given.get("user", "")
    if not user:
        raise OpeningRefused("no-user", INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    if "replication" in given:
        raise OpeningRefused("replication", NOT_SUPPORTED, "replication connections do not go through this gateway")
    # "options" first: what the message says of its own overrides it (PostgreSQL's process_startup_options).
    settings: dict[str, tuple[str, str]] = {}
    for name, value in read_options(given.get("options", "")):
        _add(settings, name, value)
    for name, value in startup.parameters:
        if name not in RESERVED and not name.startswith(PROTOCOL_OPTION):
            _add(settings, name, value)
    if sum(len(name.encode()) + len(value.encode()) for name, value in settings.values()) > _MAX_SETTINGS_BYTES:
        raise OpeningRefused("settings-too-long", PROTOCOL_VIOLATION, "the session's settings are too long")
    application = settings.get("application_name", ("", ""))[1]
    return Opening(user, given.get("database") or user, application, tuple(settings.values()))


def protocol_options(startup: StartupMessage) -> tuple[str, ...]:
    """The protocol's options that the client asks for, none of which are known here."""
    return tuple(name for name, _ in startup.parameters if name.startswith(PROTOCOL_OPTION))


def read_options(options: str) -> list[tuple[str, str]]:
    """The settings in `options`, which is a command line of the server's: words between spaces, a backslash before what
    is meant as it is (PostgreSQL's pg_split_opts). Only `-c name=value` and `--name=value` are read. Raises
    OpeningRefused for the other switches."""
    words = _words(options)
    settings = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "-c" and at < len(words):
            text = words[at]
            at += 1
        elif word.startswith("-c") or (word.startswith("--") and len(word) > 2):
            text = word[2:]
        else:
            raise _unreadable()
        name, equals, value = text.partition("=")
        if not equals:
            raise _unreadable()
        # ParseLongOption: a command line may write a setting's name with hyphens.
        settings.append((name.replace("-", "_"), value))
    return settings


def _words(options: str) -> list[str]:
    """The words of a command line."""
    words: list[str] = []
    word: list[str] = []
    escaped = inside = False
    for char in options:
        if escaped:
            word.append(char)
            escaped = False
        elif char == "\\":
            escaped = inside = True
        # C's isspace(), which is not Unicode's.
        elif char in " \t\n\v\f\r":
            if inside:
                words.append("".join(word))
            word, inside = [], False
        else:
            word.append(char)
            inside = True
    return [*words, "".join(word)] if inside else words


def _add(settings: dict[str, tuple[str, str]], name: str, value: str) -> None:
    """One setting more, or a later word on one that is there; server's names have no case. Raises OpeningRefused."""
    key = name.lower()
    # "user" as a setting would become the user of the gateway's own startup message.
    if not _NAME.fullmatch(name) or key in RESERVED or key.startswith(PROTOCOL_OPTION):
        raise OpeningRefused("setting-name", PROTOCOL_VIOLATION, "the startup message has a setting that is none")
    if key in _NEVER:
        hint = "Leave it out; the role that the gateway logs in with is the target's to choose."
        raise OpeningRefused("setting-refused", NOT_SUPPORTED, f"{key} may not be set through this gateway", hint)
    if key == "client_encoding":
        if re.sub(r"[^a-z0-9]", "", value.lower()) not in _ENCODINGS:
            hint = "Set client_encoding (PGCLIENTENCODING) to UTF8."
            raise OpeningRefused("encoding", INVALID_VALUE, "through this gateway client_encoding is UTF8", hint)
    elif key == "standard_conforming_strings":
        if value.lower() not in _TRUE:
            hint = "Leave it out, and write backslash escapes as E'...'."
            message = "through this gateway standard_conforming_strings is on"
            raise OpeningRefused("setting-refused", NOT_SUPPORTED, message, hint)
    else:
        settings.pop(key, None)
        settings[key] = (name, value)


def _unreadable() -> OpeningRefused:
    """The error for other switches: they mean what no setting says, or nothing."""
    hint = "Use only -c name=value and --name=value in options (PGOPTIONS)."
    return OpeningRefused("options", NOT_SUPPORTED, "options has a switch that does not go through this gateway", hint)
