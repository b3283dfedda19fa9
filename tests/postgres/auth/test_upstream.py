"""The login, as transcripts: what a server says, and what it gets. Servers here are hostile, or odd; real ones are in
test_real.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.protocols.postgres.auth.failure import LoginFailed
from extproc.protocols.postgres.auth.md5 import md5_response
from extproc.protocols.postgres.auth.scram import PLAIN, PLUS, Verifier
from extproc.protocols.postgres.auth.scram_server import ScramServer
from extproc.protocols.postgres.auth.upstream import (
    MAX_BYTES,
    MAX_MESSAGES,
    LoggedIn,
    Login,
    Method,
    Outcome,
    Secret,
)
from extproc.protocols.postgres.wire.authentication import (
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
    BackendKeyData,
    CommandComplete,
    DataRow,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    Transaction,
)
from extproc.protocols.postgres.wire.fields import HEAD
from extproc.protocols.postgres.wire.frame import Frame, Framer, Part
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, StartupMessage, read_startup

PASSWORD = b"server-pass"
NONCE = "our-half"
BINDING = bytes(range(32))
VERIFIER = Verifier.of(PASSWORD, b"a salt for tests")

OK = AuthenticationOk().encode()
CLEARTEXT = AuthenticationCleartextPassword().encode()
MD5 = AuthenticationMD5Password(b"salt").encode()
OFFER, OFFER_PLUS = AuthenticationSASL((PLAIN,)).encode(), AuthenticationSASL((PLUS, PLAIN)).encode()
UTF8, CONFORMING = ParameterStatus("client_encoding", "UTF8"), ParameterStatus("standard_conforming_strings", "on")
KEY = BackendKeyData(7, b"1234")
IDLE = ReadyForQuery(Transaction.IDLE).encode()
SETTINGS = UTF8.encode() + CONFORMING.encode()
IN = OK + SETTINGS + KEY.encode() + IDLE
STATUSES = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}


def make(
    secret: bytes | None = PASSWORD,
    parameters: tuple[tuple[str, str], ...] = (),
    *,
    channel_binding: bytes | None = None,
    allow_cleartext: bool = False,
) -> Login:
    return Login(
        *("rw", Secret(secret), "crm", parameters),
        channel_binding=channel_binding,
        allow_cleartext=allow_cleartext,
        nonce=NONCE,
    )


def play(login: Login, *said: bytes) -> list[Outcome]:
    """Everything that a server's words lead to, up to the end."""
    login.start()
    outcomes: list[Outcome] = []
    framer = Framer(1 << 16)
    for data in said:
        for frame in framer.feed(data):
            if outcomes and not isinstance(outcomes[-1], bytes):
                return outcomes
            outcomes += login.feed(frame)
    return outcomes


def failure(outcomes: list[Outcome]) -> LoginFailed:
    assert isinstance(outcomes[-1], LoginFailed)
    return outcomes[-1]


def logged_in(method: Method, key: BackendKeyData | None = KEY) -> LoggedIn:
    return LoggedIn(STATUSES, key, Transaction.IDLE, method)


class ScramSide:
    """What a server that knows the password says to this login."""

    def __init__(self, binding: bytes | None = None, verifier: Verifier = VERIFIER) -> None:
        self.scram = ScramServer(verifier, "their-half", binding)
        self.offer = AuthenticationSASL(self.scram.mechanisms).encode()

    def challenge(self, answered: Outcome) -> bytes:
        assert isinstance(answered, bytes)
        initial = SASLInitialResponse.decode(answered[HEAD.size :])
        return AuthenticationSASLContinue(self.scram.first(initial.mechanism, initial.data or b"")).encode()

    def final(self, answered: Outcome) -> bytes:
        assert isinstance(answered, bytes)
        return AuthenticationSASLFinal(self.scram.final(SASLResponse.decode(answered[HEAD.size :]).data)).encode()


def feed(login: Login, data: bytes) -> list[Outcome]:
    """What one piece leads to, of a login under way."""
    outcomes: list[Outcome] = []
    for frame in Framer(1 << 16).feed(data):
        outcomes += login.feed(frame)
    return outcomes


