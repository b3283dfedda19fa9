"""The HTTP session, as transcripts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.action import Unrenderable
from extproc.domain.grant import Lane, RefusalKind
from extproc.domain.mask import Mask, Operator
from extproc.domain.target import Inspect
from extproc.protocols.http.headers import NOT_FOR_AGENTS
from extproc.protocols.http.lanes import EVENTS_BITE
from extproc.protocols.session import (
    BITE,
    Abort,
    Answer,
    Decide,
    Head,
    HeadReceived,
    Lost,
    Received,
    Send,
    SendHead,
    SendTrailers,
    TimedOut,
    TrailersReceived,
)
from tests.http.playbook import ALL_MASKS, body, grant, head, play, refusal, request, response_head

JSON = ("content-type", "application/json")
CARD = "4111111111111111"


def test_nothing_goes_on_before_a_grant() -> None:
    """Head and body lead to one question and to nothing else."""
    p = play()
    p.feed(*request(head("POST", "/refunds", JSON), b'{"amount": 5}'))
    assert [type(c) for c in p.commands] == [Decide]
    assert p.asked.action.verb == "POST"
    assert p.asked.action.resource == "/refunds"


def test_a_granted_request_goes_on_as_it_came() -> None:
    """Without masks not a byte changes."""
    p, g = play(), grant()
    p.feed(*request(head("POST", "/refunds", JSON), b'{"amount": 5.10}'))
    assert p.decided(g) == [SendHead(Lane.REQUEST, g), Send(Lane.REQUEST, b'{"amount": 5.10}', g, True)]


def test_a_response_without_a_grant_ends_the_exchange() -> None:
    """Bytes that no decision covers don't exist."""
    assert play().feed(HeadReceived(Lane.RESPONSE, response_head(), True)) == [Abort("response-not-asked-for")]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (RefusalKind.BLOCKED, 403),
        (RefusalKind.DENIED, 403),
        (RefusalKind.EXPIRED, 403),
        (RefusalKind.PENDING, 202),
        (RefusalKind.UNAVAILABLE, 503),
    ],
)
def test_a_refusal_is_answered_and_final(kind: RefusalKind, status: int) -> None:
    """Each refusal has its status, and nothing follows it."""
    p = play()
    p.feed(*request(head()))
    p.decided(refusal(kind, "h1"))
    document = json.loads(p.answer.body)
    assert (p.answer.status, document["status"], document["decision"], document["hold"]) == (status, status, "d1", "h1")
    assert p.feed(HeadReceived(Lane.RESPONSE, response_head(), True), Received(Lane.RESPONSE, b"x", True)) == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_client_is_told_in_its_own_words(stream: bool) -> None:
    """A 4xx would end the agent's run; a completion that explains does not."""
    p = play()
    chat = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    p.feed(*request(head("POST", "/v1/chat/completions", JSON), json.dumps(chat).encode()))
    p.decided(refusal(RefusalKind.BLOCKED))
    text = p.answer.body.decode()
    assert p.answer.status == 200
    assert "content_filter" in text
    assert "A test says so" in text
    assert text.endswith("data: [DONE]\n\n") is stream


def test_a_body_over_the_limit_is_refused_unread() -> None:
    """With a length at the head, without one as soon as it is over."""
    announced, counted = play(limit=10), play(limit=10)
    announced.feed(HeadReceived(Lane.REQUEST, head("POST", "/x", ("content-length", "11")), False))
    counted.feed(HeadReceived(Lane.REQUEST, head("POST", "/x"), False), Received(Lane.REQUEST, b"a" * 11, False))
    assert announced.answer.status == counted.answer.status == 413
    assert b"`inspect` of the target crm" in announced.answer.body
    assert announced.answer.body.endswith(b"}\n")


