"""The tunnel session as a transcript."""

import pytest

from extproc.domain.grant import Lane, RefusalKind
from extproc.domain.target import Inspect, Protocol, Target
from extproc.protocols.session import (
    Abort,
    Answer,
    Cause,
    Decide,
    Decided,
    Head,
    HeadReceived,
    Lost,
    Received,
    SendHead,
    SendTrailers,
    Stopped,
    TimedOut,
    TrailersReceived,
)
from extproc.protocols.tunnel.session import TunnelSession
from tests.http.playbook import ALICE, KEY, grant, refusal, response_head

CONNECT = HeadReceived(Lane.REQUEST, Head(((":method", "CONNECT"), (":authority", "bank.test:443"))), False)


def session(revision: str = "v1") -> TunnelSession:
    """A session of an opaque target."""
    target = Target("bank", Protocol.TUNNEL, "production", Inspect.OPAQUE, revision=revision)
    return TunnelSession(target, ALICE, KEY)


def test_a_tunnel_from_its_question_to_its_end() -> None:
    """Destination asked about, heads passed on, and marked as unread."""
    tunnel = session()
    (asked,) = tunnel.handle(CONNECT)
    assert isinstance(asked, Decide)
    assert (asked.action.protocol, asked.action.verb, asked.action.resource) == ("tunnel", "CONNECT", "bank.test:443")
    assert asked.action.facts == {"host": "bank.test", "port": 443, "opaque": True}
    assert "bank.test:443" in asked.action.render(())
    given = grant()
    assert tunnel.handle(Decided(1, given)) == [SendHead(Lane.REQUEST, given)]
    assert tunnel.handle(HeadReceived(Lane.RESPONSE, response_head(200), False)) == [SendHead(Lane.RESPONSE, given)]
    assert tunnel.completed
    assert tunnel.handle(TrailersReceived(Lane.RESPONSE, Head(()))) == [SendTrailers(Lane.RESPONSE, given)]
    assert tunnel.delivery() == {"status": 200, "masked": {}, "opaque": True}


def test_a_digest_is_of_the_target_as_it_is_configured() -> None:
    """An approval of one configuration is none of another."""
    digests = set()
    for revision in ("v1", "v2"):
        (asked,) = session(revision).handle(CONNECT)
        assert isinstance(asked, Decide)
        digests.add(asked.action.digest)
    assert len(digests) == 2


def test_a_host_has_one_spelling() -> None:
    """Policy, approvers and records see the same tunnel, in whatever case it was asked for."""
    (plain,) = session().handle(CONNECT)
    head = Head(((":method", "CONNECT"), (":authority", "Bank.TEST:443")))
    (asked,) = session().handle(HeadReceived(Lane.REQUEST, head, False))
    assert isinstance(plain, Decide)
    assert isinstance(asked, Decide)
    assert (asked.action.resource, asked.action.facts["host"]) == ("bank.test:443", "bank.test")
    assert asked.action.digest == plain.action.digest
    assert asked.action.render(()) == plain.action.render(())


@pytest.mark.parametrize("authority", ["bank.test", "bank.test:", "bank.test:https", "", "bank.test:٤٤٣"])
def test_an_authority_without_a_port_is_refused(authority: str) -> None:
    """A tunnel names host and port."""
    head = Head(((":method", "CONNECT"), (":authority", authority)))
    (answer,) = session().handle(HeadReceived(Lane.REQUEST, head, False))
    assert isinstance(answer, Answer)
    assert answer.status == 400


@pytest.mark.parametrize(("granted", "expected"), [(False, Answer), (True, Abort)])
def test_a_stopped_tunnel_is_answered_or_broken_off(granted: bool, expected: type) -> None:
    """Depending on whether anything has gone on."""
    tunnel = session()
    tunnel.handle(CONNECT)
    if granted:
        tunnel.handle(Decided(1, grant()))
    (command,) = tunnel.handle(Stopped(Cause.IDENTITY, "identity-frozen", "Frozen."))
    assert isinstance(command, expected)
    assert not tunnel.completed
    assert tunnel.handle(TimedOut()) == []


def test_a_refused_tunnel_says_why() -> None:
    """In problem details, as any HTTP refusal."""
    tunnel = session()
    tunnel.handle(CONNECT)
    (answer,) = tunnel.handle(Decided(1, refusal(RefusalKind.BLOCKED)))
    assert isinstance(answer, Answer)
    assert answer.status == 403


@pytest.mark.parametrize(
    "event",
    [
        HeadReceived(Lane.RESPONSE, response_head(), False),
        Received(Lane.REQUEST, b"x", False),
        Decided(1, grant()),
        Lost("unread"),
        TrailersReceived(Lane.REQUEST, Head(())),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_comes_before_a_grant_ends_it(event: HeadReceived | Received | Decided | Lost | TrailersReceived) -> None:
    """Nothing passes on a guess."""
    assert isinstance(session().handle(event)[-1], Abort)
