"""The archivist: index, checkpoints and their witnesses, recorded bodies, retention, each a chore of one thread."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from extproc.adapters.witnesses import witness_of
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.stores import bodies_of, object_store
from extproc.audit import chores
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.tidy import Tidy
from extproc.audit.bodies.uploads import Uploads
from extproc.audit.checkpoints import Checkpoints
from extproc.audit.index.indexer import Indexer
from extproc.audit.index.texts import BodyTexts
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer
from extproc.audit.retention.chore import Retention
from extproc.audit.retention.rules import Keep, Rules
from extproc.audit.retention.store import RetentionStore
from extproc.audit.shipper import shipped
from extproc.config import RecordSettings, Settings
from extproc.server.metrics import ArchivistMetrics

_log = logging.getLogger("holdpoint.archivist")


async def run_archivist(
    live: Live, written: FileJournal, signer: Signer, metrics: ArchivistMetrics, stop: asyncio.Event
) -> None:
    """Do the chores of this gateway's trail until `stop`. What signs it has a thread of its own: a body that somebody
    made long, or a store that is slow, must not leave records unsigned. `written` is the archivist's own stream; `live`
    is followed by the caller. Raises ObjectStoreError and WitnessUnreachable for what is configured and can't be used
    at all."""
    settings = live.settings
    layout, audit = Layout(settings.state), settings.audit
    bodies, folder = bodies_of(settings), BodyFolder(layout.bodies)
    index = Indexer(settings.state, BodyTexts(bodies))
    witnesses = [witness_of(each, settings.state, object_store) for each in audit.witnesses]
    with contextlib.ExitStack() as end:
        store = RetentionStore(layout.retention)
        end.callback(store.close)

        def sent() -> Mapping[str, int] | None:
            return shipped(settings.state) if audit.otlp is not None else None

        signing = Checkpoints(
            settings.state, written, signer, witnesses, audit.checkpoint_seconds, on_witness=metrics.witness
        )
        work: list[chores.Chore] = [
            index,
            Tidy(layout.bodies),
            Retention(
                settings.state, store, written, folder, bodies, index, signer, lambda: rules(live.settings), sent,
                on_wait=_waits,
            ),
        ]  # fmt: skip
        if audit.objects is not None:
            work.append(Uploads(folder, object_store(audit.objects)))
        await chores.run_apart(signing, work, stop)


def rules(settings: Settings) -> Rules:
    """How long what is kept."""
    return Rules(_keep(settings.audit.record), {t.name: _keep(t.record) for t in settings.targets})


def _keep(record: RecordSettings) -> Keep:
    return Keep(record.keep_seconds, record.keep_bodies_seconds)


def _waits(why: str) -> None:
    if why:
        _log.warning("nothing is deleted for now: %s", why)