@pytest.mark.parametrize(
    "data", [b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff{}", b"[" * 100_000, b'\xef\xbb\xbf{"a": 1}']
)
def test_json_that_two_parsers_read_differently_is_refused(data: bytes) -> None:
    """What policy reads must be what the upstream reads."""
    p = play(limit=1 << 20)
    p.feed(*request(head("POST", "/x", JSON), data))
    assert p.answer.status == 400


def test_a_coded_body_is_refused_where_it_must_be_read() -> None:
    """A coding that is not known hides what policy would have to see."""
    p = play()
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x", JSON, ("content-encoding", "compress")), False))
    assert p.answer.status == 415


def test_the_prefix_of_the_route_is_not_part_of_the_resource() -> None:
    """Policy sees the path that the upstream will get."""
    p = play(prefix="/crm")
    p.feed(*request(head("GET", "/crm/customers/7?q=1")))
    assert p.asked.action.resource == "/customers/7"


def test_a_path_without_the_prefix_of_its_route_is_refused() -> None:
    """Route and session must mean the same resource."""
    p = play(prefix="/crm")
    p.feed(*request(head("GET", "/crmadmin")))
    assert p.answer.status == 400


def test_request_trailers_are_not_taken() -> None:
    """No policy reads them, and no approver is shown them."""
    p = play()
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x"), False), Received(Lane.REQUEST, b"ab", False))
    p.feed(TrailersReceived(Lane.REQUEST, Head((("x-amount", "1"),))))
    assert p.answer.status == 400
    assert [type(c) for c in p.commands] == [Answer]


def test_a_streamed_request_is_decided_on_its_head() -> None:
    """Bytes that come before the decision wait for it; trailers that it did not see end the exchange."""
    p, g = play(Inspect.STREAM), grant()
    p.feed(HeadReceived(Lane.REQUEST, head("PUT", "/blob"), False), Received(Lane.REQUEST, b"one", False))
    assert p.decided(g)[1:] == [Send(Lane.REQUEST, b"one", g, False)]
    assert p.feed(Received(Lane.REQUEST, b"two", False)) == [Send(Lane.REQUEST, b"two", g, False)]
    assert p.feed(TrailersReceived(Lane.REQUEST, Head(()))) == [Abort("request-trailers")]


def test_request_and_response_are_masked() -> None:
    """Obligations of the grant choose the stages of both lanes."""
    p = play()
    secret = json.dumps({"note": f"card {CARD}"}).encode()
    p.feed(*request(head("POST", "/notes", JSON, ("content-length", str(len(secret)))), secret))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, JSON, ("etag", "x")), False), *body(Lane.RESPONSE, secret))
    for lane in Lane:
        assert json.loads(p.sent(lane)) == {"note": "card [masked:card]"}
    (request_head, reply_head) = [c for c in p.commands if isinstance(c, SendHead)]
    assert dict(request_head.set)["content-length"] == str(len(p.sent(Lane.REQUEST)))
    assert dict(request_head.set)["accept-encoding"] == "identity"
    assert dict(reply_head.set)["content-length"] == str(len(p.sent(Lane.RESPONSE)))
    assert "etag" in reply_head.remove
    assert p.session.delivery()["masked"] == {"request": {"card": 1}, "response": {"card": 1}}


