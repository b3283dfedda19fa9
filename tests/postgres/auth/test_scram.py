"""SCRAM-SHA-256 against the RFC's example and against itself."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.protocols.postgres.auth.scram import PLAIN, PLUS, ScramRefused, Verifier
from extproc.protocols.postgres.auth.scram_client import ScramClient
from extproc.protocols.postgres.auth.scram_server import ScramServer

# RFC 7677, section 3.
PASSWORD = b"pencil"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE, SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
UNPROVEN = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FINAL = UNPROVEN + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

VERIFIER = Verifier.of(PASSWORD, SALT)
BINDING = bytes(range(32))


def server(binding: bytes | None = None, verifier: Verifier = VERIFIER) -> ScramServer:
    return ScramServer(verifier, SERVER_NONCE, binding)


def client(binding: bytes | None = None, plus: bool = False, password: bytes = PASSWORD) -> ScramClient:
    return ScramClient(password, CLIENT_NONCE, binding, plus)


def exchange(one: ScramClient, other: ScramServer) -> None:
    """The whole of it. Raises ScramRefused."""
    one.verify(other.final(one.final(other.first(one.mechanism, one.first()))))


def test_the_server_says_what_the_rfc_says() -> None:
    """RFC 7677, section 3, from the server's side; the name in the message is not looked at."""
    one = server()
    assert one.mechanisms == (PLAIN,)
    assert one.first(PLAIN, CLIENT_FIRST) == SERVER_FIRST
    assert one.final(CLIENT_FINAL) == SERVER_FINAL


def test_the_client_says_what_the_rfc_says() -> None:
    """The same, but for the name, which PostgreSQL's clients leave out, so that proof and signature are others."""
    one = client()
    assert one.first() == b"n,,n=,r=rOprNGfwEbeRWgbNEkqO"
    final = one.final(SERVER_FIRST)
    assert final.startswith(UNPROVEN + b",p=")
    with pytest.raises(ScramRefused, match="did not prove"):
        one.verify(SERVER_FINAL)


def test_a_verifier_is_as_postgresql_keeps_it() -> None:
    """Written and read; its secrets are not in its repr."""
    text = VERIFIER.text()
    assert text == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert Verifier.parse(text) == VERIFIER
    assert repr(VERIFIER) == "Verifier(iterations=4096, doomed=False)"


KEY, SALT_TEXT = base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(12)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5" + "0" * 32,
        "SCRAM-SHA-256",
        f"SCRAM-SHA-1$4096:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$4095:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$1000001:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$04096:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$4 096:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$\u0664096:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$:{SALT_TEXT}${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:QUFBQUFBQUFBQUE=${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:{SALT_TEXT[:-1]}${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}QR==${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:{'QUFB' * 100}${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}$QQ==:{KEY}",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}:",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}:{KEY}:",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}:{KEY}$",
        f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}:\u00e9",
    ],
)
def test_what_is_no_verifier_is_refused(text: str) -> None:
    """And is not quoted by the error."""
    good = f"SCRAM-SHA-256$4096:{SALT_TEXT}${KEY}:{KEY}"
    assert Verifier.parse(good).text() == good
    with pytest.raises(ValueError) as refused:
        Verifier.parse(text)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(("binding", "offered"), [(None, None), (None, BINDING), (BINDING, None), (BINDING, BINDING)])
def test_both_halves_agree(binding: bytes | None, offered: bytes | None) -> None:
    """With a channel and without, and where only one of them could."""
    exchange(client(binding, plus=binding is not None and offered is not None), server(offered))


