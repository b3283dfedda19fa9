"""The state machine of holds."""

from dataclasses import replace

import pytest

from extproc.approvals import machine
from extproc.approvals.machine import LIVE, TRANSITIONS, HoldRefused, Refused
from extproc.domain.decision import Approval
from extproc.domain.hold import Hold, HoldState, Vote
from extproc.domain.principal import Kind, Principal
from tests.approvals.making import AGENTS, DBA, NOW, SECURITY, TWO_DBAS, agent, hold, person

S = HoldState
DANA, EVE, SAM = person("dana", "dba"), person("eve", "dba"), person("sam", "security")
BOTH = person("bo", "dba", "security")


def answered(held: Hold, *approvers: Principal) -> Hold:
    """The hold after approvals by these people, in order."""
    for approver in approvers:
        held = machine.vote(held, approver, True, "fine", NOW)
    return held


def test_every_state_has_its_row_and_only_live_ones_lead_on() -> None:
    """The table names every state, and what it calls final has no way out."""
    assert set(HoldState) == set(TRANSITIONS)
    assert frozenset({S.PENDING, S.APPROVED}) == LIVE


@pytest.mark.parametrize(
    ("requirements", "approvers", "expected"),
    [
        ((DBA,), (DANA,), S.APPROVED),
        ((TWO_DBAS,), (DANA,), S.PENDING),
        ((TWO_DBAS,), (DANA, EVE), S.APPROVED),
        ((DBA, SECURITY), (DANA,), S.PENDING),
        ((DBA, SECURITY), (DANA, SAM), S.APPROVED),
        ((DBA, SECURITY), (BOTH,), S.PENDING),
        ((DBA, SECURITY), (BOTH, DANA), S.APPROVED),
        ((DBA, SECURITY), (BOTH, SAM), S.APPROVED),
        ((TWO_DBAS, SECURITY), (BOTH, SAM), S.PENDING),
        ((TWO_DBAS, SECURITY), (BOTH, SAM, DANA), S.APPROVED),
        ((DBA, replace(DBA, policy="http.other")), (DANA,), S.APPROVED),
        ((DBA, replace(TWO_DBAS, policy="http.other")), (DANA,), S.PENDING),
        ((DBA, replace(TWO_DBAS, policy="http.other")), (DANA, EVE), S.APPROVED),
        ((TWO_DBAS,), (DANA, person("dana", "dba", issuer="https://other.test")), S.APPROVED),
    ],
)
def test_quorum(requirements: tuple[Approval, ...], approvers: tuple[Principal, ...], expected: S) -> None:
    """Every requirement needs its distinct people; who is in two groups counts for one."""
    assert expected is answered(hold(*requirements), *approvers).state


@pytest.mark.parametrize(
    ("asker", "approver", "expected"),
    [
        (agent("bot"), person("eve", "sales"), Refused.NOT_IN_GROUP),
        (agent("bot"), person("eve"), Refused.NOT_IN_GROUP),
        (agent("bot"), Principal(AGENTS, "x", Kind.AGENT, ("dba",)), Refused.NOT_A_PERSON),
        (agent("bot"), Principal(AGENTS, "x", Kind.SERVICE, ("dba",)), Refused.NOT_A_PERSON),
        (agent("dana"), DANA, Refused.OWN_HOLD),
        (DANA, DANA, Refused.OWN_HOLD),
        (agent("Dana "), DANA, Refused.OWN_HOLD),
        (agent("bot", acts_for="dana"), DANA, Refused.OWN_HOLD),
        (agent("bot", acts_for="DANA"), DANA, Refused.OWN_HOLD),
        (agent("bot"), person("dana", "dba", acts_for="bot"), Refused.OWN_HOLD),
        (agent("bot", acts_for="kim"), person("dana", "dba", acts_for="kim"), Refused.OWN_HOLD),
    ],
)
@pytest.mark.parametrize("approve", [True, False])
def test_who_may_not_vote(asker: Principal, approver: Principal, expected: Refused, approve: bool) -> None:
    """Nobody outside the groups votes, nobody on their own, nobody on what acts for them."""
    with pytest.raises(HoldRefused) as refused:
        machine.vote(hold(DBA, asker=asker), approver, approve, "fine", NOW)
    assert expected is refused.value.code


def test_one_vote_a_person() -> None:
    """A second vote is refused, even with other groups in the token, and even to say no."""
    once = answered(hold(TWO_DBAS), DANA)
    for again in (DANA, person("dana", "dba", "security")):
        with pytest.raises(HoldRefused) as refused:
            machine.vote(once, again, False, "changed my mind", NOW)
        assert refused.value.code is Refused.ALREADY_VOTED


def test_one_denial_ends_it() -> None:
    """Whoever may approve may end it alone."""
    denied = machine.vote(answered(hold(TWO_DBAS), DANA), EVE, False, "no", NOW)
    assert denied.state is S.DENIED
    assert denied.votes[-1] == Vote(EVE, False, "no", NOW)


