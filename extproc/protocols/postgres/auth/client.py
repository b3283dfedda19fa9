"""What the gateway is to a client before there is a session: TLS, startup, and proof of who it is.

"Frontend/Backend Protocol", "Start-up", "SASL Authentication", "SSL Session Encryption". `Greeting` reads bytes and
gives commands; whatever takes input or output (TLS, looking a verifier up, finding out who it is) is asked for by a
command and answered by a method. Input that comes meanwhile waits, in bounds. After Ready, Refused or CancelAsked it is
over.
"""

from enum import Enum, auto

from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth.commands import (
    AnswerTls,
    CancelAsked,
    Command,
    FindVerifier,
    NeedIdentity,
    Ready,
    Refused,
)
from extproc.protocols.postgres.auth.opening import (
    INVALID_AUTHORIZATION,
    Opening,
    OpeningRefused,
    protocol_options,
    read_opening,
)
from extproc.protocols.postgres.auth.scram import MAX_MESSAGE_BYTES, ScramRefused, Verifier
from extproc.protocols.postgres.auth.scram_server import ScramServer
from extproc.protocols.postgres.errors import PROTOCOL_VIOLATION, fatal
from extproc.protocols.postgres.wire.authentication import (
    RESPONSE,
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from extproc.protocols.postgres.wire.backend import NegotiateProtocolVersion
from extproc.protocols.postgres.wire.fields import HEAD, Malformed
from extproc.protocols.postgres.wire.startup import (
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    read_startup,
)

MAX_PASSWORD_BYTES = 65_535
"""The longest password message (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH)."""
MAX_WAITING_BYTES = 1 << 16
"""How much may come while the gateway is busy. What a client sends before it was let in, it sends unasked."""

INVALID_PASSWORD = "28P01"  # noqa: S105 - an SQLSTATE
_TOKEN_HINT = "Give your token as the password, for example by PGPASSWORD."  # noqa: S105 - advice
_TLS_HINT = f"Connect with TLS (sslmode=require or better). {_TOKEN_HINT}"
_PASSWORD_HINT = "Such a password ends within an hour; `holdpoint passwords issue` gives another."  # noqa: S105 - advice
_NO_TLS_HINT = (
    "Tokens are taken over TLS or on the gateway's own machine, and the gateway has no TLS here. What needs none is a "
    "short-lived password: `holdpoint passwords issue`."
)


class _State(Enum):
    STARTUP = auto()
    HANDSHAKE = auto()
    LOOKUP = auto()
    PASSWORD = auto()
    CHALLENGE = auto()
    PROOF = auto()
    IDENTITY = auto()
    REFUSED = auto()
    READY = auto()


_WAITING = frozenset({_State.LOOKUP, _State.IDENTITY})


class Greeting:
    """One connection, from its first byte. `feed` is total: hostile input gives Refused, never an exception."""

    def __init__(self, nonce: str, *, tls: bool, secure: bool) -> None:
        """`nonce` is the server's half for SCRAM: fresh, random, printable. `tls` says that the listener has a
        certificate to offer; `secure` that nobody can read along even without: the connection is from loopback."""
        self._nonce = nonce
        self._tls = tls
        self._secure = secure
        self._certificate = False
        self._binding: bytes | None = None
        self._asked: set[type[SSLRequest | GSSENCRequest]] = set()
        self._state = _State.STARTUP
        self._buffer = bytearray()
        self._opening = Opening("", "")
        self._version = PROTOCOL_3_0
        self._scram: ScramServer | None = None
        # What goes to the client with the news that it is let in.
        self._last_words = b""

    def feed(self, data: bytes) -> list[Command]:
        """Bytes of the client. Those after Refused and CancelAsked are nobody's. Raises RuntimeError after Ready, when
        they are the session's."""
        if self._state is _State.READY:
            raise RuntimeError("the greeting is over")
        if self._state is not _State.REFUSED:
            self._buffer += data
        return self._run()

    def tls_started(self, binding: bytes | None, *, certificate: bool) -> list[Command]:
        """TLS began: after AnswerTls, or before the first byte (ALPN postgresql). `binding` is tls-server-end-point of
        the listener's certificate; `certificate` says that the client showed one that names a principal."""
        if self._state is not _State.HANDSHAKE and (self._state is not _State.STARTUP or self._buffer or self._asked):
            raise RuntimeError("TLS begins when it was accepted, or at once")
        self._state = _State.STARTUP
        self._asked = {SSLRequest, GSSENCRequest}
        self._secure = True
        self._binding = binding
        self._certificate = certificate
        return []

    def verifier_found(self, verifier: Verifier | None) -> list[Command]:
        """The answer to FindVerifier; None: by token. Where a wrong name must not be told from a wrong password, the
        answer for a name that nobody has is `Verifier.mock`."""
        if not self._expects(_State.LOOKUP):
            return []
        if verifier is not None:
            self._scram = ScramServer(verifier, self._nonce, self._binding)
            self._state = _State.CHALLENGE
            return [Tell(AuthenticationSASL(self._scram.mechanisms).encode()), *self._run()]
        if self._secure:
            self._state = _State.PASSWORD
            return [Tell(AuthenticationCleartextPassword().encode()), *self._run()]
        message = "this connection has no encryption, and no token is asked for without"
        return self._refuse("not-secure", INVALID_AUTHORIZATION, message, _TLS_HINT if self._tls else _NO_TLS_HINT)

    def identified(self) -> list[Command]:
        """The answer to NeedIdentity: somebody who may be here."""
        if not self._expects(_State.IDENTITY):
            return []
        rest = bytes(self._buffer)
        self._over(_State.READY)
        told = self._last_words + AuthenticationOk().encode()
        return [Tell(told), Ready(self._opening, self._version, rest)]

    def unidentified(self, code: str, message: str, hint: str = "", sqlstate: str = "") -> list[Command]:
        """The answer to NeedIdentity: nobody, or not now, or not here; and to FindVerifier where that can't be told.
        Without an SQLSTATE it is the one of a wrong password or, for a certificate, of nobody."""
        if not self._expects(_State.IDENTITY, _State.LOOKUP):
            return []
        usual = INVALID_AUTHORIZATION if self._certificate else INVALID_PASSWORD
        return self._refuse(code, sqlstate or usual, message, hint)

    @property
    def waiting(self) -> bool:
        """Whether the next step is the gateway's own, so that the client owes nothing."""
        return self._state in _WAITING

    # -- inside --------------------------------------------------------------------------------------------------------

    def _run(self) -> list[Command]:
        """Everything that what came so far leads to."""
        commands: list[Command] = []
        try:
            while step := self._step():
                commands += step
        except Malformed as error:
            commands += self._refuse("malformed", PROTOCOL_VIOLATION, str(error))
        except OpeningRefused as error:
            commands += self._refuse(error.code, error.sqlstate, str(error), error.hint)
        except ScramRefused as error:
            if error.sqlstate == INVALID_PASSWORD:
                # Also where there is no such name, or no more: nobody who has not the password learns which.
                commands += self._refuse("wrong-password", error.sqlstate, str(error), _PASSWORD_HINT)
            else:
                commands += self._refuse("scram", error.sqlstate, str(error))
        return commands

    def _step(self) -> list[Command]:
        """One message more, or nothing while there is none or another's turn."""
        match self._state:
            case _State.STARTUP:
                return self._startup()
            case _State.HANDSHAKE:
                return self._unencrypted()
            case _State.PASSWORD:
                return self._password()
            case _State.CHALLENGE:
                return self._challenge()
            case _State.PROOF:
                return self._proof()
            case _State.LOOKUP | _State.IDENTITY if len(self._buffer) > MAX_WAITING_BYTES:
                raise Malformed("more was sent before the client was let in than a client sends")
            case _:
                return []

    def _startup(self) -> list[Command]:
        """A message without a kind. Of the requests for encryption there is one each, and none behind TLS."""
        found = read_startup(self._buffer)
        if found is None:
            return []
        message, used = found
        del self._buffer[:used]
        if isinstance(message, CancelRequest):
            self._over(_State.REFUSED)
            return [CancelAsked(message.pid, message.secret)]
        if isinstance(message, StartupMessage):
            return self._opened(message)
        if type(message) in self._asked:
            raise OpeningRefused("asked-twice", PROTOCOL_VIOLATION, "encryption was negotiated before")
        self._asked.add(type(message))
        if isinstance(message, SSLRequest) and self._tls:
            self._state = _State.HANDSHAKE
            return self._unencrypted() or [AnswerTls(True)]
        return [AnswerTls(False)]

    def _unencrypted(self) -> list[Command]:
        """Whatever comes between SSLRequest and TLS could be anybody's (CVE-2021-23214)."""
        if not self._buffer:
            return []
        hint = "This is a fault of the client, or somebody between the client and the gateway wrote it."
        message = "received unencrypted data after SSL request"
        return self._refuse("unencrypted-data", PROTOCOL_VIOLATION, message, hint)

    def _opened(self, message: StartupMessage) -> list[Command]:
        """A session is asked for."""
        # 3.1 was never spoken by anybody; who asks for it gets what 3.0 is.
        self._version = PROTOCOL_3_2 if message.version >= PROTOCOL_3_2 else PROTOCOL_3_0
        unknown = protocol_options(message)
        commands: list[Command] = []
        if unknown or message.version > PROTOCOL_3_2:
            # Not the newest version that there is but, as servers say it, the one that will be spoken.
            commands.append(Tell(NegotiateProtocolVersion(self._version, unknown).encode()))
        try:
            self._opening = read_opening(message)
        except OpeningRefused as error:
            return [*commands, *self._refuse(error.code, error.sqlstate, str(error), error.hint)]
        if self._certificate:
            self._state = _State.IDENTITY
            return [*commands, NeedIdentity(self._opening, self._secure, certificate=True)]
        self._state = _State.LOOKUP
        return [*commands, FindVerifier(self._opening.user, self._opening.database)]

    def _password(self) -> list[Command]:
        """The token."""
        body = self._response(MAX_PASSWORD_BYTES)
        if body is None:
            return []
        password = PasswordMessage.decode(body).password
        if not password:
            return self._refuse("no-password", INVALID_PASSWORD, "the password is empty", _TOKEN_HINT)
        return self._show(NeedIdentity(self._opening, self._secure, password=password))

    def _challenge(self) -> list[Command]:
        """SCRAM's first message."""
        # The mechanism's name and the lengths are on top of what SCRAM itself may say.
        body = self._response(MAX_MESSAGE_BYTES + 64)
        if body is None or self._scram is None:
            return []
        initial = SASLInitialResponse.decode(body)
        self._state = _State.PROOF
        return [Tell(AuthenticationSASLContinue(self._scram.first(initial.mechanism, initial.data or b"")).encode())]

    def _proof(self) -> list[Command]:
        """SCRAM's second message."""
        body = self._response(MAX_MESSAGE_BYTES)
        if body is None or self._scram is None:
            return []
        final = self._scram.final(SASLResponse.decode(body).data)
        # Our own proof waits with the news that the client is let in: until then there is none.
        self._last_words = AuthenticationSASLFinal(final).encode()
        return self._show(NeedIdentity(self._opening, self._secure, proven=True))

    def _response(self, limit: int) -> bytes | None:
        """The body of the client's answer, if it is all there. Raises Malformed for anything else."""
        if self._buffer and self._buffer[0] != RESPONSE:
            raise Malformed("expected a password or SASL response")
        if len(self._buffer) < HEAD.size:
            return None
        _, size = HEAD.unpack_from(self._buffer)
        if not 4 <= size <= limit + 4:
            raise Malformed("a password or SASL response has a length that none has")
        if len(self._buffer) < size + 1:
            return None
        body = bytes(self._buffer[HEAD.size : size + 1])
        del self._buffer[: size + 1]
        return body

    def _show(self, shown: NeedIdentity) -> list[Command]:
        self._state = _State.IDENTITY
        return [shown]

    def _refuse(self, code: str, sqlstate: str, message: str, hint: str = "") -> list[Command]:
        """The last words."""
        self._over(_State.REFUSED)
        return [Refused(fatal(sqlstate, message, hint=hint), code, sqlstate, message)]

    def _over(self, state: _State) -> None:
        self._state = state
        self._buffer.clear()

    def _expects(self, *states: _State) -> bool:
        """Whether an answer is still of use. Raises RuntimeError for one to what was not asked."""
        if self._state not in (*states, _State.REFUSED):
            raise RuntimeError(f"nothing was asked that this answers: {self._state.name}")
        return self._state in states