@settings(max_examples=25, deadline=None)
@given(
    password=st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    salt=st.binary(min_size=12, max_size=64),
    nonces=st.tuples(*[st.text("".join(map(chr, {*range(0x21, 0x7F)} - {0x2C})), min_size=1, max_size=60)] * 2),
    binding=st.none() | st.binary(min_size=32, max_size=64),
)
def test_any_password_gets_in_and_another_does_not(
    password: bytes, salt: bytes, nonces: tuple[str, str], binding: bytes | None
) -> None:
    """Whatever password, salt, nonces and channel there are."""
    verifier = Verifier.parse(Verifier.of(password, salt).text())
    plus = binding is not None
    exchange(ScramClient(password, nonces[0], binding, plus), ScramServer(verifier, nonces[1], binding))
    with pytest.raises(ScramRefused, match="the password is wrong"):
        exchange(ScramClient(password + b"x", nonces[0], binding, plus), ScramServer(verifier, nonces[1], binding))


def test_nobody_s_verifier_goes_the_same_way_and_fails() -> None:
    """The salt is the same one each time for a name, and another for another name or another gateway."""
    mock = Verifier.mock("alice", b"key")
    assert mock == Verifier.mock("alice", b"key")
    assert mock.salt not in (Verifier.mock("bob", b"key").salt, Verifier.mock("alice", b"other").salt)
    assert (len(mock.salt), mock.iterations) == (16, 4096)
    with pytest.raises(ScramRefused, match="the password is wrong") as refused:
        exchange(client(), server(verifier=mock))
    assert refused.value.sqlstate == "28P01"


def test_a_doomed_verifier_refuses_even_its_own_password() -> None:
    """What is of nobody lets nobody in, also where the keys would fit."""
    doomed = Verifier(VERIFIER.salt, VERIFIER.iterations, VERIFIER.stored_key, VERIFIER.server_key, doomed=True)
    with pytest.raises(ScramRefused, match="the password is wrong"):
        exchange(client(), server(verifier=doomed))


def test_another_channel_is_seen() -> None:
    """Somebody between has another certificate."""
    with pytest.raises(ScramRefused, match="channel binding does not match") as refused:
        exchange(client(bytes(32), plus=True), server(BINDING))
    assert refused.value.sqlstate == "28000"


def test_an_offer_that_was_taken_away_is_seen() -> None:
    """The client could have bound and was not offered it; the server had offered it."""
    with pytest.raises(ScramRefused, match="did not see the offer"):
        exchange(client(BINDING, plus=False), server(BINDING))


def test_nonces_of_ours_are_printable_and_plus_needs_a_channel() -> None:
    """What a caller does wrong is a ValueError."""
    for nonce in ("", "a,b", "a b", "\x7f", "\u00e9"):
        with pytest.raises(ValueError, match="nonce"):
            ScramServer(VERIFIER, nonce, None)
        with pytest.raises(ValueError, match="nonce"):
            ScramClient(PASSWORD, nonce, None, plus=False)
    with pytest.raises(ValueError, match="channel"):
        ScramClient(PASSWORD, CLIENT_NONCE, None, plus=True)


BAD_FIRSTS = (
    (PLAIN, b"", "empty"),
    (PLAIN, CLIENT_FIRST + b"\0", "zero byte"),
    (PLAIN, b"n,,n=,r=" + b"a" * 1024, "too long"),
    (PLAIN, b"n", "no channel binding header"),
    (PLAIN, b"n,", "no channel binding header"),
    (PLAIN, b"x,,n=,r=abc", "no channel binding flag"),
    (PLAIN, b",,n=,r=abc", "no channel binding flag"),
    (PLAIN, b"n,a=root,n=,r=abc", "authorization identity"),
    (PLAIN, b"n,x,n=,r=abc", "authorization identity"),
    (PLAIN, b"p=tls-server-end-point,,n=,r=abc", "not one that was offered"),
    (PLUS, b"p=tls-unique,,n=,r=abc", "not one that was offered"),
    (PLUS, b"n,,n=,r=abc", "asks for it"),
    (PLUS, b"y,,n=,r=abc", "asks for it"),
    (PLAIN, b"y,,n=,r=abc", "did not see the offer"),
    ("SCRAM-SHA-1", CLIENT_FIRST, "not offered"),
    ("scram-sha-256", CLIENT_FIRST, "not offered"),
    (PLAIN, b"n,,", "not a list of attributes"),
    (PLAIN, b"n,,n=", "no attribute r"),
    (PLAIN, b"n,,r=abc", "no attribute n"),
    (PLAIN, b"n,,r=abc,n=", "no attribute n"),
    (PLAIN, b"n,,n=,r=", "nonce is not printable"),
    (PLAIN, b"n,,n=,r=a b", "nonce is not printable"),
    (PLAIN, b"n,,n=,r=\xc3\xa9", "nonce is not printable"),
    (PLAIN, b"n,,m=x,n=,r=abc", "mandatory extension"),
    (PLAIN, b"n,,n=,r=abc,m=x", "mandatory extension"),
    (PLAIN, b"n,,n=,r=abc,", "not a list of attributes"),
    (PLAIN, b"n,,n=,r=abc,r=def", "not a list of attributes"),
    (PLAIN, b"n,,n=,r=abc,xy=def", "not a list of attributes"),
    (PLAIN, b"n,,n=,r=abc,1=def", "not a list of attributes"),
)


