"""What is shipped again is the same to the byte: after crashes, with a lost database, in other batches, later."""

import contextlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from extproc.adapters.otel import OtlpExporter
from extproc.audit.merge import SETTLE_SECONDS
from extproc.audit.replay import Perhaps, Replay
from extproc.audit.shipper import Shipper, shipped
from extproc.audit.spans import Span
from extproc.audit.store import Store
from extproc.domain.json import JSON
from tests.audit.conftest import Clock, Streams, decision, delivery

DAY = 86400.0
SHIPPERS = OtlpExporter("http://127.0.0.1:1")


class Killed(BaseException):
    """The shipper's process ends here."""


@dataclass
class Wire:
    """Keeps the bytes of each span that gets through; refuses or kills by chance, before or after they are taken."""

    chance: random.Random | None = None
    forms: dict[str, set[bytes]] = field(default_factory=dict)

    def export(self, spans: list[Span]) -> bool:
        """Take all or nothing, as far as the shipper learns."""
        fate = self.chance.random() if self.chance is not None else 1.0
        if fate < 0.05:
            raise Killed
        if fate < 0.15:
            return False
        request = encode_spans([SHIPPERS._readable(span) for span in spans])
        for scope in (scope for resource in request.resource_spans for scope in resource.scope_spans):
            for span in scope.spans:
                self.forms.setdefault(span.span_id.hex(), set()).add(span.SerializeToString())
        if fate < 0.25:
            raise Killed
        return fate >= 0.3

    def close(self) -> None:
        """Nothing to let go."""


class Gateway:
    """Writes what a gateway might, over days: claimed traces of several principals, holds, votes, restarts, actions
    that end late or never."""

    def __init__(self, streams: Streams, chance: random.Random) -> None:
        self._streams, self._chance, self._count = streams, chance, 0
        self._open: list[tuple[str, str]] = []
        self._holds: list[str] = []

    def act(self) -> None:
        """Do something."""
        chance, clock = self._chance, self._streams.clock
        clock.now += chance.choice((0, 0, 0, 0.001, 0.3, 2, 100, 1000, 3600))
        if chance.random() < 0.02:
            clock.now += chance.choice((1, 3, 8, 20)) * DAY
        worker = f"worker-{chance.randrange(3)}"
        what = chance.choices(("decide", "deliver", "hold", "vote", "restart", "config"), (8, 6, 3, 3, 0.3, 1))[0]
        if what == "deliver" and self._open:
            stream, key = self._open.pop(chance.randrange(len(self._open)))
            self._streams[stream].append("delivery", delivery(key))
        elif what == "hold":
            self._holds.append(f"h{self._count}")
            self._decide(worker, "hold", hold=self._holds[-1])
        elif what == "vote" and self._holds:
            hold, who = chance.choice(self._holds), chance.choice(("ann", "bob"))
            vote: dict[str, JSON] = {
                "hold": hold,
                "approver": {"issuer": "i", "subject": who},
                "approve": True,
                "reason": "yes",
            }
            self._streams["control"].append("vote", vote)
            self._streams["control"].append("hold", {"hold": hold, "state": chance.choice(("pending", "expired"))})
            if chance.random() < 0.7:
                self._decide(worker, "allow", hold=hold)
        elif what == "restart":
            self._streams[worker].sync()
            self._streams.restart(worker)
        elif what == "config":
            self._streams["supervisor"].append("config", {"what": "changed", "count": self._count})
        else:
            self._decide(worker, chance.choice(("allow", "allow", "block")))

    def _decide(self, worker: str, effect: str, **members: Any) -> None:
        chance, key = self._chance, f"d{self._count}"
        self._count += 1
        if chance.random() < 0.6:
            members["trace"] = {"traceparent": f"00-{chance.randrange(1, 6):032x}-{chance.randrange(1, 99):016x}-01"}
        principal = {**decision()["principal"], "subject": f"agent-{chance.randrange(3)}"}
        body = decision(key, effect, principal=principal, session=f"c{chance.randrange(4)}", **members)
        self._streams[worker].append("decision", body)
        if effect == "allow" and chance.random() < 0.9:
            self._open.append((worker, key))