def scram(login: Login, side: ScramSide) -> list[Outcome]:
    """The exchange, up to the server's proof, which is not fed."""
    login.start()
    (initial,) = feed(login, side.offer)
    assert login.heavy
    (response,) = feed(login, side.challenge(initial))
    assert not login.heavy
    return [response]


def test_the_startup_message() -> None:
    """Version 3.0; what the gateway reads statements by is set, and then what the session is to have."""
    sent = make(parameters=(("application_name", "psql"), ("role", "analyst"))).start()
    parameters = (
        *(("user", "rw"), ("database", "crm"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on")),
        *(("application_name", "psql"), ("role", "analyst")),
    )
    assert read_startup(sent) == (StartupMessage(PROTOCOL_3_0, parameters), len(sent))


@pytest.mark.parametrize(
    "name", ["user", "User", "database", "options", "replication", "client_encoding", "Client_Encoding", "_pq_.x", ""]
)
def test_parameters_are_settings(name: str) -> None:
    """Others would make it another login than the one that was configured."""
    with pytest.raises(ValueError):
        make(parameters=((name, "x"),))


def test_secrets_fit_messages() -> None:
    """And are in no repr."""
    for password in (b"", b"a\0b"):
        with pytest.raises(ValueError):
            Secret(password)
    assert "server-pass" not in repr(Secret(PASSWORD))


def test_a_server_that_asks_for_nothing() -> None:
    """Trust, or the certificate that TLS showed."""
    assert play(make(None), IN) == [logged_in(Method.NONE)]


def test_a_server_without_a_cancel_key() -> None:
    """Some poolers have none."""
    assert play(make(), OK + SETTINGS + IDLE) == [logged_in(Method.NONE, None)]


def test_cleartext_where_it_is_allowed() -> None:
    """To a server whose certificate was verified; passwords need not be UTF-8."""
    answers = play(make(b"caf\xe9", allow_cleartext=True), CLEARTEXT, IN)
    assert answers == [AuthenticationResponse(b"caf\xe9\0").encode(), logged_in(Method.CLEARTEXT)]


def test_md5() -> None:
    """Twice hashed, with the user's name and with the salt (the vector is md5sum's)."""
    assert md5_response(b"alice", b"secret", b"\x01\x02\x03\x04") == "md598a0412b9c31436fc53776e863350083"
    answer = PasswordMessage(md5_response(b"rw", PASSWORD, b"salt")).encode()
    assert play(make(), MD5, IN) == [answer, logged_in(Method.MD5)]


@pytest.mark.parametrize("binding", [None, BINDING])
def test_scram(binding: bytes | None) -> None:
    """Both prove that they know the password, bound to the channel where there is one."""
    login, side = make(channel_binding=binding), ScramSide(binding)
    (response,) = scram(login, side)
    assert feed(login, side.final(response)) == []
    assert feed(login, IN) == [logged_in(Method.SCRAM_PLUS if binding else Method.SCRAM)]


def test_scram_over_tls_that_cannot_be_bound_to() -> None:
    """A certificate has no tls-server-end-point (Ed25519): without, if the server was verified."""
    login = make(allow_cleartext=True)
    login.start()
    (initial,) = feed(login, OFFER_PLUS)
    assert initial == SASLInitialResponse(PLAIN, f"n,,n=,r={NONCE}".encode()).encode()


def test_a_server_over_tls_that_does_not_offer_to_bind() -> None:
    """It is told that we could have: one that did offer it knows then that somebody took it away."""
    login = make(channel_binding=BINDING)
    login.start()
    (initial,) = feed(login, OFFER)
    assert initial == SASLInitialResponse(PLAIN, f"y,,n=,r={NONCE}".encode()).encode()


def test_a_server_that_says_ok_before_it_proved_itself() -> None:
    """It may not know the password, and has not said that it does: at either point of the exchange."""
    login, side = make(), ScramSide()
    scram(login, side)
    assert failure(feed(login, OK)).code == "authentication-order"
    login = make()
    login.start()
    feed(login, OFFER)
    assert failure(feed(login, OK)).code == "authentication-order"


def test_a_server_with_another_password() -> None:
    """Its proof is of what it thinks the password is."""

    class Believing(ScramSide):
        def final(self, answered: Outcome) -> bytes:
            return AuthenticationSASLFinal(b"v=" + b"A" * 43 + b"=").encode()

    login, side = make(), Believing()
    (response,) = scram(login, side)
    failed = failure(feed(login, side.final(response)))
    assert (failed.code, failed.detail["message"]) == (
        "scram",
        "the server did not prove that it knows the password",
    )


def test_a_server_that_wants_the_password_cheaply_guessable() -> None:
    """Or wants us to work for an hour: no proof is made."""
    for iterations in (1, 4095, 1_000_001, 2**31):
        login = make()
        login.start()
        feed(login, OFFER)
        challenge = AuthenticationSASLContinue(f"r={NONCE}x,s=QQ==,i={iterations}".encode()).encode()
        outcomes = feed(login, challenge)
        assert (len(outcomes), failure(outcomes).code) == (1, "scram")


def authentications() -> dict[str, bytes]:
    """Each message of the kind."""
    return {
        "cleartext": CLEARTEXT,
        "md5": MD5,
        "sasl": OFFER,
        "continue": AuthenticationSASLContinue(b"r=our-halfx,s=QQ==,i=4096").encode(),
        "final": AuthenticationSASLFinal(b"v=QQ==").encode(),
        "gss": AuthenticationOther(7, b"").encode(),
    }


@pytest.mark.parametrize("second", authentications())
@pytest.mark.parametrize("first", ["cleartext", "md5"])
def test_there_is_one_proof(first: str, second: str) -> None:
    """A server that asks for more collects proofs."""
    said = authentications()
    outcomes = play(make(allow_cleartext=True), said[first], said[second])
    assert (len(outcomes), type(outcomes[0])) == (2, bytes)
    assert failure(outcomes).code in ("authentication-order", "method-unknown")


@pytest.mark.parametrize("second", [name for name in authentications() if name != "continue"])
def test_sasl_goes_on_as_sasl(second: str) -> None:
    """In the middle of it a server may not change its mind for something weaker."""
    outcomes = play(make(allow_cleartext=True), OFFER, authentications()[second])
    assert (len(outcomes), failure(outcomes).code in ("authentication-order", "method-unknown")) == (2, True)


@pytest.mark.parametrize("after", [OK, *authentications().values()])
def test_after_ok_there_is_no_more_of_it(after: bytes) -> None:
    """Neither a second Ok."""
    outcomes = play(make(allow_cleartext=True), OK + after)
    assert failure(outcomes).code in ("authentication-order", "method-unknown")
    assert len(outcomes) == 1


@pytest.mark.parametrize("code", [2, 4, 6, 7, 8, 9, 13, 0xFFFFFFFF])
def test_kerberos_gss_sspi_and_the_future(code: int) -> None:
    """Are not for us."""
    failed = failure(play(make(allow_cleartext=True), AuthenticationOther(code, b"x").encode()))
    assert (failed.code, str(code) in failed.detail["message"]) == ("method-unknown", True)


WORDS = NotificationResponse(1, "a", "b").encode()
NEGOTIATE = NegotiateProtocolVersion(PROTOCOL_3_0).encode()

WRONG: tuple[tuple[bytes, str], ...] = (
    (CLEARTEXT, "cleartext-refused"),
    (OFFER_PLUS, "channel-binding"),
    (AuthenticationSASL((PLUS,)).encode(), "channel-binding"),
    (AuthenticationSASL(("SCRAM-SHA-1", "OAUTHBEARER")).encode(), "method-unknown"),
    (AuthenticationSASL(()).encode(), "method-unknown"),
    (authentications()["continue"], "authentication-order"),
    (authentications()["final"], "authentication-order"),
    (IDLE, "unexpected-message"),
    (UTF8.encode(), "unexpected-message"),
    (KEY.encode(), "unexpected-message"),
    (WORDS, "unexpected-message"),
    (NegotiateProtocolVersion(PROTOCOL_3_0 - 1).encode(), "protocol-version"),
    (NegotiateProtocolVersion(PROTOCOL_3_0 + 2).encode(), "protocol-version"),
    (NegotiateProtocolVersion(PROTOCOL_3_0, ("_pq_.x",)).encode(), "protocol-version"),
    (OK + NEGOTIATE, "unexpected-message"),
    (OK + KEY.encode() + KEY.encode(), "unexpected-message"),
    (OK + WORDS, "unexpected-message"),
    (OK + DataRow((b"x",)).encode(), "unexpected-message"),
    (OK + CommandComplete("SELECT 1").encode(), "unexpected-message"),
    (OK + SETTINGS + ReadyForQuery(Transaction.OPEN).encode(), "unexpected-message"),
    (OK + IDLE, "settings"),
    (OK + UTF8.encode() + IDLE, "settings"),
    (OK + CONFORMING.encode() + ParameterStatus("client_encoding", "LATIN1").encode() + IDLE, "settings"),
    (OK + SETTINGS + ParameterStatus("standard_conforming_strings", "off").encode() + IDLE, "settings"),
    (OK + SETTINGS + ParameterStatus("client_encoding", "SQL_ASCII").encode() + IDLE, "settings"),
    (b"R\0\0\0\x04", "malformed"),
    (b"R\0\0\0\x09\0\0\0\0x", "malformed"),
    (b"R\0\0\0\x0a\0\0\0\x05ab", "malformed"),
    (b"R\0\0\0\x0b\0\0\0\x0aabc", "malformed"),
    (b"Z\0\0\0\x05?", "malformed"),
    (b"?\0\0\0\x04", "malformed"),
    (OK + b"S\0\0\0\x06a\0", "malformed"),
    (OK + b"S\0\0\0\x08a\0\xff\0", "malformed"),
    (OK + b"K\0\0\0\x08abcd", "malformed"),
    (b"E\0\0\0\x06Mx", "malformed"),
)


@pytest.mark.parametrize(("said", "code"), WRONG)
def test_what_a_server_may_not_say(said: bytes, code: str) -> None:
    """The login ends, nothing was proven, and the client learns nothing of it."""
    outcomes = play(make(), said)
    failed = failure(outcomes)
    assert (len(outcomes), failed.code, failed.sqlstate) == (1, code, "08001")
    assert failed.told == "the gateway could not log in to the server"


@pytest.mark.parametrize("said", [CLEARTEXT, MD5, OFFER])
def test_a_login_without_a_password(said: bytes) -> None:
    """Has a certificate, and a server that wants more does not get it."""
    assert failure(play(make(None, allow_cleartext=True), said)).code == "no-password"


def test_notices_and_what_needs_no_negotiation_change_nothing() -> None:
    """A notice may come at any time."""
    notice = NoticeResponse((("M", "hello"),)).encode()
    said = NEGOTIATE + notice + OK + notice + SETTINGS + KEY.encode() + notice + IDLE
    assert play(make(), said) == [logged_in(Method.NONE)]


@pytest.mark.parametrize("frame", [Frame(ord("N"), b"N\0\0\0\x05\0" * 2, 2), Frame(ord("N"), b"N", 1, Part.FIRST)])
def test_messages_come_one_by_one_and_whole(frame: Frame) -> None:
    """Whatever the framer thinks is bulk."""
    login = make()
    login.start()
    assert failure(login.feed(frame)).code == "unexpected-message"


def test_a_server_that_never_gets_to_the_point() -> None:
    """Messages are counted, and their bytes."""
    notice = NoticeResponse((("M", "hello"),)).encode()
    assert failure(play(make(), notice * (MAX_MESSAGES + 1))).code == "too-much"
    long = NoticeResponse((("M", "x" * 60_000),)).encode()
    assert failure(play(make(), long * (MAX_BYTES // 60_000 + 1))).code == "too-much"


REFUSED_SETTINGS = "the server refused the session; one of its settings may not be set like that"
ERRORS = (
    ("28P01", "login-refused", "08004", "the server refused the gateway's login"),
    ("28000", "login-refused", "08004", "the server refused the gateway's login"),
    ("3D000", "server-refused", "3D000", "the server has no such database"),
    ("53300", "server-refused", "53300", "the server has too many connections"),
    ("57P03", "server-refused", "57P03", "the server does not accept connections now"),
    (
        "22023",
        "settings-refused",
        "22023",
        REFUSED_SETTINGS,
    ),
    ("08P01", "settings-refused", "08P01", REFUSED_SETTINGS),
    ("XX000", "server-refused", "08004", "the server refused the gateway's login"),
    ("\x1b[31m", "server-refused", "08004", "the server refused the gateway's login"),
    ("", "server-refused", "08004", "the server refused the gateway's login"),
)


@pytest.mark.parametrize(("state", "code", "sqlstate", "told"), ERRORS)
@pytest.mark.parametrize("before", [b"", MD5, OFFER, OK])
def test_a_server_that_says_no(before: bytes, state: str, code: str, sqlstate: str, told: str) -> None:
    """At any time. What it says is for operators; a client is told our words."""
    error = ErrorResponse((("S", "FATAL"), ("C", state), ("M", 'no "rw" here'), ("H", "x" * 1000), ("F", "auth.c")))
    failed = failure(play(make(), before, error.encode()))
    detail = {"sqlstate": state, "message": 'no "rw" here', "hint": "x" * 400}
    assert failed == LoginFailed(code, sqlstate, told, detail)


@pytest.mark.parametrize("password", [b"server-pass", "pässwörd".encode(), b"caf\xe9"])
def test_a_server_that_repeats_the_password(password: bytes) -> None:
    """It is taken out before anybody keeps it."""
    body = b"C28P01\0Mnot " + password + b"?\0D" + password + password + b"\0\0"
    error = b"E" + (len(body) + 4).to_bytes(4, "big") + body
    failed = failure(play(make(password), error))
    assert (failed.detail["message"], failed.detail["detail"]) == ("not ***?", "******")


def test_the_end_is_the_end() -> None:
    """What comes before the start or behind the end is a caller's mistake."""
    login = make()
    with pytest.raises(RuntimeError):
        feed(login, OK)
    play(login, IN)
    with pytest.raises(RuntimeError):
        feed(login, IDLE)
    with pytest.raises(RuntimeError):
        login.start()


def test_every_cut_is_the_same() -> None:
    """The frames are the same, wherever the bytes were cut."""
    stream = MD5 + IN
    whole = play(make(), stream)
    assert all(play(make(), stream[:at], stream[at:]) == whole for at in range(len(stream)))
    assert play(make(), *(stream[at : at + 1] for at in range(len(stream)))) == whole


PIECES = st.sampled_from(
    [
        *(OK, IN, IDLE, SETTINGS, NEGOTIATE, WORDS, KEY.encode(), OFFER_PLUS, *authentications().values()),
        ErrorResponse((("C", "28P01"),)).encode(),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=8), st.booleans(), st.sampled_from([None, BINDING]))
def test_whatever_a_server_says_the_end_is_one_of_two(
    said: list[bytes], allow_cleartext: bool, binding: bytes | None
) -> None:
    """Any messages in any order: no exception, one end at most, no password in the open where it is not allowed, and
    never in after SASL was begun and not finished."""
    outcomes = play(make(allow_cleartext=allow_cleartext, channel_binding=binding), *said)
    sent = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    ends = [outcome for outcome in outcomes if not isinstance(outcome, bytes)]
    assert len(ends) <= 1
    assert allow_cleartext or not any(PASSWORD in data for data in sent)
    if ends and isinstance(ends[0], LoggedIn):
        assert ends[0].method not in (Method.SCRAM, Method.SCRAM_PLUS)
        assert len(sent) <= 1