@pytest.mark.parametrize(("mechanism", "message", "why"), BAD_FIRSTS)
def test_a_first_message_that_is_not_one(mechanism: str, message: bytes, why: str) -> None:
    """Refused, by a server that offers both mechanisms."""
    with pytest.raises(ScramRefused, match=why):
        server(BINDING).first(mechanism, message)


def test_optional_extensions_and_names_are_not_looked_at() -> None:
    """RFC 5802, section 5.1; whatever bytes they have, they are part of what is proven."""
    assert server().first(PLAIN, b"n,,n=\xff\xfe,r=abc,x=1,z=") == b"r=abc" + SERVER_FIRST.removeprefix(
        b"r=" + CLIENT_NONCE.encode()
    )


BAD_FINALS = (
    (b"", "empty", "08P01"),
    (UNPROVEN, "no proof", "08P01"),
    (CLIENT_FINAL + b"\0", "zero byte", "08P01"),
    (CLIENT_FINAL.replace(b"p=d", b"p=e"), "password is wrong", "28P01"),
    (CLIENT_FINAL.replace(b"c=biws", b"c=eSws"), "channel binding", "28000"),
    (CLIENT_FINAL.replace(b"c=biws", b"c="), "channel binding", "28000"),
    (CLIENT_FINAL.replace(b"$k0", b"$k1"), "nonce", "08P01"),
    (CLIENT_FINAL.replace(b"$k0", b""), "nonce", "08P01"),
    (CLIENT_FINAL.replace(b"c=biws,", b""), "no attribute c", "08P01"),
    (CLIENT_FINAL.replace(b",p=", b",m=1,p="), "mandatory extension", "0A000"),
    (CLIENT_FINAL.replace(b",p=", b",x=1,p="), "password is wrong", "28P01"),
    (CLIENT_FINAL[:-1], "base64", "08P01"),
    (CLIENT_FINAL + b"=", "base64", "08P01"),
    (CLIENT_FINAL + b",x=1", "base64", "08P01"),
    (UNPROVEN + b",p=", "length of a key", "08P01"),
    (UNPROVEN + b",p=QUJD", "length of a key", "08P01"),
)


@pytest.mark.parametrize(("message", "why", "sqlstate"), BAD_FINALS)
def test_a_final_message_that_is_not_one(message: bytes, why: str, sqlstate: str) -> None:
    """Refused, with the error code that PostgreSQL has for it."""
    one = server()
    one.first(PLAIN, CLIENT_FIRST)
    with pytest.raises(ScramRefused, match=why) as refused:
        one.final(message)
    assert refused.value.sqlstate == sqlstate


def test_there_is_one_try() -> None:
    """No proof is looked at before the first message, and none after a proof, wrong or right."""
    one = server()
    with pytest.raises(ScramRefused, match="no proof"):
        one.final(CLIENT_FINAL)
    one.first(PLAIN, CLIENT_FIRST)
    with pytest.raises(ScramRefused, match="wrong"):
        one.final(CLIENT_FINAL.replace(b"p=d", b"p=e"))
    with pytest.raises(ScramRefused, match="no proof"):
        one.final(CLIENT_FINAL)


