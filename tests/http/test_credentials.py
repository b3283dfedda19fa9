"""Real credentials in an exchange: masked in what comes back, told to policy in what is sent."""

import pytest

from extproc.domain.grant import Lane
from extproc.domain.mask import Mask
from extproc.domain.target import Inspect
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.plan import Knowledge
from extproc.masking.shipped import knowledge
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Head, HeadReceived, SendHead, SendTrailers, TrailersReceived
from tests.http.playbook import ALICE, ALL_MASKS, KEY, Play, body, grant, head, request, response_head, target

TOKEN, MASK = "tk-4eC39HqLyjWDarjtT1zdp7dc", "[masked:credential]"


def _known(token: str) -> Knowledge:
    """The shipped rules and this credential."""
    return Knowledge(knowledge().engine, Fingerprints(b"k" * 32, fingerprints_of(token.encode(), "Bearer ", b"k" * 32)))


KNOWN = _known(TOKEN)


def _play(inspect: Inspect = Inspect.FULL) -> Play:
    return Play(HttpSession(target(inspect), ALICE, "", KEY, KNOWN))


@pytest.mark.parametrize("masks", [(), ALL_MASKS])
def test_an_echo_is_masked_whatever_policy_says(masks: tuple[Mask, ...]) -> None:
    """Body and headers of an answer, with and without masks of the policy's."""
    p = _play()
    p.feed(*request(head()))
    (sent,) = p.decided(grant(masks))
    assert isinstance(sent, SendHead)
    assert ("accept-encoding", "identity") in sent.set
    answer = response_head(200, ("content-type", "text/html"), ("x-echo", f"it was {TOKEN}"))
    data = f"you sent {TOKEN}, ok".encode()
    p.feed(HeadReceived(Lane.RESPONSE, answer, False), *body(Lane.RESPONSE, data, (15,)))
    (given,) = [c for c in p.commands if isinstance(c, SendHead) and c.lane is Lane.RESPONSE]
    assert given.set[0] == ("x-echo", f"it was {MASK}")
    assert p.sent(Lane.RESPONSE) == f"you sent {MASK}, ok".encode()
    assert p.session.delivery()["masked"] == {"response": {"credential": 2}}


@pytest.mark.parametrize("name", ["traceparent", "tracestate", "baggage", "location", "via"])
def test_an_answer_s_header_is_masked_by_whatever_name(name: str) -> None:
    """Names that count as Envoy's own in a request are the upstream's in its answer."""
    p = _play()
    p.feed(*request(head()))
    p.decided(grant(()))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, (name, f"00-{TOKEN}")), True))
    (given,) = [c for c in p.commands if isinstance(c, SendHead) and c.lane is Lane.RESPONSE]
    assert (name, f"00-{MASK}") in given.set


def test_a_request_with_one_is_told_to_policy() -> None:
    """In an address, in any header and in a body; the record's summary has none of it."""
    p = _play()
    extra = (("content-type", "text/csv"), ("x-api-key", TOKEN))
    p.feed(*request(head("POST", f"/x?k={TOKEN}", *extra), TOKEN.encode()))
    found = p.asked.action.facts["sensitive"]
    assert found == {
        **{part: {"credential": 1} for part in ("address", "headers", "body")},
        "families": {"credential": "secret"},
    }
    assert TOKEN not in str(p.asked.action.summary)
    assert TOKEN not in p.asked.action.render(())


@pytest.mark.parametrize("inspect", [Inspect.FULL, Inspect.STREAM])
def test_a_part_of_an_answer_is_not_asked_for(inspect: Inspect) -> None:
    """A credential can't be cut in two by asking for one half after the other."""
    p = _play(inspect)
    p.feed(*request(head("GET", "/x", ("range", "bytes=0-9"), ("if-range", '"v1"'))))
    (sent,) = p.decided(grant())
    assert isinstance(sent, SendHead)
    assert {"range", "if-range"} <= set(sent.remove)


def test_heads_are_searched_where_bodies_do_not_come() -> None:
    """Heads and trailers of a headers-only target; of its body nothing is asked or changed."""
    p = _play(Inspect.HEADERS)
    asked = head("POST", f"/x?k={TOKEN}", ("range", "bytes=0-9"), ("accept-encoding", "gzip"), ("x-api-key", TOKEN))
    p.feed(HeadReceived(Lane.REQUEST, asked, False))
    found = p.asked.action.facts["sensitive"]
    assert found == {
        "address": {"credential": 1}, "headers": {"credential": 1}, "body": {}, "families": {"credential": "secret"},
    }  # fmt: skip
    (sent,) = p.decided(grant())
    assert isinstance(sent, SendHead)
    assert "accept-encoding" not in dict(sent.set)
    assert "range" not in sent.remove
    answer = response_head(200, ("content-type", "text/html"), ("content-length", "9"), ("x-echo", f"was {TOKEN}"))
    (given,) = p.feed(HeadReceived(Lane.RESPONSE, answer, False))
    assert isinstance(given, SendHead)
    assert given.set == (("x-echo", f"was {MASK}"),)
    assert "content-length" not in given.remove
    (last,) = p.feed(TrailersReceived(Lane.RESPONSE, Head((("x-a", "1"), ("x-echo", TOKEN)))))
    assert isinstance(last, SendTrailers)
    assert "x-echo" in last.remove
    assert "x-a" not in last.remove


def test_a_header_can_be_named_by_a_credential() -> None:
    """Envoy writes names in lower case; a header or trailer whose name has a credential so stays behind."""
    p = _play()
    p.feed(*request(head()))
    p.decided(grant())
    name = TOKEN.lower()
    coded = [f"x-{TOKEN.encode().hex()}", "".join(f"%{byte:02x}" for byte in TOKEN.encode())]
    answer = response_head(200, (name, "1"), (f"x-{name}", "1"), *((one, "1") for one in coded), ("x-other", "1"))
    p.feed(HeadReceived(Lane.RESPONSE, answer, False))
    (given,) = [c for c in p.commands if isinstance(c, SendHead) and c.lane is Lane.RESPONSE]
    assert {name, f"x-{name}", *coded} <= set(given.remove)
    (last,) = p.feed(TrailersReceived(Lane.RESPONSE, Head(((name, "1"), ("x-a", "1")))))
    assert isinstance(last, SendTrailers)
    assert name in last.remove
    assert "x-a" not in last.remove
    assert "x-other" not in given.remove
