"""The audit trail as the control process serves it."""

from contextlib import AsyncExitStack

from extproc.app.archivist import rules
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.stores import bodies_of
from extproc.audit.export.bundle import Source
from extproc.audit.export.recorded import Recorded
from extproc.audit.index import Index
from extproc.audit.journal import FileJournal
from extproc.audit.library import Library, Role
from extproc.audit.retention.store import RetentionStore
from extproc.console import export, retention, sessions
from extproc.console.rights import Groups, Rights
from extproc.console.trail import Trail


def trail(live: Live, written: FileJournal, end: AsyncExitStack) -> Trail:
    """What people can do with the trail. `written` takes the records of it; `end` closes what is opened here. Raises
    ObjectStoreError and StateUnusable."""
    settings = live.settings
    layout, bodies = Layout(settings.state), bodies_of(settings)
    index, signer = Index(settings.state), layout.signer()
    end.callback(index.close)
    kept = RetentionStore(layout.retention)
    end.callback(kept.close)

    def groups() -> Groups:
        roles = live.settings.audit.roles
        return {
            Role.LIST: roles.list, Role.READ: roles.read, Role.EXPORT: roles.export, Role.ADMINISTER: roles.administer
        }  # fmt: skip

    def source() -> Source:
        keys = {signer.key_id: layout.audit_public.read_bytes()}
        return Source(layout.journal, Recorded(bodies), keys, signer)

    rights = Rights(groups, lambda: live.settings.identity.administrators)
    return Trail(
        rights,
        sessions.routes(Library(settings.state, index, bodies, written), rights),
        export.routes(settings.state, index, source, written),
        retention.routes(settings.state, kept, written, lambda: rules(live.settings)),
    )
