"""A PostgreSQL session takes whatever both sides say, in any pieces, and lets nothing on that was not granted."""

from collections.abc import Iterator, Sequence

from extproc.domain.grant import Lane
from extproc.protocols.connection import CancelAsked, Learned, Overdue
from extproc.protocols.postgres.wire import backend, common, frontend
from extproc.protocols.postgres.wire.backend import DataRow
from extproc.protocols.postgres.wire.fields import MAX_NAME_BYTES
from extproc.protocols.session import Cause, Received, Stopped
from tests.fuzz.sessions import PLANTED, Checked, read_client
from tests.fuzz.source import Source

CHOICES = 2
_MOST = 60
"""Doings in one session."""

_ODD, _LAST_AT_ANY_TIME = 11, 4
"""The doing in which a server says what it was not asked; which of those things it may say whenever it likes."""

_MOST_BYTES = 1 << 20
"""More than any doing sends."""


def sessions(data: bytes) -> None:
    """The first bytes choose the masks and the pieces; then come doings: what it is, how many bytes, the bytes."""
    source = Source(data, CHOICES)
    masks, size = source.byte(), 2 + source.byte() % 40
    doings = [*_doings(source.rest)]
    # Who answers before it is asked, is found out or not, as the question comes.
    early = any(kind & 15 == _ODD and kind >> 4 > _LAST_AT_ANY_TIME for kind, _ in doings)
    whole = _played(doings, masks, _MOST_BYTES)
    for each in (1, size):
        assert _played(doings, masks, each) == whole or early, "a session by cuts"


def _doings(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(_MOST):
        if at + 2 > len(data):
            return
        yield data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]


def _played(doings: Sequence[tuple[int, bytes]], masks: int, size: int) -> tuple[bytes, bytes, str | None]:
    """What client and server got, and why it ended, where all comes in pieces of so many bytes."""
    play = Checked(masks)
    hostile = False
    for kind, payload in doings:
        lane, data = _said(kind, payload, play)
        for at in range(0, len(data), size):
            play.says(data[at : at + size], lane)
        hostile = hostile or kind & 15 == _ODD
    if play.ended is None:
        play.event(Stopped(Cause.TARGET, "stopped", "The end."))
    assert play.ended is not None
    assert set(play.grants) <= {play.connection}, "something is not concluded"
    got = read_client(bytes(play.to_client))
    if play.masks and not hostile:
        rows = [value for message in got if isinstance(message, DataRow) for value in message.values if value]
        assert not any(PLANTED.encode() in value for value in rows), "a value that was to be masked"
    return bytes(play.to_client), bytes(play.to_server), play.ended


def _said(kind: int, payload: bytes, play: Checked) -> tuple[Lane, bytes]:
    """What is sent by whom, if anything is."""
    name = chr(97 + (kind >> 4 & 3)) if kind & 64 else ""
    words = payload.replace(b"\0", b"").decode("utf-8", "replace")
    match kind & 15:
        case 0:
            return Lane.REQUEST, frontend.Query(words).encode()
        case 1:
            return Lane.REQUEST, frontend.Parse(name, words, (25,) if kind & 128 else ()).encode()
        case 2:
            values = tuple(payload.split(b"\0")) if payload else ()
            return Lane.REQUEST, frontend.Bind(name, name, (kind >> 7,) if values else (), values).encode()
        case 3:
            of = frontend.Of.PORTAL if kind & 128 else frontend.Of.STATEMENT
            described = frontend.Describe(of, name).encode()
            return Lane.REQUEST, described if len(payload) != 1 else frontend.Close(of, name).encode()
        case 4:
            return Lane.REQUEST, frontend.Execute(name, kind >> 7).encode()
        case 5:
            return Lane.REQUEST, (frontend.Flush() if kind & 16 else frontend.Sync()).encode()
        case 6:
            return Lane.REQUEST, common.CopyData(payload).encode() * (1 + (kind >> 4))
        case 7:
            last = common.CopyDone().encode() if kind & 16 else frontend.CopyFail(words).encode()
            return Lane.REQUEST, last if kind & 32 else frontend.Terminate().encode() if kind & 64 else last
        case 8:
            return Lane.REQUEST, payload
        case 9 | 10:
            said = b"".join(play.server.answers(how) for how in payload or bytes((kind >> 4,)))
            return Lane.RESPONSE, said
        case 11:
            return Lane.RESPONSE, _odd(kind >> 4, payload)
        case 12:
            play.decide(kind & 16 > 0)
        case 13:
            play.event(CancelAsked())
        case 14:
            if play.questions:
                play.event(Learned(play.questions.popleft(), None))
        case 15:
            for grant in [*play.grants][-1:]:
                play.event(Overdue(grant))
            if kind >> 4 == 15:
                play.event(Received(Lane.RESPONSE if payload else Lane.REQUEST, b"", True))
    return Lane.REQUEST, b""


def _odd(which: int, payload: bytes) -> bytes:
    """What a server says unasked, or should never say."""
    word = payload.replace(b"\0", b"").decode("utf-8", "replace")[:MAX_NAME_BYTES]
    said: dict[int, object] = {
        0: backend.ParameterStatus("application_name", word),
        1: backend.ParameterStatus("client_encoding", word),
        2: backend.NotificationResponse(1, word, word),
        3: backend.NoticeResponse((("S", "NOTICE"), ("M", word))),
        4: backend.ErrorResponse((("S", "FATAL"), ("V", "FATAL"), ("M", word))),
        5: backend.ReadyForQuery(backend.Transaction.IDLE),
        6: backend.CommandComplete(word),
        7: backend.EmptyQueryResponse(),
        8: DataRow((payload, None)),
        9: backend.ParseComplete(),
    }
    return said[which].encode() if which in said else payload  # type: ignore[attr-defined]
