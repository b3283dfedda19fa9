"""What comes before anybody is known is read to an answer, the same however it is cut: Envoy's head, PostgreSQL's first
messages and passwords, and what a server says while the gateway logs in."""

from collections.abc import Iterable, Sequence
from unittest.mock import patch

from extproc.protocols.connection import Tell
from extproc.protocols.postgres.auth import scram_client
from extproc.protocols.postgres.auth.client import Greeting
from extproc.protocols.postgres.auth.commands import AnswerTls, CancelAsked, FindVerifier, NeedIdentity, Ready, Refused
from extproc.protocols.postgres.auth.failure import LoginFailed
from extproc.protocols.postgres.auth.saslprep import saslprep
from extproc.protocols.postgres.auth.scram import PLAIN, PLUS, ScramRefused, Verifier
from extproc.protocols.postgres.auth.scram_client import ScramClient
from extproc.protocols.postgres.auth.scram_server import ScramServer
from extproc.protocols.postgres.auth.upstream import LoggedIn, Login, Secret
from extproc.protocols.postgres.wire.frame import Frame, Framer, Unframed
from extproc.server.terminator.proxy_v2 import Announced, NotAnnounced, read_announced
from tests.fuzz.source import Source

CHOICES = 3
NONCE = "the-gateways-half"
_KEY = bytes(range(32))
_NOBODY = Verifier(bytes(16), 4096, _KEY, _KEY)
"""Its keys are of no password, so no proof is right."""

_LIMIT = 1 << 12


def arrivals(data: bytes) -> None:
    """The first bytes choose the reader, how it is answered, and the cuts."""
    source = Source(data, CHOICES)
    source.one((_announced, _greeting, _login, _scram))(source)


def _announced(source: Source) -> None:
    """A head is nothing until it is there, then the same whatever follows; and what is none never becomes one."""
    data, wanted = source.rest, _head(source.rest)
    for end in range(min(len(data), 700)):
        found = _head(data[:end])
        assert found in (None, wanted) if not isinstance(found, str) else isinstance(wanted, str), "a head that changes"
    if isinstance(wanted, tuple):
        head, used = wanted
        assert used <= len(data)
        assert _head(data[:used]) == wanted
        assert _head(data[: used - 1]) is None
        assert head.unique_id.isprintable()


def _head(data: bytes) -> tuple[Announced, int] | str | None:
    try:
        return read_announced(data)
    except NotAnnounced as error:
        return str(error)


def _greeting(source: Source) -> None:
    """A client's first messages. What comes between SSLRequest and TLS counts by when it comes, so that there a cut
    does make a difference."""
    flags, data = source.byte(), source.rest
    tls = flags & 1 > 0
    wanted = _greeted(data, (), flags)
    for cuts in (range(1, len(data)), source.cuts(len(data))):
        found = _greeted(data, cuts, flags)
        assert tls or found == wanted, "a greeting by cuts"


def _greeted(data: bytes, cuts: Iterable[int], flags: int) -> list[object]:
    """What it leads to, every question answered at once."""
    greeting = Greeting(NONCE, tls=flags & 1 > 0, secure=flags & 2 > 0)
    heard: list[object] = []
    at = 0
    for end in (*cuts, len(data)):
        todo: list[object] = [*greeting.feed(data[at:end])]
        at = end
        while todo:
            command = todo.pop(0)
            if isinstance(command, Ready):
                assert not todo, "something is said behind the end"
                return [*heard, command.opening, command.version, command.rest + data[at:]]
            heard.append(command)
            todo += _answered(greeting, command, flags)
            if isinstance(command, Refused | CancelAsked):
                assert not todo, "something is said behind the end"
                return heard
    return heard


def _answered(greeting: Greeting, command: object, flags: int) -> Sequence[object]:
    match command:
        case AnswerTls(accept=True):
            return greeting.tls_started(b"binding" if flags & 4 else None, certificate=flags & 8 > 0)
        case FindVerifier():
            return greeting.verifier_found(_NOBODY if flags & 16 else None)
        case NeedIdentity(proven=proven):
            assert not proven, "a password that nobody has was proven"
            return greeting.unidentified("unknown", "who?") if flags & 32 else greeting.identified()
        case _:
            assert isinstance(command, AnswerTls | Tell | Refused | CancelAsked)
            return ()


def _login(source: Source) -> None:
    """What a server says to a login: answered, or the end of it. One that does not know the password gets in by none
    of the ways that ask for proof."""
    flags, data = source.byte(), source.rest
    wanted = _logged_in(data, (), flags)
    for cuts in (range(1, len(data)), source.cuts(len(data))):
        assert _logged_in(data, cuts, flags) == wanted, "a login by cuts"


def _logged_in(data: bytes, cuts: Iterable[int], flags: int) -> list[object]:
    login = Login(
        "me", Secret(b"secret" if flags & 1 else None), "crm", (),
        channel_binding=b"binding" if flags & 2 else None, allow_cleartext=flags & 4 > 0, nonce=NONCE,
    )  # fmt: skip
    heard: list[object] = [login.start()]
    framer, at = Framer(_LIMIT), 0
    for end in (*cuts, len(data)):
        try:
            frames: Iterable[Frame] = framer.feed(data[at:end])
        except Unframed as error:
            frames = error.before
        at = end
        for frame in frames:
            with patch.object(scram_client, "salted_password", lambda *_: _KEY):
                heard += login.feed(frame)
            if heard and isinstance(heard[-1], LoggedIn | LoginFailed):
                return heard
    return heard


def _scram(source: Source) -> None:
    """Both halves, a NUL between the other side's messages."""
    flags = source.byte()
    first, _, final = source.rest.partition(b"\0")
    saslprep(first)
    for plus in (False, True):
        binding = b"binding" if plus or flags & 1 else None
        server = ScramServer(_NOBODY, NONCE, binding)
        client = ScramClient(b"secret", NONCE, binding, plus)
        client.first()
        try:
            server.first(PLUS if plus else PLAIN, first)
            server.final(final)
        except ScramRefused:
            pass
        else:
            raise AssertionError("a proof of nobody's password is right")
        try:
            with patch.object(scram_client, "salted_password", lambda *_: _KEY):
                client.final(first)
            client.verify(final)
        except ScramRefused:
            continue
        raise AssertionError("a server that does not know the password proved that it does")
    try:
        assert Verifier.parse(first.decode("latin-1")).text() == first.decode("latin-1")
    except ValueError:
        return