def steps(state: Path, clock: Clock, wire: Wire, most: int = 10**6) -> None:
    """A shipper's process: so many steps, until nothing is left, or until it is killed."""
    with contextlib.closing(Store(state / "shipper.db")) as store, contextlib.suppress(Killed):
        shipper, idle = Shipper(state, store, wire, clock=clock), 0
        for _ in range(most):
            step = shipper.step()
            # The first idle step may have given actions up, which the next one tells.
            idle = 0 if step.records or step.spans else idle + 1
            if idle == 2:
                return


def lose(state: Path) -> None:
    """The database is gone."""
    for file in state.glob("shipper.db*"):
        file.unlink()


def check(state: Path, folder: Path, sent: Wire) -> None:
    """What is made anew from the journal is what was sent: all that counts as shipped, and nothing else."""
    if not (state / "shipper.db").exists():
        return
    folder.mkdir()
    again, perhaps = Wire(), set()
    with contextlib.closing(Replay(state, folder)) as replay:
        for found in replay.spans():
            if isinstance(found, Perhaps):
                perhaps.add(found.id)
            else:
                again.export([found.span])
    assert again.forms == {key: sent.forms[key] for key in again.forms}
    assert sent.forms.keys() <= again.forms.keys() | perhaps


@pytest.mark.parametrize("seed", range(6))
def test_the_same_record_makes_the_same_bytes(streams: Streams, tmp_path: Path, seed: int) -> None:
    """Shipped while it is written, with a collector and a process that fail at any step and a database that is lost
    now and then, every span that ever arrived is the one that arrives when all is shipped at once."""
    chance = random.Random(seed)
    live, gateway = Wire(chance), Gateway(streams, chance)
    for turn in range(300):
        gateway.act()
        if chance.random() < 0.3:
            steps(streams.state, streams.clock, live, chance.randrange(1, 4))
        if chance.random() < 0.01:
            lose(streams.state)
        if turn % 75 == 74:
            check(streams.state, tmp_path / f"replay-{turn}", live)
    streams.clock.now += 1000
    live.chance = None
    steps(streams.state, streams.clock, live)
    check(streams.state, tmp_path / "replay", live)
    lose(streams.state)
    once = Wire()
    steps(streams.state, streams.clock, once)
    assert live.forms == once.forms
    assert all(len(forms) == 1 for forms in once.forms.values())
    assert shipped(streams.state) == {name: streams[name].offset for name in shipped(streams.state)}


def test_a_record_waits_until_all_older_ones_are_written(streams: Streams) -> None:
    """Order of time is only known once nobody can write anything older; what is held back is said."""
    wire = Wire()
    streams["worker-0"].append("decision", decision("d1", "block"))
    with contextlib.closing(Store(streams.state / "shipper.db")) as store:
        shipper = Shipper(streams.state, store, wire, clock=streams.clock)
        step = shipper.step()
        assert (step.records, step.held) == (0, True)
        streams.clock.now += SETTLE_SECONDS
        step = shipper.step()
        assert (step.records, step.held) == (2, False)
        # A clock that was put back does not hold up what was written before.
        streams.clock.now += 3600
        streams["worker-0"].append("decision", decision("d2", "block"))
        streams.clock.now -= 3600
        assert shipper.step().records == 1


def test_what_is_still_needed_is_not_shipped(streams: Streams) -> None:
    """A decision that waits for its delivery keeps its segment, whatever was shipped after it."""
    streams["worker-0"].append("decision", decision("d1"))
    begins = streams["worker-0"].offset
    streams["worker-0"].append("decision", decision("d2"))
    streams["worker-0"].append("decision", decision("d3", "block"))
    streams["worker-0"].append("delivery", delivery("d1"))
    streams.clock.now += SETTLE_SECONDS
    assert shipped(streams.state) == {}
    steps(streams.state, streams.clock, Wire())
    assert shipped(streams.state) == {"worker-0": begins}
    streams["worker-0"].append("delivery", delivery("d2"))
    streams.clock.now += SETTLE_SECONDS
    steps(streams.state, streams.clock, Wire())
    assert shipped(streams.state) == {"worker-0": streams["worker-0"].offset}
