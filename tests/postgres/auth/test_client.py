"""The greeting, as transcripts: what a client sends, and what is asked for and said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth.client import MAX_PASSWORD_BYTES, MAX_WAITING_BYTES, Greeting
from extproc.protocols.postgres.auth.commands import (
    AnswerTls,
    CancelAsked,
    Command,
    FindVerifier,
    NeedIdentity,
    Ready,
    Refused,
)
from extproc.protocols.postgres.auth.opening import Opening
from extproc.protocols.postgres.auth.scram import PLAIN, PLUS, Verifier
from extproc.protocols.postgres.auth.scram_client import ScramClient
from extproc.protocols.postgres.auth.scram_server import ScramServer
from extproc.protocols.postgres.wire.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationResponse,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from extproc.protocols.postgres.wire.backend import ErrorResponse, NegotiateProtocolVersion
from extproc.protocols.postgres.wire.fields import HEAD
from extproc.protocols.postgres.wire.frontend import Query, Terminate
from extproc.protocols.postgres.wire.startup import (
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
)

NONCE = "the-server's-half"
BINDING = bytes(range(32))
VERIFIER = Verifier.of(b"short-lived", b"a salt for tests")
OPENING = Opening("alice", "crm-db", "psql", (("application_name", "psql"),))
PARAMETERS = (("user", "alice"), ("database", "crm-db"), ("application_name", "psql"))
STARTUP = StartupMessage(PROTOCOL_3_0, PARAMETERS).encode()
TOKEN = PasswordMessage("a.b.c").encode()
SSL, GSS = SSLRequest().encode(), GSSENCRequest().encode()
QUERY = Query("SELECT 1").encode()

CLEARTEXT = Tell(AuthenticationCleartextPassword().encode())
OK = Tell(AuthenticationOk().encode())
FIND = FindVerifier("alice", "crm-db")
BY_TOKEN = NeedIdentity(OPENING, secure=True, password="a.b.c")


@dataclass
class World:
    """Whoever has the connection: answers what the greeting asks, at once."""

    tls: bool = False
    secure: bool = True
    certificate: bool = False
    verifier: Verifier | None = None
    stranger: bool = False
    greeting: Greeting = field(init=False)
    seen: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.greeting = Greeting(NONCE, tls=self.tls, secure=self.secure)

    def feed(self, *pieces: bytes) -> list[Command]:
        """All commands so far, these bytes having come, too."""
        for piece in pieces:
            self.answer(self.greeting.feed(piece))
        return self.seen

    def answer(self, commands: Iterable[Command]) -> None:
        """Do as asked."""
        for command in commands:
            self.seen.append(command)
            if command == AnswerTls(True):
                self.answer(self.greeting.tls_started(BINDING, certificate=self.certificate))
            elif isinstance(command, FindVerifier):
                self.answer(self.greeting.verifier_found(self.verifier))
            elif isinstance(command, NeedIdentity) and self.stranger:
                self.answer(self.greeting.unidentified("identity-expired", "the token has expired", "Get another."))
            elif isinstance(command, NeedIdentity):
                self.answer(self.greeting.identified())


def refusal(commands: list[Command]) -> tuple[str, str]:
    """Code and SQLSTATE of the refusal that they end with; its bytes say the same."""
    last = commands[-1]
    assert isinstance(last, Refused)
    said = ErrorResponse.decode(last.data[HEAD.size :])
    assert (said.get("S"), said.get("C"), said.get("M")) == ("FATAL", last.sqlstate, last.message)
    return last.code, last.sqlstate


def hint(commands: list[Command]) -> str:
    last = commands[-1]
    assert isinstance(last, Refused)
    return ErrorResponse.decode(last.data[HEAD.size :]).get("H") or ""


def test_by_token() -> None:
    """Startup, password, and what follows is the session's."""
    assert World().feed(STARTUP, TOKEN + QUERY) == [FIND, CLEARTEXT, BY_TOKEN, OK, Ready(OPENING, PROTOCOL_3_0, QUERY)]


def test_by_token_over_tls() -> None:
    """The same, after both requests for encryption."""
    ready = Ready(OPENING, PROTOCOL_3_0)
    assert World(tls=True, secure=False).feed(GSS, SSL, STARTUP, TOKEN) == [
        *(AnswerTls(False), AnswerTls(True), FIND, CLEARTEXT, BY_TOKEN, OK, ready)
    ]


