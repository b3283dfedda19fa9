"""What `client.Greeting` asks of whoever has the connection."""

from dataclasses import dataclass, field

from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth.opening import Opening


@dataclass(frozen=True, slots=True)
class AnswerTls:
    """Answer SSLRequest or GSSENCRequest: S, and a TLS handshake, then `Greeting.tls_started`; or N."""

    accept: bool


@dataclass(frozen=True, slots=True)
class FindVerifier:
    """Look up whether this name has a SCRAM verifier. Answered by `Greeting.verifier_found`."""

    user: str
    database: str


@dataclass(frozen=True, slots=True)
class NeedIdentity:
    """Find out who it is and whether it may be here. Answered by `Greeting.identified` or `Greeting.unidentified`.
    Just one of the three shows it: `certificate`, `proven` (by SCRAM, with what the name's verifier was made of), or
    `password`, a token. `secure` says that nobody could read along."""

    opening: Opening
    secure: bool
    certificate: bool = False
    proven: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Not a session: cancel what the one with this key does, say nothing, close ("Canceling Requests in Progress")."""

    pid: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """The client was let in, and knows it: what follows is a session. `version` is the protocol's, 3.0 or
    3.2, as in StartupMessage; `rest` is what came already of the session."""

    opening: Opening
    version: int
    rest: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The client was not let in: send these last words and close. `code` is a word for the trail."""

    data: bytes
    code: str
    sqlstate: str
    message: str


Command = AnswerTls | FindVerifier | NeedIdentity | Tell | CancelAsked | Ready | Refused