def test_credentials_do_not_come_back() -> None:
    """What an answer has of them is the real one's, or a session made with it."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant())
    secret = (("authorization", "Bearer real"), ("set-cookie", "session=1"), ("x-holdpoint-decision", "fake"))
    (sent,) = p.feed(HeadReceived(Lane.RESPONSE, response_head(200, *secret), True))
    assert isinstance(sent, SendHead)
    assert sent.remove == tuple(sorted({*NOT_FOR_AGENTS, "x-holdpoint-decision"}))


@pytest.mark.parametrize(
    "name", ["prefer", "x-n", "cookie", "user-agent", "accept", "content-type", "if-match", "idempotency-key"]
)
def test_an_approval_binds_headers_that_go_on(name: str) -> None:
    """Another value is another action."""
    digests = set()
    for value in ("a/1", "a/2"):
        p = play()
        p.feed(*request(head("POST", "/x", (name, value)), b"x"))
        digests.add(p.asked.action.digest)
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("baggage", "tenant=victim"), ("tracestate", "a=b"), ("b3", "1"), ("x-b3-flags", "1"),
        ("x-stainless-retry-count", "1"), ("traceparent", "tenant=victim"),
    ],
)  # fmt: skip
def test_what_an_approval_can_not_bind_does_not_go_on(name: str, value: str) -> None:
    """It differs between two sendings of one action."""
    p = play()
    p.feed(*request(head("POST", "/x", (name, value)), b"x"))
    sent = p.decided(grant())[0]
    assert isinstance(sent, SendHead)
    assert name in sent.remove


def test_preferences_are_read_in_linear_time() -> None:
    """A header of spaces is no reason to wait."""
    p = play()
    p.feed(*request(head("GET", "/x", ("prefer", "a=" + " " * 50_000 + 'x"y'))))
    assert p.asked.wait_seconds == 30.0


def test_an_approver_is_shown_what_goes_on() -> None:
    """After the masks of the decision, less what nobody should read in a list; a payee must be told from another."""
    p = play()
    p.feed(
        *request(
            head("POST", "/payouts?x=1", JSON, ("x-api-key", "k")),
            b'{"to":"jane@example.com","card":"4111111111111111","key":"AKIAIOSFODNN7EXAMPLE","note":"x"}',
        )
    )
    text = p.asked.action.render((Mask("p", (), ("note",), Operator.REDACT, ("request",)),))
    assert text == (
        "POST /payouts?x=1\ncontent-type: application/json\nx-api-key: (not shown)\n\n"
        '{"to":"jane@example.com","card":"[masked:card]","key":"[masked:aws-key]","note":"[masked:key:note]"}'
    )


PEM = b"-----BEGIN PRIVATE KEY-----\nto: mallory\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a" * (1 << 20 | 1), PEM], ids=["binary", "long", "hiding"])
def test_what_can_not_be_shown_can_not_be_approved(data: bytes) -> None:
    """Not text, too much of it, or text that hides what stands in it."""
    p = play(limit=2 << 20)
    p.feed(*request(head("POST", "/x", ("content-type", "text/plain")), data))
    with pytest.raises(Unrenderable):
        p.asked.action.render(())


def test_masked_headers_go_on_masked() -> None:
    """A value in a header is a value all the same."""
    p = play()
    p.feed(*request(head("GET", "/x", ("x-note", f"card {CARD}"))))
    (sent,) = p.decided(grant(ALL_MASKS))
    assert isinstance(sent, SendHead)
    assert dict(sent.set)["x-note"] == "card [masked:card]"


@pytest.mark.parametrize(
    "codings",
    [
        [("content-encoding", "compress")],
        [("content-encoding", "dcb"), ("content-encoding", "identity")],
        [("content-encoding", "gzip, aes128gcm")],
        [("content-encoding", "gzip"), ("content-encoding", "gzip, br")],
    ],
    ids=str,
)
def test_a_response_in_an_unknown_coding_is_not_released(codings: list[tuple[str, str]]) -> None:
    """What can't be read can't be masked."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, JSON, *codings), False))
    assert p.answer.status == 502


def test_a_response_that_is_not_the_json_it_claims_to_be_is_a_clean_error() -> None:
    """The head was withheld, so the client gets an answer and not half a body."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, JSON), False), *body(Lane.RESPONSE, b'{"a": '))
    assert p.answer.status == 502


def test_response_trailers_come_after_the_held_back_tail() -> None:
    """The stage is flushed first: trailers end the body."""
    p, g = play(), grant(ALL_MASKS)
    p.feed(*request(head()))
    p.decided(g)
    p.feed(
        HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", "text/plain")), False),
        Received(Lane.RESPONSE, b"number 4111", False),
    )
    tail = (("grpc-status", "0"), ("x-card", CARD), ("x-holdpoint-decision", "fake"), ("set-cookie", "a=b"))
    last = p.feed(TrailersReceived(Lane.RESPONSE, Head(tail)))
    assert p.sent(Lane.RESPONSE) == b"number 4111"
    unfit = {*NOT_FOR_AGENTS, "x-card", "x-holdpoint-decision"}
    assert last[-1] == SendTrailers(Lane.RESPONSE, g, tuple(sorted(unfit)))
    assert p.session.completed


@pytest.mark.parametrize("lane", Lane)
def test_a_mask_that_can_not_be_carried_out_stops_the_request(lane: Lane) -> None:
    """Also one for answers alone: by then the request has done what it does."""
    p = play()
    p.feed(*request(head("POST", "/x", JSON), b"{}"))
    p.decided(grant((Mask("p", ("no-such-kind",), (), Operator.REDACT, (lane.value,)),)))
    assert (p.answer.status, p.sent(Lane.REQUEST)) == (503, b"")
    assert b"no-such-kind" in p.answer.body


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-16", "application/json, text/plain"])
def test_an_answer_of_a_type_that_can_not_be_read_is_a_clean_error(kind: str) -> None:
    """As one whose body can't be."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", kind)), False))
    assert p.answer.status == 502


def test_coded_bytes_are_taken_in_small_parts() -> None:
    """What each of them means is in memory until it has gone on."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(ALL_MASKS))
    whole = p.session.bite_bytes
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, JSON, ("content-encoding", "gzip")), False))
    assert p.session.bite_bytes == 4096 < whole


@pytest.mark.parametrize(("masks", "bite"), [(ALL_MASKS, EVENTS_BITE), ((), BITE)])
def test_masked_events_are_taken_in_small_parts(masks: tuple[Mask, ...], bite: int) -> None:
    """Few bytes of them can be much work, where they are looked at."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant(masks))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, ("content-type", "text/event-stream")), False))
    assert p.session.bite_bytes == bite