def test_tls_at_once() -> None:
    """TLS before the first byte (ALPN postgresql) is TLS; a request for it comes too late."""
    world = World(tls=True, secure=False)
    assert world.greeting.tls_started(None, certificate=False) == []
    assert world.feed(STARTUP, TOKEN)[-1] == Ready(OPENING, PROTOCOL_3_0)
    world = World(tls=True, secure=False)
    world.greeting.tls_started(None, certificate=False)
    assert refusal(world.feed(SSL)) == ("asked-twice", "08P01")


def test_by_certificate() -> None:
    """Nothing is asked for."""
    shown = NeedIdentity(OPENING, secure=True, certificate=True)
    seen = World(tls=True, secure=False, certificate=True, verifier=VERIFIER).feed(SSL, STARTUP)
    assert seen == [AnswerTls(True), shown, OK, Ready(OPENING, PROTOCOL_3_0)]


def scram(binding: bytes | None, password: bytes = b"short-lived") -> tuple[list[bytes], bytes, bytes]:
    """What a SCRAM client sends, and the server's two answers. It knows the nonce that is to come."""
    plus = binding is not None
    client = ScramClient(password, "the-client's-half", binding, plus)
    server = ScramServer(VERIFIER, NONCE, binding)
    first = client.first()
    challenge = server.first(client.mechanism, first)
    final = client.final(challenge)
    sent = [SASLInitialResponse(client.mechanism, first).encode(), SASLResponse(final).encode()]
    return sent, challenge, server.final(final) if password == b"short-lived" else b""


@pytest.mark.parametrize("binding", [None, BINDING])
def test_by_scram(binding: bytes | None) -> None:
    """A name with a verifier: no password passes, so no encryption is asked for; with TLS the channel is bound to. Our
    own proof goes out with Ok, not before anybody knows that this one may be here."""
    sent, challenge, signature = scram(binding)
    world = World(tls=binding is not None, secure=False, verifier=VERIFIER)
    begin = [AnswerTls(True)] if binding else []
    assert world.feed(*([SSL] if binding else []), STARTUP, *sent) == [
        *begin,
        FIND,
        Tell(AuthenticationSASL((PLUS, PLAIN) if binding else (PLAIN,)).encode()),
        Tell(AuthenticationSASLContinue(challenge).encode()),
        NeedIdentity(OPENING, secure=binding is not None, proven=True),
        Tell(AuthenticationSASLFinal(signature).encode() + AuthenticationOk().encode()),
        Ready(OPENING, PROTOCOL_3_0),
    ]


def test_a_wrong_password_proves_nothing() -> None:
    """Nobody is asked who it might be; the same for a name that nobody has."""
    sent, _, _ = scram(None, b"guessed")
    seen = World(secure=False, verifier=VERIFIER).feed(STARTUP, *sent)
    assert refusal(seen) == ("wrong-password", "28P01")
    assert not any(isinstance(command, NeedIdentity) for command in seen)
    mock = World(secure=False, verifier=Verifier.mock("alice", b"key")).feed(STARTUP, *sent)
    assert seen[-1] == mock[-1]
    assert [type(command) for command in seen] == [type(command) for command in mock]


def test_whoever_may_not_be_here_is_told_why() -> None:
    """With the words of whoever found out; a server's proof is not given away."""
    world = World(stranger=True)
    assert refusal(world.feed(STARTUP, TOKEN)) == ("identity-expired", "28P01")
    assert hint(world.seen) == "Get another."
    sent, _, _ = scram(None)
    assert refusal(World(verifier=VERIFIER, stranger=True).feed(STARTUP, *sent)) == ("identity-expired", "28P01")
    by_certificate = World(tls=True, certificate=True, stranger=True).feed(SSL, STARTUP)
    assert refusal(by_certificate) == ("identity-expired", "28000")


def test_no_token_is_asked_for_where_somebody_could_read_along() -> None:
    """The hint says what would help, which depends on what there is."""
    seen = World(tls=True, secure=False).feed(STARTUP)
    assert (refusal(seen), "sslmode=require" in hint(seen)) == (("not-secure", "28000"), True)
    assert CLEARTEXT not in seen
    seen = World(tls=False, secure=False).feed(SSL, STARTUP)
    assert (refusal(seen), "no TLS here" in hint(seen)) == (("not-secure", "28000"), True)


