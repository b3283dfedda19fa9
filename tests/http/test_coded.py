"""Exchanges whose bodies are in a content coding."""

import gzip
import json
import zlib

import pytest

from extproc.domain.grant import Lane
from extproc.domain.mask import Mask
from extproc.domain.target import Inspect
from extproc.masking.structure.coders import CODERS
from extproc.masking.structure.coding import decoded
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Abort, Cause, HeadReceived, Received, Send, SendHead, Stopped
from tests.http.playbook import ALICE, ALL_MASKS, KEY, Play, body, grant, head, play, request, response_head, target
from tests.http.test_credentials import KNOWN, TOKEN

JSON = ("content-type", "application/json")
GZIP = ("content-encoding", "gzip")
CARD = b'{"note":"card 4111111111111111"}'
MASKED = b'{"note":"card [masked:card]"}'


def _coded(data: bytes, *applied: str) -> bytes:
    """The data in these codings."""
    for name in applied:
        encoder = CODERS[name][1]()
        data = encoder.feed(data) + encoder.finish()
    return data


@pytest.mark.parametrize("masks", [(), ALL_MASKS])
@pytest.mark.parametrize("applied", [("gzip",), ("deflate",), ("br",), ("zstd",), ("gzip", "br")], ids=",".join)
def test_policy_is_shown_what_a_coded_body_means(applied: tuple[str, ...], masks: tuple[Mask, ...]) -> None:
    """It is masked like any other, and goes on in its codings, with the length that it has then."""
    p, coded = play(), _coded(CARD, *applied)
    named = (("content-encoding", ", ".join(applied)), ("content-length", str(len(coded))), ("digest", "x"))
    p.feed(*request(head("POST", "/notes", JSON, *named), coded))
    facts = p.asked.action.facts
    assert json.loads(json.dumps(facts["sensitive"]))["body"] == {"card": 1}
    assert facts["body"]["size"] == len(CARD)  # type: ignore[index, call-overload]
    assert "[masked:card]" in p.asked.action.render(())
    (sent, *_) = p.decided(grant(masks))
    assert isinstance(sent, SendHead)
    on = p.sent(Lane.REQUEST)
    assert decoded(on, applied, 1000) == (MASKED if masks else CARD)
    assert dict(sent.set)["content-length"] == str(len(on))
    assert "digest" in sent.remove
    assert "content-encoding" not in sent.remove


def test_a_second_member_is_no_second_body() -> None:
    """What goes on is one member: an upstream that reads the first of several reads all that policy saw."""
    p = play()
    p.feed(*request(head("POST", "/x", JSON, GZIP), gzip.compress(b"1") + gzip.compress(b"0")))
    p.decided(grant())
    member = zlib.decompressobj(31)
    assert (member.decompress(p.sent(Lane.REQUEST)), member.eof, member.unused_data) == (b"10", True, b"")


@pytest.mark.parametrize(
    ("coded", "status"),
    [
        (gzip.compress(b"a" * 1025), 413),
        (gzip.compress(b"\0" * (8 << 20)), 413),
        (gzip.compress(b"a" * 100)[:-1], 400),
        (gzip.compress(b"a") + b"x", 400),
        (b"not at all", 400),
        (b"", None),
        (gzip.compress(b"a" * 1024), None),
    ],
    ids=["long", "bomb", "torn", "more", "plain", "empty", "fits"],
)
def test_a_coded_body_has_to_be_whole_and_within_the_limit(coded: bytes, status: int | None) -> None:
    """The target's limit counts what it means, for that is what is read."""
    p = play()
    p.feed(*request(head("POST", "/x", ("content-type", "text/plain"), GZIP), coded))
    if status is None:
        assert p.asked.action.verb == "POST"
    else:
        assert p.answer.status == status


def test_what_is_decoded_counts_as_held() -> None:
    """A few bytes that mean many are a large step of work, and as many bytes in memory while people decide."""
    p = play(limit=1 << 20)
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x", ("content-type", "text/plain"), GZIP), False))
    assert p.session.held_bytes > 1 << 16
    p.feed(*body(Lane.REQUEST, gzip.compress(b"a" * (1 << 20))))
    assert p.session.held_bytes > 1 << 20
    p.decided(grant())
    assert p.session.held_bytes == 0


def test_what_is_refused_holds_nothing() -> None:
    """Nobody reads it any more, and the principal's other requests need the room."""
    p = play(limit=1 << 20)
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x", ("content-type", "text/plain"), GZIP), False))
    p.feed(Received(Lane.REQUEST, b"\x1f\x8b", False))
    assert p.session.held_bytes > 1 << 16
    p.feed(Stopped(Cause.LIMIT, "too-many-bytes", "Too many."))
    assert (p.answer.status, p.session.held_bytes) == (429, 0)


