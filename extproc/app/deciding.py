"""What every program that decides is made of, whatever protocol its sessions speak."""

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from extproc.access.check import check
from extproc.access.ports import Standing
from extproc.adapters.access import AccessList
from extproc.adapters.counters import Counters, Wanted
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.opa.published import Published
from extproc.adapters.opa.slots import Slots
from extproc.adapters.signals_history import PolicyHistory
from extproc.adapters.signals_reader import SignalsReader
from extproc.app.engine import engine
from extproc.app.identities import Doorkeeper
from extproc.app.journals import journal
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.program import reserve
from extproc.app.programs import database_workers, workers
from extproc.app.snapshot import active
from extproc.approvals.service import Holds
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.salvage import salvage, strays
from extproc.audit.bodies.writer import RecordingFailed, Shelf
from extproc.audit.journal import FileJournal
from extproc.config import Settings
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.masking.build import warm
from extproc.server.caps import Caps, Limits
from extproc.server.gate import Gate
from extproc.server.live import Exchanges
from extproc.server.memory import Memory
from extproc.server.metrics import Metrics
from extproc.server.turns import Turns

_log = logging.getLogger("holdpoint.processes")


@dataclass(frozen=True, slots=True)
class Deciding:
    """One program's. `live` is the configuration in force, `known` what can be found in bodies, `standing` who counts
    now; `epoch` tells one life of the gateway from the next."""

    live: Live
    known: Known
    gate: Gate
    doorkeeper: Doorkeeper
    standing: Standing
    exchanges: Exchanges
    caps: Caps
    turns: Turns
    digest_key: bytes
    epoch: str


@contextlib.asynccontextmanager
async def deciding(settings: Settings, name: str) -> AsyncIterator[Deciding]:
    """All of it, open for as long as the context lasts and following what changes; `name` is the program's. Raises
    OSError, StateUnusable, JournalUnwritable, HoldsUnavailable."""
    layout = Layout(settings.state)
    known = Known(layout)
    warm(known.now)
    live = Live(active(layout))
    async with contextlib.AsyncExitStack() as end:
        store = await SqliteHolds.open(layout.holds)
        end.push_async_callback(store.close)
        await end.enter_async_context(following(known))
        written = journal(settings, name, known)
        end.callback(written.close)
        slots = Slots(layout.run)
        end.callback(slots.close)
        policy = engine(settings, slots)
        end.callback(policy.close)
        standing = AccessList.open(layout.access)
        end.callback(standing.close)
        signals = SignalsReader(layout.signals)
        signals.start()
        end.callback(signals.close)
        counters = Counters(layout.counters)
        end.push_async_callback(counters.close)
        doorkeeper = Doorkeeper(live.settings, standing)
        check_now = partial(may_go_on, standing, doorkeeper)
        history = PolicyHistory(signals, counters, Wanted(layout.policy_reads))
        holds = Holds(store, live.settings.limits.holds)
        recorder = _recorder(settings, name, written)
        # An engine of somebody's own may change without a word.
        memory = Memory(Published(layout.policy_reads)) if settings.policy.managed else None
        gate = Gate(policy, holds, written, Metrics(), history, check_now, recorder, memory, policy, counters)
        reserve(layout.metrics)
        exchanges = Exchanges(check_now, partial(_is_as_it_was, live))
        caps = Caps(_share(live.settings))
        standing.on_change(exchanges.review)
        # Before the review below: it ends what an issuer let in that is believed no longer.
        live.on_change(doorkeeper.follow)

        def follow(changed: Settings) -> None:
            caps.limits = _share(changed)
            holds.most_pending = changed.limits.holds
            exchanges.review()

        live.on_change(follow)
        key, epoch = layout.read_digest_key(), os.environ.get("HOLDPOINT_EPOCH", "")
        await end.enter_async_context(live.following())
        yield Deciding(live, known, gate, doorkeeper, standing, exchanges, caps, Turns(slots), key, epoch)


def may_go_on(standing: Standing, doorkeeper: Doorkeeper, principal: Principal, now: float) -> None:
    """Raises IdentityRefused for a principal that may not go on at a time (seconds since the epoch)."""
    if not doorkeeper.believes(principal):
        raise IdentityRefused("this issuer is no longer believed", Why.REVOKED, principal)
    check(principal, standing, now)


def _recorder(settings: Settings, name: str, written: FileJournal) -> Recorder:
    """This program's recorder, once what its last life left is salvaged. The first worker does the same for those that
    the configuration has no more."""
    layout = Layout(settings.state)
    shelf = Shelf(layout.bodies, layout.read_body_key(), sync=settings.audit.sync_seconds == 0)
    ours = {*workers(settings), *database_workers(settings)}
    first = name == workers(settings)[0]
    for stream in [name, *(s for s in strays(layout.bodies) if first and s not in ours)]:
        try:
            salvage(shelf, stream, written.append)
        except (OSError, RecordingFailed, JournalUnwritable) as error:
            # It stays where it is until the next start; whether anything passes meanwhile, the recorder finds out.
            _log.warning("recordings of %s not salvaged yet: %s", stream, error)
    return Recorder(shelf, name, written.append)


def _is_as_it_was(live: Live, target: Target) -> bool:
    return any((t.name, t.revision) == (target.name, target.revision) for t in live.settings.targets)


def _share(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(limits.requests, limits.bytes).share(settings.workers)