def test_bytes_behind_a_request_for_tls() -> None:
    """They were not encrypted, and TLS would make them look as if (CVE-2021-23214): in one piece with it or later."""
    for seen in (World(tls=True).feed(SSL + STARTUP), World(tls=True).feed(SSL + b"\0")):
        assert refusal(seen) == ("unencrypted-data", "08P01")
        assert AnswerTls(True) not in seen
    greeting = Greeting(NONCE, tls=True, secure=False)
    assert greeting.feed(SSL) == [AnswerTls(True)]
    assert refusal(greeting.feed(STARTUP)) == ("unencrypted-data", "08P01")
    assert greeting.feed(STARTUP) == []


def test_bytes_behind_a_no() -> None:
    """Nothing changes by a no: what is read as it is read anyway may come at once."""
    seen = World().feed(GSS + SSL + STARTUP + TOKEN)
    assert seen == [AnswerTls(False), AnswerTls(False), *World().feed(STARTUP, TOKEN)]


@pytest.mark.parametrize("requests", [SSL + SSL, GSS + GSS, SSL + GSS + SSL])
def test_encryption_is_negotiated_once(requests: bytes) -> None:
    """Or this never ends."""
    assert refusal(World().feed(requests)) == ("asked-twice", "08P01")


@pytest.mark.parametrize(("version", "size"), [("3.0", 4), ("3.2", 256)])
def test_a_request_to_cancel(version: str, size: int) -> None:
    """Is no session; what comes behind it is nobody's."""
    greeting = Greeting(NONCE, tls=True, secure=False)
    assert greeting.feed(CancelRequest(7, b"k" * size).encode() + b"more") == [CancelAsked(7, b"k" * size)]
    assert greeting.feed(b"more") == []


@pytest.mark.parametrize(
    ("version", "extra", "told", "spoken"),
    [
        (PROTOCOL_3_0, (), None, PROTOCOL_3_0),
        (PROTOCOL_3_0 + 1, (), None, PROTOCOL_3_0),
        (PROTOCOL_3_2, (), None, PROTOCOL_3_2),
        (PROTOCOL_3_2 + 1, (), (PROTOCOL_3_2, ()), PROTOCOL_3_2),
        (0x0003FFFF, (), (PROTOCOL_3_2, ()), PROTOCOL_3_2),
        (PROTOCOL_3_0, (("_pq_.x", "1"),), (PROTOCOL_3_0, ("_pq_.x",)), PROTOCOL_3_0),
        (PROTOCOL_3_2, (("_pq_.x", "1"), ("_pq_.y", "")), (PROTOCOL_3_2, ("_pq_.x", "_pq_.y")), PROTOCOL_3_2),
    ],
)
def test_versions_and_options_of_the_protocol(
    version: int, extra: tuple[tuple[str, str], ...], told: tuple[int, tuple[str, ...]] | None, spoken: int
) -> None:
    """3.0 to 3.2 as they are; of what is newer the client is told what there is, before it is asked for anything."""
    seen = World().feed(StartupMessage(version, (*PARAMETERS, *extra)).encode(), TOKEN)
    first = [Tell(NegotiateProtocolVersion(*told).encode())] if told else []
    assert seen == [*first, FIND, CLEARTEXT, BY_TOKEN, OK, Ready(OPENING, spoken)]


def raw(kind: bytes, size: int, body: bytes = b"") -> bytes:
    return kind + size.to_bytes(4, "big", signed=False) + body


SENT_SCRAM = scram(None)[0]

