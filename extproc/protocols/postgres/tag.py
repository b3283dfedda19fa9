"""What the server calls a session: whose it is, before whatever its client calls itself.

`application_name` is a setting that anybody may change, in a dozen ways. The server reports each change ("Asynchronous
Operations", ParameterStatus) at the latest before it is ready again, and then the gateway sets it anew. The client is
told its own name alone, as it would be without a gateway.
"""

import re

from extproc.protocols.postgres.beside import beside

SETTING = "application_name"

_LONGEST = 63
"""Bytes that a server keeps of a name (NAMEDATALEN - 1)."""
_SESSION = 12
_SUBJECT = 24
_MOST_NAMES = 32
_MAJOR = re.compile(r"[0-9]{1,4}")
_CLEANS_BY_HEX = 16
"""The first major version of PostgreSQL that tells what is no printable ASCII from what is."""


def label(session: str, subject: str) -> str:
    """What a session of a principal is called: printable ASCII, as a server keeps no more, and no spaces."""
    plain = "".join(char if "!" <= char <= "~" else "?" for char in subject)
    return f"holdpoint:{session[:_SESSION]}:{plain[:_SUBJECT]}"


def kept(name: str, version: str) -> str:
    """What a server of this version (its `server_version`) would make of a name (check_application_name)."""
    data = name.encode("utf-8", "surrogateescape")[:_LONGEST].decode("utf-8", "ignore").encode()
    major = _MAJOR.match(version)
    by_hex = major is not None and int(major[0]) >= _CLEANS_BY_HEX
    return "".join(chr(byte) if 32 <= byte < 127 else (f"\\x{byte:02x}" if by_hex else "?") for byte in data)


class Tag:
    """`label` stands before each name of the session; where there is none, names are the client's own."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._owns: dict[str, str] = {}
        self._lost: str | None = None

    def __bool__(self) -> bool:
        return bool(self._label)

    def name(self, own: str) -> str:
        """What the session is to be called whose client calls itself so."""
        if not self._label:
            return own
        plain = "".join(char if " " <= char <= "~" else "?" for char in own)
        name = f"{self._label} {plain}"[:_LONGEST] if own else self._label
        self._remember(name, own)
        return name

    def heard(self, name: str, own: str | None = None) -> str:
        """The server calls the session so from now on; `own` is what the client called it, where that is known. Gives
        what the client is told."""
        if not self._label:
            return name
        ours = name == self._label or name.startswith(f"{self._label} ")
        if not ours:
            self._lost = own = name if own is None else own
            return own
        self._lost = None
        if own is not None:
            self._remember(name, own)
        return self._owns.get(name, name[len(self._label) + 1 :])

    def again(self, in_transaction: bool) -> bytes | None:
        """What sets it anew, where it was lost; None where it is there. In a transaction for as long as that: its end
        decides what the client's own name is. See `beside` for when it may be sent, and its answer."""
        if self._lost is None:
            return None
        own, self._lost = self._lost, None
        value = self.name(own).replace("'", "''")
        return beside(f"SET {'LOCAL ' if in_transaction else ''}{SETTING} TO '{value}'")

    def _remember(self, name: str, own: str) -> None:
        # What is cut off can't be told from the name.
        self._owns.pop(name, None)
        self._owns[name] = own
        if len(self._owns) > _MOST_NAMES:
            del self._owns[next(iter(self._owns))]