@pytest.mark.parametrize(
    "reason", ["", "   ", "x" * 501, "a\nb", "a\x1b[2Jb", "a\u202eb", "a\u200bb", "a\x00b", "\u3164"]
)
def test_reasons_that_are_refused(reason: str) -> None:
    """A reason is there, short, and visible as a whole."""
    with pytest.raises(HoldRefused) as refused:
        machine.vote(hold(DBA), DANA, True, reason, NOW)
    assert refused.value.code is Refused.BAD_REASON


@pytest.mark.parametrize("reason", ["x", "x" * 500, "  Änderung 4711 – geprüft ✓  "])
def test_reasons_that_are_taken(reason: str) -> None:
    """White space round a reason is not part of it."""
    assert machine.vote(hold(DBA), DANA, True, reason, NOW).votes[0].reason == reason.strip()


def test_only_pending_ones_take_votes() -> None:
    """A vote after the end, or after the time, is refused."""
    for state in set(HoldState) - {S.PENDING}:
        with pytest.raises(HoldRefused) as refused:
            machine.vote(hold(DBA, state=state), DANA, True, "fine", NOW)
        assert refused.value.code is Refused.NOT_PENDING
    with pytest.raises(HoldRefused, match="expired"):
        machine.vote(hold(DBA), DANA, True, "fine", NOW + 60)


def test_claim_uses_an_approval_once() -> None:
    """An approval becomes used, and a used one nothing."""
    used = machine.claim(answered(hold(DBA), DANA), agent(), "d1", NOW + 59)
    assert used.state is S.USED
    with pytest.raises(HoldRefused, match="used"):
        machine.claim(used, agent(), "d1", NOW)


@pytest.mark.parametrize(
    ("principal", "digest", "now", "expected"),
    [
        (agent("other"), "d1", NOW, Refused.NOT_YOURS),
        (replace(agent(), issuer="https://x.test"), "d1", NOW, Refused.NOT_YOURS),
        (agent(acts_for="kim"), "d1", NOW, Refused.NOT_YOURS),
        (agent(), "d2", NOW, Refused.NOT_YOURS),
        (agent(), "d1", NOW + 60, Refused.NOT_APPROVED),
    ],
)
def test_claims_that_are_refused(principal: Principal, digest: str, now: float, expected: Refused) -> None:
    """An approval is for one asker, acting for one person, one action, and a time."""
    with pytest.raises(HoldRefused) as refused:
        machine.claim(answered(hold(DBA), DANA), principal, digest, now)
    assert expected is refused.value.code


@pytest.mark.parametrize("state", [s for s in HoldState if s is not S.APPROVED])
def test_only_approved_ones_are_claimed(state: HoldState) -> None:
    """No other state lets an action go on."""
    with pytest.raises(HoldRefused) as refused:
        machine.claim(hold(DBA, state=state), agent(), "d1", NOW)
    assert refused.value.code is Refused.NOT_APPROVED


@pytest.mark.parametrize(
    ("state", "detached", "expected"),
    [
        (S.PENDING, False, S.CANCELLED),
        (S.APPROVED, False, S.CANCELLED),
        (S.PENDING, True, S.PENDING),
        (S.APPROVED, True, S.APPROVED),
        (S.DENIED, False, S.DENIED),
        (S.USED, False, S.USED),
    ],
)
def test_cancel(state: HoldState, detached: bool, expected: HoldState) -> None:
    """Leaving cancels what is live and was not answered 202."""
    assert expected is machine.cancel(hold(DBA, state=state, detached=detached), NOW).state


def test_expiry_is_the_first_requirements() -> None:
    """A hold lasts as long as its shortest requirement, and asks at least someone."""
    assert machine.expiry([DBA, SECURITY], NOW) == NOW + 60
    with pytest.raises(HoldRefused) as refused:
        machine.expiry([], NOW)
    assert refused.value.code is Refused.NO_REQUIREMENTS


def test_time_ends_live_holds_only() -> None:
    """At its expiry a live hold is expired; a final one stays what it became."""
    for state in HoldState:
        expected = S.EXPIRED if state in LIVE else state
        assert expected is machine.at(hold(DBA, state=state), NOW + 60).state
        assert state is machine.at(hold(DBA, state=state), NOW + 59.999).state


def test_policy_is_told_who_approved_what() -> None:
    """Each requirement lists those who were counted for it, and nothing is listed before the approval."""
    pending = answered(hold(DBA, SECURITY), BOTH)
    assert machine.approvals(pending) == []
    people = {"issuer": "https://people.test"}
    assert machine.approvals(answered(pending, DANA)) == [
        {"policy": "http.writes", "group": "dba", "approvers": [people | {"subject": "dana"}]},
        {"policy": "http.secrets", "group": "security", "approvers": [people | {"subject": "bo"}]},
    ]
