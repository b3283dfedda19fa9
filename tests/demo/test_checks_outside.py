"""What the demo claims of strangers: true of a run that went right, false of every run that went wrong in its way."""

import json
import socket
from dataclasses import dataclass, replace
from typing import Any

import pytest

from examples.demo import checks_outside as checks
from examples.demo.calls import Answer, Call, answer_lines
from examples.demo.checks import Check
from examples.demo.outside import Drop, Names, Outside
from examples.demo.stolen import ELSEWHERE, HOME, JOB, PATHS, THIEF, Stolen, Token

PROXY = "127.0.0.1:1"
RECORD = json.dumps({"card_number": "[masked:card]", "ssn": "[masked:ssn]"})
READ = {"method": "GET", "path": "/customers/1043"}


def answer(status: int, code: str = "", *, method: str = "GET", target: str = "/crm/x", body: str = "") -> Answer:
    """An answer; with a code, a refusal."""
    problem = json.dumps({"type": f"urn:holdpoint:refusal:{code}", "detail": "why"})
    return Answer(Call("x", PROXY, method, target, "token"), status, problem if code else body)


def by_policy(code: str) -> Answer:
    """A refusal by policy, as an agent gets it."""
    body = {"type": "urn:holdpoint:refusal:blocked", "detail": "why", "reasons": [{"code": code, "message": "why"}]}
    return answer(403, body=json.dumps(body))


COPY = by_policy(checks.SEVERAL_NETWORKS)
GONE = answer(401, checks.REVOKED)
OUTSIDE = Outside(
    refused=[
        answer(403, checks.UNEXPECTED, method="CONNECT", target="files.example.net:443"),
        answer(403, checks.UNEXPECTED, method="POST", target="http://127.0.0.1:9/upload"),
    ],
    known=answer(200, target="http://127.0.0.1:8/customers/1043", body=RECORD),
    blocked=by_policy("delete-collection"),
    connections=0,
    questions=0,
    heard=True,
)
STOLEN = Stolen(
    before=answer(200),
    thief=COPY,
    owner=COPY,
    revoked=([COPY, GONE], [GONE]),
    renewed=answer(200),
    copied=answer(403, checks.WRONG_NETWORK),
    tokens=(Token("1", "a"), Token("2", "b")),
)
BLOCKED = {"holdpoint.decision.effect": "block", "client.address": HOME}
ATTEMPTS = [
    {**BLOCKED, "http.request.method": "CONNECT", "url.path": "files.example.net:443"},
    {**BLOCKED, "http.request.method": "POST", "url.path": "127.0.0.1:9"},
]
REFUSED = [{"client.address": HOME}, {"client.address": ELSEWHERE}]


@dataclass(frozen=True)
class Run:
    """All that the claims are checked against."""

    outside: Outside = OUTSIDE
    stolen: Stolen = STOLEN
    received: tuple[dict[str, Any], ...] = (READ,)
    attempts: tuple[dict[str, str], ...] = tuple(ATTEMPTS)
    copies: tuple[dict[str, str], ...] = (BLOCKED,)
    refusals: tuple[dict[str, str], ...] = tuple(REFUSED)

    def checks(self) -> list[Check]:
        """Every claim."""
        return [
            checks.check_outside(self.outside),
            checks.check_outside_traced(self.outside, self.attempts),
            checks.check_proxied(self.outside, self.received),
            checks.check_copied(self.stolen, self.received),
            checks.check_copied_traced(self.copies, self.refusals),
            checks.check_revoked(self.stolen),
        ]


def outside(**changed: Any) -> Run:
    """A run in which this of the first act was otherwise."""
    return Run(outside=replace(OUTSIDE, **changed))


def stolen(**changed: Any) -> Run:
    """A run in which this of the second act was otherwise."""
    return Run(stolen=replace(STOLEN, **changed))


def test_all_claims_hold_of_a_good_run() -> None:
    """Nothing is false, and each claim names its evidence."""
    assert [check.claim for check in Run().checks() if not check.true or not check.evidence] == []


