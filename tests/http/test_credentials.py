"""Real credentials in an exchange: masked in what comes back, told to policy in what is sent."""

import pytest

from extproc.domain.decision import Mask
from extproc.domain.grant import Lane
from extproc.masking.fingerprint import Fingerprints, fingerprints_of
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import HeadReceived, SendHead
from tests.http.playbook import ALICE, ALL_MASKS, KEY, Play, body, grant, head, request, response_head, target

TOKEN, MASK = "tk-4eC39HqLyjWDarjtT1zdp7dc", "[masked:credential]"
KNOWN = Fingerprints(b"k" * 32, fingerprints_of(TOKEN.encode(), "Bearer ", b"k" * 32))


def _play() -> Play:
    return Play(HttpSession(target(), ALICE, "", KEY, KNOWN))


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


def test_a_request_with_one_is_told_to_policy() -> None:
    """In an address, in any header and in a body; the record's summary has none of it."""
    p = _play()
    extra = (("content-type", "text/csv"), ("x-api-key", TOKEN))
    p.feed(*request(head("POST", f"/x?k={TOKEN}", *extra), TOKEN.encode()))
    found = p.asked.action.facts["sensitive"]
    assert found == {part: {"credential": 1} for part in ("address", "headers", "body")}
    assert TOKEN not in str(p.asked.action.summary)
    assert TOKEN not in p.asked.action.render(())
