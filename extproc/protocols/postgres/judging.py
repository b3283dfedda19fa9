"""How statements are decided: what has to be found out first, the question, and what comes of its answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from extproc.domain.grant import Grant, Refusal, RefusalKind
from extproc.protocols.connection import Conclude, Learn, Refuse, Withdraw
from extproc.protocols.postgres import context, errors, look, settling
from extproc.protocols.postgres.action import Asked, action_of, told_of
from extproc.protocols.postgres.link import Link
from extproc.protocols.postgres.masks.catalogue import Answer, CatalogueError
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.pipeline import Step
from extproc.protocols.postgres.summary import Told
from extproc.protocols.postgres.surroundings import Settling
from extproc.protocols.session import Decide

_ROUNDS = 20
"""Questions about what is behind one text."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A question that is not answered yet, the message that it is about, and what to do once it is granted. `asked` is
    what it is about, `rounds` how often it was settled what an approval of it binds; `settled`: it is now."""

    ask: int
    step: Step
    then: Callable[[Grant], None]
    asked: Asked
    rounds: int
    settled: bool


@dataclass(frozen=True, slots=True)
class _Settled:
    """What was found out, or is being found out, that an approval binds; `rounds` is how often it was."""

    settling: Settling | None = None
    rounds: int = 0
    unbound: str = ""

    @property
    def why(self) -> str:
        """Why nothing can be bound; empty where it can, or nothing was asked for."""
        return self.unbound or ("" if self.settling is None else settling.untold(self.settling))


@dataclass(frozen=True, slots=True)
class _Settling:
    """The server is being asked what an approval would bind, before this is decided again."""

    settled: _Settled
    waiting: _Waiting

    @property
    def step(self) -> Step:
        """The message that it is about."""
        return self.waiting.step


@dataclass(frozen=True, slots=True)
class _Learning:
    """What is to be found out before there is a question, what message that will be about, and what follows."""

    question: Question
    step: Step
    then: Callable[[], None]


class Judging:
    """One statement at a time. `key` keys digests."""

    def __init__(self, link: Link, key: bytes) -> None:
        self._link = link
        self._key = key
        self._asks = count(1)
        self._waiting: _Waiting | None = None
        self._learning: _Learning | None = None
        self._settling: _Settling | None = None
        self.approved = False
        """Whether what was granted last had to be settled, so that people approved it."""

    def busy(self) -> bool:
        """Whether something is waited for, so that no other message is taken."""
        if self._settling is not None and not self._settle_done(self._settling):
            return True
        return self._waiting is not None or self._learning is not None

    def _pinned(self, asked: Asked, step: Step) -> bool:
        """Whether it was refused because it would change what the gateway chose for this session."""
        name = self._link.pins.touched(asked.script)
        if name is None:
            return self.astray(step)
        said = errors.error(errors.INSUFFICIENT_PRIVILEGE, f"{name} is not for this session to change.")
        self._link.refuse(step, said)
        told = told_of(asked, self._link.scene, self._link.known)
        self.note("SET", "pinned", "A setting that the gateway chose is not for the session to change", told)
        return True

    def astray(self, step: Step) -> bool:
        """Whether it was refused because nobody can tell as which role it would run, and the role was chosen."""
        link = self._link
        if not link.strayed or link.scene.transaction == "E":
            return False
        why = "What ran before it in this pipeline could have changed the role that was chosen for this session."
        link.refuse(step, errors.error(errors.INSUFFICIENT_PRIVILEGE, why, hint="Send a Sync in between."))
        return True

    def decide(self, asked: Asked, step: Step, then: Callable[[Grant], None]) -> None:
        """Have it decided; once it is granted, go on with `then`."""
        if not self._pinned(asked, step):
            self._link.believe()
            self._judge(asked, step, then, 0)

    def _judge(
        self, asked: Asked, step: Step, then: Callable[[Grant], None], rounds: int, settled: _Settled | None = None
    ) -> None:
        """Have it decided, once it is known what is behind the views that it names; views behind views are found one
        after the other."""
        link = self._link
        asked = replace(asked, script=asked.script.bound(asked.values))
        question = link.behind.missing(asked.script)
        if question is not None and rounds == _ROUNDS:
            # It changes faster than it can be asked for, or has no end: nothing is known of it.
            link.catalogue.forget()
        elif question is not None:
            self._learning = _Learning(question, step, partial(self._judge, asked, step, then, rounds + 1, settled))
            link.do(Learn(question))
            return
        settled = settled or _Settled()
        waiting = _Waiting(next(self._asks), step, then, asked, settled.rounds, settled.settling is not None)
        self._waiting = waiting
        script = link.behind.facts(asked.script)
        asked = replace(asked, script=script, behind=link.named(asked.script), unbound=asked.unbound or settled.why)
        scene = look.unsure(link.scene) if asked.script.strays(link.moved) else link.scene
        if settled.settling is not None and settled.settling.found is not None:
            scene = replace(scene, around=settled.settling.found)
        action = action_of(asked, scene, link.known, self._key)
        trace = context.of_statement(asked.sql, link.scene.application)
        link.do(Decide(waiting.ask, action, link.scene.target.wait_seconds, trace))

    def decided(self, ask: int, outcome: Grant | Refusal) -> bool:
        """The answer to a question. False where nobody asked it: then the session has ended."""
        link, waiting = self._link, self._waiting
        if waiting is None or waiting.ask != ask:
            link.end("unexpected-decision", errors.fatal(errors.OPERATOR_INTERVENTION, "A decision nobody asked for."))
            return False
        self._waiting = None
        # What went before it in the same pipeline failed meanwhile: the server would skip it.
        skipped = link.pipeline.skipping and waiting.step is not Step.QUERY
        if isinstance(outcome, Refusal):
            if outcome.kind is RefusalKind.UNSETTLED and not skipped:
                self._settle(waiting)
            elif not skipped:
                link.refuse(waiting.step, errors.refused(outcome), f"decision {outcome.decision.id}")
        elif skipped:
            link.do(Conclude(outcome, "aborted:skipped"))
        else:
            self.approved = waiting.settled
            waiting.then(outcome)
        return True

    def _settle(self, waiting: _Waiting) -> None:
        """Find out what an approval of this binds, as far as that can be, and have it decided with that."""
        link, rounds = self._link, waiting.rounds + 1
        why = settling.unbound(link, waiting.asked, waiting.step, waiting.rounds)
        if why:
            self._judge(waiting.asked, waiting.step, waiting.then, 0, _Settled(None, rounds, why))
            return
        asked = replace(waiting.asked, script=link.behind.facts(waiting.asked.script))
        asking = settling.ask(link, asked)
        self._settling = _Settling(_Settled(asking, rounds), waiting)

    def _settle_done(self, settling: _Settling) -> bool:
        """Whether it is found out what an approval binds: then it is decided anew."""
        settled, waiting = settling.settled, settling.waiting
        if settled.settling is None or not settled.settling.done:
            return False
        self._settling = None
        if not settled.settling.lost:
            self._judge(waiting.asked, waiting.step, waiting.then, 0, settled)
        # Else what went before it failed, and the server skips it.
        return True

    def learned(self, question: Question, answer: Answer | None) -> bool:
        """What had to be found out is known, or can't be. Whether it was this that was asked here."""
        learning = self._learning
        if learning is None or learning.question is not question:
            return False
        self._learning = None
        try:
            self._link.catalogue.learn(question, answer)
        except CatalogueError:
            self._link.catalogue.learn(question, None)
        learning.then()
        return True

    def cancel(self) -> bool:
        """The client gave up what it waits for. False where it waits for nothing here."""
        waiting = self._waiting or self._learning or self._settling
        if waiting is None:
            return False
        if isinstance(waiting, _Waiting):
            self._link.do(Withdraw(waiting.ask))
        self._waiting = self._learning = self._settling = None
        self._link.refuse(waiting.step, errors.error(errors.CANCELLED, "canceling statement due to user request"))
        return True

    def note(self, verb: str, code: str, title: str, told: Told) -> None:
        """Have a refusal recorded that nothing was decided for."""
        link = self._link
        trace = context.of_statement(told.sql, link.scene.application)
        summary = told.under(told.document(), link.granted.decision.masks)
        link.do(Refuse(verb, link.scene.database, code, title, summary, trace))