def test_a_mask_for_one_lane_leaves_the_other_alone() -> None:
    """A mask says which way it works."""
    p = play()
    p.feed(*request(head("POST", "/x", JSON), f'"{CARD}"'.encode()))
    p.decided(grant((Mask("p", ("card",), (), Operator.REDACT, ("response",)),)))
    assert p.sent(Lane.REQUEST) == f'"{CARD}"'.encode()


@pytest.mark.parametrize("event", [Lost("peer-left"), TimedOut()])
def test_loss_and_stall_end_an_exchange_that_is_under_way(event: Lost | TimedOut) -> None:
    """Nothing more goes on."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant())
    assert isinstance(p.feed(event)[-1], Abort)
    assert p.feed(HeadReceived(Lane.RESPONSE, response_head(), True)) == []


def test_a_request_body_that_never_comes_is_a_408() -> None:
    """The client learns that it was the one that stalled."""
    p = play()
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x"), False), TimedOut())
    assert p.answer.status == 408


def test_headers_only_targets_are_done_once_the_answers_head_is_on() -> None:
    """Envoy does the rest by itself, and keeps the time of bodies that don't come here."""
    p = play(Inspect.HEADERS)
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x"), False))
    assert [type(c) for c in p.decided(grant())] == [SendHead]
    assert (p.session.completed, p.session.patience_seconds) == (False, None)
    assert [type(c) for c in p.feed(HeadReceived(Lane.RESPONSE, response_head(), False))] == [SendHead]
    assert (p.session.completed, p.session.patience_seconds) == (True, None)


def test_request_trailers_end_the_exchange_of_a_headers_only_target() -> None:
    """Its bodies go by unread, but what stands behind them would be headers that no policy saw."""
    p = play(Inspect.HEADERS)
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x"), False))
    p.decided(grant())
    assert p.feed(TrailersReceived(Lane.REQUEST, Head((("x-a", "1"),)))) == [Abort("request-trailers")]
    assert not p.session.completed


def test_an_upstream_does_not_change_the_protocol() -> None:
    """Nobody asked for that, and nobody would read what follows."""
    p = play()
    p.feed(*request(head()))
    p.decided(grant())
    p.feed(HeadReceived(Lane.RESPONSE, response_head(101, ("upgrade", "x")), False))
    assert p.answer.status == 502


@pytest.mark.parametrize(
    "path", ["/a%c0%af..%c0%afb", "/%ff", "/a%u002fb", "/a%zz", "/a%2", "/a%", "/a?b=%zz", "/a?b=%u002f", "/a?b=%ff"]
)
def test_addresses_that_servers_decode_differently_are_refused(path: str) -> None:
    """What is no escape, and what escapes no UTF-8."""
    p = play()
    p.feed(*request(head("GET", path)))
    assert (p.answer.status, p.answer.why) == (400, "malformed-request")


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("crm.test", True), ("crm.test:8080", True), ("[::1]:80", True), ("127.0.0.1", True),
        ("u@crm.test", False), ("other.test:80@crm.test", False), ("crm.test:x", False), ("crm.test:", False),
        ("[u@::1]", False), ("a:b:80", False),
    ],
)  # fmt: skip
def test_a_host_is_a_name_and_perhaps_a_port(host: str, taken: bool) -> None:
    """With a user or a port in words, servers differ in what the host is."""
    p = play()
    p.feed(*request(Head(((":method", "GET"), (":path", "/x"), (":authority", host)))))
    assert isinstance(p.commands[-1], Decide if taken else Answer)