def changed(old: bytes, new: bytes) -> bytes:
    assert old in SERVER_FIRST
    return SERVER_FIRST.replace(old, new)


BAD_CHALLENGES = (
    (b"", "empty"),
    (b"e=other-error", "no attribute r"),
    (changed(b"r=rO", b"r=xO"), "does not go on from ours"),
    (b"r=rOprNGfwEbeRWgbNEkqO,s=QQ==,i=4096", "does not go on from ours"),
    (b"r=rOprNGfw,s=QQ==,i=4096", "does not go on from ours"),
    (changed(b"$k0", b"$k0\xc3\xa9"), "does not go on from ours"),
    (changed(b"i=4096", b"i=4095"), "between"),
    (changed(b"i=4096", b"i=1"), "between"),
    (changed(b"i=4096", b"i=1000001"), "between"),
    (changed(b"i=4096", b"i=10000000000000000000"), "in bounds"),
    (changed(b"i=4096", b"i=-4096"), "in bounds"),
    (changed(b"i=4096", b"i=0x1000"), "in bounds"),
    (changed(b"i=4096", b"i="), "in bounds"),
    (changed(b",i=4096", b""), "no attribute i"),
    (changed(b"s=W", b"s=*"), "base64"),
    (changed(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="), "salt is empty"),
    (b"m=x," + SERVER_FIRST, "mandatory extension"),
    (SERVER_FIRST + b",m=x", "mandatory extension"),
    (SERVER_FIRST + b",s=QQ==", "not a list"),
    (SERVER_FIRST + b"," + b"x=" + b"a" * 1024, "too long"),
)


@pytest.mark.parametrize(("message", "why"), BAD_CHALLENGES)
def test_a_challenge_that_is_not_one(message: bytes, why: str) -> None:
    """The client proves nothing to a server that says this; above all it does no more or less work than the bounds."""
    with pytest.raises(ScramRefused, match=why):
        client().final(message)


BAD_LAST_WORDS = (
    (b"", "empty", "08P01"),
    (b"v=", "did not prove", "28000"),
    (b"v=" + base64.b64encode(bytes(32)), "did not prove", "28000"),
    (b"v=QQ", "base64", "08P01"),
    (b"x=1", "no attribute v", "08P01"),
    (b"e=invalid-proof", "the server refused: invalid-proof", "28P01"),
    (b"e=\x1b[31mpencil", "the server refused: other-error", "28P01"),
    (b"e=", "the server refused: other-error", "28P01"),
)


@pytest.mark.parametrize(("message", "why", "sqlstate"), BAD_LAST_WORDS)
def test_a_server_that_proves_nothing(message: bytes, why: str, sqlstate: str) -> None:
    """It may not know the password, and is not believed."""
    one = client()
    one.final(SERVER_FIRST)
    with pytest.raises(ScramRefused, match=why) as refused:
        one.verify(message)
    assert refused.value.sqlstate == sqlstate


def test_no_signature_is_right_before_there_was_a_challenge() -> None:
    """An empty one neither."""
    with pytest.raises(ScramRefused, match="did not prove"):
        client().verify(b"v=")


@settings(max_examples=200)
@given(st.binary(max_size=80), st.sampled_from(["first", "final", "challenge", "verify"]))
def test_whatever_comes_it_is_refused_by_the_one_error(message: bytes, what: str) -> None:
    """Hostile bytes raise nothing else, and none of them get in."""
    one = server(BINDING)
    one.first(PLAIN, CLIENT_FIRST)
    calls: dict[str, Callable[[], object]] = {
        "first": lambda: server(BINDING).first(PLAIN, b"n,,n=,r=\x01" + message),
        "final": lambda: one.final(message),
        "challenge": lambda: client().final(message),
        "verify": lambda: client().verify(b"v=" + message),
    }
    with pytest.raises(ScramRefused):
        calls[what]()