@pytest.mark.parametrize("masks", [(), ALL_MASKS])
def test_a_streamed_request_is_decoded_only_to_be_masked(masks: tuple[Mask, ...]) -> None:
    """Policy reads its head alone; without a mask not a byte changes."""
    p, coded = play(Inspect.STREAM), gzip.compress(CARD)
    p.feed(HeadReceived(Lane.REQUEST, head("PUT", "/blob", JSON, GZIP), False))
    p.decided(grant(masks))
    p.feed(*body(Lane.REQUEST, coded, (5, 20)))
    assert p.sent(Lane.REQUEST) == coded if not masks else decoded(p.sent(Lane.REQUEST), ("gzip",), 100) == MASKED


@pytest.mark.parametrize(("masks", "refused"), [((), False), (ALL_MASKS, True)])
def test_a_streamed_request_in_an_unknown_coding(masks: tuple[Mask, ...], refused: bool) -> None:
    """It passes where nothing has to be masked."""
    p = play(Inspect.STREAM)
    p.feed(HeadReceived(Lane.REQUEST, head("PUT", "/blob", JSON, ("content-encoding", "compress")), False))
    p.decided(grant(masks))
    if refused:
        assert p.answer.status == 415
    else:
        assert p.feed(*body(Lane.REQUEST, b"x"))


@pytest.mark.parametrize("applied", [("gzip",), ("br",), ("zstd",), ("gzip", "br")], ids=",".join)
def test_an_answer_that_comes_coded_all_the_same_goes_on_uncoded(applied: tuple[str, ...]) -> None:
    """That is how it was asked for; what is recorded can then be read, too."""
    p = play()
    p.feed(*request(head("GET", "/x", ("accept-encoding", "gzip, br"))))
    (asked,) = p.decided(grant(ALL_MASKS))
    assert isinstance(asked, SendHead)
    assert ("accept-encoding", "identity") in asked.set
    coded = _coded(CARD, *applied)
    headers = [JSON, ("etag", "x"), ("content-length", str(len(coded))), *(("content-encoding", n) for n in applied)]
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, *headers), False), *body(Lane.RESPONSE, coded, (3, 9)))
    (given,) = [c for c in p.commands if isinstance(c, SendHead) and c.lane is Lane.RESPONSE]
    assert p.sent(Lane.RESPONSE) == MASKED
    assert {"content-encoding", "etag"} <= set(given.remove)
    assert p.session.delivery()["masked"] == {"response": {"card": 1}}


def test_an_answer_is_passed_coded_where_nothing_is_looked_for() -> None:
    """No stage, no decoding, whatever the coding."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant())
    (given, sent) = p.feed(
        HeadReceived(Lane.RESPONSE, response_head(200, JSON, ("content-encoding", "compress")), False),
        Received(Lane.RESPONSE, b"\x1f\x9d", True),
    )
    assert isinstance(given, SendHead)
    assert "content-encoding" not in given.remove
    assert isinstance(sent, Send)


def test_events_go_on_as_they_come() -> None:
    """A flush of the upstream's ends a piece; nothing waits for the next one."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", "text/event-stream"), GZIP), False))
    coder = zlib.compressobj(wbits=31)
    for event in (b'data: {"a":1}\n\n', b'data: {"b":"jane@example.com"}\n\n'):
        p.feed(Received(Lane.RESPONSE, coder.compress(event) + coder.flush(zlib.Z_SYNC_FLUSH), False))
        assert p.sent(Lane.RESPONSE).endswith(b"}\n\n")
    p.feed(Received(Lane.RESPONSE, coder.flush(), True))
    assert p.sent(Lane.RESPONSE) == b'data: {"a":1}\n\ndata: {"b":"[masked:email]"}\n\n'
    assert p.session.completed


@pytest.mark.parametrize(("kind", "ends"), [("application/json", 502), ("text/event-stream", None)])
def test_a_torn_answer_is_an_error(kind: str, ends: int | None) -> None:
    """Clean while the head was withheld, an abort after it went on."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", kind), GZIP), False))
    p.feed(*body(Lane.RESPONSE, gzip.compress(CARD)[:-3]))
    if ends:
        assert p.answer.status == ends
    else:
        assert p.commands[-1] == Abort("unmaskable-response")


def test_an_echoed_credential_is_found_in_a_coded_answer() -> None:
    """Also where policy masks nothing."""
    p = Play(HttpSession(target(), ALICE, "", KEY, KNOWN))
    p.feed(*request(head()))
    p.decided(grant())
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", "text/html"), GZIP), False))
    p.feed(*body(Lane.RESPONSE, gzip.compress(f"you sent {TOKEN}, ok".encode())))
    assert p.sent(Lane.RESPONSE) == b"you sent [masked:credential], ok"