TWICE = b'{"a": 1, "a": 2}'


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        ("application/x-json", b'{"a": 1}', "json"),
        ("application /json", b"1", "json"),
        ("application/x-json", TWICE, None),
        ("application /json", TWICE, None),
        ("application/octet-stream", TWICE, None),
        ("text/plain", TWICE, None),
        ("application/json", b'{"a\\ud800b": 1}', None),
        ("application/octet-stream", b'["\\uDFFF"]', None),
        ("application/json", b'["\\ud83d\\ude00"]', "json"),
        ("application/octet-stream", b"[NaN]", None),
        ("text/plain", b"[NaN is no number]", "text"),
        ("application/octet-stream", b'{"a": 1,}', "text"),
        ("application/octet-stream", b"\xef\xbb\xbf" + TWICE, "text"),
        ("application/octet-stream", b"\x1e" + TWICE, "text"),
        ("application/json-seq", b"\x1e" + TWICE, "text"),
        ("application/geo+json-seq", b"\x1e{}", "text"),
        ("application/x-ndjson", TWICE + b"\n{}", "text"),
        ("application/jsonl", b"1\n2", "text"),
        ("application/json5", b"{a: 1}", "text"),
        ("application/octet-stream", '{"a": 1}'.encode("utf-16"), None),
        ("application/octet-stream", '{"a": 1}'.encode("utf-16-le"), None),
        ("application/octet-stream", "[1]".encode("utf-32-be"), None),
        ("application/grpc-web", b"\0\0\0\0[" + b"a" * 91, ""),
    ],
)  # fmt: skip
def test_json_by_any_name_is_shown_or_refused(kind: str, data: bytes, shown: str | None) -> None:
    """A parser that pays no regard to the type reads nothing that policy could not."""
    p = play()
    p.feed(*request(head("POST", "/x", ("content-type", kind)), data))
    if shown is None:
        assert p.answer.status == 400
    else:
        facts = p.asked.action.facts["body"]
        assert set(facts) - {"inspected", "size"} == ({shown} if shown else set())  # type: ignore[arg-type]


def test_a_record_has_the_start_of_what_a_chat_says_of_itself() -> None:
    """Policy is shown all of it."""
    tools = [{"function": {"name": f"t{i}" + "x" * 200}} for i in range(100)]
    chat = {"model": "m" * 9000, "messages": [], "tools": tools}
    p = play(limit=1 << 20)
    p.feed(*request(head("POST", "/v1/chat/completions", JSON), json.dumps(chat).encode()))
    told: Any = p.asked.action.summary["llm"]
    known: Any = p.asked.action.facts["llm"]
    assert (len(told["model"]), len(told["tools"]), len(told["tools"][0])) == (129, 65, 129)
    assert told["tools"][-1] == "… 36 more"
    assert (len(known["model"]), len(known["tools"])) == (9000, 100)


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [("wait=5", 5.0), ("respond-async, wait=0", 0.0), ("respond-async", 0.0), ("wait=999999", 3540.0), ("x", 30.0)],
)
def test_the_client_says_how_long_it_waits(prefer: str, wait: float) -> None:
    """RFC 7240; what can't be read leaves the target's own wait."""
    p = play()
    p.feed(*request(head("POST", "/x", ("prefer", prefer))))
    assert p.asked.wait_seconds == wait


@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_cutting_the_bodies_changes_nothing(cuts: list[int]) -> None:
    """The output depends on the bytes, not on how they came."""
    data = json.dumps({"a": f"card {CARD} and more", "b": [1, 2]}).encode()
    where = tuple(min(c, len(data)) for c in cuts)
    p = play()
    p.feed(HeadReceived(Lane.REQUEST, head("POST", "/x", JSON), False), *body(Lane.REQUEST, data, where))
    p.decided(grant(ALL_MASKS))
    p.feed(HeadReceived(Lane.RESPONSE, response_head(200, JSON), False), *body(Lane.RESPONSE, data, where))
    for lane in Lane:
        assert json.loads(p.sent(lane)) == {"a": "card [masked:card] and more", "b": [1, 2]}


_EVENTS = st.one_of(
    st.builds(HeadReceived, st.sampled_from(Lane), st.just(head("POST", "/x", JSON)), st.booleans()),
    st.builds(HeadReceived, st.just(Lane.RESPONSE), st.just(response_head(200, JSON)), st.booleans()),
    st.builds(Received, st.sampled_from(Lane), st.binary(max_size=20), st.booleans()),
    st.builds(TrailersReceived, st.sampled_from(Lane), st.just(Head(()))),
    st.builds(Lost, st.just("gone")),
    st.just(TimedOut()),
)


@given(events=st.lists(_EVENTS, max_size=12))
def test_without_a_grant_no_order_of_events_sends_anything(events: list[object]) -> None:
    """Whatever a peer does, before the driver grants nothing goes on, and nothing raises."""
    p = play()
    p.feed(*events)  # type: ignore[arg-type]
    assert not [c for c in p.commands if isinstance(c, Send | SendHead | SendTrailers)]
    assert len([c for c in p.commands if isinstance(c, Answer | Abort)]) <= 1