@pytest.mark.parametrize(
    ("claim", "run"),
    [
        (0, outside(refused=[])),
        (0, outside(refused=[answer(200)])),
        (0, outside(refused=[answer(403, "blocked")])),
        (0, outside(refused=[answer(0, body="connection refused")])),
        (0, outside(connections=1)),
        (0, outside(questions=1)),
        (0, outside(heard=False)),
        (1, Run(attempts=())),
        (1, Run(attempts=tuple(ATTEMPTS[:1]))),
        (1, Run(attempts=tuple({**one, "holdpoint.decision.effect": "allow"} for one in ATTEMPTS))),
        (1, Run(attempts=tuple({**one, "url.path": "?"} for one in ATTEMPTS))),
        (1, outside(refused=[])),
        (2, outside(known=answer(403, checks.UNEXPECTED))),
        (2, outside(known=answer(200, target=OUTSIDE.known.call.target, body='{"ssn": "536-22-8731"}'))),
        (2, outside(blocked=answer(200))),
        (2, Run(received=())),
        (2, Run(received=(READ, {"method": "DELETE", "path": "/customers"}))),
        (3, stolen(before=answer(401, checks.REVOKED))),
        (3, stolen(thief=answer(200))),
        (3, stolen(thief=by_policy("history-unknown"))),
        (3, stolen(owner=answer(200))),
        (3, Run(received=(READ, {"method": "GET", "path": PATHS[THIEF]}))),
        (4, Run(copies=())),
        (4, Run(copies=({**BLOCKED, "holdpoint.decision.effect": "allow"},))),
        (4, Run(refusals=({"client.address": HOME},))),
        (5, stolen(revoked=([answer(200), GONE], [GONE]))),
        (5, stolen(revoked=([GONE], [COPY]))),
        (5, stolen(renewed=answer(401, checks.REVOKED))),
        (5, stolen(copied=answer(200))),
    ],
)
def test_a_claim_is_false_when_its_evidence_is_missing(claim: int, run: Run) -> None:
    """Each way of going wrong turns its own claim false."""
    assert run.checks()[claim].true is False


@pytest.mark.parametrize("visits", [0, 2])
def test_the_server_that_nobody_configured_counts_who_comes(visits: int) -> None:
    """Its own knock, by which it shows that it hears, is not counted."""
    with Drop() as drop:
        host, _, port = drop.address.partition(":")
        visitors = [socket.create_connection((host, int(port)), timeout=5) for _ in range(visits)]
        assert drop.count() == (visits, True)
        for visitor in visitors:
            visitor.close()


def test_the_name_server_counts_questions() -> None:
    """Those that came since it was last asked, without its own."""
    with Names() as names, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        host, _, port = names.address.partition(":")
        client.sendto(b"who is files.example.net?", (host, int(port)))
        assert [names.count(), names.count()] == [(1, True), (0, True)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (COPY, "is answered HTTP 403 history-several-networks: why"),
        (GONE, "is answered HTTP 401 identity-revoked: why"),
        (answer(200, body="a\n b"), "is answered HTTP 200 a b"),
        (answer(0, body="timed out"), "is answered HTTP 0 timed out"),
    ],
)
def test_an_answer_in_words(given: Answer, expected: str) -> None:
    """Of a refusal its code and what it says, of anything else the body; never the token."""
    assert answer_lines(given) == ["GET /crm/x", expected]
    assert "token" not in repr(given)


def test_a_connect_names_its_destination_as_its_host() -> None:
    """As clients send it."""
    tunnel = Call(JOB, PROXY, "CONNECT", "a.example:443", "t", source=HOME)
    assert tunnel.document()["headers"] == {"Authorization": "Bearer t", "Host": "a.example:443"}
    whole = replace(tunnel, method="GET", target="http://a.example/")
    assert whole.document()["headers"] == {"Authorization": "Bearer t"}
