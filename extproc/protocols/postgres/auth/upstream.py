"""The gateway's login to a server: `Login` says what to send and, in the end, that it is in or why it is not.

"Frontend/Backend Protocol", "Start-up" and "SASL Authentication". It is careful with a server as with a client: it
proves itself in the ways that it was told to, once, believes a SCRAM server only after that has proven itself, reads a
bounded number of messages, and goes on only where the settings that the gateway reads statements by are in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from extproc.protocols.postgres.auth.failure import Fault, LoginFailed, refused_by_server
from extproc.protocols.postgres.auth.md5 import md5_response
from extproc.protocols.postgres.auth.opening import PINNED, PROTOCOL_OPTION, RESERVED
from extproc.protocols.postgres.auth.scram import PLAIN, PLUS, ScramRefused
from extproc.protocols.postgres.auth.scram_client import ScramClient
from extproc.protocols.postgres.wire.authentication import (
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationResponse,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from extproc.protocols.postgres.wire.backend import (
    Backend,
    BackendKeyData,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    Transaction,
    decode_backend,
)
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, StartupMessage

MAX_MESSAGES = 256
MAX_BYTES = 1 << 18
"""What a server may say until it is ready; a real one says some 20 messages of a few hundred bytes in all."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What the gateway has to log in with. No password: the certificate that TLS showed has to do."""

    password: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what no message can carry."""
        if self.password is not None and (not self.password or 0 in self.password):
            raise ValueError("a password is not empty and has no zero byte")


class Method(Enum):
    """How the server had us prove ourselves. `NONE` is a certificate, or a server that asks nothing (`trust`)."""

    NONE = "none"
    CLEARTEXT = "cleartext"
    MD5 = "md5"
    SCRAM = "scram-sha-256"
    SCRAM_PLUS = "scram-sha-256-plus"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The server is ready. `statuses` are its ParameterStatus, in their order; `key` is for CancelRequest, None where
    the server takes none. What the server sends from now on is the session's."""

    statuses: Mapping[str, str]
    key: BackendKeyData | None
    transaction: Transaction
    method: Method


Outcome = bytes | LoggedIn | LoginFailed


class _State(Enum):
    NEW = auto()
    ASKED = auto()
    CHALLENGE = auto()
    SIGNATURE = auto()
    # Nothing but AuthenticationOk may come.
    OK = auto()
    SETTINGS = auto()
    OVER = auto()


