"""A copied token: a job's token is used from another network, and an operator ends it."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from examples.demo import people
from examples.demo.agent_runtime import Runtime
from examples.demo.calls import Answer, Call, answer_lines, ask, ask_until, tell
from examples.demo.gateway import Gateway

JOB = "nightly-export"
THIEF = "thief"
OPERATOR = "operator"
HOME = "127.0.0.1"
ELSEWHERE = "127.0.66.6"
"""Another /24 of loopback. Linux lets anybody send from it."""
NETWORK = "127.0.0.0/24"
SETTLE_SECONDS = 10.0
"""How long a change of who is let in may take to reach every worker, under any load; it takes a fifth of a second."""
PATHS = {JOB: "/customers/1043", THIEF: "/customers?all=1"}
"""What each asks for; nobody else in the demo asks for the thief's."""


_IN_A_ROW = 5
"""Refusals one after the other, by which every worker has heard."""


@dataclass(frozen=True, slots=True)
class Token:
    """An agent token: its id, which may be shown, and the token itself, which may not."""

    id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stolen:
    """What came of it, in the order in which it happened.

    before: the job's answer while nobody else had its token; thief: the first answer elsewhere; owner: the job's, once
    that was counted; revoked: the answers to either once all workers had heard the operator's word;
    renewed: the job's with a token for its own network; copied: the answer to a copy of that one elsewhere;
    tokens: both, old and new.
    """

    before: Answer
    thief: Answer
    owner: Answer
    revoked: tuple[list[Answer], list[Answer]]
    renewed: Answer
    copied: Answer
    tokens: tuple[Token, Token]


def elsewhere_exists() -> bool:
    """Whether this machine can send from a second network of loopback."""
    with socket.socket() as probe:
        try:
            probe.bind((ELSEWHERE, 0))
        except OSError:
            return False
    return True


class Theft:
    """The job begins before the agent does, and its token is found elsewhere when the agent is done."""

    def __init__(self, runtime: Runtime, gateway: Gateway) -> None:
        """Issue the job's token, and let it work once. Raises DemoFailed."""
        self._runtime, self._gateway = runtime, gateway
        self._token = self._issue()
        self._before = self._until(self._call(JOB, HOME, self._token), _known)[-1]

    def go_on(self) -> Stolen:
        """Copy the token, revoke it, and give the job another. Raises DemoFailed."""
        first = self._token
        owner, thief = self._call(JOB, HOME, first), self._call(THIEF, ELSEWHERE, first)
        # One attempt: it is the first that must fail. Its owner may go on until what was seen is counted.
        (copied,) = ask(self._runtime, [thief])
        tell(THIEF, answer_lines(copied))
        own = self._until(owner, lambda answer: answer.status != 200)[-1]
        tell(OPERATOR, [f"$ holdpoint tokens revoke {first.id}"])
        tell(OPERATOR, self._gateway.administer("tokens", "revoke", first.id).splitlines())
        revoked = (self._settled(owner), self._settled(thief))
        second = self._issue("--network", NETWORK)
        renewed = self._until(self._call(JOB, HOME, second), _known)[-1]
        again = self._until(self._call(THIEF, ELSEWHERE, second), _known)[-1]
        return Stolen(self._before, copied, own, revoked, renewed, again, (first, second))

    def _call(self, who: str, source: str, token: Token) -> Call:
        return Call(who, self._gateway.at.listen, "GET", f"/crm{PATHS[who]}", token.text, source=source)

    def _issue(self, *more: str) -> Token:
        """Have a token issued. The command prints it this once; what is shown here is what stands beside it."""
        words = ("tokens", "issue", "--subject", JOB, "--owner", people.APPROVER_SUBJECT, "--target", "crm", *more)
        tell(OPERATOR, [f"$ holdpoint {' '.join(words)}"])
        token = json.loads(self._gateway.administer(*words, "--json"))
        tell(OPERATOR, [f"token {token['id']} of {token['subject']}, for which {token['owner']['subject']} answers"])
        return Token(token["id"], token["token"])

    def _settled(self, call: Call) -> list[Answer]:
        """The last answers, once so many in a row are refusals: any worker may be asked, and each hears of a revocation
        within a quarter of a second."""
        row = 0

        def settled(answer: Answer) -> bool:
            nonlocal row
            row = row + 1 if _revoked(answer) else 0
            return row == _IN_A_ROW

        return self._until(call, settled)[-_IN_A_ROW:]

    def _until(self, call: Call, wanted: Callable[[Answer], bool]) -> list[Answer]:
        answers = ask_until(self._runtime, call, wanted, SETTLE_SECONDS)
        tell(call.who, answer_lines(answers[-1]))
        return answers


def _known(answer: Answer) -> bool:
    # A token that was issued this moment: a worker may not have heard of it yet.
    return not _revoked(answer)


def _revoked(answer: Answer) -> bool:
    return answer.status == 401
