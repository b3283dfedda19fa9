"""Headers and trailers are fields with a name, as members of JSON are: masks select them by it, and it is context."""

from dataclasses import replace

import pytest

from extproc.domain.grant import Lane
from extproc.domain.mask import Mask, Operator
from extproc.masking.shipped import knowledge
from extproc.protocols.http.lanes import masked_headers
from extproc.protocols.session import Head, HeadReceived, Received, SendHead, SendTrailers, TrailersReceived
from tests.http.playbook import grant, head, play, request, response_head

MASKS = (Mask("p", ("*",), ("customer_no", "content-type", "date"), Operator.REDACT),)
VALUES = [
    ("customer_no", "4711", "[masked:key:customer_no]"),
    ("customer-no", "4711", "[masked:key:customer_no]"),
    ("password", "hunter2xyzzy", "[masked:password]"),
    ("x-db-password", "hunter2xyzzy", "[masked:password]"),
    ("x-ssn", "219099998", "[masked:ssn]"),
    ("x-phone", "+1 650 253 0000", "[masked:phone]"),
]
HARMLESS = [
    ("x-ratelimit-remaining-tokens", "149984"),
    ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    ("etag", 'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"'),
    ("age", "219099998"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("content-type", "text/plain"),
    ("date", "Sun, 22 Nov 2026 15:35:27 GMT"),
]


@pytest.mark.parametrize(("name", "value", "masked"), VALUES)
@pytest.mark.parametrize("lane", Lane)
def test_a_header_is_masked_for_its_name(lane: Lane, name: str, value: str, masked: str) -> None:
    """On both lanes, with others of the same name beside it."""
    changed, counts = masked_headers(MASKS, lane, Head((("x-plain", "kept"), (name, value), (name, ""))), knowledge())
    assert changed == {name: [masked, ""]}
    assert sum(counts.values()) == 1


@pytest.mark.parametrize("operator", Operator)
def test_whatever_the_operator_nothing_of_a_selected_one_is_left(operator: Operator) -> None:
    """A header has no null, and is not left out: it is empty then."""
    known = replace(knowledge(), hash_key=b"k" * 32)
    masks = (Mask("p", (), ("pin",), operator),)
    changed, _ = masked_headers(masks, Lane.RESPONSE, Head((("pin", "4711"),)), known)
    assert "4711" not in changed["pin"][0]


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_what_has_no_value_stays(name: str, value: str) -> None:
    """A name alone is none, and what says how to read the message is not selected."""
    assert masked_headers(MASKS, Lane.RESPONSE, Head(((name, value),)), knowledge()) == ({}, {})


@pytest.mark.parametrize(("name", "value", "masked"), VALUES)
def test_an_answer_s_head_and_trailers(name: str, value: str, masked: str) -> None:
    """The header goes on masked, the trailer not at all."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(MASKS))
    answer = response_head(200, ("content-type", "text/plain"), (name, value))
    p.feed(HeadReceived(Lane.RESPONSE, answer, False), Received(Lane.RESPONSE, b"ok", False))
    p.feed(TrailersReceived(Lane.RESPONSE, Head((("x-ok", "1"), (name, value)))))
    (sent,) = [c for c in p.commands if isinstance(c, SendHead) and c.lane is Lane.RESPONSE]
    assert (name, masked) in sent.set
    (trailers,) = [c for c in p.commands if isinstance(c, SendTrailers)]
    assert name in trailers.remove
    assert "x-ok" not in trailers.remove