REFUSED: tuple[tuple[list[bytes], World, str, str], ...] = (
    ([b"GET / HTTP/1.1\r\n\r\n"], World(), "malformed", "08P01"),
    ([b"\x16\x03\x01\x02\x00\x01"], World(), "malformed", "08P01"),
    ([b"\0\0\0\x07"], World(), "malformed", "08P01"),
    ([b"\0\0\x27\x15"], World(), "malformed", "08P01"),
    ([b"\0\0\0\x08\0\x02\0\0"], World(), "malformed", "08P01"),
    ([b"\0\0\0\x09\0\x03\0\0\0"], World(), "no-user", "28000"),
    ([b"\0\0\0\x0f\0\x03\0\0user\0a\0"], World(), "malformed", "08P01"),
    ([b"\0\0\0\x10\0\x03\0\0user\0\xff\0\0"], World(), "malformed", "08P01"),
    ([StartupMessage(PROTOCOL_3_0, (*PARAMETERS, ("replication", "1"))).encode()], World(), "replication", "0A000"),
    ([StartupMessage(PROTOCOL_3_0, (*PARAMETERS, ("options", "-d 5"))).encode()], World(), "options", "0A000"),
    (
        [StartupMessage(PROTOCOL_3_2 + 1, (*PARAMETERS, ("client_encoding", "SJIS"))).encode()],
        World(),
        "encoding",
        "22023",
    ),
    ([STARTUP, QUERY], World(), "malformed", "08P01"),
    ([STARTUP, Terminate().encode()], World(), "malformed", "08P01"),
    ([STARTUP, raw(b"p", 3)], World(), "malformed", "08P01"),
    ([STARTUP, raw(b"p", MAX_PASSWORD_BYTES + 5)], World(), "malformed", "08P01"),
    ([STARTUP, raw(b"p", 4)], World(), "malformed", "08P01"),
    ([STARTUP, raw(b"p", 7, b"a\0b")], World(), "malformed", "08P01"),
    ([STARTUP, raw(b"p", 6, b"\xff\0")], World(), "malformed", "08P01"),
    ([STARTUP, PasswordMessage("").encode()], World(), "no-password", "28P01"),
    ([STARTUP, TOKEN], World(verifier=VERIFIER), "malformed", "08P01"),
    ([STARTUP, raw(b"p", 2000)], World(verifier=VERIFIER), "malformed", "08P01"),
    ([STARTUP, SASLInitialResponse(PLAIN, None).encode()], World(verifier=VERIFIER), "scram", "08P01"),
    ([STARTUP, SASLInitialResponse(PLUS, b"n,,n=,r=a").encode()], World(verifier=VERIFIER), "scram", "08P01"),
    ([STARTUP, SASLInitialResponse(PLAIN, b"n,a=x,n=,r=a").encode()], World(verifier=VERIFIER), "scram", "0A000"),
    ([STARTUP, SENT_SCRAM[0], SENT_SCRAM[0]], World(verifier=VERIFIER), "scram", "08P01"),
    ([STARTUP, SENT_SCRAM[0], QUERY], World(verifier=VERIFIER), "malformed", "08P01"),
    ([STARTUP, SENT_SCRAM[0], AuthenticationResponse(b"").encode()], World(verifier=VERIFIER), "scram", "08P01"),
)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused(number: int) -> None:
    """Whatever a client does wrong, it is told what, by the right SQLSTATE, and the greeting is over."""
    pieces, world, code, sqlstate = REFUSED[number]
    fresh = World(world.tls, world.secure, world.certificate, world.verifier)
    assert refusal(fresh.feed(*pieces)) == (code, sqlstate)
    assert fresh.greeting.feed(b"more") == []


STREAMS: tuple[tuple[bytes, Callable[[], World]], ...] = (
    (STARTUP + TOKEN + QUERY, World),
    (GSS + SSL + STARTUP + TOKEN + QUERY, World),
    (STARTUP + b"".join(SENT_SCRAM) + QUERY, lambda: World(verifier=VERIFIER)),
    (STARTUP + b"".join(scram(None, b"x")[0]), lambda: World(verifier=VERIFIER)),
    (STARTUP + QUERY, World),
    (STARTUP + PasswordMessage("").encode(), World),
    (StartupMessage(0x00030009, (*PARAMETERS, ("_pq_.x", ""))).encode() + TOKEN, World),
    (CancelRequest(1, b"abcd").encode() + STARTUP, World),
    (SSL + SSL, World),
)


def joined(commands: list[Command], after: bytes = b"") -> list[Command]:
    """The commands, with what came after Ready as part of its rest."""
    return [
        Ready(command.opening, command.version, command.rest + after) if isinstance(command, Ready) else command
        for command in commands
    ]


def cut(stream: bytes, make: Callable[[], World], *at: int) -> list[Command]:
    """What comes of a stream in pieces. What follows Ready is the session's."""
    world = make()
    ends = [0, *sorted(at), len(stream)]
    for start, end in pairwise(ends):
        if any(isinstance(command, Ready) for command in world.seen):
            return joined(world.seen, stream[start:])
        world.feed(stream[start:end])
    return world.seen