class Login:
    """One login. `start`, then `feed` for each frame until an outcome is not bytes."""

    def __init__(
        self,
        user: str,
        secret: Secret,
        database: str,
        parameters: Sequence[tuple[str, str]],
        *,
        channel_binding: bytes | None,
        allow_cleartext: bool,
        nonce: str,
    ) -> None:
        """`parameters` are settings of the session, as startup parameters; those of `opening.PINNED` are set here.
        `channel_binding` is tls-server-end-point of the server's certificate (RFC 5929), None without TLS.
        `allow_cleartext`: the server is who it should be, by a verified certificate, so that it may have the password
        as it is. `nonce` is our half for SCRAM: fresh, random, printable. Raises ValueError for parameters that are not
        settings, or are too long in all."""
        names = {name.lower() for name, _ in parameters}
        if names & (RESERVED | set(PINNED)) or any(name.startswith(PROTOCOL_OPTION) for name in names):
            raise ValueError("the parameters of a login are settings of the session, less those that the gateway sets")
        self._startup = StartupMessage(
            PROTOCOL_3_0, (("user", user), ("database", database), *PINNED.items(), *parameters)
        ).encode()
        self._user = user
        self._secret = secret
        self._binding = channel_binding
        self._allow_cleartext = allow_cleartext
        self._nonce = nonce
        self._state = _State.NEW
        self._method = Method.NONE
        self._scram: ScramClient | None = None
        self._messages = self._bytes = 0
        self._statuses: dict[str, str] = {}
        self._key: BackendKeyData | None = None

    def start(self) -> bytes:
        """The startup message. TLS, where there is to be any, has begun."""
        if self._state is not _State.NEW:
            raise RuntimeError("a login starts once")
        self._state = _State.ASKED
        return self._startup

    @property
    def heavy(self) -> bool:
        """Whether the next frame may take long: a key is derived, in milliseconds to half a second."""
        return self._state is _State.CHALLENGE

    def feed(self, frame: Frame) -> list[Outcome]:
        """What a message of the server leads to. It is total: whatever a server says is answered or ends in
        LoginFailed. Raises RuntimeError before `start` and after the end."""
        if self._state in (_State.NEW, _State.OVER):
            raise RuntimeError("no login is under way")
        try:
            self._messages += frame.count
            self._bytes += len(frame.data)
            if self._messages > MAX_MESSAGES or self._bytes > MAX_BYTES:
                raise Fault("too-much", "the server says more than a login takes")
            if frame.count != 1 or frame.part is not Part.WHOLE:
                raise Fault("unexpected-message", "the server sends data before it is ready")
            outcome = self._take(decode_backend(frame.kind, frame.body))
        except Malformed as error:
            outcome = Fault("malformed", str(error)).failed()
        except ScramRefused as error:
            outcome = Fault("scram", str(error)).failed()
        except Fault as fault:
            outcome = fault.failed()
        if isinstance(outcome, LoggedIn | LoginFailed):
            self._state = _State.OVER
        return [] if outcome is None else [outcome]

    def _take(self, message: Backend) -> Outcome | None:
        """One message. Raises Fault, and what the parts of it raise."""
        match message:
            case ErrorResponse():
                return refused_by_server(message, self._secret.password)
            case NoticeResponse():
                return None
            case NegotiateProtocolVersion() if self._state is _State.ASKED:
                # We ask for the oldest version and for no options, which leaves a server nothing to negotiate.
                if message.version != PROTOCOL_3_0 or message.unknown:
                    raise Fault("protocol-version", "the server does not speak version 3.0 of the protocol")
                return None
            case (
                AuthenticationOk()
                | AuthenticationCleartextPassword()
                | AuthenticationMD5Password()
                | AuthenticationSASL()
                | AuthenticationSASLContinue()
                | AuthenticationSASLFinal()
                | AuthenticationOther()
            ):
                return self._authenticate(message)
            case ParameterStatus() if self._state is _State.SETTINGS:
                self._statuses[message.name] = message.value
                return None
            case BackendKeyData() if self._state is _State.SETTINGS and self._key is None:
                self._key = message
                return None
            case ReadyForQuery() if self._state is _State.SETTINGS:
                return self._ready(message.status)
            case _:
                raise Fault("unexpected-message", "the server sends something that does not belong into a login")

    def _authenticate(self, message: Authentication) -> bytes | None:
        """What the server asks for: one way to prove ourselves, from beginning to end, and then Ok."""
        match message:
            # Ok in the middle of SASL is a server that has not shown that it knows the password.
            case AuthenticationOk() if self._state in (_State.ASKED, _State.OK):
                self._state = _State.SETTINGS
                return None
            case AuthenticationCleartextPassword() if self._state is _State.ASKED:
                return self._cleartext()
            case AuthenticationMD5Password() if self._state is _State.ASKED:
                self._state, self._method = _State.OK, Method.MD5
                return PasswordMessage(md5_response(self._user.encode(), self._password(), message.salt)).encode()
            case AuthenticationSASL() if self._state is _State.ASKED:
                return self._sasl(message.mechanisms)
            case AuthenticationSASLContinue() if self._state is _State.CHALLENGE and self._scram:
                self._state = _State.SIGNATURE
                return SASLResponse(self._scram.final(message.data)).encode()
            case AuthenticationSASLFinal() if self._state is _State.SIGNATURE and self._scram:
                self._scram.verify(message.data)
                self._state = _State.OK
                return None
            case AuthenticationOther():
                raise Fault(
                    "method-unknown", f"the server asks for proof of a kind ({message.code}) that the gateway has not"
                )
            case _:
                raise Fault("authentication-order", "the server asks for proof, or says Ok, where that has no place")

    def _cleartext(self) -> bytes:
        """The password as it is."""
        if not self._allow_cleartext:
            raise Fault(
                "cleartext-refused",
                "the server asks for the password in the clear, and its identity was not verified by TLS",
            )
        self._state, self._method = _State.OK, Method.CLEARTEXT
        # Not PasswordMessage: a password need not be UTF-8.
        return AuthenticationResponse(self._password() + b"\0").encode()

    def _sasl(self, mechanisms: Sequence[str]) -> bytes:
        """SCRAM, bound to the channel where the server offers it and there is one."""
        plus = PLUS in mechanisms and self._binding is not None
        if PLUS in mechanisms and self._binding is None and not self._allow_cleartext:
            # Only over TLS is it offered: somebody between us and the server has it with the server, and not with us.
            raise Fault("channel-binding", "the server offers to bind to TLS, and this connection has none")
        if not plus and PLAIN not in mechanisms:
            raise Fault("method-unknown", "the server offers no SASL mechanism that the gateway knows")
        self._method = Method.SCRAM_PLUS if plus else Method.SCRAM
        self._scram = ScramClient(self._password(), self._nonce, self._binding, plus)
        self._state = _State.CHALLENGE
        return SASLInitialResponse(self._scram.mechanism, self._scram.first()).encode()

    def _password(self) -> bytes:
        if self._secret.password is None:
            raise Fault("no-password", "the server asks for a password, and the login has none")
        return self._secret.password

    def _ready(self, status: Transaction) -> LoggedIn:
        """The server is ready: are we, with it?"""
        if status is not Transaction.IDLE:
            raise Fault("unexpected-message", "the server is in a transaction before there was a statement")
        for name, value in PINNED.items():
            if self._statuses.get(name) != value:
                raise Fault("settings", f"the server does not keep {name} at {value}")
        return LoggedIn(dict(self._statuses), self._key, status, self._method)