@pytest.mark.parametrize("number", range(len(STREAMS)))
def test_every_cut_is_the_same(number: int) -> None:
    """At each byte, and byte by byte."""
    stream, make = STREAMS[number]
    whole = cut(stream, make)
    assert all(cut(stream, make, at) == whole for at in range(len(stream)))
    assert cut(stream, make, *range(1, len(stream))) == whole


def test_over_tls_every_cut_ends_alike() -> None:
    """A request for TLS with something behind it: refused wherever it is cut, whether or not a yes was on its way."""
    stream = SSL + STARTUP
    for at in range(len(stream)):
        greeting = Greeting(NONCE, tls=True, secure=False)
        commands = greeting.feed(stream[:at])
        commands += greeting.feed(stream[at:])
        assert refusal([command for command in commands if command != AnswerTls(True)]) == ("unencrypted-data", "08P01")


def test_what_comes_while_nobody_is_asked_is_bounded() -> None:
    """A client that sends on while it is looked up is held, and then refused; the answer then comes too late."""
    greeting = Greeting(NONCE, tls=False, secure=True)
    assert (greeting.feed(STARTUP), greeting.waiting) == ([FIND], True)
    assert greeting.feed(bytes(MAX_WAITING_BYTES)) == []
    assert refusal(greeting.feed(b"\0")) == ("malformed", "08P01")
    assert greeting.verifier_found(None) == []
    greeting = Greeting(NONCE, tls=False, secure=True)
    greeting.feed(STARTUP)
    greeting.verifier_found(None)
    assert (greeting.waiting, greeting.feed(TOKEN), greeting.waiting) == (False, [BY_TOKEN], True)
    assert refusal(greeting.feed(bytes(MAX_WAITING_BYTES + 1))) == ("malformed", "08P01")
    assert (greeting.identified(), greeting.unidentified("x", "y")) == ([], [])


def test_answers_to_what_was_not_asked_are_our_own_fault() -> None:
    """And so is giving the greeting what is the session's."""
    greeting = Greeting(NONCE, tls=True, secure=True)
    with pytest.raises(RuntimeError):
        greeting.verifier_found(None)
    with pytest.raises(RuntimeError):
        greeting.identified()
    with pytest.raises(RuntimeError):
        greeting.unidentified("x", "y")
    world = World()
    world.feed(STARTUP, TOKEN)
    with pytest.raises(RuntimeError):
        world.greeting.feed(QUERY)
    with pytest.raises(RuntimeError):
        world.greeting.tls_started(None, certificate=False)


def test_a_long_token_and_no_longer() -> None:
    """A token of the longest length comes in."""
    token = "t" * (MAX_PASSWORD_BYTES - 1)
    seen = World().feed(STARTUP, PasswordMessage(token).encode())
    assert NeedIdentity(OPENING, secure=True, password=token) in seen


def test_secrets_are_in_no_repr() -> None:
    """Commands are logged while somebody looks for a fault."""
    said = repr([BY_TOKEN, CancelAsked(1, b"abcd"), Ready(OPENING, PROTOCOL_3_0, b"secret"), VERIFIER])
    assert not any(secret in said for secret in ("a.b.c", "abcd", "secret"))


@given(
    st.lists(
        st.sampled_from([SSL, GSS, STARTUP, TOKEN, QUERY, *SENT_SCRAM, CancelRequest(1, b"abcd").encode()])
        | st.binary(max_size=40),
        max_size=8,
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, VERIFIER]),
)
def test_whatever_comes_nobody_gets_in_unseen(
    pieces: list[bytes], tls: bool, secure: bool, verifier: Verifier | None
) -> None:
    """Any messages in any order: no exception, Ok never without NeedIdentity, no token asked for in the open."""
    world = World(tls=tls, secure=secure, verifier=verifier)
    for piece in pieces:
        if any(isinstance(command, Ready) for command in world.seen):
            break
        world.feed(piece)
    kinds = [type(command) for command in world.seen]
    assert kinds.count(Ready) == kinds.count(NeedIdentity) <= 1
    if CLEARTEXT in world.seen:
        assert secure or AnswerTls(True) in world.seen
